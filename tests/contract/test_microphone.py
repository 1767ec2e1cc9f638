"""What every microphone does, with a sound server or as a fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from drivers.driver import status_of
from drivers.microphone.portaudio_microphone import PortAudioMicrophone, PortAudioMicrophoneConfig
from drivers.sim.control import order
from drivers.transport.portaudio import PortAudioPort
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.sound import SoundBlock
from hallkit.ports.microphone import Microphone
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import SIMULATED_PATIENCE_S, device
from tests.fakes.microphone import FakeMicrophone
from tests.tones import frequency_of, tone

TONE_HZ = 500
LOUD_DBFS = -20.0
STUTTER = 0.15
"""A busy computer leaves a gap or two in a tone."""
SPOKEN_DBFS = -45.0
"""Any voice at arm's length is above this."""


class Bench(ABC):
    """A microphone and who speaks to it."""

    microphone: Microphone
    patience_s = SIMULATED_PATIENCE_S
    held_s = 2.0
    """What waits for a listener who is slow."""
    pure = False
    """What is said is a tone of `TONE_HZ` at `LOUD_DBFS`."""

    @abstractmethod
    async def say(self) -> None: ...
    @abstractmethod
    async def hush(self) -> None: ...
    @abstractmethod
    async def break_(self, reason: Reason) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    held_s = 0.1
    pure = True

    def __init__(self) -> None:
        self.fake = FakeMicrophone(SystemClock())
        self.microphone = self.fake

    async def say(self) -> None:
        self.fake.air = tone(TONE_HZ, 0.1, peak=0.1)

    async def hush(self) -> None:
        self.fake.air = b"\1\0\0\0"

    async def break_(self, reason: Reason) -> None:
        self.fake.fault = reason

    async def mend(self) -> None:
        self.fake.fault = None


class PortAudioBench(Bench):
    held_s = 0.1
    pure = True

    def __init__(self, microphone: PortAudioMicrophone, control: Path) -> None:
        self.microphone = microphone
        self.control = control

    async def say(self) -> None:
        await order(self.control, "speak", tone=TONE_HZ, level=LOUD_DBFS)

    async def hush(self) -> None:
        await order(self.control, "hush")

    async def break_(self, reason: Reason) -> None:
        match reason:
            case Reason.PORT_GONE:
                await order(self.control, "unplug", part="mic")
            case Reason.OVERDRIVEN:
                await order(self.control, "fault.set", fault="clipping")
            case _:
                await order(self.control, "fault.set", fault=reason.value, part="mic")

    async def mend(self) -> None:
        await order(self.control, "plug")
        await order(self.control, "fault.clear")


