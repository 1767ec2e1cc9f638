"""An LED bar without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import DeviceUnavailable, NotSupported, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.signage import BarText
from hallkit.runtime.clock import Clock


class FakeLedBar:
    """Implements `LedBar`; the test sets faults, lets time pass and looks at the bar."""

    def __init__(self, clock: Clock, device_id: str = "led-bar") -> None:
        self._clock = clock
        self.fault: Reason | None = None
        self.shown = ""
        self._wanted: BarText | None = None
        self._age_s = 0.0
        self._lost = False
        self._shown_count = 0
        self._report = DeviceReport(
            id=device_id,
            port="led_bar",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    def break_(self, reason: Reason) -> None:
        self.fault = reason

    def power_cut(self) -> None:
        self.fault, self.shown, self._lost = Reason.REFUSED, "", True

    def mend(self) -> None:
        self.fault = None

    def pass_time(self, seconds: float) -> None:
        self._age_s += seconds
        wanted = self._wanted
        if wanted is not None and wanted.for_s is not None and self._age_s >= wanted.for_s:
            self.shown, self._wanted = "", None

    async def probe(self) -> DeviceReport:
        if self.fault is None and self._lost:
            self._lost = False
            self.shown = self._wanted.text if self._wanted else ""
        status, action = status_of(self.fault) if self.fault else (DeviceStatus.ONLINE, None)
        new = self._report.model_copy(
            update={"status": status, "reason": self.fault, "action": action}
        )
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def show(self, text: BarText) -> None:
        try:
            text.text.encode("gb2312")
        except UnicodeEncodeError as exc:
            raise NotSupported(self._report.id, Reason.UNSUPPORTED) from exc
        await self._put(text)
        self._shown_count += 1

    async def clear(self) -> None:
        await self._put(None)

    async def _put(self, wanted: BarText | None) -> None:
        self._wanted, self._age_s = wanted, 0.0
        self._lost = self.fault is not None
        await self.probe()
        if self.fault is not None:
            raise DeviceUnavailable(self._report.id, self.fault)
        self.shown = wanted.text if wanted else ""

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"texts_shown": self._shown_count}
