"""A network camera: MJPEG over HTTP, and RTSP with JPEG or H.264, on one port of loopback.

    python -m drivers.sim.camera --control SOCKET [--port PORT] [--fps 15] [--width 256]
                                 [--height 192] [--codec jpeg|h264] [--grain] [--clock]
                                 [--user U --password-file F] [--scenes FOLDER]

Prints `ready PORT`. `http://127.0.0.1:PORT/video` gives multipart/x-mixed-replace,
`rtsp://127.0.0.1:PORT/video` answers the part of RFC 2326 that players use, its packets
interleaved in TCP. Every picture shows its number (camera_picture.py), with `--clock` the
milliseconds of the machine's monotonic clock; its pace is `--fps`. With `--scenes` (JPEG alone) it
shows those of the pictures NAME.jpg there that `scene` names, in turn.
Orders on the control socket (drivers/sim/control.py):

    fault.set {fault, times, seconds}      fault.clear
        stall      connected, and no pictures    drop      pictures that are not sent
        garble     broken pictures               half      cut pictures
        hang_up    it ends the stream            black     the lens is covered
        slow       a picture each {seconds}      deaf      it takes connections and never answers
        refuse     it answers 403                busy      it answers 503: all its places are taken
        unauthorised   no password is right
    pace {fps}                             pictures a second, as at first without a number;
                                           0: none but those of `show`
    scene {names}                          what lies before the lens, in turn
    show {count}                           so many pictures at once
    disconnect                             everybody; they may come back
    unplug  plug                           the network's cable
    state      {port, plugged, connections, sent, viewers}
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.sim import camera_h264 as h264
from drivers.sim.camera_picture import grain, jpeg
from drivers.sim.camera_rtp import CLOCK_HZ, H264_TYPE, JPEG_TYPE, Packets
from drivers.sim.control import control_socket
from drivers.sim.scenes import scene_of, scenes_in

FAULTS = frozenset(
    {"stall", "drop", "garble", "half", "hang_up", "black", "slow", "deaf", "refuse", "busy"}
    | {"unauthorised"}
)
_REFUSALS = {
    "refuse": "403 Forbidden",
    "busy": "503 Service Unavailable",
    "unauthorised": "401 Unauthorized",
}
_OF_THE_LENS = frozenset({"black"})
_REALM, _NONCE = "twin", "0badcafe"
_PATH = "/video"
_BOUNDARY = b"frame"
_LONGEST_REQUEST = 1 << 16
_KEPT = 64
"""Pictures that wait for a viewer."""
_INTERLEAVED = b"$"
_HEAD_BYTES = 12
"""Of an RTP packet; of a JPEG it is its first marker and some of the next."""


@dataclass(slots=True)
class _Fault:
    name: str
    times: int
    """Pictures or answers that it strikes; 0: until cleared."""
    seconds: float


def _fault_of(order: Mapping[str, Any]) -> _Fault:
    name = str(order.get("fault"))
    if name not in FAULTS:
        raise ValueError(f"no such fault: {name}")
    return _Fault(name, int(order.get("times", 1)), float(order.get("seconds", 1.0)))


@dataclass(frozen=True, slots=True)
class Access:
    """Who may look; nobody is asked without a user."""

    user: str = ""
    password: str = ""

    def lets_in(self, method: str, headers: Mapping[str, str]) -> bool:
        if not self.user:
            return True
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            told = base64.b64decode(rest, validate=False).decode("utf-8", "replace")
            return told == f"{self.user}:{self.password}"
        if scheme.lower() != "digest":
            return False
        told_of = {
            name.strip(): value.strip('"')
            for name, _, value in (part.partition("=") for part in rest.split(", "))
        }
        ours = _md5(f"{self.user}:{_REALM}:{self.password}")
        asked = _md5(f"{method}:{told_of.get('uri', '')}")
        return told_of.get("response") == _md5(f"{ours}:{_NONCE}:{asked}")


def _turned_over(data: bytes) -> bytes:
    """Behind the first bytes, which would be no picture and no packet at all otherwise."""
    return data[:_HEAD_BYTES] + bytes(byte ^ 0x80 for byte in data[_HEAD_BYTES:])


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class Camera:
    """Makes pictures and shows them to whoever is connected."""

    def __init__(
        self,
        *,
        width: int,
        height: int,
        fps: float,
        codec: str,
        access: Access,
        has_grain: bool = False,
        shows_clock: bool = False,
        scenes: Mapping[str, bytes] | None = None,
    ) -> None:
        self._size = (width, height)
        self._scenes = dict(scenes or {})
        self._scene = [next(iter(self._scenes))] if scenes else []
        self._noise = grain(width, height) if has_grain else None
        self._shows_clock = shows_clock
        self._codec = codec
        self._access = access
        self._fault: _Fault | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._viewers: set[asyncio.Queue[bytes]] = set()
        self._pace_changed = asyncio.Event()
        self._fps = self._usual_fps = fps
        self._sent = 0
        self._met = 0
        self.port = 0
        """Stays the same over `unplug` and `plug`."""

    async def plug(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, limit=_LONGEST_REQUEST
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Refuse everybody, and hang up on those who are there."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        await self._hang_up()

    async def _hang_up(self) -> None:
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def run(self) -> None:
        """Pictures at the pace that is set, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            fault = self._fault
            slow = fault is not None and fault.name == "slow"
            wait_s = fault.seconds if fault is not None and slow else self._interval_s()
            # A late picture is not made up for: a camera has no past ones.
            due = max(due + wait_s, loop.time()) if wait_s is not None else loop.time()
            self._pace_changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if wait_s is None else due - loop.time()):
                    await self._pace_changed.wait()
                due = loop.time()
                continue
            self.show()

    def _interval_s(self) -> float | None:
        return 1 / self._fps if self._fps else None

    def show(self, count: int = 1) -> None:
        """So many pictures, one behind the other."""
        for _ in range(count):
            self._sent += 1
            struck = self._next_fault(_OF_THE_LENS)
            shown = time.monotonic_ns() // 1_000_000 if self._shows_clock else self._sent
            number = None if struck == "black" else shown
            if self._codec == "h264":
                data = h264.picture(*self._size, number, index=self._sent)
            elif self._scene and number is not None:
                data = self._scenes[self._scene[self._sent % len(self._scene)]]
            else:
                data = jpeg(*self._size, number, noise=self._noise)
            for viewer in self._viewers:
                if viewer.full():
                    # Who is slow misses pictures: a camera keeps few.
                    viewer.get_nowait()
                viewer.put_nowait(data)

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "fault.set":
                self._fault = _fault_of(order)
                self._pace_changed.set()
            case "fault.clear":
                self._fault = None
                self._pace_changed.set()
            case "pace":
                self._fps = float(order.get("fps", self._usual_fps))
                self._pace_changed.set()
            case "scene":
                self._scene = scene_of(order, self._scenes)
            case "show":
                self.show(int(order.get("count", 1)))
            case "disconnect":
                await self._hang_up()
            case "unplug":
                await self.unplug()
            case "plug":
                await self.plug()
            case "state":
                return {
                    "state": {
                        "port": self.port,
                        "plugged": self._server is not None,
                        "connections": self._met,
                        "sent": self._sent,
                        "viewers": len(self._viewers),
                    }
                }
            case _:
                raise KeyError(do)
        return None

    def _next_fault(self, meant: frozenset[str]) -> str:
        fault = self._fault
        if fault is None or fault.name not in meant:
            return ""
        if fault.times:
            fault.times -= 1
            if not fault.times:
                self._fault = None
        return fault.name

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        self._met += 1
        try:
            if self._next_fault(frozenset({"deaf"})):
                await asyncio.Event().wait()
            method, target, headers = await _request(reader)
            if target.startswith("rtsp:"):
                await Rtsp(self, reader, writer).run(method, target, headers)
            else:
                await self._show_http(method, target, headers, writer)
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # the player has gone, or we were unplugged
        finally:
            writer.close()

    def refusal(self, method: str, target: str, headers: Mapping[str, str]) -> str:
        """Why this request is turned down; empty where it is not."""
        if struck := self._next_fault(frozenset(_REFUSALS)):
            return _REFUSALS[struck]
        if not self._access.lets_in(method, headers):
            return _REFUSALS["unauthorised"]
        return "" if _PATH in target else "404 Not Found"

    async def _show_http(
        self, method: str, target: str, headers: Mapping[str, str], writer: asyncio.StreamWriter
    ) -> None:
        if refusal := self.refusal(method, target, headers):
            challenge = f'WWW-Authenticate: Basic realm="{_REALM}"\r\n' if "401" in refusal else ""
            writer.write(f"HTTP/1.0 {refusal}\r\n{challenge}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        kind = b"multipart/x-mixed-replace; boundary=" + _BOUNDARY
        writer.write(b"HTTP/1.0 200 OK\r\nCache-Control: no-cache\r\nContent-Type: " + kind)
        writer.write(b"\r\n\r\n")
        with self.viewer() as pictures:
            while True:
                data, struck = await self.next_of(pictures)
                if struck == "half":
                    data = data[: len(data) // 2]
                elif struck == "garble":
                    data = _turned_over(data)
                head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % (_BOUNDARY, len(data)) + data + b"\r\n")
                await writer.drain()

    @contextlib.contextmanager
    def viewer(self) -> Any:
        """The queue of one who looks."""
        pictures: asyncio.Queue[bytes] = asyncio.Queue(_KEPT)
        self._viewers.add(pictures)
        try:
            yield pictures
        finally:
            self._viewers.discard(pictures)

    async def next_of(self, pictures: asyncio.Queue[bytes]) -> tuple[bytes, str]:
        """The next picture, and how it is to be spoilt. `EOFError` to hang up."""
        meant = frozenset({"stall", "drop", "garble", "half", "hang_up"})
        while True:
            data = await pictures.get()
            struck = self._next_fault(meant)
            if struck == "hang_up":
                raise EOFError
            if struck not in {"stall", "drop"}:
                return data, struck

    @property
    def codec(self) -> str:
        return self._codec

    @property
    def size(self) -> tuple[int, int]:
        return self._size


class Rtsp:
    """One player's session (RFC 2326): requests, and packets between the answers."""

    def __init__(
        self, camera: Camera, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._camera = camera
        self._reader = reader
        self._writer = writer
        self._channel = 0
        self._playing: asyncio.Task[None] | None = None

    async def run(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        try:
            while True:
                self._answer(method, target, headers)
                await self._writer.drain()
                if method == "TEARDOWN":
                    return
                method, target, headers = await self._next_request()
        finally:
            if self._playing is not None:
                self._playing.cancel()

    async def _next_request(self) -> tuple[str, str, Mapping[str, str]]:
        """Between requests a player tells how it receives (RTCP); nobody needs that here."""
        while True:
            first = await self._reader.readexactly(1)
            if first != _INTERLEAVED:
                return await _request(self._reader, first)
            head = await self._reader.readexactly(3)
            await self._reader.readexactly(int.from_bytes(head[1:], "big"))

    def _answer(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        status, more, body = "200 OK", "", ""
        refusal = "" if method == "OPTIONS" else self._camera.refusal(method, target, headers)
        if refusal:
            status = refusal
            if "401" in refusal:
                more = f'WWW-Authenticate: Digest realm="{_REALM}", nonce="{_NONCE}"\r\n'
        elif method == "OPTIONS":
            more = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = self._description()
            more = f"Content-Base: {target}/\r\nContent-Type: application/sdp\r\n"
        elif method == "SETUP":
            asked = headers.get("transport", "")
            if "interleaved=" in asked:
                self._channel = int(asked.partition("interleaved=")[2].split("-")[0])
                more = f"Transport: {asked}\r\nSession: 1;timeout=60\r\n"
            else:
                status = "461 Unsupported Transport"
        elif method == "PLAY":
            more = "Session: 1\r\nRange: npt=0.000-\r\n"
            if self._playing is None:
                self._playing = asyncio.create_task(self._play(), name="rtsp play")
        elif method not in {"GET_PARAMETER", "TEARDOWN"}:
            status = "405 Method Not Allowed"
        number = headers.get("cseq", "0")
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        self._writer.write(
            f"RTSP/1.0 {status}\r\nCSeq: {number}\r\n{more}{length}\r\n{body}".encode()
        )

    def _description(self) -> str:
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=Twin", "c=IN IP4 0.0.0.0", "t=0 0"]
        if self._camera.codec == "h264":
            sets = h264.parameter_sets(*self._camera.size)
            told = ",".join(base64.b64encode(one).decode() for one in sets)
            lines += [
                f"m=video 0 RTP/AVP {H264_TYPE}",
                f"a=rtpmap:{H264_TYPE} H264/{CLOCK_HZ}",
                f"a=fmtp:{H264_TYPE} packetization-mode=1;sprop-parameter-sets={told}",
            ]
        else:
            lines += [f"m=video 0 RTP/AVP {JPEG_TYPE}"]
        return "\r\n".join([*lines, "a=control:track1", ""])

    async def _play(self) -> None:
        is_h264 = self._camera.codec == "h264"
        packets = Packets(H264_TYPE if is_h264 else JPEG_TYPE)
        loop = asyncio.get_running_loop()
        began = loop.time()
        sets = h264.parameter_sets(*self._camera.size)
        try:
            with self._camera.viewer() as pictures:
                while True:
                    data, struck = await self._camera.next_of(pictures)
                    stamp = int((loop.time() - began) * CLOCK_HZ)
                    if is_h264:
                        packed = list(packets.of_h264((*sets, data), timestamp=stamp))
                    else:
                        packed = list(packets.of_jpeg(data, timestamp=stamp))
                    if struck == "half":
                        packed = packed[: len(packed) // 2]
                    for one in packed:
                        self._send(_turned_over(one) if struck == "garble" else one)
                    await self._writer.drain()
        except (OSError, EOFError):
            self._writer.close()

    def _send(self, packet: bytes) -> None:
        if self._writer.is_closing():
            raise EOFError
        head = _INTERLEAVED + bytes((self._channel,)) + len(packet).to_bytes(2, "big")
        self._writer.write(head + packet)


async def _request(
    reader: asyncio.StreamReader, first: bytes = b""
) -> tuple[str, str, Mapping[str, str]]:
    """Method, target and headers of a request of HTTP or RTSP; `EOFError` where none comes."""
    text = (first + await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
    head, *lines = text.split("\r\n")
    method, target, _ = head.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip()
        for name, found, value in (line.partition(":") for line in lines)
        if found
    }
    if length := int(headers.get("content-length", "0")):
        await reader.readexactly(length)
    return method, target, headers


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    password = ""
    if arguments.password_file:
        password = arguments.password_file.read_text(encoding="utf-8").strip()
    camera = Camera(
        width=arguments.width,
        height=arguments.height,
        fps=arguments.fps,
        codec=arguments.codec,
        access=Access(arguments.user, password),
        has_grain=arguments.grain,
        shows_clock=arguments.clock,
        scenes=scenes_in(arguments.scenes) if arguments.scenes else None,
    )
    camera.port = arguments.port
    await camera.plug()
    try:
        async with control_socket(arguments.control, camera.order), asyncio.TaskGroup() as tasks:
            making = tasks.create_task(camera.run(), name="pictures")
            print("ready", camera.port, flush=True)  # noqa: T201 - whoever started us waits
            await ended.wait()
            making.cancel()
    finally:
        await camera.unplug()


def parser_of(name: str) -> argparse.ArgumentParser:
    """The options of this camera, and of twins that are cameras as well."""
    parser = argparse.ArgumentParser(prog=name)
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; 0: any")
    parser.add_argument("--fps", type=float, default=15, help="pictures a second; 0: by order")
    parser.add_argument("--width", type=int, default=256, help="a multiple of 128")
    parser.add_argument("--height", type=int, default=192, help="a multiple of 64")
    parser.add_argument("--codec", choices=("jpeg", "h264"), default="jpeg", help="over RTSP")
    parser.add_argument("--grain", action="store_true", help="JPEGs as large as real ones")
    parser.add_argument("--clock", action="store_true", help="numbers are milliseconds")
    parser.add_argument("--user", default="", help="who may look; empty: everybody")
    parser.add_argument("--password-file", type=Path, help="what that user must know")
    parser.add_argument("--scenes", type=Path, help="folder of pictures that it shows by name")
    return parser


def main() -> None:
    asyncio.run(run(parser_of("drivers.sim.camera").parse_args()))


if __name__ == "__main__":
    main()
