"""Payloads on MQTT topics. Topics: `topics.py`; rules: docs/architecture.md, messaging."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.device import DeviceReport
from hallkit.model.maintenance import MaintenancePhase
from hallkit.wire.base import Message
from hallkit.wire.events import CloudEvent

PAYLOAD_LIMIT = 256 * 1024
"""Bytes; anything larger is refused and counted. Big things travel by HTTPS."""


class Presence(Message):
    """Retained, and the will. A will with an older epoch than the birth's is ignored by the hub."""

    state: Literal["online", "sleeping", "offline"]
    epoch: Annotated[int, Field(ge=0)]
    """Counts connections over the life of the machine (kept on disk)."""
    boot: Annotated[str, Field(max_length=32)]
    ts: int
    """Wall clock of the device in milliseconds."""
    orderly: bool = False
    """With `offline`: it took leave. A will cannot know; the device may be back in a moment."""
    agent: str = ""
    schema_version: int = 1


class Info(Message):
    """Retained: what the machine is and has."""

    name: str
    role: str
    agent: str
    peripherals: tuple[DeviceReport, ...]
    maintenance: MaintenancePhase = MaintenancePhase.INACTIVE
    capabilities: tuple[Annotated[str, Field(max_length=32)], ...] = ()
    """Ports of which a peripheral works now: what this machine can do for a citizen."""


class Report(Message):
    """One message of the ordered stream. Unique by (device, boot, seq)."""

    boot: Annotated[str, Field(min_length=1, max_length=32)]
    seq: Annotated[int, Field(ge=1)]
    first: Annotated[int, Field(ge=1)]
    """Lowest number of this boot that the device still keeps: all below are acknowledged."""
    ts: int
    mono: int
    """Milliseconds since the machine's boot."""
    hist: bool = False
    """True if sent later than 60 s: fills charts, never raises live alarms."""
    records: Annotated[tuple[CloudEvent, ...], Field(max_length=100)]


class Ack(Message):
    """The hub's word that the effects up to `upto` are committed; the device may forget them."""

    boot: str
    upto: Annotated[int, Field(ge=0)]
    credit: Annotated[int, Field(ge=1)]
    """How many unacknowledged reports the device may have on the way."""


class CatalogueNotice(Message):
    """Retained: the catalogue that the business node offers."""

    version: Annotated[str, Field(max_length=64)]
    sequence: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    ts: int


class CalledNumber(Message):
    """A number and the window to which it is called."""

    id: Annotated[int, Field(ge=1)]
    """Grows with each call of the hall: whoever has said this one does not say it again."""
    number: Annotated[str, Field(max_length=8)]
    service: Annotated[str, Field(max_length=32)]
    window: Annotated[int, Field(ge=1)]
    times: Annotated[int, Field(ge=1)]
    """1: the first call; more: called again."""
    at_ms: int


class CallsNotice(Message):
    """Retained: the latest calls of today, the newest first. For boards, speech and LED bars.

    A whole state and no single call: whoever connects late or missed one has them all.
    """

    calls: Annotated[tuple[CalledNumber, ...], Field(max_length=50)]
    ts: int


class SystemDown(Message):
    """A system of another authority that does not answer now."""

    system: Annotated[str, Field(max_length=48)]
    """As items name it in `upstream`."""
    plain_name: Annotated[str, Field(max_length=64)]
    since_ms: int


class UpstreamNotice(Message):
    """Retained: which other systems don't answer, so that items that wait for one say so first."""

    down: Annotated[tuple[SystemDown, ...], Field(max_length=64)] = ()
    ts: int


RINGING_LIMIT = 50


class RingingCall(Message):
    """Somebody at a machine waits for a person, and nobody has answered."""

    call: Annotated[str, Field(max_length=26)]
    level: Annotated[int, Field(ge=1)]
    """Grows while it rings."""
    since_ms: int
    machine: Annotated[str, Field(max_length=48)] = ""
    """Told to everybody only at the level that is for everybody."""
    place: Annotated[str, Field(max_length=64)] = ""
    """Id on the hall map."""
    place_name: Annotated[str, Field(max_length=64)] = ""


class HelpNotice(Message):
    """Retained: the calls for help that ring, the loudest first. For boards and robots."""

    calls: Annotated[tuple[RingingCall, ...], Field(max_length=RINGING_LIMIT)]
    ts: int


class Desired(Message):
    """Retained: what the hub wants on the machine. A part that is absent is not managed."""

    version: Annotated[int, Field(ge=1)]
    """Grows with each change."""
    catalogue: CatalogueNotice | None = None


class PartFault(Message):
    """Why a part of the desired is not in use."""

    part: Annotated[str, Field(max_length=32)]
    code: Annotated[str, Field(max_length=64)]


class CatalogueInUse(Message):
    version: Annotated[str, Field(max_length=64)]
    sequence: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Reported(Message):
    """Retained: what is in use on the machine, and what keeps it from the desired."""

    version: Annotated[int, Field(ge=0)]
    """Of the last desired that the machine has seen; 0 before the first."""
    applied: bool
    """All of it is in use."""
    catalogue: CatalogueInUse | None = None
    faults: Annotated[tuple[PartFault, ...], Field(max_length=8)] = ()
    ts: int


class HubState(Message):
    state: Literal["online", "offline"]
    ts: int
