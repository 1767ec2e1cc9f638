"""Sound for tests: pure tones, and what tone a sound is."""

from __future__ import annotations

import math
from array import array
from itertools import pairwise

RATE = 16_000


def tone(frequency: float, seconds: float, *, peak: float = 0.25, rate: int = RATE) -> bytes:
    """`peak` is a share of full scale."""
    turn = math.tau * frequency / rate
    samples = (round(32_767 * peak * math.sin(turn * at)) for at in range(round(seconds * rate)))
    return array("h", samples).tobytes()


def frequency_of(frames: bytes, *, rate: int = RATE) -> float:
    """By its ways through zero; 0 where there are none."""
    samples = array("h", frames)
    pairs = enumerate(pairwise(samples))
    rising = [at for at, (before, after) in pairs if before < 0 <= after]
    if len(rising) < 2:
        return 0.0
    return (len(rising) - 1) * rate / (rising[-1] - rising[0])
