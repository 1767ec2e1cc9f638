"""Characters drawn with Noto Sans CJK, for devices whose own font lacks them."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

_REGULAR = "NotoSansCJK-Regular.ttc"
_BOLD = "NotoSansCJK-Bold.ttc"
"""Package fonts-noto-cjk; Pillow finds them by name."""
_MONO_SC = 7
"""Face of the collection whose Latin letters are half as wide as its Chinese ones."""
_NO_CHARACTER = "\U0010ffff"


def glyph(
    text: str, *, size: int, bold: bool, width: int, height: int, baseline: int
) -> Image.Image:
    """A mask as wide as its cell; letters that do not keep to half a square are fitted in.

    Raises `OSError` where the font is not installed.
    """
    font = _font(_BOLD if bold else _REGULAR, size)
    needed = round(font.getlength(text))
    mask = Image.new("L", (max(needed, width), height), 0)
    left = max(0, width - needed) // 2
    ImageDraw.Draw(mask).text((left, baseline), text, font=font, fill=255, anchor="ls")
    if not width:
        return mask.crop((0, 0, 0, height))  # a mark alone: the font has a picture, no room for it
    return mask if mask.width == width else mask.resize((width, height))


@lru_cache(maxsize=4096)
def is_drawn(character: str) -> bool:
    """Whether the font has a picture of it, and no empty box. Raises `OSError` as `glyph` does."""
    if character == " ":
        return True
    font = _font(_REGULAR, 16)
    return bytes(font.getmask(character)) != bytes(font.getmask(_NO_CHARACTER))


@lru_cache(maxsize=32)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, size, index=_MONO_SC)
