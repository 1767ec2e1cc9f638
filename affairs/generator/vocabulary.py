"""The words and numbers of a generated hall."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field

from hallkit.model.item import Handling

HANDLINGS: tuple[Handling, ...] = get_args(Handling)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Numbers(_Part):
    """What a filled hall counts (`affairs.census.count`), and what it keeps to besides."""

    items: int
    combed: int
    materials: int
    situations: int
    bundles: int
    instant: int
    instant_terminal: int
    city_wide: int
    town: int
    departments: int
    windows: int
    division: str
    towns: tuple[str, ...]
    scene_share: float


class Matter(NamedTuple):
    """Something that is dealt with at a desk."""

    name: str
    short: str
    kind: str


class Desk(_Part):
    """A desk of the hall map, by what its windows say that they do."""

    business: str
    theme: str
    upstream: tuple[str, ...]
    town: bool = False
    matters: tuple[str, ...]

    def parsed(self) -> tuple[Matter, ...]:
        return tuple(Matter(*text.split("|")) for text in self.matters)


class Kind(_Part):
    """A kind of matter: its handlings in the words of official names."""

    task_type: str
    letter: str
    result: str
    new: str = ""
    change: str = ""
    renew: str = ""
    replace: str = ""
    cancel: str = ""
    query: str = ""
    other: str = ""

    def handlings(self) -> tuple[tuple[Handling, str], ...]:
        return tuple((name, getattr(self, name)) for name in HANDLINGS if getattr(self, name))


class MaterialWords(_Part):
    key: str
    material_name: str
    plain_name: str = ""
    material_type: str = "original"
    material_format: str = "either"
    for_: tuple[Handling, ...] = Field(HANDLINGS, alias="for")
    source_type: str = "applicant"
    source: str
    fill_explain: str = ""
    accept_stand: str = ""
    page_format: str = ""
    page_num: int = 1
    page_copy_num: int = 0
    may_follow: int = 0
    """Working days; 0 may not."""
    pledge: str = ""
    by_law: str = ""
    held_as: str = ""
    is_need: bool = True
    review: tuple[str, ...] = ()


class OptionWords(_Part):
    key: str
    label: str
    explain: str = ""
    materials: tuple[str, ...] = ()


class QuestionWords(_Part):
    key: str
    text: str
    why: str
    for_: tuple[Handling, ...] = Field(HANDLINGS, alias="for")
    kinds: tuple[str, ...] = ()
    options: tuple[OptionWords, ...]


class FeeWords(_Part):
    name: str
    stands: tuple[str, ...]
    basis: str
    relief: str


class CommonWords(_Part):
    scene: str
    scene_once: str
    hours: str
    phone: str
    complaint: str
    law: str
    flow: str
    special: str
    dept_type: str
    depth: str
    question_days: str
    answer_instant: str
    answer_days: str
    question_agent: str
    answer_agent: str
    people: tuple[str, ...]
    units: tuple[str, ...]


class RuleWords(_Part):
    key: str
    kind: str = "decision"
    for_: tuple[Handling, ...] = Field(HANDLINGS, alias="for")
    text: str
    fact: str
    op: str = "eq"
    value: bool | int | str = True
    mask: bool = False
    passed: str
    failed: str
    what_to_do: str


class FormWords(_Part):
    name: str
    plain_name: str
    declaration: str
    about: str
    matter: str
    sign: str
    reasons: tuple[str, ...]
    fields: tuple[str, ...]
    number: str
    reason: str
    agreed: str
    signature: str


class BundleWords(_Part):
    theme: str
    name: str
    summary: str
    events: tuple[str, ...]
    more_text: str
    more_why: str
    more_none: str
    site_text: str
    site_why: str
    own: str
    rented: str


class Words(_Part):
    kinds: dict[str, Kind]
    plain: dict[Handling, str]
    terms: dict[Handling, tuple[str, ...]]
    steps: dict[Handling, tuple[str, ...]]
    conditions: dict[Handling, str]
    materials: tuple[MaterialWords, ...]
    questions: tuple[QuestionWords, ...]
    option_materials: dict[str, str]
    option_held: dict[str, str]
    fees: FeeWords
    common: CommonWords
    rules: tuple[RuleWords, ...]
    form: FormWords
    bundles: BundleWords


class _Matters(_Part):
    desk: tuple[Desk, ...]


@cache
def numbers() -> Numbers:
    return Numbers.model_validate(_toml("hall.toml"))


@cache
def words() -> Words:
    return Words.model_validate(_toml("words.toml"))


@cache
def desks() -> tuple[Desk, ...]:
    return _Matters.model_validate(_toml("matters.toml")).desk


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))
