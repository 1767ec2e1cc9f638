"""Rating buttons without a wire, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from drivers.driver import status_of
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.rating import RatingLevel
from hallkit.runtime.clock import Clock


class FakeRatingButtons:
    """Implements `RatingButtons`; the test presses and pulls the plug."""

    def __init__(self, clock: Clock, device_id: str = "rating") -> None:
        self._clock = clock
        self._waiter: asyncio.Future[RatingLevel] | None = None
        self._presses = 0
        self.fault: Reason | None = None
        self._report = DeviceReport(
            id=device_id,
            port="rating_buttons",
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

    def press(self, level: RatingLevel) -> None:
        """Nobody waits: the press is gone."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(level)

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

    async def next_rating(self) -> RatingLevel:
        await self.probe()
        if self.fault is not None:
            raise DeviceUnavailable(self._report.id, self.fault)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            level = await self._waiter
        except DeviceUnavailable:
            await self.probe()
            raise
        self._presses += 1
        return level

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"presses": self._presses}
