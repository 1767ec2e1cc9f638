"""Lines that are drawn: characters the printer's font lacks, and rules.

The printer acts on DLE EOT, DLE ENQ and DLE DC4 wherever it meets them, inside a picture too, so
no picture may contain them.
"""

from __future__ import annotations

import re
from itertools import accumulate

from escpos.constants import S_RASTER_N
from escpos.image import EscposImage
from PIL import Image

from drivers.glyphs import glyph
from hallkit.model.printing import Align

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
    picture = Image.new("L", (width, height), 255)
    starts = accumulate((columns for _, columns in cells), initial=0)
    for (text, columns), start in zip(cells, starts, strict=False):
        mask = glyph(
            text,
            size=_CELL * scale,
            bold=bold,
            width=unit * columns,
            height=height,
            baseline=_BASELINE * scale,
        )
        picture.paste(0, (left + unit * start, 0), mask)
    return _raster(picture.point(lambda grey: 0 if grey < _INK else 255))


def rule(*, width: int, dots: int) -> bytes:
    """A solid line across the paper."""
    return _raster(Image.new("L", (width, dots), 0))


def _raster(picture: Image.Image) -> bytes:
    """GS v 0, with real-time commands in the picture broken by one more dot."""
    image = EscposImage(picture)
    size = image.width_bytes.to_bytes(2, "little") + image.height.to_bytes(2, "little")
    return bytes(S_RASTER_N + size + _REAL_TIME.sub(b"\x18", image.to_raster_format()))
