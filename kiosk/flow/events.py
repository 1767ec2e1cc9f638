"""What can happen to a visit, and what the service must do about it."""

from __future__ import annotations

from dataclasses import dataclass

from hallkit.model.identity import IdentityCard
from hallkit.model.item import Item
from hallkit.model.printing import PrintJob, Slip
from hallkit.model.ticket import Ticket
from hallkit.wire.affairs_api import TicketRequest
from hallkit.wire.events import EventData
from kiosk.flow.state import Found

# ── Events ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Tapped:
    action: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Typed:
    text: str


@dataclass(frozen=True, slots=True)
class SearchDone:
    query: str
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class ItemOpened:
    item: Item


@dataclass(frozen=True, slots=True)
class CardSeen:
    card: IdentityCard


@dataclass(frozen=True, slots=True)
class CardProblem:
    pass


@dataclass(frozen=True, slots=True)
class CardLeftBehind:
    pass


@dataclass(frozen=True, slots=True)
class CardLifted:
    pass


@dataclass(frozen=True, slots=True)
class TicketGiven:
    ticket: Ticket


@dataclass(frozen=True, slots=True)
class TicketRefused:
    code: str


@dataclass(frozen=True, slots=True)
class JobChanged:
    job: PrintJob


@dataclass(frozen=True, slots=True)
class NobodyTaps:
    """Nobody has tapped for so long that the screen asks; 0 ends the visit."""

    seconds_left: int


@dataclass(frozen=True, slots=True)
class MachineCloses:
    """No visit can go on at this machine."""


@dataclass(frozen=True, slots=True)
class MachineOpens:
    """Visits may begin again; one that ended with a number shows it again."""


Event = (
    Tapped
    | Typed
    | SearchDone
    | ItemOpened
    | CardSeen
    | CardProblem
    | CardLeftBehind
    | CardLifted
    | TicketGiven
    | TicketRefused
    | JobChanged
    | NobodyTaps
    | MachineCloses
    | MachineOpens
)

# ── Effects ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Search:
    query: str


@dataclass(frozen=True, slots=True)
class CountMiss:
    """Nothing that was found was right; without anything personal."""

    query: str


@dataclass(frozen=True, slots=True)
class OpenItem:
    code: str


@dataclass(frozen=True, slots=True)
class WatchCard:
    on: bool


@dataclass(frozen=True, slots=True)
class TakeTicket:
    """Idempotent by `key`."""

    request: TicketRequest
    key: str


@dataclass(frozen=True, slots=True)
class Print:
    """Idempotent by `job`."""

    job: str
    slip: Slip


@dataclass(frozen=True, slots=True)
class Tell:
    """Keep an event in the machine's outbox."""

    data: EventData


@dataclass(frozen=True, slots=True)
class EndSession:
    """Wipe the draft and end this process; a fresh one takes the next citizen."""


@dataclass(frozen=True, slots=True)
class HoldMachine:
    """Tell the agent that a visit is under way, or that nothing of it is wanted any more."""

    on: bool


Effect = (
    Search | CountMiss | OpenItem | WatchCard | TakeTicket | Print | Tell | HoldMachine | EndSession
)
