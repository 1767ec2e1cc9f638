"""A HID device whose kernel driver holds a write: deadlines and the loop go on."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.transport import descriptor, hidraw
from drivers.transport.hidraw import REPORT_BYTES, HidrawPort, HidrawTransport
from hallkit.errors import DeviceTimeout, Reason

LONG_S = 10.0
PORT = HidrawPort(kind="hidraw", vendor="2b8b", product="2721")


class Kernel:
    """Takes reports once it is let, or with a fault."""

    def __init__(self) -> None:
        self.lets = threading.Event()
        self.fault = 0
        self.asked = threading.Event()
        self.taken: list[bytes] = []

    def write(self, _descriptor: int, data: memoryview) -> int:
        self.asked.set()
        assert self.lets.wait(LONG_S)
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        self.taken.append(bytes(data))
        return len(data)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Kernel]:
    kernel = Kernel()
    node = tmp_path / "hidraw0"
    node.touch()
    monkeypatch.setattr(hidraw.HidrawTransport, "_find", lambda _self: str(node))
    monkeypatch.setattr(os, "write", kernel.write)
    monkeypatch.setattr(descriptor, "CLOSE_LIMIT_S", 0.01)
    yield kernel
    kernel.lets.set()


async def opened() -> HidrawTransport:
    transport = HidrawTransport("reader", PORT)
    await transport.open(timeout_s=LONG_S)
    return transport


async def begun(transport: HidrawTransport, kernel: Kernel) -> asyncio.Task[None]:
    """A write of two reports that the kernel holds at the first."""
    writing = asyncio.create_task(transport.write(bytes(100), timeout_s=LONG_S))
    while not kernel.asked.is_set():  # noqa: ASYNC110  # a thread has no event of the loop's
        await asyncio.sleep(0)
    return writing


async def test_a_write_that_the_kernel_holds_ends_at_its_deadline(kernel: Kernel) -> None:
    transport = await opened()
    with pytest.raises(DeviceTimeout) as fault:
        await transport.write(b"\x01", timeout_s=0.01)
    assert fault.value.reason is Reason.SILENT
    assert (kernel.taken, transport.is_open) == ([], False), "nothing goes out behind it"
    with pytest.raises(DeviceTimeout):
        await transport.open(timeout_s=0.01)
    kernel.lets.set()
    await transport.open(timeout_s=LONG_S)
    await transport.write(b"\x02", timeout_s=LONG_S)
    assert kernel.taken[-1] == b"\0\x02".ljust(1 + REPORT_BYTES, b"\0")
    await transport.close()


async def test_the_loop_goes_on_while_the_kernel_holds_a_write(kernel: Kernel) -> None:
    transport = await opened()
    writing = await begun(transport, kernel)
    assert kernel.taken == []
    kernel.lets.set()
    await writing
    assert len(kernel.taken) == 2
    await transport.close()


async def test_who_stops_writing_leaves_nothing_open(kernel: Kernel) -> None:
    transport = await opened()
    writing = await begun(transport, kernel)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not transport.is_open


async def test_a_device_that_does_not_take_a_report_is_silent(kernel: Kernel) -> None:
    kernel.fault = errno.ETIMEDOUT
    kernel.lets.set()
    transport = await opened()
    with pytest.raises(DeviceTimeout) as fault:
        await transport.write(b"\x01", timeout_s=LONG_S)
    assert fault.value.reason is Reason.SILENT
    assert not transport.is_open
