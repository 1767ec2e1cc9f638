"""Levels, the choice of a device, the line of time and the echo canceller, on made sound."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import types
from array import array
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.sound.echo import EchoCanceller, SpeexCanceller, _Timeline, lag_of
from drivers.sound.fan_out import FanOut
from drivers.sound.level import Meter, dbfs, scaled
from drivers.transport import portaudio
from drivers.transport.portaudio_pump import (
    BLOCK,
    FAULT,
    HEAD,
    READY,
    TAKEN,
    Fault,
    Stream,
    choose,
)
from drivers.transport.pulse import endpoints_of
from hallkit.errors import DeviceError, DeviceUnavailable, ProtocolError, Reason
from hallkit.model.sound import SILENCE_DBFS, SoundBlock
from tests.tones import tone

RATE, BLOCK_FRAMES = 16_000, 320


def fed(frames: bytes) -> Meter:
    meter = Meter()
    for start in range(0, len(frames), 640):
        meter.take(frames[start : start + 640], RATE)
    return meter


def test_before_any_sound_there_is_no_level() -> None:
    assert Meter().level is None


@pytest.mark.parametrize(("peak", "told"), [(1.0, 0), (0.5, -6), (0.1, -20), (0.001, -60)])
def test_the_level_is_that_of_the_last_second(peak: float, told: float) -> None:
    meter = fed(tone(1000, 3, peak=1) + tone(1000, 1.2, peak=peak))
    level = meter.level
    assert level is not None
    assert level.peak_dbfs == pytest.approx(told, abs=0.3)
    assert level.rms_dbfs == pytest.approx(told - 3, abs=0.3)


def test_silence_is_nothing_and_the_least_noise_is_not() -> None:
    assert fed(bytes(32_000)).nothing_s == pytest.approx(1)
    level = fed(bytes(32_000)).level
    assert level is not None
    assert level.peak_dbfs == SILENCE_DBFS
    assert fed(b"\5\0" * 16_000).nothing_s > 0.9, "an offset that never moves is no sound either"
    random = Random(1)  # noqa: S311
    hiss = array("h", (random.randint(-1, 1) for _ in range(16_000))).tobytes()
    assert fed(hiss).nothing_s == 0


def test_what_is_cut_off_is_counted() -> None:
    meter = fed(tone(200, 1.5, peak=4 / 4))
    assert meter.level is not None
    assert 0 < meter.level.clipped < 0.2
    assert meter.too_much_s > 1
    assert fed(tone(200, 1.5, peak=0.9)).too_much_s == 0


def test_too_much_ends_with_it() -> None:
    assert fed(tone(200, 2, peak=1) + tone(200, 1.1, peak=0.1)).too_much_s == 0


def test_one_crack_is_not_too_much() -> None:
    crack = bytes(640 * 10) + b"\xff\x7f" * 320 + b"\1\0" * 320 * 20
    assert fed(crack).too_much_s == 0


@given(st.binary(min_size=2, max_size=640).filter(lambda data: len(data) % 2 == 0))
def test_no_sound_upsets_the_meter(frames: bytes) -> None:
    meter = Meter()
    meter.take(frames, RATE)
    level = meter.level
    assert level is not None
    assert SILENCE_DBFS <= level.rms_dbfs <= level.peak_dbfs <= 0
    assert dbfs(0) == SILENCE_DBFS


@given(st.binary(max_size=640).filter(lambda data: len(data) % 2 == 0), st.floats(0, 1))
def test_quieter_is_never_louder(frames: bytes, gain: float) -> None:
    before, after = array("h", frames), array("h", scaled(frames, gain))
    assert len(before) == len(after)
    assert all(abs(one) >= abs(other) for one, other in zip(before, after, strict=True))


def test_half_a_sample_is_no_block() -> None:
    with pytest.raises(ValidationError):
        SoundBlock(frames=b"abc", rate=RATE, mono_s=0)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("USB Audio: - (hw:1,0)", 1), ("usb audio", 1), ("hw:0", 0), ("pulse", 2)],
)
def test_a_device_is_meant_by_its_name_or_a_part(wanted: str, chosen: int) -> None:
    names = ["HDA Intel: ALC (hw:0,0)", "USB Audio: - (hw:1,0)", "pulse", "pulse 2"]
    assert choose(names, wanted) == names[chosen]


def test_two_that_fit_or_none_are_told_with_all_names() -> None:
    names = ["usb one", "usb two"]
    with pytest.raises(Fault, match=r"configuration.*usb one; usb two"):
        choose(names, "usb")
    with pytest.raises(Fault, match=r"port_gone.*usb one; usb two"):
        choose(names, "card")
    with pytest.raises(Fault, match="none"):
        choose([], "card")


SOURCE = {"name": "mic", "description": "Mic", "mute": False, "monitor_source": "", "volume": {}}


@pytest.mark.parametrize(
    ("more", "muted"),
    [
        ({}, False),
        ({"mute": True}, True),
        ({"volume": {"left": {"value": 0}, "right": {"value": 0}}}, True),
        ({"volume": {"left": {"value": 0}, "right": {"value": 30000}}}, False),
    ],
)
def test_muted_is_muted_or_turned_down_to_nothing(more: dict[str, Any], muted: bool) -> None:
    (one,) = endpoints_of("mic", "source", [SOURCE | more])
    assert one.muted is muted


def test_a_monitor_is_known_as_one() -> None:
    (one,) = endpoints_of("mic", "source", [SOURCE | {"monitor_source": "speaker"}])
    assert one.is_monitor
    # Of a sink the same field names its monitor.
    (sink,) = endpoints_of("speaker", "sink", [SOURCE | {"monitor_source": "speaker.monitor"}])
    assert not sink.is_monitor


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "description", "mute", "volume", "monitor_source"]), inner
        )
    ),
)


@given(JSON)
def test_no_list_upsets_its_reader(listed: Any) -> None:
    try:
        found = endpoints_of("mic", "source", listed)
    except ProtocolError:
        return
    assert all(isinstance(one.name, str) for one in found)


async def test_messages_of_the_stream_come_whole_however_they_are_cut() -> None:
    told: list[tuple[bytes, int, float, bytes]] = []
    stream = portaudio.Stream("mic", lambda *message: told.append(message))
    sent = HEAD.pack(READY, 0, 0, 0) + b"".join(
        HEAD.pack(BLOCK, number, 1.5, 4) + b"abcd" for number in range(3)
    )
    for byte in sent:
        stream.pipe_data_received(1, bytes([byte]))
    assert stream.ready.done()
    assert told == [(BLOCK, number, 1.5, b"abcd") for number in range(3)]


@given(st.lists(st.binary(max_size=60), max_size=6))
async def test_no_bytes_upset_the_reader_of_the_stream(pieces: list[bytes]) -> None:
    stream = portaudio.Stream("mic", lambda *_message: None)
    for piece in pieces:
        stream.pipe_data_received(1, piece)
    assert stream.fault is None or isinstance(stream.fault, DeviceError)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (b'{"reason": "occupied", "detail": "x"}', Reason.OCCUPIED),
        (b'{"reason": "unsupported", "detail": "x"}', Reason.UNSUPPORTED),
        (b'{"reason": "moonlight", "detail": "x"}', Reason.GARBLED),
        (b"[]", Reason.GARBLED),
        (b"\xff", Reason.GARBLED),
    ],
)
async def test_a_fault_of_the_stream_has_its_reason(told: bytes, reason: Reason) -> None:
    stream = portaudio.Stream("mic", lambda *_message: None)
    stream.pipe_data_received(1, HEAD.pack(FAULT, 0, 0, len(told)) + told)
    assert stream.ready.done(), "whoever waits is woken"
    assert stream.fault is not None
    assert stream.fault.reason is reason


async def test_who_is_slow_loses_the_oldest() -> None:
    everybody = FanOut(3)
    listening = everybody.listen()
    asking = asyncio.ensure_future(anext(listening))
    await asyncio.sleep(0)
    for number in range(6):
        everybody.give(SoundBlock(frames=b"\0\0", rate=RATE, mono_s=number))
    assert (await asking).mono_s == 3
    assert everybody.dropped == 3
    everybody.fail(DeviceUnavailable("mic", Reason.PORT_GONE))
    assert [(await anext(listening)).mono_s for _ in range(2)] == [4, 5]
    with pytest.raises(DeviceUnavailable):
        await anext(listening)
    assert len(everybody) == 0


class FakePortAudio(types.ModuleType):
    """What the pump asks of sounddevice."""

    class PortAudioError(Exception):
        pass

    def __init__(self, refuses: tuple[str, int] | None = None) -> None:
        super().__init__("sounddevice")
        self.refuses = refuses
        self.settings: dict[str, Any] = {}
        self.RawInputStream = self.RawOutputStream = self._stream

    def query_devices(self) -> list[dict[str, Any]]:
        return [
            {"name": "speaker", "max_input_channels": 0, "max_output_channels": 2},
            {"name": "mic", "max_input_channels": 1, "max_output_channels": 0},
        ]

    def _stream(self, **settings: Any) -> types.SimpleNamespace:
        if self.refuses:
            raise self.PortAudioError(*self.refuses)
        self.settings = settings
        nothing: Callable[[], None] = lambda: None  # noqa: E731
        return types.SimpleNamespace(start=nothing, abort=nothing, latency=0.05)


def pump(monkeypatch: pytest.MonkeyPatch, module: Any, **settings: Any) -> Stream:
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return Stream(
        {
            "direction": "capture",
            "device": "mic",
            "rate": RATE,
            "channels": 1,
            "block_frames": 2,
            **settings,
        }
    )


def told_of(stream: Stream) -> list[tuple[bytes, int, float, bytes]]:
    return [stream._messages.get_nowait() for _ in range(stream._messages.qsize())]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-9985, "occupied"),
        (-9997, "unsupported"),
        (-9998, "unsupported"),
        (-9996, "port_gone"),
        (-9999, "port_gone"),
        (-9986, "refused"),
    ],
)
def test_what_portaudio_refuses_has_a_reason(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str
) -> None:
    with pytest.raises(Fault) as refused:
        pump(monkeypatch, FakePortAudio(("no", code)))
    assert refused.value.reason == reason


def test_without_sounddevice_the_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fault, match="no sounddevice") as refused:
        pump(monkeypatch, None)
    assert refused.value.reason == "unsupported"


def test_a_device_of_the_other_direction_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Fault, match="present: mic"):
        pump(monkeypatch, FakePortAudio(), device="speaker")


def test_of_two_channels_the_first_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = pump(monkeypatch, FakePortAudio(), channels=2)
    times = types.SimpleNamespace(currentTime=9.0, inputBufferAdcTime=8.9)
    stream._captured(array("h", [1, 9, 2, 9]).tobytes(), 2, times, None)
    (ready, block) = told_of(stream)
    assert (ready[0], block[0], block[3]) == (READY, BLOCK, array("h", [1, 2]).tobytes())


def test_both_channels_are_played_and_then_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = pump(monkeypatch, FakePortAudio(), direction="playback", device="speaker", channels=2)
    stream._waiting = deque([(7, array("h", [1, 2]).tobytes())])
    out = bytearray(8)
    times = types.SimpleNamespace(currentTime=0.0, outputBufferDacTime=0.0)
    stream._wanted(out, 2, times, None)
    assert array("h", bytes(out)) == array("h", [1, 1, 2, 2])
    assert told_of(stream)[1][:2] == (TAKEN, 7)
    stream._wanted(out, 2, times, None)
    assert bytes(out) == bytes(8)


def test_a_stream_that_ends_by_itself_is_a_loss_and_a_flush_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = pump(monkeypatch, FakePortAudio(), direction="playback", device="speaker")
    stream._flushing = True
    stream._finished()
    assert [message[0] for message in told_of(stream)] == [READY]
    stream._flushing = False
    stream._finished()
    ((kind, _, _, data),) = told_of(stream)
    assert kind == FAULT
    assert json.loads(data)["reason"] == "port_gone"


# ── echoes ──


def far(seconds: float, seed: int = 1) -> Any:
    """Like a voice: coloured noise that comes and goes four times in two seconds."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / RATE)
    formants = ((500, 250, 1.0), (1500, 400, 0.5), (2500, 500, 0.25))
    shape = sum(gain * np.exp(-(((hertz - at) / width) ** 2)) for at, width, gain in formants)
    voice = np.fft.irfft(spectrum * (shape + 0.003), count)
    voice *= np.clip(np.sin(2 * np.pi * 2.1 * np.arange(count) / RATE) + 0.3, 0, None)
    return voice / np.abs(voice).max() * 0.5


