"""What every set of contacts and outputs does, on either wire or as a fake: users may rely on
exactly this.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.auxiliaries.modbus import ModbusAuxiliaries, ModbusConfig
from drivers.driver import status_of
from drivers.sim.control import order
from hallkit.errors import DeviceError, NotSupported, Reason
from hallkit.model.auxiliaries import AuxiliaryReading, Contact, ContactState, PointKind
from hallkit.model.device import DeviceStatus
from hallkit.ports.auxiliaries import Auxiliaries
from hallkit.runtime.clock import SystemClock
from tests.contract.kit import device
from tests.fakes.auxiliaries import FakeAuxiliaries

LONG_S = 20.0
UNITS = {
    "io": {
        "address": 1,
        "map": "adam_4150",
        "points": {
            "cabinet-door": {"channel": "di0", "kind": "cabinetDoor"},
            "smoke": {"channel": "di1", "kind": "smokeSensor"},
            "people-in": {"channel": "counter2", "kind": "peopleCounter"},
        },
    },
    "relays": {
        "address": 2,
        "map": "waveshare_relay",
        "points": {
            "door": {"channel": "relay1", "kind": "doorRelease", "pulse_s": 5},
            "guide-light": {"channel": "relay2", "kind": "guideLight"},
        },
    },
    "climate": {
        "address": 4,
        "map": "climate",
        "points": {"inside": {"channel": "temperature", "kind": "temperature"}},
    },
}


class Bench(ABC):
    """A cabinet with its contacts, and the hands that use it. Its door is closed."""

    auxiliaries: Auxiliaries
    inside: float | None = None
    """The temperature in °C, where it is known beforehand."""

    @abstractmethod
    async def door(self, state: ContactState) -> None: ...
    @abstractmethod
    async def smoke(self, *, on: bool) -> None: ...
    @abstractmethod
    async def people(self, number: int) -> None: ...
    @abstractmethod
    async def is_on(self, output: str) -> bool:
        """As somebody there sees it."""

    @abstractmethod
    async def pass_time(self) -> None:
        """Longer than the door's pulse."""

    @abstractmethod
    async def power_cut(self) -> None:
        """No module answers, and their outputs go off."""

    @abstractmethod
    async def mend(self) -> None: ...


class FakeBench(Bench):
    inside = 22.5

    def __init__(self) -> None:
        self.fake = FakeAuxiliaries(SystemClock())
        self.auxiliaries = self.fake

    async def door(self, state: ContactState) -> None:
        self.fake.put("cabinet-door", state)

    async def smoke(self, *, on: bool) -> None:
        self.fake.put("smoke", ContactState.ON if on else ContactState.OFF)

    async def people(self, number: int) -> None:
        self.fake.count(number)

    async def is_on(self, output: str) -> bool:
        return self.fake.outputs[output]

    async def pass_time(self) -> None:
        self.fake.pass_time()

    async def power_cut(self) -> None:
        self.fake.power_cut()

    async def mend(self) -> None:
        self.fake.mend()


class ModbusBench(Bench):
    inside = 22.5
    RELAYS = {"door": 0, "guide-light": 1}

    def __init__(self, auxiliaries: ModbusAuxiliaries, control: Path) -> None:
        self.auxiliaries = auxiliaries
        self.control = control

    async def door(self, state: ContactState) -> None:
        closed = state is ContactState.CLOSED
        await order(self.control, "input", unit=1, address=0, on=closed)

    async def smoke(self, *, on: bool) -> None:
        await order(self.control, "input", unit=1, address=1, on=on)

    async def people(self, number: int) -> None:
        await order(self.control, "count", unit=1, counter=2, by=number)

    async def is_on(self, output: str) -> bool:
        state = (await order(self.control, "state"))["state"]
        return self.RELAYS[output] in state["units"]["2"]["outputs"]

    async def pass_time(self) -> None:
        await order(self.control, "time.pass", seconds=6)

    async def power_cut(self) -> None:
        for unit in (1, 2, 4):
            await order(self.control, "power.cut", unit=unit)

    async def mend(self) -> None:
        for unit in (1, 2, 4):
            await order(self.control, "power.on", unit=unit)


async def transport_of(wire: str, control: Path) -> dict[str, Any]:
    if wire == "serial":
        return {"kind": "serial", "path": str(control.parent / "port"), "baud": 9600}
    port = (await order(control, "state"))["state"]["port"]
    return {"kind": "tcp", "host": "127.0.0.1", "port": port}


