"""What the fakes of devices that speak without being asked share."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from drivers.driver import status_of
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.runtime.clock import Clock

Said = TypeVar("Said")


class FakeListener(Generic[Said]):
    """One waits; the test says something and pulls the plug."""

    def __init__(self, clock: Clock, device_id: str, *, port: str) -> None:
        self._clock = clock
        self._waiter: asyncio.Future[Said] | None = None
        self._heard = 0
        self.fault: Reason | None = None
        self._report = DeviceReport(
            id=device_id,
            port=port,
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

    def _say(self, said: Said) -> None:
        """Nobody waits: it is gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(said)

    async def _next(self) -> Said:
        await self.probe()
        if self.fault is not None:
            raise DeviceUnavailable(self._report.id, self.fault)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            said = await self._waiter
        except DeviceUnavailable:
            await self.probe()
            raise
        self._heard += 1
        return said
