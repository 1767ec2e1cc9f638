"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="session")
def nut_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A real upsd with dummy-ups."""
    control = tmp_path_factory.mktemp("nut") / "control"
    command = [sys.executable, "-P", "-m", "drivers.sim.nut", "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        shared_processes.add(process.pid)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield control
        process.terminate()


@pytest.fixture(scope="session")
def sound_process(
    tmp_path_factory: pytest.TempPathFactory, shared_processes: set[int]
) -> Iterator[Path]:
    """A real PulseAudio without a card."""
    control = tmp_path_factory.mktemp("sound") / "control"
    command = [sys.executable, "-P", "-m", "drivers.sim.sound", "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        shared_processes.add(process.pid)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield control
        process.terminate()


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
