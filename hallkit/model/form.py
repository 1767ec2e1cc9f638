"""Form definitions: the fields of an e-form or paper form, who fills them, from where.

Page layouts are no part of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field as Attribute

from hallkit.model.base import Value
from hallkit.model.conditions import Condition
from hallkit.model.item import Key

FieldKind = Literal[
    "text",
    "long_text",
    "number",
    "money",
    "date",
    "choice",
    "choices",
    "yes_no",
    "name",
    "id_number",
    "uscc",
    "phone",
    "address",
    "place",
    "signature",
]
"""`money` is yuan with two decimals, `place` a GB/T 2260 division, `uscc` a 统一社会信用代码."""


class FieldOption(Value):
    """One answer of a choice."""

    key: Key
    label: str
    explain: str = ""


class Limits(Value):
    """What an answer must keep to."""

    min_length: Annotated[int, Attribute(ge=0)] = 0
    max_length: Annotated[int, Attribute(ge=1, le=2000)] = 100
    minimum: float | None = None
    maximum: float | None = None
    not_before: str = ""
    """A date, or `today`, or `today+30`, in days."""
    not_after: str = ""
    unit: str = ""
    """Shown behind a number: 平方米, 人, 元."""


class Field(Value):
    """One field of a form."""

    key: Key
    label: str
    """As printed on the official form."""
    plain_label: str = ""
    """As people would say it; shown first."""
    kind: FieldKind = "text"
    required: bool = True
    limits: Limits = Limits()
    options: tuple[FieldOption, ...] = ()
    filler: Literal["applicant", "clerk", "system"] = "applicant"
    """Who fills it."""
    sources: tuple[str, ...] = ()
    """Where it can be taken from, best first: facts such as `applicant.name`,
    `licence.business_licence.address`, `answer.kind`, `ticket.item`."""
    editable: bool = True
    """May the applicant change what a source gave?"""
    shown_when: Condition | None = None
    """Asked for only if true; unknown counts as true."""
    hint: str = ""
    """One plain sentence: what to write."""
    sample: str = ""
    """As filled in on the sample form; invented."""
    merges_as: str = ""
    """Fields of several forms with the same word here are one field of a bundle's form."""


class Section(Value):
    """A part of a form under one heading."""

    key: Key
    title: str
    fields: Annotated[tuple[Field, ...], Attribute(min_length=1)]


class FormDefinition(Value):
    """A form."""

    code: Key
    name: str
    """As printed on it."""
    plain_name: str = ""
    version: str = "1"
    sections: Annotated[tuple[Section, ...], Attribute(min_length=1)]
    declaration: str = ""
    """What the applicant signs for."""
    sample: bool = True
    """示例数据."""

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(field for section in self.sections for field in section.fields)
