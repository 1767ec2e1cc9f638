"""Guidance: one step on the largest item of the catalogue, and on the largest bundle."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from affairs.catalogue_source import load
from hallkit.guide import bundle as bundles
from hallkit.guide.questions import GuideState, answer, choices, personal_list, start
from hallkit.guide.verify import ways
from hallkit.model.item import Item
from launcher.figures import Figure, percentile

_T = TypeVar("_T")

WALKS = 200
LIMIT_MS = 5.0
"""A twentieth of what a person takes for at once; the rest is the screen's."""


async def step(_folder: Path) -> list[Figure]:
    """An answer to the next question or to the list, over many ways of the largest item."""
    content = load()
    item = max(content.items, key=lambda one: (ways(one), len(one.materials)))
    times: list[float] = []
    for number in range(WALKS):
        _walk(item, number, times)
    figures = [Figure("guide.step.p95", percentile(times, 95), "ms", limit=LIMIT_MS)]
    if content.bundles:
        bundle = max(content.bundles, key=lambda one: len(one.members))
        times = []
        for _ in range(WALKS // 10):
            state = _timed(lambda: bundles.start(bundle, content.items), times)
            while (question := state.question) is not None:
                options = choices(question)[-1]
                state = _timed(lambda: bundles.answer(state, *options), times)  # noqa: B023  # called at once
            if state.ending is None:
                _timed(lambda: bundles.personal_plan(state), times)  # noqa: B023  # called at once
        figures.append(Figure("guide.bundle_step.p95", percentile(times, 95), "ms", limit=LIMIT_MS))
    return figures


MEASURES = {"guide.step": step}


def _walk(item: Item, number: int, times: list[float]) -> GuideState:
    """One way through the questions; each number takes another."""
    state = _timed(lambda: start(item), times)
    while (question := state.question) is not None:
        tried = choices(question)
        options = next(islice(tried, number % len(tried), None))
        number //= len(tried)
        before = state
        state = _timed(lambda: answer(before, *options), times)  # noqa: B023  # called at once
    if state.ending is None:
        _timed(lambda: personal_list(item, state), times)
    return state


def _timed(do: Callable[[], _T], times: list[float]) -> _T:
    began = time.perf_counter()
    done = do()
    times.append((time.perf_counter() - began) * 1000)
    return done
