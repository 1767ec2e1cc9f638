"""呼叫帮办 over HTTPS: a machine calls for a person and hands over what has been done so far."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hallkit.model.help import HelpReason, HelpState
from hallkit.wire.affairs_api import Applicant
from hallkit.wire.base import Message

HELP_CALLS = "/v1/help/calls"

_Short = Annotated[str, Field(max_length=64)]


class SessionSoFar(Message):
    """All that somebody has done at a machine, so that nobody asks for it again. Personal: for who
    comes to help, encrypted at rest.
    """

    visit: Annotated[str, Field(max_length=40)] = ""
    item: Annotated[str, Field(max_length=64, repr=False)] = ""
    answers: Annotated[dict[_Short, _Short], Field(max_length=128, repr=False)] = {}
    """Question key → option key of the guidance."""
    materials: Annotated[tuple[_Short, ...], Field(max_length=128, repr=False)] = ()
    applicant: Applicant | None = Field(default=None, repr=False)
    """If a card was read."""
    ticket: Annotated[str, Field(max_length=26)] = ""
    case: Annotated[str, Field(max_length=26)] = ""
    screen: _Short = ""
    """What they see: key of the screen."""


class HelpRequest(Message):
    """Somebody is to come to this machine."""

    reason: HelpReason
    session: SessionSoFar = SessionSoFar()
    place: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9-]{0,63})?$")] = ""
    """Id on the hall map of where a robot stands. Where a machine stands, the node knows."""


class HelpCall(Message):
    """How a call stands, for the machine that called."""

    call: str
    state: HelpState
    level: int
    """1: the helpers were told; each further one tells more people."""
    say: str
    """Key of the words for the citizen: `help.said.<what>`; `{helper}` is who comes."""
    helper: str = ""
    """What whoever comes is called, as the badge says it."""
    presses: int = 1
    waiting_s: int
    """From the call until somebody is there, or it has ended."""
    again: bool = False
    """True if this was open already."""
