"""Every layout, and which one a file has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from affairs.exchange import guangdong, national, sichuan
from affairs.exchange.draft import Draft, Imported, finish
from affairs.exchange.source import Note, Row, Source
from affairs.exchange.source import read as read_source
from hallkit.model.item import Item


@dataclass(frozen=True, slots=True)
class Layout:
    """How one system writes its items."""

    name: str
    fits: Callable[[Row], bool]
    read: Callable[[Iterable[Row], list[Note]], Iterator[Draft]]
    write: Callable[[Item, Iterable[str]], dict[str, Any]]
    cleaned: Callable[[Row], dict[str, Any]]


LAYOUTS: Mapping[str, Layout] = {
    module.NAME: Layout(module.NAME, module.fits, module.read, module.write, module.cleaned)
    for module in (guangdong, sichuan, national)
}
"""In the order in which they are tried."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What several files gave together."""

    items: tuple[Imported, ...]
    notes: tuple[Note, ...]
    repeated: int = 0
    """Rows that said the same as another with the same code."""


def detect(row: Row) -> Layout | None:
    """The layout of a row, by its fields."""
    return next((layout for layout in LAYOUTS.values() if layout.fits(row)), None)


def read(paths: Iterable[Path]) -> Batch:
    """Every item of the files. Files of one layout are read together: tables side by side."""
    notes: list[Note] = []
    together: dict[str, list[Row]] = {}
    for path in paths:
        source = read_source(path)
        if source.rows:
            _assign(source, together)
        notes += source.notes
    found: list[Imported] = []
    for name, rows in together.items():
        layout = LAYOUTS[name]
        by_place = {(row.file, row.line): row for row in rows}
        for draft in layout.read(rows, notes):
            result = finish(draft)
            if isinstance(result, str):
                notes.append(Note(draft.file, draft.line, f"left out: {result}", loss=True))
            else:
                found.append(_with_kept(result, layout, by_place[draft.file, draft.line]))
    apart = tuple(_told_apart(found))
    return Batch(apart, tuple(notes), len(found) - len(apart))


def _assign(source: Source, together: dict[str, list[Row]]) -> None:
    """Each row to its layout; one that shows none, to that of most rows of its file."""
    found = [detect(row) for row in source.rows]
    votes = Counter(layout.name for layout in found if layout is not None)
    if votes.total() * 2 < len(found):
        names = ", ".join(sorted({name for row in source.rows[:20] for name in row.fields})[:12])
        known = ", ".join(LAYOUTS)
        source.lose(0, f"is of no known layout ({known}); its fields: {names:.200}")
        return
    usual = votes.most_common(1)[0][0]
    for row, layout in zip(source.rows, found, strict=True):
        together.setdefault(layout.name if layout else usual, []).append(row)


def _with_kept(found: Imported, layout: Layout, row: Row) -> Imported:
    """With those fields of the source that the item cannot give back."""
    ours = layout.write(found.item, found.missing)
    kept = _differing(layout.cleaned(row), ours)
    return Imported(
        found.item, found.file, found.line, found.layout, found.missing, found.warnings, kept
    )


def _differing(source: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in source.items():
        if isinstance(value, dict):
            if inner := _differing(value, ours.get(name, {})):
                found[name] = inner
        elif ours.get(name) != value:
            found[name] = value
    return found


def _told_apart(found: Iterable[Imported]) -> Iterator[Imported]:
    """Each with a code of its own: what repeats an item is dropped, what differs is numbered."""
    taken: dict[str, list[Imported]] = {}
    for entry in found:
        code = entry.item.catalog_code
        others = taken.setdefault(code, [])
        same = next((o for o in others if _content(o.item) == _content(entry.item)), None)
        if same is not None:
            continue
        others.append(entry)
        if len(others) == 1:
            yield entry
            continue
        suffix = f"~{len(others)}"
        fresh = entry.item.model_copy(
            update={"catalog_code": f"{code[: 64 - len(suffix)]}{suffix}"}
        )
        first = others[0]
        told = f"the code {code!r} is also that of {first.file}:{first.line}, numbered {suffix}"
        yield Imported(
            fresh,
            entry.file,
            entry.line,
            entry.layout,
            entry.missing,
            (*entry.warnings, told),
            entry.kept,
        )


def _content(item: Item) -> Item:
    return item.model_copy(update={"catalog_code": ""})
