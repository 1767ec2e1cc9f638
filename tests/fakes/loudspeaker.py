"""A loudspeaker without a card, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Mapping

from drivers.driver import status_of
from drivers.sound.fan_out import FanOut
from drivers.sound.level import scaled
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import BLOCK_S, SAMPLE_BYTES, Played, SoundBlock
from hallkit.runtime.clock import Clock


class FakeLoudspeaker:
    """Implements `Loudspeaker`; `out` holds what came out of it."""

    def __init__(self, clock: Clock, device_id: str = "loudspeaker", rate: int = 16_000) -> None:
        self._clock = clock
        self.rate = rate
        self.volume = 1.0
        self.fault: Reason | None = None
        self.out = bytearray()
        self._turn = asyncio.Lock()
        self._stopped = asyncio.Event()
        self._listeners = FanOut(100)
        self._played = 0
        self._report = DeviceReport(
            id=device_id,
            port="loudspeaker",
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

    def set_volume(self, volume: float) -> None:
        if not 0 <= volume <= 1:
            raise ValueError(f"{volume} is not between 0 and 1")
        self.volume = volume

    async def play(self, sound: bytes | AsyncIterable[bytes]) -> Played:
        async with self._turn:
            self._stopped.clear()
            frames = sound if isinstance(sound, bytes) else b""
            if not isinstance(sound, bytes):
                gathering = asyncio.ensure_future(_gather(sound))
                stop = asyncio.ensure_future(self._stopped.wait())
                await asyncio.wait({gathering, stop}, return_when=asyncio.FIRST_COMPLETED)
                frames = gathering.result() if gathering.done() else b""
                gathering.cancel()
                stop.cancel()
            return await self._play(frames)

    async def stop(self) -> None:
        self._stopped.set()

    async def heard(self) -> AsyncIterator[SoundBlock]:
        async for block in self._listeners.listen():
            yield block

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"played": self._played}

    async def _play(self, frames: bytes) -> Played:
        size = round(self.rate * BLOCK_S) * SAMPLE_BYTES
        seconds = 0.0
        for start in range(0, len(frames), size):
            if self.fault is not None and self.fault is not Reason.MUTED:
                await self.probe()
                raise DeviceUnavailable(self._report.id, self.fault)
            if self._stopped.is_set():
                break
            some = scaled(frames[start : start + size], self.volume)
            now_s = self._clock.mono_s()
            self._listeners.give(SoundBlock(frames=some, rate=self.rate, mono_s=now_s))
            await asyncio.sleep(BLOCK_S)
            self.out += some
            seconds += len(some) / SAMPLE_BYTES / self.rate
        self._played += not self._stopped.is_set()
        return Played(seconds=round(seconds, 3), complete=not self._stopped.is_set())


async def _gather(sound: AsyncIterable[bytes]) -> bytes:
    return b"".join([some async for some in sound])
