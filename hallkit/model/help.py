"""呼叫帮办: why somebody calls, and where the call stands."""

from __future__ import annotations

from enum import StrEnum


class HelpReason(StrEnum):
    """Why a machine calls for a person."""

    ASKED = "asked"
    """The citizen pressed the button or said so."""
    ELDERLY = "elderly"
    REPEATED_FAILURE = "repeated_failure"
    LEFT_BEHIND = "left_behind"
    """A card or a paper lies there, and nobody stands before it."""
    REFUSED = "refused"
    """What they asked for cannot be done here, and they want to know why."""
    ROBOT_GAVE_UP = "robot_gave_up"
    FAULT = "fault"


class HelpState(StrEnum):
    """Where a call stands. How many have been told is its level, which grows while it rings."""

    CALLING = "calling"
    ACKNOWLEDGED = "acknowledged"
    """Somebody is on the way."""
    THERE = "there"
    DONE = "done"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self not in (HelpState.DONE, HelpState.CANCELLED)


class HelpOutcome(StrEnum):
    """What a helper did."""

    SOLVED = "solved"
    TO_WINDOW = "to_window"
    """They were brought to a window."""
    FAULT_REPORTED = "fault_reported"
    NOBODY_THERE = "nobody_there"
    FORGOTTEN = "forgotten"
    """The node ended it: for hours nobody did."""
