"""A USB bus to plug twins into: each keeps its own port, and a device here stands before it.

    python -m drivers.sim.usb_bus --control SOCKET

Prints `ready ROOT`; programs under umockdev's preload with UMOCKDEV_DIR=ROOT see the bus
(drivers/sim/testbed.py). Orders on its control socket:

    attach {kind, link, machine?, control, port: "1"}
        kind: sdt-usb2 | sdt-usb4 | sdt-hid | escpos-usb; link: the twin's pty; machine: the twin's
        control socket; control: the socket that takes this device's orders; port: of the hub
    detach {control}
    show {text} · hide {text}     a device without twin or node, in umockdev's words

A device's own socket takes what is about its plug and hands every other order to the twin:

    unplug · power.cut   plug · power.on   disconnect (out and in again)   state
    fault.set {fault: stall {way: in | out, times: 1 (0: until cleared)} | deaf {after_bytes: 0} |
               claimed | denied | short {bytes: 8} | babble | bad_cable | port_status {value: 56},
               or one of the twin}
    fault.clear (of both)

Faults: `stall` a pipe is halted in the place of a transfer · `deaf` takes no data · `claimed`
another program holds it · `denied` no rights to its node · `short` answers in small packets ·
`babble` it sends more than a packet holds · `bad_cable` its packets come with wrong check sums ·
`port_status` what a printer says on its control endpoint. A HID device has `deaf` (what it hears is
lost), `claimed` (another holds the lock on its node) and `denied`.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import fcntl
import os
import signal
import tty
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from drivers.sim.control import control_socket, order
from drivers.sim.testbed import NOBODY_MAY_WRITE, Testbed, under_debians_python
from drivers.sim.usb_device import Faults, Layout, UsbDevice

_VENDOR_CLASS = (0xFF, 0, 0)
_READER = (0x0400, 0xC35A)
LAYOUTS = {
    "sdt-usb2": Layout(*_READER, _VENDOR_CLASS, (0x02,), (0x81,), ("HALLKIT", "Reader", "R2")),
    "sdt-usb4": Layout(*_READER, _VENDOR_CLASS, (0x02, 0x06), (0x81, 0x85)),
    "escpos-usb": Layout(
        0x04B8,
        0x0202,
        (7, 1, 2),
        (0x01,),
        (0x82,),
        ("HALLKIT", "Printer", "P1"),
        kernel_driver="usblp",
        device_id="MFG:HALLKIT;CMD:ESC/POS;MDL:HK-T80 USB;CLS:PRINTER;",
        interface=1,  # where the two orders of a request's index can be told apart
    ),
}
HID = Layout(0x2B8B, 0x2721, (3, 0, 0), (), ())
HID_REPORT_BYTES = 64

_START = bytes.fromhex("AAAAAA9669")
_HEAD_BYTES = 7
_BURST_S = 0.02
"""After so much silence an answer that is no frame goes out as it is."""
_CHUNK_BYTES = 4096
MAX_NUMBER = 250
"""Of a device on its bus. A real one counts to 127."""

HUB = """\
P: /devices/pci0000:00/usb1
N: bus/usb/001/001
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: BUSNUM=001
E: DEVNUM=001
E: DEVNAME=/dev/bus/usb/001/001
A: busnum=1\\n
A: devnum=1\\n
A: speed=480\\n
A: bConfigurationValue=1\\n
H: descriptors=12010002090001406b1d020006050302010109021900010100e000090400000109000000070581030400\
0c
"""


def _description(layout: Layout, port: str, number: int) -> str:
    """A device and its interface in umockdev's words."""
    path = f"/devices/pci0000:00/usb1/1-{port}"
    node = f"bus/usb/001/{number:03}"
    ids = f"{layout.vendor:x}/{layout.product:x}/100"
    kind = "/".join(str(one) for one in layout.interface_class)
    names = ("manufacturer", "product", "serial")
    told = "".join(
        f"A: {name}={text}\\n\n" for name, text in zip(names, layout.strings, strict=True) if text
    )
    return f"""\
P: {path}
N: {node}
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: BUSNUM=001
E: DEVNUM={number:03}
E: DEVNAME=/dev/{node}
E: PRODUCT={ids}
E: TYPE=0/0/0
A: busnum=1\\n
A: devnum={number}\\n
A: speed=12\\n
A: bConfigurationValue=1\\n
A: idVendor={layout.vendor:04x}\\n
A: idProduct={layout.product:04x}\\n
{told}H: descriptors={layout.descriptors().hex()}

P: {path}/1-{port}:1.{layout.interface}
E: SUBSYSTEM=usb
E: DEVTYPE=usb_interface
E: PRODUCT={ids}
E: INTERFACE={kind}
A: bInterfaceClass={layout.interface_class[0]:02x}\\n
A: bInterfaceNumber={layout.interface:02x}\\n
"""


