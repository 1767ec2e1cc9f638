"""Resident-card readers that speak SDT, the protocol of the ministry's security module (SAM).

One look for a card is find, select, read. A card that was read answers `find` with "none" until
it is lifted; only the question for its appended address tells that it still lies there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, model_validator

from drivers.driver import Driver, status_of
from drivers.id_card_reader.sdt_frames import (
    APPENDED,
    FIND,
    HEAD_BYTES,
    READ,
    SAM_ID,
    SAM_STATUS,
    SELECT,
    Command,
    Reply,
    ReplyStream,
    Status,
    rest_bytes,
    sam_id_text,
    split_read,
)
from drivers.id_card_reader.sdt_text import card_of
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.hidraw import HidrawPort, HidrawTransport
from drivers.transport.serial import SerialPort, SerialTransport
from drivers.transport.transport import Transport
from drivers.transport.usb import TwoParts, UsbPort, UsbTransport
from hallkit.errors import (
    DeviceError,
    DeviceTimeout,
    NeedsAttention,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceReport, DeviceStatus, Media
from hallkit.ports.id_card_reader import CardOutcome, CardRead, CardUnreadable, NoCard
from hallkit.runtime.clock import Clock

BAUD_RATES = (115200, 57600, 38400, 19200, 9600)


SdtPort = SerialPort | UsbPort | HidrawPort


class SdtConfig(PeripheralConfig):
    """An SDT reader on a serial port or on USB."""

    driver: Literal["sdt"]
    transport: Annotated[SdtPort, Field(discriminator="kind")]
    find_baud: bool = False
    """Try the five rates of the protocol, `transport.baud` first, until the reader answers."""

    @model_validator(mode="after")
    def _rates_are_serial(self) -> SdtConfig:
        if self.find_baud and not isinstance(self.transport, SerialPort):
            raise ValueError("find_baud: only a serial port has a rate")
        return self


@dataclass(frozen=True, slots=True)
class Profile:
    """How long a reader may take."""

    open_s: float
    sam_s: float
    find_s: float
    select_s: float
    read_s: float
    appended_s: float
    probe_s: float
    """The whole of `probe`."""
    poll_s: float
    """The whole of `poll_card`."""

    def of(self, command: Command) -> float:
        return {
            FIND.name: self.find_s,
            SELECT.name: self.select_s,
            READ.name: self.read_s,
            APPENDED.name: self.appended_s,
        }.get(command.name, self.sam_s)


SYNJONES = Profile(
    open_s=1.0,
    sam_s=0.3,
    find_s=0.5,
    select_s=0.5,
    read_s=3.5,
    appended_s=1.0,
    probe_s=4.0,
    poll_s=8.0,
)
"""What a maker's own software allows for each command."""

OpenTransport = Callable[[str, SdtPort], Transport]
"""Makes the transport of a device id and its port; opens nothing."""

IN_TWO_PARTS = TwoParts(HEAD_BYTES, rest_bytes)
"""Readers with two pairs of endpoints take and give the head of a frame on the first."""


def wire_of(device_id: str, port: SdtPort) -> Transport:
    """The transport of a reader's port."""
    match port:
        case UsbPort():
            return UsbTransport(device_id, port, parts=IN_TWO_PARTS)
        case HidrawPort():
            return HidrawTransport(device_id, port)
        case SerialPort():
            return SerialTransport(device_id, port)


_UNREADABLE: Mapping[int, tuple[Reason, str]] = MappingProxyType(
    {
        Status.UNKNOWN: (Reason.GARBLED, "24 unknown error"),
        Status.CARD_REFUSED_SAM: (Reason.UNSUPPORTED, "31 the card refuses the reader"),
        Status.SAM_REFUSED_CARD: (Reason.UNSUPPORTED, "32 the reader refuses the card"),
        Status.VERIFICATION: (Reason.GARBLED, "33 verification failed"),
        Status.CARD_TYPE: (Reason.UNSUPPORTED, "40 unknown kind of card"),
        Status.READ_FAILED: (Reason.GARBLED, "41 read failed"),
        Status.RANDOM_FAILED: (Reason.GARBLED, "47 random number failed"),
        Status.SELECT_FAILED: (Reason.GARBLED, "81 select failed"),
    }
)
_GARBLED = CardUnreadable(Reason.GARBLED, "answer garbled")


