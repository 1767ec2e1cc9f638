"""What every key panel does, wire and simulator or fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.driver import status_of
from drivers.key_panel.evdev_keys import USUAL, EvdevKeys, EvdevKeysConfig
from drivers.sim.control import order
from drivers.sim.evdev import LINK
from drivers.transport.evdev import EvdevPort
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.model.key_panel import PanelAction
from hallkit.ports.key_panel import KeyPanel
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import SIMULATED_PATIENCE_S, device
from tests.fakes.key_panel import FakeKeyPanel

PRESSED = [action for action in PanelAction if not action.name.startswith("HEADPHONES")]


class Bench(ABC):
    """A panel, the finger on it and the plug of the headphones."""

    panel: KeyPanel
    patience_s = SIMULATED_PATIENCE_S

    async def next_press(self, action: PanelAction) -> PanelAction:
        """Wait for a press, and press as soon as somebody waits."""
        waiting = asyncio.create_task(self.panel.next_press())
        async with asyncio.timeout(self.patience_s):
            await self.listens()
            await self.press(action)
            return await waiting

    async def plugged(self, *, is_in: bool) -> PanelAction:
        """The same with the headphones."""
        waiting = asyncio.create_task(self.panel.next_press())
        async with asyncio.timeout(self.patience_s):
            await self.listens()
            await self.plug_headphones(is_in=is_in)
            return await waiting

    @abstractmethod
    async def listens(self) -> None: ...
    @abstractmethod
    async def press(self, action: PanelAction) -> None: ...
    @abstractmethod
    async def press_at_once(self, *actions: PanelAction) -> None: ...
    @abstractmethod
    async def plug_headphones(self, *, is_in: bool) -> None: ...
    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeKeyPanel(SystemClock())
        self.panel = self.fake

    async def listens(self) -> None:
        while not self.fake.waits:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def press(self, action: PanelAction) -> None:
        self.fake.press(action)

    async def press_at_once(self, *actions: PanelAction) -> None:
        self.fake.press(*actions)

    async def plug_headphones(self, *, is_in: bool) -> None:
        self.fake.plug_headphones(is_in=is_in)

    async def break_(self, reason: Reason) -> None:
        self.fake.break_(reason)

    async def mend(self) -> None:
        self.fake.mend()


class EvdevBench(Bench):
    def __init__(self, panel: EvdevKeys, control: Path) -> None:
        self.panel: EvdevKeys = panel
        self.control = control

    async def listens(self) -> None:
        wire: Any = self.panel._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def press(self, action: PanelAction) -> None:
        await order(self.control, "press", key=USUAL[action][0])

    async def press_at_once(self, *actions: PanelAction) -> None:
        await order(self.control, "chord", keys=[USUAL[action][0] for action in actions])

    async def plug_headphones(self, *, is_in: bool) -> None:
        await order(self.control, "switch", on=is_in)

    async def break_(self, reason: Reason) -> None:
        if reason is Reason.OCCUPIED:
            await order(self.control, "fault.set", fault="busy")
        else:
            await order(self.control, "unplug")

    async def mend(self) -> None:
        await order(self.control, "fault.clear")
        await order(self.control, "plug")


@pytest.fixture(params=["evdev_keys", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "panel") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    control = request.getfixturevalue("evdev_twin")
    port = EvdevPort(kind="evdev", path=LINK)
    # The bed's presses follow each other faster than a finger's.
    config = EvdevKeysConfig(id="panel", driver="evdev_keys", transport=port, bounce_s=0)
    async with EvdevKeys(config, SystemClock()) as panel:
        yield EvdevBench(panel, control)


async def test_a_new_panel_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.panel.report.status is DeviceStatus.STARTING
    assert bench.panel.headphones is None
    report = await bench.panel.probe()
    assert report.works
    assert report == bench.panel.report
    assert report.port == "key_panel"
    assert bench.panel.headphones is False


async def test_each_key_gives_its_action(bench: Bench) -> None:
    for action in PRESSED:
        assert await bench.next_press(action) is action


async def test_the_same_key_twice_is_two_presses(bench: Bench) -> None:
    assert await bench.next_press(PanelAction.DOWN) is PanelAction.DOWN
    assert await bench.next_press(PanelAction.DOWN) is PanelAction.DOWN


async def test_headphones_are_told_of_and_known_afterwards(bench: Bench) -> None:
    assert await bench.plugged(is_in=True) is PanelAction.HEADPHONES_IN
    assert bench.panel.headphones is True
    assert await bench.next_press(PanelAction.UP) is PanelAction.UP
    assert await bench.plugged(is_in=False) is PanelAction.HEADPHONES_OUT
    assert bench.panel.headphones is False


async def test_headphones_that_were_there_before_are_known_after_a_probe(bench: Bench) -> None:
    await bench.plug_headphones(is_in=True)
    assert (await bench.panel.probe()).works
    assert bench.panel.headphones is True
    assert await bench.next_press(PanelAction.UP) is PanelAction.UP, "it is no news any more"


async def test_headphones_plugged_in_while_nobody_waits_are_known_and_told_late(
    bench: Bench,
) -> None:
    assert (await bench.panel.probe()).works
    await bench.plug_headphones(is_in=True)
    assert (await bench.panel.probe()).works
    assert bench.panel.headphones is True
    async with asyncio.timeout(bench.patience_s):
        assert await bench.panel.next_press() is PanelAction.HEADPHONES_IN
    assert await bench.next_press(PanelAction.UP) is PanelAction.UP


@pytest.mark.parametrize("probes", [False, True])
async def test_a_jack_that_moves_between_two_calls_is_told(bench: Bench, *, probes: bool) -> None:
    assert await bench.plugged(is_in=True) is PanelAction.HEADPHONES_IN
    assert await bench.next_press(PanelAction.UP) is PanelAction.UP
    await bench.plug_headphones(is_in=False)
    await bench.press(PanelAction.CONFIRM)
    if probes:
        assert (await bench.panel.probe()).works
    async with asyncio.timeout(bench.patience_s):
        assert await bench.panel.next_press() is PanelAction.HEADPHONES_OUT
    assert bench.panel.headphones is False
    # Out and in again in between is no news.
    await bench.plug_headphones(is_in=True)
    await bench.plug_headphones(is_in=False)
    assert await bench.next_press(PanelAction.DOWN) is PanelAction.DOWN


async def test_presses_that_come_at_once_are_all_given(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.panel.next_press())
    async with asyncio.timeout(bench.patience_s):
        await bench.listens()
        await bench.press_at_once(PanelAction.DIGIT_1, PanelAction.DIGIT_2, PanelAction.CONFIRM)
        assert await waiting is PanelAction.DIGIT_1
        assert await bench.panel.next_press() is PanelAction.DIGIT_2
        assert await bench.panel.next_press() is PanelAction.CONFIRM
    assert await bench.next_press(PanelAction.BACK) is PanelAction.BACK


async def test_what_was_pressed_while_nobody_waited_is_not_given(bench: Bench) -> None:
    assert (await bench.panel.probe()).works
    await bench.press(PanelAction.CONFIRM)
    assert await bench.next_press(PanelAction.BACK) is PanelAction.BACK


async def test_a_probe_takes_nothing_from_whoever_waits(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.panel.next_press())
    await bench.listens()
    assert (await bench.panel.probe()).works
    await bench.press(PanelAction.HELP)
    assert (await bench.panel.probe()).works
    async with asyncio.timeout(10):
        assert await waiting is PanelAction.HELP


async def test_who_stops_waiting_does_not_keep_the_next_one(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.panel.next_press())
    await bench.listens()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await bench.next_press(PanelAction.REPEAT) is PanelAction.REPEAT


@pytest.mark.parametrize("reason", [Reason.PORT_GONE, Reason.OCCUPIED])
async def test_a_lost_panel_is_raised_reported_and_heals_by_itself(
    bench: Bench, reason: Reason
) -> None:
    waiting = asyncio.create_task(bench.panel.next_press())
    await bench.listens()
    await bench.break_(reason)
    async with asyncio.timeout(10):
        with pytest.raises(DeviceError):
            await waiting
    report = await bench.panel.probe()
    assert (report.works, report.reason) == (False, reason)
    assert (report.status, report.action) == status_of(reason)
    assert bench.panel.headphones is None, "nobody knows"
    await bench.mend()
    assert (await bench.panel.probe()).works
    assert bench.panel.headphones is False
    assert await bench.next_press(PanelAction.CONFIRM) is PanelAction.CONFIRM


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.panel.probe()
    assert await bench.panel.probe() == first
    await bench.break_(Reason.PORT_GONE)
    broken = await bench.panel.probe()
    assert broken != first
    assert await bench.panel.probe() == broken


async def test_diagnostics_count_and_do_not_say_which_key(bench: Bench) -> None:
    await bench.next_press(PanelAction.DIGIT_7)
    facts = bench.panel.diagnostics()
    assert (facts["presses"], facts["headphones"]) == (1, "out")
    assert not any("digit" in f"{key}{value}" for key, value in facts.items())
