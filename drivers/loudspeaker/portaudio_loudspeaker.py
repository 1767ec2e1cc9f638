"""Driver `portaudio_loudspeaker`: a sound card's output (docs/drivers/portaudio_loudspeaker.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field

from drivers.driver import Driver
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.sound.fan_out import FanOut
from drivers.sound.level import scaled
from drivers.transport.portaudio import PortAudioPort, Pump
from drivers.transport.portaudio_pump import BEAT, FLUSH, TAKEN
from hallkit.errors import DeviceError, DeviceTimeout, NeedsAttention, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import BLOCK_S, SAMPLE_BYTES, Played, SoundBlock
from hallkit.runtime.clock import Clock

KEY = "portaudio_loudspeaker"
_AHEAD = 8
"""Blocks that are handed over before the first of them is taken."""
_REFERENCE_HELD_S = 2.0
_LONGEST_WAY_S = 2.0
"""No card holds more than this between program and air."""


class PortAudioLoudspeakerConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a loudspeaker."""

    driver: Literal["portaudio_loudspeaker"]
    transport: PortAudioPort = PortAudioPort()
    volume: Annotated[float, Field(ge=0, le=1)] = 1.0
    """At the start; what PulseAudio and the card make of it stands there."""
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 5.0
    block_timeout_s: Annotated[float, Field(gt=0, le=30)] = 2.0
    """A loudspeaker that takes nothing for so long is lost."""
    look_every_s: Annotated[float, Field(gt=0, le=600)] = 3.0
    """How often PulseAudio is asked whether the device is still there, and not muted."""


