"""The item lists of Sichuan's portal: names, departments and codes, no guides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from affairs.exchange import clean, codes
from affairs.exchange.draft import Draft
from affairs.exchange.source import Note, Row
from affairs.exchange.tables import tables
from hallkit.model.item import Item

NAME = "sichuan"
_FIELDS = ("department", "main", "name", "item_code", "area", "task_type", "dept_code")
_MARKS = frozenset({"item_code", "department", "main", "dept_code", "area"})


def fits(row: Row) -> bool:
    """Whether the row is of this layout."""
    return "name" in row.fields and len(_MARKS & row.fields.keys()) >= 2


def read(rows: Iterable[Row], _notes: list[Note]) -> Iterator[Draft]:
    """One draft a row."""
    for row in rows:
        draft = Draft(row.file, row.line, NAME)
        name = clean.text(row.fields.get("name"))
        draft.put("task_name", name if name and not name.isascii() else None)
        draft.put("dept_name", clean.text(row.fields.get("department")))
        main = clean.text(row.fields.get("main"))
        if main and main not in tables().names.unsorted:
            draft.put("main_name", main)
        _codes(draft, row)
        _type(draft, row)
        yield draft


def cleaned(row: Row) -> dict[str, Any]:
    """What the row says, without its dirt."""
    found = {name: clean.text(value) for name, value in row.fields.items()}
    return {name: value for name, value in found.items() if value}


def write(item: Item, _missing: Iterable[str]) -> dict[str, Any]:
    """The row that reads as this item, as far as the layout has a place for it."""
    parts = codes.sichuan(item.local_task_code)
    neutral = tables().neutral
    row = {
        "department": "" if item.dept_name == neutral.dept_name else item.dept_name,
        "main": item.main_name or tables().sichuan.words.unsorted,
        "name": item.task_name,
        "item_code": item.local_task_code or item.catalog_code,
        "area": parts.area if parts else "",
        "task_type": item.task_type.lstrip("0"),
        "dept_code": item.dept_code,
    }
    return {name: value for name, value in row.items() if value}


def _codes(draft: Draft, row: Row) -> None:
    code = clean.text(row.fields.get("item_code"))
    if not code or not code.isascii():
        shifted = (clean.text(value) for name, value in row.fields.items() if name != "dept_code")
        code = next((c for c in shifted if c and c.count("-") >= 3 and codes.sichuan(c)), None)
        draft.warn("the code stands in another field" if code else "item_code is missing")
    organisation = clean.text(row.fields.get("dept_code"))
    if code:
        draft.put("local_task_code", code)
        parts = codes.sichuan(code)
        if parts is None:
            draft.warn(f"item_code {code!r} has not the parts of a Sichuan code")
        else:
            draft.put("basic_code", parts.basic)
            # The one in the item's code is nearly always a 统一社会信用代码; the other is mixed.
            organisation = parts.organisation
    if organisation and organisation.isascii():
        draft.put("dept_code", organisation)


def _type(draft: Draft, row: Row) -> None:
    said = clean.text(row.fields.get("task_type"))
    if said is None:
        return
    code = said.zfill(2)
    if code in tables().national.task_type:
        draft.put("task_type", code)
    else:
        draft.warn(f"unknown task type {said!r}")
