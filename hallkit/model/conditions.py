"""Conditions over facts, as data: what a question may skip, a form shows and a rule demands.

    {"fact": "applicant.age", "op": "ge", "value": 60}
    {"all": [{"fact": "form.area", "op": "le", "value": 50}, {"not": {"fact": "…", …}}]}

A fact is named `<source>.<name>`; the sources are in `FACT_SOURCES`. A fact that nobody knows
makes a test neither true nor false: `hallkit.guide.conditions.evaluate` answers None for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from hallkit.model.base import Value

FactValue = bool | int | float | str | tuple[str, ...]
Facts = Mapping[str, FactValue]
"""Fact name → what is known of it. An absent name is unknown."""

FACT_SOURCES: Mapping[str, str] = {
    "applicant": "the card or what the person said: `applicant.age` in whole years, "
    "`applicant.sex` (GB/T 2261.1), `applicant.residence` (GB/T 2260, 6 or 9 digits), "
    "`applicant.kind` (person, company, sole_trader)",
    "held": "`held.<kind>` is true if the e-licence or card of this kind is at hand and in date",
    "answer": "`answer.<question>` holds the key, or the keys, of the chosen option; once the "
    "questions are over, one that was not asked is empty, which no option equals",
    "form": "`form.<field>` as filled in",
    "licence": "`licence.<kind>.<field>` of a licence at hand",
    "upstream": "`upstream.<system>.<field>` as the system answered",
    "today": "`today.date` as YYYY-MM-DD, `today.year`",
}

APPLICANT_FACTS = ("age", "sex", "residence", "kind", "ethnicity")

Operator = Literal[
    "eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "starts_with", "known"
]
"""`contains` asks a list for one word, `in` a word for its list; `known` takes no value."""


class Test(Value):
    """One comparison."""

    __test__ = False  # a value, not a test case

    fact: Annotated[str, Field(pattern=r"^[a-z]+(\.[a-z0-9_-]+){1,2}$")]
    op: Operator = "eq"
    value: FactValue = True


class AllOf(Value):
    """True if all are; an empty list is true."""

    all: tuple[Condition, ...]


class AnyOf(Value):
    """True if one is; an empty list is false."""

    any: tuple[Condition, ...]


class Not(Value):
    """The opposite."""

    # Written as it is read, whoever dumps the value around it.
    model_config = ConfigDict(serialize_by_alias=True)

    not_: Annotated[Condition, Field(alias="not")]


Condition = Test | AllOf | AnyOf | Not

for _model in (AllOf, AnyOf, Not):
    _model.model_rebuild()
