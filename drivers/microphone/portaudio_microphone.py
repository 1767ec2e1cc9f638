"""Driver `portaudio_microphone`: a sound card's input (docs/drivers/portaudio_microphone.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from drivers.driver import Driver
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.sound.fan_out import FanOut
from drivers.sound.level import Meter
from drivers.transport.portaudio import PortAudioPort, Pump
from drivers.transport.portaudio_pump import BLOCK, FAULT
from hallkit.errors import DeviceError, DeviceTimeout, NeedsAttention, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import BLOCK_S, Level, SoundBlock
from hallkit.runtime.clock import Clock

KEY = "portaudio_microphone"
_MUTED_AFTER_S = 0.2
"""So long nothing at all, and PulseAudio is asked whether somebody muted it."""


class PortAudioMicrophoneConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a microphone."""

    driver: Literal["portaudio_microphone"]
    transport: PortAudioPort = PortAudioPort()
    held_s: Annotated[float, Field(ge=0.1, le=30)] = 2.0
    """How much waits for a listener who is slow; older sound is dropped."""
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    block_timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """A microphone from which nothing comes for so long is lost."""
    look_every_s: Annotated[float, Field(gt=0, le=600)] = 3.0
    """How often PulseAudio is asked whether the device is still the one that is heard."""
    dead_after_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """So long without the least noise, and it is muted at its own switch, or dead."""
    overdriven_after_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """So long clipped, and nobody's words can be understood."""


class PortAudioMicrophone(Driver):
    """A microphone. Its stream runs from the first probe on, so that its silence is noticed."""

    def __init__(self, config: PortAudioMicrophoneConfig, clock: Clock) -> None:
        super().__init__(config.id, port="microphone", key=KEY, clock=clock)
        self._config = config
        self._pump = Pump(config.id, config.transport, "capture", self._take)
        self._meter = Meter()
        self._listeners = FanOut(max(1, round(config.held_s / BLOCK_S)))
        self._opening = asyncio.Lock()
        self._came = asyncio.Event()
        self._last_mono_s = 0.0
        self._looked_mono_s = 0.0
        self._counts: Counter[str] = Counter()

    @property
    def rate(self) -> int:
        """See `hallkit.ports.microphone.Microphone.rate`."""
        return self._config.transport.rate

    @property
    def level(self) -> Level | None:
        """See `hallkit.ports.microphone.Microphone.level`."""
        return self._meter.level

    async def probe(self) -> DeviceReport:
        """Whether it is there, and whether what comes from it can be somebody's voice."""
        async with self._opening:
            return await self._guard(self._look)

    async def blocks(self) -> AsyncIterator[SoundBlock]:
        """See `hallkit.ports.microphone.Microphone.blocks`."""
        async with self._opening:
            try:
                await self._open()
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise
        listening = self._listeners.listen()
        try:
            while True:
                try:
                    async with asyncio.timeout(self._config.block_timeout_s):
                        block = await anext(listening)
                except TimeoutError as exc:
                    raise self._nothing_comes() from exc
                yield block
        finally:
            await listening.aclose()  # type: ignore[attr-defined]  # a generator

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start and the level; nothing of what was said."""
        facts: dict[str, str | int | float] = {
            "wire": str(self._config.transport),
            **{name: self._counts[name] for name in ("blocks", "overflows", "connections")},
            "dropped": self._listeners.dropped,
            "listeners": len(self._listeners),
        }
        if (level := self.level) is not None:
            facts |= {"peak_dbfs": level.peak_dbfs, "rms_dbfs": level.rms_dbfs}
        return facts

    async def _look(self) -> DeviceReport:
        await self._open()
        self._pump.check()
        now = self._clock.mono_s()
        stale = now - self._last_mono_s > self._config.block_timeout_s
        nothing = self._meter.nothing_s > _MUTED_AFTER_S
        if stale or nothing or now - self._looked_mono_s > self._config.look_every_s:
            # A stream whose device went away stands still or is moved: PulseAudio knows.
            self._looked_mono_s = now
            await self._pump.look(timeout_s=self._config.open_timeout_s)
        if stale:
            raise self._nothing_comes()
        endpoint = self._pump.endpoint
        if nothing and endpoint is not None and endpoint.muted:
            raise self._attention(Reason.MUTED, "muted in PulseAudio")
        if self._meter.nothing_s > self._config.dead_after_s:
            raise self._attention(Reason.MUTED, "every sample is the same")
        if self._meter.too_much_s > self._config.overdriven_after_s:
            raise self._attention(Reason.OVERDRIVEN, "")
        return self._works()

    async def _open(self) -> None:
        if self._pump.is_open:
            return
        self._came.clear()
        self._meter = Meter()
        await self._pump.open(timeout_s=self._config.open_timeout_s)
        self._looked_mono_s = self._clock.mono_s()
        self._counts["connections"] += 1
        try:
            async with asyncio.timeout(self._config.open_timeout_s):
                await self._came.wait()
        except TimeoutError as exc:
            raise self._nothing_comes() from exc
        self._pump.check()

    def _works(self) -> DeviceReport:
        endpoint = self._pump.endpoint
        model = endpoint.description if endpoint is not None else self._config.transport.device
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None, model=model)

    def _take(self, kind: bytes, overflow: int, mono_s: float, frames: bytes) -> None:
        """A message of the stream, on the loop."""
        if kind == FAULT:
            self._came.set()
            try:
                self._pump.check()
            except DeviceError as fault:
                self._listeners.fail(fault)
        elif kind == BLOCK and len(frames) == self._config.transport.block_bytes:
            rate = self._config.transport.rate
            self._counts["blocks"] += 1
            self._counts["overflows"] += overflow
            self._last_mono_s = self._clock.mono_s()
            self._meter.take(frames, rate)
            self._listeners.give(SoundBlock(frames=frames, rate=rate, mono_s=mono_s))
            self._came.set()

    def _nothing_comes(self) -> DeviceTimeout:
        return DeviceTimeout(self._config.id, Reason.SILENT, "no sound comes")

    def _attention(self, reason: Reason, detail: str) -> NeedsAttention:
        return NeedsAttention(self._config.id, reason, detail)

    async def _drop(self) -> None:
        await self._pump.close()


SPEC = DriverSpec(
    key=KEY,
    port="microphone",
    config=PortAudioMicrophoneConfig,
    open=PortAudioMicrophone,
    simulator="drivers.sim.sound",
    family="microphones that PulseAudio or ALSA knows",
    transports=("portaudio",),
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: run against a real PulseAudio with null sinks; no card was at hand",
        "guidance": "done",
    },
)
