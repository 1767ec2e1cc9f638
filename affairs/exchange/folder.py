"""A catalogue's folder: `items.jsonl`, and `report.jsonl` that says how each item came.

Writing is all or nothing: a reader sees the former files or the new ones, never half of one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from affairs.catalogue_source import REPORT, check
from affairs.exchange.draft import Imported
from affairs.exchange.registry import LAYOUTS
from affairs.exchange.source import Note
from affairs.exchange.tables import tables
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.guide.verify import verify_item
from hallkit.model.base import Value
from hallkit.model.item import Item

ITEMS = "items.jsonl"
_SEVERAL_NAMES = "its main code has another name elsewhere, left out"


class Told(Value):
    """A line of the report: what is known of one item's coming."""

    catalog_code: str
    task_name: str
    layout: str
    file: str
    line: int
    missing: tuple[str, ...] = ()
    """Elements of the national list that the source leaves open, by name."""
    missing_words: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    kept: dict[str, Any] = {}
    """Cleaned fields of the source for which an item has no place."""


_TOLD = TypeAdapter(Told)


@dataclass(frozen=True, slots=True)
class Done:
    """What an import did."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    items: int = 0
    """In the folder afterwards."""
    notes: tuple[Note, ...] = ()
    missing: Mapping[str, int] = field(default_factory=dict)
    """Of the imported items: how many lack this element, most first."""
    told: tuple[Told, ...] = ()
    """Of each imported item."""


def merge(folder: Path, imported: Iterable[Imported], *, replace: bool = False) -> Done:
    """Put the items into the folder: by code, or with `replace` instead of all former ones.

    `ConfigError` if the former items cannot be read; then nothing is changed.
    """
    notes: list[Note] = []
    sound = [entry for entry in imported if _is_sound(entry, notes)]
    folder.mkdir(parents=True, exist_ok=True)
    former = {} if replace else {item.catalog_code: item for item in _items(folder)}
    told = {} if replace else {entry.catalog_code: entry for entry in report(folder)}
    elsewhere = _codes_elsewhere(folder)
    merged = dict(former)
    ours: dict[str, Imported] = {}
    for entry in sound:
        code = entry.item.catalog_code
        if code in elsewhere:
            other = f"left out: {code!r} is also in another file of the catalogue"
            notes.append(Note(entry.file, entry.line, other, loss=True))
        else:
            merged[code] = entry.item
            ours[code] = entry
    doubtful = set(_one_name(merged))
    count: Counter[str] = Counter()
    lines: list[Told] = []
    for code, entry in ours.items():
        known = former.get(code)
        same = known == merged[code]
        count["added" if known is None else "unchanged" if same else "updated"] += 1
        told[code] = _told(entry, [_SEVERAL_NAMES] if code in doubtful else [])
        lines.append(told[code])
    missing = Counter(name for entry in ours.values() for name in entry.missing)
    if lines or replace:
        write(
            folder,
            {
                REPORT: (told[code].model_dump_json() for code in merged if code in told),
                ITEMS: (item.model_dump_json(by_alias=True) for item in merged.values()),
            },
        )
    return Done(
        added=count["added"],
        updated=count["updated"],
        unchanged=count["unchanged"],
        items=len(merged),
        notes=tuple(notes),
        missing=dict(missing.most_common()),
        told=tuple(lines),
    )


def report(folder: Path) -> list[Told]:
    """How each item came, as far as the folder tells. A line that cannot be read tells nothing."""
    found = []
    for _, line in _lines(folder / REPORT):
        try:
            found.append(_TOLD.validate_json(line))
        except ValidationError:
            continue
    return found


def export(
    items: Iterable[Item], layout: str, told: Iterable[Told] = ()
) -> Iterator[dict[str, Any]]:
    """The items as rows of a layout; the report adds what only their own layout knows."""
    known = {entry.catalog_code: entry for entry in told}
    for item in items:
        entry = known.get(item.catalog_code)
        row = LAYOUTS[layout].write(item, entry.missing if entry else ())
        if entry and entry.layout == layout:
            row = _with(row, entry.kept)
        yield row


def _with(row: Mapping[str, Any], kept: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(row)
    for name, value in kept.items():
        found[name] = _with(found.get(name, {}), value) if isinstance(value, dict) else value
    return found


def _told(entry: Imported, warnings: Iterable[str]) -> Told:
    return Told(
        catalog_code=entry.item.catalog_code,
        task_name=entry.item.task_name,
        layout=entry.layout,
        file=entry.file,
        line=entry.line,
        missing=entry.missing,
        missing_words=tuple(tables().elements[name] for name in entry.missing),
        warnings=(*entry.warnings, *warnings),
        kept=dict(entry.kept),
    )


def _is_sound(entry: Imported, notes: list[Note]) -> bool:
    mistakes = [found for found in verify_item(entry.item) if found.level == "error"]
    if mistakes:
        notes.append(Note(entry.file, entry.line, f"left out: {mistakes[0]}", loss=True))
    return not mistakes


def _one_name(items: dict[str, Item]) -> Iterator[str]:
    """Let every main code have one name: the first; an item with another keeps only its name.

    Gives the codes of the items that were changed.
    """
    names: dict[str, str] = {}
    for code, item in items.items():
        if item.main_code and names.setdefault(item.main_code, item.main_name) != item.main_name:
            items[code] = item.model_copy(update={"main_code": ""})
            yield code


def _items(folder: Path) -> list[Item]:
    path = folder / ITEMS
    found = []
    for number, line in _lines(path):
        try:
            found.append(Item.model_validate_json(line))
        except ValidationError as exc:
            told = "is no item; mend it, or import with --replace"
            raise ConfigError([ConfigProblem(path.name, f"line {number}", told)]) from exc
    return found


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.is_file():
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, line


def _codes_elsewhere(folder: Path) -> AbstractSet[str]:
    """Codes of items that stand in other files of the folder."""
    others = {*folder.glob("*.toml"), *folder.glob("items*.jsonl")} - {folder / ITEMS}
    if not others:
        return frozenset()
    own = {item.catalog_code for item in _items(folder)}
    return {item.catalog_code for item in check(folder)[0].items} - own


def write(folder: Path, files: Mapping[str, Iterable[str]]) -> None:
    """Write the lines of these files, each as a whole or not at all; renamed in this order."""
    fresh = {name: folder / f"{name}.new" for name in files}
    try:
        for name, lines in files.items():
            with fresh[name].open("w", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in lines)
                out.flush()
                os.fsync(out.fileno())
        for name, path in fresh.items():
            path.replace(folder / name)
    finally:
        for path in fresh.values():
            path.unlink(missing_ok=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
