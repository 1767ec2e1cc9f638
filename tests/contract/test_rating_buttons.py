"""What every rating box does, wire and simulator or fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import status_of
from drivers.rating_buttons.serial_buttons import SerialButtons, SerialButtonsConfig
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.transport.serial import SerialPort
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.model.rating import RatingLevel
from hallkit.ports.rating_buttons import RatingButtons
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import SIMULATED_PATIENCE_S, device
from tests.fakes.rating_buttons import FakeRatingButtons

SENT = {level: f"A5 0{number} 5A" for number, level in enumerate(RatingLevel, start=1)}


class Bench(ABC):
    """A box and the finger on it."""

    box: RatingButtons
    patience_s = SIMULATED_PATIENCE_S

    async def next_rating(self, level: RatingLevel) -> RatingLevel:
        """Wait for a press, and press as soon as somebody waits."""
        waiting = asyncio.create_task(self.box.next_rating())
        async with asyncio.timeout(self.patience_s):
            await self.listens()
            await self.press(level)
            return await waiting

    @abstractmethod
    async def listens(self) -> None: ...
    @abstractmethod
    async def press(self, level: RatingLevel) -> None: ...
    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeRatingButtons(SystemClock())
        self.box = self.fake

    async def listens(self) -> None:
        while not self.fake.waits:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def press(self, level: RatingLevel) -> None:
        self.fake.press(level)

    async def break_(self, reason: Reason) -> None:
        self.fake.break_(reason)

    async def mend(self) -> None:
        self.fake.mend()


class SerialBench(Bench):
    def __init__(self, box: SerialButtons, control: Path) -> None:
        self.box: SerialButtons = box
        self.control = control

    async def listens(self) -> None:
        wire: Any = self.box._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def press(self, level: RatingLevel) -> None:
        await order(self.control, "scan", hex=SENT[level])

    async def break_(self, reason: Reason) -> None:
        if reason is Reason.OCCUPIED:
            await order(self.control, "fault.set", fault="busy")
        else:
            await order(self.control, "unplug")

    async def mend(self) -> None:
        await order(self.control, "fault.clear")
        await order(self.control, "plug")


@pytest.fixture(params=["serial_buttons", "fake", "device"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "box") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    link, control = tmp_path / "port", tmp_path / "control"
    silent = ("--suffix", "")
    async with simulator("drivers.sim.scanner", "--link", link, "--control", control, *silent):
        config = SerialButtonsConfig.model_validate(
            {
                "id": "rating",
                "driver": "serial_buttons",
                "transport": SerialPort(kind="serial", path=str(link), baud=9600),
                "buttons": SENT,
            }
        )
        async with SerialButtons(config, SystemClock()) as box:
            yield SerialBench(box, control)


async def test_a_new_box_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.box.report.status is DeviceStatus.STARTING
    report = await bench.box.probe()
    assert report.works
    assert report == bench.box.report
    assert report.port == "rating_buttons"


@pytest.mark.parametrize("level", list(RatingLevel))
async def test_a_press_is_given(bench: Bench, level: RatingLevel) -> None:
    assert await bench.next_rating(level) is level


async def test_what_was_pressed_while_nobody_waited_is_not_given(bench: Bench) -> None:
    assert (await bench.box.probe()).works
    await bench.press(RatingLevel.VERY_DISSATISFIED)
    assert await bench.next_rating(RatingLevel.SATISFIED) is RatingLevel.SATISFIED


async def test_who_stops_waiting_does_not_keep_the_next_one(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.box.next_rating())
    await bench.listens()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await bench.next_rating(RatingLevel.SATISFIED) is RatingLevel.SATISFIED


@pytest.mark.parametrize("reason", [Reason.PORT_GONE, Reason.OCCUPIED])
async def test_a_lost_box_is_raised_reported_and_heals_by_itself(
    bench: Bench, reason: Reason
) -> None:
    waiting = asyncio.create_task(bench.box.next_rating())
    await bench.listens()
    await bench.break_(reason)
    async with asyncio.timeout(10):
        with pytest.raises(DeviceError):
            await waiting
    report = await bench.box.probe()
    assert (report.works, report.reason) == (False, reason)
    assert (report.status, report.action) == status_of(reason)
    await bench.mend()
    assert (await bench.box.probe()).works
    assert await bench.next_rating(RatingLevel.SATISFIED) is RatingLevel.SATISFIED


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.box.probe()
    assert await bench.box.probe() == first
    await bench.break_(Reason.PORT_GONE)
    broken = await bench.box.probe()
    assert broken != first
    assert await bench.box.probe() == broken


async def test_diagnostics_count_and_do_not_say_which_button(bench: Bench) -> None:
    await bench.next_rating(RatingLevel.DISSATISFIED)
    facts = bench.box.diagnostics()
    assert facts["presses"] == 1
    assert not any("satisfied" in f"{key}{value}" for key, value in facts.items())