def is_yes(typed: str) -> bool:
    """`1` or `0`."""
    return bool(["0", "1"].index(typed))


@pytest.fixture(params=["modbus", "modbus-tcp", "fake", "device"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "device":
        async with device(request, Bench, "auxiliaries", asked={"is_on": is_yes}) as one:
            yield one
        return
    if request.param == "fake":
        yield FakeBench()
        return
    wire = "serial" if request.param == "modbus" else "tcp"
    modbus_twins: dict[str, Path] = request.getfixturevalue("modbus_twins")
    control = modbus_twins[wire]
    entry = {
        "id": "cabinet",
        "driver": "modbus",
        "transport": await transport_of(wire, control),
        "units": UNITS,
        "answer_timeout_s": 0.25,
        "late_s": 0.02,
        "poll_s": 0.02,
    }
    config = ModbusConfig.model_validate(entry)
    async with ModbusAuxiliaries(config, SystemClock()) as auxiliaries:
        made = ModbusBench(auxiliaries, control)
        await made.door(ContactState.CLOSED)
        yield made


async def test_new_ones_are_starting_until_they_are_asked(bench: Bench) -> None:
    assert bench.auxiliaries.report.status is DeviceStatus.STARTING
    report = await bench.auxiliaries.probe()
    assert (report.works, report.reason) == (True, None)
    assert report == bench.auxiliaries.report
    assert report.port == "auxiliaries"


async def test_a_reading_holds_every_point(bench: Bench) -> None:
    reading = await bench.auxiliaries.read()
    assert reading.contacts == {
        "cabinet-door": Contact(kind=PointKind.CABINET_DOOR, state=ContactState.CLOSED),
        "smoke": Contact(kind=PointKind.SMOKE_SENSOR, state=ContactState.OFF),
    }
    assert reading.counts == {"people-in": 0}
    inside = reading.measures["inside"].value
    assert inside == bench.inside if bench.inside is not None else 0 < inside < 50
    assert reading.outputs == {"guide-light": False, "door": False}
    assert reading.unknown == ()


async def test_an_open_cabinet_is_told_to_a_technician(bench: Bench) -> None:
    await bench.door(ContactState.OPEN)
    reading = await bench.auxiliaries.read()
    assert reading.contacts["cabinet-door"].state is ContactState.OPEN
    report = bench.auxiliaries.report
    assert (report.works, report.reason) == (True, Reason.DOOR_OPEN)
    assert (report.status, report.action) == status_of(Reason.DOOR_OPEN)
    await bench.door(ContactState.CLOSED)
    assert (await bench.auxiliaries.probe()).reason is None


async def test_smoke_stands_before_all_else(bench: Bench) -> None:
    await bench.door(ContactState.OPEN)
    await bench.smoke(on=True)
    report = await bench.auxiliaries.probe()
    assert (report.works, report.reason) == (False, Reason.SMOKE)
    assert (report.status, report.action) == status_of(Reason.SMOKE)
    await bench.smoke(on=False)
    assert (await bench.auxiliaries.probe()).reason is Reason.DOOR_OPEN


async def test_smoke_is_not_forgotten_with_the_module_that_told_of_it(bench: Bench) -> None:
    """A module that falls silent behind its detector's alarm may be what burns."""
    await bench.smoke(on=True)
    await bench.auxiliaries.probe()
    await bench.power_cut()
    assert (await bench.auxiliaries.probe()).reason is Reason.SMOKE
    await bench.smoke(on=False)
    await bench.mend()
    assert (await bench.auxiliaries.probe()).reason is None


async def test_who_waits_for_a_contact_gets_its_change(bench: Bench) -> None:
    last = await bench.auxiliaries.read()
    waiting = asyncio.create_task(bench.auxiliaries.changed(last))
    await bench.door(ContactState.OPEN)
    async with asyncio.timeout(LONG_S):
        reading = await waiting
    assert reading.contacts["cabinet-door"].state is ContactState.OPEN


async def test_a_change_between_two_waits_is_not_missed(bench: Bench) -> None:
    last = await bench.auxiliaries.read()
    await bench.smoke(on=True)
    await bench.auxiliaries.probe()
    async with asyncio.timeout(LONG_S):
        reading = await bench.auxiliaries.changed(last)
    assert reading.contacts["smoke"].state is ContactState.ON


async def test_what_is_no_contact_wakes_nobody_and_waiting_can_be_given_up(bench: Bench) -> None:
    last = await bench.auxiliaries.read()
    waiting = asyncio.create_task(bench.auxiliaries.changed(last))
    await bench.auxiliaries.switch("guide-light", on=True)
    await bench.people(3)
    assert (await bench.auxiliaries.read()).counts == {"people-in": 3}
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await bench.auxiliaries.read()).outputs["guide-light"] is True


async def test_who_waits_is_told_that_nothing_answers(bench: Bench) -> None:
    last = await bench.auxiliaries.read()
    await bench.power_cut()
    async with asyncio.timeout(LONG_S):
        with pytest.raises(DeviceError):
            await bench.auxiliaries.changed(last)


async def test_an_output_is_switched_and_read_back(bench: Bench) -> None:
    await bench.auxiliaries.switch("guide-light", on=True)
    assert await bench.is_on("guide-light")
    assert (await bench.auxiliaries.read()).outputs == {"guide-light": True, "door": False}
    await bench.auxiliaries.switch("guide-light", on=False)
    assert not await bench.is_on("guide-light")


@pytest.mark.parametrize("point", ["smoke", "people-in", "unheard-of"])
async def test_what_is_no_output_is_not_switched(bench: Bench, point: str) -> None:
    with pytest.raises(NotSupported):
        await bench.auxiliaries.switch(point, on=True)


async def test_a_released_door_locks_again_by_itself(bench: Bench) -> None:
    await bench.auxiliaries.switch("door", on=True)
    assert await bench.is_on("door")
    assert (await bench.auxiliaries.read()).outputs["door"] is True
    await bench.pass_time()
    assert not await bench.is_on("door")
    assert (await bench.auxiliaries.read()).outputs["door"] is False


async def test_a_released_door_can_be_locked_before_its_time(bench: Bench) -> None:
    await bench.auxiliaries.switch("door", on=True)
    await bench.auxiliaries.switch("door", on=False)
    assert not await bench.is_on("door")


async def test_lost_ones_are_raised_reported_and_heal_by_themselves(bench: Bench) -> None:
    assert (await bench.auxiliaries.probe()).works
    await bench.power_cut()
    with pytest.raises(DeviceError):
        await bench.auxiliaries.read()
    report = await bench.auxiliaries.probe()
    assert (report.works, report.reason) == (False, Reason.SILENT)
    assert (report.status, report.action) == status_of(Reason.SILENT)
    await bench.mend()
    assert (await bench.auxiliaries.probe()).works
    assert (await bench.auxiliaries.read()).unknown == ()


async def test_outputs_that_were_lost_are_as_they_should_be_again_and_pulses_are_over(
    bench: Bench,
) -> None:
    await bench.auxiliaries.switch("guide-light", on=True)
    await bench.auxiliaries.switch("door", on=True)
    await bench.power_cut()
    await bench.auxiliaries.probe()
    assert not await bench.is_on("guide-light")
    await bench.mend()
    await bench.auxiliaries.probe()
    assert await bench.is_on("guide-light")
    assert not await bench.is_on("door")


async def test_what_was_switched_while_it_was_lost_is_done_later_but_no_pulse(bench: Bench) -> None:
    await bench.auxiliaries.switch("guide-light", on=True)
    await bench.power_cut()
    for point, on in (("guide-light", False), ("door", True)):
        with pytest.raises(DeviceError):
            await bench.auxiliaries.switch(point, on=on)
    await bench.mend()
    await bench.auxiliaries.probe()
    assert not await bench.is_on("guide-light")
    assert not await bench.is_on("door")


async def test_a_count_never_falls(bench: Bench) -> None:
    await bench.people(9)
    assert (await bench.auxiliaries.read()).counts == {"people-in": 9}
    await bench.power_cut()
    await bench.mend()
    await bench.people(2)
    assert (await bench.auxiliaries.read()).counts["people-in"] >= 9


async def test_since_moves_with_the_state_only(bench: Bench) -> None:
    first = await bench.auxiliaries.probe()
    await bench.auxiliaries.switch("guide-light", on=True)
    assert await bench.auxiliaries.probe() == first
    await bench.door(ContactState.OPEN)
    opened = await bench.auxiliaries.probe()
    assert opened != first
    assert await bench.auxiliaries.probe() == opened


async def test_diagnostics_count(bench: Bench) -> None:
    await bench.auxiliaries.switch("guide-light", on=True)
    assert bench.auxiliaries.diagnostics()["switched"] == 1
    assert isinstance(await bench.auxiliaries.read(), AuxiliaryReading)
