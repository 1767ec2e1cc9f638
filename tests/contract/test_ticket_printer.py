"""What every ticket printer does, wire and simulator or fake: users may rely on exactly this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from drivers.driver import status_of
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort
from drivers.transport.usb import UsbPort
from hallkit.errors import Reason
from hallkit.model.device import DeviceStatus, Paper
from hallkit.model.printing import PrintOutcome, PrintResult, Slip, TextLine
from hallkit.ports.ticket_printer import TicketPrinter
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.ticket_printer import FakeTicketPrinter
from tests.twins import UsbBus

SLIP = Slip(
    lines=tuple(TextLine(text=f"第 {number} 行") for number in range(12)), reprint_mark="补打"
)
COMPLETED = PrintOutcome(result=PrintResult.COMPLETED)

_STATES = {
    Reason.PAPER_OUT: "paper_out",
    Reason.PAPER_LOW: "paper_low",
    Reason.COVER_OPEN: "cover_open",
    Reason.CUTTER: "cutter",
    Reason.OVERHEATED: "overheated",
    Reason.UNRECOVERABLE: "unrecoverable",
    Reason.OFFLINE: "offline",
}


class Bench(ABC):
    """A printer and the hands that use it."""

    printer: TicketPrinter

    @abstractmethod
    async def break_(self, reason: Reason) -> None:
        """Let it fail now."""

    @abstractmethod
    async def break_in_next_slip(self, reason: Reason) -> None:
        """Let it fail in the middle of what is printed next."""

    @abstractmethod
    async def unplug(self) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...
    @abstractmethod
    async def slips(self) -> list[bool]:
        """Whole slips on paper: for each, whether it carries the mark."""


def marks(typed: str) -> list[bool]:
    """`0 1`: an unmarked slip, then a marked one."""
    return [bool(["0", "1"].index(word)) for word in typed.split()]


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakeTicketPrinter(SystemClock())
        self.printer = self.fake

    async def break_(self, reason: Reason) -> None:
        self.fake.fault = reason

    async def break_in_next_slip(self, reason: Reason) -> None:
        self.fake.fault_in_next_slip = reason

    async def unplug(self) -> None:
        self.fake.fault = Reason.REFUSED

    async def mend(self) -> None:
        self.fake.mend()

    async def slips(self) -> list[bool]:
        return [marked for _, marked in self.fake.slips]


class EscPosBench(Bench):
    def __init__(self, printer: EscPosPrinter, control: Path, receipts: Path) -> None:
        self.printer = printer
        self.control = control
        self.receipts = receipts

    async def break_(self, reason: Reason) -> None:
        await order(self.control, "fault.set", fault=_STATES[reason])

    async def break_in_next_slip(self, reason: Reason) -> None:
        await order(self.control, "fault.set", fault=_STATES[reason], after_lines=6)

    async def unplug(self) -> None:
        await order(self.control, "power.cut")

    async def mend(self) -> None:
        # As a person does it: the new roll first, while the printer still says it is empty.
        await order(self.control, "paper.refill")
        await order(self.control, "fault.clear")
        await order(self.control, "power.on")

    async def slips(self) -> list[bool]:
        texts = [path.read_text("utf-8") for path in sorted(self.receipts.glob("slip-*.txt"))]
        return ["补打" in text for text in texts if "第 11 行" in text]


@pytest.fixture(params=["escpos", "escpos-serial", "escpos-usb", "fake", "device"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "printer", asked={"slips": marks}) as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    receipts, control, link = (tmp_path / name for name in ("receipts", "control", "port"))
    twin = "drivers.sim.escpos"
    transport: TcpPort | SerialPort | UsbPort
    async with AsyncExitStack() as stack:
        if request.param == "escpos-usb":
            bus: UsbBus = request.getfixturevalue("usb_bus")
            before = bus.device(request.param, tmp_path, twin, "--receipts", receipts)
            control = await stack.enter_async_context(before)
            transport = UsbPort(kind="usb", vendor="04b8", product="0202")
        else:
            wire = ("--link", link) if request.param == "escpos-serial" else ("--port", "0")
            places = ("--receipts", receipts, "--control", control)
            await stack.enter_async_context(simulator(twin, *places, *wire))
            port = (await order(control, "state"))["state"]["port"]
            transport = (
                TcpPort(host="127.0.0.1", port=port)
                if request.param == "escpos"
                else SerialPort(kind="serial", path=str(link))
            )
        config = EscPosConfig(id="ticket-printer", driver="escpos", transport=transport)
        printer = await stack.enter_async_context(EscPosPrinter(config, SystemClock()))
        yield EscPosBench(printer, control, receipts)


async def test_a_new_printer_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.printer.report.status is DeviceStatus.STARTING
    report = await bench.printer.probe()
    assert report.works
    assert report == bench.printer.report
    assert (report.port, report.paper) == ("ticket_printer", Paper.FULL)


async def test_a_slip_is_confirmed(bench: Bench) -> None:
    assert await bench.printer.print_slip(SLIP, marked=False) == COMPLETED
    assert await bench.slips() == [False]


async def test_a_marked_slip_carries_the_mark(bench: Bench) -> None:
    assert await bench.printer.print_slip(SLIP, marked=True) == COMPLETED
    assert await bench.slips() == [True]


@pytest.mark.parametrize("reason", [reason for reason in _STATES if reason != Reason.PAPER_LOW])
async def test_a_fault_that_is_there_starts_nothing(bench: Bench, reason: Reason) -> None:
    await bench.break_(reason)
    # Without a probe before: the print finds out by itself.
    outcome = await bench.printer.print_slip(SLIP, marked=False)
    assert outcome == PrintOutcome(result=PrintResult.NOT_STARTED, reason=reason)
    report = bench.printer.report
    assert not report.works
    assert (report.status, report.action) == status_of(reason)
    assert await bench.slips() == []
    await bench.mend()
    assert (await bench.printer.probe()).works
    assert await bench.printer.print_slip(SLIP, marked=False) == COMPLETED
    assert await bench.slips() == [False]


@pytest.mark.parametrize("reason", [Reason.PAPER_OUT, Reason.COVER_OPEN, Reason.CUTTER])
async def test_a_fault_in_the_middle_is_unknown_and_is_printed_again(
    bench: Bench, reason: Reason
) -> None:
    await bench.break_in_next_slip(reason)
    outcome = await bench.printer.print_slip(SLIP, marked=False)
    assert outcome == PrintOutcome(result=PrintResult.UNKNOWN, reason=reason)
    assert not bench.printer.report.works
    await bench.mend()
    # Nothing of the first attempt comes out by itself.
    assert await bench.slips() == []
    assert (await bench.printer.probe()).works
    assert await bench.printer.print_slip(SLIP, marked=True) == COMPLETED
    assert await bench.slips() == [True]


async def test_low_paper_prints_on(bench: Bench) -> None:
    await bench.break_(Reason.PAPER_LOW)
    report = await bench.printer.probe()
    assert (report.works, report.paper, report.reason) == (True, Paper.LOW, Reason.PAPER_LOW)
    assert await bench.printer.print_slip(SLIP, marked=False) == COMPLETED


async def test_a_lost_printer_is_a_report_and_heals_by_itself(bench: Bench) -> None:
    assert (await bench.printer.probe()).works
    await bench.unplug()
    first = await bench.printer.probe()
    again = await bench.printer.probe()
    assert not again.works
    assert first.reason in (Reason.PORT_GONE, Reason.REFUSED)
    assert again.paper is Paper.UNKNOWN
    outcome = await bench.printer.print_slip(SLIP, marked=False)
    assert outcome.result is PrintResult.NOT_STARTED
    await bench.mend()
    assert (await bench.printer.probe()).works
    assert await bench.printer.print_slip(SLIP, marked=False) == COMPLETED


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.printer.probe()
    assert await bench.printer.probe() == first
    await bench.break_(Reason.COVER_OPEN)
    broken = await bench.printer.probe()
    assert broken != first
    assert await bench.printer.probe() == broken


async def test_diagnostics_count_outcomes_and_hold_no_text(bench: Bench) -> None:
    assert await bench.printer.print_slip(SLIP, marked=False) == COMPLETED
    await bench.break_(Reason.COVER_OPEN)
    await bench.printer.print_slip(SLIP, marked=False)
    facts = bench.printer.diagnostics()
    assert (facts["slips_completed"], facts["slips_not_started"]) == (1, 1)
    assert all(isinstance(value, str | int | float) for value in facts.values())
    assert not any("行" in str(value) for value in facts.values())
