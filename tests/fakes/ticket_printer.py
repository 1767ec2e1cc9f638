"""A ticket printer without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import Reason
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.printing import PrintOutcome, PrintResult, Slip
from hallkit.runtime.clock import Clock

_LOST = frozenset({Reason.PORT_GONE, Reason.REFUSED, Reason.SILENT, Reason.GARBLED})


class FakeTicketPrinter:
    """Implements `TicketPrinter`; the test sets faults and looks at the paper."""

    def __init__(self, clock: Clock, device_id: str = "ticket-printer") -> None:
        self._clock = clock
        self._counts = dict.fromkeys(PrintResult, 0)
        self.fault: Reason | None = None
        """What is wrong, before the first byte of every slip."""
        self.fault_in_next_slip: Reason | None = None
        """Strikes once, in the middle of the next slip, and lasts."""
        self.slips: list[tuple[Slip, bool]] = []
        """Whole slips on paper, and whether they are marked."""
        self.half_slips = 0
        self._report = DeviceReport(
            id=device_id,
            port="ticket_printer",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    def mend(self) -> None:
        """The fault is gone; the printer is only known to work when it is asked."""
        self.fault = self.fault_in_next_slip = None

    async def probe(self) -> DeviceReport:
        changes: dict[str, object] = {
            "status": DeviceStatus.ONLINE,
            "reason": self.fault,
            "action": None,
            "paper": Paper.FULL,
        }
        if self.fault:
            changes["status"], changes["action"] = status_of(self.fault)
        if self.fault in _LOST:
            changes["paper"] = Paper.UNKNOWN
        elif self.fault is Reason.PAPER_OUT:
            changes["paper"] = Paper.OUT
        elif self.fault is Reason.PAPER_LOW:
            changes["paper"] = Paper.LOW
        new = self._report.model_copy(update=changes)
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        report = await self.probe()
        if not report.works:
            outcome = PrintOutcome(result=PrintResult.NOT_STARTED, reason=report.reason)
        elif self.fault_in_next_slip:
            self.fault, self.fault_in_next_slip = self.fault_in_next_slip, None
            self.half_slips += 1
            await self.probe()
            outcome = PrintOutcome(result=PrintResult.UNKNOWN, reason=self.fault)
        else:
            self.slips.append((slip, marked))
            outcome = PrintOutcome(result=PrintResult.COMPLETED)
        self._counts[outcome.result] += 1
        return outcome

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {f"slips_{result}": count for result, count in self._counts.items()}
