"""How well the wait forecast does on made-up days, beside what halls usually show.

A day: people come by a Poisson process with a peak in the morning and one in the afternoon; cases
take lognormal times whose mean is another one than the file says, and another one in the afternoon;
some do not come when called, some have priority; windows open late, close for lunch and take
breaks. The windows and services are those of the demo hall. The forecast is asked when somebody
takes a number, and judged when they are called. Seeds below 1000 were worked with, those from 1000
on are reported.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from affairs.hall_map import load_hall_map
from affairs.queue.forecast import Desk, Ended, Waiting, length_s, observed_s, waits_s
from affairs.queue.order import Order, place_ms
from affairs.queue.services import load_services
from hallkit.model.ticket import Priority
from hallkit.runtime.clock import HALL_ZONE
from launcher.figures import Figure

REPORTED = range(1000, 1020)
"""Days."""
_HOUR_S = 3600.0
_CLOSE_S = 17 * _HOUR_S
_LUNCH_S = (12 * _HOUR_S, 13 * _HOUR_S)
_PEAKS = ((9.7, 1.0), (14.8, 0.8))
_LEARN_EVERY_S = 5.0


@dataclass(order=True)
class Person:
    place_ms: int
    number: int
    service: str = field(compare=False)
    came_s: float = field(compare=False)
    takes_s: float = field(compare=False)
    comes: bool = field(compare=False)


@dataclass
class Window:
    number: int
    services: frozenset[str]
    open: bool = False
    person: Person | None = None
    called_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One forecast, and what came of it."""

    actual_s: float
    ours_s: float
    naive_s: float
    """The mean wait of those who were called so far today in the same queue."""
    plain_s: float
    """Who is ahead, times what is usual, by the windows that are open."""


