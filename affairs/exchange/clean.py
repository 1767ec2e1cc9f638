"""Dirt off a field: entities, tags, odd spaces, words that say nothing, numbers in words.

All functions take whatever a source holds and never raise; None is: nothing usable there.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Literal

from affairs.exchange.tables import tables

LONGEST = 20_000
"""Characters of one field; more is cut and told."""
MOST_DAYS = 3650

_AMP = re.compile(r"&(?:amp;?)+", re.IGNORECASE)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
# Latin names only: law texts put titles into <…> as well.
_TAG = re.compile(r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff]"
)
_SPACE = re.compile(r"\s+")
_ROUNDS = 64
_NUMBER = re.compile(r"\d{1,9}")
_BARE_NUMBER = re.compile(r"[+-]?\d{1,9}(?:\.0+)?")

DayType = Literal["working", "calendar"]


def text(value: Any) -> str | None:
    """One line of plain text. Cleaning what is clean changes nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = int(value) if value.is_integer() else value
    if not isinstance(value, (str, int, float)):
        return None
    found = plain(str(value))
    return None if found.casefold() in tables().nothing else found or None


def plain(found: str) -> str:
    """The text without entities, tags and control characters, its spaces single."""
    found = found[: LONGEST * 4].encode("utf-8", "replace").decode("utf-8")
    for _ in range(_ROUNDS):
        before = found
        found = _AMP.sub("&", found)
        found = html.unescape(found).encode("utf-8", "replace").decode("utf-8")
        found = _HIDDEN.sub(" ", found)
        found = _TAG.sub(" ", found)
        found = _CONTROL.sub("", found)
        found = _SPACE.sub(" ", found).strip()[:LONGEST].strip()
        if found == before:
            break
    return found


def texts(value: Any, *, separators: str | None = None) -> list[str]:
    """Each text of a list, of a list written as JSON, or of a text with separators; once each."""
    if isinstance(value, str):
        value = _listed(value, tables().separators if separators is None else separators)
    elif not isinstance(value, (list, tuple)):
        value = [value]
    found = (text(_name(entry)) for entry in value)
    return list(dict.fromkeys(entry for entry in found if entry))


def words(value: Any) -> list[str]:
    """Each word of a list or of a text with separators, where no word holds a comma."""
    parts = (part for entry in texts(value) for part in re.split("[,，;；^]", entry))
    found = (text(part) for part in parts)
    return list(dict.fromkeys(entry for entry in found if entry))


def number(value: Any, *, most: int = 10**9) -> int | None:
    """A whole number from 0 to `most`, however it is written."""
    if isinstance(value, bool):
        return None
    found = text(value)
    if found is None or not _BARE_NUMBER.fullmatch(found.replace(",", "")):
        return _counted(found, most)
    whole = int(float(found.replace(",", "")))
    return whole if 0 <= whole <= most else None


def flag(value: Any) -> bool | None:
    """Yes or no."""
    if isinstance(value, bool):
        return value
    word = (text(value) or "").casefold()
    if not word and isinstance(value, str):
        word = value.strip().casefold()
    if word in tables().yes:
        return True
    return False if word in tables().no else None


def days(value: Any, kind: Any = None) -> tuple[int, DayType] | None:
    """A time limit: how many days and of which kind. While you wait is 0 working days."""
    found = text(value)
    if found is None:
        return None
    words = tables().days
    if found in words.now:
        return 0, "working"
    unit: DayType = "calendar" if kind == "calendar" else "working"
    bare = number(found, most=MOST_DAYS)
    if bare is not None and _BARE_NUMBER.fullmatch(found):
        return bare, unit
    for name, factor, of in _units():
        match = re.search(
            rf"([\d{_numerals()}]+)\s*[(（]?\s*{words.counter}?\s*{re.escape(name)}", found
        )
        if match and (count := _count(match[1])) is not None:
            # Part of a day is a day.
            total = count * factor if factor else 1
            return (total, of) if total <= MOST_DAYS else None
    return None


def _units() -> Iterable[tuple[str, int, DayType]]:
    words = tables().days
    for name, factor in words.working.items():
        yield name, factor, "working"
    for name, factor in words.calendar.items():
        yield name, factor, "calendar"


def _numerals() -> str:
    words = tables().days
    return words.numerals + words.ten + words.hundred + words.two


def _count(written: str) -> int | None:
    """30, 三十, 二十五, 一百二十 …"""
    if written.isdecimal():
        return int(written) if len(written) <= 6 else None
    words = tables().days
    total, digit, seen = 0, 0, False
    for character in written:
        if character == words.hundred:
            total += (digit if seen else 1) * 100
            digit, seen = 0, False
        elif character == words.ten:
            total += (digit if seen else 1) * 10
            digit, seen = 0, False
        elif character == words.two:
            digit, seen = 2, True
        elif character in words.numerals and not seen:
            digit, seen = words.numerals.index(character), True
        elif character in words.numerals and digit == 0:
            digit = words.numerals.index(character)
        else:
            return None
    return total + digit


def _counted(found: str | None, most: int) -> int | None:
    """The one number in a short text such as a count with its unit."""
    if found is None or len(found) > 8 or "-" in found or "." in found:
        return None
    numbers = _NUMBER.findall(found)
    if len(numbers) != 1:
        return None
    whole = int(numbers[0])
    return whole if 0 <= whole <= most else None


def _listed(written: str, separators: str) -> list[Any]:
    stripped = written.strip()
    if stripped.startswith("[") and stripped.endswith("]"):
        try:
            found = json.loads(stripped)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, list):
            return found
    return re.split(f"[{re.escape(separators)}]", written) if separators else [written]


def _name(entry: Any) -> Any:
    """Of an object in a list, what names it."""
    if not isinstance(entry, dict):
        return entry
    named = [value for key, value in entry.items() if "name" in str(key).casefold()]
    return named[0] if named else None
