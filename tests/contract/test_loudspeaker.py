"""What every loudspeaker does, with a sound server or as a fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import pytest

from drivers.driver import status_of
from drivers.loudspeaker.portaudio_loudspeaker import (
    PortAudioLoudspeaker,
    PortAudioLoudspeakerConfig,
)
from drivers.sim.control import order
from drivers.transport.portaudio import PortAudioPort
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import Played, SoundBlock
from hallkit.ports.loudspeaker import Loudspeaker
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import SIMULATED_PATIENCE_S, device
from tests.fakes.loudspeaker import FakeLoudspeaker
from tests.tones import frequency_of, tone

LONG_S, SHORT_S = 30.0, 0.4
BLOCK_S = 0.02
STUTTER = 0.15
"""A busy computer leaves a gap or two in a tone."""


class Heard(NamedTuple):
    """What came out; nan where a person's ear can't tell."""

    seconds: float
    frequency: float = math.nan
    level: float = math.nan


class Bench(ABC):
    """A loudspeaker and who hears it."""

    speaker: Loudspeaker
    patience_s = SIMULATED_PATIENCE_S
    ear_s = 0.5
    """How far off what the ear says may be."""

    @abstractmethod
    async def heard(self) -> Heard:
        """What came out since the bench was made."""

    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    ear_s = 0.03

    def __init__(self) -> None:
        self.fake = FakeLoudspeaker(SystemClock())
        self.speaker = self.fake

    async def heard(self) -> Heard:
        samples = array("h", bytes(self.fake.out))
        if not samples:
            return Heard(0)
        rms = math.sqrt(sum(one * one for one in samples) / len(samples))
        return Heard(
            len(samples) / self.fake.rate,
            frequency_of(bytes(self.fake.out)),
            20 * math.log10(rms / 32_768),
        )

    async def break_(self, reason: Reason) -> None:
        self.fake.fault = reason

    async def mend(self) -> None:
        self.fake.fault = None


class PortAudioBench(Bench):
    ear_s = 0.06
    """The twin looks every 20 ms at blocks of 20 ms."""

    def __init__(self, speaker: PortAudioLoudspeaker, control: Path) -> None:
        self.speaker = speaker
        self.control = control

    async def heard(self) -> Heard:
        # The last blocks pass the twin's pipe.
        async with asyncio.timeout(self.patience_s):
            while True:
                heard = (await order(self.control, "heard"))["heard"]
                if heard["silent_s"] > 0.1:
                    return Heard(heard["seconds"], heard["frequency"], heard["level"])
                await asyncio.sleep(0.02)

    async def break_(self, reason: Reason) -> None:
        if reason is Reason.PORT_GONE:
            await order(self.control, "unplug", part="spk")
        else:
            await order(self.control, "fault.set", fault=reason.value, part="spk")

    async def mend(self) -> None:
        await order(self.control, "plug")
        await order(self.control, "fault.clear")


@pytest.fixture(params=["portaudio_loudspeaker", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        asked = {"heard": lambda typed: Heard(float(typed))}
        async with device(request, Bench, "speaker", asked=asked) as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    sound_twin: Path = request.getfixturevalue("sound_twin")
    server = (await order(sound_twin, "state"))["state"]["server"]
    config = PortAudioLoudspeakerConfig(
        id="loudspeaker",
        driver="portaudio_loudspeaker",
        transport=PortAudioPort(device="hall_spk", server=server),
        open_timeout_s=2,
        block_timeout_s=0.5,
        look_every_s=0.1,
    )
    async with PortAudioLoudspeaker(config, SystemClock()) as speaker:
        yield PortAudioBench(speaker, sound_twin)


async def reported(bench: Bench, reason: Reason | None) -> DeviceReport:
    """The report once the loudspeaker has been found so."""
    async with asyncio.timeout(bench.patience_s):
        while (await bench.speaker.probe()).reason != reason:  # noqa: ASYNC110  # its own pace
            await asyncio.sleep(0.02)
    return bench.speaker.report


def sound(bench: Bench, seconds: float, frequency: float = 800) -> bytes:
    return tone(frequency, seconds, rate=bench.speaker.rate)


async def begun(bench: Bench, seconds: float) -> asyncio.Task[Played]:
    """Something is being played, and some of it was heard."""
    async with aclosing(bench.speaker.heard()) as heard:
        first = asyncio.ensure_future(anext(heard))
        await asyncio.sleep(0)
        playing = asyncio.create_task(bench.speaker.play(sound(bench, seconds)))
        await first
        for _ in range(10):
            await anext(heard)
    return playing


async def test_a_new_one_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.speaker.report.status is DeviceStatus.STARTING
    report = await bench.speaker.probe()
    assert report.works
    assert report == bench.speaker.report
    assert report.port == "loudspeaker"


async def test_what_is_played_is_heard_to_its_end(bench: Bench) -> None:
    played = await bench.speaker.play(sound(bench, SHORT_S))
    assert played == Played(seconds=SHORT_S, complete=True)
    heard = await bench.heard()
    assert heard.seconds == pytest.approx(SHORT_S, abs=bench.ear_s)
    assert math.isnan(heard.frequency) or heard.frequency == pytest.approx(800, rel=STUTTER)


async def test_it_returns_no_sooner_than_it_was_heard(bench: Bench) -> None:
    await bench.speaker.probe()
    before_s = SystemClock().mono_s()
    await bench.speaker.play(sound(bench, SHORT_S))
    assert SystemClock().mono_s() - before_s >= SHORT_S - 0.01


async def test_sound_may_come_in_pieces_of_any_size(bench: Bench) -> None:
    whole = sound(bench, SHORT_S)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(whole), 777):
            yield whole[start : start + 777]

    played = await bench.speaker.play(pieces())
    assert played == Played(seconds=SHORT_S, complete=True)
    heard = await bench.heard()
    assert heard.seconds == pytest.approx(SHORT_S, abs=bench.ear_s)
    assert math.isnan(heard.frequency) or heard.frequency == pytest.approx(800, rel=STUTTER)


async def test_nothing_is_played_at_once(bench: Bench) -> None:
    assert await bench.speaker.play(b"") == Played(seconds=0, complete=True)


async def test_stop_ends_it_and_says_how_much_was_heard(bench: Bench) -> None:
    playing = await begun(bench, LONG_S)
    await bench.speaker.stop()
    played = await asyncio.wait_for(playing, bench.patience_s)
    assert not played.complete
    assert 0 < played.seconds < LONG_S / 2
    heard = await bench.heard()
    assert heard.seconds == pytest.approx(played.seconds, abs=0.1 + bench.ear_s)


async def test_stop_does_not_wait_for_who_gives_the_sound(bench: Bench) -> None:
    asked = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        asked.set()
        await asyncio.Event().wait()
        yield b""

    await bench.speaker.probe()
    playing = asyncio.create_task(bench.speaker.play(slow()))
    await asked.wait()
    await bench.speaker.stop()
    assert await asyncio.wait_for(playing, bench.patience_s) == Played(seconds=0, complete=False)


async def test_who_has_just_begun_is_stopped_too(bench: Bench) -> None:
    playing = asyncio.create_task(bench.speaker.play(sound(bench, LONG_S)))
    await asyncio.sleep(0)
    await bench.speaker.stop()
    played = await asyncio.wait_for(playing, bench.patience_s)
    assert not played.complete
    assert played.seconds < 1


async def test_after_a_stop_it_plays_again(bench: Bench) -> None:
    playing = await begun(bench, LONG_S)
    await bench.speaker.stop()
    await playing
    assert (await bench.speaker.play(sound(bench, SHORT_S))).complete


async def test_stop_of_a_silent_one_does_nothing(bench: Bench) -> None:
    await bench.speaker.stop()
    await bench.speaker.probe()
    await bench.speaker.stop()
    assert (await bench.speaker.play(sound(bench, 0.1))).complete


async def test_who_is_cancelled_is_not_heard_any_more(bench: Bench) -> None:
    playing = await begun(bench, LONG_S)
    playing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await playing
    assert (await bench.heard()).seconds < LONG_S / 2
    assert (await bench.speaker.play(sound(bench, 0.1))).complete


async def test_who_comes_second_waits(bench: Bench) -> None:
    async with asyncio.timeout(bench.patience_s):
        both = await asyncio.gather(
            bench.speaker.play(sound(bench, 0.2)), bench.speaker.play(sound(bench, 0.2))
        )
    assert [one.complete for one in both] == [True, True]
    assert (await bench.heard()).seconds == pytest.approx(0.4, abs=2 * bench.ear_s)


async def test_its_volume_is_heard(bench: Bench) -> None:
    bench.speaker.set_volume(0.1)
    assert bench.speaker.volume == 0.1
    await bench.speaker.play(sound(bench, SHORT_S))
    heard = await bench.heard()
    # A tone of a quarter of full scale has -15.1 dB; a tenth of it 20 dB less.
    assert math.isnan(heard.level) or heard.level == pytest.approx(-35.1, abs=1.5)


@pytest.mark.parametrize("volume", [-0.1, 1.1, math.nan])
async def test_a_volume_that_is_none_is_refused(bench: Bench, volume: float) -> None:
    with pytest.raises(ValueError, match="between"):
        bench.speaker.set_volume(volume)


async def test_the_reference_is_what_was_played_with_its_times(bench: Bench) -> None:
    await bench.speaker.probe()
    reference: list[SoundBlock] = []

    async def listen() -> None:
        # Not a comprehension: what was heard before the end counts.
        async for block in bench.speaker.heard():
            reference.append(block)  # noqa: PERF401

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    whole = sound(bench, SHORT_S)
    before_s = SystemClock().mono_s()
    await bench.speaker.play(whole)
    after_s = SystemClock().mono_s()
    listening.cancel()
    await asyncio.wait({listening})
    assert b"".join(block.frames for block in reference) == whole
    times = [block.mono_s for block in reference]
    assert times == sorted(times)
    assert before_s <= times[0]
    assert times[-1] + BLOCK_S <= after_s + 0.01, "it returns when the last block was heard"
    assert "frames" not in repr(reference[0])


@pytest.mark.parametrize("reason", [Reason.PORT_GONE, Reason.SILENT])
async def test_a_lost_one_is_reported_raised_and_heals_by_itself(
    bench: Bench, reason: Reason
) -> None:
    assert (await bench.speaker.probe()).works
    await bench.break_(reason)
    report = await reported(bench, reason)
    assert not report.works
    assert (report.status, report.action) == status_of(reason)
    with pytest.raises(DeviceError):
        await bench.speaker.play(sound(bench, SHORT_S))
    await bench.mend()
    assert (await reported(bench, None)).works
    assert (await bench.speaker.play(sound(bench, SHORT_S))).complete


async def test_who_plays_is_told_when_it_is_lost(bench: Bench) -> None:
    playing = await begun(bench, LONG_S)
    await bench.break_(Reason.SILENT)
    with pytest.raises(DeviceError):
        await asyncio.wait_for(playing, bench.patience_s)


async def test_a_muted_one_is_told_and_passes(bench: Bench) -> None:
    await reported(bench, None)
    await bench.break_(Reason.MUTED)
    report = await reported(bench, Reason.MUTED)
    assert not report.works
    assert (report.status, report.action) == status_of(Reason.MUTED)
    await bench.mend()
    assert (await reported(bench, None)).works


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.speaker.probe()
    assert await bench.speaker.probe() == first


async def test_diagnostics_count(bench: Bench) -> None:
    await bench.speaker.play(sound(bench, 0.1))
    assert bench.speaker.diagnostics()["played"] == 1