class Day:
    """One day of the hall."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311  # a rehearsal, no secret
        self.services = load_services()
        hall = load_hall_map()
        self.windows = [
            Window(one.properties.number, frozenset(one.properties.services) & self.services.keys())
            for one in hall.windows
            if set(one.properties.services) & self.services.keys()
        ]
        self.order = Order()
        self.events: list[tuple[float, int, str, object]] = []
        self._count = itertools.count()
        self.queue: list[Person] = []
        self.ended: list[Ended] = []
        self.judged: list[Judged] = []
        self.asked: dict[int, tuple[float, float, float]] = {}
        self.called_waits: dict[str, list[float]] = defaultdict(list)
        self.mean_s: dict[str, tuple[float, float]] = {}
        self._learned_at_s = -1.0
        self._lengths: dict[str, float] = {}

    def at(self, time_s: float, what: str, subject: object = None) -> None:
        heapq.heappush(self.events, (time_s, next(self._count), what, subject))

    def run(self) -> list[Judged]:
        self._plan_windows()
        for service in self.services.values():
            self._plan_people(service.key, service.usual_minutes * 60)
        while self.events:
            now_s, _, what, subject = heapq.heappop(self.events)
            if now_s > _CLOSE_S + _HOUR_S:
                break
            getattr(self, f"_{what}")(now_s, subject)
        return self.judged

    def _plan_windows(self) -> None:
        for window in self.windows:
            if self.random.random() < 0.15:
                continue  # somebody is ill
            start_s = 9 * _HOUR_S + abs(self.random.gauss(0, 300))
            self.at(start_s, "opens", window)
            self.at(_LUNCH_S[0] + self.random.gauss(0, 240), "closes", window)
            self.at(_LUNCH_S[1] + abs(self.random.gauss(0, 300)), "opens", window)
            self.at(_CLOSE_S, "closes", window)
            for _ in range(self.random.choice((0, 1, 1, 2))):
                pause_s = self.random.uniform(9.5, 16.5) * _HOUR_S
                self.at(pause_s, "closes", window)
                self.at(pause_s + self.random.uniform(300, 1200), "opens", window)

    def _plan_people(self, service: str, usual_s: float) -> None:
        factor = math.exp(self.random.gauss(0, 0.35))
        afternoon = math.exp(self.random.gauss(0, 0.2))
        self.mean_s[service] = (usual_s * factor, usual_s * factor * afternoon)
        count = sum(service in window.services for window in self.windows)
        # So many that the windows are busy for most of the day.
        busy = self.random.uniform(0.6, 1.05)
        expected = busy * count * 0.85 * 7 * _HOUR_S / (usual_s * factor)
        for _ in range(self._poisson(expected)):
            hour, share = self.random.choice(_PEAKS)
            came = self.random.gauss(hour, 1.3 * share)
            if 9 <= came < 16.7:
                self.at(came * _HOUR_S, "comes", service)

    def _poisson(self, mean: float) -> int:
        return max(0, round(self.random.gauss(mean, math.sqrt(mean))))

    # ── What happens ─────────────────────────────────────────────────────────────────────────

    def _comes(self, now_s: float, service: str) -> None:
        means = self.mean_s[service]
        mean_s = means[now_s > _LUNCH_S[1]]
        spread = 0.7
        takes_s = self.random.lognormvariate(math.log(mean_s) - spread**2 / 2, spread)
        has_priority = self.random.random() < 0.15
        priority = Priority.ELDERLY if has_priority else Priority.NONE
        person = Person(
            place_ms(round(now_s * 1000), priority, self.order),
            next(self._count),
            service,
            now_s,
            takes_s,
            comes=self.random.random() > 0.06,
        )
        self.asked[person.number] = self._forecasts(now_s, person)
        heapq.heappush(self.queue, person)
        self._call(now_s)

    def _opens(self, now_s: float, window: Window) -> None:
        window.open = True
        self._call(now_s)

    def _closes(self, _now_s: float, window: Window) -> None:
        window.open = False

    def _ends(self, now_s: float, window: Window) -> None:
        assert window.person is not None
        self.ended.append(Ended(window.person.service, window.number, window.called_s, now_s))
        window.person = None
        self.at(now_s + abs(self.random.gauss(20, 15)), "looks_up", window)

    def _looks_up(self, now_s: float, _window: Window) -> None:
        self._call(now_s)

    def _call(self, now_s: float) -> None:
        free = [window for window in self.windows if window.open and window.person is None]
        self.random.shuffle(free)
        for window in free:
            mine = [one for one in self.queue if one.service in window.services]
            if not mine:
                continue
            person = min(mine)
            self.queue.remove(person)
            heapq.heapify(self.queue)
            wait_s = now_s - person.came_s
            self.called_waits[person.service].append(wait_s)
            self.judged.append(Judged(wait_s, *self.asked.pop(person.number)))
            window.person, window.called_s = person, now_s
            self.at(now_s + (person.takes_s if person.comes else 90.0), "ends", window)

    # ── What is told ─────────────────────────────────────────────────────────────────────────

    def _forecasts(self, now_s: float, person: Person) -> tuple[float, float, float]:
        usual_s = self.services[person.service].usual_minutes * 60
        waits = self.called_waits[person.service]
        naive = statistics.fmean(waits) if waits else usual_s
        mine = [one for one in self.queue if one.service == person.service]
        windows = sum(w.open and person.service in w.services for w in self.windows)
        plain = len(mine) * usual_s / max(windows, 1)
        if now_s - self._learned_at_s > _LEARN_EVERY_S:
            self._learned_at_s = now_s
            seen = observed_s(self.ended)
            self._lengths = {
                key: length_s(service.usual_minutes * 60, seen.get(key, ()))
                for key, service in self.services.items()
            }
        told = waits_s(
            [Waiting(str(one.number), one.service) for one in sorted([*self.queue, person])],
            [self._desk(window, now_s) for window in self.windows if window.open],
            self._lengths,
        )
        # With every window closed nobody can tell: all three say the same then.
        ours = told.get(str(person.number), plain)
        wait_s = self.services[person.service].opening.wait_s(_clock(now_s), ours)
        return ours if wait_s is None else wait_s, naive, plain

    def _desk(self, window: Window, now_s: float) -> Desk:
        if window.person is None:
            return Desk(window.services)
        return Desk(window.services, window.person.service, now_s - window.called_s)


def _clock(now_s: float) -> dt.datetime:
    """On a Monday."""
    return dt.datetime(2026, 11, 30, tzinfo=HALL_ZONE) + dt.timedelta(seconds=now_s)


def errors_minutes(judged: Sequence[Judged]) -> Iterator[tuple[float, float, float]]:
    for one in judged:
        yield tuple(  # type: ignore[misc]  # three of three
            abs(told - one.actual_s) / 60 for told in (one.ours_s, one.naive_s, one.plain_s)
        )


async def forecast(_folder: Path) -> list[Figure]:
    """Mean and 90th percentile of the error, of those who had to wait."""
    judged = [
        one for seed in REPORTED for one in Day(seed).run() if max(one.actual_s, one.ours_s) > 60
    ]
    ours, naive, plain = (sorted(errors) for errors in zip(*errors_minutes(judged), strict=True))
    peer = (
        "mean wait so far today; ahead × usual ÷ windows: "
        f"{statistics.fmean(plain):.1f}; {len(judged)} people of {len(REPORTED)} days, mean wait "
        f"{statistics.fmean(one.actual_s for one in judged) / 60:.1f}"
    )
    ninth = len(ours) * 9 // 10
    return [
        Figure(
            "queue.forecast.error",
            statistics.fmean(ours),
            "min",
            peer,
            statistics.fmean(naive),
            limit=statistics.fmean(naive),
        ),
        Figure("queue.forecast.error.p90", ours[ninth], "min", "the same", naive[ninth]),
    ]


MEASURES = {"queue.forecast": forecast}
