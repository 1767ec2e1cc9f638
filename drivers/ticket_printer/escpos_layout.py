"""A slip as the bytes of an ESC/POS print job. Pure: no printer, no clock.

Chinese is sent in Kanji mode (FS & … FS .) as GB18030. python-escpos' own `text()` is not used:
it leaves Kanji mode off and prints `?` for rare characters and Chinese punctuation. Its constants
and its raster image are used; its `Dummy` printer is what the tests compare with, because
importing it leaves a folder in the temporary directory and sets up the root logger.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from escpos.constants import ESC, FS, GS, HW_INIT, QR_ECLEVEL_M, QR_MODEL_2, TXT_SIZE, TXT_STYLE
from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_M

from drivers.ticket_printer.escpos_profile import EscPosProfile
from drivers.ticket_printer.escpos_raster import draw_line, rule
from hallkit.model.printing import FeedLine, QrLine, RuleLine, Slip, TextLine

DOTS_PER_LINE = 30
"""What a printer calls a line when nothing else is set: 3.75 mm."""
ENABLE_AUTO_STATUS = GS + b"a\x0e"
"""On changes of on line, error and paper. ESC @ turns it off again."""

_KANJI_ON = FS + b"&"
_KANJI_OFF = FS + b"."
_SMOOTH = GS + b"b\x01"
_CUT = {"full": GS + b"V\x00", "partial": GS + b"V\x01", "none": b""}
_QUIET_MODULES = 4
_RULE_DOTS = 2
_MARK_SCALE = 3

# No character may become a command of the printer, and none may steer the reading direction.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_WORD = re.compile(r"[!-~]+")
_BULLET = re.compile(r" *(?:[□■○●◆•·*-]|[①-⑳]|[0-9]{1,2}[.、)]) *")
_MAY_NOT_START = frozenset("!),.:;?]}·—’”…‰℃、。〉》」』】〕〗！），．：；？］｝～％%")
_MAY_NOT_END = frozenset("([{‘“〈《「『【〔〖（［｛¥￥")


@dataclass(frozen=True, slots=True)
class PrintData:
    """A job's bytes and how much paper they take."""

    data: bytes
    lines: int
    """Estimate in lines of 30 dots."""


def lay_out(slip: Slip, profile: EscPosProfile, *, marked: bool) -> PrintData:
    """The whole job but its confirmation; `marked` puts the reprint mark on top.

    Raises `OSError` if a character must be drawn and the font is not installed.
    """
    writer = _Writer(profile)
    if marked and slip.reprint_mark:
        writer.mark(slip.reprint_mark)
    for line in slip.lines:
        match line:
            case TextLine():
                writer.text(line)
            case QrLine():
                writer.qr(line)
            case RuleLine():
                writer.rule()
            case FeedLine():
                writer.feed(line.lines * _pitch(1))
    return writer.finish()


def display_width(character: str, profile: EscPosProfile) -> int:
    """Columns of a character: as many as bytes where the printer's font has it."""
    if _in_font(character, profile):
        return len(character.encode(profile.font_charset))
    if unicodedata.category(character) in _MARKS:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WFA" else 1


