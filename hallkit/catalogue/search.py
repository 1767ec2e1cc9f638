"""Search that forgives: letters as people abbreviate them, homophones, and the words around.

Letters (`spjyxkz`, `shipinjingying`, `spjingying`) are matched against the pinyin of every name.
Han text is read by `hallkit.lexicon.thesaurus` into a few wordings; two FTS5 columns of pre-split
1- and 2-grams, characters and toneless pinyin, give candidates for each, and
`hallkit.catalogue.ranking` compares every candidate with every wording.
"""

from __future__ import annotations

import re
import sqlite3
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Literal

from hallkit.catalogue import ranking
from hallkit.catalogue.ranking import Match, Query, grams
from hallkit.lexicon import pinyin, thesaurus
from hallkit.lexicon.thesaurus import Asked, Wording
from hallkit.model.item import Item

LONGEST_QUERY = 64
"""Characters of a query that are looked at."""
_CANDIDATES = 40
"""Names taken from each column for each wording."""
_ROWS = 500
"""About as many rows as one look into the index may touch: common grams are left out."""
_FEWEST_TOKENS = 3
_FREQUENCIES_KEPT = 20_000
_MOST = 0.5
"""Share of a query that a name covers at least."""
_EXACT, _PREFIX, _INSIDE, _SEGMENTED = 1.0, 0.9, 0.6, 0.5
"""Scores of letters: the whole name, its beginning, within it, its syllables here and there."""
_REPLACED = 0.96
"""What a wording is worth in which the thesaurus replaced a word."""
_SAME_HANDLING, _OTHER_HANDLING, _NEW_FIRST = 0.05, -0.05, 0.01

Kind = Literal["plain", "official", "everyday", "main"]

SCHEMA = """
CREATE TABLE name (
    id INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES item, kind TEXT NOT NULL,
    text TEXT NOT NULL, initials TEXT NOT NULL, pinyin TEXT NOT NULL, weight REAL NOT NULL
);
CREATE TABLE sibling (
    item INTEGER PRIMARY KEY REFERENCES item, family TEXT NOT NULL, handling TEXT NOT NULL
);
CREATE INDEX sibling_family ON sibling (family);
CREATE VIRTUAL TABLE gram USING fts5 (chars, pinyin, content='', tokenize="ascii tokenchars '_'");
"""
"""The search's tables of a snapshot; they refer to `item (id, code, plain_name, task_name)`."""


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
    kind: Kind
    weight: float


@dataclass(frozen=True, slots=True)
class _Best:
    """The best match of an item."""

    score: float
    name: _Name
    match: Match
    wording: Wording


def fill(connection: sqlite3.Connection, items: Iterable[tuple[int, Item]]) -> None:
    """Write the search's tables for these items and their numbers."""
    rows: list[tuple[int, str, str]] = []
    for number, item in items:
        names: dict[str, Kind] = {item.plain_name: "plain"}
        names.setdefault(item.task_name, "official")
        for text in item.popular_terms:
            names.setdefault(text, "everyday")
        if item.main_name:
            names.setdefault(item.main_name, "main")
        rows += [(number, kind, text) for text, kind in names.items()]
        connection.execute(
            "INSERT INTO sibling VALUES (?, ?, ?)", (number, family(item), handling(item))
        )
    reads = {text: pinyin.aligned(text) for _, _, text in rows}
    counts: dict[tuple[str, str], int] = {}
    for _, _, text in rows:
        read = reads[text]
        for column, place in (("chars", 0), ("pinyin", 1)):
            for gram in set(grams([unit[place] for unit in read])):
                counts[column, gram] = counts.get((column, gram), 0) + 1
    weights = {
        text: ranking.name_weight(read, len(rows), lambda column, gram: counts[column, gram])
        for text, read in reads.items()
    }
    for names_id, (number, kind, text) in enumerate(rows, start=1):
        read = reads[text]
        units, syllables = [unit for unit, _ in read], [syllable for _, syllable in read]
        connection.execute(
            "INSERT INTO name VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                *(names_id, number, kind, text, pinyin.initials(text)),
                *(" ".join(syllables), round(weights[text], 3)),
            ),
        )
        connection.execute(
            "INSERT INTO gram (rowid, chars, pinyin) VALUES (?, ?, ?)",
            (names_id, " ".join(grams(units)), " ".join(grams(syllables))),
        )
    connection.execute("INSERT INTO gram (gram) VALUES ('optimize')")


def handling(item: Item) -> str:
    """Which of its siblings an item is, also where only its name tells."""
    return item.handling if item.handling != "other" else thesaurus.handling_of(item.task_name)


def family(item: Item) -> str:
    """What siblings have in common: the main item, else the name without what tells them apart."""
    return item.main_code or item.main_name or _stem(item.task_name)


def _stem(name: str) -> str:
    bare = re.sub(r"[(（\[].*", "", pinyin.normal(name)) or name
    read = tuple((unit, unit) for unit in pinyin.units(bare))
    told = {p for found in thesaurus.handlings_in(read) for p in range(found.start, found.end)}
    return "".join(unit for place, (unit, _) in enumerate(read) if place not in told) or name


