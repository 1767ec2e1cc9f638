"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
def test_…(camera_twins: Mapping[str, Path]): …     those of a camera for each codec
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


def tell(control: Path, do: str) -> None:
    """Send one order and wait for its answer; `AssertionError` if it says no."""
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(control))
        line.sendall(json.dumps({"do": do}).encode() + b"\n")
        with line.makefile() as answers:
            answer = json.loads(answers.readline())
    assert answer["ok"], f"{do}: {answer}"


@contextmanager
def _running(module: str, control: Path, *options: str) -> Iterator[Path]:
    command = [sys.executable, "-P", "-m", module, "--control", str(control), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield control
        process.terminate()


@pytest.fixture(scope="session")
def nut_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real upsd with dummy-ups."""
    control = tmp_path_factory.mktemp("nut") / "control"
    with _running("drivers.sim.nut", control):
        yield control


@pytest.fixture
def nut_twin(nut_process: Path) -> Path:
    """The same, plugged in and on the mains."""
    for do in ("fault.clear", "plug", "cable.plug", "power.back"):
        tell(nut_process, do)
    return nut_process


@pytest.fixture(scope="session")
def camera_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Path]]:
    """Two cameras: the one gives JPEG over HTTP and RTSP, the other H.264 over RTSP."""
    folder = tmp_path_factory.mktemp("camera")
    module = "drivers.sim.camera"
    options = ("--fps", "25")
    with (
        _running(module, folder / "jpeg", *options) as jpeg,
        _running(module, folder / "h264", *options, "--codec", "h264") as h264,
    ):
        yield {"jpeg": jpeg, "h264": h264}


@pytest.fixture
def camera_twins(camera_processes: Mapping[str, Path]) -> Mapping[str, Path]:
    """The same, plugged in and at their usual pace."""
    for control in camera_processes.values():
        for do in ("fault.clear", "plug", "pace"):
            tell(control, do)
    return camera_processes
