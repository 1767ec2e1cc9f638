"""What people say, read for the search: cut to the point, and in the words of the catalogue.

Everything it knows is data beside it: `fillers.toml` (words around the thing), `places.toml`,
`handlings.toml` (新办, 变更, …), `thesaurus.toml` (everyday word → official words) and
`elsewhere.toml` (what no service hall does). A phrase is also heard by its syllables, so that
homophones don't hide it: wholly from three characters on, of two if one character is right.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Generic, TypeVar

from hallkit.lexicon import pinyin

MOST_WORDINGS = 6
"""Ways to word a query that are looked for, its own among them."""
_HEARD_FROM, _HALF_HEARD_FROM = 3, 2
"""Characters from which syllables alone, or with one right character, are enough."""

T = TypeVar("T")
Units = tuple[tuple[str, str], ...]
"""A text as `pinyin.aligned` reads it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to word what was asked."""

    read: tuple[tuple[str, str], ...]
    """Units and their syllables, as `pinyin.aligned` gives them."""
    parts: tuple[float, ...]
    """What each unit counts: official words that stand for a short everyday one count less, so
    that together they weigh what was said."""
    said: str = ""
    """The everyday words that were replaced; empty for the query's own wording."""
    meant: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, read."""

    text: str
    """What is left without fillers and places. May be empty."""
    wordings: tuple[Wording, ...]
    """Its own first."""
    handlings: tuple[str, ...]
    """Which of several siblings was asked for, in the words of `hallkit.model.item.Handling`."""
    elsewhere: str
    """The topic that is no hall's business (`elsewhere.toml`), or empty."""


@dataclass(frozen=True)
class Meant:
    """Official words; they are read when first needed."""

    text: str

    @cached_property
    def read(self) -> Units:
        return pinyin.aligned(self.text)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A phrase within a text, from `start` to `end`."""

    start: int
    end: int
    phrase: str
    value: T


class Phrases(Generic[T]):
    """Finds phrases in a text, the longest at each place; by characters, then by syllables."""

    def __init__(self, values: Mapping[str, T], *, exact: Collection[str] = ()) -> None:
        self._values = dict(values)
        self._exact = frozenset(exact)
        """Phrases that are not heard through homophones."""
        self._longest = max(map(len, self._values), default=0)
        self._heard: dict[tuple[str, ...], list[str]] | None = None

    def find(self, read: Sequence[tuple[str, str]]) -> list[Found[T]]:
        """In text that `pinyin.aligned` has read; none lies over another."""
        found: list[Found[T]] = []
        start = 0
        while start < len(read):
            match = self._at(read, start)
            if match is None:
                start += 1
            else:
                found.append(match)
                start = match.end
        return found

    def _at(self, read: Sequence[tuple[str, str]], start: int) -> Found[T] | None:
        for length in range(min(self._longest, len(read) - start), 0, -1):
            part = read[start : start + length]
            text = "".join(unit for unit, _ in part)
            phrase = text if text in self._values else self._sounding_like(part)
            if phrase is not None:
                return Found(start, start + length, phrase, self._values[phrase])
        return None

    def _sounding_like(self, part: Sequence[tuple[str, str]]) -> str | None:
        if len(part) < _HALF_HEARD_FROM:
            return None
        if self._heard is None:
            self._heard = {}
            for phrase in self._values:
                if len(phrase) >= _HALF_HEARD_FROM and phrase not in self._exact:
                    key = tuple(syllable for _, syllable in pinyin.aligned(phrase))
                    self._heard.setdefault(key, []).append(phrase)
        for phrase in self._heard.get(tuple(syllable for _, syllable in part), ()):
            right = sum(own == unit for own, (unit, _) in zip(phrase, part, strict=False))
            if len(part) >= _HEARD_FROM or right:
                return phrase
        return None


def read(text: str) -> Asked:
    """Read a query. Any text is one."""
    units = pinyin.aligned(text)
    elsewhere = next((match.value for match in _elsewhere().find(units)), "")
    units = _without(units, _places())
    handlings = dict.fromkeys(match.value for match in handlings_in(units))
    units = _without(units, _fillers(), _kept(), _thesaurus())
    asked = _joined(units)
    return Asked(asked, tuple(_wordings(units)), tuple(handlings), elsewhere)


def handlings_in(read_text: Sequence[tuple[str, str]]) -> list[Found[str]]:
    """The words that tell 新办, 变更, 延续, 补办, 注销 and 查询 apart, where they stand."""
    return [match for match in _handlings().find(read_text) if match.value != "none"]


def handling_of(name: str) -> str:
    """Which of its siblings an item of this name is; empty if the name doesn't tell."""
    found = handlings_in(tuple((unit, unit) for unit in pinyin.units(name)))
    return found[-1].value if found else ""


