"""What Onbon (仰邦) "picture cards" BX-6E and BX-6Q are told: texts as dots, and their own header.

    A5 ×8 | dst u16le | src u16le | F0 | 00 | device type u16le | 00 ×4 | length u32le
          | data | CRC u16le | 5A

Lead, escapes, check sum and end are those of the font cards (`onbon_frames.py`). A text is a
dynamic area over the whole bar (A7 00): one page that stands still, or pages that run through one
behind the other. Dots of 6E: a plane of red, then one of green where the bar has it; each row in
words of 32 bits, the low byte first, bit 31 leftmost; 0 is lit; what does not fill a word is 1.
Dots of 6Q: red, green and blue, a byte each.
"""

from __future__ import annotations

import unicodedata

from PIL import Image

from drivers.glyphs import glyph, is_drawn
from drivers.led_bar.onbon_frames import HOST, framed
from hallkit.model.signage import BarColour

ANY_PICTURE_DEVICE = 0xFFFE
LENGTH_BYTES = 4
PING = bytes.fromhex("01 A2 00 00 00")
_BRIGHTNESS = bytes.fromhex("01 A2 07 31 00 00")
"""By hand; the table of half hours is sent all the same."""
_HALF_HOURS = 48
_DYNAMIC = bytes.fromhex("01 A7 00 00 00 01 00")
"""Answer asked for, one area."""
_NACK = bytes.fromhex("A0 01")
_LONGEST = 63 * 1024
"""Bytes of data that a card takes in one frame."""

_LOOP, _LOOP_THEN_BLANK = 0, 2
_STILL, _RUNNING_ON = 1, 4
_ALONE = 1
"""Programs of the card stand back while the area is shown."""
_PICTURE = 0x10
_SPEED = 15
_STAY_10MS = 500
_WORD = 32
_INK = 110
"""Of 255: above it a dot is lit; thin strokes stay whole and small characters open."""
_BASELINE = 0.875
_GAP = 2
"""Between the end of a running text and its beginning, in heights of the bar."""

_LAMPS: dict[BarColour, tuple[int, int, int]] = {
    "red": (255, 0, 0),
    "green": (0, 255, 0),
    "yellow": (255, 255, 0),
}


class NotDrawn(Exception):
    """A character that the font has no picture of."""


class TooLong(Exception):
    """More dots than a card takes at once."""


def frame(data: bytes, *, address: int = 1, device_type: int = ANY_PICTURE_DEVICE) -> bytes:
    """What goes onto the wire for this data."""
    header = address.to_bytes(2, "little") + HOST.to_bytes(2, "little") + b"\xf0\x00"
    header += device_type.to_bytes(2, "little") + bytes(4)
    return framed(header + len(data).to_bytes(LENGTH_BYTES, "little") + data)


def brightness(level: int) -> bytes:
    """Data that sets the brightness, 1 to 16. The card counts from 0."""
    return _BRIGHTNESS + bytes([level - 1]) * _HALF_HOURS


def refusal(data: bytes) -> int | None:
    """The number of the error, if the answer is a NACK; None: the card has taken it."""
    return int.from_bytes(data[5:7], "little") if data[1:3] == _NACK and len(data) > 6 else None


def draw(text: str, *, font_px: int, height_px: int) -> Image.Image:
    """A text as lamps, 255 where one is lit; as wide as it needs.

    Raises `NotDrawn`, or `OSError` where the font is not installed.
    """
    cells = [(character, _columns(character)) for character in text]
    for character, columns in cells:
        if columns and not is_drawn(character):
            raise NotDrawn(character)
    half = font_px // 2
    lamps = Image.new("L", (half * sum(columns for _, columns in cells), height_px))
    left, baseline = 0, (height_px - font_px) // 2 + round(font_px * _BASELINE)
    for character, columns in cells:
        width = half * columns
        if width:
            mask = glyph(
                character,
                size=font_px,
                bold=False,
                width=width,
                height=height_px,
                baseline=baseline,
            )
            lamps.paste(mask, (left, 0))
        left += width
    return lamps.point(lambda grey: 255 if grey > _INK else 0)


def pages(lamps: Image.Image, width: int) -> list[tuple[Image.Image, int]]:
    """The bar's contents one behind the other, and how much of each counts.

    A text that fits stands in the middle of one page; one that runs ends in a gap.
    """
    if lamps.width <= width:
        page = Image.new("L", (width, lamps.height))
        page.paste(lamps, ((width - lamps.width) // 2, 0))
        return [(page, width)]
    whole = lamps.width + _GAP * lamps.height
    return [
        (lamps.crop((left, 0, left + width, lamps.height)), min(width, whole - left))
        for left in range(0, whole, width)
    ]


def dots_6e(page: Image.Image, colour: BarColour, *, colours: int) -> bytes:
    """A page for a 6E card on a bar of one colour or of two."""
    words = -(-page.width // _WORD)
    dark = bytes(b"\xff" * (words * _WORD // 8 * page.height))
    padded = Image.new("1", (words * _WORD, page.height), 1)
    padded.paste(page.point(lambda grey: 255 - grey).convert("1", dither=Image.Dither.NONE))
    leftmost_first = padded.tobytes()
    lit = b"".join(leftmost_first[at : at + 4][::-1] for at in range(0, len(leftmost_first), 4))
    if colours == 1:
        return lit
    red, green, _ = _LAMPS[colour]
    return (lit if red else dark) + (lit if green else dark)


def dots_6q(page: Image.Image, colour: BarColour) -> bytes:
    """A page for a 6Q card."""
    picture = Image.new("RGB", page.size)
    picture.paste(_LAMPS[colour], mask=page)
    return picture.tobytes()


def dynamic_area(
    shown: list[tuple[bytes, int]], *, size: tuple[int, int], for_s: int | None = None
) -> bytes:
    """Data that shows these pages over the whole bar; `size` in pixels. Raises `TooLong`."""
    runs = len(shown) > 1
    area = bytearray([0, _LOOP if for_s is None else _LOOP_THEN_BLANK])
    area += (for_s or 0).to_bytes(2, "little")
    area += bytes([0, 0, 0, _ALONE])  # no program goes with it
    area += bytes(4)
    area += bytes([_PICTURE])
    area += b"".join(number.to_bytes(2, "little") for number in (0, 0, *size))
    area += bytes(5)  # no frame, no background, no transparency, sizes alike, no voice
    area += bytes(5)
    area += len(shown).to_bytes(2, "little")
    offset = 0
    for dots, counts in shown:
        page = bytes([0, _RUNNING_ON if runs else _STILL, 0, _SPEED])
        page += (0 if runs else _STAY_10MS).to_bytes(2, "little")
        page += b"\x01" + counts.to_bytes(2, "little") + bytes(9)
        page += offset.to_bytes(4, "little") + len(dots).to_bytes(4, "little")
        area += len(page).to_bytes(4, "little") + page
        offset += len(dots)
    dots_of_all = b"".join(dots for dots, _ in shown)
    data = _DYNAMIC + len(area).to_bytes(4, "little") + bytes(area) + dots_of_all
    if len(data) > _LONGEST:
        raise TooLong(len(data))
    return data


def _columns(character: str) -> int:
    """Halves of a Chinese character's width."""
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WFA" else 1
