"""The driver against the twin of a key panel: fingers, contacts and a jack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.key_panel.evdev_keys import EvdevKeys, EvdevKeysConfig
from drivers.sim.control import order
from drivers.sim.evdev import LINK
from drivers.transport.evdev import EvdevPort
from hallkit.model.key_panel import PanelAction
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

DOWN, ENTER, F1, F13, F14 = 108, 28, 59, 183, 184


class Rig:
    """A twin and the driver that listens to it."""

    def __init__(self, control: Path, panel: EvdevKeys) -> None:
        self._control = control
        self.panel = panel

    async def tell(self, do: str, **arguments: Any) -> None:
        await order(self._control, do, **arguments)

    async def listens(self) -> None:
        wire: Any = self.panel._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def waiting(self) -> asyncio.Task[PanelAction]:
        task = asyncio.create_task(self.panel.next_press())
        await self.listens()
        return task


@asynccontextmanager
async def rig(control: Path, **more: Any) -> AsyncIterator[Rig]:
    port = EvdevPort(kind="evdev", path=LINK)
    config = EvdevKeysConfig(id="panel", driver="evdev_keys", transport=port, **more)
    async with EvdevKeys(config, SystemClock()) as panel, asyncio.timeout(20):
        yield Rig(control, panel)


async def test_a_contact_that_bounces_is_pressed_once(evdev_twin: Path) -> None:
    async with rig(evdev_twin, bounce_s=0.05) as one:
        waiting = await one.waiting()
        await one.tell("press", key=ENTER, times=6)
        assert await waiting is PanelAction.CONFIRM
        waiting = await one.waiting()
        await one.tell("pause", seconds=0.06)
        await one.tell("press", key=DOWN)
        assert await waiting is PanelAction.DOWN
        assert one.panel.diagnostics()["bounces"] == 5


async def test_an_arrow_held_down_goes_on_but_not_faster_than_a_person_follows(
    evdev_twin: Path,
) -> None:
    """The twin repeats every 33 ms; the eighth repeat is the first after 250 ms."""
    async with rig(evdev_twin, repeat_s=0.25) as one:
        waiting = await one.waiting()
        await one.tell("hold", key=DOWN)
        assert await waiting is PanelAction.DOWN
        waiting = await one.waiting()
        await one.tell("repeat", key=DOWN, times=7)
        await one.tell("press", key=F1)
        assert await waiting is PanelAction.HELP
        waiting = await one.waiting()
        await one.tell("repeat", key=DOWN)
        assert await waiting is PanelAction.DOWN
        await one.tell("release", key=DOWN)


async def test_an_arrow_that_was_pressed_for_nobody_goes_on_for_nobody(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        assert (await one.panel.probe()).works
        await one.tell("hold", key=DOWN)
        waiting = await one.waiting()
        await one.tell("repeat", key=DOWN, times=30)
        await one.tell("press", key=F1)
        assert await waiting is PanelAction.HELP


async def test_a_key_that_decides_never_goes_on(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("hold", key=ENTER)
        assert await waiting is PanelAction.CONFIRM
        waiting = await one.waiting()
        await one.tell("repeat", key=ENTER, times=30)
        await one.tell("press", key=DOWN)
        assert await waiting is PanelAction.DOWN


async def test_keys_without_a_meaning_are_counted(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("press", key=F13)
        await one.tell("press", key=DOWN)
        assert await waiting is PanelAction.DOWN
        assert one.panel.diagnostics()["unknown_keys"] == 1


async def test_a_jack_may_be_two_keys(evdev_twin: Path) -> None:
    keys = {"headphones_in": [F13], "headphones_out": [F14]}
    async with rig(evdev_twin, keys=keys) as one:
        for key, is_in in ((F13, True), (F14, False)):
            waiting = await one.waiting()
            await one.tell("press", key=key)
            assert await waiting is (
                PanelAction.HEADPHONES_IN if is_in else PanelAction.HEADPHONES_OUT
            )
            assert one.panel.headphones is is_in


async def test_after_a_loss_the_jack_is_asked_again(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("lose", on=True)
        assert await waiting is PanelAction.HEADPHONES_IN
        assert one.panel.headphones is True
        assert one.panel.diagnostics()["lost_events"] == 1
        waiting = await one.waiting()
        await one.tell("lose", on=True)
        await one.tell("press", key=DOWN)
        assert await waiting is PanelAction.DOWN, "what was known is no news"
