"""Rows of a file, whatever its form and encoding: JSON lines, one JSON text, CSV.

Nothing in a file stops the reading of the rest: what cannot be read is noted with its line.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from affairs.exchange.clean import LONGEST

LONGEST_LINE = 4 * 1024 * 1024
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, slots=True)
class Note:
    """Something about one place of a source. A loss is a row or file that was left out."""

    file: str
    line: int
    message: str
    loss: bool = False

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Names are in lower case."""

    file: str
    line: int
    fields: Mapping[str, Any]
    table: str = ""
    """Of parallel tables: which one, as the source says."""


@dataclass(slots=True)
class Source:
    """What could be read of a file."""

    name: str
    rows: list[Row] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def note(self, line: int, message: str) -> None:
        self.notes.append(Note(self.name, line, message))

    def lose(self, line: int, message: str) -> None:
        self.notes.append(Note(self.name, line, message, loss=True))


def read(path: Path) -> Source:
    """Every row of the file that can be read."""
    source = Source(path.name)
    try:
        content = path.read_bytes()
    except OSError as exc:
        source.lose(0, f"cannot be read: {exc.strerror}")
        return source
    if not content.strip():
        source.lose(0, "is empty")
        return source
    lines = _lines(content, source)
    first = next((line.lstrip() for _, line in lines if line.strip()), "")
    if first.startswith(("{", "[")):
        _json(lines, source)
    else:
        _csv(lines, source, path.stem)
    if not source.rows and not any(note.loss for note in source.notes):
        source.lose(0, "holds no rows")
    return source


def _lines(content: bytes, source: Source) -> list[tuple[int, str]]:
    """Lines with their numbers, as UTF-8 or, if that does not fit, GB 18030."""
    encoding = _BOMS.get(content[:2], "")
    if encoding:
        text = content.decode(encoding, "replace")
        return list(enumerate(text.splitlines(keepends=True), start=1))
    content = content.removeprefix(b"\xef\xbb\xbf")
    raw = content.splitlines(keepends=True)
    encoding = "utf-8" if _is_utf8(raw) else "gb18030"
    found = []
    for number, line in enumerate(raw, start=1):
        try:
            found.append((number, line.decode(encoding)))
        except UnicodeDecodeError:
            source.lose(number, f"is not {encoding.upper()} like the rest of the file")
    return found


def _is_utf8(lines: list[bytes]) -> bool:
    """Whether most lines are UTF-8. Texts in GB 18030 next to never are by chance."""
    other = [line for line in lines if not line.isascii()]
    fit = 0
    for line in other:
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            continue
        fit += 1
    return fit * 2 >= len(other)


def _json(lines: list[tuple[int, str]], source: Source) -> None:
    whole = "".join(line for _, line in lines)
    if len([1 for _, line in lines if line.strip()]) == 1 or not _is_object(lines):
        try:
            found = json.loads(whole)
        except (ValueError, RecursionError):
            found = None
        if found is not None:
            _whole(found, source, lines[0][0])
            return
    for number, line in lines:
        if not line.strip():
            continue
        if len(line) > LONGEST_LINE:
            source.lose(number, f"is longer than {LONGEST_LINE} characters")
            continue
        try:
            found = json.loads(line)
        except RecursionError:
            source.lose(number, "is nested too deeply")
            continue
        except ValueError as exc:
            source.lose(number, f"is not JSON: {exc}")
            continue
        _row(found, source, number)


def _is_object(lines: list[tuple[int, str]]) -> bool:
    """Whether the first written line is a JSON object of its own."""
    first = next(line for _, line in lines if line.strip())
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        # A broken first line of many is one bad row; a bracket alone begins one JSON text.
        return len(first.strip()) > 2


def _whole(found: Any, source: Source, line: int) -> None:
    """One JSON text: a list of rows, one row, or tables by name."""
    if isinstance(found, list):
        for number, entry in enumerate(found, start=1):
            _row(entry, source, number)
    elif isinstance(found, dict) and found and all(isinstance(v, list) for v in found.values()):
        for table, entries in found.items():
            for number, entry in enumerate(entries, start=1):
                _row(entry, source, number, str(table))
    else:
        _row(found, source, line)


def _row(found: Any, source: Source, line: int, table: str = "") -> None:
    if not isinstance(found, dict):
        source.lose(line, "is not an object")
        return
    if not found:
        source.lose(line, "is an empty object")
        return
    for key, value in found.items():
        if isinstance(value, str) and len(value) > LONGEST:
            source.note(line, f"{key} has {len(value)} characters, cut after {LONGEST}")
    source.rows.append(Row(source.name, line, lower(found), table))


def lower(found: Mapping[Any, Any]) -> dict[str, Any]:
    """The row with names in lower case; of two that differ in case only, the one that says more."""
    row: dict[str, Any] = {}
    for key, value in found.items():
        name = str(key).strip().strip('`"[]').casefold()
        if row.get(name) in (None, "", []):
            row[name] = value
    return row


def _csv(lines: list[tuple[int, str]], source: Source, table: str) -> None:
    text = "".join(line for _, line in lines).replace("\0", "")
    first = text.partition("\n")[0]
    delimiter = max(",;\t|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    for number, cells in _csv_rows(reader, source):
        if not any(cell.strip() for cell in cells):
            continue
        if not header:
            header = [cell.strip() for cell in cells]
            if len(header) < 2 or any(not name for name in header):
                source.lose(number, "is neither JSON nor CSV with a line of names")
                return
            continue
        if len(cells) != len(header):
            source.lose(number, f"has {len(cells)} columns, the first line names {len(header)}")
            continue
        row = {
            name: None if cell.casefold() in ("null", "\\n") else cell
            for name, cell in zip(header, cells, strict=True)
        }
        _row(row, source, number, table)


def _csv_rows(reader: Any, source: Source) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1
        try:
            cells: list[str] = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            source.lose(line, f"is no CSV row: {exc}")
            continue
        yield line, cells
