"""The ESC/POS driver on a printer with USB: what this wire adds to test_escpos_printer.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.control import order
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_profile import load_profile
from drivers.transport.usb import UsbPort
from hallkit.errors import Reason
from hallkit.model.device import DeviceStatus, Paper
from hallkit.model.printing import PrintOutcome, PrintResult, Slip, TextLine
from hallkit.runtime.clock import SystemClock
from tests.twins import UsbBus

pytestmark = pytest.mark.wire

SLIP = Slip(
    lines=tuple(TextLine(text=f"第 {number} 行") for number in range(12)), reprint_mark="补打"
)
COMPLETED = PrintOutcome(result=PrintResult.COMPLETED)
SHORTER = {"status_timeout_s": 0.4, "identify_timeout_s": 0.4, "write_timeout_s": 0.4}


class Rig:
    """An emulated printer on USB and the driver that uses it."""

    def __init__(self, control: Path, receipts: Path, profile: str, **deadlines: float) -> None:
        self.control = control
        self.receipts = receipts
        config = EscPosConfig(
            id="ticket-printer",
            driver="escpos",
            transport=UsbPort(kind="usb", vendor="04b8", product="0202"),
            profile=profile,
        )
        shorter = load_profile(profile).model_copy(update=deadlines)
        self.printer = EscPosPrinter(config, SystemClock(), profile=shorter)

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    def slips(self) -> list[bool]:
        """Whole slips on paper: for each, whether it carries the mark."""
        texts = [path.read_text("utf-8") for path in sorted(self.receipts.glob("slip-*.txt"))]
        return ["补打" in text for text in texts if "第 11 行" in text]


class Bench:
    def __init__(self, bus: UsbBus, folder: Path, stack: AsyncExitStack) -> None:
        self._bus = bus
        self._folder = folder
        self._stack = stack

    async def rig(
        self, *arguments: str, profile: str = "escpos_generic", **deadlines: float
    ) -> Rig:
        receipts = self._folder / "receipts"
        options = ("--receipts", receipts, *arguments)
        device = self._bus.device("escpos-usb", self._folder, "drivers.sim.escpos", *options)
        control = await self._stack.enter_async_context(device)
        rig = Rig(control, receipts, profile, **deadlines)
        await self._stack.enter_async_context(rig.printer)
        return rig


@pytest.fixture
async def bench(usb_bus: UsbBus, tmp_path: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(usb_bus, tmp_path, stack)


async def test_the_printers_own_name_counts(bench: Bench) -> None:
    rig = await bench.rig()
    report = await rig.printer.probe()
    assert (report.works, report.model, report.serial) == (True, "HK-T80 SIM", "SIM000001")
    assert rig.printer.diagnostics()["wire"] == "usb:04b8:0202"


async def test_a_printer_that_tells_no_name_has_that_of_its_plug(bench: Bench) -> None:
    rig = await bench.rig("--dialect", "basic", profile="escpos_58mm", identify_timeout_s=0.4)
    report = await rig.printer.probe()
    assert (report.works, report.model, report.serial) == (True, "HK-T80 USB", "")
    assert (await rig.printer.print_slip(SLIP, marked=False)).result is PrintResult.COMPLETED


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "stall", "way": "in"},
        {"fault": "stall", "way": "out", "times": 2},
        {"fault": "short", "bytes": 1},
    ],
    ids=["stall-in", "stall-out", "short"],
)
async def test_halts_and_small_packets_print_a_slip_once(
    bench: Bench, fault: dict[str, Any]
) -> None:
    rig = await bench.rig()
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", **fault)
    assert await rig.printer.print_slip(SLIP, marked=False) == COMPLETED
    assert rig.slips() == [False]


async def test_pulled_out_in_mid_slip_it_may_have_printed(bench: Bench) -> None:
    rig = await bench.rig()
    await rig.tell("hold", after_lines=6)
    printing = asyncio.create_task(rig.printer.print_slip(SLIP, marked=False))
    await rig.tell("wait", what="held")
    await rig.tell("power.cut")
    assert await printing == PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.PORT_GONE)
    assert (await rig.printer.probe()).status is DeviceStatus.NO_DEVICE
    await rig.tell("power.on")
    await rig.tell("release")
    assert await rig.printer.print_slip(SLIP, marked=True) == COMPLETED
    assert rig.slips() == [True]


@pytest.mark.parametrize(
    ("port_status", "reason", "paper"),
    [
        (0x38, Reason.PAPER_OUT, Paper.OUT),
        (0x10, Reason.OFFLINE, Paper.FULL),
        (0x18, Reason.SILENT, Paper.UNKNOWN),
    ],
)
async def test_a_silent_printer_may_say_why_beside_its_data(
    bench: Bench, port_status: int, reason: Reason, paper: Paper
) -> None:
    rig = await bench.rig(**SHORTER)
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", fault="port_status", value=port_status)
    assert (await rig.printer.probe()).works, "what it answers in full comes first"
    await rig.tell("fault.set", fault="silent")
    report = await rig.printer.probe()
    assert (report.reason, report.paper) == (reason, paper)
    outcome = await rig.printer.print_slip(SLIP, marked=False)
    assert outcome == PrintOutcome(result=PrintResult.NOT_STARTED, reason=reason)
    await rig.tell("fault.clear")
    assert (await rig.printer.probe()).works
    assert rig.printer.diagnostics()["connections"] == 3, "no late answer reaches the next question"


async def test_a_printer_that_is_full_takes_no_question_and_still_says_why(bench: Bench) -> None:
    rig = await bench.rig(**SHORTER)
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", fault="deaf")
    await rig.tell("fault.set", fault="port_status", value=0x38)
    outcome = await rig.printer.print_slip(SLIP, marked=False)
    assert outcome == PrintOutcome(result=PrintResult.NOT_STARTED, reason=Reason.PAPER_OUT)
    await rig.tell("fault.clear")
    assert await rig.printer.print_slip(SLIP, marked=False) == COMPLETED
    assert rig.slips() == [False]


async def test_a_printer_that_is_full_in_mid_slip_says_why(bench: Bench) -> None:
    rig = await bench.rig(**SHORTER, settle_s=0.2)
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", fault="deaf", after_bytes=100)
    await rig.tell("fault.set", fault="port_status", value=0x38)
    outcome = await rig.printer.print_slip(SLIP, marked=False)
    assert outcome == PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.PAPER_OUT)
    await rig.tell("fault.clear")
    assert await rig.printer.print_slip(SLIP, marked=True) == COMPLETED
    assert rig.slips() == [True]


@pytest.mark.parametrize(
    ("fault", "reason"), [("claimed", Reason.OCCUPIED), ("denied", Reason.REFUSED)]
)
async def test_another_program_or_the_rights_stand_before_it(
    bench: Bench, fault: str, reason: Reason
) -> None:
    rig = await bench.rig()
    await rig.tell("fault.set", fault=fault)
    assert (await rig.printer.probe()).reason is reason
    await rig.tell("fault.clear")
    assert await rig.printer.print_slip(SLIP, marked=False) == COMPLETED
