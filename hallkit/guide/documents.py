"""What a page is and what stands on it, from the lines that were read.

    page = recognise(text, stamps)          # kind, side, fields, each checked as far as it can be

A recogniser is as sure of a misread line as of a right one. So a field counts as checked only if a
check digit or another field agrees: GB 11643 (identity numbers, with birth and sex), GB 32100
(credit codes), the terms that identity cards are issued for. Kinds and labels are data
(`hallkit/lexicon/documents.toml`).
"""

from __future__ import annotations

import datetime as dt
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from hallkit.guide.forms import uscc_is_valid
from hallkit.model.base import Value
from hallkit.model.document import (
    Box,
    DocumentField,
    FieldState,
    PageText,
    PrintedLine,
    RecognisedPage,
)
from hallkit.model.identity import id_number_is_valid

LONG_TERM = "long_term"
"""Value of a date that never comes: 长期."""

Sort = Literal["text", "name", "address", "date", "period", "id_number", "uscc", "licence_number"]


class Side(Value):
    """One side or part of a kind of document."""

    title: str = ""
    also: str = ""
    """A word that tells this side from another with the same title."""
    marks: tuple[str, ...] = ()
    needs: int = 0


class FieldPlace(Value):
    """Where a field stands: behind, right of, or below one of its labels."""

    model_config = ConfigDict(populate_by_name=True)

    labels: tuple[str, ...]
    sort: Sort = Field(alias="as")


class Kind(Value):
    """A kind of document."""

    called: tuple[str, ...]
    sides: dict[str, Side]
    whole: tuple[str, ...] = ()
    core: tuple[str, ...] = ()
    periods_years: tuple[int, ...] = ()
    fields: dict[str, FieldPlace] = {}


_BLANKS = re.compile(r"\s+")
_EDGES = ":;,.·"
_FAR = 0.2
"""Share of the width beyond which a value is another field's, whose label was not read."""
_ID_NUMBER = re.compile(r"(?<!\d)\d{17}[\dXx](?!\d)")
_USCC = re.compile(r"(?<![0-9A-Z])[0-9A-Z]{18}(?![0-9A-Z])")
_LICENCE_NUMBER = re.compile(r"[A-Z]{2}\d{14}")
_NEVER_IN_USCC = str.maketrans({"O": "0", "I": "1", "Z": "2", "S": "5"})
"""GB 32100 leaves these out because they are mistaken for digits."""


def normal(text: str) -> str:
    """For comparing: NFKC, no blanks; `：` is `:`, and a compatibility form is its character."""
    return _BLANKS.sub("", unicodedata.normalize("NFKC", text))


@cache
def kinds() -> Mapping[str, Kind]:
    """The kinds of documents that are known."""
    table = {name: told for name, told in _table().items() if name != "words"}
    return TypeAdapter(dict[str, Kind]).validate_python(table)


def joining() -> tuple[str, ...]:
    """Words by which a material's name joins several documents."""
    return tuple(_table()["words"]["joining"])


def recognise(text: PageText, stamps: Sequence[Box] = ()) -> RecognisedPage:
    """Kind, side, fields and page number of an upright page."""
    lines = [
        PrintedLine(text=normal(line.text), box=line.box)
        for line in text.lines
        if normal(line.text)
    ]
    kind, side = _kind_of(lines)
    found = _fields(kinds()[kind], lines) if kind else {}
    page, pages = _numbering(lines)
    return RecognisedPage(
        kind=kind,
        side=side,
        fields=tuple(
            DocumentField(key=key, value=value, state=state)
            for key, (value, state) in found.items()
        ),
        stamps=tuple(stamps),
        page=page,
        pages=pages,
        letters=sum(len(line.text) for line in lines),
    )


# ── Kind ─────────────────────────────────────────────────────────────────────────────────────


def _kind_of(lines: Sequence[PrintedLine]) -> tuple[str, str]:
    """The kind and side with most evidence; empty if two have as much, or none enough."""
    evidence: list[tuple[int, bool, str, str]] = []
    for name, kind in kinds().items():
        for key, side in kind.sides.items():
            marks = sum(any(begins(line.text, mark) for line in lines) for mark in side.marks)
            titled = not side.title or any(_is_title(line.text, side.title) for line in lines)
            also = not side.also or any(side.also in line.text for line in lines)
            if titled and also and marks >= side.needs:
                evidence.append((marks + 3 * bool(side.title), bool(side.also), name, key))
    evidence.sort(reverse=True)
    if not evidence:
        return "", ""
    best = evidence[0]
    if len(evidence) > 1 and evidence[1][:2] == best[:2] and evidence[1][2] != best[2]:
        return "", ""
    return best[2], best[3]


def begins(text: str, phrase: str) -> bool:
    """True if the line begins with the phrase; of four characters and more, one may be misread."""
    head = text[: len(phrase)]
    if head == phrase:
        return True
    if len(phrase) < 4 or len(head) < len(phrase):
        return False
    return sum(one != other for one, other in zip(head, phrase, strict=True)) <= 1


def _is_title(text: str, title: str) -> bool:
    return len(text) <= len(title) + 2 and begins(text, normal(title))


def _numbering(lines: Sequence[PrintedLine]) -> tuple[int | None, int | None]:
    words = _table()["words"]
    for line in lines:
        page = re.search(words["page"], line.text)
        pages = re.search(words["pages"], line.text)
        if page and pages and 1 <= int(page[1]) <= int(pages[1]):
            return int(page[1]), int(pages[1])
    return None, None


# ── Fields ───────────────────────────────────────────────────────────────────────────────────

