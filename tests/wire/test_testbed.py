"""The bed of emulated devices, as a program under its preload sees it: nodes, ioctls, plugs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import pyudev

from drivers.sim.testbed import VARIABLE

pytestmark = [pytest.mark.wire, pytest.mark.usefixtures("emulated")]

NODE = "/dev/input/event9"
EVIOCGRAB = 0x40044590
TWIN = r"""
import os, sys
from drivers.sim.testbed import Testbed

NODE = "/dev/input/event9"
DEVICE = (
    "P: /devices/virtual/input/input9/event9\nN: input/event9\n"
    "E: SUBSYSTEM=input\nE: DEVNAME=/dev/input/event9\n"
)

def grab(call):
    if call.request != 0x40044590:
        return False
    call.complete(*((0, 0) if call.number else (-1, 16)))
    return True

with Testbed().running() as bed:
    bed.add(DEVICE)
    other_end = bed.stream(NODE)
    bed.answer(NODE, grab)
    print("ready", bed.root, flush=True)
    for line in sys.stdin:
        if line == "pull\n":
            bed.remove(DEVICE)
        else:
            os.write(other_end, line.strip().encode())
        print("done", flush=True)
"""


@pytest.fixture
def twin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    """A keyboard that writes what it is told; the test's process sees it."""
    script = tmp_path / "twin.py"
    script.write_text(TWIN, encoding="utf-8")
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
        "LD_PRELOAD": "libumockdev-preload.so.0",
    }
    command = ["/usr/bin/python3", "-P", str(script)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = process.stdout.readline().split()
        assert told[0] == "ready"
        monkeypatch.setenv(VARIABLE, told[1])
        yield process
        process.stdin.close()


def tell(twin: subprocess.Popen[str], word: str) -> None:
    assert twin.stdin is not None
    assert twin.stdout is not None
    twin.stdin.write(f"{word}\n")
    twin.stdin.flush()
    assert twin.stdout.readline() == "done\n"


@contextlib.contextmanager
def opened() -> Iterator[int]:
    node = os.open(NODE, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield node
    finally:
        os.close(node)


def test_what_the_twin_writes_is_waited_for_and_read(twin: subprocess.Popen[str]) -> None:
    with opened() as node:
        assert select.select([node], [], [], 0)[0] == []
        tell(twin, "12345678")
        assert select.select([node], [], [], 5)[0] == [node]
        assert os.read(node, 24) == b"12345678"


def test_the_twin_answers_ioctls_with_numbers_and_errors(twin: subprocess.Popen[str]) -> None:
    with opened() as node:
        assert fcntl.ioctl(node, EVIOCGRAB, 1) == 0
        with pytest.raises(OSError, match=os.strerror(errno.EBUSY)):
            fcntl.ioctl(node, EVIOCGRAB, 0)


def test_a_pulled_plug_ends_the_reading_and_udev_tells(twin: subprocess.Popen[str]) -> None:
    monitor = pyudev.Monitor.from_netlink(pyudev.Context())
    monitor.start()
    with opened() as node:
        tell(twin, "pull")
        device = monitor.poll(timeout=5)
        assert device is not None
        assert (device.action, device.device_node) == ("remove", NODE)
        assert select.select([node], [], [], 5)[0] == [node]
        assert os.read(node, 24) == b""
    assert not Path(NODE).exists()


def test_without_the_variable_the_machine_is_as_it_is(twin: subprocess.Popen[str]) -> None:
    assert Path(NODE).exists()
    del os.environ[VARIABLE]
    assert not Path(NODE).exists()
    command = [sys.executable, "-c", "import os; print('LD_PRELOAD' in os.environ)"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n", "what tests start has no preload"
