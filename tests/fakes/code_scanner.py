"""A code scanner without a wire, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.scanning import ScannedCode
from hallkit.runtime.clock import Clock


class FakeCodeScanner:
    """Implements `CodeScanner`; the test holds codes before it and pulls its plug."""

    def __init__(self, clock: Clock, device_id: str = "scanner") -> None:
        self._clock = clock
        self._waiter: asyncio.Future[ScannedCode] | None = None
        self._codes = 0
        self.fault: Reason | None = None
        self._report = DeviceReport(
            id=device_id,
            port="code_scanner",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    @property
    def waits(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def scan(self, text: str) -> None:
        """Nobody waits: the code is gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(ScannedCode(text=text))

    def break_(self, reason: Reason) -> None:
        self.fault = reason
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(DeviceUnavailable(self._report.id, reason))

    def mend(self) -> None:
        self.fault = None

    async def probe(self) -> DeviceReport:
        status, action = status_of(self.fault) if self.fault else (DeviceStatus.ONLINE, None)
        new = self._report.model_copy(
            update={"status": status, "reason": self.fault, "action": action}
        )
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def next_code(self) -> ScannedCode:
        await self.probe()
        if self.fault is not None:
            raise DeviceUnavailable(self._report.id, self.fault)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            code = await self._waiter
        except DeviceUnavailable:
            await self.probe()
            raise
        self._codes += 1
        return code

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"codes": self._codes}
