"""The driver against the scanner's twin on a pty: whatever a wire may do to a code."""

from __future__ import annotations

import asyncio
import os
import random
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.code_scanner.serial_scanner import SerialScanner, SerialScannerConfig
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.transport.serial import SerialPort
from hallkit.errors import Reason
from hallkit.guide.codes import Foreign, OurList, recognise
from hallkit.guide.share import encode
from hallkit.model.scanning import LONGEST, ScannedCode
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire


class Rig:
    """A scanner's twin and the driver that listens to it."""

    def __init__(self, control: Path, scanner: SerialScanner) -> None:
        self._control = control
        self.scanner = scanner

    async def tell(self, do: str, **arguments: Any) -> None:
        await order(self._control, do, **arguments)

    async def cut(self) -> None:
        """The driver has given up on a code; the gap is its own time."""
        while not self.scanner.diagnostics()["cut"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def waiting(self) -> asyncio.Task[ScannedCode]:
        """Somebody waits for a code."""
        task = asyncio.create_task(self.scanner.next_code())
        wire: Any = self.scanner._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)
        return task


def settings(link: Path, **more: Any) -> SerialScannerConfig:
    port = SerialPort(kind="serial", path=str(link), baud=9600)
    return SerialScannerConfig(id="scanner", driver="serial_scanner", transport=port, **more)


@asynccontextmanager
async def rig(folder: Path, *arguments: str, **more: Any) -> AsyncIterator[Rig]:
    link, control = folder / "port", folder / "control"
    async with (
        simulator("drivers.sim.scanner", "--link", link, "--control", control, *arguments),
        SerialScanner(settings(link, **more), SystemClock()) as scanner,
        asyncio.timeout(20),
    ):
        yield Rig(control, scanner)


@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
async def test_chinese_is_read_in_both_character_sets(tmp_path: Path, charset: str) -> None:
    async with rig(tmp_path) as one:
        waiting = await one.waiting()
        await one.tell("scan", text="社会保障卡䶮", charset=charset)
        assert (await waiting).text == "社会保障卡䶮"


async def test_prefix_and_suffix_are_the_scanners_and_no_part_of_the_code(tmp_path: Path) -> None:
    marks = ("--prefix", b"~C".hex(), "--suffix", b"\r\n".hex())
    async with rig(tmp_path, *marks, prefix="~C", suffix="\r") as one:
        for text in ("first", "second"):
            waiting = await one.waiting()
            await one.tell("scan", text=text)
            assert (await waiting).text == text


@pytest.mark.parametrize("fault", ["cut", "noise", "drop"])
async def test_a_spoilt_code_is_passed_over_and_the_next_one_is_read(
    tmp_path: Path, fault: str
) -> None:
    async with rig(tmp_path, gap_s=0.05) as one:
        waiting = await one.waiting()
        await one.tell("fault.set", fault=fault)
        await one.tell("scan", hex=b"A007".hex())
        if fault == "cut":
            await one.cut()
        await one.tell("scan", text="A008")
        code = await waiting
        assert code.text == ("A007" if fault == "noise" else "A008")
        facts = one.scanner.diagnostics()
        assert facts["damaged"] == (fault == "noise")
        assert one.scanner.report.works


async def test_a_code_of_ours_with_wrong_bytes_is_not_ours_any_more(tmp_path: Path) -> None:
    """A serial line has no check sum: wrong bytes may make a text, and only a proof tells."""
    async with rig(tmp_path) as one:
        ours = encode("food-licence-new", {"place": "rented"})
        waiting = await one.waiting()
        await one.tell("scan", text=ours)
        assert isinstance(recognise((await waiting).text, []), OurList)
        waiting = await one.waiting()
        await one.tell("fault.set", fault="garble")
        await one.tell("scan", text=ours)
        await one.tell("scan", text="whatever")
        assert isinstance(recognise((await waiting).text, []), Foreign)


async def test_a_pause_within_a_code_is_waited_for(tmp_path: Path) -> None:
    async with rig(tmp_path, gap_s=5.0) as one:
        waiting = await one.waiting()
        await one.tell("fault.set", fault="delay", seconds=0.1)
        await one.tell("scan", text="a long code in two halves")
        assert (await waiting).text == "a long code in two halves"


async def test_one_that_was_sent_twice_is_given_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        waiting = await one.waiting()
        await one.tell("fault.set", fault="double")
        await one.tell("scan", text="A007")
        assert (await waiting).text == "A007"
        again = await one.waiting()
        await one.tell("scan", text="A008")
        assert (await again).text == "A008"


async def test_a_stream_without_end_is_thrown_away(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        waiting = await one.waiting()
        await one.tell("fault.set", fault="flood", bytes=10 * LONGEST)
        await one.tell("scan", text="x")
        await one.tell("scan", hex=b"\r".hex())
        await one.tell("scan", text="A008")
        assert (await waiting).text == "A008"
        assert one.scanner.diagnostics()["damaged"] > 0


async def test_a_port_that_goes_while_nobody_waits_is_noticed(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        assert (await one.scanner.probe()).works
        await one.tell("unplug")
        assert (await one.scanner.probe()).reason is Reason.PORT_GONE
        await one.tell("plug")
        assert (await one.scanner.probe()).works


async def test_noise_on_the_wire_never_breaks_the_driver(tmp_path: Path) -> None:
    """A million bytes of anything: whole codes or nothing, and a driver that still works."""
    noise = random.Random(5)  # noqa: S311  # the same noise every time
    master, slave = os.openpty()
    tty.setraw(slave)
    config = settings(Path(os.ttyname(slave)), gap_s=0.05)
    os.close(slave)
    loop = asyncio.get_running_loop()

    def chatter() -> None:
        for _ in range(1000):
            os.write(master, noise.randbytes(1000))
        os.write(master, b"\r" + b"the end\r")

    async with SerialScanner(config, SystemClock()) as scanner, asyncio.timeout(60):
        waiting = asyncio.create_task(scanner.next_code())
        wire: Any = scanner._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)
        talking = loop.run_in_executor(None, chatter)
        found = await waiting
        while found.text != "the end":
            assert found.text.replace("\x1d", "").replace("\t", "").replace("\n", "").isprintable()
            found = await scanner._listen()  # without throwing away what came meanwhile
        await talking
        assert scanner.report.works
    os.close(master)
