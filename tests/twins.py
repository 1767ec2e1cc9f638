"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

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


class UsbBus:
    """A bus of emulated devices, and what puts twins behind them."""

    def __init__(self, control: Path) -> None:
        self.control = control

    @asynccontextmanager
    async def device(
        self, kind: str, folder: Path, twin: str, *arguments: str | Path, port: str = "1"
    ) -> AsyncIterator[Path]:
        """A device in front of a twin while the block runs; the socket that takes its orders."""
        link, machine, control = (folder / name for name in ("link", "machine", "control"))
        async with simulator(twin, "--link", link, "--control", machine, *arguments):
            places = {"link": str(link), "machine": str(machine), "control": str(control)}
            await order(self.control, "attach", kind=kind, port=port, **places)
            try:
                yield control
            finally:
                await order(self.control, "detach", control=str(control))


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
