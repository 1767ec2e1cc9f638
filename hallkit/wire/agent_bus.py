"""What the edge agent's processes offer on local buses, as typed requests, results and events.

`agent.sock`, the agent: requests `devices.list`, `print.submit`, `print.job`, `event.add`,
`visit.hold`, `number.offer`, `number.give`; events `device.changed`, `print.changed`,
`link.changed`, `numbers.changed`, `systems.changed`, `power.changed`, `maintenance.changed`; the
`visit.hold`, `number.offer`, `number.give`, `rating.give`; events `device.changed`,
`print.changed`, `link.changed`, `numbers.changed`, `power.changed`, `maintenance.changed`; the
snapshot is `AgentSnapshot`. No card passes.

`event.add` takes the types of `TERMINAL_EVENTS` alone: `agent.sock` is the terminal's. What the
agent itself knows, of devices, slips and its health, no application may say in its name.

On `agent.sock` and `technician.sock`: `device.lease`, `device.renew`, `device.release` take a
device for a time, for this connection alone; everybody else is told who has it, by role. Under such
a lease `technician.sock` takes `print.test`; also `devices.list`, `devices.diagnostics` and
`maintenance.set`. Its snapshot is `TechnicianSnapshot`, its event `maintenance.changed`.

`card.sock`, the card reader's own process, which ends with the visit: request `card.watch`; events
`device.changed` to all, and `card.read`, `card.unreadable`, `card.left_behind`, `card.removed` only
to the connection that watches; the snapshot is `CardSnapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from hallkit.errors import Reason
from hallkit.model.device import DeviceReport
from hallkit.model.identity import IdentityCard
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJob, PrintOutcome, Slip
from hallkit.wire.affairs_api import ReservedNumber
from hallkit.wire.base import Message
from hallkit.wire.events import CloudEvent, EventData, VisitEnded, VisitStarted
from hallkit.wire.mqtt import SystemDown
from hallkit.wire.ratings_api import ULID_PATTERN

DEVICES_LIST = "devices.list"
PRINT_SUBMIT = "print.submit"
PRINT_JOB = "print.job"
CARD_WATCH = "card.watch"
EVENT_ADD = "event.add"
NUMBER_OFFER = "number.offer"
NUMBER_GIVE = "number.give"
RATING_GIVE = "rating.give"
VISIT_HOLD = "visit.hold"
DEVICE_LEASE = "device.lease"
DEVICE_RENEW = "device.renew"
DEVICE_RELEASE = "device.release"
DEVICES_DIAGNOSTICS = "devices.diagnostics"
PRINT_TEST = "print.test"
MAINTENANCE_SET = "maintenance.set"

DEVICE_CHANGED = "device.changed"
PRINT_CHANGED = "print.changed"
CARD_READ = "card.read"
CARD_UNREADABLE = "card.unreadable"
CARD_LEFT_BEHIND = "card.left_behind"
CARD_REMOVED = "card.removed"
LINK_CHANGED = "link.changed"
NUMBERS_CHANGED = "numbers.changed"
SYSTEMS_CHANGED = "systems.changed"
POWER_CHANGED = "power.changed"
MAINTENANCE_CHANGED = "maintenance.changed"


TERMINAL_EVENTS: Mapping[str, type[EventData]] = MappingProxyType(
    {kind.EVENT_TYPE: kind for kind in (VisitStarted, VisitEnded)}
)
"""What the terminal's service may tell."""


class AgentSnapshot(Message):
    devices: tuple[DeviceReport, ...]
    jobs: tuple[PrintJob, ...]
    """Unfinished jobs."""
    link_up: bool
    power: PowerPhase = PowerPhase.MAINS
    maintenance: MaintenancePhase = MaintenancePhase.INACTIVE
    numbers: tuple[Annotated[str, Field(max_length=32)], ...] = ()
    """Services of which the machine holds numbers for the time without the node."""
    systems_down: Annotated[tuple[SystemDown, ...], Field(max_length=64)] = ()
    """Systems of other authorities that don't answer, as the node told last."""


class TechnicianSnapshot(Message):
    devices: tuple[DeviceReport, ...]
    maintenance: MaintenanceTold


class CardSnapshot(Message):
    devices: tuple[DeviceReport, ...]
    """The card readers."""


class Devices(Message):
    devices: tuple[DeviceReport, ...]


