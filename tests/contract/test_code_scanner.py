"""What every code scanner does, wire and simulator or fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
import io
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import qrcode

from drivers.code_scanner.serial_scanner import SerialScanner, SerialScannerConfig
from drivers.code_scanner.wedge_scanner import WedgeScanner, WedgeScannerConfig
from drivers.driver import status_of
from drivers.sim.control import order
from drivers.sim.evdev import LINK
from drivers.sim.process import simulator
from drivers.transport.evdev import EvdevPort
from drivers.transport.serial import SerialPort
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.model.scanning import ScannedCode
from hallkit.ports.code_scanner import CodeScanner
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import SIMULATED_PATIENCE_S, device
from tests.fakes.code_scanner import FakeCodeScanner

TEXTS = ["HK1.T.01J8ZC3Y6K", "https://hall.example/?a=1&b=2", "社会保障卡 什邡", "6901234567892"]


class Bench(ABC):
    """A scanner and the hand before it."""

    scanner: CodeScanner
    patience_s = SIMULATED_PATIENCE_S

    async def next_code(self, text: str) -> ScannedCode:
        """Wait for a code, and hold one there as soon as somebody waits."""
        waiting = asyncio.create_task(self.scanner.next_code())
        async with asyncio.timeout(self.patience_s):
            await self.listens()
            await self.scan(text)
            return await waiting

    @abstractmethod
    async def listens(self) -> None:
        """Return once the scanner's user waits for bytes."""

    @abstractmethod
    async def scan(self, text: str) -> None: ...
    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


def as_code(text: str) -> str:
    """A QR code of characters, to be held before a scanner on a screen or printed."""
    code = qrcode.QRCode(border=2)
    code.add_data(text)
    drawn = io.StringIO()
    code.print_ascii(out=drawn, invert=True)
    return drawn.getvalue()


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeCodeScanner(SystemClock())
        self.scanner = self.fake

    async def listens(self) -> None:
        while not self.fake.waits:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def scan(self, text: str) -> None:
        self.fake.scan(text)

    async def break_(self, reason: Reason) -> None:
        self.fake.break_(reason)

    async def mend(self) -> None:
        self.fake.mend()


class TwinBench(Bench):
    def __init__(self, scanner: SerialScanner | WedgeScanner, control: Path) -> None:
        self.scanner: SerialScanner | WedgeScanner = scanner
        self.control = control

    async def listens(self) -> None:
        wire: Any = self.scanner._wire
        while wire._waiter is None:  # noqa: ASYNC110  # a turn of the loop, not a time
            await asyncio.sleep(0)

    async def scan(self, text: str) -> None:
        if isinstance(self.scanner, WedgeScanner):
            await order(self.control, "type", text=text, beyond="alt_gbk")
        else:
            await order(self.control, "scan", text=text)

    async def break_(self, reason: Reason) -> None:
        if reason is Reason.OCCUPIED:
            await order(self.control, "fault.set", fault="busy")
        else:
            await order(self.control, "unplug")

    async def mend(self) -> None:
        await order(self.control, "fault.clear")
        await order(self.control, "plug")


@pytest.fixture(params=["serial_scanner", "wedge_scanner", "fake", "device"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "scanner", shown={"scan": as_code}) as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    if request.param == "wedge_scanner":
        control = request.getfixturevalue("evdev_twin")
        wedge = WedgeScannerConfig(
            id="scanner",
            driver="wedge_scanner",
            transport=EvdevPort(kind="evdev", path=LINK),
            alt_codes="gbk",
            gap_s=2.0,  # keys are told apart by the twin's clock, and that one is not hurried
        )
        async with WedgeScanner(wedge, SystemClock()) as typing:
            yield TwinBench(typing, control)
        return
    link, control = tmp_path / "port", tmp_path / "control"
    async with simulator("drivers.sim.scanner", "--link", link, "--control", control):
        config = SerialScannerConfig(
            id="scanner",
            driver="serial_scanner",
            transport=SerialPort(kind="serial", path=str(link), baud=9600),
        )
        async with SerialScanner(config, SystemClock()) as scanner:
            yield TwinBench(scanner, control)


async def test_a_new_scanner_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.scanner.report.status is DeviceStatus.STARTING
    report = await bench.scanner.probe()
    assert report.works
    assert report == bench.scanner.report
    assert report.port == "code_scanner"


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_held_there_is_given_as_it_is(bench: Bench, text: str) -> None:
    assert await bench.next_code(text) == ScannedCode(text=text)


async def test_what_was_scanned_while_nobody_waited_is_not_given(bench: Bench) -> None:
    assert (await bench.scanner.probe()).works
    await bench.scan("somebody else's code")
    assert await bench.next_code("mine") == ScannedCode(text="mine")


async def test_a_probe_takes_nothing_from_whoever_waits(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.scanner.next_code())
    await bench.listens()
    assert (await bench.scanner.probe()).works
    await bench.scan("mine")
    assert (await bench.scanner.probe()).works
    async with asyncio.timeout(10):
        assert await waiting == ScannedCode(text="mine")


async def test_who_stops_waiting_does_not_keep_the_next_one(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.scanner.next_code())
    await bench.listens()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await bench.next_code("next") == ScannedCode(text="next")


@pytest.mark.parametrize("reason", [Reason.PORT_GONE, Reason.OCCUPIED])
async def test_a_lost_scanner_is_raised_reported_and_heals_by_itself(
    bench: Bench, reason: Reason
) -> None:
    waiting = asyncio.create_task(bench.scanner.next_code())
    await bench.listens()
    await bench.break_(reason)
    async with asyncio.timeout(10):
        with pytest.raises(DeviceError):
            await waiting
    report = await bench.scanner.probe()
    assert (report.works, report.reason) == (False, reason)
    assert (report.status, report.action) == status_of(reason)
    await bench.mend()
    assert (await bench.scanner.probe()).works
    assert await bench.next_code("again") == ScannedCode(text="again")


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.scanner.probe()
    assert await bench.scanner.probe() == first
    await bench.break_(Reason.PORT_GONE)
    broken = await bench.scanner.probe()
    assert broken != first
    assert await bench.scanner.probe() == broken


async def test_diagnostics_count_and_hold_no_code(bench: Bench) -> None:
    await bench.next_code("510682")
    facts = bench.scanner.diagnostics()
    assert facts["codes"] == 1
    assert not any("510682" in str(value) for value in facts.values())
    assert "510682" not in repr(ScannedCode(text="510682"))
