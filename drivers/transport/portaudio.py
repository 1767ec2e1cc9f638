"""A sound device through PortAudio: the side of the program that uses it.

The stream runs in a process of its own (`drivers/transport/portaudio_pump.py` says why). It is
private to this program: sound crosses one pipe and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from drivers.transport.portaudio_pump import BLOCK, FAULT, FLUSH, HEAD, READY
from drivers.transport.pulse import Endpoint, find
from hallkit.errors import DeviceError, DeviceTimeout, DeviceUnavailable, NotSupported, Reason
from hallkit.model.sound import BLOCK_S, SAMPLE_BYTES

Direction = Literal["capture", "playback"]
Heard = Callable[[bytes, int, float, bytes], None]
"""Takes a message of the stream: kind, number, time, bytes."""
CLOSE_LIMIT_S = 1.0
_LONGEST_MESSAGE = 1 << 20
_PULSE_LATENCY_MS = "40"


class PortAudioPort(BaseModel):
    """A sound device of the machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["portaudio"] = "portaudio"
    device: Annotated[str, Field(max_length=200, examples=["usb-ReSpeaker"])] = ""
    """Its name, or a part that only one name holds; empty: the default."""
    host_api: Literal["pulse", "alsa"] = "pulse"
    """PulseAudio (or PipeWire in its place), or the card itself, which nobody else can use then."""
    rate: Annotated[int, Field(ge=8_000, le=48_000)] = 16_000
    """Samples a second. PulseAudio makes them of any card's; a bare card must have the rate."""
    channels: Annotated[int, Field(ge=1, le=2)] = 1
    """As the card is opened; of two the first is heard, and both are played."""
    server: Annotated[str, Field(max_length=200)] = ""
    """PulseAudio's address where it is not the user's own."""

    def __str__(self) -> str:
        return f"portaudio:{self.host_api}:{self.device or 'default'}@{self.rate}"

    @property
    def block_frames(self) -> int:
        """Samples of one block."""
        return round(self.rate * BLOCK_S)

    @property
    def block_bytes(self) -> int:
        return self.block_frames * SAMPLE_BYTES


class Pump:
    """One stream. Opened anew after a loss: then PortAudio looks at what is plugged in."""

    def __init__(
        self, device_id: str, port: PortAudioPort, direction: Direction, heard: Heard
    ) -> None:
        self._device_id = device_id
        self._port = port
        self._direction = direction
        self._heard = heard
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._fault: DeviceError | None = None
        self.endpoint: Endpoint | None = None
        """What PulseAudio says of it, as it was last asked."""

    @property
    def is_open(self) -> bool:
        return self._reading is not None and not self._reading.done()

    async def open(self, *, timeout_s: float) -> None:
        """Find the device and start its stream; `DeviceError` for anything that is in the way."""
        if self.is_open:
            return
        await self.close()
        try:
            async with asyncio.timeout(timeout_s):
                await self.look(timeout_s=timeout_s)
                await self._start()
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "does not open") from exc
        finally:
            if not self.is_open:
                await self.close()

    async def look(self, *, timeout_s: float) -> None:
        """Ask PulseAudio for the device; `DeviceUnavailable` where it is gone.

        PulseAudio moves the stream of a device that went away to the next best one, be it the
        monitor of the loudspeaker, and says nothing.
        """
        if self._port.host_api == "pulse":
            found = await find(
                self._device_id,
                "source" if self._direction == "capture" else "sink",
                self._port.device,
                server=self._port.server,
                timeout_s=timeout_s,
            )
            if self.is_open and self.endpoint is not None and self.endpoint.name != found.name:
                raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "replaced by another")
            self.endpoint = found

    def check(self) -> None:
        """`DeviceError` where the stream has ended."""
        if self._fault is not None:
            raise self._fault
        if not self.is_open:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "the stream is not open")

    def play(self, number: int, frames: bytes) -> None:
        """Hand over one block."""
        self._send(BLOCK, number, frames)

    def flush(self, number: int) -> None:
        """Throw away what was handed over and not heard; `FLUSH` with this number confirms it."""
        self._send(FLUSH, number, b"")

    async def close(self) -> None:
        """End the stream and its process; never raises."""
        reading, self._reading = self._reading, None
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
            if reading is not None:
                # To the end of the pipe, so that nothing of the process stays open.
                await asyncio.wait({reading}, timeout=CLOSE_LIMIT_S)
                reading.cancel()
            self._fault = None

    async def _start(self) -> None:
        port = self._port
        self._fault = None
        settings = {
            "direction": self._direction,
            "device": "pulse" if port.host_api == "pulse" else port.device,
            "rate": port.rate,
            "channels": port.channels,
            "block_frames": port.block_frames,
        }
        environment = dict(os.environ)
        if self.endpoint is not None:
            variable = "PULSE_SOURCE" if self._direction == "capture" else "PULSE_SINK"
            environment[variable] = self.endpoint.name
            # Else PulseAudio may hold sound for up to two seconds to save power.
            environment["PULSE_LATENCY_MSEC"] = _PULSE_LATENCY_MS
        if port.server:
            environment["PULSE_SERVER"] = port.server
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "drivers.transport.portaudio_pump"),
            json.dumps(settings),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # libasound tells there of every device that it does not find.
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        if self._process.stdout is None:
            raise RuntimeError("no standard output")
        ready = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(
            self._read(self._process.stdout, ready), name=f"sound[{self._device_id}]"
        )
        await ready
        self.check()

    async def _read(self, reader: asyncio.StreamReader, ready: asyncio.Future[None]) -> None:
        try:
            while True:
                kind, number, mono_s, length = HEAD.unpack(await reader.readexactly(HEAD.size))
                data = await reader.readexactly(min(length, _LONGEST_MESSAGE))
                if kind == READY:
                    ready.set_result(None)
                elif kind == FAULT:
                    self._fault = self._fault_of(data)
                    return
                else:
                    self._heard(kind, number, mono_s, data)
        except asyncio.IncompleteReadError:
            self._fault = self._fault or DeviceUnavailable(
                self._device_id, Reason.PORT_GONE, "the stream's process has ended"
            )
        finally:
            if not ready.done():
                ready.set_result(None)
            # Whoever waits looks at the fault.
            self._heard(FAULT, 0, 0.0, b"")

    def _fault_of(self, data: bytes) -> DeviceError:
        told = json.loads(data)
        reason = Reason(told["reason"])
        fault = NotSupported if reason is Reason.UNSUPPORTED else DeviceUnavailable
        return fault(self._device_id, reason, str(told["detail"])[:500])

    def _send(self, kind: bytes, number: int, data: bytes) -> None:
        self.check()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(HEAD.pack(kind, number, 0.0, len(data)) + data)