class Diagnostics(Message):
    """Counters and facts by device, for a technician; no personal data."""

    devices: dict[str, dict[str, int | float | str]]


class PrintSubmit(Message):
    """Idempotent by `job`: the same job submitted twice is printed once."""

    job: Annotated[str, Field(min_length=1, max_length=64)]
    slip: Slip


class PrintJobQuery(Message):
    job: str


class PrintJobResult(Message):
    """Result of `print.submit` and `print.job`; data of `print.changed`."""

    job: PrintJob


class NumberOffer(Message):
    """A number of the machine's own, since the node does not answer. Not given yet."""

    service: Annotated[str, Field(min_length=1, max_length=32)]
    key: Annotated[str, Field(min_length=8, max_length=128)]
    """Of the attempt, as the node was asked: the same key gets the same number."""
    only_given: bool = False
    """Only the number that the attempt has already."""


class NumberOffered(Message):
    number: ReservedNumber | None = None
    """None: no number of that service is left today."""


class NumberGive(Message):
    """The citizen gets this number; it is on the disk when the answer comes."""

    ticket: Annotated[str, Field(max_length=26)]
    key: Annotated[str, Field(min_length=8, max_length=128)]
    sealed: Annotated[bytes, Field(max_length=16 * 1024)]
    """What they said, sealed to the node: the machine cannot open it again."""


class NumberGiven(Message):
    issued_at_ms: int


class NumbersChanged(Message):
    """Data of `numbers.changed`."""

    services: tuple[Annotated[str, Field(max_length=32)], ...]


class SystemsTold(Message):
    """Data of `systems.changed`."""

    down: Annotated[tuple[SystemDown, ...], Field(max_length=64)]


class RatingGive(Message):
    """What somebody thinks; it is on the disk when the answer comes, and only then thank for it."""

    rating: Annotated[str, Field(pattern=ULID_PATTERN)]
    """Made for this attempt: the same one again is the same rating."""
    sealed: Annotated[bytes, Field(max_length=8 * 1024)]
    """The `RatingRequest`, sealed to the node for that id: the machine cannot open it again."""


class RatingKept(Message):
    given_at_ms: int


class CardWatch(Message):
    """Start or stop looking for a card. Watching ends with the connection."""

    on: bool


class CardReadData(Message):
    card: IdentityCard


class CardUnreadableData(Message):
    reason: Reason


class DeviceChanged(Message):
    device: DeviceReport


class LinkChanged(Message):
    up: bool


class PowerTold(Message):
    """Data of `power.changed`."""

    phase: PowerPhase


class MaintenanceTold(Message):
    """Data of `maintenance.changed`, result of `maintenance.set`."""

    phase: MaintenancePhase
    until_ms: int | None = None
    """Wall time when it ends by itself."""


class MaintenanceSet(Message):
    """A technician takes the machine or gives it back; that it was taken is on the disk when this
    is answered.
    """

    on: bool
    seconds: Annotated[float, Field(ge=1, le=7 * 86_400)] | None = None
    """So long at most; None: as long as the machine's file allows."""


class VisitHold(Message):
    """A visit is under way, or no longer. It ends with the connection.

    The agent waits for it, within limits, before it switches the machine off.
    """

    on: bool


LEASE_LIMIT_S = 600.0
"""Whoever needs a device for longer renews; a caller that hangs holds it no longer than this."""


class DeviceLease(Message):
    """Arguments of `device.lease` and `device.renew`: the time begins anew with each.

    Errors: `device.busy` with the role of who has it, and until when.
    """

    device: Annotated[str, Field(min_length=1, max_length=64)]
    seconds: Annotated[float, Field(gt=0, le=LEASE_LIMIT_S)] = 60.0


class DeviceLeased(Message):
    """The device is this connection's until then, or until the connection ends."""

    device: str
    until_ms: int


class DeviceRelease(Message):
    device: Annotated[str, Field(min_length=1, max_length=64)]


class PrintTest(Message):
    """A test slip on a printer that this connection has leased."""

    device: Annotated[str, Field(min_length=1, max_length=64)]


class PrintTested(Message):
    outcome: PrintOutcome


class EventAdd(Message):
    """Keep an event in the outbox; answered when it is on disk. Idempotent by the event's id.

    Of a type that is not the application's: `not_permitted`, and counted.
    """

    event: CloudEvent


class Empty(Message):
    """No arguments, or nothing to say."""
