"""Lines that are drawn: characters the printer's font lacks, and rules.

The printer acts on DLE EOT, DLE ENQ and DLE DC4 wherever it meets them, inside a picture too, so
no picture may contain them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate

from escpos.constants import S_RASTER_N
from escpos.image import EscposImage
from PIL import Image, ImageDraw, ImageFont

from hallkit.model.printing import Align

FONT_REGULAR = "NotoSansCJK-Regular.ttc"
FONT_BOLD = "NotoSansCJK-Bold.ttc"
"""Package fonts-noto-cjk; Pillow finds them by name."""
_MONO_SC = 7
"""Face of the collection whose Latin letters are half as wide as its Chinese ones."""
_CELL = 24
_BASELINE = 21
"""Of 24: Noto Sans CJK keeps 0.88 of its square above the baseline."""
_INK = 150
"""Grey below which a dot is burnt; high enough to keep thin strokes whole."""

_REAL_TIME = re.compile(rb"\x10(?=[\x04\x05\x14])")


def draw_line(
    cells: list[tuple[str, int]], *, width: int, height: int, scale: int, bold: bool, align: Align
) -> bytes:
    """One line of characters as a picture. `cells` are characters with their columns.

    Raises `OSError` where the font is not installed.
    """
    unit = _CELL // 2 * scale
    room = width - unit * sum(columns for _, columns in cells)
    left = {"left": 0, "center": room // 2, "right": room}[align]
    font = _font(FONT_BOLD if bold else FONT_REGULAR, _CELL * scale)
    picture = Image.new("L", (width, height), 255)
    starts = accumulate((columns for _, columns in cells), initial=0)
    for (text, columns), start in zip(cells, starts, strict=False):
        glyph = _glyph(text, font, unit * columns, height, _BASELINE * scale)
        picture.paste(0, (left + unit * start, 0), glyph)
    return _raster(picture.point(lambda grey: 0 if grey < _INK else 255))


def rule(*, width: int, dots: int) -> bytes:
    """A solid line across the paper."""
    return _raster(Image.new("L", (width, dots), 0))


def _raster(picture: Image.Image) -> bytes:
    """GS v 0, with real-time commands in the picture broken by one more dot."""
    image = EscposImage(picture)
    size = image.width_bytes.to_bytes(2, "little") + image.height.to_bytes(2, "little")
    return bytes(S_RASTER_N + size + _REAL_TIME.sub(b"\x18", image.to_raster_format()))


def _glyph(
    text: str, font: ImageFont.FreeTypeFont, width: int, height: int, baseline: int
) -> Image.Image:
    """A mask as wide as the cell; letters that do not keep to half a square are fitted in."""
    needed = round(font.getlength(text))
    mask = Image.new("L", (max(needed, width), height), 0)
    left = max(0, width - needed) // 2
    ImageDraw.Draw(mask).text((left, baseline), text, font=font, fill=255, anchor="ls")
    if not width:
        return mask.crop((0, 0, 0, height))  # a mark alone: the font has a picture, no room for it
    return mask if mask.width == width else mask.resize((width, height))


@lru_cache(maxsize=16)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size, index=_MONO_SC)
