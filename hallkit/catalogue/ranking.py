"""How well a name answers a query: shared 1- and 2-grams, weighed by how much each tells.

A gram counts fully if its characters stand in the name, less if only its syllables do, and least
if they merely sound alike (zh=z, n=l, -ng=-n). Two shares make the score: how much of the query
the name covers, and how much of the name the query covers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from hallkit.lexicon import pinyin, thesaurus

HEARD, ALIKE = 0.85, 0.6
"""What a gram is worth of which only the syllables are right, or only sound alike."""
OF_QUERY, OF_NAME = 0.7, 0.3
"""The two shares' parts of the score."""
UNKNOWN_PAIR = 0.6
HANDLING_WEIGHT = 0.4
APART, APART_MOST = 0.6, 12
"""What a pair is worth whose characters stand apart in the name, and how far at most."""
"""新办, 变更 and so on tell siblings apart; between matters they tell little."""

Read = Sequence[tuple[str, str]]
Frequency = Callable[[str, str], int]
"""In how many names a gram of a column (`chars`, `pinyin`) stands."""


@dataclass(frozen=True, slots=True)
class Term:
    """A gram of a query: its characters, its syllables, and what either is worth."""

    chars: str
    syllables: str
    alike: str
    weight: float
    heard: float
    full: float
    """The weight without the discount for a handling word."""
    pair: tuple[str, str] | None
    """Its characters, if it is a 2-gram."""


@dataclass(frozen=True, slots=True)
class Query:
    """A wording of a query, ready to be compared."""

    terms: tuple[Term, ...]
    weight: float


@dataclass(frozen=True, slots=True)
class NameGrams:
    """A name, ready to be compared."""

    text: str
    chars: frozenset[str]
    syllables: frozenset[str]
    alike: frozenset[str]
    weight: float


@dataclass(frozen=True, slots=True)
class Match:
    """How a name answers."""

    score: float
    of_query: float
    of_name: float
    heard: float
    """Part of what is covered that only sounds right."""
    joined: bool = True
    """Two characters that stand together in the query stand in the name too, one after the other.
    False: single characters only, from here and there."""


def grams(words: Sequence[str]) -> Iterator[str]:
    """The 1- and 2-grams of a sequence, as tokens of the index."""
    yield from words
    for left, right in pairwise(words):
        yield f"{left}_{right}"


@lru_cache(maxsize=4096)
def telling(names: int, found: int) -> float:
    """How much a gram tells that stands in so many of the names: 1 for one in a single name."""
    return max(0.05, math.log((names + 1) / (found + 0.5)) / math.log(names + 1))


def query(read: Read, counts: Sequence[float], names: int, frequency: Frequency) -> Query:
    """A wording, weighed by how often its grams stand in the catalogue."""
    told = {
        place for match in thesaurus.handlings_in(read) for place in range(match.start, match.end)
    }
    parts = [part * HANDLING_WEIGHT if place in told else part for place, part in enumerate(counts)]
    terms: dict[str, Term] = {}
    alone = zip(read, parts, strict=True)
    pairs = (((a, b), min(x, y)) for (a, x), (b, y) in pairwise(zip(read, parts, strict=True)))
    for grammed, part in [*(((one,), part) for one, part in alone), *pairs]:
        chars = "_".join(unit for unit, _ in grammed)
        syllables = "_".join(syllable for _, syllable in grammed)
        heard = telling(names, frequency("pinyin", syllables))
        by_letters = chars == syllables  # then no name can hold the characters
        seen = heard if by_letters else telling(names, frequency("chars", chars))
        full = (seen + heard) / 2
        if len(grammed) > 1 and not frequency("pinyin", syllables):
            part *= UNKNOWN_PAIR  # noqa: PLW2901
        terms.setdefault(
            chars,
            Term(
                *(chars, syllables, _alike(syllables), full * part, heard * part, full),
                (grammed[0][0], grammed[1][0]) if len(grammed) > 1 else None,
            ),
        )
    return Query(tuple(terms.values()), sum(term.weight for term in terms.values()))


def name_grams(text: str, syllables: str, weight: float) -> NameGrams:
    heard = frozenset(grams(syllables.split()))
    return NameGrams(
        pinyin.normal(text),
        frozenset(grams(pinyin.units(text))),
        heard,
        frozenset(map(_alike, heard)),
        weight,
    )


def name_weight(read: Read, names: int, frequency: Frequency) -> float:
    """What all grams of a name are worth together."""
    chars = dict(
        zip(grams([unit for unit, _ in read]), grams([heard for _, heard in read]), strict=True)
    )
    return sum(
        (telling(names, frequency("chars", one)) + telling(names, frequency("pinyin", other))) / 2
        for one, other in chars.items()
    )


def compare(asked: Query, name: NameGrams) -> Match:
    """The match of a wording and a name."""
    covered = of_name = only_heard = 0.0
    joined = len(asked.terms) == 1
    for term in asked.terms:
        if term.chars in name.chars:
            worth = term.weight
            of_name += term.full
        elif term.pair and _apart(term.pair, name.text):
            worth = term.weight * APART
        elif term.syllables in name.syllables:
            worth = term.heard * HEARD
            of_name += worth
            only_heard += worth
        elif term.alike in name.alike:
            worth = term.heard * ALIKE
            of_name += worth
            only_heard += worth
        else:
            continue
        covered += worth
        joined = joined or term.pair is not None
    if not covered:
        return Match(0.0, 0.0, 0.0, 0.0, joined=False)
    share = min(1.0, covered / asked.weight)
    back = min(1.0, of_name / name.weight) if name.weight else 0.0
    return Match(OF_QUERY * share + OF_NAME * back, share, back, only_heard / covered, joined)


def _apart(pair: tuple[str, str], text: str) -> bool:
    """People abbreviate: 初设 stands for 初步设计."""
    first = text.find(pair[0])
    return first >= 0 and 0 < text.find(pair[1], first) - first <= APART_MOST


def _alike(syllables: str) -> str:
    return "_".join(map(pinyin.fuzzy, syllables.split("_")))
