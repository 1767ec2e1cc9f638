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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Literal

from hallkit.catalogue import ranking
from hallkit.catalogue.meaning import Embedder, Meaning
from hallkit.catalogue.ranking import Match, Query, grams
from hallkit.lexicon import pinyin, thesaurus
from hallkit.lexicon.thesaurus import Asked, Wording
from hallkit.lexicon.words import words
from hallkit.model.item import Item

LONGEST_QUERY = 64
"""Characters of a query that are looked at."""
_CANDIDATES = 25
"""Names taken from each column for each wording."""
_ROWS = 500
"""About as many rows as one look into the index may touch: common grams are left out."""
_FEWEST_TOKENS = 3
_FREQUENCIES_KEPT = 20_000
_LEAST = 0.15
"""Names that match less are no answers at all."""
_BY_SOUND, _WHOLE, _MEANT = 0.4, 0.95, 0.6
_LISTED_FROM = 0.5
"""An answer is listed if it scores this part of the best."""
_LISTED_MOST = 12
_MOST = 0.5
"""Share of a query that a name covers at least."""
_EXACT, _PREFIX, _INSIDE, _SEGMENTED = 1.0, 0.9, 0.6, 0.5
"""Scores of letters: the whole name, its beginning, within it, its syllables here and there."""
_REPLACED = 0.96
"""What a wording is worth in which the thesaurus replaced a word."""
_SAME_HANDLING, _OTHER_HANDLING = 0.05, -0.05
_UNASKED = {"new": 0.01, "query": -0.02}
"""Who does not say which wants to do something, for the first time, rather than to look it up."""

_OURS = 0.43
"""Below it a query goes to a person: `search.out_of_scope` measures what that costs."""
_KNOWN_WORD, _ELSEWHERE = 0.08, -0.2
"""A word of the thesaurus speaks for us, one of `elsewhere.toml` against."""
_CLEAR, _AHEAD = 0.6, 0.1
"""A clear winner scores so much, and so much more than the next."""
_TOLD_APART = 0.02
_VOTE, _VOTES = 0.02, 0.16
"""What a standard deviation of nearness in meaning is worth, and all of them at most."""
_LISTED_SIBLINGS = 2
_QUESTION_MOST = 8
_BETWEEN = " -—_·:：、，,（("
"""What joins the parts of a name."""

Outcome = Literal["match", "choose", "person"]
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
    reason: str = ""
    """Why, in plain words."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer of a question."""

    label: str
    code: str


@dataclass(frozen=True, slots=True)
class Ask:
    """What tells siblings apart that the query doesn't."""

    text: str
    options: tuple[Choice, ...]
    about: str = ""
    """What the siblings have in common, in words: `食品经营许可证`."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to what somebody typed or said."""

    outcome: Outcome
    """`match`: one clear winner. `choose`: candidates, and none of them (都不是). `person`: not
    ours, or too unsure to guess."""
    hits: tuple[Hit, ...] = ()
    """Best first; none for `person`."""
    question: Ask | None = None
    """Asked if the first hit has siblings from which the query doesn't tell it apart."""
    nearest: tuple[Hit, ...] = ()
    """For `person`: what comes nearest, for the member of staff who takes over. No citizen is shown
    it."""


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
class _Answer:
    """An item that answers."""

    item: int
    score: float
    matched: str
    reason: str = ""
    best: _Best | None = None
    """From which the reason is told, once it is asked for."""


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
                *(names_id, number, kind, text, _initials(read)),
                *(" ".join(syllables), round(weights[text], 3)),
            ),
        )
        connection.execute(
            "INSERT INTO gram (rowid, chars, pinyin) VALUES (?, ?, ?)",
            (names_id, " ".join(grams(units)), " ".join(grams(syllables))),
        )
    connection.execute("INSERT INTO gram (gram) VALUES ('optimize')")


