"""Physical sizes: how many pixels a millimetre of this panel has."""

from __future__ import annotations

import os

ENVIRONMENT_KEY = "HALLKIT_PX_PER_MM"
DEFAULT_PX_PER_MM = 3.2
"""A 27-inch panel of 1080 by 1920 pixels, 81.6 to the inch."""
PLAUSIBLE = (1.0, 20.0)


def px_per_mm(configured: float | None = None) -> float:
    """The given value, else `HALLKIT_PX_PER_MM`, else the usual panel's."""
    value = configured if configured is not None else _from_environment()
    if value is None:
        return DEFAULT_PX_PER_MM
    if not PLAUSIBLE[0] <= value <= PLAUSIBLE[1]:
        message = f"{value} px/mm is no panel; expected {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g}"
        raise ValueError(message)
    return value


def _from_environment() -> float | None:
    text = os.environ.get(ENVIRONMENT_KEY)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        message = f"{ENVIRONMENT_KEY}: {text!r} is no number"
        raise ValueError(message) from None
