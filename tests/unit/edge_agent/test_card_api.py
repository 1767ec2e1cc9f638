"""Who is told of a card, over a real local bus, and when the process has served its citizen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.card_api import CardApi
from edge_agent.devices.card_watch import CardWatch
from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.ports.id_card_reader import CardOutcome, CardRead, CardUnreadable, NoCard
from hallkit.runtime.bus import BusClient
from hallkit.wire import agent_bus as bus
from tests.fakes.clock import HastyClock
from tests.fakes.id_card_reader import SAMPLE_CARD, FakeIdCardReader

REPORT = DeviceReport(
    id="id-card-reader", port="id_card_reader", driver="fake", status=DeviceStatus.ONLINE
)


class Application:
    """A client of the card reader's process; what it hears can be awaited."""

    def __init__(self, path: Path) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.client = BusClient(path, on_snapshot=self._snapshot, on_event=self._event)

    async def _snapshot(self, data: dict[str, Any]) -> None:
        await self._event("snapshot", data)

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        self.heard.put_nowait((name, data))

    async def hears(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while (heard := await self.heard.get())[0] != name:
                pass
        return heard[1]

    async def watch(self, *, on: bool) -> None:
        await self.client.request(bus.CARD_WATCH, bus.CardWatch(on=on), bus.Empty)

    async def answered(self) -> list[str]:
        """Names of all that was heard before the answer to a request that changes nothing."""
        await self.watch(on=False)
        return [self.heard.get_nowait()[0] for _ in range(self.heard.qsize())]


class Process:
    """What stands in the card reader's process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "card.sock"
        clock = HastyClock()
        self.reader = FakeIdCardReader(clock)
        self.cards = CardWatch(
            self.reader,
            clock,
            tell=lambda outcome: self.api.card_outcome(outcome),  # noqa: PLW0108  # made below
            unheard=lambda: self.api.card_unheard(),  # noqa: PLW0108  # as above
        )
        self.api = CardApi(self.path, self.cards, reports=lambda: (REPORT,))
        self.over: asyncio.Task[None]

    @asynccontextmanager
    async def application(self) -> AsyncIterator[Application]:
        application = Application(self.path)
        running = asyncio.create_task(application.client.run())
        await application.client.connected.wait()
        try:
            yield application
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def sleeps(self) -> None:
        """Return when nobody watches any more."""
        async with asyncio.timeout(5):
            while self.cards._wanted.is_set():  # noqa: ASYNC110  # a watch has no event for it
                await asyncio.sleep(0)

    async def ends(self) -> None:
        async with asyncio.timeout(5):
            await self.over


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[Process]:
    one = Process(tmp_path)
    async with one.api.server:
        one.over = asyncio.create_task(one.api.until_over())
        try:
            yield one
        finally:
            one.over.cancel()
            await asyncio.gather(one.over, return_exceptions=True)


# ── Who is told ──────────────────────────────────────────────────────────────────────────────


async def test_a_card_is_told_to_the_one_who_watches_and_to_nobody_else(process: Process) -> None:
    async with process.application() as kiosk, process.application() as curious:
        await kiosk.watch(on=True)
        process.api.card_outcome(CardRead(SAMPLE_CARD))
        process.api.card_outcome(CardUnreadable(Reason.GARBLED))
        process.api.card_outcome(NoCard(left_behind=True))
        process.api.card_outcome(NoCard())
        told = bus.CardReadData.model_validate(await kiosk.hears(bus.CARD_READ))
        assert told.card == SAMPLE_CARD
        assert await kiosk.hears(bus.CARD_UNREADABLE) == {"reason": "garbled"}
        await kiosk.hears(bus.CARD_LEFT_BEHIND)
        await kiosk.hears(bus.CARD_REMOVED)
        assert await curious.answered() == ["snapshot"]


async def test_nobody_hears_of_a_card_while_nobody_watches(process: Process) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
        await kiosk.watch(on=False)
        process.api.card_outcome(CardRead(SAMPLE_CARD))
        assert await kiosk.answered() == ["snapshot"]
    assert not process.cards._wanted.is_set()


async def test_the_watch_ends_with_the_connection(process: Process) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
        assert process.cards._wanted.is_set()
    await process.sleeps()
    async with process.application() as later:
        process.api.card_outcome(CardRead(SAMPLE_CARD))
        assert await later.answered() == ["snapshot"]


async def test_the_watch_of_the_second_ends_with_the_second_though_the_first_stays(
    process: Process,
) -> None:
    async with process.application() as first:
        await first.watch(on=True)
        async with process.application() as second:
            await second.watch(on=True)
            process.api.card_outcome(NoCard())
            await second.hears(bus.CARD_REMOVED)
        await process.sleeps()
        assert await first.answered() == ["snapshot"]


async def test_only_the_one_who_watches_can_stop_it(process: Process) -> None:
    async with process.application() as kiosk, process.application() as other:
        await kiosk.watch(on=True)
        await other.watch(on=False)
        process.api.card_outcome(CardRead(SAMPLE_CARD))
        await kiosk.hears(bus.CARD_READ)


async def test_the_first_stays_and_the_second_watches_on(process: Process) -> None:
    async with process.application() as second:
        async with process.application() as first:
            await first.watch(on=True)
            await second.watch(on=True)
        process.api.card_outcome(CardRead(SAMPLE_CARD))
        await second.hears(bus.CARD_READ)
        assert process.cards._wanted.is_set()


async def test_only_its_own_user_may_connect(process: Process) -> None:
    assert process.path.stat().st_mode & 0o777 == 0o600


async def test_everybody_hears_of_the_reader(process: Process) -> None:
    async with process.application() as agent:
        [device] = (await agent.hears("snapshot"))["devices"]
        assert device["status"] == "online"
        process.api.device_changed(REPORT.model_copy(update={"status": DeviceStatus.OFFLINE}))
        assert (await agent.hears(bus.DEVICE_CHANGED))["device"]["status"] == "offline"


# ── When it is over ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "outcome",
    [CardRead(SAMPLE_CARD), CardUnreadable(Reason.GARBLED), NoCard(left_behind=True)],
    ids=["read", "unreadable", "left behind"],
)
@pytest.mark.parametrize("stops_first", [False, True])
async def test_it_is_over_when_the_one_who_was_told_of_a_card_is_gone(
    process: Process, outcome: CardOutcome, *, stops_first: bool
) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
        process.api.card_outcome(outcome)
        await kiosk.watch(on=not stops_first)
        assert not process.over.done()
    await process.ends()


async def test_it_stays_for_one_who_was_told_of_no_card(process: Process) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
        process.api.card_outcome(NoCard())
    await process.sleeps()
    async with process.application() as other:
        assert await other.answered() == ["snapshot"]
    assert not process.over.done()


async def test_a_card_that_nobody_heard_of_is_no_reason_to_end_while_the_citizen_is_there(
    process: Process,
) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
        await kiosk.watch(on=False)
        process.api.card_unheard()
        await kiosk.watch(on=True)  # another try finds the same process
        process.api.card_outcome(NoCard())
        await kiosk.hears(bus.CARD_REMOVED)
        assert not process.over.done()
    await process.ends()


async def test_a_card_that_was_read_for_one_who_is_gone_ends_it_at_once(process: Process) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
    await process.sleeps()
    process.api.card_unheard()
    await process.ends()


async def test_a_card_that_was_read_for_another_stays_until_the_watcher_is_gone(
    process: Process,
) -> None:
    async with process.application() as kiosk:
        await kiosk.watch(on=True)
        process.api.card_unheard()
        await kiosk.watch(on=True)
        assert not process.over.done()
    await process.ends()


@pytest.mark.parametrize(
    ("outcome", "ends_at_once"),
    [
        (CardRead(SAMPLE_CARD), True),
        (CardUnreadable(Reason.GARBLED), False),
        (NoCard(left_behind=True), False),
    ],
    ids=["read", "unreadable", "left behind"],
)
async def test_only_a_card_that_was_read_takes_the_reader_from_the_next_citizen(
    process: Process, outcome: CardOutcome, *, ends_at_once: bool
) -> None:
    async with process.application() as later:
        async with process.application() as kiosk:
            await kiosk.watch(on=True)
            process.api.card_outcome(outcome)
            await later.watch(on=True)  # the next visit is quick
        if ends_at_once:
            await process.ends()
            return
        process.api.card_outcome(NoCard())
        await later.hears(bus.CARD_REMOVED)
        assert not process.over.done()
    await process.ends()  # with that visit, though it saw no card
