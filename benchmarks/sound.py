"""Sound: what is left of an echo, beside PulseAudio's own canceller, and what a stream costs.

The air is the twin's (drivers/sim/sound.py): an echo with four reflections, 6 dB below what the
loudspeaker plays. Both cancellers hear the same echo at the same time.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from drivers.microphone.portaudio_microphone import PortAudioMicrophone
from drivers.registry import discover, parse_peripherals
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.sound.echo import EchoCanceller, SpeexCanceller
from hallkit.model.sound import SoundBlock
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.log import configure_logging
from launcher.figures import Figure, children, cpu_ticks, percentile

RATE, BLOCK_FRAMES, BLOCK_S = 16_000, 320, 0.02
LEAD = "3"
"""Blocks that the twin's air holds back: a canceller is not to look for more than a room's echo."""
PLAYED_S, LEARNT_S = 24, 10
"""Seconds that are played, and after how many the rest of the echo is measured."""
STREAM_S = 6.0
LIMIT_LEFT_DB = -20.0
LIMIT_BLOCK_MS = 10.0
"""Half of a block's own length."""
LIMIT_CPU_PERCENT = 10.0
LIMIT_AGE_MS = 200.0
LIMIT_EXTRA_MS = 300.0


async def echo(folder: Path) -> list[Figure]:
    """Through loudspeaker, air and microphone."""
    configure_logging("critical", process="bench")
    voice = _voice(PLAYED_S)
    ours, theirs = await _cancelled(folder, voice)
    left, left_pulse = (statistics.median(one[LEARNT_S:]) for one in (ours, theirs))
    peer = "PulseAudio's module-echo-cancel (webrtc), the same echo in the same run"
    return [Figure("sound.echo.left", left, "dB", peer, left_pulse, limit=LIMIT_LEFT_DB)]


