"""A USB device as the kernel's usbfs shows it: descriptors, transfers, claims.

It hangs on a bed (drivers/sim/testbed.py) and moves bytes between a program's libusb and a twin's
port. Requests and structures are those of linux/usbdevice_fs.h on a 64-bit machine.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from drivers.sim.testbed import Call, Gate, Memory, Testbed

PACKET_BYTES = 64
"""Of a full-speed bulk endpoint."""
NOTHING_WRONG = 0x18
_URB_BYTES = 56
_IN = 0x80
_CONTROL_URB, _BULK_URB = 2, 3

_CLEAR_HALT = 0x80045515
_CLAIM = 0x8004550F
_RELEASE = 0x80045510
_SUBMIT = 0x8038550A
_DISCARD = 0x550B
_REAP_NO_DELAY = 0x4008550D
_CAPABILITIES = 0x8004551A
_GET_DRIVER = 0x41045508
_INTERFACE_IOCTL = 0xC0105512
_DISCONNECT = 0x5516
_JUST_DONE = {0x80045505, 0x80085504, 0x5514}
"""Set the configuration, set the alternate setting, reset."""

_ANY_SIZE = 0x05
"""Capabilities: zero packets, and no limit to a transfer's size."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What a device's descriptors say."""

    vendor: int
    product: int
    interface_class: tuple[int, int, int]
    outs: tuple[int, ...]
    ins: tuple[int, ...]
    strings: tuple[str, str, str] = ("", "", "")
    """Maker, product, serial number."""
    kernel_driver: str = ""
    """The kernel's own, which holds the interface at first."""
    device_id: str = ""
    """IEEE 1284, of a printer."""
    interface: int = 0
    """Its number; those before it have no endpoints."""

    def descriptors(self) -> bytes:
        """Device and configuration, as /sys has them."""
        ends = b"".join(
            struct.pack("<BBBBHB", 7, 5, address, 2, PACKET_BYTES, 0)
            for address in (*self.outs, *self.ins)
        )
        indexes = [number if text else 0 for number, text in enumerate(self.strings, 1)]
        count = len(self.outs) + len(self.ins)
        others = b"".join(
            struct.pack("<BBBBBBBBB", 9, 4, number, 0, 0, 0xFF, 0, 0, 0)
            for number in range(self.interface)
        )
        rest = (
            others
            + struct.pack("<BBBBBBBBB", 9, 4, self.interface, 0, count, *self.interface_class, 0)
            + ends
        )
        return (
            struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 64, self.vendor, self.product,
                        0x0100, *indexes, 1)
            + struct.pack("<BBHBBBBB", 9, 2, 9 + len(rest), self.interface + 1, 1, 0, 0x80, 50)
            + rest
        )  # fmt: skip


@dataclass(slots=True)
class _Urb:
    """One transfer under way."""

    caller: int
    address: int
    memory: Memory
    buffer: Memory | None
    kind: int
    endpoint: int
    size: int

    def finish(self, status: int, data: bytes = b"", *, offset: int = 0) -> None:
        """Put the outcome where the program finds it when it reaps."""
        moved = len(data) if self.endpoint & _IN or self.kind == _CONTROL_URB else self.size
        if data and self.buffer is not None:
            self.buffer.write(offset, data)
        self.memory.write(4, struct.pack("<i", status))
        self.memory.write(28, struct.pack("<i", 0 if status else moved))


@dataclass(slots=True)
class Faults:
    """How the device misbehaves now."""

    stalls: dict[str, int] = field(default_factory=dict)
    """`in`, `out` → how many transfers are still refused; -1: all."""
    room: int | None = None
    """So many bytes it still takes; None: any number."""
    claimed: bool = False
    """Another program holds it."""
    denied: bool = False
    """Nobody may open its node."""
    replug_due: bool = False
    """Takes effect with the next plug, which is to come at once."""
    packet_bytes: int = PACKET_BYTES
    """Longest packet it sends."""
    in_error: int = 0
    """How each packet that it sends ends instead, as an errno; 0: well."""
    port_status: int = NOTHING_WRONG
    """Of a printer."""

    def clear(self) -> None:
        """As new; what was denied needs a new plug."""
        self.stalls.clear()
        self.replug_due = self.denied
        self.room = None
        self.claimed = self.denied = False
        self.packet_bytes = PACKET_BYTES
        self.in_error = 0
        self.port_status = NOTHING_WRONG