def _hidraw_description(port: str, number: int) -> str:
    path = f"/devices/pci0000:00/usb1/1-{port}/1-{port}:1.0/0003:{HID.vendor:04X}:{HID.product:04X}"
    return f"""\

P: {path}.{number:04}/hidraw/hidraw{number}
N: hidraw{number}
E: SUBSYSTEM=hidraw
E: DEVNAME=/dev/hidraw{number}
"""


class Face(Protocol):
    """What a program sees of a twin: it takes and gives the twin's bytes in its own way."""

    def plug(self) -> None: ...
    def pull(self) -> None: ...
    def send(self, data: bytes) -> None:
        """Bytes of the twin."""
        ...

    def faults_changed(self) -> None: ...
    @property
    def held(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device hangs."""

    bed: Testbed
    port: str
    next_number: Callable[[], int]
    hear: Callable[[bytes], None]
    """Takes what a program has sent; from any thread."""


class Bursts:
    """Puts a reader's frames together again: its port gives them in pieces.

    What is no frame goes out once the reader has been quiet for a moment.
    """

    def __init__(self, out: Callable[[bytes], None]) -> None:
        self._out = out
        self._waiting = b""
        self._quiet: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        self.forget_timer()
        self._waiting += data
        while frame := self._whole_frame():
            self._out(frame)
        if self._waiting:
            self._quiet = asyncio.get_running_loop().call_later(_BURST_S, self._flush)

    def clear(self) -> None:
        self.forget_timer()
        self._waiting = b""

    def forget_timer(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()

    def _whole_frame(self) -> bytes:
        if not self._waiting.startswith(_START) or len(self._waiting) < _HEAD_BYTES:
            return b""
        size = _HEAD_BYTES + int.from_bytes(self._waiting[5:_HEAD_BYTES], "big")
        if len(self._waiting) < size:
            return b""
        frame, self._waiting = self._waiting[:size], self._waiting[size:]
        return frame

    def _flush(self) -> None:
        data, self._waiting = self._waiting, b""
        self._out(data)


class BulkFace:
    """A device with bulk endpoints, one pair or two."""

    def __init__(self, layout: Layout, place: Place, faults: Faults) -> None:
        self._layout = layout
        self._place = place
        self._faults = faults
        self._device: UsbDevice | None = None
        self._described = ""
        self._bursts = Bursts(self._send_in_two)

    @property
    def held(self) -> bool:
        return self._device is not None and self._device.held

    def plug(self) -> None:
        bed, number = self._place.bed, self._place.next_number()
        node = f"/dev/bus/usb/001/{number:03}"
        self._device = UsbDevice(self._layout, self._faults, self._heard)
        self._described = _description(self._layout, self._place.port, number)
        bed.add(self._described, make_nodes=lambda: self._make_node(bed, node))

    def _make_node(self, bed: Testbed, node: str) -> None:
        if self._faults.denied:
            _guard(bed, node)
        elif self._device is not None:
            self._device.hang_on(bed, node)

    def pull(self) -> None:
        self._bursts.clear()
        device, self._device = self._device, None
        if device is not None:
            device.pull()
            self._place.bed.remove(self._described)

    def faults_changed(self) -> None:
        if self._device is not None:
            self._device.faults_changed()

    def send(self, data: bytes) -> None:
        if len(self._layout.ins) > 1:
            self._bursts.feed(data)
        elif self._device is not None:
            self._device.send(self._layout.ins[0], data)

    def _send_in_two(self, data: bytes) -> None:
        """The head of a frame on one pipe, what follows it on the other."""
        split = _HEAD_BYTES if data.startswith(_START) else len(data)
        for pipe, part in zip(self._layout.ins, (data[:split], data[split:]), strict=True):
            if self._device is not None and part:
                self._device.send(pipe, part)

    def _heard(self, endpoint: int, data: bytes) -> None:
        # A reader with two pipes takes a head on the first and nothing else.
        if len(self._layout.outs) == 1 or (endpoint == self._layout.outs[0]) == (
            data.startswith(_START) and len(data) == _HEAD_BYTES
        ):
            self._place.hear(data)


class HidFace:
    """A device that the kernel's HID driver has: reports of 64 bytes, padded with zeros."""

    held = False
    """Nothing tells."""

    def __init__(self, place: Place, faults: Faults) -> None:
        self._place = place
        self._faults = faults
        self._end: int | None = None
        self._own = -1
        self._described = ""
        self._bursts = Bursts(self._report)

    def plug(self) -> None:
        bed, number = self._place.bed, self._place.next_number()
        node = f"/dev/hidraw{number}"
        self._described = _description(HID, self._place.port, number)
        self._described += _hidraw_description(self._place.port, number)
        bed.add(self._described, make_nodes=lambda: self._make_node(bed, node))

    def _make_node(self, bed: Testbed, node: str) -> None:
        self._end = bed.stream(node)
        os.set_blocking(self._end, False)
        # While a pty is open nowhere it reads as broken, again and again; hidraw has no such state.
        self._own = os.open(bed.root / node.removeprefix("/"), os.O_RDWR | os.O_NOCTTY)
        asyncio.get_running_loop().add_reader(self._end, self._ready, self._end)
        if self._faults.claimed:
            fcntl.flock(self._own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if self._faults.denied:
            _guard(bed, node)

    def pull(self) -> None:
        self._bursts.clear()
        end, self._end = self._end, None
        if end is not None:
            asyncio.get_running_loop().remove_reader(end)
            os.close(self._own)
            self._place.bed.remove(self._described)

    def faults_changed(self) -> None:
        if self._end is not None and not self._faults.claimed:
            fcntl.flock(self._own, fcntl.LOCK_UN)

    def send(self, data: bytes) -> None:
        self._bursts.feed(data)

    def _report(self, data: bytes) -> None:
        if self._end is None:
            return
        # What nobody takes is lost, as in the kernel's ring of reports.
        with suppress(BlockingIOError):
            for start in range(0, len(data), HID_REPORT_BYTES):
                report = data[start : start + HID_REPORT_BYTES]
                os.write(self._end, report.ljust(HID_REPORT_BYTES, b"\0"))

    def _ready(self, end: int) -> None:
        with suppress(BlockingIOError):
            while report := os.read(end, 1 + HID_REPORT_BYTES):
                if self._faults.room is None:
                    self._place.hear(report[1:])


def _guard(bed: Testbed, node: str) -> None:
    path = bed.root / node.removeprefix("/")
    path.unlink(missing_ok=True)
    path.symlink_to(NOBODY_MAY_WRITE)


class Attached:
    """A twin, the face before it, and the wire between the two."""

    def __init__(self, face: Face, faults: Faults, *, link: Path, machine: Path | None) -> None:
        self._face = face
        self._faults = faults
        self._link = link
        self._machine = machine
        self._wire: int | None = None
        self._unsent = b""

    def plug(self) -> None:
        """The twin's port is there: show the device."""
        if self._wire is not None:
            return
        self._wire = os.open(self._link, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        tty.setraw(self._wire)
        asyncio.get_running_loop().add_reader(self._wire, self.pump)
        self._face.plug()

    def pull(self) -> None:
        wire, self._wire = self._wire, None
        self._unsent = b""
        if wire is not None:
            asyncio.get_running_loop().remove_reader(wire)
            asyncio.get_running_loop().remove_writer(wire)
            os.close(wire)
            self._face.pull()

    def pump(self) -> None:
        """Carry what the twin has said to the device."""
        try:
            while self._wire is not None and (data := os.read(self._wire, _CHUNK_BYTES)):
                self._face.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self.pull()  # the twin has hung up

    def hear(self, data: bytes) -> None:
        """Carry what a program has sent to the twin."""
        self._unsent += data
        self._feed()

    def _feed(self) -> None:
        if self._wire is None:
            return
        loop = asyncio.get_running_loop()
        try:
            self._unsent = self._unsent[os.write(self._wire, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.pull()
            return
        if self._unsent:
            loop.add_writer(self._wire, self._feed)
        else:
            loop.remove_writer(self._wire)

    async def handle(self, do: str, given: dict[str, Any]) -> dict[str, Any] | None:
        """Orders of the device's own socket."""
        if do == "fault.set" and (fault := given.get("fault")) in USB_FAULTS:
            USB_FAULTS[fault](self._faults, given)
            self._faults_changed()
            return None
        if do in {"unplug", "power.cut", "disconnect"}:
            self.pull()
        if do == "fault.clear":
            self._faults.clear()
            self._faults_changed()
        told = await self._pass_on(do, given)
        if do in {"plug", "power.on", "disconnect"}:
            self.plug()
        if do == "state":
            told["usb"] = {"plugged": self._wire is not None, "held": self._face.held}
        return told

    def _faults_changed(self) -> None:
        self._face.faults_changed()
        if self._faults.replug_due and self._wire is not None:
            self._face.pull()
            self._face.plug()
        self._faults.replug_due = False

    async def _pass_on(self, do: str, given: dict[str, Any]) -> dict[str, Any]:
        if self._machine is None:
            self.pump()
            return {}
        rest = {key: value for key, value in given.items() if key != "do"}
        try:
            told = await order(self._machine, do, **rest)
        except RuntimeError as no:
            raise ValueError(str(no)) from no
        self.pump()
        return told


def _stall(faults: Faults, given: dict[str, Any]) -> None:
    faults.stalls[str(given.get("way", "in"))] = int(given.get("times", 1)) or -1


def _deaf(faults: Faults, given: dict[str, Any]) -> None:
    faults.room = int(given.get("after_bytes", 0))


def _claimed(faults: Faults, _given: dict[str, Any]) -> None:
    faults.claimed = faults.replug_due = True


def _denied(faults: Faults, _given: dict[str, Any]) -> None:
    faults.denied = faults.replug_due = True


def _short(faults: Faults, given: dict[str, Any]) -> None:
    faults.packet_bytes = int(given.get("bytes", 8))


def _babble(faults: Faults, _given: dict[str, Any]) -> None:
    faults.in_error = errno.EOVERFLOW


def _bad_cable(faults: Faults, _given: dict[str, Any]) -> None:
    faults.in_error = errno.EPROTO


def _port_status(faults: Faults, given: dict[str, Any]) -> None:
    faults.port_status = int(given["value"])


USB_FAULTS: dict[Any, Callable[[Faults, dict[str, Any]], None]] = {
    "stall": _stall,
    "deaf": _deaf,
    "claimed": _claimed,
    "denied": _denied,
    "short": _short,
    "babble": _babble,
    "bad_cable": _bad_cable,
    "port_status": _port_status,
}


class Bus:
    """The hub and what hangs on it."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._number = 1
        self._attached: dict[str, AsyncExitStack] = {}

    async def handle(self, do: str, given: dict[str, Any]) -> None:
        """Orders of the bus's socket."""
        match do:
            case "attach":
                await self._attach(given)
            case "detach":
                await self._attached.pop(str(given["control"])).aclose()
            case "show":
                self._bed.add(str(given["text"]), make_nodes=lambda: None)
            case "hide":
                self._bed.remove(str(given["text"]))
            case _:
                raise KeyError(do)

    async def close(self) -> None:
        for stack in self._attached.values():
            await stack.aclose()

    def _next_number(self) -> int:
        self._number = 2 if self._number == MAX_NUMBER else self._number + 1
        return self._number

    async def _attach(self, given: dict[str, Any]) -> None:
        kind, control = str(given["kind"]), Path(given["control"])
        if kind != "sdt-hid" and kind not in LAYOUTS:
            raise ValueError(f"no such kind: {kind}")
        loop = asyncio.get_running_loop()
        faults = Faults()

        def hear(data: bytes) -> None:
            loop.call_soon_threadsafe(attached.hear, data)

        place = Place(self._bed, str(given.get("port", "1")), self._next_number, hear)
        face: Face
        if kind == "sdt-hid":
            face = HidFace(place, faults)
        else:
            face = BulkFace(LAYOUTS[kind], place, faults)
        machine = Path(given["machine"]) if "machine" in given else None
        attached = Attached(face, faults, link=Path(given["link"]), machine=machine)
        attached.plug()
        stack = AsyncExitStack()
        stack.callback(attached.pull)
        await stack.enter_async_context(control_socket(control, attached.handle))
        self._attached[str(control)] = stack


async def run(control: Path, bed: Testbed) -> None:
    """Serve until SIGTERM."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    bus = Bus(bed)
    bed.add(HUB)
    async with control_socket(control, bus.handle):
        print("ready", bed.root, flush=True)  # noqa: T201 - whoever started us waits
        await ended.wait()
        await bus.close()


def main() -> None:
    under_debians_python("drivers.sim.usb_bus")
    parser = argparse.ArgumentParser(prog="drivers.sim.usb_bus")
    parser.add_argument("--control", type=Path, required=True)
    options = parser.parse_args()
    with Testbed().running() as bed:
        asyncio.run(run(options.control, bed))


if __name__ == "__main__":
    main()
