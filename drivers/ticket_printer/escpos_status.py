"""What an ESC/POS printer sends back: one stream of mixed frames, and what they mean.

A byte tells its frame (Epson reference: DLE EOT, GS a, GS r, GS I, GS ( H, DLE DC4):

    0xx1xx00            automatic status (ASB), 4 bytes
    0xx1xx10            answer to DLE EOT, 1 byte
    0000xxxx            answer to GS r 1, 1 byte
    37 22 d1 d2 d3 d4 00  process-ID response
    37 25 00            buffer cleared
    5F text 00          answer to GS I
"""

from __future__ import annotations

from dataclasses import dataclass

from hallkit.errors import Reason
from hallkit.model.device import Paper

_INFO_LIMIT = 80


@dataclass(frozen=True, slots=True)
class RealTimeStatus:
    """Answer to DLE EOT n; which n it answers is for the asker to know."""

    value: int


@dataclass(frozen=True, slots=True)
class AutoStatus:
    """A status the printer sent by itself (ASB)."""

    value: bytes


@dataclass(frozen=True, slots=True)
class PaperSensor:
    """Answer to GS r 1: everything sent before has been processed."""

    value: int


@dataclass(frozen=True, slots=True)
class ProcessId:
    """Everything sent before the request with these four characters has been processed."""

    value: bytes


@dataclass(frozen=True, slots=True)
class BufferCleared:
    """Answer to DLE DC4 function 8."""


@dataclass(frozen=True, slots=True)
class Info:
    """Answer to GS I: a model name, a serial number."""

    text: str


@dataclass(frozen=True, slots=True)
class Noise:
    """A byte that belongs to no frame."""

    value: int


Frame = RealTimeStatus | AutoStatus | PaperSensor | ProcessId | BufferCleared | Info | Noise


class Deframer:
    """Cuts the stream into frames. How the bytes were split over reads makes no difference."""

    def __init__(self) -> None:
        self._rest = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not complete."""
        return len(self._rest)

    def reset(self) -> None:
        """Forget a half frame, as after a lost connection."""
        self._rest.clear()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes in; the frames that are complete now."""
        self._rest += data
        frames: list[Frame] = []
        while self._rest:
            length, frame = _first(bytes(self._rest[:_INFO_LIMIT]))
            if frame is None:
                break
            del self._rest[:length]
            frames.append(frame)
        return frames


def _first(data: bytes) -> tuple[int, Frame | None]:
    """The frame at the start of the bytes and its length; no frame while bytes are missing."""
    head = data[0]
    if head & 0x93 == 0x12:
        return 1, RealTimeStatus(head)
    if head & 0x93 == 0x10:
        return _auto_status(data)
    if head in (0x00, 0x03, 0x0C, 0x0F):
        return 1, PaperSensor(head)
    if head == 0x37:
        return _response(data)
    if head == 0x5F:
        return _info(data)
    return 1, Noise(head)


def _auto_status(data: bytes) -> tuple[int, Frame | None]:
    body = data[1:4]
    # Bits 4 and 7 are fixed at 0 in bytes 2 to 4.
    if any(byte & 0x90 for byte in body):
        return 1, Noise(data[0])
    return (4, AutoStatus(data[:4])) if len(body) == 3 else (0, None)


def _response(data: bytes) -> tuple[int, Frame | None]:
    identifier = data[1:2]
    if identifier == b"\x25":
        if len(data) < 3:
            return 0, None
        if data[2] == 0:
            return 3, BufferCleared()
    elif identifier == b"\x22":
        characters = data[2:6]
        if all(0x20 <= byte <= 0x7E for byte in characters):
            if len(data) < 7:
                return 0, None
            if data[6] == 0:
                return 7, ProcessId(characters)
    elif not identifier:
        return 0, None
    return 1, Noise(data[0])


def _info(data: bytes) -> tuple[int, Frame | None]:
    for index in range(1, len(data)):
        if data[index] == 0:
            return index + 1, Info(data[1:index].decode("ascii"))
        if not 0x20 <= data[index] <= 0x7E:
            return 1, Noise(data[0])
    return (0, None) if len(data) < _INFO_LIMIT else (1, Noise(data[0]))


@dataclass(frozen=True, slots=True)
class Condition:
    """How the printer is, from either kind of status."""

    offline: bool = False
    cover_open: bool = False
    paper_out: bool = False
    paper_low: bool = False
    recoverable: bool = False
    """An error that DLE ENQ ends once its cause is gone."""
    cutter: bool = False
    unrecoverable: bool = False
    overheated: bool = False

    @property
    def reason(self) -> Reason | None:
        """The one cause to name: what needs the most help comes first."""
        causes = (
            (self.unrecoverable, Reason.UNRECOVERABLE),
            (self.cutter, Reason.CUTTER),
            (self.cover_open, Reason.COVER_OPEN),
            (self.paper_out, Reason.PAPER_OUT),
            (self.overheated, Reason.OVERHEATED),
            (self.offline, Reason.OFFLINE),
            (self.paper_low, Reason.PAPER_LOW),
        )
        return next((reason for holds, reason in causes if holds), None)

    @property
    def stops(self) -> bool:
        """True if nothing is printed until a person or time has changed it."""
        return self.reason not in (None, Reason.PAPER_LOW)

    @property
    def paper(self) -> Paper:
        if self.paper_out:
            return Paper.OUT
        return Paper.LOW if self.paper_low else Paper.FULL


def of_real_time(printer: int, cause: int, error: int, roll: int) -> Condition:
    """The condition from the answers to DLE EOT 1, 2, 3 and 4."""
    return Condition(
        offline=bool(printer & 0x08),
        cover_open=bool(cause & 0x04),
        paper_out=bool(cause & 0x20 or roll & 0x60),
        paper_low=bool(roll & 0x0C),
        recoverable=bool(error & 0x0C),
        cutter=bool(error & 0x08),
        unrecoverable=bool(error & 0x20),
        overheated=bool(error & 0x40),
    )


def of_port_status(value: int) -> Condition | None:
    """The condition from GET_PORT_STATUS of a USB printer; None where it tells of nothing wrong.

    Bit 5: no paper; bit 4: selected; bit 3: no error (USB class definition for printers, 4.2.2).
    """
    condition = Condition(paper_out=bool(value & 0x20), offline=value & 0x18 != 0x18)
    return condition if condition.reason else None


def of_auto_status(frame: AutoStatus) -> Condition:
    """The condition from an ASB frame."""
    printer, error, roll, _ = frame.value
    return Condition(
        offline=bool(printer & 0x08),
        cover_open=bool(printer & 0x20),
        paper_out=bool(roll & 0x0C),
        paper_low=bool(roll & 0x03),
        recoverable=bool(error & 0x0C),
        cutter=bool(error & 0x08),
        unrecoverable=bool(error & 0x20),
        overheated=bool(error & 0x40),
    )
