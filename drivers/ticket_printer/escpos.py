"""Driver `escpos`: ticket printers that speak ESC/POS (docs/drivers/escpos.md)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import string
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Literal

from escpos.constants import DLE, ENQ, EOT, GS
from pydantic import Field, field_validator

from drivers.driver import Driver, status_of
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.ticket_printer.escpos_layout import ENABLE_AUTO_STATUS, PrintData, lay_out
from drivers.ticket_printer.escpos_profile import EscPosProfile, load_profile, profile_names
from drivers.ticket_printer.escpos_status import (
    AutoStatus,
    BufferCleared,
    Condition,
    Deframer,
    Frame,
    Info,
    Noise,
    PaperSensor,
    ProcessId,
    RealTimeStatus,
    of_auto_status,
    of_port_status,
    of_real_time,
)
from drivers.ticket_printer.roll import Roll
from drivers.transport.serial import SerialPort, SerialTransport
from drivers.transport.tcp import TcpPort, TcpTransport
from drivers.transport.transport import Transport
from drivers.transport.usb import GET_PORT_STATUS, PRINTER_CLASS, UsbPort, UsbTransport
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    ProtocolError,
    Reason,
)
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.printing import PrintOutcome, PrintResult, Slip
from hallkit.runtime.clock import Clock

KEY = "escpos"
_BITS = 10
"""Of a byte on a serial wire: start, 8 of data, stop."""
_KERNEL_HOLDS = 4096
"""Bytes that a serial port has taken and may not have sent yet."""

_CLEAR_BUFFER = bytes.fromhex("10 14 08 01 03 14 01 06 02 08")
"""DLE DC4 function 8: clears whatever the state, and answers."""
_RECOVER = DLE + ENQ + b"\x02"
"""DLE ENQ 2: clears and ends a recoverable error. Many printers heed it in an error only."""
_ASK_PROCESS_ID = GS + b"(H\x06\x0000"
_ASK_PAPER_SENSOR = GS + b"r\x01"
_ASK_MODEL = GS + b"I\x43"
_ASK_SERIAL = GS + b"I\x44"
_ID_CHARACTERS = string.ascii_letters + string.digits
_PASSES_BY_ITSELF = frozenset({Reason.OVERHEATED, Reason.OFFLINE})


class EscPosConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a ticket printer."""

    driver: Literal["escpos"]
    transport: Annotated[TcpPort | SerialPort | UsbPort, Field(discriminator="kind")]
    profile: str = "escpos_generic"
    roll_m: Annotated[float, Field(gt=0, le=500)] | None = None
    """Metres of paper on a new roll, to count what is left; None: nothing is counted."""
    near_end_m: Annotated[float, Field(ge=0, le=50)] = 3.0
    """What is still on the roll when its sensor says that it ends soon."""

    @field_validator("profile")
    @classmethod
    def _is_shipped(cls, name: str) -> str:
        if name not in profile_names():
            raise ValueError(f"unknown profile {name!r}; known: {', '.join(profile_names())}")
        return name


