"""What every page printer does, wire and twin or fake: users may rely on exactly this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.driver import status_of
from drivers.page_printer.ipp import IppConfig, IppPort, IppPrinter
from drivers.sim.control import order
from drivers.sim.process import simulator
from hallkit.errors import Reason
from hallkit.model.device import DeviceStatus, Paper, Toner
from hallkit.model.printing import PageOutcome, PrintResult, Sides
from hallkit.ports.page_printer import PagePrinter
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.page_printer import FakePagePrinter
from tests.pdf import pages

TWO = pages(2)
COMPLETED = PageOutcome(result=PrintResult.COMPLETED, impressions=2)

_STATES = {
    Reason.PAPER_OUT: "paper_out",
    Reason.PAPER_LOW: "paper_low",
    Reason.PAPER_JAM: "jam",
    Reason.COVER_OPEN: "cover_open",
    Reason.TONER_LOW: "toner_low",
    Reason.TONER_OUT: "toner_out",
    Reason.OUTPUT_FULL: "output_full",
    Reason.OVERHEATED: "overheated",
    Reason.UNRECOVERABLE: "unrecoverable",
    Reason.OFFLINE: "paused",
}
_LOW = (Reason.PAPER_LOW, Reason.TONER_LOW)


class Bench(ABC):
    """A printer and the hands that use it."""

    printer: PagePrinter

    @abstractmethod
    async def break_(self, reason: Reason) -> None:
        """Let it fail now."""

    @abstractmethod
    async def break_in_next_job(self, reason: Reason) -> None:
        """Let it fail after the first side of what is printed next."""

    @abstractmethod
    async def unplug(self) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...
    @abstractmethod
    async def printed(self) -> list[bytes]:
        """Whole documents on paper."""


def documents(typed: str) -> list[bytes]:
    """`2 3`: the document of two sides, then the one of three."""
    return [pages(int(word)) for word in typed.split()]


class FakeBench(Bench):
    def __init__(self) -> None:
        self.fake = FakePagePrinter(SystemClock())
        self.printer = self.fake

    async def break_(self, reason: Reason) -> None:
        self.fake.fault = reason

    async def break_in_next_job(self, reason: Reason) -> None:
        self.fake.fault_in_next_job = reason

    async def unplug(self) -> None:
        self.fake.fault = Reason.REFUSED

    async def mend(self) -> None:
        self.fake.fault = self.fake.fault_in_next_job = None

    async def printed(self) -> list[bytes]:
        return [document for document, _ in self.fake.printed]


class IppBench(Bench):
    def __init__(self, printer: IppPrinter, control: Path, folder: Path) -> None:
        self.printer = printer
        self.control = control
        self.folder = folder

    async def break_(self, reason: Reason) -> None:
        await order(self.control, "fault.set", fault=_STATES[reason])

    async def break_in_next_job(self, reason: Reason) -> None:
        await order(self.control, "fault.set", fault=_STATES[reason], at_side=1)

    async def unplug(self) -> None:
        await order(self.control, "power.cut")

    async def mend(self) -> None:
        await order(self.control, "fault.clear")
        await order(self.control, "power.on")

    async def printed(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.folder.glob("*.pdf"))]


@pytest.fixture(params=["ipp", "fake", "device"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "printer", asked={"printed": documents}) as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    control = tmp_path / "control"
    async with simulator("drivers.sim.ipp", "--folder", tmp_path, "--control", control):
        port = (await order(control, "state"))["state"]["port"]
        config = IppConfig(
            id="page-printer",
            driver="ipp",
            transport=IppPort(uri=f"ipp://127.0.0.1:{port}/ipp/print"),
            job_timeout_s=1.0,
            poll_interval_s=0.02,
        )
        async with IppPrinter(config, SystemClock()) as printer:
            yield IppBench(printer, control, tmp_path)


async def test_a_new_printer_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.printer.report.status is DeviceStatus.STARTING
    report = await bench.printer.probe()
    assert report.works
    assert report == bench.printer.report
    assert (report.port, report.paper, report.toner) == ("page_printer", Paper.FULL, Toner.FULL)


@pytest.mark.parametrize("sides", list(Sides))
async def test_a_document_is_confirmed_and_its_sides_are_counted(
    bench: Bench, sides: Sides
) -> None:
    assert await bench.printer.print_pdf(TWO, sides=sides) == COMPLETED
    assert await bench.printed() == [TWO]


async def test_what_is_no_pdf_is_not_started(bench: Bench) -> None:
    outcome = await bench.printer.print_pdf(b"GIF89a")
    assert (outcome.result, outcome.reason) == (PrintResult.NOT_STARTED, Reason.UNSUPPORTED)
    assert bench.printer.report.works, "the printer is as well as before"
    assert await bench.printer.print_pdf(TWO) == COMPLETED


@pytest.mark.parametrize("reason", [reason for reason in _STATES if reason not in _LOW])
async def test_a_fault_that_is_there_starts_nothing(bench: Bench, reason: Reason) -> None:
    await bench.break_(reason)
    outcome = await bench.printer.print_pdf(TWO)
    assert outcome == PageOutcome(result=PrintResult.NOT_STARTED, reason=reason)
    report = bench.printer.report
    assert not report.works
    assert (report.status, report.action) == status_of(reason)
    await bench.mend()
    assert await bench.printed() == []
    assert (await bench.printer.probe()).works
    assert await bench.printer.print_pdf(TWO) == COMPLETED
    assert await bench.printed() == [TWO]


@pytest.mark.parametrize("reason", [Reason.PAPER_OUT, Reason.PAPER_JAM, Reason.TONER_OUT])
async def test_a_job_that_is_given_up_never_comes_out_later(bench: Bench, reason: Reason) -> None:
    await bench.break_in_next_job(reason)
    outcome = await bench.printer.print_pdf(TWO)
    assert outcome == PageOutcome(result=PrintResult.UNKNOWN, reason=reason, impressions=1)
    assert not bench.printer.report.works
    await bench.mend()
    assert (await bench.printer.probe()).works
    assert await bench.printer.print_pdf(pages(3)) == PageOutcome(
        result=PrintResult.COMPLETED, impressions=3
    )
    assert await bench.printed() == [pages(3)]


@pytest.mark.parametrize("reason", _LOW)
async def test_low_paper_and_low_toner_print_on(bench: Bench, reason: Reason) -> None:
    await bench.break_(reason)
    report = await bench.printer.probe()
    assert (report.works, report.reason) == (True, reason)
    assert (report.paper is Paper.LOW) == (reason is Reason.PAPER_LOW)
    assert (report.toner is Toner.LOW) == (reason is Reason.TONER_LOW)
    assert await bench.printer.print_pdf(TWO) == COMPLETED


async def test_a_lost_printer_is_a_report_and_heals_by_itself(bench: Bench) -> None:
    assert (await bench.printer.probe()).works
    await bench.unplug()
    report = await bench.printer.probe()
    assert (report.works, report.reason) == (False, Reason.REFUSED)
    assert (report.paper, report.toner) == (Paper.UNKNOWN, Toner.UNKNOWN)
    outcome = await bench.printer.print_pdf(TWO)
    assert outcome == PageOutcome(result=PrintResult.NOT_STARTED, reason=Reason.REFUSED)
    await bench.mend()
    assert (await bench.printer.probe()).works
    assert await bench.printer.print_pdf(TWO) == COMPLETED


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.printer.probe()
    assert await bench.printer.probe() == first
    await bench.break_(Reason.COVER_OPEN)
    broken = await bench.printer.probe()
    assert broken != first
    assert await bench.printer.probe() == broken


async def test_diagnostics_count_outcomes(bench: Bench) -> None:
    await bench.printer.print_pdf(TWO)
    await bench.break_(Reason.COVER_OPEN)
    await bench.printer.print_pdf(TWO)
    facts = bench.printer.diagnostics()
    assert (facts["completed"], facts["not_started"], facts["unknown"]) == (1, 1, 0)