def _initials(read: Sequence[tuple[str, str]]) -> str:
    return "".join(unit if unit.isascii() else syllable[0] for unit, syllable in read)


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
        self._meaning: Meaning | None = None

    def vote_by(self, embedder: Embedder) -> None:
        """From now on nearness in meaning counts too. The snapshot holds this model's vectors."""
        names = [(name.item, name.text) for name in self._names]
        self._meaning = Meaning(self._connection, names, embedder)

    def search(self, query: str, limit: int = 6) -> list[Hit]:
        """The best items, best first. Any text is a query; one without sense finds nothing."""
        if limit < 1:
            return []
        _, answers, _ = self._answers(query)
        return [self._hit(answer) for answer in answers[:limit]]

    def find(self, text: str, limit: int = 3) -> Found:
        """What to show for this text: a winner, candidates, a question, or the way to a person."""
        confidence, answers, by_letters = self._answers(text)
        if not answers or confidence < _OURS or limit < 1:
            listed = self._listed(answers)[0] if answers else []
            return Found("person", nearest=tuple(map(self._hit, listed[: max(0, limit)])))
        first = answers[0]
        listed, undecided = self._listed(answers)
        question = self._question(first, undecided)
        rival = next((one for one in listed[1:] if not self._related(one, first)), None)
        ahead = first.score - (rival.score if rival else 0.0)
        clear = ahead >= _AHEAD and (by_letters or confidence >= _CLEAR)
        outcome: Outcome = "match" if clear and question is None else "choose"
        return Found(outcome, tuple(map(self._hit, listed[:limit])), question)

    def _answers(self, query: str) -> tuple[float, list[_Answer], bool]:
        """How surely the query is ours, the items that answer, and whether it was letters."""
        text = pinyin.normal(query.strip()[:LONGEST_QUERY])
        units = pinyin.units(text)
        if not units:
            return 0.0, [], False
        if all(unit.isascii() for unit in units):
            letters = self._by_letters("".join(units))
            return (letters[0].score if letters else 0.0), letters, True
        asked = thesaurus.read(text)
        if len(units) > 1 and len(pinyin.units(asked.text)) < 2 and not self._called(text):
            return 0.0, [], False  # one character within a sentence says nothing
        return self._by_han(asked, text)

    def _listed(self, answers: Sequence[_Answer]) -> tuple[list[_Answer], list[_Answer]]:
        """One answer for what has one name or can't be told apart; and the first one's equals."""
        listed: list[_Answer] = []
        undecided: list[_Answer] = []
        least = answers[0].score * _LISTED_FROM
        for answer in answers:
            if answer.score < least:
                break
            related = [one for one in listed if self._related(one, answer)]
            if related and (
                len(related) >= _LISTED_SIBLINGS
                or related[-1].score - answer.score < _TOLD_APART
                or self._titles[related[-1].item] == self._titles[answer.item]
            ):
                if related[0] is listed[0] and listed[0].score - answer.score < _TOLD_APART:
                    undecided.append(answer)
                continue
            listed.append(answer)
            if len(listed) > _LISTED_MOST:
                break
        return listed, undecided

    def _related(self, one: _Answer, other: _Answer) -> bool:
        return self._siblings[one.item][0] == self._siblings[other.item][0]

    def siblings(self, code: str) -> Ask | None:
        """All kinds of the matter of this item, itself among them; None if it has no sibling."""
        row = self._connection.execute(
            "SELECT family FROM sibling JOIN item ON item.id = sibling.item WHERE code = ?", (code,)
        ).fetchone()
        if row is None:
            return None
        items = self._connection.execute(
            "SELECT item FROM sibling WHERE family = ? ORDER BY item", row
        )
        return self._ask([item for (item,) in items])

    def _question(self, first: _Answer, undecided: Sequence[_Answer]) -> Ask | None:
        return self._ask([first.item, *(answer.item for answer in undecided)])

    def _ask(self, items: Sequence[int]) -> Ask | None:
        """By handling if that tells them apart, else by what their names differ in."""
        options: dict[str, Choice] = {}
        say = words()
        titles = [self._titles[item] for item in items]
        shared = _beginning(titles).strip(_BETWEEN)
        about = shared if len(shared) > 1 else _stem(titles[0])
        handlings = [self._siblings[item][1] for item in items]
        by_handling = "" not in handlings and len(set(handlings)) == len(items)
        for item, handling in zip(items, handlings, strict=True):
            code, _, task_name = self._item(item)
            label = say(f"handling.{handling}") if by_handling else _differing(task_name, shared)
            options.setdefault(label, Choice(label, code))
        if len(options) < 2:
            return None
        return Ask(say("search.which"), tuple(options.values())[:_QUESTION_MOST], about)

    def warm(self) -> None:
        """Do now what the first query would wait for."""
        pinyin.warm()
        thesaurus.warm()
        self.search("办身份证")
        self.search("a")

    def _by_letters(self, letters: str) -> list[_Answer]:
        best: dict[int, _Answer] = {}
        say = words()
        for place in _letters_pattern(letters).finditer(self._lines):
            line = bisect(self._starts, place.start()) - 1
            name, score = self._names[line], _INSIDE
            if place.start() == self._starts[line]:
                whole = letters in (name.initials, name.pinyin.replace(" ", ""))
                score = _EXACT if whole else _PREFIX
            elif len(letters) == 1:
                continue
            known = best.get(name.item)
            if known is None or score > known.score:
                of = "initials" if letters in name.initials else "letters"
                best[name.item] = _Answer(name.item, score, name.text, say(f"search.{of}"))
        if best:
            # Among equals the order of the catalogue (新办 before its siblings).
            return sorted(best.values(), key=lambda answer: (-answer.score, answer.item))
        spoken = _segment(letters, self._syllables)
        if len(spoken) < 2:
            return []
        wording = Wording(tuple((one, one) for one in spoken), (1.0,) * len(spoken))
        return [
            _Answer(item, best.score * _SEGMENTED, best.name.text, say("search.letters"))
            for item, best in self._compared([wording]).items()
            if best.match.of_query > _MOST
        ]

    def _by_han(self, asked: Asked, text: str) -> tuple[float, list[_Answer], bool]:
        best = self._compared(asked.wordings)
        for name in [*self._called(text), *self._called(asked.text)]:
            best[name.item] = _Best(1.0, name, Match(1.0, 1.0, 1.0, 0.0), asked.wordings[0])
        placed = {item: self._placed(item, one, asked) for item, one in best.items()}
        order = sorted(best, key=lambda item: (-placed[item], item))
        confidence = self._confidence(best[order[0]], asked) if order else 0.0
        answers = [
            _Answer(item, placed[item], best[item].name.text, best=best[item]) for item in order
        ]
        if self._meaning is None:
            return confidence, answers, False
        return *self._voted(self._meaning, asked, confidence, answers), False

    def _confidence(self, first: _Best, asked: Asked) -> float:
        """How surely words that are answered like this are ours."""
        known = _KNOWN_WORD if first.wording.said and first.match.of_query > _MEANT else 0.0
        return first.score + known + (_ELSEWHERE if asked.elsewhere else 0.0)

    def _voted(
        self, meaning: Meaning, asked: Asked, confidence: float, answers: list[_Answer]
    ) -> tuple[float, list[_Answer]]:
        """The answers, those for their meaning alone among them, in the order after the vote."""
        vote = meaning.vote(asked.text)
        if vote is None:
            return confidence, answers
        if vote.surely and not asked.elsewhere:
            confidence = max(confidence, _OURS)
        known = {answer.item for answer in answers}
        say = words()
        near = [
            _Answer(item, 0.0, text, say("search.meaning", name=text))
            for item, text in vote.nearest
            if item not in known
        ]
        shares = {
            answer.item: (answer.score + _VOTE * vote.of(answer.item)) / (1 + _VOTES)
            for answer in (*answers, *near)
        }
        voted = [
            replace(answer, score=max(0.001, shares[answer.item])) for answer in (*answers, *near)
        ]
        return confidence, sorted(voted, key=lambda answer: (-answer.score, answer.item))

    def _query(self, wording: Wording) -> Query:
        return ranking.query(wording.read, wording.parts, len(self._names), self._frequency)

    def _compared(self, wordings: Iterable[Wording]) -> dict[int, _Best]:
        """The best match of each item with any wording."""
        best: dict[int, _Best] = {}
        for wording in wordings:
            if not wording.read:
                continue
            query = self._query(wording)
            for name in self._candidates(query, heard=not wording.said):
                match = ranking.compare(query, _name_grams(name.text, name.pinyin, name.weight))
                if not match.joined:
                    continue  # 天气 is no 天然气
                score = match.score * (_REPLACED if wording.said else 1.0)
                known = best.get(name.item)
                if score > _LEAST and (known is None or score > known.score):
                    best[name.item] = _Best(score, name, match, wording)
        return best

    def _placed(self, item: int, best: _Best, asked: Asked) -> float:
        """The score with what tells siblings apart; between 0 and 1."""
        handling = self._siblings[item][1]
        if not asked.handlings:
            shift = _UNASKED.get(handling, 0.0)
        elif handling in asked.handlings:
            shift = _SAME_HANDLING
        else:
            shift = _OTHER_HANDLING if handling else 0.0
        return max(0.001, (best.score + shift) / (1 + _SAME_HANDLING))

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
        chosen: list[str] = []
        rows = 0
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

    def _hit(self, answer: _Answer) -> Hit:
        code, plain_name, task_name = self._item(answer.item)
        reason = answer.reason or (_reason(answer.best) if answer.best else "")
        return Hit(code, plain_name, task_name, round(answer.score, 4), answer.matched, reason)

    def _item(self, item: int) -> tuple[str, str, str]:
        row: tuple[str, str, str] = self._connection.execute(
            "SELECT code, plain_name, task_name FROM item WHERE id = ?", (item,)
        ).fetchone()
        return row

    @cached_property
    def _names(self) -> list[_Name]:
        rows = self._connection.execute(
            "SELECT item, text, initials, pinyin, kind, weight FROM name ORDER BY id"
        )
        return [_Name(*row) for row in rows]

    def _called(self, text: str) -> list[_Name]:
        """Names that are just this text."""
        return self._by_text.get(text, [])

    @cached_property
    def _by_text(self) -> dict[str, list[_Name]]:
        found: dict[str, list[_Name]] = {}
        for name in self._names:
            found.setdefault(pinyin.normal(name.text), []).append(name)
        return found

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
    def _titles(self) -> dict[int, str]:
        return dict(self._connection.execute("SELECT id, task_name FROM item"))

    @cached_property
    def _siblings(self) -> dict[int, tuple[str, str]]:
        """Family and handling of each item."""
        rows = self._connection.execute("SELECT item, family, handling FROM sibling")
        return {item: (family, handling) for item, family, handling in rows}

    @cached_property
    def _syllables(self) -> frozenset[str]:
        return frozenset(self._lines.split())


