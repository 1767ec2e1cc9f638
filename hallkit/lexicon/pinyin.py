"""Toneless pinyin of Chinese text: our own readings first, then the general table.

The general table (pypinyin) takes a quarter of a second to load and is loaded at the first Han
character that our readings don't hold; text in Latin letters never needs it. `warm` loads it
ahead of the first citizen.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import resources

_HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
_PARTS = re.compile(f"([a-z0-9]+)|([{_HAN}]+)")
_ALIKE = {"zh": "z", "ch": "c", "sh": "s", "n": "l", "hui": "fei", "hua": "fa", "hu": "fu"}
_ALIKE_BEGINNING = re.compile("^(?:zh|ch|sh|n|hui|hua|hu)")


def normal(text: str) -> str:
    """One form of a text: full-width letters become plain, capitals small."""
    return unicodedata.normalize("NFKC", text).lower()


def units(text: str) -> tuple[str, ...]:
    """What a text is made of: each Han character, each run of letters and digits."""
    found: list[str] = []
    for letters, han in _PARTS.findall(normal(text)):
        found += [letters] if letters else han
    return tuple(found)


def syllables(text: str) -> tuple[str, ...]:
    """`什邡2楼` → `shi fang 2 lou`. Runs of letters and digits stay whole, the rest is dropped."""
    return tuple(syllable for syllable, _ in _read(text))


def aligned(text: str) -> tuple[tuple[str, str], ...]:
    """Each unit with its syllable; a character that no table knows stands for itself."""
    found: list[tuple[str, str]] = []
    for letters, han in _PARTS.findall(normal(text)):
        if letters:
            found.append((letters, letters))
        else:
            found += zip(han, _read_han(han, keep=True), strict=True)
    return tuple(found)


@lru_cache(maxsize=1024)
def fuzzy(syllable: str) -> str:
    """One form for syllables that many say alike: zh=z, ch=c, sh=s, n=l, -ng=-n, hu=fu, hua=fa."""
    plain = _ALIKE_BEGINNING.sub(lambda found: _ALIKE[found[0]], syllable)
    return plain[:-1] if plain.endswith("ng") else plain


def initials(text: str) -> str:
    """`食品经营许可证` → `spjyxkz`. Letters and digits stay as they are, in lower case."""
    return "".join(syllable[0] if is_han else syllable for syllable, is_han in _read(text))


def warm() -> None:
    """Load the general table now."""
    _general("字")


def _read(text: str) -> Iterator[tuple[str, bool]]:
    for letters, han in _PARTS.findall(normal(text)):
        if letters:
            yield letters, False
        else:
            for syllable in _read_han(han):
                yield syllable, True


def _read_han(han: str, *, keep: bool = False) -> Iterator[str]:
    """Longest reading of ours at each place; what lies between goes to the general table.

    Characters that it doesn't know are dropped, or kept as they are.
    """
    readings, longest = _readings()
    start = place = 0
    while place < len(han):
        for length in range(min(longest, len(han) - place), 1, -1):
            reading = readings.get(han[place : place + length])
            if reading is not None:
                yield from _general(han[start:place], keep=keep)
                yield from reading
                start = place = place + length
                break
        else:
            place += 1
    yield from _general(han[start:], keep=keep)


@cache
def _readings() -> tuple[dict[str, tuple[str, ...]], int]:
    raw = tomllib.loads(
        resources.files("hallkit.lexicon").joinpath("readings.toml").read_text(encoding="utf-8")
    )
    readings = {
        word: tuple(reading.split()) for table in raw.values() for word, reading in table.items()
    }
    return readings, max(map(len, readings))


def _general(han: str, *, keep: bool = False) -> list[str]:
    """The general table's reading."""
    if not han:
        return []
    from pypinyin import lazy_pinyin  # noqa: PLC0415 - slow to load, see the module's docstring

    if keep:
        # Its types know errors that return a text only; a list keeps one syllable a character.
        read = lazy_pinyin(han, errors=list)  # type: ignore[arg-type]
        return [_plain(syllable) or han[place] for place, syllable in enumerate(read)]
    found = (_plain(syllable) for syllable in lazy_pinyin(han, errors="ignore"))
    return [syllable for syllable in found if syllable]


def _plain(syllable: str) -> str:
    """Only a to z: rare readings (欸, 嗯) come with marks."""
    return "".join(
        letter for letter in unicodedata.normalize("NFD", syllable) if "a" <= letter <= "z"
    )