class PortAudioLoudspeaker(Driver):
    """A loudspeaker. Its stream runs from the first probe on and plays silence in between."""

    def __init__(self, config: PortAudioLoudspeakerConfig, clock: Clock) -> None:
        super().__init__(config.id, port="loudspeaker", key=KEY, clock=clock)
        self._config = config
        self._pump = Pump(config.id, config.transport, "playback", self._take)
        self._volume = config.volume
        self._listeners = FanOut(round(_REFERENCE_HELD_S / BLOCK_S))
        self._opening = asyncio.Lock()
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        self._sent: dict[int, bytes] = {}
        """Handed over and not taken yet."""
        self._number = 0
        self._flushed = 0
        self._stopped = asyncio.Event()
        self._last_mono_s = 0.0
        self._looked_mono_s = 0.0
        self._ends_mono_s = 0.0
        """When the last block that was taken has been heard."""
        self._taken = 0
        self._counts: Counter[str] = Counter()

    @property
    def rate(self) -> int:
        """See `hallkit.ports.loudspeaker.Loudspeaker.rate`."""
        return self._config.transport.rate

    @property
    def volume(self) -> float:
        return self._volume

    def set_volume(self, volume: float) -> None:
        """See `hallkit.ports.loudspeaker.Loudspeaker.set_volume`."""
        if not 0 <= volume <= 1:
            raise ValueError(f"{volume} is not between 0 and 1")
        self._volume = volume

    async def probe(self) -> DeviceReport:
        """Whether it is there and takes sound."""
        async with self._opening:
            return await self._guard(self._look)

    async def play(self, sound: bytes | AsyncIterable[bytes]) -> Played:
        """See `hallkit.ports.loudspeaker.Loudspeaker.play`."""
        async with self._turn:
            try:
                async with self._opening:
                    await self._open()
                return await self._play(sound)
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise
            except BaseException:
                # Cancelled, or whoever makes the sound has failed.
                self._silence()
                raise

    async def stop(self) -> None:
        """See `hallkit.ports.loudspeaker.Loudspeaker.stop`."""
        if not self._pump.is_open:
            return
        number = self._silence()
        try:
            await self._until(lambda: self._flushed >= number)
        except DeviceError as fault:
            # Then it is silenced with its stream.
            await self._drop()
            self._fault(fault)

    async def heard(self) -> AsyncIterator[SoundBlock]:
        """See `hallkit.ports.loudspeaker.Loudspeaker.heard`."""
        listening = self._listeners.listen()
        try:
            async for block in listening:
                yield block
        finally:
            await listening.aclose()  # type: ignore[attr-defined]  # a generator

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; nothing of what was said."""
        names = ("played", "stopped", "blocks", "connections")
        return {
            "wire": str(self._config.transport),
            **{name: self._counts[name] for name in names},
            "volume": self._volume,
            "dropped": self._listeners.dropped,
        }

    async def _look(self) -> DeviceReport:
        await self._open()
        self._pump.check()
        now = self._clock.mono_s()
        stale = now - self._last_mono_s > self._config.block_timeout_s
        endpoint = self._pump.endpoint
        muted = endpoint is not None and endpoint.muted
        if stale or muted or now - self._looked_mono_s > self._config.look_every_s:
            self._looked_mono_s = now
            await self._pump.look(timeout_s=self._config.open_timeout_s)
        if stale:
            raise self._takes_nothing()
        endpoint = self._pump.endpoint
        if endpoint is not None and endpoint.muted:
            raise NeedsAttention(self._config.id, Reason.MUTED, "muted in PulseAudio")
        return self._works()

    async def _open(self) -> None:
        if self._pump.is_open:
            return
        self._sent.clear()
        self._moved.clear()
        await self._pump.open(timeout_s=self._config.open_timeout_s)
        self._looked_mono_s = self._clock.mono_s()
        self._counts["connections"] += 1
        try:
            async with asyncio.timeout(self._config.open_timeout_s):
                await self._moved.wait()
        except TimeoutError as exc:
            raise self._takes_nothing() from exc
        self._pump.check()

    async def _play(self, sound: bytes | AsyncIterable[bytes]) -> Played:
        self._stopped.clear()
        self._taken = 0
        given = 0
        held = bytearray()
        size = self._config.transport.block_bytes
        async for some in _until_stopped(sound, self._stopped):
            held += some
            given += len(some)
            while len(held) >= size and not self._stopped.is_set():
                await self._hand_over(bytes(held[:size]))
                del held[:size]
        if held and not self._stopped.is_set():
            await self._hand_over(bytes(held).ljust(size, b"\0"))
        await self._until(lambda: not self._sent or self._stopped.is_set())
        # What was taken last is still on its way to the air.
        left_s = self._ends_mono_s - self._clock.mono_s()
        if self._taken and left_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._stopped.wait()
        on_its_way_s = max(self._ends_mono_s - self._clock.mono_s(), 0)
        seconds = max(self._taken * BLOCK_S - on_its_way_s, 0)
        complete = not self._stopped.is_set()
        self._counts["played" if complete else "stopped"] += 1
        whole_s = given / SAMPLE_BYTES / self.rate
        return Played(seconds=whole_s if complete else min(seconds, whole_s), complete=complete)

    async def _hand_over(self, frames: bytes) -> None:
        await self._until(lambda: len(self._sent) < _AHEAD or self._stopped.is_set())
        if not self._stopped.is_set():
            self._number += 1
            self._sent[self._number] = scaled(frames, self._volume)
            self._pump.play(self._number, self._sent[self._number])

    def _silence(self) -> int:
        """Throw away what was handed over; the number that will be confirmed."""
        self._number += 1
        self._sent.clear()
        self._stopped.set()
        self._moved.set()
        with suppress(DeviceError):
            self._pump.flush(self._number)
        return self._number

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._pump.check()
            self._moved.clear()
            try:
                async with asyncio.timeout(self._config.block_timeout_s):
                    await self._moved.wait()
            except TimeoutError as exc:
                await self._pump.look(timeout_s=self._config.open_timeout_s)
                raise self._takes_nothing() from exc

    def _take(self, kind: bytes, number: int, mono_s: float, _data: bytes) -> None:
        """A message of the stream, on the loop."""
        self._last_mono_s = self._clock.mono_s()
        if kind == FLUSH:
            self._flushed = number
        elif kind == TAKEN and (frames := self._sent.pop(number, None)) is not None:
            self._taken += 1
            self._counts["blocks"] += 1
            self._ends_mono_s = min(mono_s, self._last_mono_s + _LONGEST_WAY_S) + BLOCK_S
            self._listeners.give(SoundBlock(frames=frames, rate=self.rate, mono_s=mono_s))
        elif kind == BEAT and self._sent:
            return
        self._moved.set()

    def _works(self) -> DeviceReport:
        endpoint = self._pump.endpoint
        model = endpoint.description if endpoint is not None else self._config.transport.device
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None, model=model)

    def _takes_nothing(self) -> DeviceTimeout:
        return DeviceTimeout(self._config.id, Reason.SILENT, "takes no sound")

    async def _drop(self) -> None:
        await self._pump.close()


async def _until_stopped(
    sound: bytes | AsyncIterable[bytes], stopped: asyncio.Event
) -> AsyncIterator[bytes]:
    """The sound as it comes; a source that is slow does not hold a stop."""
    if isinstance(sound, bytes):
        yield sound
        return
    stop = asyncio.ensure_future(stopped.wait())
    iterator = aiter(sound)
    following: asyncio.Future[bytes] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(iterator))
            await asyncio.wait({stop, following}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                return
            try:
                some = following.result()
            except StopAsyncIteration:
                return
            yield some
    finally:
        for task in (stop, following):
            if task is not None:
                task.cancel()
        await asyncio.wait({task for task in (stop, following) if task is not None})


SPEC = DriverSpec(
    key=KEY,
    port="loudspeaker",
    config=PortAudioLoudspeakerConfig,
    open=PortAudioLoudspeaker,
    simulator="drivers.sim.sound",
    family="loudspeakers that PulseAudio or ALSA knows",
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
