"""The HTTP contract's part on cases: drafts, submission, progress, hand-over, what is held.

Everything here but ids, numbers and states is personal: in bodies only, for the machine that works
on the case, or for the window that has the person before it.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.case import CaseState, HandedIn
from hallkit.model.conditions import FactValue
from hallkit.model.decision import RuleStatus, Source, Verdict, Way
from hallkit.model.receipt import Receipt
from hallkit.model.ticket import Priority, Ticket
from hallkit.wire.base import Message

CASES = "/v1/cases"
CONTINUATIONS = "/v1/continuations"
HOLDINGS = "/v1/holdings"

Ulid = Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
IdNumber = Annotated[str, Field(min_length=15, max_length=18)]
_Key = Annotated[str, Field(max_length=64)]
_Text = Annotated[str, Field(max_length=2000)]
_Value = bool | int | float | _Text | tuple[_Text, ...]


class CaseApplicant(Message):
    """Who applies, as the card says, or as they say."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    number: IdNumber
    card_kind: Annotated[str, Field(max_length=16)] = "resident"
    read: Literal["card", "said"] = "said"
    """`card`: the machine's reader read it now."""
    birth: dt.date | None = None
    """None: a resident's number says it."""
    sex_code: Annotated[str, Field(max_length=1)] = ""
    nation_code: Annotated[str, Field(max_length=2)] = ""
    address: Annotated[str, Field(max_length=200)] = ""
    issuer: Annotated[str, Field(max_length=60)] = ""
    phone: Annotated[str, Field(max_length=20)] = ""
    """As they say: for questions about this case."""


class CaseMaterial(Message):
    """One material, and how it comes to the office."""

    key: _Key
    how: HandedIn = HandedIn.TO_BRING
    holding: Annotated[str, Field(max_length=64)] = ""
    """Of what is held or reused: its id."""


class CaseContent(Message):
    """All that the person has said and has."""

    item: _Key
    answers: Annotated[dict[_Key, Annotated[str, Field(max_length=400)]], Field(max_length=64)] = {}
    """Question → option key, or keys joined by `+`."""
    applicant: CaseApplicant | None = None
    values: Annotated[dict[_Key, _Value], Field(max_length=200)] = {}
    """Field of the item's form → what is filled in."""
    materials: Annotated[tuple[CaseMaterial, ...], Field(max_length=100)] = ()
    priority: Priority = Priority.NONE
    visit: Annotated[str, Field(max_length=40)] = ""


class CaseDraft(Message):
    """The content as it shall be now. `revision` is that of the case that was changed."""

    revision: Annotated[int, Field(ge=0)]
    content: CaseContent


class PrefilledField(Message):
    """A field that is known already."""

    field: str
    value: FactValue
    source: Source
    editable: bool
    """May the person change it?"""


class Holding(Message):
    """Something of this person that is here already."""

    holding: str
    kind: str
    """As items name it in `held_as`."""
    title: str
    origin: Literal["licence", "window"]
    """An e-licence of the hall, or a paper that a window has seen."""
    source: str
    """Which office or window it is from."""
    at_ms: int
    valid_until: dt.date | None = None


class Case(Message):
    """A case for whoever works on it."""

    case: str
    number: str
    """办件编号."""
    state: CaseState
    revision: int
    content: CaseContent
    prefilled: tuple[PrefilledField, ...] = ()
    held: tuple[Holding, ...] = ()
    """May be used for this case. What comes from the applicant's store needs their consent."""
    systems_down: tuple[str, ...] = ()
    """Systems for which an instant decision would wait now."""
    reasons: tuple[CaseReason, ...] = ()
    """Why it was returned."""


class CaseReason(Message):
    """Why not, in plain words."""

    status: RuleStatus
    text: str
    said: str = ""
    what_to_do: str = ""
    systems: tuple[str, ...] = ()
    """That gave no answer."""


class CasePrecheck(Message):
    """条件预检: is there use in filling in the form?"""

    failed: tuple[CaseReason, ...] = ()
    systems_down: tuple[str, ...] = ()


class CaseOutcome(Message):
    """What became of a submission."""

    case: str
    number: str
    state: CaseState
    verdict: Verdict | None = None
    """Of an instant item; none: a person decides."""
    reasons: tuple[CaseReason, ...] = ()
    """Why it was not approved: what failed, then what nobody could tell."""
    receipt: Receipt | None = None
    """Signed and masked: may be shown and printed."""
    way: Way | None = None
    """Where to go, unless it is approved."""
    ticket: Ticket | None = None
    """A number for that window, with the case attached; none while it is closed for the day."""
    licences: tuple[str, ...] = ()
    """Ids of what was issued."""
    promised_by: dt.date | None = None
    """承诺办结日: when a person will have decided."""


class CaseQuery(Message):
    """Whose cases: by the card that lies there, or one by its number and the end of the ID."""

    number: IdNumber | None = None
    case_number: Annotated[str, Field(max_length=24)] = ""
    tail: Annotated[str, Field(max_length=6)] = ""
    """The last four characters of the applicant's ID number."""


class CaseStep(Message):
    """Something that happened to a case."""

    state: CaseState
    at_ms: int


class CaseProgress(Message):
    """How far a case is. Says nothing about the person."""

    case: str
    number: str
    item: str
    item_name: str
    state: CaseState
    verdict: Verdict | None = None
    steps: tuple[CaseStep, ...]
    reasons: tuple[CaseReason, ...] = ()
    promised_by: dt.date | None = None
    ticket: str = ""
    """Of a number that waits for it, its id."""


class CasesFound(Message):
    cases: tuple[CaseProgress, ...]


class CaseOfPerson(Message):
    """A case, and the number of the card that lies there."""

    case: Ulid
    number: IdNumber


class Continuation(Message):
    """What opens the case at another machine, once."""

    code: str
    """Text of the QR."""
    expires_at_ms: int


class ContinuationCode(Message):
    code: Annotated[str, Field(max_length=64)]


class PersonInBody(Message):
    """Whose: from the card that lies there."""

    number: IdNumber


class Holdings(Message):
    """本地信息库: what is kept of a person to be used again, and whether they let it be."""

    consent: bool
    consent_at_ms: int | None = None
    holdings: tuple[Holding, ...] = ()


class HoldingsConsent(Message):
    """The person says yes, or takes it back: then what was kept is deleted."""

    number: IdNumber
    consent: bool


class HoldingsForget(Message):
    """These are no longer to be kept."""

    number: IdNumber
    holdings: Annotated[tuple[Ulid, ...], Field(min_length=1, max_length=100)]


class SeenMaterial(Message):
    """A paper that the window has before it."""

    key: _Key
    valid_until: dt.date | None = None


class CaseOrder(Message):
    """What a person at a window does with the case of the ticket that is there."""

    do: Literal["accept", "return", "approve", "refuse", "deliver"]
    case: Ulid
    words: Annotated[str, Field(max_length=1000)] = ""
    """To the applicant: why it is returned or refused. Required for both."""
    seen: Annotated[tuple[SeenMaterial, ...], Field(max_length=100)] = ()
    """With `accept`: materials that were looked at, for the applicant's store if they consent."""


Case.model_rebuild()
