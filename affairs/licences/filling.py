"""What stands on a licence: from the form, the applicant, and the licence before it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from hallkit.guide.forms import uscc_is_valid
from hallkit.model.base import Value
from hallkit.model.conditions import FactValue
from hallkit.model.licence import LicenceField, LicenceKind
from hallkit.wire.cases_api import CaseContent

_APPLICANT = "applicant."
_CREDIT_CODE = "uscc"
_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_SEQUENCE_DIGITS = 7


class LicenceContent(Value):
    """What is personal in a licence; sealed wherever it is kept."""

    number: str
    """证照编号: what people call its number."""
    fields: dict[str, FactValue] = Field(repr=False)

    def __repr__(self) -> str:
        return "LicenceContent(masked)"

    def holder(self, kind: LicenceKind) -> str:
        return str(self.fields.get(kind.name, ""))


@dataclass(frozen=True, slots=True)
class Filled:
    """The fields of a licence, and what is missing."""

    fields: Mapping[str, FactValue] = field(repr=False)
    missing: tuple[str, ...]


def filled(
    kind: LicenceKind, content: CaseContent, former: Mapping[str, FactValue] | None = None
) -> Filled:
    """What the case says comes first; what it leaves out the former licence says."""
    before = former or {}
    fields: dict[str, FactValue] = {}
    for one in kind.fields:
        value = one.always or _said(one, content)
        if value is None:
            value = before.get(one.key)
        if value is not None:
            fields[one.key] = value
    missing = [one.key for one in kind.fields if not one.optional and one.key not in fields]
    return Filled(fields, tuple(missing))


def number_said(kind: LicenceKind, content: CaseContent) -> str:
    """The number of the licence that the case renews or replaces; empty if it names none."""
    for key in kind.number_from:
        value = content.values.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return ""


def new_number(kind: LicenceKind, sequence: int) -> str:
    """A number that no licence of the kind has yet: an example of the issuer's own."""
    body = f"{kind.number_prefix}{sequence:0{_SEQUENCE_DIGITS}d}"
    if kind.number_key != _CREDIT_CODE:
        return body
    return next(body + one for one in _CREDIT_CHARACTERS if uscc_is_valid(body + one))


def _said(one: LicenceField, content: CaseContent) -> FactValue | None:
    for name in one.named_in:
        value: FactValue | None
        if name.startswith(_APPLICANT):
            value = getattr(content.applicant, name.removeprefix(_APPLICANT), None)
        else:
            value = content.values.get(name)
        if value not in (None, "", ()):
            return value
    return None