Found = dict[str, tuple[str, FieldState]]


def _fields(kind: Kind, lines: Sequence[PrintedLine]) -> Found:
    found: Found = {}
    labels = [label for place in kind.fields.values() for label in place.labels]
    for key, place in kind.fields.items():
        for raw in _values(place, lines, labels):
            for name, value in _parsed(key, place.sort, raw):
                if name not in found or found[name][1] == "failed":
                    found[name] = value
    _compare_with_number(found)
    _check_term(found, kind.periods_years)
    return found


def _values(
    place: FieldPlace, lines: Sequence[PrintedLine], labels: Sequence[str]
) -> Iterator[str]:
    """What may be the field's value, the likeliest first."""
    for label in place.labels:
        for line in lines:
            if not begins(line.text, label):
                continue
            rest = line.text[len(label) :].lstrip(_EDGES)
            if rest:
                yield rest + (_continued(line, lines, labels) if place.sort == "address" else "")
            elif (value := _right_of(line, lines, labels)) is not None:
                more = _continued(value, lines, labels) if place.sort == "address" else ""
                yield value.text + more
    # What has a check digit is known for what it is wherever it stands, over the end of a line too.
    whole = "".join(line.text for line in lines)
    if place.sort == "id_number":
        yield from _ID_NUMBER.findall(whole)
        yield from (number for line in lines for number in _ID_NUMBER.findall(line.text))
    elif place.sort == "uscc":
        yield from (code for line in lines for code in _USCC.findall(line.text))


def _right_of(
    label: PrintedLine, lines: Sequence[PrintedLine], labels: Sequence[str]
) -> PrintedLine | None:
    """The nearest line in the same row."""
    middle = (label.box.top + label.box.bottom) / 2
    row = [
        line
        for line in lines
        if line is not label
        and -0.01 <= line.box.left - label.box.right < _FAR
        and abs((line.box.top + line.box.bottom) / 2 - middle)
        < 0.7 * max(label.box.height, line.box.height)
    ]
    nearest = min(row, key=lambda line: line.box.left, default=None)
    if nearest is None or any(nearest.text == label for label in labels):
        return None
    return nearest


def _continued(start: PrintedLine, lines: Sequence[PrintedLine], labels: Sequence[str]) -> str:
    """The lines below that begin where this one does."""
    more, above = "", start
    for line in sorted(lines, key=lambda line: line.box.top):
        gap = line.box.top - above.box.bottom
        below = -0.5 * above.box.height < gap < 0.8 * above.box.height
        if line.box.top <= above.box.top or not below or abs(line.box.left - start.box.left) > 0.03:
            continue
        if any(begins(line.text, label) for label in labels):
            break
        more, above = more + line.text, line
    return more


def _parsed(key: str, sort: Sort, raw: str) -> Iterator[tuple[str, tuple[str, FieldState]]]:
    """The field, or the two fields, that a text is."""
    match sort:
        case "id_number":
            number = raw.upper()
            yield key, (number, "checked" if id_number_is_valid(number) else "failed")
        case "uscc":
            code = raw.upper().translate(_NEVER_IN_USCC)
            yield key, (code, "checked" if uscc_is_valid(code) else "failed")
        case "licence_number":
            whole = _LICENCE_NUMBER.fullmatch(raw.upper()) is not None
            yield key, (raw.upper(), "read" if whole else "failed")
        case "date":
            days = dates(raw)
            yield key, (days[0], "read") if days else (raw, "failed")
        case "period":
            days = dates(raw)
            if days:
                yield key, (days[-1], "read")
            if len(days) == 2:
                yield "valid_from", (days[0], "read")
            if not days:
                yield key, (raw, "failed")
        case _:
            if raw.strip(_EDGES):
                yield key, (raw.strip(_EDGES), "read")


def dates(text: str) -> list[str]:
    """Days in a text, as 2026-01-31, and `long_term`; none if one of them does not exist."""
    found = []
    for year, month, day in re.findall(_table()["words"]["date"], text):
        try:
            found.append(dt.date(int(year), int(month), int(day)).isoformat())
        except ValueError:
            return []
    return [*found, LONG_TERM] if _table()["words"]["long_term"] in text else found


def _compare_with_number(found: Found) -> None:
    """Birth and sex stand in the identity number too."""
    number, state = found.get("id_number", ("", "failed"))
    if state != "checked":
        return
    words = _table()["words"]
    born = dt.date(int(number[6:10]), int(number[10:12]), int(number[12:14])).isoformat()
    sex = words["male"] if int(number[16]) % 2 else words["female"]
    for key, right in (("birth", born), ("sex", sex)):
        if key in found:
            value, _ = found[key]
            found[key] = (value, "checked" if value == right else "failed")


def _check_term(found: Found, years: Sequence[int]) -> None:
    """Identity cards are issued for five, ten or twenty years, or without an end."""
    if not years or "valid_from" not in found or "valid_to" not in found:
        return
    start, end = found["valid_from"][0], found["valid_to"][0]
    if end == LONG_TERM:
        return
    first, last = dt.date.fromisoformat(start), dt.date.fromisoformat(end)
    # A term that begins on a 29th of February ends on one of two days.
    fits = last.year - first.year in years and (
        (first.month, first.day) == (last.month, last.day) or (first.month, first.day) == (2, 29)
    )
    state: FieldState = "checked" if fits else "failed"
    found["valid_from"], found["valid_to"] = (start, state), (end, state)


@cache
def _table() -> Mapping[str, Any]:
    place = resources.files("hallkit.lexicon").joinpath("documents.toml")
    return tomllib.loads(place.read_text(encoding="utf-8"))
