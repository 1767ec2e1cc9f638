"""A page printer without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, DeviceStatus, Paper, Toner
from hallkit.model.printing import PageOutcome, PrintResult, Sides
from hallkit.runtime.clock import Clock

_LOST = frozenset({Reason.PORT_GONE, Reason.REFUSED, Reason.SILENT, Reason.GARBLED})
_PAPER = {
    Reason.PAPER_OUT: Paper.OUT,
    Reason.PAPER_LOW: Paper.LOW,
    Reason.PAPER_JAM: Paper.JAMMED,
}
_TONER = {Reason.TONER_OUT: Toner.OUT, Reason.TONER_LOW: Toner.LOW}


class FakePagePrinter:
    """Implements `PagePrinter`; the test sets faults and looks at the sheets."""

    def __init__(self, clock: Clock, device_id: str = "page-printer") -> None:
        self._clock = clock
        self._counts = dict.fromkeys(PrintResult, 0)
        self.fault: Reason | None = None
        self.fault_in_next_job: Reason | None = None
        """Strikes once, after the first side, and lasts; the job is given up."""
        self.printed: list[tuple[bytes, Sides]] = []
        self._report = DeviceReport(
            id=device_id,
            port="page_printer",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    async def probe(self) -> DeviceReport:
        fault = self.fault
        status, action = status_of(fault) if fault else (DeviceStatus.ONLINE, None)
        lost = fault in _LOST
        new = self._report.model_copy(
            update={
                "status": status,
                "action": action,
                "reason": fault,
                "paper": Paper.UNKNOWN if lost else _PAPER.get(fault, Paper.FULL),  # type: ignore[arg-type]
                "toner": Toner.UNKNOWN if lost else _TONER.get(fault, Toner.FULL),  # type: ignore[arg-type]
            }
        )
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def print_pdf(self, document: bytes, *, sides: Sides = Sides.ONE) -> PageOutcome:
        report = await self.probe()
        if not report.works:
            outcome = PageOutcome(result=PrintResult.NOT_STARTED, reason=report.reason)
        elif not document.startswith(b"%PDF"):
            outcome = PageOutcome(result=PrintResult.NOT_STARTED, reason=Reason.UNSUPPORTED)
        elif self.fault_in_next_job:
            self.fault, self.fault_in_next_job = self.fault_in_next_job, None
            await self.probe()
            outcome = PageOutcome(result=PrintResult.UNKNOWN, reason=self.fault, impressions=1)
        else:
            self.printed.append((document, sides))
            outcome = PageOutcome(
                result=PrintResult.COMPLETED, impressions=document.count(b"/Type /Page ")
            )
        self._counts[outcome.result] += 1
        return outcome

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return dict(self._counts.items())
