"""What a machine says, taken out of what it hears: libspeexdsp's echo canceller, by ctypes.

The canceller learns the way from loudspeaker to microphone as a filter of some 200 ms. It needs the
reference earlier than its echo, by less than that: so the blocks of both are laid on one line of
time, and what the sound cards do not tell of their delays is measured by cross-correlation.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

from hallkit.errors import NotSupported, Reason
from hallkit.model.sound import SAMPLE_BYTES, SoundBlock

LIBRARY = "libspeexdsp.so.1"
TAIL_S = 0.2
_ECHO_SET_SAMPLING_RATE = 24
_PREPROCESS_SET_DENOISE = 0
_PREPROCESS_SET_ECHO_SUPPRESS = 20
_PREPROCESS_SET_ECHO_SUPPRESS_ACTIVE = 22
_PREPROCESS_SET_ECHO_STATE = 24
_SUPPRESS_DB, _SUPPRESS_ACTIVE_DB = -45, -15
"""How much of the rest of an echo is taken out while nobody speaks, and while somebody does."""

_JITTER_S = 0.06
"""Times of blocks that follow each other differ by up to this from their lengths."""
_KEPT_S = 4.0
_MEASURED_S = 2.0
_EARLIEST_S, _LATEST_S = -0.15, 0.6
"""Where an echo may stand: before its time too, for the cards' times are their own claims."""
_MARGIN_S = 0.01
"""The reference is laid so much before its echo."""
_SAME_S = 0.002
"""A delay is believed that is measured twice."""
_AUDIBLE = 200
"""Samples of a reference that is worth being measured."""
_CLEAR_PEAK = 30.0
"""A correlation is believed where its peak stands so far above the middle of all others."""


class SpeexCanceller:
    """The bare canceller: one block of the microphone and the reference of the same time."""

    def __init__(
        self, rate: int, block_frames: int, *, tail_s: float = TAIL_S, suppress: bool = True
    ) -> None:
        """`suppress` also takes out what the filter leaves, with some of a voice beside it.

        Raises `NotSupported` where the library is missing.
        """
        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as exc:
            raise NotSupported("echo", Reason.UNSUPPORTED, "install libspeexdsp1") from exc
        for name in ("speex_echo_state_init", "speex_preprocess_state_init"):
            getattr(library, name).restype = ctypes.c_void_p
        self._library = library
        self._frames = block_frames
        self.late_frames = block_frames if suppress else 0
        """By so many samples what comes out is later than what goes in."""
        self._out = ctypes.create_string_buffer(block_frames * SAMPLE_BYTES)
        self._echo = ctypes.c_void_p(
            library.speex_echo_state_init(block_frames, int(rate * tail_s))
        )
        library.speex_echo_ctl(self._echo, _ECHO_SET_SAMPLING_RATE, _number(rate))
        weakref.finalize(self, library.speex_echo_state_destroy, self._echo)
        self._after: ctypes.c_void_p | None = None
        if suppress:
            self._after = ctypes.c_void_p(library.speex_preprocess_state_init(block_frames, rate))
            weakref.finalize(self, library.speex_preprocess_state_destroy, self._after)
            for request, value in (
                (_PREPROCESS_SET_DENOISE, 0),
                (_PREPROCESS_SET_ECHO_SUPPRESS, _SUPPRESS_DB),
                (_PREPROCESS_SET_ECHO_SUPPRESS_ACTIVE, _SUPPRESS_ACTIVE_DB),
            ):
                library.speex_preprocess_ctl(self._after, request, _number(value))
            library.speex_preprocess_ctl(self._after, _PREPROCESS_SET_ECHO_STATE, self._echo)

    def clean(self, near: bytes, reference: bytes) -> bytes:
        """The block without the echo. `ValueError` for blocks of another size."""
        size = self._frames * SAMPLE_BYTES
        if (len(near), len(reference)) != (size, size):
            raise ValueError(f"blocks of {size} bytes")
        self._library.speex_echo_cancellation(self._echo, near, reference, self._out)
        if self._after is not None:
            self._library.speex_preprocess_run(self._after, self._out)
        return self._out.raw

    def reset(self) -> None:
        """Forget the way: it has become another."""
        self._library.speex_echo_state_reset(self._echo)


