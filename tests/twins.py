"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
def test_…(camera_twins: Mapping[str, Path]): …     those of a camera for each codec
def test_…(v4l2_twin: Path): …     that of a USB camera, which this process sees
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.sim.camera_picture import jpeg
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


@contextmanager
def camera_process(module: str, control: Path, *options: str) -> Iterator[Path]:
    """A camera's twin while the block runs; what it starts need not see emulated devices."""
    command = [sys.executable, "-P", "-m", module, "--control", str(control), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield control
        process.terminate()


@pytest.fixture(scope="session")
def camera_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Path]]:
    """Two cameras: the one gives JPEG over HTTP and RTSP, the other H.264 over RTSP."""
    folder = tmp_path_factory.mktemp("camera")
    module, pace = "drivers.sim.camera", ("--fps", "25")
    with (
        camera_process(module, folder / "jpeg", *pace) as jpegs,
        camera_process(module, folder / "h264", *pace, "--codec", "h264") as h264,
    ):
        yield {"jpeg": jpegs, "h264": h264}


@pytest.fixture
def camera_twins(camera_processes: Mapping[str, Path]) -> Mapping[str, Path]:
    """The same, plugged in and at their usual pace."""
    for control in camera_processes.values():
        for do in ("fault.clear", "plug", "pace"):
            tell(control, do)
    return camera_processes


@pytest.fixture(scope="session")
def v4l2_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A USB camera on umockdev's bed; None where this process could not see it."""
    # What `./hall test` has started this process with, whatever became of the variable since.
    if b"libumockdev-preload" not in Path("/proc/self/environ").read_bytes():
        yield None
        return
    folder = tmp_path_factory.mktemp("v4l2")
    for number in range(1, 41):
        (folder / f"{number}.jpg").write_bytes(jpeg(256, 192, number))
    options = ("--jpegs", str(folder), "--fps", "25")
    with camera_process("drivers.sim.v4l2", folder / "control", *options) as control:
        yield control


@pytest.fixture
def v4l2_twin(v4l2_process: Path | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, plugged in and without a fault."""
    if v4l2_process is None:
        pytest.skip("needs umockdev's preload: run it by ./hall test")
    for do in ("fault.clear", "plug"):
        tell(v4l2_process, do)
    monkeypatch.setenv(VARIABLE, root_of(v4l2_process))
    return v4l2_process


def root_of(control: Path) -> str:
    """Where what it emulates is."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(control))
        line.sendall(b'{"do": "state"}\n')
        with line.makefile() as answers:
            root: str = json.loads(answers.readline())["state"]["root"]
    return root
