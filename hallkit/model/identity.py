"""The person on a card, and how much of them may be shown.

Check digits: GB 11643-1999 (weights 7 9 10 5 8 4 2 1 6 3 7 9 10 5 8 4 2, modulus 11).
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from hallkit.model.base import Value

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"


def id_number_is_valid(number: str) -> bool:
    """True if 17 digits and the check character agree (GB 11643-1999) and the birth date exists."""
    if len(number) != 18 or not number.isascii() or not number[:17].isdigit():
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _WEIGHTS, strict=False))
    if _CHECK[total % 11] != number[17].upper():
        return False
    try:
        dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    return True


def mask_id_number(number: str) -> str:
    """`4403**********1234`: the first four and last four stay, as the hall's screens show it."""
    if len(number) < 9:
        return "*" * len(number)
    return number[:4] + "*" * (len(number) - 8) + number[-4:]


def mask_name(name: str) -> str:
    """`张*`, `欧***`: the first character stays, so that the owner knows it and others don't."""
    return name[:1] + "*" * max(1, len(name) - 1) if name else ""


def mask_phone(number: str) -> str:
    """`138****0000`: the network and the last four stay."""
    if len(number) < 9:
        return "*" * len(number)
    return number[:3] + "*" * (len(number) - 7) + number[-4:]


class CardKind(StrEnum):
    """Kinds of card that a resident-card reader reads (markers in the text block)."""

    RESIDENT = "resident"
    HMT_RESIDENT = "J"
    """Residence permit for Hong Kong, Macau and Taiwan residents."""
    FOREIGN_2017 = "I"
    FOREIGN_2023 = "Y"


class IdentityCard(Value):
    """What a card says. Personal data: never in topics, logs, telemetry or on disk in clear."""

    kind: CardKind
    name: str
    number: Annotated[str, StringConstraints(min_length=15, max_length=18)]
    sex_code: str
    """GB/T 2261.1: 0 unknown, 1 male, 2 female, 9 not stated."""
    nation_code: str = ""
    """GB/T 3304; empty on kinds that carry none."""
    birth: dt.date
    address: str = ""
    issuer: str = ""
    valid_from: dt.date | None = None
    valid_to: dt.date | None = None
    """None: 长期 (no end)."""
    english_name: str = ""
    nationality: str = ""
    photo_wlt: bytes = b""
    """Still encoded; a decoder is the operator's plug-in."""

    def expired_on(self, day: dt.date) -> bool:
        return self.valid_to is not None and day > self.valid_to

    def age_on(self, day: dt.date) -> int:
        before_birthday = (day.month, day.day) < (self.birth.month, self.birth.day)
        return day.year - self.birth.year - before_birthday

    def masked(self) -> MaskedIdentity:
        return MaskedIdentity(name=mask_name(self.name), number=mask_id_number(self.number))

    def __repr__(self) -> str:
        """No personal data, so that a log or a traceback that shows it gives nothing away."""
        return f"IdentityCard(kind={self.kind!r}, masked)"

    __str__ = __repr__


class MaskedIdentity(Value):
    """What a screen may show of a person."""

    name: str
    number: str