class EchoCanceller:
    """A microphone's blocks without what `heard` says the loudspeaker played.

        async for block in speaker.heard(): canceller.heard(block)
        async for block in microphone.blocks(): use(canceller.clean(block))

    Both devices must have the same rate.
    """

    def __init__(self, rate: int, block_frames: int, *, suppress: bool = True) -> None:
        self._rate = rate
        self._canceller = SpeexCanceller(rate, block_frames, suppress=suppress)
        self._reference = _Timeline(rate)
        self._near = _Timeline(rate)
        self._shift = 0
        self._doubted: int | None = None
        self._next_look = 0
        self.delay_s: float | None = None
        """How much later than its reference the echo comes; None before it was measured."""

    def heard(self, block: SoundBlock) -> None:
        """A block that the loudspeaker plays."""
        self._reference.add(block)

    def clean(self, block: SoundBlock) -> SoundBlock:
        """A block without its echo, at its time: with suppression the one before this one."""
        at = self._near.add(block)
        count = len(block.frames) // SAMPLE_BYTES
        if at >= self._next_look:
            self._next_look = at + self._rate
            self._measure(at + count)
        reference = self._reference.cut(at - self._shift, count)
        cleaned = self._canceller.clean(block.frames, reference)
        mono_s = block.mono_s - self._canceller.late_frames / self._rate
        return block.model_copy(update={"frames": cleaned, "mono_s": mono_s})

    def _measure(self, end: int) -> None:
        """See whether the echo still stands where it is looked for."""
        count = round(_MEASURED_S * self._rate)
        near = self._near.cut(end - count, count)
        reference = self._reference.cut(end - count, count)
        lag = lag_of(near, reference, self._rate)
        if lag is None:
            return
        doubted, self._doubted = self._doubted, lag
        if doubted is None or abs(lag - doubted) > _SAME_S * self._rate:
            return
        self.delay_s = lag / self._rate
        inside_s = (lag - self._shift) / self._rate
        if not _MARGIN_S / 2 <= inside_s <= TAIL_S / 2:
            self._shift = lag - round(_MARGIN_S * self._rate)
            self._canceller.reset()


def lag_of(near: bytes, reference: bytes, rate: int) -> int | None:
    """By how many samples the echo in `near` comes after `reference`; None where none is clear.

    Generalised cross-correlation with phase transform: every frequency has the same vote, so a
    voice's few strong ones do not smear the peak.
    """
    import numpy as np  # noqa: PLC0415 - only where echoes are

    mine = np.frombuffer(near, "<i2").astype(np.float32)
    theirs = np.frombuffer(reference, "<i2").astype(np.float32)
    if np.count_nonzero(np.abs(theirs) > _AUDIBLE) < rate // 10:
        return None
    size = 1 << (len(mine) + len(theirs) - 1).bit_length()
    cross = np.fft.rfft(mine, size) * np.conj(np.fft.rfft(theirs, size))
    strength = np.abs(cross)
    # What is hardly there has no vote, or the rounding of silence would decide.
    correlation: Any = np.fft.irfft(cross / (strength + 0.1 * strength.mean() + 1e-6), size)
    earliest, latest = round(_EARLIEST_S * rate), round(_LATEST_S * rate)
    looked = np.abs(np.concatenate((correlation[earliest:], correlation[: latest + 1])))
    peak = int(np.argmax(looked))
    if looked[peak] < _CLEAR_PEAK * float(np.median(looked)):
        return None
    return peak + earliest


class _Timeline:
    """Blocks one after the other, by the number of their first sample since the clock began."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._begin = 0
        self._held = bytearray()

    @property
    def _end(self) -> int:
        return self._begin + len(self._held) // SAMPLE_BYTES

    def add(self, block: SoundBlock) -> int:
        """Lay a block down; where. One that nearly follows its forerunner follows it."""
        at = round(block.mono_s * self._rate)
        if abs(at - self._end) <= _JITTER_S * self._rate:
            at = self._end
        elif 0 < at - self._end < _KEPT_S * self._rate:
            self._held += bytes((at - self._end) * SAMPLE_BYTES)
        else:
            self._begin = at
            self._held.clear()
        self._held += block.frames
        surplus = self._end - self._begin - round(_KEPT_S * self._rate)
        if surplus > 0:
            del self._held[: surplus * SAMPLE_BYTES]
            self._begin += surplus
        return at

    def cut(self, at: int, count: int) -> bytes:
        """So many samples from there; silence where there are none."""
        first, last = max(at, self._begin), min(at + count, self._end)
        if first >= last:
            return bytes(count * SAMPLE_BYTES)
        start, stop = (edge - self._begin for edge in (first, last))
        before = bytes((first - at) * SAMPLE_BYTES)
        part = bytes(self._held[start * SAMPLE_BYTES : stop * SAMPLE_BYTES])
        return (before + part).ljust(count * SAMPLE_BYTES, b"\0")


def _number(value: int) -> Any:
    return ctypes.byref(ctypes.c_int(value))
