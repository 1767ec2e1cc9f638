"""A clock that stands still until the test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools

NOON_MS = 1_735_790_400_000
"""Noon of 2 January 2025 in the hall."""


class FakeClock:
    """Implements `Clock`; `advance` moves the time and wakes who slept until then."""

    def __init__(self, wall_ms: int = NOON_MS) -> None:
        self._start_ms = wall_ms
        self._mono_s = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._asleep = asyncio.Event()

    def wall_ms(self) -> int:
        return self._start_ms + round(self._mono_s * 1000)

    def mono_s(self) -> float:
        return self._mono_s

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._mono_s + seconds, next(self._order), woken))
        self._asleep.set()
        await woken

    @property
    def sleeping(self) -> int:
        """How many wait for the time to move."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def until_sleeping(self) -> None:
        """Return when somebody waits for the time to move."""
        while not self.sleeping:
            self._asleep.clear()
            await self._asleep.wait()

    def advance(self, seconds: float) -> None:
        """Move the time; who is woken runs at the caller's next `await`."""
        until = self._mono_s + seconds
        while self._sleepers and self._sleepers[0][0] <= until:
            self._mono_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)
        self._mono_s = until

    def set_wall_ms(self, wall_ms: int) -> None:
        """Let the wall clock jump; the monotonic one does not."""
        self._start_ms = wall_ms - round(self._mono_s * 1000)


class HastyClock(FakeClock):
    """Whoever sleeps on it is woken at once, at the later time."""

    async def sleep(self, seconds: float) -> None:
        self.advance(max(seconds, 0.0))
        await asyncio.sleep(0)
