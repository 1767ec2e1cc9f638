"""The one table of words for people: `words.toml`, Chinese first.

Keys are dotted (`find.title`); values hold `{placeholders}`. Sentences are plain, speakable, and
name the thing done first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

Language = Literal["zh_CN", "en"]


class Words:
    """Words of one language."""

    def __init__(self, language: Language, table: Mapping[str, str]) -> None:
        self.language: Language = language
        self._table = table

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key. A missing key is a mistake of ours: `KeyError`."""
        return self._table[key].format(**values)

    def has(self, key: str) -> bool:
        return key in self._table


@cache
def words(language: Language = "zh_CN") -> Words:
    """The table of a language; texts without an English form fall back to Chinese."""
    raw = tomllib.loads(
        resources.files("hallkit.lexicon").joinpath("words.toml").read_text(encoding="utf-8")
    )
    return Words(language, dict(_flatten(raw, language)))


def _flatten(
    table: Mapping[str, object], language: Language, prefix: str = ""
) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if not isinstance(value, dict):
            raise TypeError(f"words.toml: {prefix}{key} is no table")
        if "zh_CN" in value:
            pairs.append((f"{prefix}{key}", str(value.get(language, value["zh_CN"]))))
        else:
            pairs += _flatten(value, language, f"{prefix}{key}.")
    return pairs
