"""The design tokens as CSS custom properties, read from the one file that the screens use too.

Lengths of the screens are millimetres on a panel and mean nothing on a telephone; pages have their
own scale in `page.css`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

GROUPS = ("colour", "font", "motion")


@cache
def tokens_css() -> str:
    """`:root { --hk-colour-ink: #14213D; … }`."""
    # Through the root package: hallkit.screens itself may import Qt.
    file = resources.files("hallkit") / "screens" / "tokens.toml"
    groups = tomllib.loads(file.read_text(encoding="utf-8"))
    lines = [
        f"  --hk-{group}-{name.replace('_', '-')}: {_value(group, value)};"
        for group in GROUPS
        for name, value in groups[group].items()
    ]
    return "\n".join([":root {", *lines, "}", ""])


def _value(group: str, value: str | float) -> str:
    if isinstance(value, str):
        if group != "colour":
            return f'"{value}"'
        # QML writes alpha first, CSS last.
        return f"#{value[3:]}{value[1:3]}" if len(value) == len("#AARRGGBB") else value
    return f"{value}ms" if group == "motion" else f"{value}"
