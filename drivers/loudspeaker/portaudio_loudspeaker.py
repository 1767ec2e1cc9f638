"""Driver `portaudio_loudspeaker`: a sound card's output (docs/drivers/portaudio_loudspeaker.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Annotated, Literal

from pydantic import Field

from drivers.registry import DriverSpec
from drivers.sound.card import SoundCard, SoundConfig
from drivers.sound.level import scaled
from drivers.transport.portaudio_pump import BEAT, FLUSH, TAKEN
from drivers.transport.pulse import Endpoint
from hallkit.errors import DeviceError, Reason
from hallkit.model.sound import BLOCK_S, SAMPLE_BYTES, Played, SoundBlock
from hallkit.runtime.clock import Clock

KEY = "portaudio_loudspeaker"
_AHEAD = 8
"""Blocks that are handed over before the first of them is taken."""
_REFERENCE_HELD_S = 2.0
_LONGEST_WAY_S = 2.0
"""No card holds more than this between program and air."""


class PortAudioLoudspeakerConfig(SoundConfig):
    """`[[peripherals]]` entry of a loudspeaker."""

    driver: Literal["portaudio_loudspeaker"]
    volume: Annotated[float, Field(ge=0, le=1)] = 1.0
    """At the start; what PulseAudio and the card make of it stands there."""


class PortAudioLoudspeaker(SoundCard):
    """A loudspeaker. It plays silence in between."""

    def __init__(self, config: PortAudioLoudspeakerConfig, clock: Clock) -> None:
        super().__init__(
            config, clock, port="loudspeaker", direction="playback", held_s=_REFERENCE_HELD_S
        )
        self._config = config
        self._volume = config.volume
        self._turn = asyncio.Lock()
        self._sent: dict[int, bytes] = {}
        """Handed over and not taken yet."""
        self._number = 0
        self._flushed = 0
        self._stopped = asyncio.Event()
        self._ends_mono_s = 0.0
        """When the last block that was taken has been heard."""
        self._began_mono_s = 0.0
        """When the last block that was taken began."""
        self._taken = 0

    @property
    def volume(self) -> float:
        return self._volume

    def set_volume(self, volume: float) -> None:
        """See `hallkit.ports.loudspeaker.Loudspeaker.set_volume`."""
        if not 0 <= volume <= 1:
            raise ValueError(f"{volume} is not between 0 and 1")
        self._volume = volume

    async def play(self, sound: bytes | AsyncIterable[bytes]) -> Played:
        """See `hallkit.ports.loudspeaker.Loudspeaker.play`."""
        async with self._turn:
            self._stopped.clear()
            await self._opened()
            try:
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
            # Whoever plays may just be opening it.
            self._stopped.set()
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
        async with aclosing(self._listeners.listen()) as listening:
            async for block in listening:
                yield block

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start; nothing of what was said."""
        names = ("played", "stopped", "blocks", "connections")
        return {
            "wire": str(self._config.transport),
            **{name: self._counts[name] for name in names},
            "volume": self._volume,
            "dropped": self._listeners.dropped,
        }

    def _begin(self) -> None:
        self._sent.clear()

    def _is_doubtful(self) -> bool:
        return self._pump.endpoint is not None and self._pump.endpoint.muted

    def _examine(self, endpoint: Endpoint | None) -> None:
        if endpoint is not None and endpoint.muted:
            raise self._attention(Reason.MUTED, "muted in PulseAudio")

    async def _play(self, sound: bytes | AsyncIterable[bytes]) -> Played:
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
                raise self._stands_still() from exc

    def _take(self, kind: bytes, number: int, mono_s: float, data: bytes) -> None:  # noqa: ARG002
        self._last_mono_s = self._clock.mono_s()
        if kind == FLUSH:
            self._flushed = number
        elif kind == TAKEN and (frames := self._sent.pop(number, None)) is not None:
            self._taken += 1
            self._counts["blocks"] += 1
            # On a busy computer the card's estimates jump back; sound never does.
            mono_s = min(mono_s, self._last_mono_s + _LONGEST_WAY_S)
            mono_s = self._began_mono_s = max(mono_s, self._began_mono_s)
            self._ends_mono_s = mono_s + BLOCK_S
            self._listeners.give(SoundBlock(frames=frames, rate=self.rate, mono_s=mono_s))
        elif kind == BEAT and self._sent:
            return
        self._moved.set()


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
