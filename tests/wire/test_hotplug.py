"""What is plugged in is known at once: udev's word, and the agent's look at it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pyudev
from structlog.testing import capture_logs

from drivers.id_card_reader.sdt import SPEC, SdtConfig
from drivers.sim.control import order
from drivers.transport.hotplug import Plug, follow
from drivers.transport.usb import UsbPort
from edge_agent.devices.host import PeripheralHost
from hallkit.errors import Reason
from hallkit.model.device import DeviceReport
from tests.fakes.clock import FakeClock
from tests.twins import Attach, UsbBus

pytestmark = pytest.mark.wire

LIMIT_S = 9.0


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def plugs() -> AsyncIterator[asyncio.Queue[Plug]]:
    heard: asyncio.Queue[Plug] = asyncio.Queue()
    async with running(follow(heard.put_nowait)), asyncio.timeout(LIMIT_S):
        await asyncio.sleep(0)
        yield heard


@pytest.mark.parametrize(("kind", "told"), [("sdt-usb2", {"usb"}), ("sdt-hid", {"usb", "hidraw"})])
async def test_every_node_that_comes_or_goes_is_told(
    attach: Attach, kind: str, told: set[str]
) -> None:
    async with plugs() as heard:
        line = await attach(kind)
        came = [await heard.get() for _ in told]
        await line.tell("unplug")
        went = [await heard.get() for _ in told]
    assert {plug.kind for plug in came} == told
    assert {(plug.kind, plug.node) for plug in went} == {(plug.kind, plug.node) for plug in came}
    assert [plug.is_there for plug in came + went] == [True] * len(told) + [False] * len(told)
    assert heard.empty(), "interfaces have no node"


async def test_the_agent_looks_at_once_and_not_at_the_next_second(
    usb_bus: UsbBus, tmp_path: Path
) -> None:
    port = UsbPort(kind="usb", vendor="0400", product="c35a")
    config = SdtConfig(id="id-card-reader", driver="sdt", transport=port)
    heard: asyncio.Queue[DeviceReport] = asyncio.Queue()
    async with (
        usb_bus.device("sdt-usb2", tmp_path, "drivers.sim.sdt") as control,
        # Its clock stands still: the next second never comes.
        PeripheralHost([(SPEC, config)], FakeClock()) as host,
    ):
        host.listen(heard.put_nowait)
        async with running(host.run(), host.follow_plugs()), asyncio.timeout(LIMIT_S):
            assert (await heard.get()).works
            for _ in range(2):
                await order(control, "unplug")
                assert (await heard.get()).reason is Reason.PORT_GONE
                await order(control, "plug")
                assert (await heard.get()).works


async def test_without_udev_nothing_is_told_and_nothing_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(context: object) -> None:
        raise PermissionError

    monkeypatch.setattr(pyudev.Monitor, "from_netlink", refuse)
    with capture_logs() as logs:
        await follow(lambda plug: None)
    assert [entry["event"] for entry in logs] == ["plugs.unheard"]
