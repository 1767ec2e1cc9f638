"""A technician's test print and the queue's slips at one printer, over real local buses."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent.devices.leases import Leases
from edge_agent.maintenance import MaintenanceSection, MaintenanceState
from edge_agent.maintenance_mode import SCHEMA, Maintenance
from edge_agent.technician_api import TechnicianApi, lease_handlers, maintenance_told
from hallkit.errors import Occupied, Rejected
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.printing import PrintOutcome, PrintResult, Slip
from hallkit.runtime.bus import BusClient, BusServer
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.journal import Journal
from hallkit.wire import agent_bus as bus
from launcher.commands import agent as command
from tests.fakes.ticket_printer import FakeTicketPrinter

PRINTER = "ticket-printer"


class SlowPrinter(FakeTicketPrinter):
    """Prints when it is let."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), PRINTER)
        self.begun, self.goes_on = asyncio.Event(), asyncio.Event()
        self.goes_on.set()

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        self.begun.set()
        await self.goes_on.wait()
        return await super().print_slip(slip, marked=marked)


class Machine:
    def __init__(self, folder: Path, journal: Journal) -> None:
        self.folder = folder
        self.serving = False
        self.printer = SlowPrinter()
        self.printing = False
        self.taken: dict[str, bool] = {}
        clock = SystemClock()
        self.leases = Leases(
            clock,
            devices=lambda: (PRINTER,),
            used_by=lambda _device: "print_queue" if self.printing else "",
            changed=self.taken.__setitem__,
        )
        self.maintenance = Maintenance(
            journal,
            clock,
            limits=MaintenanceSection(),
            serving=lambda: self.serving,
            working=lambda: self.leases.any_of("technician"),
            tell=self._maintenance_changed,
        )
        self.technician = TechnicianApi(
            folder / "technician.sock",
            self.leases,
            clock,
            reports=lambda: (self.printer.report,),
            diagnostics=lambda: {PRINTER: dict(self.printer.diagnostics())},
            printer=self.printer,
            maintenance=self.maintenance,
        )
        self.applications = BusServer(
            "edge_agent",
            folder / "agent.sock",
            handlers=lease_handlers(self.leases, "terminal"),
            snapshot=bus.Empty,
        )

    async def _maintenance_changed(self, state: MaintenanceState) -> None:
        self.technician.maintenance_is(maintenance_told(state))

    @asynccontextmanager
    async def client(self, socket: str = "technician.sock") -> AsyncIterator[BusClient]:
        async def nothing(*_said: Any) -> None: ...

        client = BusClient(self.folder / socket, on_snapshot=nothing, on_event=nothing)
        running = asyncio.create_task(client.run())
        try:
            async with asyncio.timeout(5):
                await client.connected.wait()
            yield client
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as journal:
        one = Machine(tmp_path, journal)
        watching = asyncio.create_task(one.leases.run())
        async with one.technician.server, one.applications:
            yield one
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def leases(client: BusClient) -> bus.DeviceLeased:
    wanted = bus.DeviceLease(device=PRINTER, seconds=60)
    return await client.request(bus.DEVICE_LEASE, wanted, bus.DeviceLeased)


async def prints(client: BusClient) -> PrintOutcome:
    wanted = bus.PrintTest(device=PRINTER)
    return (await client.request(bus.PRINT_TEST, wanted, bus.PrintTested)).outcome


async def test_a_test_print_needs_the_lease_and_is_no_ticket(machine: Machine) -> None:
    async with machine.client() as technician:
        with pytest.raises(Rejected) as fault:
            await prints(technician)
        assert fault.value.problem_code == "not_permitted"
        await leases(technician)
        assert (await prints(technician)).result is PrintResult.COMPLETED
    [(slip, _)] = machine.printer.slips
    assert "测试" in slip.model_dump_json()


async def test_an_application_is_told_who_has_the_printer_and_until_when(
    machine: Machine,
) -> None:
    async with machine.client() as technician, machine.client("agent.sock") as application:
        until_ms = (await leases(technician)).until_ms
        with pytest.raises(Occupied) as busy:
            await leases(application)
        assert (busy.value.problem_code, busy.value.detail) == ("device.busy", "occupied")
        assert busy.value.holder == "technician"
        assert busy.value.until_ms is not None
        assert abs(busy.value.until_ms - until_ms) < 1000
        await technician.request(bus.DEVICE_RELEASE, bus.DeviceRelease(device=PRINTER), bus.Empty)
        await leases(application)
        with pytest.raises(Occupied) as busy:
            await prints(technician)
        assert busy.value.holder == "terminal"


