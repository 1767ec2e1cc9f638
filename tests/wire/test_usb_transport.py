"""The USB transport on emulated devices: deadlines, cancellation, stalls, plugs, who holds what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from drivers.id_card_reader.sdt import IN_TWO_PARTS
from drivers.transport import usb
from drivers.transport.usb import PRINTER_CLASS, UsbPort, UsbTransport
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason
from tests.twins import Attach, Line

pytestmark = pytest.mark.wire

PATIENCE_S = 9.0
READER = UsbPort(kind="usb", vendor="0400", product="c35a")
PRINTER = UsbPort(kind="usb", vendor="04b8", product="0202")
FRAME = bytes.fromhex("AAAAAA96690003200122")


@pytest.fixture
async def use() -> AsyncIterator[Callable[..., UsbTransport]]:
    async with AsyncExitStack() as stack:

        def make(port: UsbPort, **arguments: Any) -> UsbTransport:
            transport = UsbTransport("part", port, **arguments)
            stack.push_async_callback(transport.close)
            return transport

        yield make


@pytest.fixture(params=["sdt-usb2", "sdt-usb4", "escpos-usb"])
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def line(attach: Attach, kind: str) -> Line:
    return await attach(kind)


@pytest.fixture
async def transport(line: Line, kind: str, use: Callable[..., UsbTransport]) -> UsbTransport:
    if kind == "escpos-usb":
        made = use(PRINTER, interface_class=PRINTER_CLASS)
    else:
        made = use(READER, parts=IN_TWO_PARTS)
    await made.open(timeout_s=PATIENCE_S)
    return made


one_kind = pytest.mark.parametrize("kind", ["sdt-usb2"], indirect=True)


async def received(transport: UsbTransport, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await transport.read(timeout_s=PATIENCE_S)
    return data


async def test_bytes_go_both_ways(line: Line, transport: UsbTransport) -> None:
    await transport.write(FRAME, timeout_s=PATIENCE_S)
    assert await line.heard(len(FRAME)) == FRAME
    await line.say(FRAME + FRAME)
    assert await received(transport, 2 * len(FRAME)) == FRAME + FRAME


@pytest.mark.parametrize("size", [57, 64, 121, 2048])
async def test_an_answer_that_fills_its_last_packet_needs_no_more(
    line: Line, transport: UsbTransport, size: int
) -> None:
    answer = FRAME[:5] + (size - 7).to_bytes(2, "big") + bytes(size - 7)
    await line.say(answer)
    assert await received(transport, size) == answer


async def test_open_twice_and_close_twice(line: Line, transport: UsbTransport) -> None:
    await transport.open(timeout_s=PATIENCE_S)
    await transport.close()
    await transport.close()
    assert not transport.is_open
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(FRAME)
    assert await received(transport, len(FRAME)) == FRAME


@one_kind
async def test_a_read_takes_no_more_than_its_limit(line: Line, transport: UsbTransport) -> None:
    await line.say(b"abcdef")
    assert await transport.read(timeout_s=PATIENCE_S, limit=4) == b"abcd"
    assert await transport.read(timeout_s=PATIENCE_S, limit=4) == b"ef"


@one_kind
@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
async def test_silence_is_a_timeout_and_loses_nothing(
    line: Line, transport: UsbTransport, timeout_s: float
) -> None:
    with pytest.raises(DeviceTimeout) as caught:
        await transport.read(timeout_s=timeout_s)
    assert caught.value.reason is Reason.SILENT
    await line.say(b"late")
    assert await received(transport, 4) == b"late"


@one_kind
async def test_a_read_given_up_loses_nothing(line: Line, transport: UsbTransport) -> None:
    reading = asyncio.create_task(transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await line.say(b"later")
    assert await received(transport, 5) == b"later"


@one_kind
async def test_what_was_not_read_can_be_thrown_away(line: Line, transport: UsbTransport) -> None:
    assert await transport.drain_input() == 0
    await line.say(b"x" * 64)
    assert await transport.read(timeout_s=PATIENCE_S, limit=1) == b"x"
    assert await transport.drain_input() == 63


@pytest.mark.parametrize("kind", ["sdt-usb4"], indirect=True)
async def test_half_a_frame_can_be_thrown_away(line: Line, transport: UsbTransport) -> None:
    await line.say(FRAME[:8])
    assert await received(transport, 8) == FRAME[:8]
    await transport.drain_input()
    await line.tell("disconnect")
    await transport.close()
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(FRAME)
    assert await received(transport, len(FRAME)) == FRAME


@one_kind
async def test_what_the_device_had_to_say_to_others_is_nobodys_answer(
    line: Line, transport: UsbTransport
) -> None:
    await transport.close()
    await line.say(b"y" * 300)
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(b"mine")
    assert await received(transport, 4) == b"mine"


@pytest.mark.parametrize("kind", ["sdt-usb2", "escpos-usb"], indirect=True)
async def test_a_device_that_takes_nothing_is_a_timeout(
    line: Line, transport: UsbTransport
) -> None:
    await line.tell("fault.set", fault="deaf")
    with pytest.raises(DeviceTimeout) as caught:
        await transport.write(b"lost", timeout_s=0.1)
    assert caught.value.reason is Reason.SILENT
    assert transport.is_open
    await line.tell("fault.clear")
    await transport.write(b"taken", timeout_s=PATIENCE_S)
    assert await line.heard(5) == b"taken"


@one_kind
async def test_a_write_given_up_ends(line: Line, transport: UsbTransport) -> None:
    await line.tell("fault.set", fault="deaf")
    writing = asyncio.create_task(transport.write(b"lost", timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await line.tell("fault.clear")
    await transport.write(b"taken", timeout_s=PATIENCE_S)
    assert (await line.heard(5)).endswith(b"taken")


@pytest.mark.parametrize("kind", ["sdt-usb2", "escpos-usb"], indirect=True)
async def test_a_pipe_that_stalls_is_cleared(line: Line, transport: UsbTransport) -> None:
    await line.tell("fault.set", fault="stall", way="out", times=2)
    await transport.write(b"ask", timeout_s=PATIENCE_S)
    assert await line.heard(3) == b"ask"
    await line.tell("fault.set", fault="stall", way="in", times=2)
    await line.say(b"answer")
    assert await received(transport, 6) == b"answer"


@one_kind
@pytest.mark.parametrize(
    ("way", "call"),
    [
        ("in", lambda transport: transport.read(timeout_s=PATIENCE_S)),
        ("out", lambda transport: transport.write(b"ask", timeout_s=PATIENCE_S)),
    ],
)
async def test_a_pipe_that_always_stalls_is_a_device_to_be_repaired(
    line: Line,
    transport: UsbTransport,
    way: str,
    call: Callable[[UsbTransport], Awaitable[object]],
) -> None:
    await line.tell("fault.set", fault="stall", way=way, times=0)
    await line.say(b"answer")
    with pytest.raises(DeviceUnavailable) as caught:
        await call(transport)
    assert caught.value.reason is Reason.UNRECOVERABLE
    assert not transport.is_open


@one_kind
@pytest.mark.parametrize(
    ("fault", "reason"),
    # Over a bad cable it looks as at the beginning of a pull, before the kernel has heard of it.
    [("babble", Reason.GARBLED), ("bad_cable", Reason.PORT_GONE)],
)
async def test_transfers_that_fail_are_named_and_heal(
    line: Line, transport: UsbTransport, fault: str, reason: Reason
) -> None:
    await line.tell("fault.set", fault=fault)
    await line.say(FRAME)
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.read(timeout_s=PATIENCE_S)
    assert caught.value.reason is reason
    assert not transport.is_open
    await line.say(FRAME)
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is reason
    await line.tell("fault.clear")
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(FRAME)
    assert await received(transport, len(FRAME)) == FRAME


async def test_small_packets_make_the_same_answer(line: Line, transport: UsbTransport) -> None:
    await line.tell("fault.set", fault="short", bytes=3)
    await line.say(FRAME)
    assert await received(transport, len(FRAME)) == FRAME


async def test_pulled_out_during_a_read(line: Line, transport: UsbTransport) -> None:
    reading = asyncio.create_task(transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    await line.tell("unplug")
    with pytest.raises(DeviceUnavailable) as caught:
        await reading
    assert caught.value.reason is Reason.PORT_GONE
    assert not transport.is_open


async def test_pulled_out_before_a_write(line: Line, transport: UsbTransport) -> None:
    await line.tell("unplug")
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.write(FRAME, timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.PORT_GONE
    assert not transport.is_open


async def test_plugged_in_again_it_is_found_again(line: Line, transport: UsbTransport) -> None:
    for _ in range(2):
        await line.tell("unplug")
        with pytest.raises(DeviceUnavailable):
            await transport.read(timeout_s=PATIENCE_S)
        with pytest.raises(DeviceUnavailable) as caught:
            await transport.open(timeout_s=PATIENCE_S)
        assert caught.value.reason is Reason.PORT_GONE
        await line.tell("plug")
        await transport.open(timeout_s=PATIENCE_S)
        await line.say(FRAME)
        assert await received(transport, len(FRAME)) == FRAME


@one_kind
async def test_more_than_is_kept_waits_in_the_device(
    line: Line, transport: UsbTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usb, "HELD_LIMIT_BYTES", 1024)
    said = bytes(number % 251 for number in range(3000))
    await line.say(said)
    while len(transport._held) < 1024:  # noqa: ASYNC110  # no event tells of it
        await asyncio.sleep(0.005)
    await line.tell("state")
    assert len(transport._held) <= 1024 + 2 * 64
    assert await received(transport, 3000) == said


@one_kind
async def test_closed_during_a_read(line: Line, transport: UsbTransport) -> None:
    reading = asyncio.create_task(transport.read(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    await transport.close()
    with pytest.raises(DeviceUnavailable):
        await reading


@pytest.mark.parametrize(
    "call",
    [
        lambda transport: transport.read(timeout_s=PATIENCE_S),
        lambda transport: transport.write(b"ask", timeout_s=PATIENCE_S),
        lambda transport: transport.drain_input(),
    ],
    ids=["read", "write", "drain"],
)
async def test_a_device_that_is_not_open(
    use: Callable[..., UsbTransport], call: Callable[[UsbTransport], Awaitable[object]]
) -> None:
    with pytest.raises(DeviceUnavailable) as caught:
        await call(use(READER))
    assert caught.value.reason is Reason.PORT_GONE


@one_kind
async def test_a_device_is_held_by_one(
    line: Line, transport: UsbTransport, use: Callable[..., UsbTransport]
) -> None:
    second = use(READER)
    with pytest.raises(DeviceUnavailable) as caught:
        await second.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.OCCUPIED
    await transport.close()
    await second.open(timeout_s=PATIENCE_S)
    await line.say(b"answer")
    assert await received(second, 6) == b"answer"


@one_kind
async def test_opening_that_takes_too_long_releases_behind_itself(
    line: Line, transport: UsbTransport
) -> None:
    await transport.close()
    with pytest.raises(DeviceTimeout):
        await transport.open(timeout_s=0.0)
    assert not transport.is_open
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(b"answer")
    assert await received(transport, 6) == b"answer"


@pytest.mark.parametrize(
    ("fault", "reason"), [("claimed", Reason.OCCUPIED), ("denied", Reason.REFUSED)]
)
async def test_a_device_that_others_have_or_guard(
    attach: Attach, use: Callable[..., UsbTransport], fault: str, reason: Reason
) -> None:
    line = await attach("sdt-usb2")
    await line.tell("fault.set", fault=fault)
    transport = use(READER)
    with pytest.raises(DeviceUnavailable) as caught:
        await transport.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is reason
    assert ("60-hall-devices.rules" in caught.value.detail) == (reason is Reason.REFUSED)
    await line.tell("fault.clear")
    await transport.open(timeout_s=PATIENCE_S)


async def test_the_kernels_printer_driver_is_pushed_off(
    attach: Attach, use: Callable[..., UsbTransport]
) -> None:
    line = await attach("escpos-usb")
    transport = use(PRINTER, interface_class=PRINTER_CLASS)
    await transport.open(timeout_s=PATIENCE_S)
    assert transport.device_name == "HK-T80 USB"
    await transport.write(b"print", timeout_s=PATIENCE_S)
    assert await line.heard(5) == b"print"


async def test_a_device_without_the_interface_is_refused(
    attach: Attach, use: Callable[..., UsbTransport]
) -> None:
    await attach("sdt-usb2")
    with pytest.raises(DeviceUnavailable) as caught:
        await use(READER, interface_class=PRINTER_CLASS).open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.REFUSED


async def test_two_alike_are_told_apart_by_where_they_are_plugged_in(
    attach: Attach, use: Callable[..., UsbTransport]
) -> None:
    lines = {port: await attach("sdt-usb2", port=port) for port in ("2", "3")}
    for port, line in lines.items():
        transport = use(READER.model_copy(update={"port": f"1-{port}"}))
        await transport.open(timeout_s=PATIENCE_S)
        await line.say(port.encode())
        assert await received(transport, len(port)) == port.encode()
    nowhere = use(READER.model_copy(update={"port": "1-9"}))
    with pytest.raises(DeviceUnavailable) as caught:
        await nowhere.open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.PORT_GONE


async def test_a_device_is_known_by_its_serial_number(
    attach: Attach, use: Callable[..., UsbTransport]
) -> None:
    await attach("sdt-usb4", port="2")
    line = await attach("sdt-usb2", port="3")
    transport = use(READER.model_copy(update={"serial": "R2"}))
    await transport.open(timeout_s=PATIENCE_S)
    await line.say(b"me")
    assert await received(transport, 2) == b"me"
    with pytest.raises(DeviceUnavailable) as caught:
        await use(READER.model_copy(update={"serial": "R9"})).open(timeout_s=PATIENCE_S)
    assert caught.value.reason is Reason.PORT_GONE
