"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
    def test_…(evdev_twin: Path): …   the same; the test sees the twin's device, or is skipped
def test_…(camera_twins: Mapping[str, Path]): …     those of a camera for each codec
def test_…(v4l2_twin: Path): …     that of a USB camera, which this process sees
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.camera_picture import jpeg
from drivers.sim.testbed import VARIABLE

PRELOAD = "libumockdev-preload"


def tell(control: Path, do: str) -> dict[str, Any]:
    """Send one order and wait for its answer; `AssertionError` if it says no."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(control))
        line.sendall(json.dumps({"do": do}).encode() + b"\n")
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
        assert process.stdout is not None
        ready, _, told = process.stdout.readline().partition(" ")
        assert ready.strip() == "ready"
        yield told.strip()
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


@pytest.fixture
def nut_twin(nut_process: Path) -> Path:
    """The same, plugged in and on the mains."""
    for do in ("fault.clear", "plug", "cable.plug", "power.back"):
        tell(nut_process, do)
    return nut_process


@pytest.fixture(scope="session")
def evdev_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path | None]:
    """A keyboard on umockdev's bed; None where this process could not see it."""
    if PRELOAD not in Path("/proc/self/maps").read_text(encoding="utf-8"):
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
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path | None]:
    """A USB camera on umockdev's bed; None where this process could not see it."""
    if PRELOAD not in Path("/proc/self/maps").read_text(encoding="utf-8"):
        yield None
        return
    folder = tmp_path_factory.mktemp("v4l2")
    for number in range(1, 41):
        (folder / f"{number}.jpg").write_bytes(jpeg(256, 192, number))
    control, options = folder / "control", ("--jpegs", str(folder), "--fps", "25")
    with running("drivers.sim.v4l2", control, shared_processes, *options):
        yield control


@pytest.fixture
def v4l2_twin(emulated: None, v4l2_process: Path | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, plugged in and without a fault."""
    assert v4l2_process is not None
    for do in ("fault.clear", "plug"):
        tell(v4l2_process, do)
    monkeypatch.setenv(VARIABLE, tell(v4l2_process, "state")["state"]["root"])
    return v4l2_process
