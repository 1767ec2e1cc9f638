"""The code tables and words in `tables.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

Table = dict[str, str]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Neutral(_Part):
    """What stands where a source says nothing."""

    dept_name: str
    transact_addr: str
    fee_text: str
    promise_explain: str
    promise_from_legal: str
    theme: str
    service: str
    steps: tuple[str, ...]
    charged: str
    free: str


class Days(_Part):
    now: tuple[str, ...]
    numerals: str
    ten: str
    hundred: str
    two: str
    counter: str
    working: dict[str, int]
    calendar: dict[str, int]


class Names(_Part):
    noise: tuple[str, ...]
    unsorted: tuple[str, ...]


class National(_Part):
    basic: tuple[str, ...]
    extend: tuple[str, ...]
    basic_flags: tuple[str, ...]
    extend_flags: tuple[str, ...]
    hall: tuple[str, ...]
    hall_material: tuple[str, ...]
    task_type: Table
    task_state: Table
    project_type: Table
    handle_type: Table
    server_type: Table
    day_type: Table
    handle_area: Table
    material_type: Table
    material_format: Table
    source_type: Table


class GuangdongWords(_Part):
    no_window: str
    place: str
    working: str
    calendar: str
    yes: str
    no: str
    not_offered: str
    nothing: str


class Guangdong(_Part):
    fields: tuple[str, ...]
    task_type: Table
    use_level: Table
    area: Table
    words: GuangdongWords


class SichuanWords(_Part):
    unsorted: str


class Sichuan(_Part):
    words: SichuanWords


class Tables(_Part):
    """Everything in the file."""

    nothing: frozenset[str]
    yes: frozenset[str]
    no: frozenset[str]
    separators: str
    neutral: Neutral
    days: Days
    handling: dict[str, tuple[str, ...]]
    names: Names
    national: National
    guangdong: Guangdong
    sichuan: Sichuan
    words: dict[str, Table]
    elements: Table


@cache
def tables() -> Tables:
    """The tables, read once."""
    text = Path(__file__).with_name("tables.toml").read_text(encoding="utf-8")
    return Tables.model_validate(tomllib.loads(text))


def code_of(table: Mapping[str, str], word: str) -> str:
    """The code that stands for our word, or nothing."""
    return next((code for code, value in table.items() if value == word), "")
