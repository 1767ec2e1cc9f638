"""Input devices on the bed: which one is opened, that it is grabbed, what becomes of a lost one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.control import order
from drivers.sim.evdev import LINK, PRODUCT, VENDOR
from drivers.transport.evdev import (
    EV_KEY,
    EVENT_BYTES,
    LOST,
    PRESSED,
    RELEASED,
    SW_HEADPHONE_INSERT,
    EvdevPort,
    EvdevTransport,
    Packets,
)
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

pytestmark = pytest.mark.wire

PATIENCE_S = 9.0
KEY_F = 33


def port(**told: Any) -> EvdevPort:
    return EvdevPort(kind="evdev", **told)


BY_PATH = port(path=LINK)
BY_IDS = port(vendor=VENDOR, product=PRODUCT)


@pytest.fixture
async def wire(evdev_twin: Path, request: pytest.FixtureRequest) -> AsyncIterator[EvdevTransport]:
    transport = EvdevTransport("panel", getattr(request, "param", BY_PATH))
    yield transport
    await transport.close()


async def state(twin: Path) -> dict[str, Any]:
    found: dict[str, Any] = (await order(twin, "state"))["state"]
    return found


async def pressed(wire: EvdevTransport, twin: Path) -> list[tuple[int, int]]:
    """What arrives of one press."""
    await order(twin, "press", key=KEY_F)
    packets, found = Packets(), []
    while len(found) < 2:
        for packet in packets.feed(await wire.read(timeout_s=PATIENCE_S)):
            found += [(event.code, event.value) for event in packet if event.kind == EV_KEY]
    return found


@pytest.mark.parametrize(
    "wire",
    [
        BY_PATH,
        BY_IDS,
        port(path=LINK, vendor=VENDOR, product=PRODUCT),
        port(vendor=VENDOR, product=PRODUCT, phys="/input0"),
    ],
    indirect=True,
    ids=str,
)
async def test_it_is_found_grabbed_and_read(wire: EvdevTransport, evdev_twin: Path) -> None:
    assert not (await state(evdev_twin))["grabbed"]
    await wire.open(timeout_s=PATIENCE_S)
    assert (await state(evdev_twin))["grabbed"], "nobody else gets its keys"
    assert wire.name == "Hall Twin Keys"
    assert await pressed(wire, evdev_twin) == [(KEY_F, PRESSED), (KEY_F, RELEASED)]


@pytest.mark.parametrize("wire", [BY_PATH, BY_IDS], indirect=True, ids=str)
async def test_it_is_found_again_as_another_node(wire: EvdevTransport, evdev_twin: Path) -> None:
    await wire.open(timeout_s=PATIENCE_S)
    before = (await state(evdev_twin))["node"]
    await order(evdev_twin, "unplug")
    with pytest.raises(DeviceUnavailable) as lost:
        await wire.read(timeout_s=PATIENCE_S)
    assert lost.value.reason is Reason.PORT_GONE
    assert not wire.is_open
    with pytest.raises(DeviceUnavailable) as missing:
        await wire.open(timeout_s=PATIENCE_S)
    assert missing.value.reason is Reason.PORT_GONE
    await order(evdev_twin, "plug")
    await wire.open(timeout_s=PATIENCE_S)
    assert (await state(evdev_twin))["node"] != before
    assert await pressed(wire, evdev_twin) == [(KEY_F, PRESSED), (KEY_F, RELEASED)]


async def test_another_device_at_its_place_is_left_alone(evdev_twin: Path) -> None:
    wire = EvdevTransport("panel", port(path=LINK, vendor=VENDOR, product=PRODUCT + 1))
    with pytest.raises(DeviceUnavailable) as wrong:
        await wire.open(timeout_s=PATIENCE_S)
    assert wrong.value.reason is Reason.UNSUPPORTED
    assert "1a2c:0e24" in wrong.value.detail
    assert not wire.is_open
    assert not (await state(evdev_twin))["grabbed"], "it is somebody's keyboard"


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"vendor": VENDOR, "product": 1}, Reason.PORT_GONE),
        ({"vendor": VENDOR, "product": PRODUCT, "phys": "input1"}, Reason.PORT_GONE),
        ({"path": "/dev/input/by-id/none"}, Reason.PORT_GONE),
        ({"path": __file__}, Reason.REFUSED),
        ({"path": "/proc"}, Reason.REFUSED),
    ],
)
async def test_what_is_not_there_or_no_input_device(
    evdev_twin: Path, told: dict[str, Any], reason: Reason
) -> None:
    wire = EvdevTransport("panel", port(**told))
    with pytest.raises(DeviceUnavailable) as missing:
        await wire.open(timeout_s=PATIENCE_S)
    assert missing.value.reason is reason


@pytest.mark.parametrize(
    ("fault", "reason"), [("busy", Reason.OCCUPIED), ("denied", Reason.REFUSED)]
)
async def test_what_is_refused(
    wire: EvdevTransport, evdev_twin: Path, fault: str, reason: Reason
) -> None:
    await order(evdev_twin, "fault.set", fault=fault)
    with pytest.raises(DeviceUnavailable) as refused:
        await wire.open(timeout_s=PATIENCE_S)
    assert refused.value.reason is reason
    await order(evdev_twin, "fault.clear")
    await wire.open(timeout_s=PATIENCE_S)


async def test_switches_are_asked_for(wire: EvdevTransport, evdev_twin: Path) -> None:
    with pytest.raises(DeviceUnavailable):
        await wire.switches(timeout_s=PATIENCE_S)
    await wire.open(timeout_s=PATIENCE_S)
    assert await wire.switches(timeout_s=PATIENCE_S) == {SW_HEADPHONE_INSERT: False}
    await order(evdev_twin, "switch", on=True)
    assert await wire.switches(timeout_s=PATIENCE_S) == {SW_HEADPHONE_INSERT: True}


async def test_half_an_event_is_a_loss_and_no_event(wire: EvdevTransport, evdev_twin: Path) -> None:
    await wire.open(timeout_s=PATIENCE_S)
    await order(evdev_twin, "fault.set", fault="garble")
    typing = asyncio.create_task(order(evdev_twin, "type", text="ab"))
    packets, found = Packets(), []
    while len(found) < 6:
        read = await wire.read(timeout_s=PATIENCE_S)
        assert len(read) % EVENT_BYTES == 0
        found += list(packets.feed(read))
    await typing
    assert found.count(LOST) == 1
    keys = [event.code for packet in found for event in packet if event.kind == EV_KEY]
    assert keys == [30, 30, 48, 28, 28], "what began behind the half is skipped to its end"


async def test_a_late_loop_takes_what_is_there(wire: EvdevTransport, evdev_twin: Path) -> None:
    await wire.open(timeout_s=PATIENCE_S)
    await order(evdev_twin, "press", key=KEY_F)
    assert await wire.read(timeout_s=0) != b"", "the deadline passed, and the events are there"
    with pytest.raises(DeviceTimeout):
        await wire.read(timeout_s=0)


async def test_what_nobody_read_is_counted_and_gone(wire: EvdevTransport, evdev_twin: Path) -> None:
    await wire.open(timeout_s=PATIENCE_S)
    await order(evdev_twin, "press", key=KEY_F)
    assert await wire.drain_input() == 4 * EVENT_BYTES
    assert await wire.drain_input() == 0


async def test_nothing_is_written_to_it(wire: EvdevTransport, evdev_twin: Path) -> None:
    await wire.open(timeout_s=PATIENCE_S)
    with pytest.raises(DeviceUnavailable) as refused:
        await wire.write(b"beep", timeout_s=PATIENCE_S)
    assert refused.value.reason is Reason.UNSUPPORTED