class UsbDevice:
    """One device from the plug to the pull. Calls come from the bed's thread and from the twin's.

    `heard` is given endpoint and bytes of what a program has sent, on the bed's thread.
    """

    def __init__(self, layout: Layout, faults: Faults, heard: Callable[[int, bytes], None]) -> None:
        self.layout = layout
        self._faults = faults
        self._heard = heard
        self._lock = threading.RLock()
        self._gate: Gate | None = None
        self._gone = False
        self._kernel_driver = layout.kernel_driver
        self._owner: int | None = None
        self._halted: set[int] = set()
        self._pending: list[_Urb] = []
        self._done: dict[int, deque[_Urb]] = defaultdict(deque)
        self._packets: dict[int, deque[bytes]] = {address: deque() for address in layout.ins}
        self._answers: dict[int, Callable[[Call], bool]] = {
            _SUBMIT: self._submit,
            _REAP_NO_DELAY: self._reap,
            _DISCARD: self._discard,
            _CLAIM: self._claim,
            _RELEASE: self._release,
            _CLEAR_HALT: self._clear_halt,
            _CAPABILITIES: self._tell_capabilities,
            _GET_DRIVER: self._tell_driver,
            _INTERFACE_IOCTL: self._interface,
        }

    @property
    def held(self) -> bool:
        """True while a program has claimed it."""
        return self._owner is not None

    def hang_on(self, bed: Testbed, node: str) -> None:
        self._gate = bed.gate(node)
        bed.answer(node, self._answer, closed=self._closed)

    def pull(self) -> None:
        """End every transfer as a pulled plug does. Whoever still has it open hears that."""
        with self._lock:
            self._gone = True
            for urb in self._pending:
                urb.finish(-errno.ENODEV)
                self._done[urb.caller].append(urb)
            self._pending.clear()
            self._tell()

    def send(self, endpoint: int, data: bytes) -> None:
        """Have bytes fetched by whoever reads the endpoint."""
        size = self._faults.packet_bytes
        with self._lock:
            for start in range(0, len(data), size):
                self._packets[endpoint].append(data[start : start + size])
            self._move()

    def faults_changed(self) -> None:
        with self._lock:
            self._move()

    # --- what programs ask ---

    def _answer(self, call: Call) -> bool:
        with self._lock:
            if call.request in _JUST_DONE:
                call.complete()
                return True
            answer = self._answers.get(call.request)
            return answer is not None and answer(call)

    def _closed(self, caller: int) -> None:
        with self._lock:
            self._pending = [urb for urb in self._pending if urb.caller != caller]
            self._done.pop(caller, None)
            if self._owner == caller:
                self._owner = None
            self._tell()

    def _submit(self, call: Call) -> bool:
        address = call.number  # before it is followed: then it is one of this process
        memory = call.structure(_URB_BYTES)
        if self._gone or memory is None:
            call.complete(-1, errno.ENODEV)
            return True
        kind, endpoint = struct.unpack_from("<BB", memory.read())
        (size,) = struct.unpack_from("<i", memory.read(), 24)
        buffer = memory.follow(16, size) if size else None
        urb = _Urb(call.caller, address, memory, buffer, kind, endpoint, size)
        self._pending.append(urb)
        call.complete()
        self._move()
        return True

    def _reap(self, call: Call) -> bool:
        done = self._done[call.caller]
        if not done:
            call.complete(-1, errno.ENODEV if self._gone else errno.EAGAIN)
        else:
            place = call.structure(8)
            assert place is not None  # noqa: S101 - libusb gives one
            place.point(0, done.popleft().memory)
            call.complete()
        self._tell()
        return True

    def _discard(self, call: Call) -> bool:
        for urb in self._pending:
            if (urb.caller, urb.address) == (call.caller, call.number):
                self._pending.remove(urb)
                self._finish(urb, -errno.ENOENT)
                call.complete()
                return True
        call.complete(-1, errno.EINVAL)
        return True

    def _claim(self, call: Call) -> bool:
        taken = (
            self._faults.claimed or self._kernel_driver or self._owner not in {None, call.caller}
        )
        if taken:
            call.complete(-1, errno.EBUSY)
        else:
            self._owner = call.caller
            call.complete()
        return True

    def _release(self, call: Call) -> bool:
        if self._owner == call.caller:
            self._owner = None
        call.complete()
        return True

    def _clear_halt(self, call: Call) -> bool:
        number = call.structure(4)
        assert number is not None  # noqa: S101 - libusb gives one
        self._halted.discard(int.from_bytes(number.read(), "little"))
        call.complete()
        self._move()
        return True

    def _tell_capabilities(self, call: Call) -> bool:
        place = call.structure(4)
        assert place is not None  # noqa: S101 - libusb gives one
        place.write(0, struct.pack("<I", _ANY_SIZE))
        call.complete()
        return True

    def _tell_driver(self, call: Call) -> bool:
        place = call.structure(260)
        assert place is not None  # noqa: S101 - libusb gives one
        name = self._kernel_driver or ("usbfs" if self._owner or self._faults.claimed else "")
        if name:
            place.write(4, name.encode().ljust(256, b"\0"))
            call.complete()
        else:
            call.complete(-1, errno.ENODATA)
        return True

    def _interface(self, call: Call) -> bool:
        command = call.structure(16)
        assert command is not None  # noqa: S101 - libusb gives one
        if struct.unpack_from("<i", command.read(), 4)[0] != _DISCONNECT:
            return False
        if self._kernel_driver:
            self._kernel_driver = ""
            call.complete()
        else:
            call.complete(-1, errno.ENODATA)
        return True

    # --- transfers ---

    def _move(self) -> None:
        """Finish every transfer that can be finished."""
        self._pending = [urb for urb in self._pending if not self._moved(urb)]

    def _moved(self, urb: _Urb) -> bool:
        if urb.kind == _CONTROL_URB:
            return self._control(urb)
        if urb.endpoint in self._halted or self._stalls_now(urb):
            self._halted.add(urb.endpoint)
            self._finish(urb, -errno.EPIPE)
            return True
        if urb.endpoint & _IN:
            packets = self._packets.get(urb.endpoint)
            if not packets:
                return False
            if self._faults.in_error:
                packets.popleft()
                self._finish(urb, -self._faults.in_error)
            else:
                self._finish(urb, 0, _fetch(packets, urb.size))
            return True
        if urb.buffer is None or not self._has_room(urb.size):
            return False
        self._heard(urb.endpoint, urb.buffer.read())
        self._finish(urb, 0)
        return True

    def _has_room(self, size: int) -> bool:
        room = self._faults.room
        if room is None:
            return True
        if room < size:
            return False
        self._faults.room = room - size
        return True

    def _stalls_now(self, urb: _Urb) -> bool:
        way = "in" if urb.endpoint & _IN else "out"
        left = self._faults.stalls.get(way, 0)
        if way == "in" and not self._packets.get(urb.endpoint):
            return False  # it stalls in the place of an answer
        if left > 0:
            self._faults.stalls[way] = left - 1
        return left != 0

    def _control(self, urb: _Urb) -> bool:
        """A request to endpoint 0; its 8 bytes stand before the data."""
        setup = urb.buffer.read()[:8] if urb.buffer is not None else bytes(8)
        kind, request, value, index, length = struct.unpack("<BBHHH", setup)
        told = self._told(kind, request, value, index)
        if told is None:
            self._finish(urb, -errno.EPIPE)
        else:
            urb.finish(0, told[:length], offset=8)
            self._done[urb.caller].append(urb)
            self._tell()
        return True

    def _told(self, kind: int, request: int, value: int, index: int) -> bytes | None:
        ours = self.layout.interface
        match kind, request, value:
            case 0x80, 6, 0x0300:
                return bytes([4, 3, 0x09, 0x04])
            case 0x80, 6, _ if 0 < value - 0x0300 <= len(self.layout.strings):
                text = self.layout.strings[value - 0x0301].encode("utf-16-le")
                return bytes([len(text) + 2, 3]) + text
            case 0xA1, 0, _ if self.layout.device_id and index == ours << 8:
                text = self.layout.device_id.encode()
                return struct.pack(">H", len(text) + 2) + text
            case 0xA1, 1, _ if self.layout.device_id and index == ours:
                return bytes([self._faults.port_status])
            case _:
                return None

    def _finish(self, urb: _Urb, status: int, data: bytes = b"") -> None:
        urb.finish(status, data)
        self._done[urb.caller].append(urb)
        self._tell()

    def _tell(self) -> None:
        """The node is writable while there is something to reap."""
        if self._gate is None:
            return
        if any(self._done.values()):
            self._gate.open()
        else:
            self._gate.shut()


def _fetch(packets: deque[bytes], size: int) -> bytes:
    """What one transfer takes: packets until it is full, or until a short one."""
    data = b""
    while packets and len(data) + len(packets[0]) <= size:
        packet = packets.popleft()
        data += packet
        if len(packet) < PACKET_BYTES:
            break
    return data
