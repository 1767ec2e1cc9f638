"""Pages that follow: what a browser is told, and what happens when nothing can be read."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sse_starlette.event import ServerSentEvent

from hallkit.errors import StoreError
from hallkit.runtime.clock import SystemClock
from hallkit.web.live import LiveView, Pieces

LIMIT_S = 10.0


class Source:
    """A number that changes, or cannot be read."""

    def __init__(self) -> None:
        self.value = 1
        self.is_broken = False
        self.failed = asyncio.Event()

    async def read(self) -> int:
        if self.is_broken:
            self.failed.set()
            raise StoreError("gone")
        return self.value


@asynccontextmanager
async def following(source: Source) -> AsyncIterator[LiveView[int]]:
    live = LiveView(source.read, SystemClock(), at_least_every_s=60)
    running = asyncio.create_task(live.run())
    async with asyncio.timeout(LIMIT_S):
        yield live
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def pieces(value: int) -> Pieces | None:
    return None if value == 0 else {"sum": f"<p>{value}</p>", "title": "<h1>same</h1>"}


def told(event: ServerSentEvent) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.data)
    return found["changed"]


async def test_a_browser_is_told_everything_and_then_what_differs() -> None:
    source = Source()
    async with following(source) as live:
        stream = live.follow(pieces)
        assert set(told(await anext(stream))) == {"sum", "title"}
        source.value = 2
        live.touch()
        assert told(await anext(stream)) == {"sum": "<p>2</p>"}


async def test_while_nothing_can_be_read_nothing_is_told_and_the_process_goes_on() -> None:
    source = Source()
    async with following(source) as live:
        stream = live.follow(pieces)
        await anext(stream)
        source.is_broken = True
        live.touch()
        waiting = asyncio.create_task(anext(stream))
        await source.failed.wait()
        assert not waiting.done()
        source.is_broken, source.value = False, 3
        live.touch()
        assert told(await waiting) == {"sum": "<p>3</p>"}


async def test_a_page_that_is_over_is_told_so() -> None:
    source = Source()
    async with following(source) as live:
        stream = live.follow(pieces)
        await anext(stream)
        source.value = 0
        live.touch()
        assert (await anext(stream)).event == "ended"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_closing_ends_every_stream() -> None:
    source = Source()
    async with following(source) as live:
        streams = [live.follow(pieces) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        live.close()
        for stream in streams:
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