@pytest.fixture(params=["portaudio_microphone", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "microphone") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    sound_twin: Path = request.getfixturevalue("sound_twin")
    server = (await order(sound_twin, "state"))["state"]["server"]
    config = PortAudioMicrophoneConfig(
        id="microphone",
        driver="portaudio_microphone",
        transport=PortAudioPort(device="hall_mic", server=server),
        held_s=PortAudioBench.held_s,
        open_timeout_s=2,
        block_timeout_s=0.5,
        look_every_s=0.1,
        overdriven_after_s=0.3,
    )
    async with PortAudioMicrophone(config, SystemClock()) as microphone:
        yield PortAudioBench(microphone, sound_twin)


async def reported(bench: Bench, reason: Reason | None) -> DeviceReport:
    """The report once the microphone has been found so."""
    async with asyncio.timeout(bench.patience_s):
        while (await bench.microphone.probe()).reason != reason:  # noqa: ASYNC110  # its own pace
            await asyncio.sleep(0.02)
    return bench.microphone.report


async def taken(blocks: AsyncIterator[SoundBlock]) -> list[SoundBlock]:
    return [await anext(blocks) for _ in range(11)]


async def some(bench: Bench, count: int) -> list[SoundBlock]:
    taken: list[SoundBlock] = []
    async with asyncio.timeout(bench.patience_s), aclosing(bench.microphone.blocks()) as blocks:
        async for block in blocks:
            taken.append(block)
            if len(taken) == count:
                break
    return taken


async def until_loud(bench: Bench) -> None:
    async with asyncio.timeout(bench.patience_s), aclosing(bench.microphone.blocks()) as blocks:
        async for _ in blocks:
            level = bench.microphone.level
            assert level is not None
            if level.peak_dbfs > SPOKEN_DBFS:
                return


async def test_a_new_one_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.microphone.report.status is DeviceStatus.STARTING
    assert bench.microphone.level is None
    report = await bench.microphone.probe()
    assert report.works
    assert report == bench.microphone.report
    assert report.port == "microphone"


async def test_blocks_are_twenty_milliseconds_with_their_times(bench: Bench) -> None:
    before_s = SystemClock().mono_s()
    blocks = await some(bench, 20)
    assert {block.rate for block in blocks} == {bench.microphone.rate}
    assert {block.seconds for block in blocks} == {0.02}
    times = [block.mono_s for block in blocks]
    assert times == sorted(times)
    assert before_s - 1 < times[0]
    assert times[-1] <= SystemClock().mono_s(), "nobody hears what is still to come"
    # Every block stands where the last one ended, give or take the moment it was told.
    assert abs((times[-1] - times[0]) - 19 * 0.02) < 0.1
    assert all(later - earlier < 0.2 for earlier, later in pairwise(times))


async def test_a_block_does_not_show_what_was_said(bench: Bench) -> None:
    (block,) = await some(bench, 1)
    assert "frames" not in repr(block)
    assert len(repr(block)) < 100


async def test_what_is_said_is_heard_as_loud_as_it_was(bench: Bench) -> None:
    await bench.say()
    await until_loud(bench)
    blocks = await some(bench, 60)
    level = bench.microphone.level
    assert level is not None
    assert level.peak_dbfs > SPOKEN_DBFS
    assert level.rms_dbfs < level.peak_dbfs
    assert level.clipped == 0
    if bench.pure:
        assert level.peak_dbfs == pytest.approx(LOUD_DBFS, abs=1)
        assert level.rms_dbfs == pytest.approx(LOUD_DBFS - 3, abs=1)
        frequency = frequency_of(b"".join(block.frames for block in blocks[-25:]))
        assert frequency == pytest.approx(TONE_HZ, rel=STUTTER)
    await bench.hush()
    async with asyncio.timeout(bench.patience_s):
        while level.peak_dbfs > SPOKEN_DBFS:
            await some(bench, 5)
            level = bench.microphone.level
            assert level is not None


async def test_everybody_who_listens_gets_every_block(bench: Bench) -> None:
    await bench.microphone.probe()
    async with (
        aclosing(bench.microphone.blocks()) as mine,
        aclosing(bench.microphone.blocks()) as theirs,
    ):
        ours, others = await asyncio.gather(taken(mine), taken(theirs))
    assert len(ours) == len(others)
    if not isinstance(bench, FakeBench):  # each listener of the fake has its own air
        # Both began within a block of each other.
        assert len({block.mono_s for block in ours} & {block.mono_s for block in others}) >= 9


async def test_who_is_slow_hears_what_is_new(bench: Bench) -> None:
    async with aclosing(bench.microphone.blocks()) as blocks:
        first = await anext(blocks)
        await asyncio.sleep(bench.held_s + 0.4)
        second = await anext(blocks)
        assert second.mono_s - first.mono_s > 0.1, "the oldest were dropped"
        await anext(blocks)
    dropped = bench.microphone.diagnostics()["dropped"]
    assert isinstance(dropped, int)
    assert dropped > 5


@pytest.mark.parametrize("reason", [Reason.PORT_GONE, Reason.SILENT])
async def test_a_lost_one_is_raised_reported_and_heals_by_itself(
    bench: Bench, reason: Reason
) -> None:
    assert (await bench.microphone.probe()).works
    await bench.break_(reason)
    report = await reported(bench, reason)
    assert not report.works
    assert (report.status, report.action) == status_of(reason)
    with pytest.raises(DeviceError):
        await some(bench, 1)
    await bench.mend()
    assert (await reported(bench, None)).works
    assert len(await some(bench, 3)) == 3


async def test_who_listens_is_told_when_it_is_lost(bench: Bench) -> None:
    async def listen() -> None:
        await some(bench, 100_000)

    await bench.microphone.probe()
    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    await bench.break_(Reason.SILENT)
    with pytest.raises(DeviceError):
        await listening


@pytest.mark.parametrize("reason", [Reason.MUTED, Reason.OVERDRIVEN])
async def test_what_a_person_must_do_is_told_and_passes(bench: Bench, reason: Reason) -> None:
    await reported(bench, None)
    await bench.break_(reason)
    report = await reported(bench, reason)
    assert (report.status, report.action) == status_of(reason)
    assert report.works is (reason is Reason.OVERDRIVEN)
    await bench.mend()
    assert (await reported(bench, None)).works


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.microphone.probe()
    assert await bench.microphone.probe() == first


async def test_diagnostics_count(bench: Bench) -> None:
    await some(bench, 3)
    counted = bench.microphone.diagnostics()["blocks"]
    assert isinstance(counted, int)
    assert counted >= 3
