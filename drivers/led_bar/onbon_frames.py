"""Frames of Onbon (仰邦) controllers, and what "font cards" BX-5K and BX-6K are told in them.

    A5 ×8 | dst u16le | src u16le | 00 00 00 | 00 | check mode | display mode | device type | 02
          | length u16le | data | CRC u16le | 5A

Sources: those of `docs/drivers/onbon.md`; published frames are reproduced to the byte in the tests.
CRC-16 with polynomial A001 (reflected), initial value 0, over header and data before escaping. A5,
A6, 5A and 5B within are escaped. Picture cards have another header: `onbon_pictures.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

LEAD, END = 0xA5, 0x5A
_ESCAPES = {0xA5: b"\xa6\x02", 0xA6: b"\xa6\x01", 0x5A: b"\x5b\x02", 0x5B: b"\x5b\x01"}
_UNESCAPES = {value: bytes([key]) for key, value in _ESCAPES.items()}
_LENGTH_AT = 12
"""Where the length of the data stands, in either header."""
_CRC_LENGTH = 2
_POLYNOMIAL = 0xA001
HOST = 0x8000
"""Our own address on the bar's wire."""
ANY_DEVICE = 0xFE
LONGEST = 4096
"""Bytes of an answer that are kept; a bar says far less."""

PING = bytes.fromhex("A2 00 01 00 00")
CLEAR = bytes.fromhex("A3 10 01 00 00")
_BRIGHTNESS = bytes.fromhex("A3 02 01 00 00 01")
_BRIGHTNESS_HOURS = b"\x01" * 48
"""One value for each half hour of a day, unused when the level is set directly."""
_DYNAMIC = bytes.fromhex("A3 06 01 00 00 00 01")
"""Answer asked for, nothing initialised or deleted, one area."""
_NACK = bytes.fromhex("A0 01")
_PIXELS = 0x8000
"""Set: X or width are in pixels and not in eights of them. Y and height always are."""
_LOOP, _LOOP_THEN_BLANK = 0, 2
_ONE_LINE, _NO_WRAP = 1, 1
_MIDDLE, _CENTRED = 0x08, 0x02
_STILL, _TO_THE_LEFT = 1, 3
_SPEED, _STAY = 5, 5
COLOURS = {"red": b"\\C1", "green": b"\\C2", "yellow": b"\\C3"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A frame whose check sum holds."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Garbled:
    """Something that ends like a frame and is none."""

    length: int


def crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def frame(data: bytes, *, address: int = 1, device_type: int = ANY_DEVICE) -> bytes:
    """What goes onto the wire for this data."""
    header = address.to_bytes(2, "little") + HOST.to_bytes(2, "little") + bytes(6)
    return framed(header + bytes([device_type, 2]) + len(data).to_bytes(2, "little") + data)


def framed(inner: bytes) -> bytes:
    """Header and data with their check sum, escaped, between lead and end."""
    checked = inner + crc16(inner).to_bytes(2, "little")
    escaped = b"".join(_ESCAPES.get(byte, bytes([byte])) for byte in checked)
    return bytes([LEAD]) * 8 + escaped + bytes([END])


def brightness(level: int) -> bytes:
    """Data that sets the brightness, 1 to 16. The card counts from 0."""
    return _BRIGHTNESS + bytes([level - 1]) + _BRIGHTNESS_HOURS


def refusal(data: bytes) -> int | None:
    """The number of the error, if the answer is a NACK; None: the card has taken it."""
    return data[2] if data[:2] == _NACK and len(data) > 2 else None


def dynamic_area(
    text: bytes, *, size: tuple[int, int], runs: bool, for_s: int | None = None
) -> bytes:
    """Data that shows encoded text over the whole bar: still and centred, or running to the left.

    `size` in pixels.
    """
    width, height = size
    place = (_PIXELS, 0, width | _PIXELS, height)
    mode = _LOOP if for_s is None else _LOOP_THEN_BLANK
    area = b"".join(
        (
            b"\x00",
            b"".join(number.to_bytes(2, "little") for number in place),
            b"\x00\x00",  # area 0, no gap between lines
            bytes([mode]) + (for_s or 0).to_bytes(2, "little"),
            b"\x00\x00",  # no voice, no extension
            bytes([_MIDDLE if runs else _MIDDLE | _CENTRED, _ONE_LINE, _NO_WRAP]),
            bytes([_TO_THE_LEFT if runs else _STILL, 0, _SPEED, _STAY]),
            len(text).to_bytes(4, "little") + text,
        )
    )
    return _DYNAMIC + len(area).to_bytes(2, "little") + area


class Deframer:
    """Bytes from the wire to frames, whatever comes before, between and behind them.

    `length_bytes` is how many the length in the header has.
    """

    def __init__(self, length_bytes: int = 2) -> None:
        self._header_length = _LENGTH_AT + length_bytes
        self._held = bytearray()

    @property
    def pending(self) -> int:
        """Bytes that are no whole frame yet."""
        return len(self._held)

    def reset(self) -> None:
        self._held.clear()

    def feed(self, data: bytes) -> Iterator[Answer | Garbled]:
        """The frames that these bytes complete. A frame may end in several 5A."""
        self._held += data
        while (end := self._held.find(END)) >= 0:
            piece = bytes(self._held[:end])
            del self._held[: end + 1]
            lead = piece.find(LEAD)
            bare = piece[lead:].lstrip(bytes([LEAD])) if lead >= 0 else b""
            if bare:
                yield _opened(bare, self._header_length)
            elif piece:
                yield Garbled(len(piece))
        if len(self._held) > LONGEST:
            self._held.clear()
            yield Garbled(LONGEST)


def _opened(escaped: bytes, header_length: int) -> Answer | Garbled:
    plain = bytearray()
    place = 0
    while place < len(escaped):
        if escaped[place] in (0xA6, 0x5B):
            meant = _UNESCAPES.get(escaped[place : place + 2])
            if meant is None:
                return Garbled(len(escaped))
            plain += meant
            place += 2
        else:
            plain.append(escaped[place])
            place += 1
    checked, crc = bytes(plain[:-_CRC_LENGTH]), int.from_bytes(plain[-_CRC_LENGTH:], "little")
    length = int.from_bytes(checked[_LENGTH_AT:header_length], "little")
    if len(checked) != header_length + length or crc16(checked) != crc:
        return Garbled(len(escaped))
    return Answer(checked[header_length:])
