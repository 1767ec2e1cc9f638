"""A camera without a stream, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from drivers.driver import status_of
from drivers.sim.camera_picture import BRIGHT, COLUMNS, DARK, ROWS, bits_of
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.ports.camera import Frame
from hallkit.runtime.clock import Clock


class FakeCamera:
    """Implements `Camera`; the test shows pictures, each with its number, and pulls the plug."""

    def __init__(self, clock: Clock, device_id: str = "camera", *, port: str = "camera") -> None:
        self._clock = clock
        self._newest: Frame | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self.fault: Reason | None = None
        self._sequence = 0
        self._given = 0
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

    async def probe(self) -> DeviceReport:
        status, action = status_of(self.fault) if self.fault else (DeviceStatus.ONLINE, None)
        new = self._report.model_copy(
            update={"status": status, "reason": self.fault, "action": action}
        )
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    def show(self, number: int | None) -> None:
        """A picture of this number; None: a black one."""
        bits = bits_of(number) if number is not None else [False] * (COLUMNS * ROWS)
        data = b"".join(bytes((BRIGHT if bit else DARK,)) * 3 for bit in bits)
        self._sequence += 1
        self._newest = Frame(
            width=COLUMNS,
            height=ROWS,
            stride=3 * COLUMNS,
            data=memoryview(data),
            sequence=self._sequence,
            mono_s=self._clock.mono_s(),
        )
        self._wake()

    def break_(self, reason: Reason) -> None:
        self.fault = reason
        self._wake()

    def mend(self) -> None:
        self.fault = None

    async def latest_frame(self, *, newer_than: int | None = None) -> Frame:
        than = -1 if newer_than is None else newer_than
        while True:
            await self.probe()
            if self.fault is not None:
                raise DeviceUnavailable(self._report.id, self.fault)
            if self._newest is not None and self._newest.sequence > than:
                self._given += 1
                return self._newest
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"frames": self._sequence, "given": self._given}

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
