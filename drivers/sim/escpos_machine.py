"""The emulated printer without its wire: bytes in, paper out, answers out.

Written from the command reference, not from the driver, so that the two can disagree.
Kept from real printers: real-time commands act on arrival, also inside pictures; everything else
waits in a buffer that outlives the connection; a half command swallows what comes behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from PIL import Image
from qrcode import QRCode
from qrcode.constants import (
    ERROR_CORRECT_H,
    ERROR_CORRECT_L,
    ERROR_CORRECT_M,
    ERROR_CORRECT_Q,
)

from drivers.sim.escpos_paper import BLADE_DOTS, Glyph, Paper

Dialect = Literal["generic", "epson", "basic"]
"""`generic` heeds every way to clear the buffer; `epson` heeds DLE ENQ 2 in an error only, as its
reference says; `basic` knows neither GS ( H nor DLE DC4, and tells no names."""

LINE_DOTS = 30
_TAB_DOTS = 8 * 12
NEAR_END_LINES = 200
ROLL_LINES = 4000

STATE_FAULTS = frozenset(
    {"paper_low", "paper_out", "cover_open", "cutter", "overheated", "offline", "unrecoverable"}
)

_CLEAR_ARGUMENTS = bytes.fromhex("01 03 14 01 06 02 08")
_MODEL, _SERIAL, _MAKER, _FIRMWARE = b"HK-T80 SIM", b"SIM000001", b"HALLKIT", b"1.00"
_EC_LEVELS = {48: ERROR_CORRECT_L, 49: ERROR_CORRECT_M, 50: ERROR_CORRECT_Q, 51: ERROR_CORRECT_H}

# Bytes behind the two of the command, for commands that change nothing one sees.
_IGNORED = {
    b"\x1bM": 1, b"\x1bR": 1, b"\x1b ": 1, b"\x1b-": 1, b"\x1b{": 1, b"\x1bt": 1, b"\x1bc": 2,
    b"\x1b=": 1, b"\x1cC": 1, b"\x1c-": 1, b"\x1cS": 2, b"\x1dB": 1, b"\x1dP": 2, b"\x1dL": 2,
    b"\x1dW": 2, b"\x1dH": 1, b"\x1dh": 1, b"\x1dw": 1, b"\x1df": 1,
}  # fmt: skip


class _MoreNeeded(Exception):
    """The buffer ends inside a command."""


@dataclass(slots=True)
class _Mode:
    """What ESC @ resets."""

    align: int = 0
    wide: int = 1
    high: int = 1
    kanji_wide: int = 1
    kanji_high: int = 1
    bold: bool = False
    smooth: bool = False
    kanji: bool = False
    spacing: int = LINE_DOTS
    auto_status: int = 0
    qr_module: int = 3
    qr_level: int = 48
    qr_data: bytes = b""


@dataclass(slots=True)
class Machine:
    """The printer. `answer` sends to the host; `changed` is called after every change of state."""

    folder: Path
    answer: Callable[[bytes], None]
    changed: Callable[[], None]
    fault_due: Callable[[str], None]
    """Told of a fault armed with `after_lines` when its line is printed."""
    dots: int = 576
    dialect: Dialect = "generic"
    paper_dots: int = ROLL_LINES * LINE_DOTS
    faults: set[str] = field(default_factory=set)
    held: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    printed_dots: int = 0
    cleared: int = 0
    """How often the buffer was cleared by command."""
    unknown_commands: list[str] = field(default_factory=list)
    _armed: list[tuple[str, int]] = field(default_factory=list)
    """Faults that come when so many dots have been printed; `hold` is one of them."""
    _latched: bool = False
    """A cutter error stays until DLE ENQ or the switch, its cause gone or not."""
    _recent: bytearray = field(default_factory=bytearray)
    _mode: _Mode = field(default_factory=_Mode)
    _line: list[Glyph] = field(default_factory=list)
    _last_auto_status: bytes = b""
    _paper: Paper = field(init=False)
    _slips: int = field(init=False)
    _torn: int = field(init=False)

    def __post_init__(self) -> None:
        self._paper = Paper(self.folder, self.dots, self._moved)
        self._slips, self._torn = self._paper.kept("slip"), self._paper.kept("torn")

    # What the host does

    def receive(self, data: bytes) -> None:
        """Bytes from the wire: real-time commands act now, all of it goes into the buffer."""
        for byte in data:
            self.buffer.append(byte)
            self._recent.append(byte)
            del self._recent[:-10]
            self._act_in_real_time()
        self.work()

    # What a person does

    def set_fault(self, fault: str, after_lines: int = 0) -> None:
        """Let a fault of the printer itself happen now or after so many more lines."""
        if after_lines > 0:
            self._armed.append((fault, self.printed_dots + after_lines * LINE_DOTS))
        elif fault == "hold":
            self.held = True
        elif fault in STATE_FAULTS:
            self.faults.add(fault)
            self._latched |= fault == "cutter"
        else:
            self.fault_due(fault)
        self._look()

    def clear_faults(self) -> None:
        """The causes are gone. A cutter error still waits for its recovery."""
        self.faults.clear()
        self._armed.clear()
        self.work()

    def set_paper(self, lines: int) -> None:
        self.paper_dots = lines * LINE_DOTS
        self.work()

    def refill(self) -> None:
        """A new roll; what hung out of an empty printer is torn off with the old one."""
        if self.out_of_paper and self._paper.tear_off():
            self._torn += 1
        self.faults -= {"paper_low", "paper_out"}
        self.set_paper(ROLL_LINES)

    def release(self) -> None:
        self.held = False
        self._armed = [entry for entry in self._armed if entry[0] != "hold"]
        self.work()

    def power_off(self) -> None:
        """Everything that is not on paper is lost."""
        self.buffer.clear()
        self._recent.clear()
        self._line.clear()
        self._mode = _Mode()
        self._latched = "cutter" in self.faults
        self._last_auto_status = b""

    # How it is

    @property
    def slips(self) -> int:
        """Number of the last slip cut; it counts on from an earlier run in the same folder."""
        return self._slips

    @property
    def torn(self) -> int:
        return self._torn

    @property
    def out_of_paper(self) -> bool:
        return self.paper_dots <= 0 or "paper_out" in self.faults

    @property
    def cutter_error(self) -> bool:
        return "cutter" in self.faults or self._latched

    @property
    def online(self) -> bool:
        stopping = STATE_FAULTS - {"paper_low", "cutter", "paper_out"}
        return not (self.out_of_paper or self.cutter_error or self.faults & stopping)

    @property
    def lines_printed(self) -> int:
        return self.printed_dots // LINE_DOTS

    @property
    def paper_lines(self) -> int:
        return -(-self.paper_dots // LINE_DOTS)

    @property
    def _low(self) -> bool:
        near_end = self.paper_dots < NEAR_END_LINES * LINE_DOTS
        return near_end or "paper_low" in self.faults or self.out_of_paper

    def _real_time_status(self, question: int) -> int:
        failed = self.cutter_error or bool(self.faults & {"overheated", "unrecoverable"})
        bits = {
            1: 0x08 * (not self.online),
            2: 0x04 * ("cover_open" in self.faults) | 0x20 * self.out_of_paper | 0x40 * failed,
            3: 0x0C * self.cutter_error
            | 0x20 * ("unrecoverable" in self.faults)
            | 0x40 * ("overheated" in self.faults),
            4: 0x0C * self._low | 0x60 * self.out_of_paper,
        }
        return 0x12 | bits[question]

    def _auto_status(self) -> bytes:
        printer = 0x08 * (not self.online) | 0x20 * ("cover_open" in self.faults)
        error = (
            0x0C * self.cutter_error
            | 0x20 * ("unrecoverable" in self.faults)
            | 0x40 * ("overheated" in self.faults)
        )
        roll = 0x03 * self._low | 0x0C * self.out_of_paper
        return bytes([0x10 | printer, error, roll, 0])

    def _look(self) -> None:
        """Send the status where it changed and the host asked for it."""
        status = self._auto_status()
        before, self._last_auto_status = self._last_auto_status, status
        # Bits of GS a: 02 on line, 04 error, 08 paper.
        for bit, index in ((0x02, 0), (0x04, 1), (0x08, 2)):
            if self._mode.auto_status & bit and before and before[index] != status[index]:
                self.answer(status)
                break
        self.changed()

    # Real time

    def _act_in_real_time(self) -> None:
        recent = bytes(self._recent)
        if recent[-3:-1] == b"\x10\x04" and 1 <= recent[-1] <= 4:
            self.answer(bytes([self._real_time_status(recent[-1])]))
        elif recent[-3:-1] == b"\x10\x05" and recent[-1] in (1, 2):
            in_error = self._latched
            self._latched = "cutter" in self.faults
            if recent[-1] == 2 and (self.dialect != "epson" or in_error):
                self._clear_buffer()
            self._look()
        elif recent == b"\x10\x14\x08" + _CLEAR_ARGUMENTS and self.dialect != "basic":
            self._clear_buffer()
            self.answer(b"\x37\x25\x00")

    def _clear_buffer(self) -> None:
        self.buffer.clear()
        self._line.clear()
        self._recent.clear()
        self.cleared += 1
        self.changed()

    # The buffer

    def work(self) -> None:
        """Process the buffer until it is empty or something stops the printer."""
        self._look()
        while self.buffer and self.online and not self.held:
            try:
                length = self._step(bytes(self.buffer))
            except _MoreNeeded:
                break
            del self.buffer[:length]
            self._look()
        self.changed()

    def _step(self, data: bytes) -> int:
        """Do one command or character; how many bytes it took."""
        head = data[0]
        if head in (0x1B, 0x1C, 0x1D):
            return self._command(data)
        if head == 0x10:
            return _real_time_length(data)
        if head == 0x0A:
            self._print_line()
        elif head == 0x09:
            self._tab()
        elif head >= 0x20:
            return self._character(data)
        return 1

    def _character(self, data: bytes) -> int:
        head = data[0]
        if not self._mode.kanji or head < 0x81 or head == 0xFF:
            # Outside Kanji mode each half of a Chinese character is a sign of the code page.
            self._put(bytes([head]).decode("cp437"), 1)
            return 1
        if 0x30 <= _at(data, 1) <= 0x39:
            # Four bytes: outside the font of the printers we stand for.
            _at(data, 3)
            self._put("□", 2)
            return 4
        try:
            # GB18030 has two-byte characters beyond GBK that fonts in the field lack.
            self._put(data[:2].decode("gbk"), 2)
        except UnicodeDecodeError:
            self._put("□", 2)
        return 2

    def _put(self, character: str, columns: int) -> None:
        mode = self._mode
        wide, high = (mode.kanji_wide, mode.kanji_high) if columns == 2 else (mode.wide, mode.high)
        glyph = Glyph(character, columns, wide, high, mode.bold, mode.smooth)
        if sum(other.dots for other in self._line) + glyph.dots > self.dots:
            self._print_line()
        self._line.append(glyph)

    def _tab(self) -> None:
        """To the next stop of the paper: every eighth column, however wide the characters are."""
        at = sum(glyph.dots for glyph in self._line)
        if at < self.dots:
            blank = Glyph(" ", 1, 1, 1, bold=False, smooth=False)
            self._line += [blank] * ((_TAB_DOTS - at % _TAB_DOTS) // blank.dots)

    def _print_line(self, feed: int | None = None) -> None:
        line, self._line = self._line, []
        self._paper.line(line, self._mode.spacing if feed is None else feed, self._mode.align)

    def _flush(self) -> None:
        if self._line:
            self._print_line()

    def _feed(self, dots: int) -> None:
        """What waits is printed on the way: both together move the paper by these dots."""
        if self._line:
            self._print_line(dots)
        else:
            self._paper.feed(dots)

    def _moved(self, dots: int) -> None:
        self.paper_dots = max(0, self.paper_dots - dots)
        self.printed_dots += dots
        due = [fault for fault, at in self._armed if at <= self.printed_dots]
        self._armed = [entry for entry in self._armed if entry[1] > self.printed_dots]
        for fault in due:
            self.set_fault(fault)

    def _command(self, data: bytes) -> int:  # noqa: C901, PLR0911, PLR0912 - a table of commands
        name, mode = data[:1] + bytes([_at(data, 1)]), self._mode
        match name:
            case b"\x1b@":
                self._line.clear()
                self._mode = _Mode()
                return 2
            case b"\x1b2":
                mode.spacing = LINE_DOTS
                return 2
            case b"\x1c&" | b"\x1c.":
                mode.kanji = name == b"\x1c&"
                return 2
            case b"\x1d(":
                return self._function(data)
            case b"\x1dv":
                return self._raster(data)
            case b"\x1dV":
                return self._cut(data)
            case _ if name in _IGNORED:
                length = 2 + _IGNORED[name]
                _at(data, length - 1)
                return length
        value = _at(data, 2)
        match name:
            case b"\x1ba" if not self._line:
                mode.align = value % 48 % 3
            case b"\x1ba":
                pass  # heeded at the beginning of a line alone
            case b"\x1bE":
                mode.bold = bool(value & 1)
            case b"\x1b!":
                mode.bold = bool(value & 0x08)
                mode.high, mode.wide = 1 + (value >> 4 & 1), 1 + (value >> 5 & 1)
            case b"\x1bd":
                self._feed(value * mode.spacing)
            case b"\x1bJ":
                self._feed(value)
            case b"\x1b3":
                mode.spacing = value
            case b"\x1c!":
                mode.kanji_wide, mode.kanji_high = 1 + (value >> 2 & 1), 1 + (value >> 3 & 1)
            case b"\x1d!":
                mode.wide, mode.high = 1 + (value >> 4 & 7), 1 + (value & 7)
                mode.kanji_wide, mode.kanji_high = mode.wide, mode.high
            case b"\x1db":
                mode.smooth = bool(value & 1)
            case b"\x1da":
                mode.auto_status = value
                if value:
                    self.answer(self._auto_status())
            case b"\x1dr":
                self.answer(bytes([0x03 * self._low if value in (1, 49) else 0]))
            case b"\x1dI":
                self._identify(value)
            case _:
                self._unknown(name)
                return 2
        return 3

    def _function(self, data: bytes) -> int:
        """GS ( x: the length is in the command."""
        letter = _at(data, 2)
        length = 5 + _at(data, 3) + 256 * _at(data, 4)
        if len(data) < length:
            raise _MoreNeeded
        body = data[5:length]
        if letter == ord("k") and body[:1] == b"1":
            self._qr(body[1], body[2:])
        elif letter == ord("H") and body[:2] == b"00" and len(body) == 6:
            self._flush()
            if self.dialect != "basic":
                self.answer(b"\x37\x22" + body[2:] + b"\x00")
        else:
            self._unknown(data[:3])
        return length

    def _qr(self, function: int, body: bytes) -> None:
        mode = self._mode
        match function:
            case 65:
                pass
            case 67:
                mode.qr_module = body[0]
            case 69:
                mode.qr_level = body[0]
            case 80:
                mode.qr_data = body[1:]
            case 81 if mode.qr_data:
                code = QRCode(error_correction=_EC_LEVELS[mode.qr_level], border=0)
                code.add_data(mode.qr_data, optimize=0)
                modules = code.get_matrix()
                picture = Image.new("L", (len(modules), len(modules)), 255)
                picture.putdata([0 if black else 255 for row in modules for black in row])
                side = len(modules) * mode.qr_module
                self._flush()
                # Wider than the paper is not printed at all.
                if side <= self.dots:
                    picture = picture.resize((side, side), Image.Resampling.NEAREST)
                    text = mode.qr_data.decode("utf-8", "replace")
                    self._paper.picture(picture, mode.align, f"[qr] {text}")
            case _:
                self._unknown(b"\x1d(k" + bytes([function]))

    def _raster(self, data: bytes) -> int:
        """GS v 0: mode, bytes a row, rows, dots."""
        if _at(data, 2) != ord("0"):
            self._unknown(data[:3])
            return 3
        scale = _at(data, 3)
        across = _at(data, 4) + 256 * _at(data, 5)
        rows = _at(data, 6) + 256 * _at(data, 7)
        length = 8 + across * rows
        if len(data) < length:
            raise _MoreNeeded
        self._flush()
        if across and rows:
            ink = Image.frombytes("1", (across * 8, rows), data[8:length])
            picture = ink.convert("L").point(lambda burnt: 255 - burnt)
            if scale & 3:
                size = (picture.width << (scale & 1), picture.height << (scale >> 1 & 1))
                picture = picture.resize(size, Image.Resampling.NEAREST)
            text = f"[image {picture.width}×{picture.height}]"
            self._paper.picture(picture, self._mode.align, text)
        return length

    def _cut(self, data: bytes) -> int:
        kind = _at(data, 2)
        self._flush()
        if kind in (65, 66):
            # Function B brings the last line to the blade by itself.
            self._paper.feed(BLADE_DOTS + _at(data, 3))
        elif kind not in (0, 1, 48, 49):
            self._unknown(data[:3])
            return 3
        if self._paper.cut():
            self._slips += 1
        return 4 if kind in (65, 66) else 3

    def _identify(self, question: int) -> None:
        names = {65: _FIRMWARE, 66: _MAKER, 67: _MODEL, 68: _SERIAL, 69: b"CHINESE GB18030"}
        if question in names:
            if self.dialect != "basic":
                self.answer(b"\x5f" + names[question] + b"\x00")
        elif question in (1, 49):
            self.answer(b"\x20")
        elif question in (2, 50):
            # Chinese characters and an automatic cutter.
            self.answer(b"\x03")

    def _unknown(self, command: bytes) -> None:
        if len(self.unknown_commands) < 20:
            self.unknown_commands.append(command.hex(" "))


def _at(data: bytes, index: int) -> int:
    if index >= len(data):
        raise _MoreNeeded
    return data[index]


def _real_time_length(data: bytes) -> int:
    """Bytes of a real-time command that has acted already and stands in the buffer."""
    lengths = {0x04: 3, 0x05: 3, 0x14: 10 if _at(data, 1) == 0x14 and _at(data, 2) == 8 else 5}
    length = lengths.get(_at(data, 1), 1)
    _at(data, length - 1)
    return length