def _reason(best: _Best) -> str:
    """Why this name answers, in plain words."""
    say, name, own = words(), best.name, _text(best.wording.read)
    if best.match.heard > _BY_SOUND:
        return say("search.sound", name=name.text)
    if best.wording.said:
        return say("search.meant", said=best.wording.said, meant=best.wording.meant)
    if best.match.of_name > _WHOLE:
        return say(f"search.{name.kind}", name=name.text)
    part = _shared(own, pinyin.normal(name.text))
    if len(part) > 1:
        return say("search.part", part=part)
    return say("search.near", name=name.text)


def _text(read: Iterable[tuple[str, str]]) -> str:
    return "".join(unit for unit, _ in read)


def _shared(one: str, other: str) -> str:
    """The longest run of characters that both hold."""
    parts = (one[start:end] for start in range(len(one)) for end in range(start + 1, len(one) + 1))
    return max((part for part in parts if part in other), key=len, default="")


def _beginning(names: Sequence[str]) -> str:
    """What all begin with."""
    first, last = min(names), max(names)
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), None)
    return first[:length] if length is not None else first


def _differing(name: str, shared: str) -> str:
    """What stands in the last brackets of a name, else what follows on what its siblings share."""
    found = re.search(r"[(（\[]+([^()（）]*?)[)）\]]*$", name) if name[-1] in ")）]" else None
    if found and found[1]:
        return found[1]
    return name.removeprefix(shared).strip(_BETWEEN) or name


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
