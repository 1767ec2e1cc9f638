"""The transport for HID devices on emulated ones: reports, plugs, who holds what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from drivers.transport.hidraw import REPORT_BYTES, HidrawPort, HidrawTransport
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason
from tests.twins import Attach, Line

pytestmark = pytest.mark.wire

PATIENCE_S = 9.0
READER = HidrawPort(kind="hidraw", vendor="2b8b", product="2721")
FRAME = bytes.fromhex("AAAAAA96690003200122")


@pytest.fixture
async def use() -> AsyncIterator[Callable[[HidrawPort], HidrawTransport]]:
    async with AsyncExitStack() as stack:

        def make(port: HidrawPort) -> HidrawTransport:
            transport = HidrawTransport("reader", port)
            stack.push_async_callback(transport.close)
            return transport

        yield make


Use = Callable[[HidrawPort], HidrawTransport]


@pytest.fixture
async def line(attach: Attach) -> Line:
    return await attach("sdt-hid")


@pytest.fixture
async def transport(line: Line, use: Use) -> HidrawTransport:
    made = use(READER)
    await made.open(timeout_s=PATIENCE_S)
    return made


async def received(transport: HidrawTransport, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await transport.read(timeout_s=PATIENCE_S)
    return data


async def test_reports_go_both_ways_padded(line: Line, transport: HidrawTransport) -> None:
    await transport.write(FRAME, timeout_s=PATIENCE_S)
    assert await line.heard(REPORT_BYTES) == FRAME.ljust(REPORT_BYTES, b"\0")
    await line.say(FRAME)
    assert await transport.read(timeout_s=PATIENCE_S) == FRAME.ljust(REPORT_BYTES, b"\0")


async def test_more_than_one_report(line: Line, transport: HidrawTransport) -> None:
    data = bytes(range(1, 101))
    await transport.write(data, timeout_s=PATIENCE_S)
    assert await line.heard(2 * REPORT_BYTES) == data.ljust(2 * REPORT_BYTES, b"\0")
    answer = FRAME[:5] + (100).to_bytes(2, "big") + data
    await line.say(answer)
    assert await received(transport, 128) == answer.ljust(128, b"\0")


async def test_a_small_read_loses_nothing_of_a_report(
    line: Line, transport: HidrawTransport
) -> None:
    await line.say(FRAME)
    assert await transport.read(timeout_s=PATIENCE_S, limit=4) == FRAME[:4]
    assert (await transport.read(timeout_s=PATIENCE_S)).startswith(FRAME[4:])
    await line.say(FRAME)
    assert await transport.read(timeout_s=PATIENCE_S, limit=4) == FRAME[:4]
    assert await transport.drain_input() == REPORT_BYTES - 4


async def test_silence_is_a_timeout(line: Line, transport: HidrawTransport) -> None:
    with pytest.raises(DeviceTimeout):
        await transport.read(timeout_s=0.05)
    await line.say(FRAME)
    assert (await transport.read(timeout_s=PATIENCE_S)).startswith(FRAME)


async def test_pulled_out_during_a_read_and_found_again(
    line: Line, transport: HidrawTransport
) -> None:
    reading = asyncio.create_task(transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    await line.tell("unplug")
    with pytest.raises(DeviceUnavailable) as caught:
        await reading
    assert caught.value.reason is Reason.PORT_GONE
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.PORT_GONE
    await line.tell("plug")
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(FRAME)
    assert (await transport.read(timeout_s=PATIENCE_S)).startswith(FRAME)


async def test_a_node_is_held_by_one(line: Line, transport: HidrawTransport, use: Use) -> None:
    second = use(READER)
    with pytest.raises(DeviceUnavailable) as caught:
        await second.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.OCCUPIED
    await transport.close()
    await second.open(timeout_s=PATIENCE_S)


async def test_a_node_that_another_program_holds(line: Line, use: Use) -> None:
    await line.tell("fault.set", fault="claimed")
    transport = use(READER)
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.OCCUPIED
    await line.tell("fault.clear")
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(FRAME)
    assert (await transport.read(timeout_s=PATIENCE_S)).startswith(FRAME)


async def test_a_node_without_rights_is_refused(line: Line, use: Use) -> None:
    await line.tell("fault.set", fault="denied")
    with pytest.raises(DeviceUnavailable) as caught:
        await use(READER).open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.REFUSED


async def test_two_alike_are_told_apart_by_where_they_are_plugged_in(
    attach: Attach, use: Use
) -> None:
    for port in ("2", "3"):
        line = await attach("sdt-hid", port=port)
        transport = use(READER.model_copy(update={"port": f"1-{port}"}))
        await transport.open(timeout_s=PATIENCE_S)
        await line.say(FRAME)
        assert (await transport.read(timeout_s=PATIENCE_S)).startswith(FRAME)
