"""The HTTP contract's part on e-licences: what a person may print, permits, what came of them.

A permit says that one machine may print one exact file once, in one visit of one person. Numbers
of persons stand in bodies only.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from hallkit.model.licence import PermitState, PrintOutcome
from hallkit.wire.base import Message
from hallkit.wire.cases_api import IdNumber, Ulid

LICENCES = "/v1/licences"
PERMITS = "/v1/licences/permits"
VISITS = "/v1/visits"

PERMIT_FILE_TYPE = "application/pdf"
PERMIT_FILE_LIMIT = 4 * 1024 * 1024

VisitName = Annotated[str, Field(pattern=r"^[0-9A-Za-z._:-]{8,40}$")]
"""Of one visit at one machine."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LicenceQuery(Message):
    """Whose licences: of the card that lies there. From now on the visit is this person's."""

    number: IdNumber
    visit: VisitName


class PrintableLicence(Message):
    """A licence that its holder may print now."""

    licence: str
    kind: str
    title: str
    holder: str
    """Masked, so that its owner knows it."""
    issuer: str
    identifier: str
    """电子证照标识."""
    issued_on: dt.date
    valid_until: dt.date | None = None
    prints: int
    """How often it has been printed."""
    unsettled: bool = False
    """A print is going on, or nobody knows what came of it: no other one until that is settled."""


class LicencesFound(Message):
    licences: tuple[PrintableLicence, ...]


class PermitRequest(Message):
    """Make the file of a licence, for this person in this visit."""

    number: IdNumber
    visit: VisitName
    licence: Ulid


class PrintPermit(Message):
    """A file is ready, and may be printed once."""

    permit: str
    licence: str
    sha256: str
    """Of the file's bytes: what does not have it must not be printed."""
    size: int
    copy_number: int
    """第 N 次打印, as the page says it."""
    expires_at_ms: int


class PermitOfPerson(Message):
    """A permit, in the visit and of the person that it was made for."""

    permit: Ulid
    visit: VisitName
    number: IdNumber


class PermitRedemption(PermitOfPerson):
    """Asked immediately before the bytes go to the printer."""

    sha256: Sha256
    """Of the bytes that the machine holds."""


class PermitRedeemed(Message):
    """Yes: print it now, once."""

    permit: str
    licence: str
    attempt: int
    """To be said with the outcome."""
    again: bool = False
    """This key had been told yes already: it stands for the same one print."""


class PermitOutcome(Message):
    """What came of the print."""

    permit: Ulid
    visit: VisitName
    attempt: Annotated[int, Field(ge=1)]
    """Which yes for this permit, counted from one: known though the answer was lost."""
    outcome: PrintOutcome


class PermitStatus(Message):
    permit: str
    state: PermitState


class VisitEnd(Message):
    visit: VisitName


class VisitEnded(Message):
    visit: str
    destroyed: int
    """Files that were left."""


class PrintsSettlement(Message):
    """What a person at a window found out: is the paper there or not?"""

    number: IdNumber
    """Of whoever is at the window."""
    printed: bool


class PrintsSettled(Message):
    settled: tuple[str, ...]
    """Titles of the licences that may be printed again."""
