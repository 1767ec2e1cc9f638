"""What every UPS does, with a real upsd or as a fake: users may rely on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.driver import status_of
from drivers.sim.control import order
from drivers.transport.tcp import TcpPort
from drivers.ups.nut import NutConfig, NutUps
from hallkit.errors import DeviceError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.power import PowerReading
from hallkit.ports.ups import Ups
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.ups import MAINS, FakeUps

LONG_S = 20.0


class Bench(ABC):
    """A UPS and the hand at the main switch."""

    ups: Ups
    full: tuple[float, float] | None = None
    """Charge in per cent and seconds left on the mains, where they are known beforehand."""
    cut: float | None = None
    """Seconds left after the power cut."""

    @abstractmethod
    async def power(self, state: str) -> None:
        """`lost`, `low` or `back`."""

    @abstractmethod
    async def break_(self) -> None: ...
    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    full, cut = (98, 1800), 900

    def __init__(self) -> None:
        self.fake = FakeUps(SystemClock())
        self.ups = self.fake

    async def power(self, state: str) -> None:
        self.fake.reading = {
            "lost": PowerReading(
                on_battery=True, battery_low=False, charge_percent=80, runtime_s=900
            ),
            "low": PowerReading(on_battery=True, battery_low=True, charge_percent=9, runtime_s=60),
            "back": MAINS,
        }[state]

    async def break_(self) -> None:
        self.fake.fault = Reason.REFUSED

    async def mend(self) -> None:
        self.fake.fault = None


class NutBench(Bench):
    full, cut = (98, 1800), 900

    def __init__(self, ups: NutUps, control: Path) -> None:
        self.ups = ups
        self.control = control

    async def power(self, state: str) -> None:
        await order(self.control, f"power.{state}")

    async def break_(self) -> None:
        await order(self.control, "unplug")

    async def mend(self) -> None:
        await order(self.control, "plug")


@pytest.fixture(params=["nut", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "ups") as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    nut_twin: Path = request.getfixturevalue("nut_twin")
    port = (await order(nut_twin, "state"))["state"]["port"]
    config = NutConfig(id="ups", driver="nut", transport=TcpPort(host="127.0.0.1", port=port))
    async with NutUps(config, SystemClock()) as ups:
        yield NutBench(ups, nut_twin)


async def reported(bench: Bench, reason: Reason | None) -> DeviceReport:
    """The report once the UPS has said so."""
    async with asyncio.timeout(LONG_S):
        while (await bench.ups.probe()).reason != reason:  # noqa: ASYNC110  # upsd's own pace
            await asyncio.sleep(0.02)
    return bench.ups.report


async def test_a_new_one_is_starting_until_it_is_asked(bench: Bench) -> None:
    assert bench.ups.report.status is DeviceStatus.STARTING
    report = await bench.ups.probe()
    assert report.works
    assert report == bench.ups.report
    assert report.port == "ups"


async def test_on_the_mains_it_tells_charge_and_time(bench: Bench) -> None:
    reading = await bench.ups.read()
    assert (reading.on_battery, reading.battery_low) == (False, False)
    told = (reading.charge_percent, reading.runtime_s)
    assert told == bench.full if bench.full else any(one is not None for one in told)


async def test_a_power_cut_is_read_and_reported_and_passes(bench: Bench) -> None:
    await bench.power("lost")
    report = await reported(bench, Reason.ON_BATTERY)
    assert report.works, "a citizen who has begun is served to the end"
    reading = await bench.ups.read()
    assert (reading.on_battery, reading.battery_low) == (True, False)
    assert bench.cut in (None, reading.runtime_s)
    await bench.power("back")
    assert (await reported(bench, None)).action is None
    assert not (await bench.ups.read()).on_battery


async def test_an_empty_battery_is_told_from_a_power_cut(bench: Bench) -> None:
    await bench.power("low")
    await reported(bench, Reason.BATTERY_LOW)
    reading = await bench.ups.read()
    assert (reading.on_battery, reading.battery_low) == (True, True)


async def test_a_lost_one_is_raised_reported_and_heals_by_itself(bench: Bench) -> None:
    assert (await bench.ups.probe()).works
    await bench.break_()
    with pytest.raises(DeviceError):
        await bench.ups.read()
    report = await bench.ups.probe()
    assert (report.works, report.reason) == (False, Reason.REFUSED)
    assert (report.status, report.action) == status_of(Reason.REFUSED)
    await bench.mend()
    assert (await bench.ups.probe()).works
    assert not (await bench.ups.read()).on_battery


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.ups.probe()
    assert await bench.ups.probe() == first
    await bench.break_()
    broken = await bench.ups.probe()
    assert broken != first
    assert await bench.ups.probe() == broken


async def test_diagnostics_count(bench: Bench) -> None:
    await bench.ups.read()
    assert bench.ups.diagnostics()["readings"] == 1
