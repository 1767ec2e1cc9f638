"""What the process of a sound stream tells, and what PulseAudio lists, under nonsense."""

from __future__ import annotations

import asyncio
import json
from random import Random

from drivers.loudspeaker.portaudio_loudspeaker import (
    PortAudioLoudspeaker,
    PortAudioLoudspeakerConfig,
)
from drivers.microphone.portaudio_microphone import PortAudioMicrophone, PortAudioMicrophoneConfig
from drivers.transport.portaudio import Stream
from drivers.transport.portaudio_pump import BEAT, BLOCK, FAULT, FLUSH, HEAD, READY, TAKEN
from drivers.transport.pulse import endpoints_of
from hallkit.errors import DeviceError
from launcher.rehearsals.fuzz_wire import WireClock, in_pieces
from launcher.rehearsals.nonsense import broken

_REFUSED = b'{"reason": "occupied", "detail": "busy"}'


def _message(kind: bytes, number: int, data: bytes = b"") -> bytes:
    return HEAD.pack(kind, number, 1_000.0, len(data)) + data


_MESSAGES = (
    _message(READY, 0),
    _message(BLOCK, 0, bytes(640)),
    _message(BLOCK, 1, b"\xff\x7f" * 320),
    _message(TAKEN, 1),
    _message(FLUSH, 2),
    _message(BEAT, 0),
    _message(FAULT, 0, _REFUSED),
)
_LISTED = json.dumps(
    [
        {"name": "mic", "description": "Mic", "mute": True, "monitor_source": ""},
        {"name": "spk.monitor", "mute": False, "volume": {"mono": {"value": 0}}},
    ]
).encode()


class SoundDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        said = b"".join(broken(random, random.choice(_MESSAGES), _MESSAGES) for _ in range(8))
        self.last_input = said.hex()
        clock = WireClock()
        take = random.choice((_microphone(clock)._take, _loudspeaker(clock)._take))  # noqa: SLF001
        stream = Stream("fuzz", take)
        for piece in in_pieces(random, said):
            stream.pipe_data_received(1, piece or b"")
        await asyncio.sleep(0)
        return "no fault" if stream.fault is None else stream.fault.reason


class SoundLists:
    last_input = ""

    async def once(self, random: Random) -> str:
        said = broken(random, _LISTED, (_LISTED,))
        self.last_input = said.hex()
        try:
            listed = json.loads(said.decode("utf-8", "replace"))
        except ValueError:
            return "no JSON"
        try:
            return f"{len(endpoints_of('fuzz', 'source', listed))} devices"
        except DeviceError as fault:
            return fault.reason


def _microphone(clock: WireClock) -> PortAudioMicrophone:
    config = PortAudioMicrophoneConfig(id="fuzz", driver="portaudio_microphone")
    return PortAudioMicrophone(config, clock)


def _loudspeaker(clock: WireClock) -> PortAudioLoudspeaker:
    config = PortAudioLoudspeakerConfig(id="fuzz", driver="portaudio_loudspeaker")
    return PortAudioLoudspeaker(config, clock)
