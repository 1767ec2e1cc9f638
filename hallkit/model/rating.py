"""好差评: five levels, the last two of which are bad (国办发〔2019〕51号)."""

from __future__ import annotations

from collections.abc import Mapping
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


class RatingTag(StrEnum):
    """What exactly was good or bad; each has words in the wording table (`rating.tag.<value>`)."""

    ONE_VISIT = "one_visit"
    NO_REPEATS = "no_repeats"
    """Nothing that the offices have already was asked for."""
    QUICK = "quick"
    CLEAR = "clear"
    WARM = "warm"
    EASY_MACHINE = "easy_machine"
    CARED_FOR = "cared_for"
    """Of the old, the disabled, who came with children."""
    MANY_VISITS = "many_visits"
    MANY_MATERIALS = "many_materials"
    SLOW = "slow"
    UNCLEAR = "unclear"
    RUDE = "rude"
    HARD_MACHINE = "hard_machine"
    TURNED_AWAY = "turned_away"
    """Without a reason."""
    OVERCHARGED = "overcharged"


_GOOD = (
    RatingTag.ONE_VISIT,
    RatingTag.NO_REPEATS,
    RatingTag.QUICK,
    RatingTag.CLEAR,
    RatingTag.WARM,
    RatingTag.EASY_MACHINE,
    RatingTag.CARED_FOR,
)
_BAD = tuple(tag for tag in RatingTag if tag not in _GOOD)

TAGS: Mapping[RatingLevel, tuple[RatingTag, ...]] = {
    RatingLevel.VERY_SATISFIED: _GOOD,
    RatingLevel.SATISFIED: _GOOD,
    # Somebody who is just content may say both.
    RatingLevel.BASICALLY_SATISFIED: (*_GOOD, *_BAD),
    RatingLevel.DISSATISFIED: _BAD,
    RatingLevel.VERY_DISSATISFIED: _BAD,
}
"""What may be ticked with which level."""


class RatedKind(StrEnum):
    """What is rated."""

    TICKET = "ticket"
    CASE = "case"
    VISIT = "visit"
    """Self-service without a number."""


class RatingChannel(StrEnum):
    """Where it was said."""

    TERMINAL = "terminal"
    WINDOW = "window"
    ROBOT = "robot"
    RATING_BUTTONS = "rating_buttons"
    PHONE = "phone"


class CallBackState(StrEnum):
    """差评回访: where a bad rating stands."""

    OPEN = "open"
    TAKEN = "taken"
    """Somebody looks into it and calls back."""
    DONE = "done"


class CallBackResult(StrEnum):
    """What came of a call back."""

    SOLVED = "solved"
    EXPLAINED = "explained"
    UNREACHABLE = "unreachable"
    WITHDRAWN = "withdrawn"
    """The citizen takes the rating back."""
