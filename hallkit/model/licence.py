"""E-licences (电子证照): their kinds, states and identifiers, and what becomes of a print. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value
from hallkit.model.item import Key

ROOT = "1.2.156.3005.2"
"""Object identifier under which the country's e-licences stand."""
_CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SERIAL_DIGITS = 8


class LicenceState(StrEnum):
    """Whether a licence holds."""

    VALID = "valid"
    EXPIRED = "expired"
    REVOKED = "revoked"
    """Taken back, or replaced by a newer version."""


class PermitState(StrEnum):
    """Where the permission to print one file once stands."""

    OPEN = "open"
    """The file waits for the machine."""
    REDEEMED = "redeemed"
    """The machine was told yes; nobody knows yet what came of it."""
    COMPLETED = "completed"
    """On paper."""
    UNKNOWN = "unknown"
    """The machine cannot say whether it is on paper: for staff."""
    DESTROYED = "destroyed"
    """Over without paper: refused, superseded, too late, or the visit ended."""


class PrintOutcome(StrEnum):
    """What the machine says came of a print."""

    COMPLETED = "completed"
    NOT_STARTED = "not_started"
    """Surely nothing is on paper."""
    UNKNOWN = "unknown"


class LicenceField(Value):
    """A line of a licence, and where it comes from."""

    key: Key
    label: str
    sources: Annotated[tuple[str, ...], Field(alias="from")] = ()
    """Keys of the item's form, or `applicant.…`; the first that says something. None: its key."""
    words: Mapping[str, str] = {}
    """What the option keys of a form mean on the document."""
    unit: str = ""
    date: bool = False
    optional: bool = False
    always: str = ""
    """Stands there whatever the form says."""
    wide: bool = False
    sample: str = ""

    @property
    def named_in(self) -> tuple[str, ...]:
        return self.sources or (self.key,)


class LicenceKind(Value):
    """A kind of licence that the hall issues and prints."""

    key: Key
    title: str
    part: str = ""
    """正本 or 副本, where the document says so."""
    issuer: str
    issuer_label: str
    code: Annotated[str, Field(pattern=r"^[0-9A-Z]{18}[0-9]{3}$")]
    """证照类型代码."""
    issuer_code: Annotated[str, Field(pattern=r"^[0-9A-Z]{18}$")]
    """证照颁发机构代码: a credit code (GB 32100)."""
    holder: Literal["person", "organisation"]
    name: Key
    """Field with the holder's name."""
    design: Key
    """How the document looks."""
    years: Annotated[int, Field(ge=1, le=50)] | None = None
    """How long it holds; none: as long as it is not revoked."""
    number_label: str
    number_key: Key = "number"
    number_prefix: str
    number_from: tuple[str, ...] = ()
    renewed_by: str = ""
    fields: Annotated[tuple[LicenceField, ...], Field(alias="field", min_length=1)]

    def valid_until(self, start: dt.date) -> dt.date | None:
        """The last day of a period that begins on `start`."""
        return None if self.years is None else _years_later(start, self.years) - _DAY


_DAY = dt.timedelta(days=1)


def _years_later(day: dt.date, years: int) -> dt.date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:  # 29 February
        return dt.date(day.year + years, 3, 1)


def state_of(*, valid_until: dt.date | None, revoked: bool, today: dt.date) -> LicenceState:
    """Whether a licence holds on a day; its last day is one of them."""
    if revoked:
        return LicenceState.REVOKED
    if valid_until is not None and valid_until < today:
        return LicenceState.EXPIRED
    return LicenceState.VALID


def serial_number(year: int, sequence: int) -> str:
    """流水号: unique for an issuer's kind."""
    return f"{year}{sequence:0{_SERIAL_DIGITS}d}"


def identifier(*, kind: str, issuer: str, serial: str, version: int) -> str:
    """电子证照标识 (GB/T 36904): root, kind, issuer, serial, version and check character.

    Sure: the parts, their order, the points between them, three digits for the version, and the
    check by ISO/IEC 7064 MOD 37,36 over all characters of the four parts, as published interfaces
    of provinces compute it; identifiers of three authorities agree with it
    (tests/unit/model/test_licence.py), an example in a fourth one's interface does not. Not sure:
    the standard's own text was not at hand, so whether it bounds a serial's length is not known,
    and the codes of kinds and issuers in `kinds.toml` are examples.
    """
    body = (kind, issuer, serial, f"{version:03d}")
    return ".".join((ROOT, *body, check_character("".join(body))))


def identifier_is_valid(text: str) -> bool:
    """True if it has the parts of one, and its check character agrees."""
    if not text.startswith(f"{ROOT}."):
        return False
    *body, check = text.removeprefix(f"{ROOT}.").split(".")
    joined = "".join(body)
    return (
        len(body) == 4
        and all(body)
        and all(character in _CHARACTERS for character in joined)
        and check_character(joined) == check
    )


def check_character(text: str) -> str:
    """ISO/IEC 7064, MOD 37,36: one wrong or two swapped characters are noticed."""
    product = 36
    for character in text:
        product = (_CHARACTERS.index(character) + product) % 36 or 36
        product = product * 2 % 37
    return _CHARACTERS[(37 - product) % 36]
