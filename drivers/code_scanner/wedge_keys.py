"""What a scanner types, as characters: keys of a US keyboard, and the ways to type the rest.

Beyond ASCII a scanner holds Alt and types a number on the keypad, or holds Ctrl and Shift, types u
and then hexadecimal digits (ISO 14755). Numbers of keys: linux/input-event-codes.h.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from drivers.transport.evdev import PRESSED, RELEASED

AltCodes = Literal["ascii", "gbk", "unicode"]
"""What the numbers typed with Alt are; up to 127 they are ASCII in each."""

_SHIFT, _CTRL, _ALT = frozenset({42, 54}), frozenset({29, 97}), frozenset({56, 100})
_MODIFIERS = _SHIFT | _CTRL | _ALT
_CAPS_LOCK, _NUM_LOCK = 58, 69
_U = 22
_MOST_DIGITS = 8

_ROWS = (
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
)
_KEYPAD_ROWS = ((71, "789-"), (75, "456+"), (79, "1230."))

_KEYPAD: Mapping[int, str] = {
    first + place: character
    for first, characters in _KEYPAD_ROWS
    for place, character in enumerate(characters)
}
_ELSEWHERE: Mapping[int, tuple[str, str]] = {
    15: ("\t", "\t"),
    28: ("\r", "\r"),
    55: ("*", "*"),
    57: (" ", " "),
    86: ("\\", "|"),
    96: ("\r", "\r"),
    98: ("/", "/"),
}
_TYPED: Mapping[int, tuple[str, str]] = {
    **{
        first + place: pair
        for first, plain, shifted in _ROWS
        for place, pair in enumerate(zip(plain, shifted, strict=True))
    },
    **{code: (character, character) for code, character in _KEYPAD.items()},
    **_ELSEWHERE,
}


class Keyboard:
    """Which keys are held and how the locks stand, from event to event."""

    def __init__(self, alt_codes: AltCodes) -> None:
        self._alt_codes = alt_codes
        self._held: set[int] = set()
        self._caps = False
        self._alt: str | None = None
        """Digits typed while Alt is held."""
        self._hex: str | None = None
        """Digits typed behind Ctrl+Shift+u."""

    def key(self, code: int, value: int) -> str | None:
        """The characters that an event types, mostly none; None for what makes no text."""
        if value == PRESSED:
            return self._press(code)
        if value == RELEASED:
            return self._release(code)
        return ""  # held down: a scanner does not, and what is repeated was typed once

    def calm(self) -> None:
        """A code begins: the locks are off, nothing is half typed."""
        self._caps = False
        self._hex = None
        if self._alt is not None:
            self._alt = ""

    def forget(self) -> None:
        """Nobody knows what is held."""
        self._held.clear()
        self._alt = None
        self.calm()

    def _holds(self, modifier: frozenset[int]) -> bool:
        return not self._held.isdisjoint(modifier)

    def _press(self, code: int) -> str | None:
        if code in _MODIFIERS:
            self._held.add(code)
            if code in _ALT:
                self._alt = ""
            return ""
        if code in (_CAPS_LOCK, _NUM_LOCK):
            # A scanner's keypad types digits, whatever the lock says.
            self._caps ^= code == _CAPS_LOCK
            return ""
        if self._alt is not None:
            return self._digit(code)
        if self._hex is not None:
            return self._hex_digit(code)
        return self._plain(code)

    def _plain(self, code: int) -> str | None:
        typed = _TYPED.get(code)
        if typed is None:
            return None
        if self._holds(_CTRL):
            return self._control(code, typed[0])
        is_upper = self._holds(_SHIFT) != (self._caps and typed[0].isalpha())
        return typed[is_upper]

    def _release(self, code: int) -> str | None:
        self._held.discard(code)
        if code in _ALT and not self._holds(_ALT) and self._alt is not None:
            digits, self._alt = self._alt, None
            return self._character(digits)
        if code in _CTRL | _SHIFT and self._hex and not self._holds(_CTRL | _SHIFT):
            return self._end_of_hex()
        return ""

    def _control(self, code: int, character: str) -> str | None:
        """Ctrl and a letter, a bracket or a backslash: the control characters of ASCII."""
        if self._holds(_SHIFT):
            if code == _U:
                self._hex = ""
                return ""
            return None
        return chr(ord(character) & 0x1F) if character in "[\\]" or character.isalpha() else None

    def _digit(self, code: int) -> str | None:
        digit = _KEYPAD.get(code, "")
        if not digit.isdigit() or len(self._alt or "") == _MOST_DIGITS:
            return None
        self._alt = (self._alt or "") + digit
        return ""

    def _character(self, digits: str) -> str | None:
        if not digits:
            return None  # Alt alone, which opens a menu
        number = int(digits)
        if number < 0x80:
            return chr(number)
        if self._alt_codes == "unicode":
            return _of_unicode(number)
        if self._alt_codes == "gbk" and 0x8140 <= number <= 0xFEFE:
            try:
                return number.to_bytes(2, "big").decode("gbk")
            except UnicodeDecodeError:
                return None
        return None

    def _hex_digit(self, code: int) -> str | None:
        character = _TYPED.get(code, ("", ""))[0]
        if character in (" ", "\r"):
            return self._end_of_hex()
        digits = (self._hex or "") + character
        if not character or character not in "0123456789abcdef" or len(digits) > _MOST_DIGITS:
            self._hex = None
            return None
        self._hex = digits
        return ""

    def _end_of_hex(self) -> str | None:
        digits, self._hex = self._hex, None
        return _of_unicode(int(digits, 16)) if digits else None


def _of_unicode(number: int) -> str | None:
    is_one = number <= 0x10FFFF and not 0xD800 <= number <= 0xDFFF
    return chr(number) if is_one else None