def wrap(text: str, columns: int, profile: EscPosProfile) -> list[str]:
    """Lines of at most `columns`. Words stay whole, closing punctuation never starts a line, and
    what follows a bullet hangs under its text.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        printable = _printable(paragraph)
        bullet = _BULLET.match(printable)
        indent = _width(bullet.group(), profile) if bullet else 0
        if indent > columns // 2:
            indent = 0
        line, used, continued = "", 0, False
        for unit in _units(printable, columns - indent, profile):
            width = _width(unit, profile)
            if used + width > columns:
                lines.append(line.rstrip(" "))
                line, used, continued = " " * indent, indent, True
            if unit == " " and continued and not line.strip(" "):
                continue
            line, used = line + unit, used + width
        lines.append(line.rstrip(" "))
    return lines


class _Writer:
    """Collects the bytes of a job and counts the dots it feeds."""

    def __init__(self, profile: EscPosProfile) -> None:
        self._profile = profile
        self._dots = 0
        self._out = bytearray(HW_INIT + ENABLE_AUTO_STATUS + _KANJI_OFF)
        self._out += ESC + b"t" + bytes([profile.code_page]) + _SMOOTH

    def text(self, line: TextLine) -> None:
        pitch = _pitch(line.scale)
        room = self._profile.columns // line.scale
        self._out += TXT_STYLE["align"][line.align] + TXT_STYLE["bold"][line.bold]
        # Printers that size Chinese by FS ! know twice at most; others take the later GS !.
        self._out += FS + b"!" + (b"\x0c" if line.scale > 1 else b"\x00")
        self._out += TXT_SIZE + bytes([(line.scale - 1) * 0x11])
        self._out += ESC + b"3" + bytes([self._units(pitch)])
        for row in wrap(line.text, room, self._profile):
            if all(_in_font(character, self._profile) for character in row):
                self._out += _device_text(row) + b"\n"
            else:
                self._out += draw_line(
                    _cells(row, self._profile),
                    width=self._profile.dots,
                    height=pitch,
                    scale=line.scale,
                    bold=line.bold,
                    align=line.align,
                )
            self._dots += pitch

    def mark(self, text: str) -> None:
        """A reprint mark: as large as fits, bold, with a rule below."""
        width = _width(_printable(text), self._profile)
        scale = max(1, min(_MARK_SCALE, self._profile.columns // max(width, 1)))
        self.text(TextLine(text=text, scale=scale, bold=True, align="center"))
        self.rule()

    def qr(self, line: QrLine) -> None:
        data = _printable(line.text).encode()
        if not data:
            return
        modules = _qr_modules(data)
        # Wider than the paper would print nothing at all.
        dots = max(1, min(line.module_dots, self._profile.dots // (modules + 2 * _QUIET_MODULES)))
        self.feed(dots * _QUIET_MODULES - _gap(1))
        self._out += TXT_STYLE["align"]["center"]
        self._out += _qr_command(b"A", bytes([ord("0") + QR_MODEL_2, 0]))
        self._out += _qr_command(b"C", bytes([dots]))
        self._out += _qr_command(b"E", bytes([ord("0") + QR_ECLEVEL_M]))
        self._out += _qr_command(b"P", b"0" + data)
        self._out += _qr_command(b"Q", b"0")
        self._out += TXT_STYLE["align"]["left"]
        self._dots += modules * dots
        self.feed(dots * _QUIET_MODULES)

    def rule(self) -> None:
        # The line above has left its own gap already.
        self.feed(_gap(1))
        self._out += TXT_STYLE["align"]["left"]
        self._out += rule(width=self._profile.dots, dots=_RULE_DOTS)
        self._dots += _RULE_DOTS
        self.feed(2 * _gap(1))

    def feed(self, dots: int) -> None:
        """Paper forward; ESC J takes one byte at a time."""
        units = self._units(max(dots, 0))
        while units:
            step = min(units, 255)
            self._out += ESC + b"J" + bytes([step])
            units -= step
        self._dots += max(dots, 0)

    def finish(self) -> PrintData:
        self.feed(self._profile.feed_before_cut_dots)
        self._out += _CUT[self._profile.cut]
        return PrintData(bytes(self._out), -(-self._dots // DOTS_PER_LINE))

    def _units(self, dots: int) -> int:
        return dots * self._profile.feed_units_per_dot


def _gap(scale: int) -> int:
    """White between two lines, in dots."""
    return 2 + 8 * scale


def _pitch(scale: int) -> int:
    """From one line to the next, in dots."""
    return 24 * scale + _gap(scale)


def _cells(row: str, profile: EscPosProfile) -> list[tuple[str, int]]:
    """Characters with their columns; a mark goes with the character it stands on."""
    cells: list[tuple[str, int]] = []
    for character in row:
        width = display_width(character, profile)
        if width == 0 and cells:
            base, columns = cells[-1]
            cells[-1] = (base + character, columns)
        else:
            cells.append((character, width))
    return cells


def _device_text(row: str) -> bytes:
    if row.isascii():
        return row.encode()
    return bytes(_KANJI_ON + row.encode("gb18030") + _KANJI_OFF)


def _qr_command(function: bytes, parameters: bytes) -> bytes:
    """GS ( k for symbol type 49, QR."""
    body = b"1" + function + parameters
    return bytes(GS + b"(k" + len(body).to_bytes(2, "little") + body)


def _qr_modules(data: bytes) -> int:
    """Modules along a side, as the printer will choose them: byte mode, error correction M."""
    code = QRCode(error_correction=ERROR_CORRECT_M)
    code.add_data(data, optimize=0)
    return 17 + 4 * int(code.best_fit())


def _in_font(character: str, profile: EscPosProfile) -> bool:
    try:
        character.encode(profile.font_charset)
    except UnicodeEncodeError:
        return False
    return True


def _width(text: str, profile: EscPosProfile) -> int:
    return sum(display_width(character, profile) for character in text)


def _printable(text: str) -> str:
    """Composed, with tabs as blanks and without control characters."""
    composed = unicodedata.normalize("NFC", text.replace("\t", " "))
    return "".join(c for c in composed if unicodedata.category(c) not in _UNPRINTABLE)


def _units(text: str, columns: int, profile: EscPosProfile) -> list[str]:
    """The pieces a line may be broken between, none wider than a line."""
    units: list[str] = []
    position = 0
    while position < len(text):
        word = _WORD.match(text, position)
        piece = word.group() if word else text[position]
        position += len(piece)
        joins = bool(units) and (
            unicodedata.category(piece[0]) in _MARKS
            or (piece[0] in _MAY_NOT_START and units[-1] != " ")
            or units[-1][-1] in _MAY_NOT_END
        )
        if joins and _width(units[-1] + piece, profile) <= columns:
            units[-1] += piece
        else:
            units.extend(_split(piece, columns, profile))
    return units


def _split(piece: str, columns: int, profile: EscPosProfile) -> list[str]:
    """A piece wider than a line, cut hard."""
    parts, part, used = [], "", 0
    for character in piece:
        width = display_width(character, profile)
        if part and used + width > columns:
            parts.append(part)
            part, used = "", 0
        part, used = part + character, used + width
    return [*parts, part]
