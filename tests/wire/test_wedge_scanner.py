"""The driver against a twin that types: whatever a keyboard may do to a code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.code_scanner.wedge_scanner import WedgeScanner, WedgeScannerConfig
from drivers.sim.control import order
from drivers.sim.evdev import LINK
from drivers.transport.evdev import EvdevPort
from hallkit.errors import Reason
from hallkit.guide.codes import OurList, recognise
from hallkit.guide.share import encode
from hallkit.model.scanning import LONGEST, ScannedCode
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

GAP_S = 2.0
"""By the twin's clock, which it moves on by itself; no test waits for it."""


class Rig:
    """A typing twin and the driver that listens to it."""

    def __init__(self, control: Path, scanner: WedgeScanner) -> None:
        self._control = control
        self.scanner = scanner

    async def tell(self, do: str, **arguments: Any) -> None:
        await order(self._control, do, **arguments)

    async def waiting(self) -> asyncio.Task[ScannedCode]:
        """Somebody waits for a code."""
        task = asyncio.create_task(self.scanner.next_code())
        wire: Any = self.scanner._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)
        return task

    def counted(self, *names: str) -> list[Any]:
        facts = self.scanner.diagnostics()
        return [facts[name] for name in names]


@asynccontextmanager
async def rig(control: Path, **more: Any) -> AsyncIterator[Rig]:
    port = EvdevPort(kind="evdev", path=LINK)
    config = WedgeScannerConfig(
        id="scanner", driver="wedge_scanner", transport=port, **({"gap_s": GAP_S} | more)
    )
    async with WedgeScanner(config, SystemClock()) as scanner, asyncio.timeout(30):
        yield Rig(control, scanner)


@pytest.mark.parametrize(
    ("alt_codes", "beyond"),
    [("gbk", "alt_gbk"), ("unicode", "alt_unicode"), ("ascii", "ctrl_shift_u")],
)
async def test_chinese_comes_through_in_each_way_of_typing_it(
    evdev_twin: Path, alt_codes: str, beyond: str
) -> None:
    async with rig(evdev_twin, alt_codes=alt_codes) as one:
        waiting = await one.waiting()
        await one.tell("type", text="社会保障卡: 什邡 A-7", beyond=beyond)
        assert (await waiting).text == "社会保障卡: 什邡 A-7"


async def test_a_way_that_is_not_configured_is_damage_and_no_other_text(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("type", text="社会保障卡", beyond="alt_gbk")
        await one.tell("type", text="A008")
        assert (await waiting).text == "A008"
        assert one.counted("codes", "damaged") == [1, 1]


async def test_a_code_of_ours_is_ours(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("type", text=encode("food-licence-new", {"place": "rented"}))
        assert isinstance(recognise((await waiting).text, []), OurList)


async def test_prefix_and_suffix_are_the_scanners_and_no_part_of_the_code(
    evdev_twin: Path,
) -> None:
    async with rig(evdev_twin, prefix="~C", suffix="$") as one:
        waiting = await one.waiting()
        await one.tell("type", text="without$~Cwith$", end=False)
        assert (await waiting).text == "with"
        assert one.counted("damaged") == [1]


async def test_gs_parts_the_fields_of_gs1(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("type", text="]d20106901234\x1d10A7")
        assert (await waiting).text == "]d20106901234\x1d10A7"


@pytest.mark.parametrize(
    ("fault", "counted"),
    [("drop", None), ("cut", "cut"), ("garble", "lost_events"), ("dropped", "lost_events")],
)
async def test_a_spoilt_code_is_passed_over_and_the_next_one_is_read(
    evdev_twin: Path, fault: str, counted: str | None
) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("fault.set", fault=fault)
        await one.tell("type", text="HK-A007-LONG")
        await one.tell("pause", seconds=2 * GAP_S)
        await one.tell("type", text="A008")
        assert (await waiting).text == "A008"
        if counted is not None:
            assert one.counted(counted) == [1]
        assert one.counted("codes") == [1]
        assert one.scanner.report.works


async def test_events_of_no_key_are_passed_over(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("fault.set", fault="noise")
        await one.tell("type", text="A007 b")
        assert (await waiting).text == "A007 b"


async def test_somebody_who_types_is_no_scanner(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("type", text="root", apart_s=1.1 * GAP_S)
        await one.tell("pause", seconds=2 * GAP_S)
        await one.tell("type", text="ls")
        await one.tell("type", text="A008")
        assert (await waiting).text == "A008"
        # Each letter and the Enter behind it came late; `ls` is short.
        assert one.counted("codes", "cut", "short") == [1, 4, 1]


async def test_a_pause_that_is_short_enough_is_none(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("type", text="A007", apart_s=0.9 * GAP_S)
        assert (await waiting).text == "A007"


async def test_a_key_held_down_types_once(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        waiting = await one.waiting()
        await one.tell("hold", key=30)
        await one.tell("repeat", key=30, times=20)
        await one.tell("release", key=30)
        await one.tell("type", text="007")
        assert (await waiting).text == "a007"


async def test_the_rest_of_a_code_that_was_begun_for_nobody_is_no_code(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        assert (await one.scanner.probe()).works
        await one.tell("type", text="5106821990", end=False)
        waiting = await one.waiting()
        await one.tell("type", text="01011234")
        await one.tell("type", text="A008")
        assert (await waiting).text == "A008"
        assert one.counted("damaged") == [1]


async def test_the_longest_code_and_one_longer(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        for text in ("7" * LONGEST, "7" * (LONGEST + 1)):
            waiting = await one.waiting()
            await one.tell("type", text=text, apart_s=0.0001)
            if len(text) > LONGEST:
                await one.tell("type", text="A008")
                text = "A008"  # noqa: PLW2901
            assert (await waiting).text == text
        assert one.counted("codes", "damaged") == [2, 1]


async def test_a_keyboard_that_goes_while_nobody_waits_is_noticed(evdev_twin: Path) -> None:
    async with rig(evdev_twin) as one:
        report = await one.scanner.probe()
        assert (report.works, report.model) == (True, "Hall Twin Keys")
        await one.tell("unplug")
        assert (await one.scanner.probe()).reason is Reason.PORT_GONE
        await one.tell("plug")
        assert (await one.scanner.probe()).works


async def test_what_was_held_when_it_went_is_not_held_when_it_comes_back(
    evdev_twin: Path,
) -> None:
    async with rig(evdev_twin) as one:
        assert (await one.scanner.probe()).works
        await one.tell("press", key=58)  # caps lock
        await one.tell("hold", key=42)  # shift
        assert (await one.scanner.probe()).works
        await one.tell("unplug")
        assert not (await one.scanner.probe()).works
        await one.tell("plug")
        waiting = await one.waiting()
        await one.tell("type", text="abc1")
        assert (await waiting).text == "abc1"
