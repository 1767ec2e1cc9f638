"""The two kinds of Onbon cards, as the driver speaks to them: texts by their code, or as dots."""

from __future__ import annotations

from typing import Protocol

from PIL import Image

from drivers.led_bar import onbon_frames as font_card
from drivers.led_bar import onbon_pictures as picture_card
from drivers.led_bar.onbon_frames import Deframer
from hallkit.model.signage import BarColour, BarText

_CHARSET = "gb2312"
"""What a font card's font holds."""
_BACKSLASH = "\\", "＼"
"""A backslash begins a colour: text shows the wide one."""
_ASCII_PART = 2
"""A Latin character is half as wide as the font is high."""


class CanNotShow(Exception):
    """The card has no way to show this text; the message says why, never the text."""


class Card(Protocol):
    """What is sent to a card, and what it answers."""

    ping: bytes
    clear: bytes
    deframer: Deframer

    def frame(self, data: bytes) -> bytes: ...

    def brightness(self, level: int) -> bytes: ...

    def text(self, text: BarText, for_s: int | None) -> bytes:
        """Data that shows it, for so long. Raises `CanNotShow`."""
        ...

    def refusal(self, data: bytes) -> int | None:
        """The number of the card's error; None: it has taken what was sent."""
        ...


class FontCard:
    """BX-5K and BX-6K: GB 2312 in the card's own font."""

    ping, clear = font_card.PING, font_card.CLEAR

    def __init__(
        self, *, size: tuple[int, int], font_px: int, address: int, device_type: int | None
    ) -> None:
        self._size = size
        self._font_px = font_px
        self._address = address
        self._device_type = font_card.ANY_DEVICE if device_type is None else device_type
        self.deframer = Deframer()

    def frame(self, data: bytes) -> bytes:
        return font_card.frame(data, address=self._address, device_type=self._device_type)

    def brightness(self, level: int) -> bytes:
        return font_card.brightness(level)

    def text(self, text: BarText, for_s: int | None) -> bytes:
        try:
            encoded = text.text.replace(*_BACKSLASH).encode(_CHARSET)
        except UnicodeEncodeError as exc:
            raise CanNotShow(_no_glyph(exc.object[exc.start])) from exc
        # Two bytes are a Chinese character, one a Latin one of half its width.
        needed = len(encoded) * self._font_px // _ASCII_PART
        return font_card.dynamic_area(
            font_card.COLOURS[text.colour] + encoded,
            size=self._size,
            runs=needed > self._size[0],
            for_s=for_s,
        )

    def refusal(self, data: bytes) -> int | None:
        return font_card.refusal(data)


class PictureCard:
    """BX-6E with one colour or two, and BX-6Q where `colours` is 3: everything is drawn."""

    ping = picture_card.PING

    def __init__(
        self,
        *,
        size: tuple[int, int],
        font_px: int,
        colours: int,
        address: int,
        device_type: int | None,
    ) -> None:
        self._size = size
        self._font_px = font_px
        self._colours = colours
        self._address = address
        any_device = picture_card.ANY_PICTURE_DEVICE
        self._device_type = any_device if device_type is None else device_type
        self.deframer = Deframer(picture_card.LENGTH_BYTES)
        # Without an area the card would go back to a program of its own.
        self.clear = self._shown(Image.new("L", size), "red", None)

    def frame(self, data: bytes) -> bytes:
        return picture_card.frame(data, address=self._address, device_type=self._device_type)

    def brightness(self, level: int) -> bytes:
        return picture_card.brightness(level)

    def text(self, text: BarText, for_s: int | None) -> bytes:
        height = self._size[1]
        try:
            lamps = picture_card.draw(text.text, font_px=self._font_px, height_px=height)
            return self._shown(lamps, text.colour, for_s)
        except picture_card.NotDrawn as exc:
            raise CanNotShow(_no_glyph(str(exc))) from exc
        except picture_card.TooLong as exc:
            raise CanNotShow(f"too long for the card: {exc} bytes") from exc
        except OSError as exc:
            raise CanNotShow("the font is not installed") from exc

    def _shown(self, lamps: Image.Image, colour: BarColour, for_s: int | None) -> bytes:
        shown = [
            (self._dots(page, colour), counts)
            for page, counts in picture_card.pages(lamps, self._size[0])
        ]
        return picture_card.dynamic_area(shown, size=self._size, for_s=for_s)

    def _dots(self, page: Image.Image, colour: BarColour) -> bytes:
        if self._colours == 3:
            return picture_card.dots_6q(page, colour)
        return picture_card.dots_6e(page, colour, colours=self._colours)

    def refusal(self, data: bytes) -> int | None:
        return picture_card.refusal(data)


def _no_glyph(character: str) -> str:
    return f"no glyph for U+{ord(character):04X}"
