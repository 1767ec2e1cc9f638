"""Search that forgives: letters as people abbreviate them, homophones, and the words around.

Letters (`spjyxkz`, `shipinjingying`, `spjingying`) are matched against the pinyin of every name.
Han text goes to two FTS5 columns of pre-split 1- and 2-grams, characters and toneless pinyin,
fused by reciprocal rank (characters first), so that a homophone still finds its item.
"""

from __future__ import annotations

import re
import sqlite3
import tomllib
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from itertools import accumulate, pairwise

from hallkit.lexicon import pinyin

LONGEST_QUERY = 64
"""Characters of a query that are looked at."""
RRF_K = 20
_CANDIDATES = 60
"""Names taken from each column before fusing."""
_LONG_QUERY = 6
"""From so many words on, common single ones are left out: they cost half the time."""
_COMMON_FROM, _COMMON_SHARE = 100, 0.03
"""Common is what stands in more names than this, as a number and as a share."""
_EXACT, _PREFIX, _INSIDE, _SEGMENTED = 1.0, 0.9, 0.6, 0.5
"""Scores of letters: the whole name, its beginning, within it, its syllables here and there."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that a query found."""

    code: str
    plain_name: str
    task_name: str
    score: float
    """0 to 1, comparable within one answer only."""
    matched: str
    """The name of the item that matched best: its plain, official or everyday name."""


@dataclass(frozen=True, slots=True)
class _Name:
    item: int
    text: str
    initials: str
    pinyin: str
    """Syllables between single spaces."""


def grams(words: Sequence[str]) -> Iterator[str]:
    """The 1- and 2-grams of a sequence, as tokens of the index."""
    yield from words
    for left, right in pairwise(words):
        yield f"{left}_{right}"


class SearchIndex:
    """Search over the tables `item`, `name` and `gram` of a snapshot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def search(self, query: str, limit: int = 6) -> list[Hit]:
        """The best items, best first. Any text is a query; one without sense finds nothing."""
        asked = pinyin.normal(query[:LONGEST_QUERY])
        words = pinyin.units(asked)
        if not words or limit < 1:
            return []
        if all(word.isascii() for word in words):
            found = self._by_letters("".join(words))
        else:
            found = self._by_han(strip_fillers(asked))
        return [self._hit(*match) for match in found[:limit]]

    def warm(self) -> None:
        """Do now what the first query would wait for."""
        pinyin.warm()
        self.search("字")
        self.search("a")
        _ = self._common

    def _by_letters(self, letters: str) -> list[tuple[int, float, str]]:
        best: dict[int, tuple[float, str]] = {}
        for place in _letters_pattern(letters).finditer(self._lines):
            line = bisect(self._starts, place.start()) - 1
            name, score = self._names[line], _INSIDE
            if place.start() == self._starts[line]:
                whole = letters in (name.initials, name.pinyin.replace(" ", ""))
                score = _EXACT if whole else _PREFIX
            elif len(letters) == 1:
                continue
            if score > best.get(name.item, (0.0, ""))[0]:
                best[name.item] = score, name.text
        if best:
            return _ranked(best)
        syllables = _segment(letters, self._syllables)
        return [
            (item, score * _SEGMENTED, text)
            for item, score, text in self._fused([self._match("pinyin", syllables)], syllables)
        ]

    def _by_han(self, asked: str) -> list[tuple[int, float, str]]:
        words = pinyin.units(asked)
        syllables = pinyin.syllables(asked)
        columns = [self._match("chars", words), self._match("pinyin", syllables)]
        fused = self._fused(columns, syllables)
        if any(word.isascii() for word in words):
            exact = self._by_letters("".join(syllables)) if syllables else []
            seen = {item for item, _, _ in exact}
            fused = exact + [match for match in fused if match[0] not in seen]
        return fused

    def _match(self, column: str, words: Sequence[str]) -> list[_Name]:
        """Names that share a gram, best first."""
        tokens = list(dict.fromkeys(grams(words)))
        if not tokens:
            return []
        if len(words) >= _LONG_QUERY:
            tokens = [token for token in tokens if token not in self._common] or tokens
        # Tokens hold only letters, digits, Han characters and `_`: nothing to escape.
        any_of = " OR ".join(f'"{token}"' for token in tokens)
        rows = self._connection.execute(
            "SELECT rowid FROM gram WHERE gram MATCH ? ORDER BY rank, rowid LIMIT ?",
            (f"{column} : ({any_of})", _CANDIDATES),
        )
        return [self._names[rowid - 1] for (rowid,) in rows]

    def _fused(
        self, columns: Iterable[list[_Name]], syllables: Sequence[str]
    ) -> list[tuple[int, float, str]]:
        """Reciprocal rank fusion over items; names that share too little are left out."""
        columns = list(columns)
        scores: dict[int, tuple[float, str]] = {}
        for names in columns:
            ranked: dict[int, str] = {}
            for name in names:
                if _shares_enough(name, syllables):
                    ranked.setdefault(name.item, name.text)
            for rank, (item, text) in enumerate(ranked.items(), start=1):
                score, first = scores.get(item, (0.0, text))
                scores[item] = score + (RRF_K + 1) / (RRF_K + rank) / len(columns), first
        return sorted(
            ((item, score, text) for item, (score, text) in scores.items()),
            key=lambda match: -match[1],
        )

    def _hit(self, item: int, score: float, matched: str) -> Hit:
        code, plain_name, task_name = self._connection.execute(
            "SELECT code, plain_name, task_name FROM item WHERE id = ?", (item,)
        ).fetchone()
        return Hit(code, plain_name, task_name, round(score, 4), matched)

    @cached_property
    def _names(self) -> list[_Name]:
        rows = self._connection.execute("SELECT item, text, initials, pinyin FROM name ORDER BY id")
        return [_Name(*row) for row in rows]

    @cached_property
    def _lines(self) -> str:
        """Pinyin of every name, one a line, for one pass of a pattern.

        A space begins each syllable: a literal to begin with makes the pass three times faster.
        """
        return "\n".join(f" {name.pinyin}" for name in self._names)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each name's line begins."""
        lengths = (len(name.pinyin) + 2 for name in self._names)
        return list(accumulate(lengths, initial=0))[:-1]

    @cached_property
    def _common(self) -> frozenset[str]:
        """Single characters and syllables of so many names that they cost much and tell little."""
        counts: Counter[str] = Counter()
        for name in self._names:
            counts.update({*pinyin.units(name.text), *name.pinyin.split()})
        most = max(_COMMON_FROM, len(self._names) * _COMMON_SHARE)
        return frozenset(token for token, count in counts.items() if count > most)

    @cached_property
    def _syllables(self) -> frozenset[str]:
        return frozenset(self._lines.split())