class EscPosPrinter(Driver):
    """A ticket printer. One caller at a time talks to it; a probe never waits for a print."""

    def __init__(
        self,
        config: EscPosConfig,
        clock: Clock,
        *,
        transport: Transport | None = None,
        profile: EscPosProfile | None = None,
    ) -> None:
        super().__init__(config.id, port="ticket_printer", key=KEY, clock=clock)
        self._config = config
        self._profile = profile or load_profile(config.profile)
        self._wire = transport or _wire(config)
        self._lock = asyncio.Lock()
        self._deframer = Deframer()
        self._frames: deque[Frame] = deque()
        self._noise = 0
        self._owed = False
        """A question was left without its answer."""
        self._identified = False
        self._roll = (
            Roll(whole_m=config.roll_m, near_end_m=config.near_end_m) if config.roll_m else None
        )
        self._counts: Counter[str] = Counter()

    def recall(self, last: DeviceReport) -> None:
        """What was left on the roll, and whether it was to be changed soon."""
        if self._roll is not None:
            self._roll.recall(last.paper_left_lines, last.paper)

    async def probe(self) -> DeviceReport:
        """How the printer is. While it prints: the last report, kept true by its own status."""
        if self._lock.locked():
            return self._report
        async with self._turn():
            return await self._guard(self._ask)

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        """Print one slip; see the port for the three outcomes."""
        async with self._turn():
            outcome = await self._attempt(slip, marked=marked)
        self._counts[f"slips_{outcome.result}"] += 1
        self._log.info("slip.outcome", result=outcome.result, reason=outcome.reason, marked=marked)
        return outcome

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start. `lines_estimated` counts lines of 3.75 mm, cut margins included."""
        names = (
            "slips_completed",
            "slips_not_started",
            "slips_unknown",
            "lines_estimated",
            "connections",
            "auto_status_frames",
            "noise_bytes",
        )
        return {
            "wire": str(self._config.transport),
            "profile": self._profile.title,
            **{name: self._counts[name] for name in names},
        }

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """The printer for one caller, who leaves no question without its answer behind."""
        async with self._lock:
            try:
                yield
            except BaseException:
                # A late answer does not say what it answers: it would count as the next one's.
                await self._drop()
                raise

    async def _attempt(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        try:
            # Away from the loop: the first picture loads a font of 20 MB.
            job = await asyncio.to_thread(lay_out, slip, self._profile, marked=marked)
        except OSError:
            self._log.exception("slip.font_missing")
            return PrintOutcome(result=PrintResult.NOT_STARTED, reason=Reason.UNSUPPORTED)
        report = await self._guard(self._ask)
        if report.works:
            report = await self._guard(self._clear)
        if not report.works:
            return PrintOutcome(result=PrintResult.NOT_STARTED, reason=report.reason)
        outcome = await self._send(job)
        if outcome.result is PrintResult.UNKNOWN:
            await self._abandon()
        return outcome

    async def _send(self, job: PrintData) -> PrintOutcome:
        """Hand over the job, wait for the confirmation; nothing is `not_started` from here on."""
        if self._profile.confirm == "process_id":
            identifier = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(4)).encode()
            request = _ASK_PROCESS_ID + identifier
        else:
            identifier = b""
            request = _ASK_PAPER_SENSOR
        self._noise = 0
        self._counts["lines_estimated"] += job.lines
        if self._roll is not None:
            # More may be on paper than was confirmed, never less than was counted.
            self._roll.printed(job.lines)
            self._update(paper_left_lines=self._roll.left)
        reason: Reason | None
        try:
            try:
                sent = job.data + request
                wire_s = self._wire_s(len(sent))
                await self._wire.write(sent, timeout_s=self._profile.write_timeout_s + wire_s)
            except DeviceTimeout:
                reason = await self._last_words()
            else:
                underway_s = self._wire_s(min(len(sent), _KERNEL_HOLDS))
                reason = await self._await_confirmation(identifier, underway_s)
        except DeviceTimeout as fault:
            reason = await self._why_stalled(fault)
        except DeviceError as fault:
            reason = fault.reason
            await self._drop()
            self._fault(fault)
        if reason is None:
            return PrintOutcome(result=PrintResult.COMPLETED)
        return PrintOutcome(result=PrintResult.UNKNOWN, reason=reason)

    def _wire_s(self, length: int) -> float:
        """What so many bytes take on the wire; on a network next to nothing."""
        port = self._config.transport
        return length * _BITS / port.baud if isinstance(port, SerialPort) else 0.0

    async def _await_confirmation(self, identifier: bytes, underway_s: float) -> Reason | None:
        """None once the printer has said that everything is processed, else why it will not be.

        `underway_s`: so long the last bytes may still be on their way.

        A fault that needs a person ends the waiting: the buffer must be cleared before the paper
        is refilled, or the tail of this slip would come out by itself. A fault that passes by
        itself is waited for.
        """
        end = self._clock.mono_s() + self._profile.confirm_timeout_s + underway_s
        settled = end
        reason: Reason | None = None
        while True:
            try:
                frame = await self._next_frame(min(end, settled))
            except DeviceTimeout:
                if reason is None:
                    raise
                return reason
            match frame:
                case ProcessId(value) if identifier and value == identifier:
                    return None
                case PaperSensor() if not identifier and not self._noise:
                    return None
                case AutoStatus():
                    condition = of_auto_status(frame)
                    reason = condition.reason if condition.stops else None
                    if reason is None or reason in _PASSES_BY_ITSELF:
                        settled = end
                    else:
                        settled = min(settled, self._clock.mono_s() + self._profile.settle_s)
                case _:
                    pass

    async def _last_words(self) -> Reason:
        """Why the printer takes no more data, from what it sent meanwhile."""
        deadline = self._clock.mono_s() + self._profile.settle_s
        with contextlib.suppress(DeviceTimeout):
            while True:
                await self._next_frame(deadline)
        reason = self._report.reason
        if reason not in (None, Reason.PAPER_LOW):
            return reason
        condition = await self._port_condition()
        return (condition and condition.reason) or Reason.SILENT

    async def _why_stalled(self, fault: DeviceTimeout) -> Reason:
        """Why the confirmation never came, asked in real time."""
        garbled = self._noise > 0 or self._deframer.pending > 0
        report = await self._guard(self._ask_status)
        if report.reason not in (None, Reason.PAPER_LOW):
            return report.reason or fault.reason
        return Reason.GARBLED if garbled else fault.reason

    async def _abandon(self) -> None:
        """After an unknown outcome: the rest of the slip must not print, late answers not count."""
        if self._wire.is_open:
            # Where this fails, the next attempt clears again before it sends anything.
            with contextlib.suppress(DeviceError):
                await self._clear()
        await self._drop()

    async def _ask(self) -> DeviceReport:
        """Connect where needed, ask for the status, end a recoverable error, learn the model."""
        fresh = not self._wire.is_open
        await self._open()
        try:
            report = await self._ask_status()
        except DeviceUnavailable as exc:
            if fresh and not self._noise and isinstance(self._config.transport, TcpPort):
                # A port that accepts and hangs up at once is held by somebody else.
                raise DeviceBusy(self._config.id, Reason.OCCUPIED) from exc
            raise
        if report.reason is Reason.CUTTER:
            # The cause may be gone; only this command or its switch frees the printer then.
            await self._write(_RECOVER)
            report = await self._ask_status()
        if self._owed:
            # What it could not answer it may answer later, when that would count as another's.
            await self._drop()
        if report.works and not self._identified:
            self._identified = True
            await self._write(ENABLE_AUTO_STATUS + _ASK_MODEL + _ASK_SERIAL)
            report = await self._identify()
        return report

    async def _open(self) -> None:
        if self._wire.is_open:
            thrown = await self._wire.drain_input()
            if thrown:
                self._deframer.reset()
                self._frames.clear()
            return
        await self._drop()
        await self._wire.open(timeout_s=self._profile.connect_timeout_s)
        self._counts["connections"] += 1

    async def _ask_status(self) -> DeviceReport:
        """DLE EOT 1 to 4, one after the other: an answer does not say what it answers."""
        self._noise = 0
        deadline = self._clock.mono_s() + self._profile.status_timeout_s
        answers: list[int] = []
        try:
            for question in range(1, 5):
                # One that takes no data, not even this, must not hold a probe for a job's time.
                left = max(0.0, deadline - self._clock.mono_s())
                await self._wire.write(DLE + EOT + bytes([question]), timeout_s=left)
                answers.append(await self._next_status(deadline))
        except DeviceTimeout:
            condition = await self._port_condition()
            if condition is None:
                raise
            self._owed = True
            return self._take(condition)
        return self._take(of_real_time(*answers))

    async def _port_condition(self) -> Condition | None:
        """Why a printer on USB is silent, if it says so there.

        One that is full takes no data, and questions do not pass either; this one does.
        """
        if not isinstance(self._wire, UsbTransport):
            return None
        timeout_s = self._profile.status_timeout_s
        try:
            told = await self._wire.ask(GET_PORT_STATUS, 1, timeout_s=timeout_s)
        except DeviceTimeout:
            return None
        return of_port_status(told[0]) if told else None

    async def _next_status(self, deadline: float) -> int:
        try:
            while True:
                frame = await self._next_frame(deadline)
                if isinstance(frame, RealTimeStatus):
                    return frame.value
        except DeviceTimeout as exc:
            if self._noise or self._deframer.pending:
                detail = f"{self._noise + self._deframer.pending} bytes"
                raise ProtocolError(self._config.id, Reason.GARBLED, detail) from exc
            raise

    async def _identify(self) -> DeviceReport:
        """Model and serial number, for printers that tell; the others stay nameless."""
        deadline = self._clock.mono_s() + self._profile.identify_timeout_s
        texts: list[str] = []
        try:
            while len(texts) < 2:
                frame = await self._next_frame(deadline)
                if isinstance(frame, Info):
                    texts.append(frame.text)
        except DeviceTimeout:
            pass
        if not texts and isinstance(self._wire, UsbTransport):
            texts = [self._wire.device_name]
        if not texts:
            return self._report
        model, serial = [*texts, ""][:2]
        return self._update(model=model, serial=serial)

    async def _clear(self) -> DeviceReport:
        """Empty the printer's buffer, so that nothing old prints before or behind the new slip."""
        await self._write(_RECOVER)
        if self._profile.clear == "dle_dc4":
            await self._write(_CLEAR_BUFFER)
            deadline = self._clock.mono_s() + self._profile.clear_timeout_s
            while not isinstance(await self._next_frame(deadline), BufferCleared):
                pass
        return self._report

    async def _write(self, data: bytes) -> None:
        await self._wire.write(data, timeout_s=self._profile.write_timeout_s)

    async def _next_frame(self, deadline: float) -> Frame:
        """The next frame; automatic status goes into the report on its way.

        `DeviceTimeout` when the deadline passes first.
        """
        while not self._frames:
            left = deadline - self._clock.mono_s()
            if left <= 0:
                raise DeviceTimeout(self._config.id, Reason.SILENT)
            self._frames.extend(self._deframer.feed(await self._wire.read(timeout_s=left)))
        frame = self._frames.popleft()
        match frame:
            case Noise():
                self._noise += 1
                self._counts["noise_bytes"] += 1
            case AutoStatus():
                self._counts["auto_status_frames"] += 1
                self._take(of_auto_status(frame))
            case _:
                pass
        return frame

    def _take(self, condition: Condition) -> DeviceReport:
        """The printer's condition as the report."""
        reason = condition.reason
        status, action = status_of(reason) if reason else (DeviceStatus.ONLINE, None)
        left = None
        if self._roll is not None:
            self._roll.seen(condition.paper)
            left = self._roll.left
        return self._update(
            status=status,
            reason=reason,
            action=action,
            paper=condition.paper,
            paper_left_lines=left,
        )

    def _fault(self, fault: DeviceError) -> DeviceReport:
        """Take a fault into the report; nobody knows the paper of a printer that is lost."""
        status, action = status_of(fault.reason)
        return self._update(status=status, reason=fault.reason, action=action, paper=Paper.UNKNOWN)

    async def _drop(self) -> None:
        await self._wire.close()
        self._deframer.reset()
        self._frames.clear()
        self._owed = False
        self._identified = False


def _wire(config: EscPosConfig) -> Transport:
    match config.transport:
        case TcpPort() as port:
            return TcpTransport(config.id, port)
        case SerialPort() as port:
            return SerialTransport(config.id, port)
        case UsbPort() as port:
            return UsbTransport(config.id, port, interface_class=PRINTER_CLASS)


SPEC = DriverSpec(
    key=KEY,
    port="ticket_printer",
    config=EscPosConfig,
    open=EscPosPrinter,
    simulator="drivers.sim.escpos",
    family="ticket printers that speak ESC/POS",
    transports=("serial", "tcp", "usb"),
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
        "hardware": "exempt: not yet run against a printer; bytes are those of Epson's reference",
        "guidance": "done",
    },
)
