"""Pages that change without a reload: named pieces of HTML, told when they differ.

`assets/live.js` replaces the element whose id is the piece's name. A browser gets every piece when
it connects, so that what it missed does not matter.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Generic, TypeVar

from sse_starlette.event import ServerSentEvent

from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

Pieces = Mapping[str, str]
"""HTML by the id of the element that it replaces."""
View = TypeVar("View")

AT_MOST_EVERY_S = 0.1
AT_LEAST_EVERY_S = 5.0
"""Ages grow though nothing happens, and a silent stream looks like a dead one."""


class LiveView(Generic[View]):
    """What many pages show, read once for all who look; each browser gets its own pieces of it."""

    def __init__(
        self,
        read: Callable[[], Awaitable[View]],
        clock: Clock,
        *,
        at_least_every_s: float = AT_LEAST_EVERY_S,
    ) -> None:
        self._read = read
        self._clock = clock
        self._at_least_every_s = at_least_every_s
        self._view: View | None = None
        self._touched = asyncio.Event()
        self._news = asyncio.Event()
        self._watchers = 0
        self._is_closed = False
        self._log = get_logger()

    def touch(self) -> None:
        """Something changed."""
        self._touched.set()

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        self._news.set()

    async def run(self) -> None:
        """Read while somebody looks, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._at_least_every_s):
                    await self._touched.wait()
            self._touched.clear()
            # Where nothing can be read nobody is told anything: a page that hears nothing says so.
            if not self._watchers or self._is_closed or await self._look():
                news, self._news = self._news, asyncio.Event()
                news.set()
            await self._clock.sleep(AT_MOST_EVERY_S)

    async def _look(self) -> bool:
        """Read anew; False if it cannot be read now."""
        try:
            self._view = await self._read()
        except Exception as exc:  # noqa: BLE001  # a page must not end the process that it is about
            self._log.error("page.not_read", fault=type(exc).__name__)
            return False
        return True

    async def follow(
        self, pieces_of: Callable[[View], Awaitable[Pieces | None]]
    ) -> AsyncIterator[ServerSentEvent]:
        """What one browser is told: all its pieces, then those that differ from what it has.

        None for pieces ends the stream: the page loads itself again.
        """
        self._watchers += 1
        try:
            has: dict[str, str] = {}
            news = self._news  # before reading: what changes meanwhile is news
            view = await self._read()
            while not self._is_closed:
                pieces = await pieces_of(view)
                if pieces is None:
                    yield ServerSentEvent("", event="ended")
                    return
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
                news = self._news
                view = self._view if self._view is not None else view
        finally:
            self._watchers -= 1


class LivePage(LiveView[Pieces]):
    """One page, drawn once for all who look at it."""

    def stream(self) -> AsyncIterator[ServerSentEvent]:
        """What one browser is told."""
        return self.follow(_as_drawn)


async def _as_drawn(pieces: Pieces) -> Pieces:
    return pieces
