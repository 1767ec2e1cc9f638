"""A USB camera as its driver in the kernel shows it: ioctls and shared buffers, by umockdev.

    python -m drivers.sim.v4l2 --control SOCKET [--node video0] [--fps 15] [--jpegs FOLDER]
                               [--largest 640x480]

Prints `ready ROOT`: what runs with UMOCKDEV_DIR=ROOT under umockdev's preload finds `/dev/video0`
(drivers/sim/testbed.py). It gives YUYV, and MJPG where `--jpegs` names a folder of pictures
`NAME.jpg`, which come one after the other, or those that `scene` names, and `black.jpg`. Other
pictures show their number (camera_picture.py). Structures and codes are those of
linux/videodev2.h on 64 bits.
Orders on the control socket (drivers/sim/control.py):

    fault.set {fault, times}      fault.clear
        stall   a picture is waited for without end     garble   broken pictures (MJPG)
        error   pictures are lost on the bus (EIO)      half     cut pictures (MJPG)
        busy    it streams to somebody else             metadata the node gives no pictures
        black   the lens is covered                     denied   no rights to its node, from the
                                                                 next plug to the one behind it
    scene {names}                           unplug  plug
    state      {root, plugged, sent, width, height, format, fps}
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import signal
import struct
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any

from drivers.sim.camera_picture import BRIGHT, COLUMNS, DARK, ROWS, bits_of
from drivers.sim.control import control_socket
from drivers.sim.scenes import scene_of, scenes_in
from drivers.sim.testbed import (
    NOBODY_MAY_WRITE,
    Call,
    Memory,
    Testbed,
    under_debians_python,
)

FAULTS = frozenset({"stall", "garble", "half", "error", "busy", "metadata", "black", "denied"})
_BUFFERS = 4
_BUFFER_BYTES = 1 << 22
"""Of one picture, whatever its size; the node itself is their memory."""
_CAPTURE, _METADATA, _STREAMING, _DEVICE_CAPS = 0x1, 0x00800000, 0x04000000, 0x80000000
_VERSION = 0x060000
_CAPTURE_BUFFERS, _MAPPED, _PROGRESSIVE, _SRGB = 1, 1, 1, 8
_TIME_PER_FRAME = 0x1000
_LOWEST_LUMA = 16

_OF_PIX, _OF_FRACTION = 8, 12
_SEQUENCE_AT, _OFFSET_AT = 56, 64


class Ask(IntEnum):
    """The numbers of requests."""

    QUERYCAP = 0
    G_FMT = 4
    S_FMT = 5
    REQBUFS = 8
    QUERYBUF = 9
    QBUF = 15
    DQBUF = 17
    STREAMON = 18
    STREAMOFF = 19
    G_PARM = 21
    S_PARM = 22


class Camera:
    """One camera. Its ioctls come in the bed's thread, its orders in the loop's."""

    def __init__(
        self,
        bed: Testbed,
        node: str,
        *,
        fps: float,
        jpegs: Mapping[str, bytes],
        black: bytes = b"",
        largest: tuple[int, int],
    ) -> None:
        self._bed = bed
        self._node = f"/dev/{node}"
        self._description = (
            f"P: /devices/virtual/video4linux/{node}\n"
            f"E: SUBSYSTEM=video4linux\nE: DEVNAME={self._node}\n"
        )
        self._jpegs = dict(jpegs)
        self._scene = list(jpegs)
        self._black = black
        self._largest = largest
        self._formats = (b"MJPG", b"YUYV") if jpegs else (b"YUYV",)
        self._loop = asyncio.get_running_loop()
        self._fault = ""
        self._times = 0
        self._waiting: dict[Call, Memory] = {}
        """Who waits for a picture, and what is to be filled in."""
        self._size = (640, 480)
        self._format = b"YUYV"
        self._fps = fps
        self._free: list[int] = []
        self._sent = 0
        self._answers = False
        self._met: set[int] = set()
        """Openings of the node that began, by QUERYCAP, since it was plugged in."""
        self.plugged = False

    def plug(self) -> None:
        if self.plugged:
            return
        self._bed.add(self._description)
        # A file in the node's place can be mapped, and is its buffers' memory.
        self._path.parent.mkdir(exist_ok=True)
        if self._fault == "denied":
            self._path.unlink(missing_ok=True)
            self._path.symlink_to(NOBODY_MAY_WRITE)
        else:
            with self._path.open("wb") as node:
                node.truncate(_BUFFERS * _BUFFER_BYTES)
        if not self._answers:
            self._answers = True
            self._bed.answer(self._node, self._answer)
        self.plugged = True

    def unplug(self) -> None:
        if not self.plugged:
            return
        self.plugged = False
        self._met.clear()
        self._bed.remove(self._description)
        self._path.unlink()
        for call in tuple(self._waiting):
            self._refuse(call, errno.ENODEV)

    @property
    def _path(self) -> Path:
        return self._bed.root / self._node.removeprefix("/")

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "fault.set":
                name = str(order.get("fault"))
                if name not in FAULTS:
                    raise ValueError(f"no such fault: {name}")
                self._times = int(order.get("times", 1))
                self._fault = name
            case "fault.clear":
                self._fault = ""
                for call in tuple(self._waiting):
                    self._give(call)
            case "scene":
                self._scene = scene_of(order, self._jpegs)
            case "plug":
                self.plug()
            case "unplug":
                self.unplug()
            case "state":
                state = {
                    "root": str(self._bed.root),
                    "plugged": self.plugged,
                    "sent": self._sent,
                    "width": self._size[0],
                    "height": self._size[1],
                    "format": self._format.decode("ascii"),
                    "fps": self._fps,
                }
                return {"state": state}
            case _:
                raise KeyError(do)
        return None

    def _struck(self, *meant: str) -> str:
        fault = self._fault
        if fault not in meant:
            return ""
        if self._times:
            self._times -= 1
            if not self._times:
                self._fault = ""
        return fault

    def _answer(self, call: Call) -> bool:
        number, length = call.request & 0xFF, call.request >> 16 & 0x3FFF
        asked = call.structure(length) if length else None
        if self.plugged and number == Ask.QUERYCAP:
            self._met.add(call.caller)
        if call.caller not in self._met:
            # Who had it open before it was pulled out finds it gone for good.
            call.complete(-1, errno.ENODEV)
        elif asked is None:
            call.complete(-1, errno.ENOTTY)
        elif number == Ask.DQBUF:
            # Pictures come at the camera's pace, and whoever waits blocks nobody else.
            self._loop.call_soon_threadsafe(self._expect, call, asked)
        elif number in {Ask.REQBUFS, Ask.STREAMON} and self._struck("busy"):
            call.complete(-1, errno.EBUSY)
        elif number in {Ask.G_FMT, Ask.S_FMT} and self._fault == "metadata":
            call.complete(-1, errno.EINVAL)
        else:
            known = self._tell(number, asked)
            call.complete(*((0, 0) if known else (-1, errno.ENOTTY)))
        return True

    def _tell(self, number: int, asked: Memory) -> bool:
        """Answer what needs no waiting; False for what this camera does not know."""
        match number:
            case Ask.QUERYCAP:
                asked.write(0, self._capability())
            case Ask.G_FMT | Ask.S_FMT:
                if number == Ask.S_FMT:
                    self._take_format(asked.read())
                pix = struct.pack(
                    "=II4sIIII",
                    *self._size,
                    self._format,
                    _PROGRESSIVE,
                    0,
                    _BUFFER_BYTES,
                    _SRGB,
                )
                asked.write(_OF_PIX, pix)
            case Ask.REQBUFS:
                (wanted,) = struct.unpack_from("=I", asked.read())
                self._free = []
                asked.write(0, struct.pack("=I", min(wanted, _BUFFERS)))
            case Ask.QUERYBUF:
                self._describe(asked, _index(asked), used=0)
            case Ask.QBUF:
                self._free.append(_index(asked))
            case Ask.G_PARM | Ask.S_PARM:
                if number == Ask.S_PARM:
                    over, under = struct.unpack_from("=II", asked.read(), _OF_FRACTION)
                    self._fps = under / over if over and under else self._fps
                asked.write(4, struct.pack("=IIII", _TIME_PER_FRAME, 0, 1, round(self._fps)))
            case Ask.STREAMON | Ask.STREAMOFF:
                pass
            case _:
                return False
        return True

    def _capability(self) -> bytes:
        gives = _METADATA if self._fault == "metadata" else _CAPTURE
        return struct.pack(
            "=16s32s32sIII",
            b"uvcvideo",
            b"Twin",
            b"usb-twin",
            _VERSION,
            _DEVICE_CAPS | _CAPTURE | _METADATA | _STREAMING,
            gives | _STREAMING,
        )

    def _take_format(self, asked: bytes) -> None:
        """A camera that does not know a format offers its first instead."""
        width, height, name = struct.unpack_from("=II4s", asked, _OF_PIX)
        self._size = (min(width, self._largest[0]), min(height, self._largest[1]))
        self._format = name if name in self._formats else self._formats[0]

    def _describe(self, asked: Memory, index: int, *, used: int) -> None:
        asked.write(0, struct.pack("=IIIII", index, _CAPTURE_BUFFERS, used, 0, _PROGRESSIVE))
        asked.write(_SEQUENCE_AT, struct.pack("=II", self._sent, _MAPPED))
        asked.write(_OFFSET_AT, struct.pack("=QI", index * _BUFFER_BYTES, _BUFFER_BYTES))

    def _expect(self, call: Call, asked: Memory) -> None:
        self._waiting[call] = asked
        self._loop.call_later(1 / self._fps, self._give, call)

    def _give(self, call: Call) -> None:
        if call not in self._waiting or self._struck("stall"):
            return
        if self._struck("error"):
            self._refuse(call, errno.EIO)
            return
        if not self._free:
            self._refuse(call, errno.EAGAIN)
            return
        asked = self._waiting.pop(call)
        self._sent += 1
        index = self._free.pop(0)
        data = self._picture()
        with self._path.open("r+b") as memory:
            memory.seek(index * _BUFFER_BYTES)
            memory.write(data)
        self._describe(asked, index, used=len(data))
        call.complete(0, 0)

    def _refuse(self, call: Call, number: int) -> None:
        del self._waiting[call]
        call.complete(-1, number)

    def _picture(self) -> bytes:
        struck = self._struck("black", "garble", "half")
        if self._format == b"MJPG":
            data = self._jpegs[self._scene[(self._sent - 1) % len(self._scene)]]
            match struck:
                case "garble":
                    return bytes(byte ^ 0x80 for byte in data)
                case "half":
                    return data[: len(data) // 2]
                case "black":
                    return self._black or data
            return data
        return yuyv(*self._size, None if struck == "black" else self._sent)


def yuyv(width: int, height: int, number: int | None) -> bytes:
    """The picture of a number as YUYV, two bytes a pixel; black without one."""
    bits = bits_of(number) if number is not None else [False] * (COLUMNS * ROWS)
    dark = DARK if number is not None else _LOWEST_LUMA
    lines = []
    for row in range(ROWS):
        line = b"".join(
            bytes((BRIGHT if bits[row * COLUMNS + column * COLUMNS // width] else dark, 128))
            for column in range(width)
        )
        high = (row + 1) * height // ROWS - row * height // ROWS
        lines.append(line * high)
    return b"".join(lines)


def _index(asked: Memory) -> int:
    index: int = struct.unpack_from("=I", asked.read())[0]
    return index


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    jpegs = scenes_in(arguments.jpegs) if arguments.jpegs else {}
    black = jpegs.pop("black", b"")
    width, _, height = arguments.largest.partition("x")
    with Testbed().running() as bed:
        camera = Camera(
            bed,
            arguments.node,
            fps=arguments.fps,
            jpegs=jpegs,
            black=black,
            largest=(int(width), int(height)),
        )
        camera.plug()
        async with control_socket(arguments.control, camera.order):
            print("ready", bed.root, flush=True)  # noqa: T201 - whoever started us waits
            await ended.wait()
        camera.unplug()


def main() -> None:
    under_debians_python("drivers.sim.v4l2")
    parser = argparse.ArgumentParser(prog="drivers.sim.v4l2")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--node", default="video0", help="its name in /dev")
    parser.add_argument("--fps", type=float, default=15, help="pictures a second, until told")
    parser.add_argument("--jpegs", type=Path, help="folder of what it gives as MJPG")
    parser.add_argument("--largest", default="640x480", help="size that it offers at most")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
