"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import usb.backend.libusb1

from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.sim.testbed import VARIABLE


def tell(control: Path, do: str) -> None:
    """Send one order and wait for its answer; `AssertionError` if it says no."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(control))
        line.sendall(json.dumps({"do": do}).encode() + b"\n")
        with line.makefile() as answers:
            answer = json.loads(answers.readline())
    assert answer["ok"], f"{do}: {answer}"


@pytest.fixture(scope="session")
def nut_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real upsd with dummy-ups."""
    control = tmp_path_factory.mktemp("nut") / "control"
    command = [sys.executable, "-P", "-m", "drivers.sim.nut", "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield control
        process.terminate()


@pytest.fixture
def nut_twin(nut_process: Path) -> Path:
    """The same, plugged in and on the mains."""
    for do in ("fault.clear", "plug", "cable.plug", "power.back"):
        tell(nut_process, do)
    return nut_process


@pytest.fixture(scope="session")
def sdt_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A simulated card reader; the folder of its `link` and its `machine`, the control socket."""
    folder = tmp_path_factory.mktemp("sdt")
    command = [sys.executable, "-P", "-m", "drivers.sim.sdt", "--link", str(folder / "link")]
    command += ["--control", str(folder / "machine")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield folder
        process.terminate()


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
    preloaded: bool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningBus | None]:
    """The bus where tests can see it."""
    if not preloaded:
        yield None
        return
    control = tmp_path_factory.mktemp("usb") / "control"
    command = [sys.executable, "-P", "-m", "drivers.sim.usb_bus", "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready, root = process.stdout.readline().split()
        assert ready == "ready"
        yield RunningBus(UsbBus(control), root, [])
        process.terminate()


@pytest.fixture
def usb_bus(
    usb_bus_process: RunningBus | None, emulated: None, monkeypatch: pytest.MonkeyPatch
) -> UsbBus:
    """The same; this process sees its devices while the test runs.

    A test that may ask for it by name asks for `usb_bus_process` besides, so that it runs before.
    """
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
