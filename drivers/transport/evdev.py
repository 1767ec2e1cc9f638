"""Events of an input device of the kernel (evdev), which nobody else then gets.

A keyboard types into whatever has the focus: a screen, a login. So the node is grabbed while it is
open (EVIOCGRAB), and what is typed reaches us alone. Layout and numbers: linux/input.h,
linux/input-event-codes.h and Documentation/input/event-codes.rst of the kernel.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Protocol

import pyudev
from pydantic import BaseModel, ConfigDict, Field, model_validator

from drivers.transport.descriptor import DescriptorTransport
from drivers.transport.transport import Transport
from drivers.transport.udev import Udev
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

_LAYOUT = struct.Struct("@llHHi")
"""`struct input_event`: seconds, microseconds, type, code, value; 24 bytes on 64 bits, else 16."""
EVENT_BYTES = _LAYOUT.size

EV_SYN, EV_KEY, EV_SW = 0x00, 0x01, 0x05
SYN_REPORT, SYN_DROPPED = 0, 3
RELEASED, PRESSED, REPEATED = 0, 1, 2
"""Values of a key's event."""
SW_HEADPHONE_INSERT = 0x02

_MOST_AT_ONCE = 64
"""Events of one read; as many as the kernel keeps for a keyboard."""
_MOST_IN_PACKET = 256

_NAME_BYTES = 256
_SWITCH_BYTES = 8
"""SW_MAX is 0x10; what the kernel does not fill stays zero."""
_IDS = struct.Struct("=HHHH")
"""`struct input_id`: bus, vendor, product, version."""


def _request(direction: int, number: int, size: int) -> int:
    """As `_IOC` of asm-generic/ioctl.h makes it, for the letter E; 1 writes, 2 reads."""
    return direction << 30 | size << 16 | ord("E") << 8 | number


_EVIOCGID = _request(2, 0x02, _IDS.size)
_EVIOCGNAME = _request(2, 0x06, _NAME_BYTES)
_EVIOCGSW = _request(2, 0x1B, _SWITCH_BYTES)
_EVIOCGBIT_SW = _request(2, 0x20 + EV_SW, _SWITCH_BYTES)
_EVIOCGRAB = _request(1, 0x90, 4)
_EVIOCSCLOCKID = _request(1, 0xA0, 4)

Ids = Annotated[int, Field(ge=0, le=0xFFFF)]


class EvdevPort(BaseModel):
    """An input device by its path, or by what it says of itself; by both, it must be that one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["evdev"]
    path: Annotated[
        str | None, Field(min_length=1, examples=["/dev/input/by-id/usb-scanner-event-kbd"])
    ] = None
    vendor: Ids | None = None
    product: Ids | None = None
    phys: Annotated[str, Field(max_length=100, examples=["input0"])] = ""
    """How its place ends, where one device has several nodes."""

    @model_validator(mode="after")
    def _says_which(self) -> EvdevPort:
        if (self.vendor is None) != (self.product is None):
            raise ValueError("vendor and product come together")
        if self.path is None and self.vendor is None:
            raise ValueError("says neither path nor vendor and product")
        return self

    def __str__(self) -> str:
        ids = "" if self.vendor is None else f"{self.vendor:04x}:{self.product:04x}"
        return ":".join(filter(None, ("evdev", self.path, ids, self.phys)))


class InputEvent(NamedTuple):
    """One event; `at_s` is the kernel's own time of it, monotonic."""

    at_s: float
    kind: int
    code: int
    value: int


Packet = tuple[InputEvent, ...]
"""What happened at once; an empty one stands where events were lost."""
LOST: Packet = ()


class EventWire(Transport, Protocol):
    """A `Transport` whose bytes are whole events."""

    @property
    def name(self) -> str:
        """What the open device calls itself."""
        ...

    async def pending(self) -> bytes:
        """What was received and not read yet, without waiting."""
        ...

    async def switches(self, *, timeout_s: float) -> dict[int, bool]:
        """The switches that it has → whether each is on."""
        ...


