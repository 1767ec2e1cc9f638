"""Twins that take seconds to start: one process for all tests that use it, set right before each.

    def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)

Of those on umockdev's bed (`evdev_twin`, `v4l2_twin`, `usb_bus`) the test sees the device, or is
skipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import usb.backend.libusb1

from drivers.sim.camera_picture import jpeg
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.sim.testbed import VARIABLE

ORDER_LIMIT_S = 30.0


def tell(control: Path, do: str, **arguments: Any) -> dict[str, Any]:
    """Send one order and wait for its answer; `AssertionError` if it says no."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(ORDER_LIMIT_S)
        line.connect(str(control))
        line.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        with line.makefile() as answers:
            answer: dict[str, Any] = json.loads(answers.readline())
    assert answer["ok"], f"{do}: {answer}"
    return answer


@contextmanager
def running(module: str, control: Path, shared_processes: set[int], *options: str) -> Iterator[str]:
    """A twin that many tests use, one after the other, and what it says behind `ready`."""
    command = [sys.executable, "-P", "-m", module, "--control", str(control), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        shared_processes.add(process.pid)
        try:
            assert process.stdout is not None
            ready, _, told = process.stdout.readline().partition(" ")
            assert ready.strip() == "ready", f"{module}: {ready!r} instead of ready"
            yield told.strip()
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def nut_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A real upsd with dummy-ups."""
    control = tmp_path_factory.mktemp("nut") / "control"
    with running("drivers.sim.nut", control, shared_processes):
        yield control


@pytest.fixture(scope="session")
def upstream_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """Other authorities' systems."""
    control = tmp_path_factory.mktemp("upstream") / "control"
    with running("launcher.standins.upstream", control, shared_processes):
        yield control


@pytest.fixture
def upstream_twin(upstream_process: Path) -> Path:
    """The same, well and quick, without answers of a test's own."""
    for do in ("fault.clear", "answers.clear"):
        tell(upstream_process, do)
    tell(upstream_process, "latency", ms=0)
    return upstream_process


@pytest.fixture(scope="session")
def modbus_processes(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[dict[str, Path]]:
    """Modbus units on a pty, whose link `port` stands beside the socket, and over TCP."""
    serial, tcp = (tmp_path_factory.mktemp(f"modbus-{wire}") for wire in ("serial", "tcp"))
    module, link = "drivers.sim.modbus", ("--link", str(serial / "port"))
    controls = {"serial": serial / "control", "tcp": tcp / "control"}
    with (
        running(module, controls["serial"], shared_processes, *link),
        running(module, controls["tcp"], shared_processes),
    ):
        yield controls


@pytest.fixture
def modbus_twins(modbus_processes: dict[str, Path]) -> dict[str, Path]:
    """The same, plugged in and as new."""
    for control in modbus_processes.values():
        for do in ("fault.clear", "plug", "reset"):
            tell(control, do)
    return modbus_processes


@pytest.fixture(scope="session")
def sound_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A real PulseAudio without a card."""
    control = tmp_path_factory.mktemp("sound") / "control"
    with running("drivers.sim.sound", control, shared_processes):
        yield control


@pytest.fixture
def sound_twin(sound_process: Path) -> Path:
    """The same, plugged in, in a silent room."""
    for do in ("server.start", "plug", "fault.clear", "hush", "echo.off", "heard.clear"):
        tell(sound_process, do)
    return sound_process


@pytest.fixture
def nut_twin(nut_process: Path) -> Path:
    """The same, plugged in and on the mains."""
    for do in ("fault.clear", "plug", "cable.plug", "power.back"):
        tell(nut_process, do)
    return nut_process


@pytest.fixture(scope="session")
def evdev_process(
    preloaded: bool, tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path | None]:
    """A keyboard on umockdev's bed; None where this process could not see it."""
    if not preloaded:
        yield None
        return
    control = tmp_path_factory.mktemp("evdev") / "control"
    with running("drivers.sim.evdev", control, shared_processes):
        yield control


@pytest.fixture
def evdev_twin(emulated: None, evdev_process: Path | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, plugged in and without a fault."""
    assert evdev_process is not None
    tell(evdev_process, "reset")
    monkeypatch.setenv(VARIABLE, tell(evdev_process, "state")["state"]["root"])
    return evdev_process


@pytest.fixture(scope="session")
def pcsc_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A real pcscd of our own. Its library asks once a process where the daemon is."""
    control = tmp_path_factory.mktemp("pcsc") / "control"
    with running("drivers.sim.pcsc", control, shared_processes) as daemon:
        os.environ["PCSCLITE_CSOCK_NAME"] = daemon
        yield control


@pytest.fixture
def pcsc_twin(pcsc_process: Path) -> Path:
    """The same, up and well, with no card in it."""
    tell(pcsc_process, "reset")
    return pcsc_process


@pytest.fixture(scope="session")
def camera_processes(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Mapping[str, Path]]:
    """Two cameras: the one gives JPEG over HTTP and RTSP, the other H.264 over RTSP."""
    folder = tmp_path_factory.mktemp("camera")
    module, pace = "drivers.sim.camera", ("--fps", "25")
    controls = {"jpeg": folder / "jpeg", "h264": folder / "h264"}
    with (
        running(module, controls["jpeg"], shared_processes, *pace),
        running(module, controls["h264"], shared_processes, *pace, "--codec", "h264"),
    ):
        yield controls


@pytest.fixture
def camera_twins(camera_processes: Mapping[str, Path]) -> Mapping[str, Path]:
    """The same, plugged in and at their usual pace."""
    for control in camera_processes.values():
        for do in ("fault.clear", "plug", "pace"):
            tell(control, do)
    return camera_processes


@pytest.fixture
def camera_twin(camera_twins: Mapping[str, Path]) -> Path:
    """The one that gives JPEG."""
    return camera_twins["jpeg"]


@pytest.fixture(scope="session")
def v4l2_process(
    preloaded: bool, tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path | None]:
    """A USB camera on umockdev's bed; None where this process could not see it."""
    if not preloaded:
        yield None
        return
    folder = tmp_path_factory.mktemp("v4l2")
    for number in range(1, 41):
        (folder / f"{number}.jpg").write_bytes(jpeg(256, 192, number))
    (folder / "black.jpg").write_bytes(jpeg(256, 192, None))
    control, options = folder / "control", ("--jpegs", str(folder), "--fps", "25")
    with running("drivers.sim.v4l2", control, shared_processes, *options):
        yield control


@pytest.fixture
def v4l2_twin(emulated: None, v4l2_process: Path | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, plugged in and without a fault."""
    assert v4l2_process is not None
    for do in ("fault.clear", "unplug", "plug"):
        tell(v4l2_process, do)
    monkeypatch.setenv(VARIABLE, tell(v4l2_process, "state")["state"]["root"])
    return v4l2_process


@pytest.fixture(scope="session")
def document_camera_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A document camera over HTTP; the folder of its `control`, and of its pictures `scenes`."""
    folder = tmp_path_factory.mktemp("document-camera")
    scenes = folder / "scenes"
    scenes.mkdir()
    options = ("--scenes", str(scenes))
    with running("drivers.sim.document_camera", folder / "control", shared_processes, *options):
        yield folder


@pytest.fixture
def document_camera_twin(document_camera_process: Path) -> Path:
    """The same, plugged in, with nothing under it."""
    control = document_camera_process / "control"
    for do in ("fault.clear", "plug"):
        tell(control, do)
    tell(control, "scene", names=["desk"])
    return control


@pytest.fixture(scope="session")
def document_camera_v4l2_process(
    preloaded: bool,
    document_camera_process: Path,
    tmp_path_factory: pytest.TempPathFactory,
    shared_processes: set[int],
) -> Iterator[Path | None]:
    """The same pictures from a USB camera; None where this process could not see it."""
    if not preloaded:
        yield None
        return
    control = tmp_path_factory.mktemp("document-camera-v4l2") / "control"
    options = ("--jpegs", str(document_camera_process / "scenes"), "--largest", "2048x1536")
    with running("drivers.sim.v4l2", control, shared_processes, *options, "--fps", "10"):
        yield control


@pytest.fixture
def document_camera_v4l2_twin(
    emulated: None, document_camera_v4l2_process: Path | None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The same, plugged in, with nothing under it."""
    control = document_camera_v4l2_process
    assert control is not None
    for do in ("fault.clear", "plug"):
        tell(control, do)
    tell(control, "scene", names=["desk"])
    monkeypatch.setenv(VARIABLE, tell(control, "state")["state"]["root"])
    return control


@pytest.fixture(scope="session")
def sdt_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A simulated card reader; the folder of its `link` and its `machine`, the control socket."""
    folder = tmp_path_factory.mktemp("sdt")
    options = ("--link", str(folder / "link"))
    with running("drivers.sim.sdt", folder / "machine", shared_processes, *options):
        yield folder


@pytest.fixture
def sdt_twin(sdt_process: Path) -> Path:
    """The same, plugged in, without a card and without faults."""
    for do in ("fault.clear", "card.lift", "plug"):
        tell(sdt_process / "machine", do)
    return sdt_process


class UsbBus:
    """A bus of emulated devices, and what puts twins behind them."""

    def __init__(self, control: Path) -> None:
        self.control = control

    @asynccontextmanager
    async def device(
        self, kind: str, folder: Path, twin: str, *arguments: str | Path, port: str = "1"
    ) -> AsyncIterator[Path]:
        """A device in front of a twin while the block runs; the socket that takes its orders."""
        link, machine = folder / "link", folder / "machine"
        async with (
            simulator(twin, "--link", link, "--control", machine, *arguments),
            self.before(kind, link, machine, folder / "control", port=port) as control,
        ):
            yield control

    @asynccontextmanager
    async def before(
        self, kind: str, link: Path, machine: Path, control: Path, *, port: str = "1"
    ) -> AsyncIterator[Path]:
        """The same, in front of a twin that runs already."""
        places = {"link": str(link), "machine": str(machine), "control": str(control)}
        await order(self.control, "attach", kind=kind, port=port, **places)
        try:
            yield control
        finally:
            await order(self.control, "detach", control=str(control))


class Line:
    """A device of the bus, and the twin's end of its wire: the test itself is the twin."""

    def __init__(self, bus: UsbBus, control: Path) -> None:
        self._bus = bus
        self.control = control
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)

    async def attach(self, kind: str, port: str) -> None:
        places = {"link": os.ttyname(self.slave), "control": str(self.control)}
        await order(self._bus.control, "attach", kind=kind, port=port, **places)

    async def end(self) -> None:
        await order(self._bus.control, "detach", control=str(self.control))
        os.close(self.master)
        os.close(self.slave)

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def say(self, data: bytes) -> None:
        """Have the device say something; it waits in the device when this returns."""
        os.write(self.master, data)
        await self.tell("state")

    async def heard(self, count: int) -> bytes:
        """What the device has heard, when it is so many bytes."""
        data = b""
        while len(data) < count:
            try:
                data += os.read(self.master, 4096)
            except BlockingIOError:
                await asyncio.sleep(0.005)
        return data


@dataclass(frozen=True)
class RunningBus:
    bus: UsbBus
    root: str
    libusb: list[object]
    """The tests' own libusb as it sees the bus, once a test has used it."""


@pytest.fixture(scope="session")
def usb_bus_process(
    preloaded: bool, tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[RunningBus | None]:
    """The bus where tests can see it."""
    if not preloaded:
        yield None
        return
    control = tmp_path_factory.mktemp("usb") / "control"
    with running("drivers.sim.usb_bus", control, shared_processes) as root:
        yield RunningBus(UsbBus(control), root, [])


@pytest.fixture
def usb_bus(
    usb_bus_process: RunningBus | None, emulated: None, monkeypatch: pytest.MonkeyPatch
) -> UsbBus:
    """The same; this process sees its devices while the test runs."""
    assert usb_bus_process is not None
    libusb = usb_bus_process.libusb
    monkeypatch.setenv(VARIABLE, usb_bus_process.root)
    # libusb hears of plugs where it was when it began: this one begins at the bus, and stays.
    monkeypatch.setattr(usb.backend.libusb1, "_lib_object", libusb[0] if libusb else None)
    if not libusb:
        libusb.append(usb.backend.libusb1.get_backend())
    return usb_bus_process.bus


Attach = Callable[..., Awaitable[Line]]


@pytest.fixture
async def attach(usb_bus: UsbBus, tmp_path: Path) -> AsyncIterator[Attach]:
    """Puts a device on the bus of which the test is the twin."""
    lines: list[Line] = []

    async def make(kind: str, *, port: str = "1") -> Line:
        line = Line(usb_bus, tmp_path / f"control-{port}")
        await line.attach(kind, port)
        lines.append(line)
        return line

    yield make
    for line in lines:
        await line.end()
