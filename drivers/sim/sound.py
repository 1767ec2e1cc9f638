"""A machine's sound without a card: a real PulseAudio, with pipes for a mouth and an ear.

    python -m drivers.sim.sound --control SOCKET [--rate RATE] [--lead BLOCKS]

Prints `ready SERVER`. What is said goes into the microphone `hall_mic`; what comes out of the
loudspeaker `hall_spk` is heard. Orders on the control socket (drivers/sim/control.py):

    speak {tone: 440 | noise: true | file: "x.wav", level: -20, seconds: 1}    level in dBFS
    hush
    heard            {seconds, level, frequency, silent_s} since the last `heard.clear`
    heard.clear      once nothing has been heard for a moment
    echo {delay_ms: 60, gain_db: -6}    echo.off     the loudspeaker is heard by the microphone
    unplug {part: "mic" | "spk"}        plug         without a part: both
    server.kill      server.start
    fault.set {fault: silent | muted, part} {fault: dead | noise | clipping}      fault.clear
    canceller        PulseAudio's own: source `hall_clean`, sink `hall_spoken`
    state
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import math
import os
import random
import shlex
import shutil
import signal
import tempfile
import threading
import time
import wave
from array import array
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.sim.control import control_socket

MIC, SPK, CLEAN, SPOKEN = "hall_mic", "hall_spk", "hall_clean", "hall_spoken"
_UP_LIMIT_S = 10.0
_BLOCK_S = 0.02
_FULL = 32_767
_FLOOR = 3
"""The noise of a live microphone, in steps of the scale: about -83 dBFS."""
_FADED_S = 0.15
_AUDIBLE = 40
"""A block whose peak is above this is heard: about -58 dBFS."""
_NOISE_DBFS, _CLIPPING_GAIN = -25.0, 8.0
_AIR_LIMIT_BLOCKS = 40
"""What the loudspeaker has played and nobody takes, while there is no microphone."""
_LATE_BLOCKS = 15
_PIPE_BYTES = 16_384
_REFLECTIONS = ((0.0, 1.0), (0.0071, 0.45), (0.0183, -0.3), (0.0467, 0.12))
"""An echo comes more than once: seconds after the first, and its share."""


class Room:
    """What is in the air before the microphone, and what came out of the loudspeaker."""

    def __init__(self, rate: int, lead: int) -> None:
        """`lead`: so many blocks the loudspeaker plays ahead of what the microphone takes.

        PulseAudio writes in gulps; an echo comes so much later.
        """
        self.rate = rate
        self._lead = lead
        self.block = round(rate * _BLOCK_S)
        self._random = random.Random(20261130)  # noqa: S311 - noise
        self._floor = array("h", self._noise(_FLOOR, rate))
        self._said: Iterator[int] | None = None
        self._echo: list[tuple[int, float]] = []
        self._air: deque[int] = deque()
        """Samples of the loudspeaker that have not reached the microphone's first reflection."""
        self._owed: int | None = None
        """Samples that came too late to be heard in time; None: nothing came for long."""
        self._past: array[int] = array("h")
        self.fault: str | None = None
        self.clear()

    def clear(self) -> None:
        """Forget what was heard."""
        self._blocks = self._power = self._at = self._last = 0
        self._rising: list[int] = []
        """Where it went through zero upwards: their spacing is the tone."""
        self._silent_since = time.monotonic()

    def speak(self, order: dict[str, Any]) -> None:
        """`ValueError` for what cannot be said."""
        amplitude = _FULL * 10 ** (float(order.get("level", -20)) / 20)
        count = round(float(order.get("seconds", 3600)) * self.rate)
        if "tone" in order:
            # The level is that of the peak.
            turn = math.tau * float(order["tone"]) / self.rate
            self._said = (round(amplitude * math.sin(turn * at)) for at in range(count))
        elif order.get("noise"):
            self._said = iter(self._noise(round(amplitude), count))
        elif "file" in order:
            with wave.open(str(order["file"])) as clip:
                if (clip.getframerate(), clip.getnchannels(), clip.getsampwidth()) != (
                    *(self.rate, 1),
                    2,
                ):
                    raise ValueError(f"not {self.rate} Hz, one channel, 16 bits")
                self._said = iter(array("h", clip.readframes(clip.getnframes())))
        else:
            raise ValueError("tone, noise or file")

    def hush(self) -> None:
        self._said = None

    def set_echo(self, delay_ms: float | None, gain_db: float) -> None:
        """None: there is none."""
        self._owed = None
        self._air.clear()
        gain = 10 ** (gain_db / 20)
        self._echo = (
            []
            if delay_ms is None
            else [
                (round((delay_ms / 1000 + later) * self.rate), gain * share)
                for later, share in _REFLECTIONS
            ]
        )

    def hear(self, frames: bytes) -> None:
        """A block out of the loudspeaker."""
        samples = array("h", frames)
        self._air.extend(samples)
        while len(self._air) > _AIR_LIMIT_BLOCKS * self.block:
            self._air.popleft()
        peak = max(map(abs, samples))
        if peak <= _AUDIBLE:
            return
        self._silent_since = time.monotonic()
        self._blocks += 1
        self._power += sum(sample * sample for sample in samples)
        for at, sample in enumerate(samples, self._at):
            if self._last < 0 <= sample:
                self._rising.append(at)
            self._last = sample
        self._at += len(samples)

    @property
    def heard(self) -> dict[str, float]:
        seconds = self._blocks * _BLOCK_S
        rms = math.sqrt(self._power / (self._blocks * self.block)) if self._blocks else 0
        return {
            "seconds": round(seconds, 3),
            "level": round(20 * math.log10(rms / _FULL), 1) if rms else -100.0,
            "frequency": self._frequency,
            "silent_s": round(time.monotonic() - self._silent_since, 3),
        }

    @property
    def _frequency(self) -> float:
        if len(self._rising) < 2:
            return 0.0
        periods = len(self._rising) - 1
        return round(periods * self.rate / (self._rising[-1] - self._rising[0]), 1)

    def air(self) -> bytes:
        """The next block into the microphone."""
        fresh = self._fresh()
        longest = max((delay for delay, _ in self._echo), default=0)
        self._past = (self._past + array("h", fresh))[-(longest + self.block) :]
        if self.fault == "dead":
            return bytes(2 * self.block)
        at = self._random.randrange(len(self._floor) - self.block)
        sound: list[float] = list(self._floor[at : at + self.block])
        if self.fault == "noise":
            loud = _FULL * 10 ** (_NOISE_DBFS / 20) / _FLOOR
            sound = [sample * loud for sample in sound]
        if (said := self._said) is not None:
            for index in range(self.block):
                sample = next(said, None)
                if sample is None:
                    self._said = None
                    break
                sound[index] += sample
        for delay, gain in self._echo:
            start = len(self._past) - self.block - delay
            for index in range(max(-start, 0), self.block):
                sound[index] += gain * self._past[start + index]
        if self.fault == "clipping":
            sound = [_CLIPPING_GAIN * _FULL * (1 if sample > 0 else -1) for sample in sound]
        return array("h", (max(-_FULL - 1, min(_FULL, round(one))) for one in sound)).tobytes()

    def _fresh(self) -> list[int]:
        """What the loudspeaker plays now: so that an echo's delay stays, what is late is lost."""
        if self._owed is None:
            if len(self._air) < self._lead * self.block:
                return [0] * self.block
            self._owed = 0
        while self._owed and self._air:
            self._air.popleft()
            self._owed -= 1
        fresh = [self._air.popleft() for _ in range(min(self.block, len(self._air)))]
        self._owed += self.block - len(fresh)
        if self._owed > self._lead * self.block:
            self._owed = None
        return fresh + [0] * (self.block - len(fresh))

    def _noise(self, peak: int, count: int) -> list[int]:
        return [self._random.randint(-peak, peak) for _ in range(count)]


