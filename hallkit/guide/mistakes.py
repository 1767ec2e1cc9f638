"""What is wrong in the catalogue's data, and small checks that several verifiers share."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["error", "warning"]
"""An error would fail or mislead somebody; a warning is a matter of words or of completeness."""

_SHOWN = 12
"""So many known words are listed where none is close."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """Something wrong in a value. `key` leads to it: fields, and in lists the entries' keys."""

    key: str
    message: str
    suggestion: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        return f"{self.key}: {self.message}{hint}"

    def under(self, prefix: str) -> Mistake:
        """The same mistake, seen from outside."""
        return replace(self, key=f"{prefix}.{self.key}" if self.key else prefix)


def warning(key: str, message: str, suggestion: str = "") -> Mistake:
    return Mistake(key, message, suggestion, "warning")


def twice(key: str, words: Iterable[str]) -> Iterator[Mistake]:
    for word, times in Counter(words).items():
        if times > 1:
            yield Mistake(key, f"{word!r} stands twice")


def unknown(key: str, words: Iterable[str], known: Iterable[str], what: str) -> Iterator[Mistake]:
    known = list(known)
    for word in words:
        if word not in known:
            yield Mistake(key, f"unknown {what} {word!r}", suggest(word, known))


def suggest(word: str, known: Iterable[str]) -> str:
    """A suggestion for a misspelt word."""
    words = sorted(set(known))
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    if not words:
        return "there is none"
    rest = f", … {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return "known: " + ", ".join(words[:_SHOWN]) + rest
