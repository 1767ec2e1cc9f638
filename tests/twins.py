"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
"""

from __future__ import annotations

import contextlib
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
def nut_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real upsd with dummy-ups."""
    control = tmp_path_factory.mktemp("nut") / "control"
    command = [sys.executable, "-P", "-m", "drivers.sim.nut", "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        yield control
        process.terminate()


@pytest.fixture(scope="session")
def modbus_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """Modbus units on a pty, whose link `port` stands beside the socket, and over TCP."""
    controls: dict[str, Path] = {}
    with contextlib.ExitStack() as stack:
        for wire in ("serial", "tcp"):
            folder = tmp_path_factory.mktemp(f"modbus-{wire}")
            control = controls[wire] = folder / "control"
            link = ["--link", str(folder / "port")] if wire == "serial" else []
            command = [sys.executable, "-P", "-m", "drivers.sim.modbus", "--control", str(control)]
            process = stack.enter_context(
                subprocess.Popen([*command, *link], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.terminate)
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready")
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
