"""Times as people read them on our pages: how long ago, with the hall's clock behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hallkit.lexicon.words import Words
from hallkit.runtime.clock import local

SCRIPT_WORDS = (
    *("ago", "just_now", "under_a_minute", "seconds", "minutes", "hours", "days"),
    *("live", "live_lost"),
)
"""Wordings that the page's script fills by itself."""

JUST_NOW_S = 5
SPANS_S = {"days": 86_400, "hours": 3600, "minutes": 60, "seconds": 1}


def ago(words: Words, span_ms: int) -> str:
    """`3 min ago`, rounded as people say it."""
    seconds = max(0, round(span_ms / 1000))
    if seconds < JUST_NOW_S:
        return words("console.just_now")
    return words("console.ago", span=_said(words, seconds))


def span(words: Words, span_ms: int) -> str:
    """`3 min`: how long something has lasted."""
    seconds = max(0, round(span_ms / 1000))
    if seconds < SPANS_S["minutes"]:
        return words("console.under_a_minute")
    return _said(words, seconds)


def script_words(words: Words) -> Mapping[str, str]:
    """For the body's `data-words`, with their placeholders."""
    placeholders = {name: f"{{{name}}}" for name in ("n", "span", "time")}
    return {key: words(f"console.{key}", **placeholders) for key in SCRIPT_WORDS}


def time_of_day(ms: int) -> str:
    return local(ms).strftime("%H:%M:%S")


def full_time(ms: int) -> str:
    return local(ms).strftime("%Y-%m-%d %H:%M:%S")


def iso(ms: int) -> str:
    return local(ms).isoformat(timespec="seconds")


FUNCTIONS: Mapping[str, Any] = {"time_of_day": time_of_day, "full_time": full_time, "iso": iso}
"""What templates call."""


def _said(words: Words, seconds: int) -> str:
    unit = next(unit for unit, length_s in SPANS_S.items() if seconds >= length_s)
    return words(f"console.{unit}", n=seconds // SPANS_S[unit])
