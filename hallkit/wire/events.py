"""Business and device events: CloudEvents 1.0 envelopes with typed data, no personal data.

Adding an event: one class here with its `EVENT_TYPE`; docs/how-to/add-an-event.md.
"""

from __future__ import annotations

import builtins
import datetime as dt
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import Field

from hallkit.errors import WireError
from hallkit.model.device import DeviceReport
from hallkit.model.ids import new_id
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJobState
from hallkit.wire.base import Message

SHORT_TEXT = Annotated[str, Field(max_length=120)]
TEXT_LIMIT = 300
MISTAKES_LIMIT = 20


class EventData(Message):
    """Data of one type of event; subclasses name it."""

    EVENT_TYPE: ClassVar[str]


class DeviceStateChanged(EventData):
    """A peripheral's state changed, or is told again after a restart."""

    EVENT_TYPE: ClassVar[str] = "device.state.v1"
    device: DeviceReport
    maintenance: bool = False
    """A technician has the machine: no alarm. What is still wrong afterwards is told again."""


class VisitStarted(EventData):
    EVENT_TYPE: ClassVar[str] = "visit.started.v1"
    visit: SHORT_TEXT


class VisitEnded(EventData):
    """A citizen is done, or left."""

    EVENT_TYPE: ClassVar[str] = "visit.ended.v1"
    visit: SHORT_TEXT
    outcome: Literal["ticket", "guide", "left", "timed_out", "closed"]
    """ticket: took a number; guide: read a list; left: ended it; timed_out: walked away; closed:
    the machine had to end it."""
    item: SHORT_TEXT = ""
    age_band: Literal["", "under_18", "18_59", "60_plus"] = ""
    duration_s: Annotated[int, Field(ge=0)] = 0
    taps: Annotated[int, Field(ge=0)] = 0


class TicketPrinted(EventData):
    """A print job of a ticket came to an end or waits for a person."""

    EVENT_TYPE: ClassVar[str] = "print.job.v1"
    job: SHORT_TEXT
    state: PrintJobState
    attempts: int
    copies_marked: int


class Health(EventData):
    """One aggregate a minute of the machine itself."""

    EVENT_TYPE: ClassVar[str] = "machine.health.v1"
    uptime_s: int
    load_1m: float
    memory_used_mb: int
    memory_total_mb: int
    disk_free_mb: int
    outbox_rows: int
    refused_messages: int
    reports_dropped: Annotated[int, Field(ge=0)] = 0
    """Reports given up since set-up because the outbox was full or they were too old."""


class PowerChanged(EventData):
    """What the machine does about its current changed."""

    EVENT_TYPE: ClassVar[str] = "machine.power.v1"
    phase: PowerPhase
    charge_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    runtime_s: Annotated[float, Field(ge=0)] | None = None
    """How long the battery still carries the load, as the UPS said last."""


class MaintenanceChanged(EventData):
    """A technician takes the machine, or gives it back."""

    EVENT_TYPE: ClassVar[str] = "machine.maintenance.v1"
    phase: MaintenancePhase
    until_ms: int | None = None
    """Wall time when it ends by itself."""


class ConfigurationChecked(EventData):
    """A program found mistakes in the machine's files, or none any more."""

    EVENT_TYPE: ClassVar[str] = "machine.configuration.v1"
    process: SHORT_TEXT
    works: bool = True
    """False if it did not start; True on its last known good configuration, or on right files."""
    total: Annotated[int, Field(ge=0)] = 0
    """How many mistakes there are; 0: the files are right."""
    mistakes: Annotated[
        tuple[Annotated[str, Field(max_length=TEXT_LIMIT)], ...],
        Field(max_length=MISTAKES_LIMIT),
    ] = ()
    """The first of them: file, line, key, what is wrong, suggestion."""


class CloudEvent(Message):
    """CloudEvents 1.0 in JSON, the context attributes that we use."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(min_length=1, max_length=64)]
    source: SHORT_TEXT
    """`hallkit/<site>/<device>`."""
    type: SHORT_TEXT
    time: dt.datetime
    subject: SHORT_TEXT = ""
    data: dict[str, object]

    @classmethod
    def wrap(cls, data: EventData, *, source: str, time: dt.datetime, subject: str = "") -> Self:
        return cls(
            id=new_id(),
            source=source,
            type=data.EVENT_TYPE,
            time=time,
            subject=subject,
            data=data.model_dump(mode="json", exclude_none=True),
        )

    def unwrap(self, kind: builtins.type[Data]) -> Data:
        """The typed data; `WireError` if it is of another type or malformed."""
        if self.type != kind.EVENT_TYPE:
            raise WireError("event", f"expected {kind.EVENT_TYPE}")
        try:
            return kind.model_validate(self.data)
        except ValueError:
            raise WireError("malformed", kind.EVENT_TYPE) from None


Data = TypeVar("Data", bound=EventData)

EVENTS: dict[str, type[EventData]] = {
    kind.EVENT_TYPE: kind
    for kind in (
        DeviceStateChanged,
        VisitStarted,
        VisitEnded,
        TicketPrinted,
        Health,
        PowerChanged,
        MaintenanceChanged,
        ConfigurationChecked,
    )
}
