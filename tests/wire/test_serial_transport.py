"""The serial transport on a bare pty: deadlines, cancellation, hang-ups."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from drivers.transport.serial import SerialPort, SerialTransport
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

pytestmark = pytest.mark.wire

PATIENCE_S = 9.0


class Line:
    """A transport and the device's end of its wire."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        port = SerialPort(kind="serial", path=os.ttyname(self.slave))
        self.transport = SerialTransport("reader", port)

    def hang_up(self) -> None:
        os.close(self.master)
        self.master = -1

    async def end(self) -> None:
        await self.transport.close()
        os.close(self.slave)
        if self.master >= 0:
            os.close(self.master)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line()
    yield line
    await line.end()


@pytest.fixture
async def opened(line: Line) -> Line:
    await line.transport.open(timeout_s=PATIENCE_S)
    return line


async def test_bytes_go_both_ways(opened: Line) -> None:
    await opened.transport.write(b"ask", timeout_s=PATIENCE_S)
    assert os.read(opened.master, 10) == b"ask"
    os.write(opened.master, b"answer")
    assert await opened.transport.read(timeout_s=PATIENCE_S) == b"answer"


async def test_open_twice_and_close_twice(opened: Line) -> None:
    await opened.transport.open(timeout_s=PATIENCE_S)
    await opened.transport.close()
    await opened.transport.close()
    assert not opened.transport.is_open
    await opened.transport.open(timeout_s=PATIENCE_S)
    os.write(opened.master, b"again")
    assert await opened.transport.read(timeout_s=PATIENCE_S) == b"again"


async def test_a_read_takes_no_more_than_its_limit(opened: Line) -> None:
    os.write(opened.master, b"abcdef")
    assert await opened.transport.read(timeout_s=PATIENCE_S, limit=4) == b"abcd"
    assert await opened.transport.read(timeout_s=PATIENCE_S, limit=4) == b"ef"


@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
async def test_silence_is_a_timeout_and_loses_nothing(opened: Line, timeout_s: float) -> None:
    with pytest.raises(DeviceTimeout) as caught:
        await opened.transport.read(timeout_s=timeout_s)
    assert caught.value.reason is Reason.SILENT
    os.write(opened.master, b"late")
    assert await opened.transport.read(timeout_s=PATIENCE_S) == b"late"


async def test_a_read_given_up_loses_nothing(opened: Line) -> None:
    reading = asyncio.create_task(opened.transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    os.write(opened.master, b"later")
    assert await opened.transport.read(timeout_s=PATIENCE_S) == b"later"


async def test_what_was_not_read_can_be_thrown_away(opened: Line) -> None:
    assert await opened.transport.drain_input() == 0
    os.write(opened.master, b"x" * 3000)
    assert await opened.transport.read(timeout_s=PATIENCE_S, limit=1) == b"x"
    assert await opened.transport.drain_input() == 2999


async def test_a_device_that_takes_nothing_is_a_timeout(opened: Line) -> None:
    with pytest.raises(DeviceTimeout):
        await opened.transport.write(b"x" * (1 << 20), timeout_s=0.05)
    assert opened.transport.is_open


async def test_a_hang_up_during_a_read(opened: Line) -> None:
    reading = asyncio.create_task(opened.transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    opened.hang_up()
    with pytest.raises(DeviceUnavailable) as caught:
        await reading
    assert caught.value.reason is Reason.PORT_GONE
    assert not opened.transport.is_open


async def test_a_hang_up_before_a_write(opened: Line) -> None:
    opened.hang_up()
    with pytest.raises(DeviceUnavailable) as caught:
        await opened.transport.write(b"ask", timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.PORT_GONE
    assert not opened.transport.is_open


async def test_closed_during_a_read(opened: Line) -> None:
    reading = asyncio.create_task(opened.transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    await opened.transport.close()
    with pytest.raises(DeviceUnavailable):
        await reading


@pytest.mark.parametrize(
    "use",
    [
        lambda transport: transport.read(timeout_s=PATIENCE_S),
        lambda transport: transport.write(b"ask", timeout_s=PATIENCE_S),
        lambda transport: transport.drain_input(),
    ],
    ids=["read", "write", "drain"],
)
async def test_a_port_that_is_not_open(
    line: Line, use: Callable[[SerialTransport], Awaitable[object]]
) -> None:
    with pytest.raises(DeviceUnavailable) as caught:
        await use(line.transport)
    assert caught.value.reason is Reason.PORT_GONE


async def test_a_port_is_held_by_one(opened: Line) -> None:
    port = SerialPort(kind="serial", path=os.ttyname(opened.slave))
    second = SerialTransport("second", port)
    with pytest.raises(DeviceUnavailable) as caught:
        await second.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.OCCUPIED
    await opened.transport.close()
    await second.open(timeout_s=PATIENCE_S)
    await second.close()


async def test_opening_that_takes_too_long_closes_behind_itself(line: Line) -> None:
    with pytest.raises(DeviceTimeout):
        await line.transport.open(timeout_s=0.0)
    assert not line.transport.is_open


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/dev/no-such-port", Reason.PORT_GONE),
        ("/dev/null", Reason.REFUSED),
        ("/", Reason.REFUSED),
    ],
)
async def test_what_is_no_port(path: str, reason: Reason) -> None:
    transport = SerialTransport("reader", SerialPort(kind="serial", path=path))
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is reason