class Twin:
    """The server, its devices, and a thread that speaks into them and listens."""

    def __init__(self, folder: Path, rate: int, lead: int) -> None:
        self._folder = folder
        self.server = f"unix:{folder / 'native'}"
        self.room = Room(rate, lead)
        self._rate = rate
        self._process: asyncio.subprocess.Process | None = None
        self._modules: dict[str, str] = {}
        self._faulty = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._carry, daemon=True)

    @property
    def plugged(self) -> dict[str, bool]:
        return {part: part in self._modules for part in ("mic", "spk")}

    async def start(self) -> None:
        """`RuntimeError` where PulseAudio does not come up."""
        await self.start_server()
        self._thread.start()

    async def start_server(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        if shutil.which("pulseaudio") is None:
            raise RuntimeError("pulseaudio is missing: install Debian's pulseaudio")
        for left in (self._folder / "native", self._pipe(MIC), self._pipe(SPK)):
            left.unlink(missing_ok=True)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("PULSE_")
        }
        self._process = await asyncio.create_subprocess_exec(
            *("pulseaudio", "-n", "--daemonize=no", "--system=false", "--use-pid-file=no"),
            *("--exit-idle-time=-1", "--disable-shm=yes", "--realtime=no", "--high-priority=no"),
            f"--load=module-native-protocol-unix socket={self._folder / 'native'} auth-anonymous=1",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment
            | {"HOME": str(self._folder), "XDG_RUNTIME_DIR": str(self._folder), "LC_ALL": "C"},
        )
        async with asyncio.timeout(_UP_LIMIT_S):
            while not await self._pactl("info"):
                if self._process.returncode is not None:
                    raise RuntimeError(f"pulseaudio ended with {self._process.returncode}")
                await asyncio.sleep(0.02)
        self._modules.clear()
        await self.plug()

    async def kill_server(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self._modules.clear()

    async def stop(self) -> None:
        self._ended.set()
        await asyncio.to_thread(self._thread.join)
        await self.kill_server()

    async def plug(self) -> None:
        """Both, where they are not."""
        shared = f"rate={self._rate} channels=1 format=s16le"
        if "spk" not in self._modules:
            self._modules["spk"] = await self._load(
                f"module-pipe-sink sink_name={SPK} file={self._pipe(SPK)} {shared} "
                "use_system_clock_for_timing=yes "
                "sink_properties=device.description=Hall_loudspeaker"
            )
            await self._pactl("set-default-sink", SPK)
        if "mic" not in self._modules:
            self._modules["mic"] = await self._load(
                f"module-pipe-source source_name={MIC} file={self._pipe(MIC)} {shared} "
                "source_properties=device.description=Hall_microphone"
            )
            await self._pactl("set-default-source", MIC)

    async def unplug(self, parts: list[str]) -> None:
        for part in parts:
            if (module := self._modules.pop(part, None)) is not None:
                await self._pactl("unload-module", module)

    async def canceller(self) -> None:
        await self._load(
            f"module-echo-cancel source_master={MIC} sink_master={SPK} source_name={CLEAN} "
            f"sink_name={SPOKEN} aec_method=webrtc use_master_format=1 "
            "'aec_args=\"analog_gain_control=0 extended_filter=1\"'"
        )

    async def set_fault(self, fault: str, parts: list[str]) -> None:
        self._faulty = True
        sides = {"mic": ("source", MIC), "spk": ("sink", SPK)}
        for part in parts:
            side, name = sides[part]
            if fault == "silent":
                await self._pactl(f"suspend-{side}", name, "1")
            elif fault == "muted":
                await self._pactl(f"set-{side}-mute", name, "1")
        if fault in ("dead", "noise", "clipping"):
            self.room.fault = fault
        elif fault not in ("silent", "muted"):
            raise KeyError(fault)

    async def clear_faults(self) -> None:
        self.room.fault = None
        if not self._faulty:
            return
        self._faulty = False
        for side, name in (("source", MIC), ("sink", SPK)):
            await self._pactl(f"suspend-{side}", name, "0")
            await self._pactl(f"set-{side}-mute", name, "0")

    async def _load(self, module: str) -> str:
        number = await self._pactl("load-module", *shlex.split(module))
        if not number:
            raise RuntimeError(f"PulseAudio does not load {module.partition(' ')[0]}")
        return number

    async def _pactl(self, *arguments: str) -> str:
        """What it says; empty where it fails."""
        process = await asyncio.create_subprocess_exec(
            *("pactl", "--server", self.server, *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        said, _ = await process.communicate()
        return said.decode().strip() if process.returncode == 0 else ""

    def _pipe(self, name: str) -> Path:
        return self._folder / f"{name}.pipe"

    def _carry(self) -> None:
        """A thread: every 20 ms what the loudspeaker played, and a block for the microphone."""
        mouth, ear = Pipe(self._pipe(MIC), os.O_WRONLY), Pipe(self._pipe(SPK), os.O_RDONLY)
        size = 2 * self.room.block
        held = bytearray()
        due = time.monotonic()
        while not self._ended.is_set():
            held += ear.read()
            while len(held) >= size:
                self.room.hear(bytes(held[:size]))
                del held[:size]
            mouth.write(self.room.air())
            due = max(due + _BLOCK_S, time.monotonic() - _LATE_BLOCKS * _BLOCK_S)
            self._ended.wait(max(due - time.monotonic(), 0))
        mouth.close()
        ear.close()


class Pipe:
    """This end of a pipe that PulseAudio makes and removes; never waits."""

    def __init__(self, path: Path, way: int) -> None:
        self._path = path
        self._way = way
        self._end: int | None = None
        self._node = 0

    def read(self) -> bytes:
        """What is there."""
        if not self._is_open():
            return b""
        try:
            return os.read(self._end or 0, 1 << 16)
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """As much as there is room for: what nobody takes is gone."""
        if self._is_open():
            with suppress(OSError):
                os.write(self._end or 0, data)

    def close(self) -> None:
        if self._end is not None:
            os.close(self._end)
        self._end = None

    def _is_open(self) -> bool:
        """Opens the pipe that is there now."""
        try:
            node = self._path.stat().st_ino
            if self._end is None or node != self._node:
                self.close()
                self._end = os.open(self._path, self._way | os.O_NONBLOCK)
                fcntl.fcntl(self._end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
                self._node = node
        except OSError:
            self.close()
        return self._end is not None


class Orders:
    """What the control socket asks of it."""

    def __init__(self, twin: Twin) -> None:
        self._twin = twin

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        twin, room = self._twin, self._twin.room
        parts = [order["part"]] if "part" in order else ["mic", "spk"]
        match do:
            case "speak":
                room.speak(order)
            case "hush":
                room.hush()
            case "heard":
                return {"heard": room.heard}
            case "heard.clear":
                # The last of what somebody played may still be in a pipe.
                while room.heard["silent_s"] < _FADED_S:  # noqa: ASYNC110  # a thread's
                    await asyncio.sleep(_BLOCK_S)
                room.clear()
            case "echo":
                room.set_echo(float(order.get("delay_ms", 60)), float(order.get("gain_db", -6)))
            case "echo.off":
                room.set_echo(None, 0)
            case "state":
                return {"state": {"server": twin.server, "plugged": twin.plugged}}
            case _:
                await self._devices(do, order, parts)
        return None

    async def _devices(self, do: str, order: dict[str, Any], parts: list[str]) -> None:
        twin = self._twin
        match do:
            case "unplug":
                await twin.unplug(parts)
            case "plug":
                await twin.plug()
            case "server.kill":
                await twin.kill_server()
            case "server.start":
                await twin.start_server()
            case "fault.set":
                await twin.set_fault(str(order["fault"]), parts)
            case "fault.clear":
                await twin.clear_faults()
            case "canceller":
                await twin.canceller()
            case _:
                raise KeyError(do)


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    folder = Path(tempfile.mkdtemp(prefix="hall-sound-"))
    twin = Twin(folder, arguments.rate, arguments.lead)
    try:
        await twin.start()
        async with control_socket(arguments.control, Orders(twin).order):
            print("ready", twin.server, flush=True)  # noqa: T201 - whoever started us waits
            await ended.wait()
    finally:
        await twin.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.sound")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--rate", type=int, default=16_000, help="samples a second of its devices")
    parser.add_argument("--lead", type=int, default=10, help="blocks between sound and its echo")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
