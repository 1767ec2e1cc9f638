"""Pictures that carry a number, so that whoever sees one knows which it is.

Eight columns and four rows of bright and dark blocks: 24 bits of the number, and 8 that prove
them. A black, cut or foreign picture has no number.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

COLUMNS, ROWS = 8, 4
BRIGHT, DARK = 235, 16
_QUALITY = 85


def bits_of(number: int) -> list[bool]:
    """The blocks of a number, row by row."""
    text = (number % (1 << 24)).to_bytes(3, "big")
    return [bool(byte >> bit & 1) for byte in (*text, _proof(text)) for bit in range(7, -1, -1)]


_GRAIN = 12
"""Deviation of the noise that makes a picture as hard to decode as a real one."""


def grain(width: int, height: int) -> Image.Image:
    """Noise for `jpeg`."""
    from PIL import Image  # noqa: PLC0415  # see `jpeg`

    return Image.effect_noise((width, height), _GRAIN).convert("RGB")


def jpeg(width: int, height: int, number: int | None, *, noise: Image.Image | None = None) -> bytes:
    """The picture as baseline JPEG with the usual tables; black without a number."""
    # A twin under Debian's Python has no Pillow, and needs the numbers alone.
    from PIL import Image, ImageChops, ImageDraw  # noqa: PLC0415

    picture = Image.new("RGB", (width, height), (0, 0, 0))
    if number is not None:
        draw = ImageDraw.Draw(picture)
        for place, bright in enumerate(bits_of(number)):
            row, column = divmod(place, COLUMNS)
            left, top = column * width // COLUMNS, row * height // ROWS
            right, bottom = (column + 1) * width // COLUMNS - 1, (row + 1) * height // ROWS - 1
            grey = BRIGHT if bright else DARK
            draw.rectangle((left, top, right, bottom), (grey, grey, grey))
    if noise is not None:
        picture = ImageChops.add(picture, noise, offset=-128)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY, subsampling="4:2:0")
    return out.getvalue()


def number_of(width: int, height: int, stride: int, pixels: bytes | memoryview) -> int | None:
    """The number that a picture in 8-bit BGR shows; None where it shows none."""
    value = 0
    for place in range(COLUMNS * ROWS):
        row, column = divmod(place, COLUMNS)
        x = (2 * column + 1) * width // (2 * COLUMNS)
        y = (2 * row + 1) * height // (2 * ROWS)
        value = value << 1 | (pixels[y * stride + 3 * x + 1] > (BRIGHT + DARK) // 2)
    text = value.to_bytes(4, "big")
    return int.from_bytes(text[:3], "big") if text[3] == _proof(text[:3]) else None


def _proof(text: bytes) -> int:
    return text[0] ^ text[1] ^ text[2] ^ 0x5A
