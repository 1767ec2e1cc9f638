"""The HTTP contract of the hall's business node under `/v1` (the OpenAPI document is made of it).

Every write carries an `Idempotency-Key`; errors are `application/problem+json` (RFC 9457) with a
code of ours, a plain Chinese message and what to do. Personal data stands only in bodies.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.ticket import AppointmentState, Priority, Ticket, TicketState, WindowState
from hallkit.wire.base import Message
from hallkit.wire.cases_api import Case

IDEMPOTENCY_HEADER = "Idempotency-Key"
PROBLEM_TYPE = "application/problem+json"
CATALOGUE_MANIFEST = "/v1/catalogue/manifest"
CATALOGUE_SNAPSHOT = "/v1/catalogue/snapshot"
CATALOGUE_DELTA = "/v1/catalogue/delta"
TICKETS = "/v1/tickets"
QUEUE_SERVICES = "/v1/queue/services"
QUEUE_CALLS = "/v1/queue/calls"
WINDOWS = "/v1/windows"
SLOTS = "/v1/queue/slots"
APPOINTMENTS = "/v1/appointments"
BLOCKS = "/v1/blocks"
HEALTH = "/v1/health"


class Applicant(Message):
    """Who takes the ticket, so that the window need not ask again. Encrypted at rest."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    number: Annotated[str, Field(min_length=15, max_length=18)]
    card_kind: str


class TicketRequest(Message):
    """A ticket for an item, with what the citizen already answered."""

    item: Annotated[str, Field(max_length=64)]
    answers: dict[str, str] = {}
    """Question key → option key of the guidance."""
    materials: tuple[Annotated[str, Field(max_length=64)], ...] = ()
    applicant: Applicant | None = None
    priority: Priority = Priority.NONE
    """As declared at the machine; who is elderly, the node sees from the ID number."""
    visit: Annotated[str, Field(max_length=40)] = ""
    case: Annotated[str, Field(pattern=r"^([0-9A-HJKMNP-TV-Z]{26})?$")] = ""
    """For which it is: one that this machine holds. Without it the node finds the applicant's."""


class TicketIssued(Message):
    ticket: Ticket
    again: bool = False
    """True if this key had already been given this ticket."""


class TicketProgress(Message):
    """Where the holder of a ticket stands."""

    ticket: str
    number: str
    state: TicketState
    priority: Priority
    waiting_ahead: int
    window: int | None = None
    """That called it."""
    calls: int = 0
    """How often it was called."""
    expected_wait_s: float | None = None
    """Until it is called; none: nobody can tell."""
    as_of_ms: int
    """Now, or with `stale` when the windows were heard last."""
    stale: bool = False
    """Nothing was heard of the windows for a while, so nothing is told."""


class ServiceWait(Message):
    """One queue of the hall as it is now."""

    service: str
    service_name: str
    windows: str
    waiting: int
    open_windows: int
    expected_wait_s: float | None = None
    """Of somebody who comes now; none: nobody can tell."""
    stale: bool = False
    """People wait, and nothing was heard of the windows for a while."""
    as_of_ms: int


class QueueServices(Message):
    services: tuple[ServiceWait, ...]


class WindowTicket(Message):
    """Who is called or served at a window. Numbers and words of the hall; nobody's name."""

    ticket: str
    number: str
    service: str
    service_name: str
    item: str
    priority: Priority
    state: TicketState
    calls: int
    came_at_ms: int
    called_at_ms: int | None = None


class WindowStatus(Message):
    """A window as it is now."""

    window: int
    state: WindowState
    services: tuple[str, ...]
    waiting: int
    """How many wait for one of its services."""
    ticket: WindowTicket | None = None
    changed_at_ms: int


class WindowOrder(Message):
    """What a window does. `ticket` and `service` belong to `call` and `transfer`."""

    do: Literal[
        "open",
        "pause",
        "close",
        "next",
        "call",
        "again",
        "serve",
        "skip",
        "finish",
        "transfer",
        "return",
    ]
    """`next`: whoever is to be called; `call`: this ticket, that waits or was skipped; the others
    name in `ticket` whom they mean, so that none comes late to the next person. `again`:
    the same once more (重呼); `serve`: they have come; `skip`: nobody came (过号); `finish`: they
    are done; `transfer`: to another service, in the place they had; `return`: a skipped one waits
    again."""
    ticket: Annotated[str, Field(max_length=26)] = ""
    service: Annotated[str, Field(max_length=32)] = ""


class TicketCase(Message):
    """What the holder of the ticket at a window has already said. Personal: for that window."""

    ticket: str
    request: TicketRequest
    case: Case | None = None
    """What was filled in and what became of it, if there is a case."""


