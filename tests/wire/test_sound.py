"""Microphone and loudspeaker against a real PulseAudio: choice, loss, hanging, rates, echoes."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from drivers.loudspeaker.portaudio_loudspeaker import (
    PortAudioLoudspeaker,
    PortAudioLoudspeakerConfig,
)
from drivers.microphone.portaudio_microphone import PortAudioMicrophone, PortAudioMicrophoneConfig
from drivers.sim.control import order
from drivers.sound.echo import EchoCanceller
from drivers.transport.portaudio import PortAudioPort
from hallkit.errors import DeviceError, DeviceUnavailable, Reason
from hallkit.model.device import DeviceReport
from hallkit.model.sound import SoundBlock
from hallkit.runtime.clock import SystemClock
from tests.tones import frequency_of, tone

pytestmark = pytest.mark.wire

LONG_S = 20.0
ECHO_POWER = 100.0**2
"""Half a second of an echo is louder than this."""
QUICK = {"open_timeout_s": 3, "block_timeout_s": 0.5, "look_every_s": 0.05}


class Rig:
    """Both devices, and the twin's control socket."""

    def __init__(self, control: Path, server: str) -> None:
        self.control = control
        self.server = server

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    def microphone(self, *, held_s: float = 2, **port: Any) -> PortAudioMicrophone:
        config = PortAudioMicrophoneConfig(
            id="microphone",
            driver="portaudio_microphone",
            transport=PortAudioPort(**{"server": self.server, **port}),
            held_s=held_s,
            **QUICK,
        )
        return PortAudioMicrophone(config, SystemClock())

    def loudspeaker(self, **port: Any) -> PortAudioLoudspeaker:
        config = PortAudioLoudspeakerConfig(
            id="loudspeaker",
            driver="portaudio_loudspeaker",
            transport=PortAudioPort(**{"server": self.server, **port}),
            **QUICK,
        )
        return PortAudioLoudspeaker(config, SystemClock())


@pytest.fixture
async def rig(sound_twin: Path) -> Rig:
    return Rig(sound_twin, (await order(sound_twin, "state"))["state"]["server"])


async def reported(
    driver: PortAudioMicrophone | PortAudioLoudspeaker, reason: Reason | None
) -> DeviceReport:
    async with asyncio.timeout(LONG_S):
        while (await driver.probe()).reason != reason:  # noqa: ASYNC110  # the server's own pace
            await asyncio.sleep(0.02)
    return driver.report


async def some(microphone: PortAudioMicrophone, count: int) -> list[SoundBlock]:
    async with asyncio.timeout(LONG_S), aclosing(microphone.blocks()) as blocks:
        return [await anext(blocks) for _ in range(count)]


@pytest.mark.parametrize("wanted", ["", "HALL_MIC", "microphone"])
async def test_a_device_is_the_default_or_meant_by_a_part_of_its_name(
    rig: Rig, wanted: str
) -> None:
    async with rig.microphone(device=wanted) as microphone:
        assert (await microphone.probe()).model == "Hall_microphone"


async def test_one_that_is_not_there_is_told_with_those_that_are(rig: Rig) -> None:
    async with rig.microphone(device="usb-other") as microphone:
        assert (await microphone.probe()).reason is Reason.PORT_GONE
        with pytest.raises(DeviceUnavailable) as refused:
            await some(microphone, 1)
    assert "usb-other" in refused.value.detail
    assert "hall_mic (Hall_microphone)" in refused.value.detail
    assert "monitor" not in refused.value.detail


async def test_without_a_microphone_the_loudspeaker_is_not_listened_to(rig: Rig) -> None:
    """PulseAudio moves the stream to the loudspeaker's monitor, and makes that the default."""
    async with rig.microphone() as microphone:
        assert (await microphone.probe()).works
        await rig.tell("unplug", part="mic")
        await reported(microphone, Reason.PORT_GONE)
        with pytest.raises(DeviceUnavailable, match="no default"):
            await some(microphone, 1)
        await rig.tell("plug")
        assert (await reported(microphone, None)).works


async def test_a_monitor_is_taken_by_its_whole_name_only(rig: Rig) -> None:
    async with rig.microphone(device="hall_spk.mon") as microphone:
        assert (await microphone.probe()).reason is Reason.PORT_GONE
    async with rig.microphone(device="hall_spk.monitor") as microphone:
        assert (await microphone.probe()).works


async def test_a_server_that_dies_and_comes_back(rig: Rig) -> None:
    async with rig.microphone() as microphone, rig.loudspeaker() as speaker:
        assert (await microphone.probe()).works
        assert (await speaker.probe()).works
        await rig.tell("server.kill")
        await reported(microphone, Reason.REFUSED)
        await reported(speaker, Reason.REFUSED)
        with pytest.raises(DeviceError):
            await speaker.play(tone(500, 0.1))
        await rig.tell("server.start")
        assert (await reported(microphone, None)).works
        assert (await reported(speaker, None)).works
        assert len(await some(microphone, 3)) == 3
        assert (await speaker.play(tone(500, 0.1))).complete


async def test_a_stream_that_hangs_holds_nobody_and_is_replaced(rig: Rig) -> None:
    """As a call into a sound server does that never returns."""
    async with rig.microphone() as microphone:
        assert (await microphone.probe()).works
        first = pid_of(microphone)
        os.kill(first, signal.SIGSTOP)
        beats = 0
        probing = asyncio.create_task(reported(microphone, Reason.SILENT))
        while not probing.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert beats > 10, "the loop went on"
        assert (await reported(microphone, None)).works
        assert pid_of(microphone) != first
        assert not Path(f"/proc/{first}").exists()


