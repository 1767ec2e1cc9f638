"""The card reader's process, followed: replacements are no news, absence is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.devices.card_worker import AWAY_S, CardWorker
from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, DeviceStatus, Media
from hallkit.runtime.bus import BusServer
from hallkit.wire import agent_bus as bus
from hallkit.wire.base import Message
from tests.fakes.clock import FakeClock

STARTING = DeviceReport(
    id="id-card-reader", port="id_card_reader", driver="sdt", status=DeviceStatus.STARTING
)
ONLINE = STARTING.model_copy(update={"status": DeviceStatus.ONLINE, "serial": "s1"})
GONE = STARTING.model_copy(
    update={"status": DeviceStatus.NO_DEVICE, "reason": Reason.PORT_GONE, "serial": "s1"}
)


class Followed:
    def __init__(self, folder: Path) -> None:
        self._path = folder / "card.sock"
        self.clock = FakeClock()
        self.told: asyncio.Queue[DeviceReport] = asyncio.Queue()
        self.worker = CardWorker(self._path, [STARTING], self.clock, tell=self.told.put_nowait)

    @asynccontextmanager
    async def process(self, first: DeviceReport = STARTING) -> AsyncIterator[BusServer]:
        """One life of the process; the block runs when it is followed."""

        def snapshot() -> Message:
            return bus.CardSnapshot(devices=(first,))

        async with BusServer("card_reader", self._path, handlers={}, snapshot=snapshot) as server:
            async with asyncio.timeout(5):
                await self.worker._bus.connected.wait()
            yield server
        async with asyncio.timeout(5):
            while self.worker._bus.connected.is_set():  # noqa: ASYNC110  # no event for the end
                await asyncio.sleep(0)

    async def hears(self) -> DeviceReport:
        async with asyncio.timeout(5):
            return await self.told.get()

    async def time_passes(self, seconds: float) -> None:
        """Second by second, so that who looks each second looks."""
        for _ in range(round(seconds)):
            await self.clock.until_sleeping()
            self.clock.advance(1.0)
        await self.clock.until_sleeping()


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[Followed]:
    one = Followed(tmp_path)
    running = asyncio.create_task(one.worker.run())
    try:
        yield one
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def tells(server: BusServer, report: DeviceReport) -> None:
    server.publish(bus.DEVICE_CHANGED, bus.DeviceChanged(device=report))


async def test_every_change_of_the_reader_is_told(followed: Followed) -> None:
    assert followed.worker.reports == (STARTING,)
    async with followed.process() as server:
        tells(server, ONLINE)
        assert await followed.hears() == ONLINE
        tells(server, GONE)
        assert await followed.hears() == GONE
        assert followed.worker.reports == (GONE,)


async def test_a_replacement_is_no_news(followed: Followed) -> None:
    before = ONLINE.model_copy(update={"media": Media.PRESENT, "since_ms": 1})
    async with followed.process(before):
        assert await followed.hears() == before
    async with followed.process() as server:
        tells(server, ONLINE.model_copy(update={"since_ms": 2}))
        tells(server, GONE)
        assert (await followed.hears()).status is DeviceStatus.NO_DEVICE


async def test_a_short_absence_is_no_news_and_a_long_one_is(followed: Followed) -> None:
    async with followed.process(ONLINE):
        assert await followed.hears() == ONLINE
    await followed.time_passes(AWAY_S)
    assert followed.worker.reports == (ONLINE,)
    await followed.time_passes(1.0)
    away = await followed.hears()
    assert (away.status, away.reason, away.serial) == (DeviceStatus.STARTING, None, "s1")
    await followed.time_passes(AWAY_S * 2)
    assert followed.told.empty()
    async with followed.process(ONLINE):
        assert (await followed.hears()).status is DeviceStatus.ONLINE


async def test_a_process_that_never_knows_its_reader_is_absent(followed: Followed) -> None:
    async with followed.process(ONLINE):
        assert await followed.hears() == ONLINE
    async with followed.process():
        await followed.time_passes(AWAY_S + 1.0)
        assert (await followed.hears()).status is DeviceStatus.STARTING


async def test_a_device_that_is_none_of_ours_is_not_told(followed: Followed) -> None:
    async with followed.process() as server:
        tells(server, ONLINE.model_copy(update={"id": "another"}))
        tells(server, ONLINE)
        assert await followed.hears() == ONLINE
    assert followed.worker.reports == (ONLINE,)
