"""Chip cards (ISO 7816): what one is, what it answers, and whose it is."""

from __future__ import annotations

from enum import StrEnum

from hallkit.model.base import Value


class ChipCardKind(StrEnum):
    """As far as a card says without keys."""

    SOCIAL_SECURITY = "social_security"
    """It has the application of the social-security environment."""
    UNKNOWN = "unknown"


class ChipCard(Value):
    """A card that lies there. Its ATR may tell it from others: never in logs or topics."""

    kind: ChipCardKind
    atr: bytes
    """Answer to reset, as the card gave it."""

    def __repr__(self) -> str:
        return f"ChipCard(kind={self.kind!r}, masked)"

    __str__ = __repr__


class CardSays(StrEnum):
    """What a status word means (ISO 7816-4, table 5), where somebody here tells it apart."""

    DONE = "done"
    """9000"""
    BLOCKED = "blocked"
    """6283: what was chosen is no longer valid."""
    WARNING = "warning"
    """62xx, 63xx: done, with something to note."""
    NOT_FOUND = "not_found"
    """6A82, 6A83: no such file, application or record."""
    NOT_ALLOWED = "not_allowed"
    """6982, 6983, 6985, 6986: without a key, a number, or in this state."""
    NOT_KNOWN = "not_known"
    """6A81, 6D00, 6E00: the card does not know the command."""
    WRONG_PARAMETERS = "wrong_parameters"
    """67xx, 6A80, 6A86, 6A87, 6B00"""
    FAILED = "failed"
    """64xx, 65xx, 6F00: the card itself is not well."""
    OTHER = "other"


_EXACT = {
    0x9000: CardSays.DONE,
    0x6283: CardSays.BLOCKED,
    0x6A82: CardSays.NOT_FOUND,
    0x6A83: CardSays.NOT_FOUND,
    0x6982: CardSays.NOT_ALLOWED,
    0x6983: CardSays.NOT_ALLOWED,
    0x6985: CardSays.NOT_ALLOWED,
    0x6986: CardSays.NOT_ALLOWED,
    0x6A81: CardSays.NOT_KNOWN,
    0x6D00: CardSays.NOT_KNOWN,
    0x6E00: CardSays.NOT_KNOWN,
    0x6A80: CardSays.WRONG_PARAMETERS,
    0x6A86: CardSays.WRONG_PARAMETERS,
    0x6A87: CardSays.WRONG_PARAMETERS,
    0x6B00: CardSays.WRONG_PARAMETERS,
    0x6F00: CardSays.FAILED,
}
_BY_FIRST_BYTE = {
    0x62: CardSays.WARNING,
    0x63: CardSays.WARNING,
    0x64: CardSays.FAILED,
    0x65: CardSays.FAILED,
    0x67: CardSays.WRONG_PARAMETERS,
}


class ApduAnswer(Value):
    """What a card answered; its data may be a person's."""

    data: bytes
    status: int
    """SW1 SW2 as one number: 0x9000."""

    @property
    def says(self) -> CardSays:
        by_first_byte = _BY_FIRST_BYTE.get(self.status >> 8, CardSays.OTHER)
        return _EXACT.get(self.status, by_first_byte)

    def __repr__(self) -> str:
        return f"ApduAnswer({len(self.data)} bytes, {self.status:04X})"

    __str__ = __repr__


class Cardholder(Value):
    """What is printed on a social-security card. Personal data: never in topics, logs, on disk."""

    name: str
    number: str
    """Social-security number: the holder's citizen number."""
    card_number: str = ""

    def __repr__(self) -> str:
        return "Cardholder(masked)"

    __str__ = __repr__