class _Deadline:
    """An instant that no step of one call may pass."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends_s = clock.mono_s() + seconds

    def left_s(self) -> float:
        return max(0.0, self._ends_s - self._clock.mono_s())


class SdtReader(Driver):
    """One reader; `poll_card` and `probe` take turns."""

    def __init__(
        self,
        config: SdtConfig,
        clock: Clock,
        *,
        open_transport: OpenTransport = wire_of,
        profile: Profile = SYNJONES,
    ) -> None:
        super().__init__(config.id, port="id_card_reader", key="sdt", clock=clock)
        self._config = config
        self._profile = profile
        self._open_transport = open_transport
        self._port = config.transport
        self._wire = open_transport(config.id, config.transport)
        self._turn_lock = asyncio.Lock()
        self._identified = False
        self._counts: Counter[str] = Counter()

    async def poll_card(self) -> CardOutcome:
        """Look once for a new card and read it."""
        async with self._turn():
            try:
                deadline = _Deadline(self._clock, self._profile.poll_s)
                await self._connect(deadline)
                outcome = await self._look(deadline)
            except NeedsAttention as fault:
                self._fault(fault)
                raise
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise
            self._counts["cards_read"] += isinstance(outcome, CardRead)
            self._counts["cards_unreadable"] += isinstance(outcome, CardUnreadable)
            self._works(media=Media.NOT_PRESENT if outcome == NoCard() else Media.PRESENT)
            return outcome

    async def probe(self) -> DeviceReport:
        """Ask the reader how it is, reconnecting first where it was lost."""
        async with self._turn():
            return await self._guard(self._ask_state)

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters and facts for a technician."""
        counted = (
            "commands",
            "repeated",
            "garbled",
            "silent",
            "skipped_bytes",
            "stale_replies",
            "connects",
            "cards_read",
            "cards_unreadable",
        )
        return {
            "wire": str(self._port),
            "sam_id": self._report.serial,
            "photo": "kept encoded, no decoder installed",
            **{name: self._counts[name] for name in counted},
        }

    async def _ask_state(self) -> DeviceReport:
        deadline = _Deadline(self._clock, self._profile.probe_s)
        await self._connect(deadline)
        await self._ask(SAM_STATUS, deadline)
        if self._identified:
            return self._works()
        serial = await self._ask_sam_id(deadline)
        self._identified = True
        return self._works(serial=serial)

    async def _ask_sam_id(self, deadline: _Deadline) -> str:
        try:
            return sam_id_text((await self._ask(SAM_ID, deadline)).data)
        except NotSupported:
            return ""

    async def _look(self, deadline: _Deadline) -> CardOutcome:
        found = await self._ask(FIND, deadline)
        if found.status == Status.NO_CARD:
            return NoCard(left_behind=await self._lies_there_still(deadline))
        selected = await self._work_on_card(SELECT, deadline)
        if isinstance(selected, CardUnreadable):
            return selected
        answer = await self._work_on_card(READ, deadline)
        if isinstance(answer, CardUnreadable):
            return answer
        parts = split_read(answer.data)
        return card_of(*parts) if parts else _GARBLED

    async def _work_on_card(self, command: Command, deadline: _Deadline) -> Reply | CardUnreadable:
        """Not repeated when garbled: the reader may have done it, and the card is lifted anyway."""
        reply = await self._exchange(command, deadline)
        if reply is None:
            return _GARBLED
        if reply.status in _UNREADABLE:
            return CardUnreadable(*_UNREADABLE[reply.status])
        self._raise_refusal(command, reply)
        return reply

    async def _lies_there_still(self, deadline: _Deadline) -> bool:
        """True if the card that was read was not lifted.

        What a reader says to this when no card lies there is not written down anywhere, so that
        any other answer, and none, means no.
        """
        try:
            reply = await self._exchange(APPENDED, deadline)
        except DeviceTimeout:
            return False
        return reply is not None and reply.status in {Status.OK, Status.NOT_ON_CARD}

    async def _ask(self, command: Command, deadline: _Deadline) -> Reply:
        """Put a question; one garbled answer is forgiven, the second is a fault."""
        reply = await self._exchange(command, deadline)
        if reply is None and deadline.left_s() > 0:
            self._counts["repeated"] += 1
            reply = await self._exchange(command, deadline)
        if reply is None:
            raise ProtocolError(self._config.id, Reason.GARBLED, command.name)
        self._raise_refusal(command, reply)
        return reply

    async def _exchange(self, command: Command, deadline: _Deadline) -> Reply | None:
        """Send once and take the first answer that fits; None if what came was garbled."""
        mine = _Deadline(self._clock, min(self._profile.of(command), deadline.left_s()))
        stream = ReplyStream()
        self._counts["commands"] += 1
        self._counts["skipped_bytes"] += await self._wire.drain_input()
        await self._wire.write(command.request, timeout_s=mine.left_s())
        reply = await self._first_fitting(command, stream, mine)
        self._counts["skipped_bytes"] += stream.skipped_bytes
        # The reader itself could not make sense of the command: the line is bad both ways.
        if reply is None or reply.status in {Status.CHECKSUM, Status.LENGTH}:
            self._counts["garbled"] += 1
            return None
        return reply

    async def _first_fitting(
        self, command: Command, stream: ReplyStream, mine: _Deadline
    ) -> Reply | None:
        heard = False
        while not heard or mine.left_s() > 0:
            try:
                data = await self._wire.read(timeout_s=mine.left_s())
            except DeviceTimeout:
                if heard:
                    break
                self._counts["silent"] += 1
                raise
            heard = True
            for reply in stream.feed(data):
                if command.is_answered_by(reply):
                    return reply
                self._counts["stale_replies"] += 1
        return None

    def _raise_refusal(self, command: Command, reply: Reply) -> None:
        detail = f"{command.name}: status {reply.status:02X}"
        match reply.status:
            case Status.SELF_TEST:
                raise NeedsAttention(self._config.id, Reason.SELF_TEST, detail)
            case Status.NOT_AUTHORISED:
                raise NeedsAttention(self._config.id, Reason.NOT_AUTHORISED, detail)
            case Status.COMMAND | Status.NOT_PERMITTED:
                raise NotSupported(self._config.id, Reason.UNSUPPORTED, detail)
            case Status.UNKNOWN:
                raise ProtocolError(self._config.id, Reason.GARBLED, detail)
            case _:
                pass

    async def _connect(self, deadline: _Deadline) -> None:
        if self._wire.is_open:
            return
        self._counts["connects"] += 1
        if not (self._config.find_baud and isinstance(self._port, SerialPort)):
            await self._open(deadline)
            return
        for baud in dict.fromkeys((self._port.baud, *BAUD_RATES)):
            port = self._port.model_copy(update={"baud": baud})
            self._wire = self._open_transport(self._config.id, port)
            await self._open(deadline)
            try:
                if await self._exchange(SAM_STATUS, deadline) is not None:
                    self._port = port
                    return
            except DeviceTimeout:
                pass
            await self._wire.close()
        raise DeviceTimeout(self._config.id, Reason.SILENT, "no answer at any rate")

    async def _open(self, deadline: _Deadline) -> None:
        await self._wire.open(timeout_s=min(self._profile.open_s, deadline.left_s()))

    def _works(self, **changes: Media | str) -> DeviceReport:
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None, **changes)

    def _fault(self, fault: DeviceError) -> DeviceReport:
        status, action = status_of(fault.reason)
        return self._update(status=status, reason=fault.reason, action=action, media=Media.UNKNOWN)

    async def _drop(self) -> None:
        self._identified = False
        await self._wire.close()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One dialogue at a time; one that is given up leaves no half of it on the wire."""
        async with self._turn_lock:
            try:
                yield
            except asyncio.CancelledError:
                await self._drop()
                raise


SPEC = DriverSpec(
    key="sdt",
    port="id_card_reader",
    config=SdtConfig,
    open=SdtReader,
    simulator="drivers.sim.sdt",
    family="resident ID card readers that speak SDT",
    transports=("hidraw", "serial", "usb"),
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: not yet run against a reader; frames are those of published sources",
        "guidance": "done",
    },
)
