"""Driver `portaudio_microphone`: a sound card's input (docs/drivers/portaudio_microphone.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Annotated, Literal

from pydantic import Field

from drivers.registry import DriverSpec
from drivers.sound.card import SoundCard, SoundConfig
from drivers.sound.level import Meter
from drivers.transport.portaudio_pump import BLOCK, FAULT
from drivers.transport.pulse import Endpoint
from hallkit.errors import DeviceError, Reason
from hallkit.model.sound import Level, SoundBlock
from hallkit.runtime.clock import Clock

KEY = "portaudio_microphone"
_MUTED_AFTER_S = 0.2
"""So long nothing at all, and PulseAudio is asked whether somebody muted it."""


class PortAudioMicrophoneConfig(SoundConfig):
    """`[[peripherals]]` entry of a microphone."""

    driver: Literal["portaudio_microphone"]
    held_s: Annotated[float, Field(ge=0.1, le=30)] = 2.0
    """How much waits for a listener who is slow; older sound is dropped."""
    dead_after_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    """So long without the least noise, and it is muted at its own switch, or dead."""
    overdriven_after_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """So long clipped, and nobody's words can be understood."""


class PortAudioMicrophone(SoundCard):
    """A microphone. It is also heard while nobody listens, so that its silence is noticed."""

    def __init__(self, config: PortAudioMicrophoneConfig, clock: Clock) -> None:
        super().__init__(
            config, clock, port="microphone", direction="capture", held_s=config.held_s
        )
        self._config = config
        self._meter = Meter()

    @property
    def level(self) -> Level | None:
        """See `hallkit.ports.microphone.Microphone.level`."""
        return self._meter.level

    async def blocks(self) -> AsyncIterator[SoundBlock]:
        """See `hallkit.ports.microphone.Microphone.blocks`."""
        await self._opened()
        async with aclosing(self._listeners.listen()) as listening:
            while True:
                try:
                    async with asyncio.timeout(self._config.block_timeout_s):
                        block = await anext(listening)
                except TimeoutError as exc:
                    raise self._stands_still() from exc
                yield block

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

    def _begin(self) -> None:
        self._meter = Meter()

    def _is_doubtful(self) -> bool:
        return self._meter.nothing_s > _MUTED_AFTER_S

    def _examine(self, endpoint: Endpoint | None) -> None:
        if self._is_doubtful() and endpoint is not None and endpoint.muted:
            raise self._attention(Reason.MUTED, "muted in PulseAudio")
        if self._meter.nothing_s > self._config.dead_after_s:
            raise self._attention(Reason.MUTED, "every sample is the same")
        if self._meter.too_much_s > self._config.overdriven_after_s:
            raise self._attention(Reason.OVERDRIVEN)

    def _take(self, kind: bytes, number: int, mono_s: float, data: bytes) -> None:
        if kind == FAULT:
            self._moved.set()
            try:
                self._pump.check()
            except DeviceError as fault:
                self._listeners.fail(fault)
        elif kind == BLOCK and len(data) == self._config.transport.block_bytes:
            self._counts["blocks"] += 1
            # Of a block the number says whether some before it were lost.
            self._counts["overflows"] += number
            self._last_mono_s = self._clock.mono_s()
            self._meter.take(data, self.rate)
            self._listeners.give(SoundBlock(frames=data, rate=self.rate, mono_s=mono_s))
            self._moved.set()


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