async def test_while_a_slip_comes_out_nobody_gets_the_printer(machine: Machine) -> None:
    machine.printing = True
    async with machine.client() as technician:
        with pytest.raises(Occupied) as busy:
            await leases(technician)
        assert (busy.value.holder, busy.value.until_ms) == ("print_queue", None)


async def test_a_technician_who_hangs_up_in_a_test_print_frees_the_printer_after_it(
    machine: Machine,
) -> None:
    machine.printer.goes_on.clear()
    async with machine.client() as technician:
        await leases(technician)
        asking = asyncio.create_task(prints(technician))
        async with asyncio.timeout(5):
            await machine.printer.begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    async with machine.client("agent.sock") as application:
        with pytest.raises(Occupied):
            await leases(application)
        assert machine.taken == {PRINTER: True}
        machine.printer.goes_on.set()
        async with asyncio.timeout(5):
            while machine.taken[PRINTER]:  # noqa: ASYNC110  # noticed by looking
                await asyncio.sleep(0.01)
        await leases(application)


async def test_maintenance_is_ordered_answered_and_told(machine: Machine) -> None:
    machine.serving = True
    async with machine.client() as technician:
        wanted = bus.MaintenanceSet(on=True, seconds=60)
        told = await technician.request(bus.MAINTENANCE_SET, wanted, bus.MaintenanceTold)
        assert told.phase == "enterPending"
        assert told.until_ms is not None
        machine.serving = False
        told = await technician.request(bus.MAINTENANCE_SET, wanted, bus.MaintenanceTold)
        assert told.phase == "active"
        await leases(technician)
        wanted = bus.MaintenanceSet(on=False)
        told = await technician.request(bus.MAINTENANCE_SET, wanted, bus.MaintenanceTold)
        assert told.phase == "exitPending"  # the printer is still the technician's


async def answers(machine: Machine, *words: str) -> int:
    """What the command of a technician exits with."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    args = parser.parse_args(["--runtime", str(machine.folder), "maintenance", *words])
    async with asyncio.timeout(5):
        return await command.answer(args)


async def until(machine: Machine, phase: MaintenancePhase) -> None:
    async with asyncio.timeout(5):
        while machine.maintenance.state.phase is not phase:  # noqa: ASYNC110  # a real bus's pace
            await asyncio.sleep(0.01)


async def test_who_waits_for_the_machine_hears_that_somebody_gave_it_back(
    machine: Machine,
) -> None:
    machine.serving = True
    entering = asyncio.create_task(answers(machine, "on"))
    await until(machine, MaintenancePhase.ENTER_PENDING)
    assert await answers(machine, "off") == 0
    assert await entering == 1
    entering = asyncio.create_task(answers(machine, "on"))
    await until(machine, MaintenancePhase.ENTER_PENDING)
    machine.serving = False
    await machine.maintenance.order("on")
    assert await entering == 0


async def test_who_gives_the_machine_back_hears_that_somebody_took_it_again(
    machine: Machine,
) -> None:
    async with machine.client() as technician:
        assert await answers(machine, "on") == 0
        await leases(technician)
        leaving = asyncio.create_task(answers(machine, "off"))
        await until(machine, MaintenancePhase.EXIT_PENDING)
        assert await answers(machine, "on") == 0
        assert await leaving == 1


@pytest.mark.parametrize("minutes", ["0", "0.01", "-3", "nan", "10081", "soon"])
async def test_a_time_that_can_not_be_is_refused_in_words(
    machine: Machine, minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        await answers(machine, "on", f"--minutes={minutes}")
    assert ended.value.code == 2
    assert "at least a second" in capsys.readouterr().err
    assert await answers(machine, "on", "--minutes=0.02") == 0


async def test_counters_of_the_parts_are_for_the_asking(machine: Machine) -> None:
    async with machine.client() as technician:
        told = await technician.request(bus.DEVICES_DIAGNOSTICS, bus.Empty(), bus.Diagnostics)
    assert told.devices == {PRINTER: dict(machine.printer.diagnostics())}