async def made(_folder: Path) -> list[Figure]:
    """Made signals, without a sound server: the canceller alone."""
    far = _voice(PLAYED_S)
    way = np.zeros(RATE // 5)
    for at_s, gain in ((0.03, 0.5), (0.0371, 0.22), (0.0483, -0.15), (0.0767, 0.06)):
        way[round(at_s * RATE)] = gain
    near = np.convolve(far, way)[: len(far)]
    reference, heard = _pcm(far), _pcm(near)
    canceller, bare = EchoCanceller(RATE, BLOCK_FRAMES), SpeexCanceller(RATE, BLOCK_FRAMES)
    size = 2 * BLOCK_FRAMES
    left, took, took_bare = bytearray(), [], []
    for at in range(0, len(heard) - size + 1, size):
        one, other = heard[at : at + size], reference[at : at + size]
        mono_s = 100 + at / 2 / RATE
        canceller.heard(SoundBlock(frames=other, rate=RATE, mono_s=mono_s))
        block = SoundBlock(frames=one, rate=RATE, mono_s=mono_s)
        began = time.thread_time()
        left += canceller.clean(block).frames
        took.append(time.thread_time() - began)
        began = time.thread_time()
        bare.clean(one, other)
        took_bare.append(time.thread_time() - began)
    behind = slice(2 * RATE * LEARNT_S, None)
    rest_db = _db(bytes(left)[behind]) - _db(heard[behind])
    peer = "libspeexdsp alone, the same blocks: neither time nor delay is looked after"
    share, share_bare = (100 * statistics.fmean(one) / BLOCK_S for one in (took, took_bare))
    p95, p95_bare = (1000 * percentile(one, 95) for one in (took, took_bare))
    return [
        Figure("sound.made.left", rest_db, "dB", limit=LIMIT_LEFT_DB),
        Figure("sound.made.cpu", share, "%", peer, share_bare, limit=LIMIT_CPU_PERCENT),
        Figure("sound.made.block.p95", p95, "ms", peer, p95_bare, limit=LIMIT_BLOCK_MS),
    ]


async def stream(folder: Path) -> list[Figure]:
    """A microphone that is heard and a loudspeaker that plays: their three processes together."""
    configure_logging("critical", process="bench")
    async with (
        _twin(folder) as control,
        await _driver("portaudio_microphone", control, "hall_mic") as microphone,
        await _driver("portaudio_loudspeaker", control, "hall_spk") as speaker,
    ):
        others = set(children(os.getpid()))
        await microphone.probe()
        await speaker.probe()
        ours = [os.getpid(), *(set(children(os.getpid())) - others)]
        ages: list[float] = []
        listening = asyncio.create_task(_ages(microphone, ages))
        before, began = sum(map(cpu_ticks, ours)), time.monotonic()
        await speaker.play(_pcm(_voice(STREAM_S)))
        lasted_s = time.monotonic() - began
        spent_s = (sum(map(cpu_ticks, ours)) - before) / os.sysconf("SC_CLK_TCK")
        listening.cancel()
        await asyncio.wait({listening})
    return [
        Figure("sound.stream.cpu", 100 * spent_s / lasted_s, "%", limit=LIMIT_CPU_PERCENT),
        Figure("sound.block.age.p95", 1000 * percentile(ages, 95), "ms", limit=LIMIT_AGE_MS),
        Figure("sound.play.extra", 1000 * (lasted_s - STREAM_S), "ms", limit=LIMIT_EXTRA_MS),
    ]


MEASURES = {"sound.echo": echo, "sound.made": made, "sound.stream": stream}


async def _cancelled(folder: Path, voice: Any) -> tuple[list[float], list[float]]:
    """What each canceller leaves of the echo, in dB, second by second."""
    async with _twin(folder) as control:
        await order(control, "canceller")
        async with (
            await _driver("portaudio_microphone", control, "hall_mic") as raw,
            await _driver("portaudio_microphone", control, "hall_clean") as clean,
            await _driver("portaudio_loudspeaker", control, "hall_spoken") as speaker,
        ):
            for one in (raw, clean, speaker):
                await one.probe()
            await order(control, "echo", delay_ms=30, gain_db=-6)
            canceller = EchoCanceller(RATE, BLOCK_FRAMES)
            heard: dict[str, bytearray] = {"raw": bytearray(), "ours": bytearray()}
            theirs = bytearray()

            async def reference() -> None:
                async for block in speaker.heard():
                    canceller.heard(block)

            async def listen() -> None:
                async for block in raw.blocks():
                    heard["raw"] += block.frames
                    heard["ours"] += canceller.clean(block).frames

            async def listen_to_theirs() -> None:
                async for block in clean.blocks():
                    theirs.extend(block.frames)

            tasks = [asyncio.create_task(one()) for one in (reference, listen, listen_to_theirs)]
            await asyncio.sleep(0)
            await speaker.play(_pcm(voice))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
    return _left(heard["raw"], heard["ours"]), _left(heard["raw"], theirs)


def _left(before: bytearray, after: bytearray) -> list[float]:
    second = 2 * RATE
    whole = range(0, min(len(before), len(after), PLAYED_S * second) - second + 1, second)
    return [
        _db(bytes(after[at : at + second])) - _db(bytes(before[at : at + second])) for at in whole
    ]


async def _ages(microphone: PortAudioMicrophone, ages: list[float]) -> None:
    """How old the first sample of each block is when it arrives here."""
    async for block in microphone.blocks():
        ages.append(time.monotonic() - block.mono_s)  # noqa: PERF401  # until it is cancelled


@asynccontextmanager
async def _twin(folder: Path) -> AsyncIterator[Path]:
    control = folder / "control"
    async with simulator("drivers.sim.sound", "--control", control, "--lead", LEAD):
        yield control


async def _driver(key: str, control: Path, device: str) -> Any:
    server = (await order(control, "state"))["state"]["server"]
    transport = {"kind": "portaudio", "device": device, "server": server}
    entry: dict[str, Any] = {"id": "bench", "driver": key, "transport": transport}
    ((spec, config),) = parse_peripherals([entry], discover(), file="bench")
    return spec.open(config, SystemClock())


def _voice(seconds: float) -> Any:
    """Like a voice: noise with three formants, in syllables; the same in every run."""
    random = np.random.default_rng(20261130)
    count = round(seconds * RATE)
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    formants = ((500, 250, 1.0), (1500, 400, 0.5), (2500, 500, 0.25))
    shape = sum(gain * np.exp(-(((hertz - at) / width) ** 2)) for at, width, gain in formants)
    voice = np.fft.irfft(np.fft.rfft(random.standard_normal(count)) * (shape + 0.003), count)
    voice *= np.clip(np.sin(2 * np.pi * 2.1 * np.arange(count) / RATE) + 0.3, 0, None)
    return voice / np.abs(voice).max() * 0.5


def _pcm(sound: Any) -> bytes:
    return bytes((np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes())


def _db(frames: bytes) -> float:
    samples = np.frombuffer(frames, "<i2").astype(float)
    return 10 * math.log10(max(float(np.mean(samples**2)), 1e-3))
