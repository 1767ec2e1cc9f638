"""What the search could not answer: words to grow the lexicon with, and how often each was said.

A journal of one machine, small and capped. It holds no personal data: digits, letters among words,
numbers in words and what follows 我叫, 姓 or 名字 are cut out before anything is written, no time
and no order is kept, and an export leaves out what was said only once.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hallkit.lexicon import pinyin

MOST = 2_000
"""Queries kept; then the rarest gives way."""
LONGEST = 24
TOLD_FROM = 2
"""Times that a query must have been said to be exported."""

_NAMED = re.compile(
    "(?:(?:我|他|她|本人)(?:叫做?|姓|是)|名字(?:叫做?|是)?|姓名(?:叫|是)?|名叫|叫做)"
    "[\u4e00-\u9fff]{1,4}"
)
_TITLED = re.compile("[\u4e00-\u9fff]{1,3}(?:先生|女士|小姐|老师|同志|师傅|大爷|阿姨)")
_PLACED = re.compile(
    "[\u4e00-\u9fff]{1,6}(?:路|街|巷|小区|花园|苑|村|组|栋|单元|幢)"
    "[0-9零〇一二三四五六七八九十]*(?:号|组|栋|单元|楼|室)+"
)
_NUMBERS = re.compile("[零〇一二三四五六七八九幺两]{3,}")
_LETTERS = re.compile("[^\u3400-\u4dbf\u4e00-\u9fff]+")

_TYPED = re.compile("[a-z]+")

_SCHEMA = "CREATE TABLE IF NOT EXISTS miss (said TEXT PRIMARY KEY, times INTEGER NOT NULL)"


@dataclass(frozen=True, slots=True)
class Miss:
    """Something that people say and the search doesn't know."""

    said: str
    times: int


class Misses:
    """The journal in one file. Opened for each call: a miss is rare, and a machine may lose power.

    `sqlite3.Error` and `OSError` are the caller's: a citizen never waits for a journal.
    """

    def __init__(self, path: Path, *, most: int = MOST) -> None:
        self._path = path
        self._most = most

    def add(self, text: str) -> None:
        """Count a query that went to a person, or whose candidates were all wrong."""
        said = without_persons(text)
        if len(said) < 2:
            return
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(_SCHEMA)
            connection.execute(
                "INSERT INTO miss VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
                (said,),
            )
            connection.execute(
                "DELETE FROM miss WHERE said IN (SELECT said FROM miss WHERE said != ?"
                " ORDER BY times, said LIMIT max(0, (SELECT count(*) FROM miss) - ?))",
                (said, self._most),
            )

    def told(self, *, at_least: int = TOLD_FROM) -> list[Miss]:
        """What may leave the machine, the most frequent first."""
        if not self._path.is_file():
            return []
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute(_SCHEMA)
            rows = connection.execute(
                "SELECT said, times FROM miss WHERE times >= ? ORDER BY times DESC, said",
                (at_least,),
            )
            return [Miss(*row) for row in rows]


def without_persons(text: str) -> str:
    """The Han characters of a query without what might name a person or a place to live.

    A query of letters only stays as it is: a keyboard of letters types nothing else, and to name
    a person it would have to be typed by two.
    """
    said = pinyin.normal(text[: LONGEST * 4])
    if _TYPED.fullmatch(said):
        return said[:LONGEST]
    for part in (_NAMED, _TITLED, _PLACED, _NUMBERS, _LETTERS):
        said = part.sub("", said)
    return said[:LONGEST]
