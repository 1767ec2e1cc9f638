"""Cards are told to the one who watches, once, and to nobody who came later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from edge_agent.devices.card_watch import CardWatch
from edge_agent.devices.pulse import Pulse
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.ports.id_card_reader import CardOutcome, CardRead, CardUnreadable, NoCard
from tests.fakes.clock import HastyClock
from tests.fakes.id_card_reader import SAMPLE_CARD, FakeIdCardReader

LEFT = NoCard(left_behind=True)
GONE = NoCard()


class SlowReader(FakeIdCardReader):
    """Each look waits until the test lets it end."""

    def __init__(self, clock: HastyClock) -> None:
        super().__init__(clock)
        self.looking = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def poll_card(self) -> CardOutcome:
        outcome = await super().poll_card()
        self.looking.set()
        await self.go_on.wait()
        return outcome


class Desk:
    def __init__(self) -> None:
        self.clock = HastyClock()
        self.reader = SlowReader(self.clock)
        self.told: asyncio.Queue[CardOutcome] = asyncio.Queue()
        self.unheard = 0
        self.pulse = Pulse(self.clock, limit_s=15.0)
        self.watch = CardWatch(
            self.reader,
            self.clock,
            tell=self.told.put_nowait,
            unheard=self._count_unheard,
            pulse=self.pulse,
        )

    def _count_unheard(self) -> None:
        self.unheard += 1

    async def hears(self) -> CardOutcome:
        async with asyncio.timeout(5):
            return await self.told.get()

    async def looks(self, times: int = 1) -> None:
        """Return when so many more looks have begun."""
        for _ in range(times):
            self.reader.looking.clear()
            async with asyncio.timeout(5):
                await self.reader.looking.wait()


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    made = Desk()
    running = asyncio.create_task(made.watch.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_nothing_is_looked_for_while_nobody_waits(desk: Desk) -> None:
    desk.reader.lay()
    await asyncio.sleep(0)
    assert desk.reader.diagnostics() == {"polls": 0}


async def test_a_card_is_told_once_and_again_when_it_is_lifted(desk: Desk) -> None:
    desk.watch.start()
    assert await desk.hears() == GONE
    desk.reader.lay()
    assert await desk.hears() == CardRead(SAMPLE_CARD)
    await desk.looks(3)
    assert desk.told.empty()
    desk.reader.lift()
    assert await desk.hears() == GONE
    desk.reader.lay()
    assert await desk.hears() == CardRead(SAMPLE_CARD)


async def test_an_unreadable_card_is_told_each_time(desk: Desk) -> None:
    desk.reader.lay_unreadable()
    desk.watch.start()
    for _ in range(2):
        assert await desk.hears() == CardUnreadable(Reason.GARBLED)


async def test_a_new_watcher_hears_that_a_card_was_left_behind(desk: Desk) -> None:
    desk.reader.lay()
    desk.watch.start()
    assert await desk.hears() == CardRead(SAMPLE_CARD)
    desk.watch.stop()
    desk.watch.start()
    assert await desk.hears() == LEFT
    desk.reader.lift()
    assert await desk.hears() == GONE


@pytest.mark.parametrize("again", [False, True])
async def test_a_card_read_for_one_watcher_is_not_told_to_the_next(desk: Desk, again: bool) -> None:
    desk.reader.go_on.clear()
    desk.reader.lay()
    desk.watch.start()
    await desk.reader.looking.wait()
    desk.watch.stop()
    if again:
        desk.watch.start()
    desk.reader.go_on.set()
    if again:
        assert await desk.hears() == LEFT
    else:
        await asyncio.sleep(0)
        assert desk.told.empty()
    assert desk.unheard == 1


async def test_a_reader_that_fails_is_looked_at_again(desk: Desk) -> None:
    desk.reader.fault = DeviceUnavailable("id-card-reader", Reason.PORT_GONE)
    desk.watch.start()
    await asyncio.sleep(0)
    desk.reader.fault = None
    desk.reader.lay()
    assert await desk.hears() == CardRead(SAMPLE_CARD)


async def test_a_look_that_never_ends_is_noticed(desk: Desk) -> None:
    desk.reader.go_on.clear()
    desk.watch.start()
    await desk.reader.looking.wait()
    desk.clock.advance(15.0)
    assert desk.pulse.is_well()
    desk.clock.advance(0.1)
    assert not desk.pulse.is_well()
    desk.reader.go_on.set()
    await desk.hears()
    assert desk.pulse.is_well()


async def test_a_driver_that_raises_does_not_end_the_agent() -> None:
    class Crashing(FakeIdCardReader):
        async def poll_card(self) -> CardOutcome:
            if not self._polls:
                self._polls += 1
                raise KeyError("nation")
            return await super().poll_card()

    clock = HastyClock()
    reader = Crashing(clock)
    reader.lay()
    told: asyncio.Queue[CardOutcome] = asyncio.Queue()
    watch = CardWatch(reader, clock, tell=told.put_nowait, unheard=asyncio.Event().set)
    running = asyncio.create_task(watch.run())
    watch.start()
    async with asyncio.timeout(5):
        assert await told.get() == CardRead(SAMPLE_CARD)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