class Packets:
    """Events put together as the kernel means them: SYN_REPORT ends a packet.

    After SYN_DROPPED the rest of its packet means nothing.
    """

    def __init__(self) -> None:
        self._begun: list[InputEvent] = []
        self._skips = False

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that end in these whole events."""
        for seconds, micros, kind, code, value in _LAYOUT.iter_unpack(data):
            event = InputEvent(seconds + micros / 1e6, kind, code, value)
            if (kind, code) == (EV_SYN, SYN_REPORT):
                packet, self._begun = tuple(self._begun), []
                if packet and not self._skips:
                    yield packet
                self._skips = False
            elif (kind, code) == (EV_SYN, SYN_DROPPED) or len(self._begun) == _MOST_IN_PACKET:
                self._begun.clear()
                self._skips = True
                yield LOST
            elif not self._skips:
                self._begun.append(event)

    def forget(self) -> None:
        self._begun.clear()
        self._skips = False


@dataclass(frozen=True, slots=True)
class _Node:
    number: int
    name: str


class EvdevTransport(DescriptorTransport[_Node]):
    """An `EventWire` of a node under /dev/input, grabbed while open.

    A replugged device has another number: its path or ids are looked up at each opening.
    """

    _reads_at_most = _MOST_AT_ONCE * EVENT_BYTES

    def __init__(self, device_id: str, port: EvdevPort) -> None:
        super().__init__(device_id, "input")
        self._config = port
        self._udev = Udev()

    @property
    def name(self) -> str:
        return self._port.name if self._port is not None else ""

    async def read(self, *, timeout_s: float, limit: int = _reads_at_most) -> bytes:
        try:
            return whole(await super().read(timeout_s=timeout_s, limit=limit))
        except DeviceTimeout:
            # A loop that was held up finds the deadline passed and the events there.
            if late := await self.pending():
                return late
            raise

    async def write(self, data: bytes, *, timeout_s: float) -> None:  # noqa: ARG002  # the port's
        """Nothing is written to an input device."""
        raise DeviceUnavailable(self._device_id, Reason.UNSUPPORTED, "it takes nothing")

    async def pending(self) -> bytes:
        return b"".join([whole(read) for read in await self._received_so_far()])

    async def drain_input(self) -> int:
        return len(await self.pending())

    async def switches(self, *, timeout_s: float) -> dict[int, bool]:
        """By EVIOCGSW, on the transport's thread."""
        number = self._descriptor()
        return await self._on_thread(lambda: _switches_of(number), timeout_s=timeout_s)

    def _open_port(self) -> _Node:
        path = self._path()
        number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            # Whose it is first: another one's keyboard is not taken away.
            node = _Node(number, _name_of(number))
            self._must_be_meant(number, node.name)
            fcntl.ioctl(number, _EVIOCGRAB, 1)
            with suppress(OSError):
                # Else its times are those of the wall clock, which somebody may set.
                fcntl.ioctl(number, _EVIOCSCLOCKID, struct.pack("@i", time.CLOCK_MONOTONIC))
        except BaseException:
            os.close(number)
            raise
        return node

    def _close_port(self, port: _Node) -> None:
        with suppress(OSError):
            os.close(port.number)  # and so the grab ends

    def _number_of(self, port: _Node) -> int:
        return port.number

    def _path(self) -> str:
        if self._config.path is not None:
            return _behind_link(self._config.path)
        with self._udev.held() as udev:
            found = sorted(_nodes_of(udev, self._config))
        if not found:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return found[0][1]

    def _must_be_meant(self, number: int, name: str) -> None:
        if self._config.vendor is None:
            return
        raw = bytearray(_IDS.size)
        fcntl.ioctl(number, _EVIOCGID, raw)
        _, vendor, product, _ = _IDS.unpack(raw)
        if (vendor, product) != (self._config.vendor, self._config.product):
            told = f"{name} {vendor:04x}:{product:04x} stands there"
            raise DeviceUnavailable(self._device_id, Reason.UNSUPPORTED, told)


def whole(read: bytes) -> bytes:
    """One read without what is no whole event; for that stands SYN_DROPPED.

    The kernel gives whole events only, each read for itself.
    """
    rest = len(read) % EVENT_BYTES
    if not rest:
        return read
    return read[:-rest] + _LAYOUT.pack(0, 0, EV_SYN, SYN_DROPPED, 0)


def _behind_link(path: str) -> str:
    """The node that a link of /dev/input/by-id or by-path leads to."""
    link = Path(path)
    try:
        target = os.path.normpath(link.parent / link.readlink())
    except OSError:
        return path
    return target if re.fullmatch(r"/dev/input/event\d+", target) else path


def _nodes_of(udev: pyudev.Context, port: EvdevPort) -> Iterator[tuple[str, str]]:
    """Place and node of each input device that is meant."""
    wanted = (f"{port.vendor:04x}", f"{port.product:04x}")
    for node in udev.list_devices(subsystem="input", sys_name="event*"):
        parent = node.find_parent("input")
        if parent is None or node.device_node is None:
            continue
        told = {name: _attribute(parent, name) for name in ("id/vendor", "id/product", "phys")}
        is_meant = (told["id/vendor"], told["id/product"]) == wanted
        if is_meant and told["phys"].endswith(port.phys):
            yield told["phys"], node.device_node


def _attribute(device: pyudev.Device, name: str) -> str:
    """Empty for one that it lacks or that cannot be read."""
    raw = device.attributes.get(name)
    return raw.decode("utf-8", "replace").strip() if raw else ""


def _name_of(number: int) -> str:
    raw = bytearray(_NAME_BYTES)
    fcntl.ioctl(number, _EVIOCGNAME, raw)
    return raw.partition(b"\0")[0].decode("utf-8", "replace")


def _switches_of(number: int) -> dict[int, bool]:
    has, on = bytearray(_SWITCH_BYTES), bytearray(_SWITCH_BYTES)
    fcntl.ioctl(number, _EVIOCGBIT_SW, has)
    fcntl.ioctl(number, _EVIOCGSW, on)
    return {code: code in _bits(on) for code in _bits(has)}


def _bits(mask: bytearray) -> set[int]:
    """Numbers of the bits that are set; the kernel's bitmap of so few is one long."""
    number = int.from_bytes(mask, sys.byteorder)
    return {bit for bit in range(8 * len(mask)) if number >> bit & 1}
