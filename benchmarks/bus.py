"""The local bus: a request and its reply over a Unix socket, client and server in one process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from hallkit.runtime.bus import BusClient, BusServer, Connection
from hallkit.wire import bus as wire
from hallkit.wire.base import Message
from launcher.figures import Figure, percentile

WARM_UP = 500
ROUND_TRIPS = 5_000
LIMIT_P99_US = 5_000.0
"""A tap passes the bus four times before its frame; all of it must stay below a fifth of 100 ms."""


class Payload(Message):
    """As large as a tap with its answer."""

    action: str
    value: str


PAYLOAD = Payload(action="choose", value="food-licence-new")


async def round_trip(folder: Path) -> list[Figure]:
    """`BusClient.request` against `BusServer`; beside it a bare echo of the same line."""
    ours = await _ours(folder / "bus.sock")
    peers = await _peer(folder / "echo.sock")
    peer = "bare asyncio streams, echo of the same line"
    return [
        _figure("bus.round_trip.p50", ours, peers, peer, 50, None),
        _figure("bus.round_trip.p99", ours, peers, peer, 99, LIMIT_P99_US),
        Figure("bus.round_trip.per_second", _rate(ours), "1/s", peer, _rate(peers)),
    ]


MEASURES = {"bus.round_trip": round_trip}


def _figure(  # noqa: PLR0917  # one row of a table
    name: str,
    ours: list[float],
    peers: list[float],
    peer: str,
    percent: float,
    limit: float | None,
) -> Figure:
    return Figure(name, percentile(ours, percent), "µs", peer, percentile(peers, percent), limit)


def _rate(times_us: list[float]) -> float:
    return len(times_us) / (sum(times_us) / 1e6)


async def _times(once: Callable[[], Awaitable[object]]) -> list[float]:
    for _ in range(WARM_UP):
        await once()
    times = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        await once()
        times.append((time.perf_counter() - began) * 1e6)
    return times


async def _ours(path: Path) -> list[float]:
    async def answer(args: Mapping[str, Any], _from: Connection) -> Message:
        return Payload.model_validate(args)

    async def ignore_snapshot(_data: dict[str, Any]) -> None:
        pass

    async def ignore_event(_name: str, _data: dict[str, Any]) -> None:
        pass

    server = BusServer("bench", path, handlers={"tap": answer}, snapshot=lambda: PAYLOAD)
    client = BusClient(path, on_snapshot=ignore_snapshot, on_event=ignore_event)
    with _without_rate_limit():
        async with server, asyncio.TaskGroup() as tasks:
            running = tasks.create_task(client.run())
            await client.connected.wait()
            times = await _times(lambda: client.request("tap", PAYLOAD, Payload))
            running.cancel()
    return times


async def _peer(path: Path) -> list[float]:
    request = wire.Request(id="1234", name="tap", args=PAYLOAD.model_dump(mode="json"))
    line = wire.encode_line(request)
    async with _echo(path) as (reader, writer):

        async def once() -> None:
            writer.write(line)
            await reader.readuntil(b"\n")

        return await _times(once)


@asynccontextmanager
async def _echo(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(await reader.readuntil(b"\n"))
        except asyncio.IncompleteReadError:
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()
        server.close()


@contextmanager
def _without_rate_limit() -> Iterator[None]:
    """The bus allows a client 500 requests a second; here the bus itself is measured."""
    allowed = wire.REQUESTS_PER_SECOND
    wire.REQUESTS_PER_SECOND = 10**9
    try:
        yield
    finally:
        wire.REQUESTS_PER_SECOND = allowed
