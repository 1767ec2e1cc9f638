"""Sound as it passes between a machine's parts: 16-bit samples, one channel, and when they were.

Never logged, never stored: it may be somebody's voice.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from hallkit.model.base import Value

BLOCK_S = 0.02
SAMPLE_BYTES = 2
FULL_SCALE = 32_768
SILENCE_DBFS = -100.0
"""What a level says where every sample is zero; the quietest sample that is not stands at -90."""


class SoundBlock(Value):
    """Some 20 ms of sound."""

    frames: Annotated[bytes, Field(min_length=SAMPLE_BYTES, repr=False)]
    """Signed 16-bit samples of one channel, little-endian."""
    rate: Annotated[int, Field(ge=8_000, le=192_000)]
    """Samples a second."""
    mono_s: float
    """When the first sample was in the air, on `Clock.mono_s`."""

    @field_validator("frames")
    @classmethod
    def _is_whole(cls, frames: bytes) -> bytes:
        if len(frames) % SAMPLE_BYTES:
            raise ValueError("half a sample")
        return frames

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.frames) / SAMPLE_BYTES / self.rate


class Level(Value):
    """How loud it was over the last second, in dB below full scale."""

    peak_dbfs: float
    rms_dbfs: float
    clipped: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of samples at the end of the scale: what was louder is lost."""


class Played(Value):
    """What came of playing."""

    seconds: Annotated[float, Field(ge=0)]
    """How much of it was heard."""
    complete: bool
    """False where it was stopped."""
