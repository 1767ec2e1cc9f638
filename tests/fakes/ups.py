"""A UPS without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.power import PowerReading
from hallkit.runtime.clock import Clock

MAINS = PowerReading(on_battery=False, battery_low=False, charge_percent=98, runtime_s=1800)


class FakeUps:
    """Implements `Ups`; the test cuts the power and pulls the plug."""

    def __init__(self, clock: Clock, device_id: str = "ups") -> None:
        self._clock = clock
        self.reading = MAINS
        self.fault: Reason | None = None
        self._readings = 0
        self._report = DeviceReport(
            id=device_id,
            port="ups",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    async def probe(self) -> DeviceReport:
        reason = self.fault
        if reason is None and self.reading.on_battery:
            reason = Reason.BATTERY_LOW if self.reading.battery_low else Reason.ON_BATTERY
        status, action = status_of(reason) if reason else (DeviceStatus.ONLINE, None)
        new = self._report.model_copy(update={"status": status, "reason": reason, "action": action})
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def read(self) -> PowerReading:
        await self.probe()
        if self.fault is not None:
            raise DeviceUnavailable(self._report.id, self.fault)
        self._readings += 1
        return self.reading

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"readings": self._readings}
