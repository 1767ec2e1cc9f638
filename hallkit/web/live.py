"""Pages that change without a reload: named pieces of HTML, told when they differ.

`assets/live.js` replaces the element whose id is the piece's name. A browser gets every piece when
it connects, so that what it missed does not matter.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress

from sse_starlette.event import ServerSentEvent

from hallkit.runtime.clock import Clock

Pieces = Mapping[str, str]
"""HTML by the id of the element that it replaces."""

AT_MOST_EVERY_S = 0.1
AT_LEAST_EVERY_S = 5.0
"""Ages grow though nothing happens, and a silent stream looks like a dead one."""


class LivePage:
    """One page, drawn once for all who look at it."""

    def __init__(self, draw: Callable[[], Awaitable[Pieces]], clock: Clock) -> None:
        self._draw = draw
        self._clock = clock
        self._pieces: Pieces = {}
        self._touched = asyncio.Event()
        self._news = asyncio.Event()
        self._watchers = 0
        self._is_closed = False

    def touch(self) -> None:
        """Something changed."""
        self._touched.set()

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        self._news.set()

    async def run(self) -> None:
        """Draw while somebody looks, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(AT_LEAST_EVERY_S):
                    await self._touched.wait()
            self._touched.clear()
            if self._watchers and not self._is_closed:
                self._pieces = await self._draw()
            news, self._news = self._news, asyncio.Event()
            news.set()
            await self._clock.sleep(AT_MOST_EVERY_S)

    async def stream(self) -> AsyncIterator[ServerSentEvent]:
        """What one browser is told: all pieces, then those that differ from what it has."""
        self._watchers += 1
        try:
            has: dict[str, str] = {}
            news = self._news  # before drawing: what changes meanwhile is news
            pieces = await self._draw()
            while not self._is_closed:
                told = {
                    "now_ms": self._clock.wall_ms(),
                    "changed": {
                        name: html for name, html in pieces.items() if has.get(name) != html
                    },
                    "gone": [name for name in has if name not in pieces],
                }
                has = dict(pieces)
                yield ServerSentEvent(json.dumps(told, ensure_ascii=False), event="pieces")
                await news.wait()
                news, pieces = self._news, self._pieces
        finally:
            self._watchers -= 1