def strip_fillers(text: str) -> str:
    """`我要咋个办居住证` → `居住证`. May leave nothing."""
    return _fillers().sub(lambda found: found["keep"] or "", text)


@cache
def _fillers() -> re.Pattern[str]:
    table: dict[str, list[str]] = tomllib.loads(
        resources.files("hallkit.lexicon").joinpath("fillers.toml").read_text(encoding="utf-8")
    )
    keep = table.pop("keep")
    longest_first = sorted({word for words in table.values() for word in words}, key=len)[::-1]
    return re.compile(f"(?P<keep>{'|'.join(keep)})|{'|'.join(longest_first)}")


def _ranked(best: dict[int, tuple[float, str]]) -> list[tuple[int, float, str]]:
    """Best score first; among equals the order of the catalogue (新办 before its siblings)."""
    return sorted(
        ((item, score, text) for item, (score, text) in best.items()),
        key=lambda match: (-match[1], match[0]),
    )


def _letters_pattern(letters: str) -> re.Pattern[str]:
    """Letters over syllables: each goes on in its syllable or starts the next one.

    So `spjyxkz`, `shipinjingying` and `spjingyxk` are all found in `shi pin jing ying xu ke zheng`.
    """
    return re.compile(" " + "(?:[a-z0-9]* )?".join(letters))


def _shares_enough(name: _Name, syllables: Sequence[str]) -> bool:
    """A pair of syllables in a row, or more than half of all: one chance character is no match."""
    line = f" {name.pinyin} "
    if any(f" {a} {b} " in line for a, b in pairwise(syllables)):
        return True
    shared = sum(f" {syllable} " in line for syllable in syllables)
    return shared * 2 > len(syllables)


def _segment(letters: str, known: frozenset[str]) -> tuple[str, ...]:
    """Known syllables within letters: as much covered as possible, in as few pieces."""
    best: list[tuple[int, int, tuple[str, ...]]] = [(0, 0, ())]
    for end in range(1, len(letters) + 1):
        choice = best[end - 1]
        for begin in range(max(0, end - 6), end):
            if letters[begin:end] in known:
                covered, pieces, before = best[begin]
                candidate = (covered + end - begin, pieces - 1, (*before, letters[begin:end]))
                choice = max(choice, candidate, key=lambda way: way[:2])
        best.append(choice)
    return best[-1][2]