class SearchIndex:
    """Search over the tables `item`, `name`, `sibling` and `gram` of a snapshot."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._frequencies: dict[tuple[str, str], int] = {}
        self._vocabulary = False

    def search(self, query: str, limit: int = 6) -> list[Hit]:
        """The best items, best first. Any text is a query; one without sense finds nothing."""
        asked = pinyin.normal(query.strip()[:LONGEST_QUERY])
        words = pinyin.units(asked)
        if not words or limit < 1:
            return []
        if all(word.isascii() for word in words):
            found = self._by_letters("".join(words))
        else:
            found = [
                (item, best.score, best.name.text)
                for item, best in self._by_han(thesaurus.read(asked))
            ]
        return [self._hit(*match) for match in found[:limit]]

    def warm(self) -> None:
        """Do now what the first query would wait for."""
        pinyin.warm()
        thesaurus.warm()
        self.search("办身份证")
        self.search("a")

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
        spoken = _segment(letters, self._syllables)
        if len(spoken) < 2:
            return []
        asked = Asked("", (), (), "")
        wording = Wording(tuple((one, one) for one in spoken), (1.0,) * len(spoken))
        return [
            (item, one.score * _SEGMENTED, one.name.text)
            for item, one in self._compared([(wording, self._query(wording))], asked)
            if one.match.of_query > _MOST
        ]

    def _by_han(self, asked: Asked) -> list[tuple[int, _Best]]:
        queries = [
            (wording, self._query(wording)) for wording in asked.wordings if wording.read
        ]
        return self._compared(queries, asked)

    def _query(self, wording: Wording) -> Query:
        return ranking.query(wording.read, wording.parts, len(self._names), self._frequency)

    def _compared(
        self, queries: Iterable[tuple[Wording, Query]], asked: Asked
    ) -> list[tuple[int, _Best]]:
        best: dict[int, _Best] = {}
        for wording, query in queries:
            for name in self._candidates(query, heard=not wording.said):
                match = ranking.compare(query, _name_grams(name.text, name.pinyin, name.weight))
                score = match.score * (_REPLACED if wording.said else 1.0)
                known = best.get(name.item)
                if known is None or score > known.score:
                    best[name.item] = _Best(score, name, match, wording)
        return sorted(best.items(), key=lambda one: (-self._placed(*one, asked), one[0]))

    def _placed(self, item: int, best: _Best, asked: Asked) -> float:
        handling = self._siblings[item][1]
        if not asked.handlings:
            return best.score + (_NEW_FIRST if handling == "new" else 0.0)
        if handling in asked.handlings:
            return best.score + _SAME_HANDLING
        return best.score + (_OTHER_HANDLING if handling else 0.0)

    def _candidates(self, query: Query, *, heard: bool) -> Iterable[_Name]:
        """Names worth a comparison; by sound only where the words are the citizen's own."""
        found: dict[int, None] = {}
        for column in ("chars", "pinyin") if heard else ("chars",):
            tokens = {
                (term.chars if column == "chars" else term.syllables): None for term in query.terms
            }
            for rowid in self._match(column, tokens):
                found.setdefault(rowid)
        return [self._names[rowid - 1] for rowid in found]

    def _match(self, column: str, tokens: Iterable[str]) -> list[int]:
        """Names that share a gram, best first; the rarest grams that make up the allowed rows."""
        known = sorted(
            (count, token) for token in tokens if (count := self._frequency(column, token))
        )
        chosen, rows = [], 0
        for count, token in known:
            if len(chosen) >= _FEWEST_TOKENS and rows + count > _ROWS:
                break
            chosen.append(token)
            rows += count
        if not chosen:
            return []
        # Tokens hold only letters, digits, Han characters and `_`: nothing to escape.
        any_of = " OR ".join(f'"{token}"' for token in chosen)
        found = self._connection.execute(
            "SELECT rowid FROM gram WHERE gram MATCH ? ORDER BY rank, rowid LIMIT ?",
            (f"{column} : ({any_of})", _CANDIDATES),
        )
        return [rowid for (rowid,) in found]

    def _frequency(self, column: str, gram: str) -> int:
        key = column, gram
        known = self._frequencies.get(key)
        if known is None:
            if not self._vocabulary:
                self._connection.execute(
                    "CREATE VIRTUAL TABLE temp.vocabulary USING fts5vocab (main, gram, col)"
                )
                self._vocabulary = True
            row = self._connection.execute(
                "SELECT doc FROM temp.vocabulary WHERE term = ? AND col = ?", (gram, column)
            ).fetchone()
            if len(self._frequencies) >= _FREQUENCIES_KEPT:
                self._frequencies.clear()
            known = self._frequencies[key] = 0 if row is None else int(row[0])
        return known

    def _hit(self, item: int, score: float, matched: str) -> Hit:
        code, plain_name, task_name = self._connection.execute(
            "SELECT code, plain_name, task_name FROM item WHERE id = ?", (item,)
        ).fetchone()
        return Hit(code, plain_name, task_name, round(score, 4), matched)

    @cached_property
    def _names(self) -> list[_Name]:
        rows = self._connection.execute(
            "SELECT item, text, initials, pinyin, kind, weight FROM name ORDER BY id"
        )
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
    def _siblings(self) -> dict[int, tuple[str, str]]:
        """Family and handling of each item."""
        rows = self._connection.execute("SELECT item, family, handling FROM sibling")
        return {item: (family, handling) for item, family, handling in rows}

    @cached_property
    def _syllables(self) -> frozenset[str]:
        return frozenset(self._lines.split())


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


@lru_cache(maxsize=1024)
def _name_grams(text: str, syllables: str, weight: float) -> ranking.NameGrams:
    return ranking.name_grams(text, syllables, weight)


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
