"""Twins that take seconds to start: one process for all tests that use it, set right before each.

def test_…(nut_twin: Path): …     the path of its control socket (drivers/sim/control.py)
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
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
def running(module: str, control: Path, shared_processes: set[int]) -> Iterator[str]:
    """The twin as a process, and what it says behind `ready`."""
    command = [sys.executable, "-P", "-m", module, "--control", str(control)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        shared_processes.add(process.pid)
        assert process.stdout is not None
        ready, _, told = process.stdout.readline().partition(" ")
        assert ready == "ready"
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


@pytest.fixture
def nut_twin(nut_process: Path) -> Path:
    """The same, plugged in and on the mains."""
    for do in ("fault.clear", "plug", "cable.plug", "power.back"):
        tell(nut_process, do)
    return nut_process


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
