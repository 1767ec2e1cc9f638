"""A microphone without a card, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

from drivers.driver import status_of
from drivers.sound.level import Meter
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import BLOCK_S, Level, SoundBlock
from hallkit.runtime.clock import Clock

_STILL_GIVES = (Reason.MUTED, Reason.OVERDRIVEN)
_HELD_S = 0.1


class FakeMicrophone:
    """Implements `Microphone`; the test says what is in the air, as frames that repeat."""

    def __init__(self, clock: Clock, device_id: str = "microphone", rate: int = 16_000) -> None:
        self._clock = clock
        self.rate = rate
        self.fault: Reason | None = None
        self.air = b"\1\0\0\0"
        self._meter = Meter()
        self._given = 0
        self._dropped = 0
        self._report = DeviceReport(
            id=device_id,
            port="microphone",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    @property
    def level(self) -> Level | None:
        return self._meter.level

    async def probe(self) -> DeviceReport:
        status, action = status_of(self.fault) if self.fault else (DeviceStatus.ONLINE, None)
        new = self._report.model_copy(
            update={"status": status, "reason": self.fault, "action": action}
        )
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})
        return self._report

    async def blocks(self) -> AsyncIterator[SoundBlock]:
        size = round(self.rate * BLOCK_S) * 2
        due_s, at = self._clock.mono_s(), 0
        while True:
            if self.fault is not None and self.fault not in _STILL_GIVES:
                await self.probe()
                raise DeviceUnavailable(self._report.id, self.fault)
            while self._clock.mono_s() - due_s > _HELD_S:
                due_s += BLOCK_S
                self._dropped += 1
            await asyncio.sleep(max(due_s + BLOCK_S - self._clock.mono_s(), 0))
            repeated = self.air * (size // len(self.air) + 2)
            frames = repeated[at % len(self.air) :][:size]
            at += size
            self._given += 1
            self._meter.take(frames, self.rate)
            yield SoundBlock(frames=frames, rate=self.rate, mono_s=due_s)
            due_s += BLOCK_S

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"blocks": self._given, "dropped": self._dropped}