def strip_fillers(text: str) -> str:
    """`我要咋个办居住证` → `居住证`. May leave nothing."""
    return _joined(_without(pinyin.aligned(text), _fillers(), _kept(), _thesaurus()))


def warm() -> None:
    """Load the tables now."""
    read("办身份证")


def _wordings(units: Units) -> Iterator[Wording]:
    yield Wording(units, (1.0,) * len(units))
    found = _thesaurus().find(units)
    ways = [[(match, meant)] for match in found for meant in match.value]
    if len(found) > 1:
        ways.insert(0, [(match, match.value[0]) for match in found])
    told = {units}
    for way in ways:
        wording = _replaced(units, way)
        if wording.read not in told:
            told.add(wording.read)
            yield wording
        if len(told) >= MOST_WORDINGS:
            return


def _replaced(units: Units, way: Sequence[tuple[Found[tuple[Meant, ...]], Meant]]) -> Wording:
    read: list[tuple[str, str]] = []
    parts: list[float] = []
    place = 0
    for match, meant in way:
        said = match.end - match.start
        read += [*units[place : match.start], *meant.read]
        parts += [1.0] * (match.start - place)
        parts += [min(1.0, (said + 1) / (len(meant.read) + 1))] * len(meant.read)
        place = match.end
    return Wording(
        (*read, *units[place:]),
        (*parts, *(1.0,) * (len(units) - place)),
        "、".join(match.phrase for match, _ in way),
        "、".join(meant.text for _, meant in way),
    )


def _without(
    units: Sequence[tuple[str, str]], phrases: Phrases[Any], *keep: Phrases[Any]
) -> tuple[tuple[str, str], ...]:
    kept = {
        place
        for phrases_kept in keep
        for match in phrases_kept.find(units)
        for place in range(match.start, match.end)
    }
    dropped = {place for match in phrases.find(units) for place in range(match.start, match.end)}
    return tuple(unit for place, unit in enumerate(units) if place in kept or place not in dropped)


def _joined(units: Iterable[tuple[str, str]]) -> str:
    """As text; runs of letters keep their distance."""
    text = "".join(f" {unit} " if unit.isascii() else unit for unit, _ in units)
    return re.sub(" +", " ", text).strip()


def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(
        resources.files("hallkit.lexicon").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    )


def _phrases(table: Mapping[str, Any], value: Callable[[str], T]) -> Phrases[T]:
    """From lists of phrases; each has the value of its list's name."""
    return Phrases({phrase: value(name) for name, phrases in table.items() for phrase in phrases})


@cache
def _fillers() -> Phrases[str]:
    table = _load("fillers")
    del table["keep"]
    return _phrases(table, str)


@cache
def _kept() -> Phrases[str]:
    keep = _load("fillers")["keep"]
    return Phrases(dict.fromkeys(keep, ""), exact=keep)


@cache
def _places() -> Phrases[str]:
    return _phrases(_load("places"), str)


@cache
def _handlings() -> Phrases[str]:
    table = _load("handlings")
    phrases = {phrase: name for name, list_ in table.items() for phrase in list_}
    return Phrases(phrases, exact=table["none"])


@cache
def _elsewhere() -> Phrases[str]:
    return _phrases(_load("elsewhere"), str)


@cache
def _thesaurus() -> Phrases[tuple[Meant, ...]]:
    return Phrases(
        {
            said: tuple(map(Meant, words))
            for table in _load("thesaurus").values()
            for said, words in table.items()
        }
    )
