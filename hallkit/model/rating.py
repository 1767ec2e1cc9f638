"""好差评: five levels, the last two of which are bad (国办发〔2019〕51号)."""

from __future__ import annotations

from enum import StrEnum


class RatingLevel(StrEnum):
    """How somebody found the service, the best first."""

    VERY_SATISFIED = "very_satisfied"
    """非常满意."""
    SATISFIED = "satisfied"
    """满意."""
    BASICALLY_SATISFIED = "basically_satisfied"
    """基本满意."""
    DISSATISFIED = "dissatisfied"
    """不满意."""
    VERY_DISSATISFIED = "very_dissatisfied"
    """非常不满意."""

    @property
    def is_bad(self) -> bool:
        """It asks for a call back."""
        return self in (RatingLevel.DISSATISFIED, RatingLevel.VERY_DISSATISFIED)
