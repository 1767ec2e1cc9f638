"""What a microphone and a loudspeaker share: one stream of a sound card, and how it is.

The card can't be asked: whether it lives its stream tells, by going on, and PulseAudio, by still
knowing it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from typing import Annotated

from pydantic import Field

from drivers.driver import Driver
from drivers.registry import PeripheralConfig
from drivers.sound.fan_out import FanOut
from drivers.transport.portaudio import Direction, PortAudioPort, Pump
from drivers.transport.pulse import Endpoint
from hallkit.errors import DeviceError, DeviceTimeout, NeedsAttention, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import BLOCK_S
from hallkit.runtime.clock import Clock


class SoundConfig(PeripheralConfig):
    """What the entries of both have."""

    transport: PortAudioPort = PortAudioPort()
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    block_timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """A stream that stands still for so long is lost."""
    look_every_s: Annotated[float, Field(gt=0, le=600)] = 3.0
    """How often PulseAudio is asked whether the device is still there, and still this one."""


class SoundCard(Driver):
    """One stream, which runs from the first probe on."""

    def __init__(
        self,
        config: SoundConfig,
        clock: Clock,
        *,
        port: str,
        direction: Direction,
        held_s: float,
    ) -> None:
        """`held_s`: how much waits for one who listens and is slow."""
        super().__init__(config.id, port=port, key=config.driver, clock=clock)
        self._card = config
        self._pump = Pump(config.id, config.transport, direction, self._take)
        self._listeners = FanOut(max(1, round(held_s / BLOCK_S)))
        self._opening = asyncio.Lock()
        self._moved = asyncio.Event()
        """Something came from the stream."""
        self._last_mono_s = 0.0
        self._looked_mono_s = 0.0
        self._counts: Counter[str] = Counter()

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self._card.transport.rate

    async def probe(self) -> DeviceReport:
        """Whether it is there, its stream goes on, and nobody muted it."""
        async with self._opening:
            return await self._guard(self._look)

    @abstractmethod
    def _take(self, kind: bytes, number: int, mono_s: float, data: bytes) -> None:
        """A message of the stream, on the loop."""

    @abstractmethod
    def _begin(self) -> None:
        """Nothing of an earlier stream holds for the next one."""

    @abstractmethod
    def _is_doubtful(self) -> bool:
        """Whether PulseAudio is to be asked now, and not only in its turn."""

    @abstractmethod
    def _examine(self, endpoint: Endpoint | None) -> None:
        """`NeedsAttention` where somebody must do something about it."""

    async def _opened(self) -> None:
        """Open it for whoever uses it; a fault stands in the report."""
        async with self._opening:
            try:
                await self._open()
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise

    async def _open(self) -> None:
        if self._pump.is_open:
            return
        self._begin()
        self._moved.clear()
        await self._pump.open(timeout_s=self._card.open_timeout_s)
        self._looked_mono_s = self._clock.mono_s()
        self._counts["connections"] += 1
        try:
            async with asyncio.timeout(self._card.open_timeout_s):
                await self._moved.wait()
        except TimeoutError as exc:
            raise self._stands_still() from exc
        self._pump.check()

    async def _look(self) -> DeviceReport:
        await self._open()
        self._pump.check()
        now = self._clock.mono_s()
        stale = now - self._last_mono_s > self._card.block_timeout_s
        in_turn = now - self._looked_mono_s > self._card.look_every_s
        if stale or in_turn or self._is_doubtful():
            # A stream whose device went away stands still or is moved: PulseAudio knows.
            self._looked_mono_s = now
            await self._pump.look(timeout_s=self._card.open_timeout_s)
        if stale:
            raise self._stands_still()
        endpoint = self._pump.endpoint
        self._examine(endpoint)
        model = endpoint.description if endpoint is not None else self._card.transport.device
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None, model=model)

    def _stands_still(self) -> DeviceTimeout:
        return DeviceTimeout(self._card.id, Reason.SILENT, "the stream stands still")

    def _attention(self, reason: Reason, detail: str = "") -> NeedsAttention:
        return NeedsAttention(self._card.id, reason, detail)

    async def _drop(self) -> None:
        await self._pump.close()
