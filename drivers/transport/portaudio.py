"""A sound device through PortAudio: the side of the program that uses it.

The stream runs in a process of its own (`drivers/transport/portaudio_pump.py` says why). It is
private to this program: sound crosses one pipe and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import Callable
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from drivers.transport.portaudio_pump import BLOCK, FAULT, FLUSH, HEAD, READY
from drivers.transport.pulse import Endpoint, find
from hallkit.errors import (
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.model.sound import BLOCK_S, SAMPLE_BYTES

Direction = Literal["capture", "playback"]
Heard = Callable[[bytes, int, float, bytes], None]
"""Takes a message of the stream: kind, number, time, bytes."""
CLOSE_LIMIT_S = 1.0
_LONGEST_DETAIL = 500
_LONGEST_MESSAGE = 1 << 20
_PULSE_LATENCY_MS = {"capture": "40", "playback": "80"}
"""What is played may be held longer: a stop throws it away, and a busy machine stutters less."""


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
        self._stream: Stream | None = None
        self.endpoint: Endpoint | None = None
        """What PulseAudio says of it, as it was last asked."""

    @property
    def is_open(self) -> bool:
        return self._stream is not None and self._stream.fault is None

    async def open(self, *, timeout_s: float) -> None:
        """Find the device and start its stream; `DeviceError` for anything that is in the way."""
        if self.is_open:
            return
        await self.close()
        try:
            async with asyncio.timeout(timeout_s):
                await self.look(timeout_s=timeout_s)
                self._stream = await self._start()
                await self._stream.ready
            self.check()
        except TimeoutError as exc:
            await self.close()
            raise DeviceTimeout(self._device_id, Reason.SILENT, "does not open") from exc
        except BaseException:
            await self.close()
            raise

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
        if self._stream is None:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "the stream is not open")
        if self._stream.fault is not None:
            raise self._stream.fault

    def play(self, number: int, frames: bytes) -> None:
        """Hand over one block."""
        self._send(BLOCK, number, frames)

    def flush(self, number: int) -> None:
        """Throw away what was handed over and not heard; `FLUSH` with this number confirms it."""
        self._send(FLUSH, number, b"")

    async def close(self) -> None:
        """End the stream and its process; never raises."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.end()

    async def _start(self) -> Stream:
        port = self._port
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
            environment["PULSE_LATENCY_MSEC"] = _PULSE_LATENCY_MS[self._direction]
        if port.server:
            environment["PULSE_SERVER"] = port.server
        _, stream = await asyncio.get_running_loop().subprocess_exec(
            lambda: Stream(self._device_id, self._heard),
            *(sys.executable, "-P", "-m", "drivers.transport.portaudio_pump"),
            json.dumps(settings),
            # libasound tells there of every device that it does not find.
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        return stream

    def _send(self, kind: bytes, number: int, data: bytes) -> None:
        self.check()
        if self._stream is not None:
            self._stream.write(HEAD.pack(kind, number, 0.0, len(data)) + data)


class Stream(asyncio.SubprocessProtocol):
    """The process of one stream, and the messages that it tells."""

    def __init__(self, device_id: str, heard: Heard) -> None:
        self._device_id = device_id
        self._heard = heard
        self._transport: asyncio.SubprocessTransport | None = None
        self._held = bytearray()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = False
        self.fault: DeviceError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:  # noqa: ARG002  # asyncio's
        assert isinstance(data, bytes)  # noqa: S101 - of a pipe it is
        self._held += data
        while len(self._held) >= HEAD.size:
            kind, number, mono_s, length = HEAD.unpack_from(self._held)
            if length > _LONGEST_MESSAGE or not math.isfinite(mono_s):
                self._held.clear()
                self._fail(self._garbled())
                return
            if len(self._held) < HEAD.size + length:
                return
            content = bytes(self._held[HEAD.size : HEAD.size + length])
            del self._held[: HEAD.size + length]
            self._take(kind, number, mono_s, content)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's
        """The process and its pipes have ended."""
        self._fail(
            DeviceUnavailable(self._device_id, Reason.PORT_GONE, "the stream's process has ended")
        )
        if self._transport is not None:
            self._transport.close()
        if not self._gone.done():
            self._gone.set_result(None)

    def write(self, data: bytes) -> None:
        """To the process; what it does not take any more is lost."""
        pipe = self._transport and self._transport.get_pipe_transport(0)
        if isinstance(pipe, asyncio.WriteTransport) and not pipe.is_closing():
            pipe.write(data)

    async def end(self) -> None:
        """End the process, kindly first."""
        self._ending = True
        transport = self._transport
        if transport is None:
            return
        pipe = transport.get_pipe_transport(0)
        if pipe is not None:
            pipe.close()
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await asyncio.shield(self._gone)
        except TimeoutError:
            transport.close()  # kills it
            await asyncio.wait({self._gone}, timeout=CLOSE_LIMIT_S)
        except asyncio.CancelledError:
            transport.close()
            raise

    def _take(self, kind: bytes, number: int, mono_s: float, data: bytes) -> None:
        if kind == READY:
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == FAULT:
            self._fail(self._told(data))
        elif not self._ending:
            self._heard(kind, number, mono_s, data)

    def _told(self, data: bytes) -> DeviceError:
        try:
            told = json.loads(data)
            reason = Reason(told["reason"])
            detail = str(told["detail"])[:_LONGEST_DETAIL]
        except (ValueError, KeyError, TypeError):
            return self._garbled()
        fault = NotSupported if reason is Reason.UNSUPPORTED else DeviceUnavailable
        return fault(self._device_id, reason, detail)

    def _garbled(self) -> ProtocolError:
        return ProtocolError(self._device_id, Reason.GARBLED, "the stream's process")

    def _fail(self, fault: DeviceError) -> None:
        """Whoever waits looks at the fault."""
        if self.fault is not None:
            return
        self.fault = fault
        if not self.ready.done():
            self.ready.set_result(None)
        self._heard(FAULT, 0, 0.0, b"")
