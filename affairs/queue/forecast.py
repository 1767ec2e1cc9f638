"""How long it will take until somebody is called: the queue played through, window by window. Pure.

Each window takes the first of those whom it serves, as soon as it is free; how long it takes for
one, the day has taught, beginning with what is usual. `benchmarks/queue.py` compares it with the
naive mean of the waits so far.
"""

from __future__ import annotations

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_USUAL_WEIGHT = 6.0
"""What is usual counts as much as so many of today."""
_HALF_LIFE = 20
"""So many later ones count half as much again as one: mornings and afternoons differ."""
_LONGEST_S = 3600.0
"""Whoever seems to sit there longer was forgotten at the keys."""
_LONGEST_GAP_S = 180.0
"""A window that calls nobody for longer had nobody to call, or a pause."""
_LEAST_LEFT = 0.35
"""Of the usual length is still to come where somebody has been there longer than that."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who waits."""

    ticket: str
    service: str


@dataclass(frozen=True, slots=True)
class Desk:
    """A window that is open."""

    services: frozenset[str]
    service: str = ""
    """Of whoever is there; empty: nobody is."""
    busy_s: float = 0.0
    """Since they were called."""


@dataclass(frozen=True, slots=True)
class Ended:
    """One who was called, and has gone or did not come."""

    service: str
    window: int
    called_s: float
    ended_s: float


def observed_s(ended: Iterable[Ended]) -> dict[str, list[float]]:
    """What windows took for one, by service, in the order of the ends.

    From a call to the next one of the same window where that came soon, else to the end: so the
    way to the window and whoever did not come are in it.
    """
    at_window: dict[int, list[Ended]] = defaultdict(list)
    for one in sorted(ended, key=lambda one: one.called_s):
        at_window[one.window].append(one)
    taken: list[tuple[float, str, float]] = []
    for mine in at_window.values():
        for one, following in zip(mine, [*mine[1:], None], strict=True):
            end_s = one.ended_s
            if following is not None and following.called_s - end_s <= _LONGEST_GAP_S:
                end_s = max(end_s, following.called_s)
            taken.append((one.ended_s, one.service, end_s - one.called_s))
    found: dict[str, list[float]] = defaultdict(list)
    for _, service, seconds in sorted(taken):
        found[service].append(seconds)
    return found


def length_s(usual_s: float, observed_s: Iterable[float]) -> float:
    """What one takes, of those of today in their order."""
    total, weight = usual_s * _USUAL_WEIGHT, _USUAL_WEIGHT
    fade = 0.5 ** (1 / _HALF_LIFE)
    for seconds in observed_s:
        total, weight = total * fade + min(seconds, _LONGEST_S), weight * fade + 1
    return total / weight


def waits_s(
    waiting: Sequence[Waiting], desks: Sequence[Desk], lengths_s: Mapping[str, float]
) -> dict[str, float]:
    """Seconds until each ticket is called. `waiting` is in the order of the calls.

    A ticket whom no desk serves is not in the answer.
    """
    free = [(_left_s(desk, lengths_s), number) for number, desk in enumerate(desks)]
    heapq.heapify(free)
    left: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
    for place, one in enumerate(waiting):
        left[one.service].append((place, one.ticket))
    found: dict[str, float] = {}
    while free and left:
        at_s, number = heapq.heappop(free)
        first = min(
            ((left[key][0], key) for key in desks[number].services & left.keys()), default=None
        )
        if first is None:
            continue  # nobody is left for it
        (_, ticket), service = first
        left[service].popleft()
        if not left[service]:
            del left[service]
        found[ticket] = at_s
        heapq.heappush(free, (at_s + lengths_s[service], number))
    return found


def _left_s(desk: Desk, lengths_s: Mapping[str, float]) -> float:
    if not desk.service:
        return 0.0
    usual_s = lengths_s.get(desk.service, 0.0)
    return max(usual_s - desk.busy_s, _LEAST_LEFT * usual_s)
