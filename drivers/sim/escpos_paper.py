"""The paper of the emulated printer: what is burnt into it, where it is cut, the pictures of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

FONT_DOTS = 24
"""Height of a character; Latin ones are half as wide."""
BLADE_DOTS = 96
"""From the head to the blade, 12 mm: a cut without a feed before it cuts the last lines off."""
MARGIN_DOTS = 32
"""Unprintable paper on either side, 4 mm."""

_WHITE, _BLACK = 255, 0
_BASELINE = 21
_CELL_HEIGHT = 29
_INK = 150
_MONO_SC = 7


@dataclass(frozen=True, slots=True)
class Glyph:
    """A character as it will be burnt: how wide, how often enlarged."""

    character: str
    columns: int
    wide: int
    high: int
    bold: bool
    smooth: bool

    @property
    def dots(self) -> int:
        return self.columns * FONT_DOTS // 2 * self.wide


@dataclass(frozen=True, slots=True)
class _Strip:
    picture: Image.Image
    text: str


class Paper:
    """A roll with a blade. Pieces are kept as `<stem>-0001.png` and `.txt` in the folder."""

    def __init__(self, folder: Path, dots: int, fed: Callable[[int], None]) -> None:
        self._folder = folder
        self._dots = dots
        self._fed = fed
        """Told of every dot line the paper moves."""
        self._strips: list[_Strip] = [self._blank(BLADE_DOTS)]
        folder.mkdir(parents=True, exist_ok=True)

    def feed(self, dots: int) -> None:
        """Move the paper."""
        if dots > 0:
            self._add(self._blank(dots))

    def line(self, glyphs: list[Glyph], spacing: int, align: int) -> None:
        """Burn one line of characters; the paper moves by the spacing or the tallest of them."""
        tall = max((glyph.high for glyph in glyphs), default=0)
        height = max(spacing, FONT_DOTS * tall)
        picture = Image.new("L", (self._dots, height), _WHITE)
        left = self._left(sum(glyph.dots for glyph in glyphs), align)
        for glyph in glyphs:
            drawn = _draw(glyph)
            # Characters of different height stand on one base line.
            top = _BASELINE * (tall - glyph.high)
            picture.paste(_BLACK, (left, top), drawn)
            left += glyph.dots
        self._add(_Strip(picture, "".join(glyph.character for glyph in glyphs)))

    def picture(self, picture: Image.Image, align: int, text: str) -> None:
        """Burn a picture whose black dots are 0."""
        strip = Image.new("L", (self._dots, picture.height), _WHITE)
        strip.paste(picture, (self._left(picture.width, align), 0))
        self._add(_Strip(strip, text))

    def cut(self) -> bool:
        """Cut at the blade; True if the piece that falls has anything on it."""
        whole, texts = self._whole()
        at = max(whole.height - BLADE_DOTS, 0)
        piece = whole.crop((0, 0, self._dots, at))
        rest = whole.crop((0, at, self._dots, whole.height))
        # A strip belongs to the piece on which it begins.
        self._strips = [_Strip(rest, "\n".join(text for top, text in texts if top >= at))]
        return self._keep("slip", piece, [text for top, text in texts if top < at])

    def tear_off(self) -> bool:
        """A new roll is put in: what stuck out of the old one goes."""
        whole, texts = self._whole()
        self._strips = [self._blank(BLADE_DOTS)]
        return self._keep("torn", whole, [text for _, text in texts])

    def kept(self, stem: str) -> int:
        """Number of the last piece in the folder, those of an earlier run included."""
        numbers = (path.stem.rpartition("-")[2] for path in self._folder.glob(f"{stem}-*.png"))
        return max((int(number) for number in numbers if number.isdigit()), default=0)

    def _whole(self) -> tuple[Image.Image, list[tuple[int, str]]]:
        whole = Image.new("L", (self._dots, sum(s.picture.height for s in self._strips)), _WHITE)
        top, texts = 0, []
        for strip in self._strips:
            whole.paste(strip.picture, (0, top))
            if strip.text:
                texts.append((top, strip.text))
            top += strip.picture.height
        return whole, texts

    def _keep(self, stem: str, piece: Image.Image, texts: list[str]) -> bool:
        if not piece.height or piece.getextrema()[0] == _WHITE:
            return False
        sheet = Image.new("L", (self._dots + 2 * MARGIN_DOTS, piece.height), _WHITE)
        sheet.paste(piece, (MARGIN_DOTS, 0))
        path = self._folder / f"{stem}-{self.kept(stem) + 1:04d}"
        # The picture appears last and whole: who sees it finds the text beside it.
        path.with_suffix(".txt").write_text("\n".join(texts) + "\n", "utf-8")
        unfinished = path.with_suffix(".part")
        sheet.save(unfinished, format="PNG", optimize=True, dpi=(203, 203))
        unfinished.replace(path.with_suffix(".png"))
        return True

    def _add(self, strip: _Strip) -> None:
        self._strips.append(strip)
        self._fed(strip.picture.height)

    def _blank(self, dots: int) -> _Strip:
        return _Strip(Image.new("L", (self._dots, dots), _WHITE), "")

    def _left(self, width: int, align: int) -> int:
        return max(0, (0, (self._dots - width) // 2, self._dots - width)[align])


@lru_cache(maxsize=2048)
def _draw(glyph: Glyph) -> Image.Image:
    """A mask of the glyph: enlarged dot by dot as printers do, or redrawn where smoothing is on."""
    enlarged = max(glyph.wide, glyph.high) if glyph.smooth else 1
    cell = (glyph.columns * FONT_DOTS // 2 * enlarged, _CELL_HEIGHT * enlarged)
    font = _font(glyph.bold, FONT_DOTS * enlarged)
    mask = Image.new("L", cell, 0)
    draw = ImageDraw.Draw(mask)
    # Characters of a code page may be wider in our font than in the printer's.
    if font.getlength(glyph.character) > cell[0]:
        broad = Image.new("L", (2 * cell[0], cell[1]), 0)
        ImageDraw.Draw(broad).text(
            (0, _BASELINE * enlarged), glyph.character, font=font, fill=255, anchor="ls"
        )
        mask = broad.resize(cell)
    else:
        draw.text((0, _BASELINE * enlarged), glyph.character, font=font, fill=255, anchor="ls")
    size = (glyph.dots, _CELL_HEIGHT * glyph.high)
    burnt = mask.point(lambda grey: 255 if grey > 255 - _INK else 0)
    return burnt if burnt.size == size else burnt.resize(size, Image.Resampling.NEAREST)


@lru_cache(maxsize=16)
def _font(bold: bool, size: int) -> ImageFont.FreeTypeFont:
    name = "NotoSansCJK-Bold.ttc" if bold else "NotoSansCJK-Regular.ttc"
    return ImageFont.truetype(name, size, index=_MONO_SC)