async def test_a_loudspeaker_that_hangs_ends_what_plays(rig: Rig) -> None:
    async with rig.loudspeaker() as speaker:
        await speaker.probe()
        os.kill(pid_of(speaker), signal.SIGSTOP)
        with pytest.raises(DeviceError):
            await speaker.play(tone(500, 5))
        assert (await speaker.play(tone(500, 0.1))).complete


async def test_a_stop_that_nobody_confirms_ends_the_stream(rig: Rig) -> None:
    async with rig.loudspeaker() as speaker:
        await speaker.probe()
        hung = pid_of(speaker)
        os.kill(hung, signal.SIGSTOP)
        await speaker.stop()
        assert speaker.report.reason is Reason.SILENT
        assert not Path(f"/proc/{hung}").exists()


async def test_who_makes_the_sound_may_fail(rig: Rig) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield tone(500, 0.4)
        raise ZeroDivisionError

    async with rig.loudspeaker() as speaker:
        with pytest.raises(ZeroDivisionError):
            await speaker.play(broken())
        assert (await speaker.play(tone(500, 0.1))).complete
        assert (await rig.tell("heard"))["heard"]["seconds"] < 0.7


async def test_a_stream_whose_process_dies_is_told_and_replaced(rig: Rig) -> None:
    async with rig.microphone() as microphone:
        await microphone.probe()

        async def listen() -> None:
            await some(microphone, 100_000)

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        os.kill(pid_of(microphone), signal.SIGKILL)
        with pytest.raises(DeviceUnavailable) as lost:
            await listening
        assert lost.value.reason is Reason.PORT_GONE
        assert len(await some(microphone, 3)) == 3
        assert microphone.diagnostics()["connections"] == 2


@pytest.mark.parametrize("port", [{"rate": 48_000}, {"channels": 2}])
async def test_pulseaudio_makes_the_rate_that_is_asked_for(rig: Rig, port: dict[str, int]) -> None:
    rate = port.get("rate", 16_000)
    await rig.tell("speak", tone=500, level=-20)
    async with rig.microphone(**port) as microphone, rig.loudspeaker(**port) as speaker:
        blocks = await some(microphone, 40)
        assert {block.seconds for block in blocks} == {0.02}
        said = b"".join(block.frames for block in blocks[-25:])
        assert frequency_of(said, rate=rate) == pytest.approx(500, rel=0.15)
        await rig.tell("heard.clear")
        assert (await speaker.play(tone(700, 0.4, rate=rate))).complete
        heard = (await rig.tell("heard"))["heard"]
        assert heard["frequency"] == pytest.approx(700, rel=0.15)


async def test_a_card_is_opened_past_pulseaudio_by_its_name(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ALSA's plugin for PulseAudio stands for the card."""
    monkeypatch.setenv("PULSE_SOURCE", "hall_mic")
    async with rig.microphone(host_api="alsa", device="puls") as microphone:
        assert (await microphone.probe()).works
    async with rig.microphone(host_api="alsa", device="hw:9") as microphone:
        assert (await microphone.probe()).reason is Reason.PORT_GONE
        with pytest.raises(DeviceUnavailable, match=r"present: .*pulse"):
            await some(microphone, 1)


async def test_nothing_that_was_said_stands_in_diagnostics_or_the_log(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    await rig.tell("speak", tone=500, level=-20)
    async with rig.microphone() as microphone:
        blocks = await some(microphone, 3)
        await rig.tell("unplug")
        await reported(microphone, Reason.PORT_GONE)
        told = repr((microphone.diagnostics(), microphone.report, blocks))
    assert "\\x" not in told + capsys.readouterr().out
    assert len(told) < 2_000


async def test_what_it_says_itself_is_taken_out_of_what_it_hears(rig: Rig) -> None:
    """Through the whole chain: loudspeaker, air, microphone, and the times that they tell."""
    async with rig.microphone() as microphone, rig.loudspeaker() as speaker:
        await microphone.probe()
        await speaker.probe()
        await rig.tell("echo", delay_ms=30, gain_db=-6)
        canceller = EchoCanceller(16_000, 320)
        taken_out_db: list[float] = []

        async def reference() -> None:
            async for block in speaker.heard():
                canceller.heard(block)

        async def listen() -> None:
            async with aclosing(microphone.blocks()) as blocks:
                while not any(gain > 15 for gain in taken_out_db):
                    near = [await anext(blocks) for _ in range(25)]
                    rest = [canceller.clean(block) for block in near]
                    loud = power(near)
                    if loud > ECHO_POWER:
                        taken_out_db.append(10 * math.log10(loud / max(power(rest), 1)))

        playing = asyncio.create_task(speaker.play(noise(2 * LONG_S)))
        hearing = asyncio.create_task(reference())
        try:
            async with asyncio.timeout(LONG_S):
                await listen()
        finally:
            hearing.cancel()
            await speaker.stop()
            await asyncio.wait({playing, hearing})
    assert taken_out_db[0] < 10, "it has to be learnt"


def noise(seconds: float) -> bytes:
    """The same for every run: a feedback register's noise, nearly white."""
    state, samples = 1, array("h")
    for _ in range(round(seconds * 16_000)):
        state = (state * 1_103_515_245 + 12_345) & 0x7FFFFFFF
        samples.append((state >> 16) % 12_000 - 6_000)
    return samples.tobytes()


def power(blocks: list[SoundBlock]) -> float:
    samples = array("h", b"".join(block.frames for block in blocks))
    return sum(one * one for one in samples) / len(samples)


def pid_of(driver: PortAudioMicrophone | PortAudioLoudspeaker) -> int:
    stream = driver._pump._stream
    assert stream is not None
    assert stream._transport is not None
    return stream._transport.get_pid()
