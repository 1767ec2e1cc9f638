"""When windows are open: a wait runs only while they are. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Hours:
    """Spans of a working day in seconds since midnight, in order and apart."""

    spans: tuple[tuple[int, int], ...]
    weekdays: frozenset[int] = frozenset(range(5))
    """0 is Monday."""

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Of `09:00-12:00` and the like; `ValueError` if one is none, or they overlap."""
        spans = tuple(_span(text) for text in texts)
        ends = [second for span in spans for second in span]
        if ends != sorted(set(ends)):
            raise ValueError("opening hours stand in order, each ends before the next begins")
        return cls(spans)

    def is_open(self, now: dt.datetime) -> bool:
        second = _second(now)
        return now.weekday() in self.weekdays and any(a <= second < b for a, b in self.spans)

    def wait_s(self, now: dt.datetime, open_s: float) -> float | None:
        """Seconds from now until the windows have been open for `open_s`.

        None: not today any more, or not on a day like this.
        """
        if now.weekday() not in self.weekdays:
            return None
        second = _second(now)
        left_s = open_s
        for start, end in self.spans:
            begin = max(start, second)
            if begin >= end:
                continue
            if left_s < end - begin:
                return begin + left_s - second
            left_s -= end - begin
        return None

    def left_s(self, now: dt.datetime) -> float:
        """So long they are still open today."""
        if now.weekday() not in self.weekdays:
            return 0.0
        second = _second(now)
        return sum(max(0.0, end - max(start, second)) for start, end in self.spans)


def _second(now: dt.datetime) -> float:
    return now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6


def _span(text: str) -> tuple[int, int]:
    start, dash, end = text.partition("-")
    if not dash:
        raise ValueError(f"{text!r} is no span like 09:00-12:00")
    first, last = (dt.time.fromisoformat(part) for part in (start, end))
    span = tuple(one.hour * 3600 + one.minute * 60 for one in (first, last))
    if span[0] >= span[1]:
        raise ValueError(f"{text!r} ends before it begins")
    return span[0], span[1]