def echo_of(sound: Any, delay_s: float, seed: int = 2) -> Any:
    """Through a small room."""
    random = np.random.default_rng(seed)
    way = np.zeros(round((delay_s + 0.08) * RATE))
    first = round(delay_s * RATE)
    tail = np.arange(len(way) - first)
    way[first:] = random.standard_normal(len(tail)) * 0.05 * np.exp(-tail / RATE / 0.02)
    way[first] = 0.5
    return np.convolve(sound, way)[: len(sound)]


def pcm(sound: Any) -> bytes:
    return (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes()


def cleaned(near: bytes, reference: bytes, *, ahead_s: float = 0.1) -> tuple[Any, EchoCanceller]:
    """Block by block; the loudspeaker tells of a block a little before it is heard."""
    canceller = EchoCanceller(RATE, BLOCK_FRAMES)
    size = BLOCK_FRAMES * 2
    ahead = round(ahead_s / 0.02)
    out = bytearray()
    blocks = [
        [
            SoundBlock(frames=one[at : at + size], rate=RATE, mono_s=50 + at / 2 / RATE)
            for at in range(0, len(one) - size + 1, size)
        ]
        for one in (reference, near)
    ]
    for number, block in enumerate(blocks[1]):
        for known in blocks[0][number + ahead if number else 0 : number + ahead + 1]:
            canceller.heard(known)
        out += canceller.clean(block).frames
    return np.frombuffer(bytes(out), "<i2") / 32_768, canceller


@pytest.mark.parametrize("delay_s", [0.02, 0.13, 0.3])
def test_an_echo_is_taken_out_wherever_it_stands(delay_s: float) -> None:
    sound = far(8)
    near = echo_of(sound, delay_s)
    rest, canceller = cleaned(pcm(near), pcm(sound))
    assert canceller.delay_s == pytest.approx(delay_s, abs=0.002)
    last = slice(6 * RATE, len(rest))
    assert 10 * math.log10(np.mean(near[last] ** 2) / np.mean(rest[last] ** 2)) > 20


def test_an_echo_that_is_told_too_late_is_found_too() -> None:
    """Cards tell of delays that they don't have: then the echo stands before its reference."""
    sound = far(8)
    near = np.roll(echo_of(sound, 0.005), -round(0.05 * RATE))
    rest, canceller = cleaned(pcm(near), pcm(sound))
    assert canceller.delay_s == pytest.approx(-0.045, abs=0.002)
    last = slice(6 * RATE, 7 * RATE)
    assert 10 * math.log10(np.mean(near[last] ** 2) / np.mean(rest[last] ** 2)) > 20


def test_a_voice_beside_the_echo_stays() -> None:
    sound, voice = far(8), far(8, seed=9)
    speaks = slice(6 * RATE, 7 * RATE)
    near = echo_of(sound, 0.03)
    near[speaks] += voice[speaks]
    rest, _ = cleaned(pcm(near), pcm(sound))
    rest = rest[BLOCK_FRAMES:]  # it comes a block later
    likeness = np.corrcoef(rest[speaks], voice[speaks])[0, 1]
    assert likeness > 0.8
    assert np.corrcoef(near[speaks], voice[speaks])[0, 1] < likeness


def test_without_a_reference_nothing_is_lost() -> None:
    voice = far(3)
    rest, canceller = cleaned(pcm(voice), bytes(len(pcm(voice))))
    assert canceller.delay_s is None
    rest = rest[BLOCK_FRAMES:]  # it comes a block later
    voice = voice[: len(rest)]
    assert np.corrcoef(rest, voice)[0, 1] > 0.95
    assert np.mean(rest**2) == pytest.approx(np.mean(voice**2), rel=0.1)


def test_what_has_nothing_to_do_with_each_other_has_no_delay() -> None:
    assert lag_of(pcm(far(2)), pcm(far(2, seed=5)), RATE) is None
    assert lag_of(pcm(far(2)), bytes(4 * RATE), RATE) is None


def test_the_bare_canceller_refuses_other_blocks() -> None:
    canceller = SpeexCanceller(RATE, BLOCK_FRAMES)
    with pytest.raises(ValueError, match="640"):
        canceller.clean(bytes(640), bytes(638))


@given(st.lists(st.tuples(st.integers(-5, 400), st.integers(1, 8)), max_size=12))
def test_what_was_laid_on_the_line_of_time_is_cut_out_again(steps: list[tuple[int, int]]) -> None:
    """Whatever the blocks: a cut has its length, and the last block stands where it was laid."""
    line = _Timeline(100)
    at_s = 10.0
    for step, count in steps:
        at_s += step / 100
        frames = bytes([7]) * count * 2
        at = line.add(SoundBlock(frames=frames, rate=8_000, mono_s=at_s))
        assert line.cut(at, count) == frames
        assert len(line.cut(at - 50, 100)) == 200
        assert len(line._held) <= 2 * 100 * 4 + 16
