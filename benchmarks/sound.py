"""Sound: what is left of an echo, beside PulseAudio's own canceller, and what a stream costs.

The air is the twin's (drivers/sim/sound.py): an echo with four reflections, 6 dB below what the
loudspeaker plays. Both cancellers hear the same echo at the same time.
"""

from __future__ import annotations

import asyncio
import math
import os
import resource
import statistics
import time
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from drivers.loudspeaker.portaudio_loudspeaker import PortAudioLoudspeaker
from drivers.microphone.portaudio_microphone import PortAudioMicrophone
from drivers.registry import discover, parse_peripherals
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.sound.echo import SpeexCanceller
from drivers.sound.echo import EchoCanceller
from hallkit.model.sound import SoundBlock
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.log import configure_logging
from launcher.figures import Figure, percentile

RATE, BLOCK_FRAMES, BLOCK_S = 16_000, 320, 0.02
PLAYED_S, LEARNT_S = 24, 10
"""Seconds that are played, and after how many the rest of the echo is measured."""
STREAM_S = 6.0
LIMIT_LEFT_DB = -20.0
LIMIT_BLOCK_MS = 10.0
"""Half of a block's own length."""
LIMIT_CPU_PERCENT = 10.0


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
        began = time.perf_counter()
        left += canceller.clean(block).frames
        took.append(time.perf_counter() - began)
        began = time.perf_counter()
        bare.clean(one, other)
        took_bare.append(time.perf_counter() - began)
    behind = slice(2 * RATE * LEARNT_S, None)
    rest_db = _db(bytes(left)[behind]) - _db(heard[behind])
    peer = "libspeexdsp alone, the same blocks: neither time nor delay is looked after"
    share, share_bare = (100 * statistics.fmean(one) / BLOCK_S for one in (took, took_bare))
    p95, p95_bare = (1000 * percentile(one, 95) for one in (took, took_bare))
    return [
        Figure("sound.echo.made.left", rest_db, "dB", limit=LIMIT_LEFT_DB),
        Figure("sound.echo.cpu", share, "%", peer, share_bare, limit=LIMIT_CPU_PERCENT),
        Figure("sound.echo.block.p95", p95, "ms", peer, p95_bare, limit=LIMIT_BLOCK_MS),
    ]


async def stream(folder: Path) -> list[Figure]:
    """Processor time of a microphone that is heard and a loudspeaker that plays, both processes."""
    configure_logging("critical", process="bench")
    async with _twin(folder) as control:
        async with await _microphone(control) as microphone, await _speaker(control) as speaker:
            await microphone.probe()
            await speaker.probe()
            ages: list[float] = []
            listening = asyncio.create_task(_ages(microphone, ages))
            before, began = _cpu_s(), time.monotonic()
            await speaker.play(_pcm(_voice(STREAM_S)))
            spent_s, lasted_s = _cpu_s() - before, time.monotonic() - began
            listening.cancel()
            await asyncio.wait({listening})
        # The streams' processes are counted when they have ended.
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
    pumps_s = children.ru_utime + children.ru_stime
    return [
        Figure(
            "sound.stream.cpu", 100 * spent_s / lasted_s, "%", limit=LIMIT_CPU_PERCENT
        ),
        Figure("sound.stream.children.cpu", pumps_s, "s"),
        Figure("sound.block.age.p95", 1000 * percentile(ages, 95), "ms", limit=200.0),
        Figure("sound.play.overhead", 1000 * (lasted_s - STREAM_S), "ms", limit=500.0),
    ]


MEASURES = {"sound.echo": echo, "sound.echo.made": made, "sound.stream": stream}