class Call(Message):
    """A number is called to a window."""

    id: int
    """Grows with each call."""
    number: str
    service: str
    window: int
    times: int
    """1: the first call; more: called again."""
    at_ms: int


class Calls(Message):
    """The latest calls of today, the newest first."""

    calls: tuple[Call, ...]
    as_of_ms: int


class Slot(Message):
    """A time for which one can book."""

    start_ms: int
    end_ms: int
    places: int
    """Still free."""


class Slots(Message):
    service: str
    service_name: str
    windows: str
    slots: tuple[Slot, ...]


class AppointmentRequest(Message):
    """A place in a slot. The applicant is needed: they check in with their card."""

    start_ms: Annotated[int, Field(ge=0, le=4_102_444_800_000)]
    ticket: TicketRequest


class Appointment(Message):
    """What is booked. Says nothing about the person."""

    appointment: str
    item: str
    service: str
    service_name: str
    windows: str
    start_ms: int
    end_ms: int
    state: AppointmentState
    ticket: str = ""
    """Of the number that the check-in gave."""


class PersonQuery(Message):
    """Who asks for what they have; from the card that lies there."""

    number: Annotated[str, Field(min_length=15, max_length=18)]


class Appointments(Message):
    appointments: tuple[Appointment, ...]


class CheckIn(Message):
    """Somebody is there for their appointment, or gives it back; with the number of their card."""

    appointment: Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
    number: Annotated[str, Field(min_length=15, max_length=18)]


class LeaseRequest(Message):
    """Numbers for the time without the node."""

    services: Annotated[tuple[Annotated[str, Field(max_length=32)], ...], Field(max_length=64)] = ()
    """None: all."""
    size: Annotated[int, Field(ge=1, le=20)] = 5
    """So many of each, with those that are still held."""


class ReservedNumber(Message):
    """A number that this machine may give while the node is away; each once."""

    ticket: str
    number: str
    service: str
    service_name: str
    windows: str
    code: str
    """Signed text of the QR."""


class Lease(Message):
    """All numbers that the machine holds. They end with the day."""

    day: dt.date
    numbers: tuple[ReservedNumber, ...]
    as_of_ms: int
    """The node's clock: how far is the machine's off?"""


class OfflineTicket(Message):
    """A number that was given while the node was away."""

    ticket: Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{26}$")]
    issued_at_ms: Annotated[int, Field(ge=0)]
    uncertainty_ms: Annotated[int, Field(ge=0)] = 0
    """How far the machine's clock may have been off."""
    key: Annotated[str, Field(max_length=128)] = ""
    """The idempotency key under which the node was asked before: it may have given a number of
    which the machine never heard."""
    sealed: Annotated[bytes, Field(max_length=16 * 1024)]
    """The `TicketRequest` as JSON, sealed to the node for this ticket (hallkit/wire/sealed.py)."""


class OfflineTickets(Message):
    tickets: Annotated[tuple[OfflineTicket, ...], Field(min_length=1, max_length=100)]


class OfflineTicketsTaken(Message):
    taken: tuple[str, ...]
    """Stand in the queue, now or since before: the machine may forget them."""
    refused: dict[str, str] = {}
    """Ticket → code of the problem. Asking again helps once that is mended."""


class CatalogueDelta(Message):
    """What turns an earlier catalogue into the one that the manifest names."""

    from_sha256: str
    size: int
    sha256: str
    """Of the delta itself."""


class CatalogueManifest(Message):
    """Which catalogue the hall offers, signed by the hall."""

    version: str
    sequence: int = 0
    """Grows with each publication. A machine takes none that is lower than its own."""
    size: int
    sha256: str
    deltas: tuple[CatalogueDelta, ...] = ()
    signature: str
    """Ed25519 over `signed_text`, base64."""

    @property
    def signed_text(self) -> bytes:
        """Every other field, a line each; a delta's three in one line."""
        lines = [self.version, str(self.sequence), str(self.size), self.sha256]
        lines += [f"{delta.from_sha256} {delta.size} {delta.sha256}" for delta in self.deltas]
        return "\n".join(lines).encode()

    def delta_from(self, sha256: str) -> CatalogueDelta | None:
        """The delta from a catalogue of this digest, if there is one."""
        return next((delta for delta in self.deltas if delta.from_sha256 == sha256), None)


class FieldFault(Message):
    """What is wrong with one answer, in plain words."""

    field: str
    text: str


class Problem(Message):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    """Plain Chinese: what happened."""
    status: int
    code: str
    detail: str = ""
    """Plain Chinese: what to do."""
    fields: tuple[FieldFault, ...] = ()
    """Of a form: what must be put right."""
