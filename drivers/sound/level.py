"""How loud it is, whether it is nothing at all, and whether it is too much."""

from __future__ import annotations

import math
import sys
from array import array
from collections import deque
from dataclasses import dataclass
from operator import mul

from hallkit.model.sound import FULL_SCALE, SILENCE_DBFS, Level

WINDOW_S = 1.0
_LOUDEST = 32_700
"""From here on a sample counts as clipped: some cards stop short of the end of the scale."""


def samples_of(frames: bytes) -> array[int]:
    """The samples of little-endian frames."""
    samples = array("h", frames)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def frames_of(samples: array[int]) -> bytes:
    """The reverse of `samples_of`."""
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    return samples.tobytes()


def scaled(frames: bytes, gain: float) -> bytes:
    """The same, quieter: `gain` is at most 1."""
    if gain == 1:
        return frames
    return frames_of(array("h", (int(sample * gain) for sample in samples_of(frames))))


def dbfs(amplitude: float) -> float:
    """An amplitude in dB below full scale; `SILENCE_DBFS` for none."""
    if amplitude <= 0:
        return SILENCE_DBFS
    return round(max(20 * math.log10(amplitude / FULL_SCALE), SILENCE_DBFS), 1)


@dataclass(frozen=True, slots=True)
class _Block:
    seconds: float
    samples: int
    peak: int
    power: int
    clipped: int


class Meter:
    """The level of the last second, and since when there is nothing or too much."""

    def __init__(self) -> None:
        self._blocks: deque[_Block] = deque()
        self._held_s = 0.0
        self.nothing_s = 0.0
        """For so long every sample has been the same: no air moves a membrane so."""
        self.too_much_s = 0.0
        """For so long hardly a block has been without clipped samples."""
        self._last = 0

    def take(self, frames: bytes, rate: int) -> None:
        """The next block."""
        samples = samples_of(frames)
        highest, lowest = max(samples), min(samples)
        peak = max(highest, -lowest)
        clipped = 0
        if peak >= _LOUDEST:
            clipped = sum(1 for sample in samples if not -_LOUDEST < sample < _LOUDEST)
        seconds = len(samples) / rate
        power = sum(map(mul, samples, samples))
        self._blocks.append(_Block(seconds, len(samples), peak, power, clipped))
        self._held_s += seconds
        while self._held_s - self._blocks[0].seconds >= WINDOW_S:
            self._held_s -= self._blocks.popleft().seconds
        flat = highest == lowest == self._last
        self._last = samples[-1]
        self.nothing_s = self.nothing_s + seconds if flat else 0.0
        over = sum(block.seconds for block in self._blocks if block.clipped)
        much = over > self._held_s / 2
        self.too_much_s = self.too_much_s + seconds if much else 0.0

    @property
    def level(self) -> Level | None:
        """None before the first block."""
        if not self._blocks:
            return None
        count = sum(block.samples for block in self._blocks)
        return Level(
            peak_dbfs=dbfs(max(block.peak for block in self._blocks)),
            rms_dbfs=dbfs(math.sqrt(sum(block.power for block in self._blocks) / count)),
            clipped=sum(block.clipped for block in self._blocks) / count,
        )
