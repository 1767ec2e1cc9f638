"""The driver against a real upsd with dummy-ups: power cuts, and what a wire may do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.control import order
from drivers.transport.tcp import TcpPort
from drivers.ups.nut import NutConfig, NutUps
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceStatus
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

LONG_S = 20.0


class Rig:
    def __init__(self, control: Path, port: int, **settings: Any) -> None:
        self.control = control
        config = NutConfig(
            id="ups",
            driver="nut",
            transport=TcpPort(host="127.0.0.1", port=port),
            **{"answer_timeout_s": 0.5, **settings},
        )
        self.ups = NutUps(config, SystemClock())

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def reports(self, reason: Reason | None) -> None:
        async with asyncio.timeout(LONG_S):
            while (await self.ups.probe()).reason != reason:  # noqa: ASYNC110  # upsd's own pace
                await asyncio.sleep(0.02)


@asynccontextmanager
async def rig(control: Path, **settings: Any) -> AsyncIterator[Rig]:
    made = Rig(control, (await order(control, "state"))["state"]["port"], **settings)
    async with made.ups:
        yield made


async def test_it_says_what_it_is(nut_twin: Path) -> None:
    async with rig(nut_twin) as one:
        report = await one.ups.probe()
        assert (report.model, report.serial) == ("Twin 1000", "0007")
        reading = await one.ups.read()
        assert reading.load_percent == 35
        assert one.ups.diagnostics()["charge_percent"] == 98


async def test_one_connection_carries_many_readings(nut_twin: Path) -> None:
    async with rig(nut_twin) as one:
        for _ in range(20):
            await one.ups.read()
        assert one.ups.diagnostics()["connections"] == 1


async def test_each_power_cut_is_counted_once(nut_twin: Path) -> None:
    async with rig(nut_twin) as one:
        for _ in range(2):
            await one.tell("power.lost")
            await one.reports(Reason.ON_BATTERY)
            await one.tell("power.low")
            await one.reports(Reason.BATTERY_LOW)
            await one.tell("power.back")
            await one.reports(None)
        assert one.ups.diagnostics()["power_cuts"] == 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("OL RB", Reason.BATTERY_WORN),
        ("OL OVER", Reason.OVERLOADED),
        ("OL BYPASS", Reason.UNPROTECTED),
        ("OL ALARM", Reason.UNRECOVERABLE),
    ],
)
async def test_what_a_technician_must_do_is_told(
    nut_twin: Path, status: str, reason: Reason
) -> None:
    async with rig(nut_twin) as one:
        await one.tell("power", status=status)
        await one.reports(reason)


async def test_the_cable_between_ups_and_upsd(nut_twin: Path) -> None:
    """The server still answers: that the values are old, and the driver believes none of them."""
    async with rig(nut_twin) as one:
        await one.ups.read()
        await one.tell("cable.pull")
        await one.reports(Reason.PORT_GONE)
        assert one.ups.report.status is DeviceStatus.NO_DEVICE
        with pytest.raises(DeviceError):
            await one.ups.read()
        await one.tell("cable.plug")
        await one.reports(None)


async def test_a_name_that_upsd_does_not_know_is_a_mistake_of_the_files(nut_twin: Path) -> None:
    async with rig(nut_twin, ups="other") as one:
        report = await one.ups.probe()
        assert (report.status, report.reason) == (DeviceStatus.USER_ERROR, Reason.CONFIGURATION)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("drop", Reason.SILENT),
        ("deaf", Reason.SILENT),
        ("half", Reason.GARBLED),
        ("cut", Reason.PORT_GONE),
        ("garble", Reason.GARBLED),
        ("delay", Reason.SILENT),
        ("flood", Reason.GARBLED),
        ("hang_up", Reason.PORT_GONE),
    ],
)
async def test_each_fault_of_the_wire_is_named_and_heals(
    nut_twin: Path, fault: str, reason: Reason
) -> None:
    async with rig(nut_twin) as one:
        assert (await one.ups.probe()).works
        await one.tell("fault.set", fault=fault, times=0, seconds=1.0)
        report = await one.ups.probe()
        assert report.reason is reason
        with pytest.raises(DeviceError):
            await one.ups.read()
        await one.tell("fault.clear")
        assert (await one.ups.probe()).works
        assert not (await one.ups.read()).on_battery


async def test_a_caller_who_gives_up_leaves_nothing_for_the_next(nut_twin: Path) -> None:
    async with rig(nut_twin, answer_timeout_s=5) as one:
        await one.ups.read()
        await one.tell("fault.set", fault="half")
        asking = asyncio.create_task(one.ups.read())
        async with asyncio.timeout(LONG_S):
            while not one.ups._lock.locked():  # noqa: ASYNC110  # a turn of the loop, not a time
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await one.tell("fault.clear")
        assert (await one.ups.read()).charge_percent == 98
