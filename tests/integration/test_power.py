"""A power cut at a machine: the real agent, a real upsd, a printer behind its wire, the centre."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.control import order
from drivers.sim.process import simulator
from edge_agent.app import POWEROFF
from edge_agent.power_guard import STATE
from hallkit.model.printing import PrintJob, PrintJobState, Slip, TextLine
from hallkit.runtime.bus import BusClient
from hallkit.wire import agent_bus as bus
from launcher.centre import running_centre
from launcher.installation import TERMINAL, Installation
from launcher.processes import END_WITH_PARENT
from launcher.witness import Witness, listening

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LONG_S = 30.0
SLIP = Slip(lines=tuple(TextLine(text=f"A00{number}") for number in range(6)), reprint_mark="补打")
FILE = """
[device]
id = "terminal-01"
name = "1号自助终端"

[[peripherals]]
id = "ticket-printer"
driver = "escpos"
transport = {{ kind = "tcp", host = "127.0.0.1", port = {printer} }}

[[peripherals]]
id = "ups"
driver = "nut"
transport = {{ kind = "tcp", host = "127.0.0.1", port = {ups} }}

[power]
grace_s = 0
words_s = 0.5
close_s = 60
steady_s = 0.5
silent_s = 1
"""


class Application:
    """What the terminal's service is to the agent."""

    def __init__(self, path: Path) -> None:
        self.said: deque[tuple[str, dict[str, Any]]] = deque()
        self.phases: list[str] = []
        self._changed = asyncio.Event()
        self.client = BusClient(path, on_snapshot=self._snapshot, on_event=self._event)

    async def _snapshot(self, data: dict[str, Any]) -> None:
        self.phases.append(data["power"])
        await self._event("snapshot", data)

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == bus.POWER_CHANGED:
            self.phases.append(data["phase"])
        self.said.append((name, data))
        self._changed.set()

    async def hears_phase(self, phase: str) -> None:
        async with asyncio.timeout(LONG_S):
            while phase not in self.phases:
                self._changed.clear()
                await self._changed.wait()

    async def hears_job(self, job: str, state: PrintJobState) -> PrintJob:
        async with asyncio.timeout(LONG_S):
            while True:
                for name, data in self.said:
                    if name == bus.PRINT_CHANGED:
                        told = PrintJob.model_validate(data["job"])
                        if (told.id, told.state) == (job, state):
                            return told
                self._changed.clear()
                await self._changed.wait()

    async def prints(self, job: str) -> None:
        wanted = bus.PrintSubmit(job=job, slip=SLIP)
        await self.client.request(bus.PRINT_SUBMIT, wanted, bus.PrintJobResult)

    async def job(self, job: str) -> PrintJob:
        asked = bus.PrintJobQuery(job=job)
        return (await self.client.request(bus.PRINT_JOB, asked, bus.PrintJobResult)).job


class Machine:
    """A terminal whose agent may die, with its UPS and its printer."""

    def __init__(self, installation: Installation, ups: Path) -> None:
        self.installation = installation
        self._ups = ups
        self.runtime = installation.runtime
        self.poweroff = self.runtime / POWEROFF
        self.receipts = installation.receipts
        self.log = installation.logs / "agent.log"

    async def ups(self, do: str) -> None:
        await order(self._ups, do)

    async def printer(self, do: str, **arguments: Any) -> None:
        await order(self.runtime / "printer.sock", do, **arguments)

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """One life of the agent; leaving the block is a SIGTERM, as systemd's."""
        files = ("site.toml", f"devices/{TERMINAL}.toml")
        environment = dict(self.installation.environment(TERMINAL, files=files))
        with self.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *END_WITH_PARENT,
                *(sys.executable, "-P", "-m", "edge_agent.app"),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(LONG_S):
                await process.wait()

    @asynccontextmanager
    async def application(self) -> AsyncIterator[Application]:
        one = Application(self.runtime / "agent.sock")
        running = asyncio.create_task(one.client.run())
        try:
            async with asyncio.timeout(LONG_S):
                await one.client.connected.wait()
            yield one
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def boot(self) -> None:
        """The runtime folder is memory: switching off clears it."""
        for name in (STATE, POWEROFF):
            (self.runtime / name).unlink(missing_ok=True)

    async def until_told_to_go_off(self) -> None:
        async with asyncio.timeout(LONG_S):
            while not self.poweroff.exists():  # noqa: ASYNC110  # a file of another process
                await asyncio.sleep(0.02)

    @property
    def commands(self) -> int:
        """How often the machine was told to go off, by all lives of the agent."""
        return self.log.read_text(encoding="utf-8").count("power.switch_off")

    @property
    def slips(self) -> int:
        return len(list(self.receipts.glob("slip-*.txt")))


@pytest.fixture
async def machine(tmp_path: Path, nut_twin: Path) -> AsyncIterator[Machine]:
    installation = Installation(tmp_path)
    installation.prepare(move_ports=True, witness=True)
    port = installation.endpoints["ticket-printer"].port
    ups = (await order(nut_twin, "state"))["state"]["port"]
    file = installation.config / "devices" / f"{TERMINAL}.toml"
    file.write_text(FILE.format(printer=port, ups=ups), encoding="utf-8")
    one = Machine(installation, nut_twin)
    async with simulator(
        "drivers.sim.escpos",
        *("--port", str(port)),
        *("--receipts", one.receipts),
        *("--control", one.runtime / "printer.sock"),
    ):
        yield one


async def begins_to_print(machine: Machine, application: Application, job: str) -> None:
    """A slip stops in the middle, so that the battery ends while it is printing."""
    await machine.printer("hold", after_lines=3)
    await application.prints(job)
    async with asyncio.timeout(LONG_S):
        await machine.printer("wait", what="held")


def power_told(witness: Witness) -> list[str]:
    """The phases that the centre was told of, in order."""
    found = []
    for topic, payload in witness.payloads:
        if topic.endswith("/up/report"):
            records = json.loads(payload)["records"]
            found += [one["data"]["phase"] for one in records if one["type"] == "machine.power.v1"]
    return list(dict.fromkeys(found))


async def test_the_slip_is_finished_the_centre_told_and_the_machine_switched_off_once(
    machine: Machine,
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_centre(machine.installation))
        witness = await stack.enter_async_context(listening(machine.installation))
        async with machine.agent(), machine.application() as kiosk:
            await kiosk.hears_phase("mains")
            await begins_to_print(machine, kiosk, "first")
            await machine.ups("power.low")
            await kiosk.hears_phase("ending")
            await kiosk.prints("second")
            assert not machine.poweroff.exists()  # the first is under way
            await machine.printer("release")
            await kiosk.hears_job("first", PrintJobState.COMPLETED)
            await machine.until_told_to_go_off()
            assert (await kiosk.job("second")).state is PrintJobState.QUEUED
            async with asyncio.timeout(LONG_S):
                while power_told(witness)[-1:] != ["shutdown"]:  # noqa: ASYNC110  # the broker's pace
                    await asyncio.sleep(0.02)
        # What systemd does next: SIGTERM to the agent.
        async with asyncio.timeout(LONG_S):
            while not (farewell := _presences(witness)[-1])["orderly"]:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    assert farewell["state"] == "offline"
    assert power_told(witness) == ["mains", "ending", "shutdown"]
    assert (machine.commands, machine.slips) == (1, 1)

    machine.boot()
    await machine.ups("power.back")
    async with machine.agent(), machine.application() as kiosk:
        assert (await kiosk.job("first")).state is PrintJobState.COMPLETED
        job = await kiosk.job("second")
        if job.state is not PrintJobState.COMPLETED:
            job = await kiosk.hears_job("second", PrintJobState.COMPLETED)
        assert job.copies_marked == 0
    assert (machine.commands, machine.slips) == (1, 2)


def _presences(witness: Witness) -> list[dict[str, Any]]:
    said = [json.loads(raw) for topic, raw in witness.payloads if topic.endswith("/up/presence")]
    return [one for one in said if one]


async def test_an_agent_killed_in_the_middle_loses_nothing_and_commands_once(
    machine: Machine,
) -> None:
    async with machine.agent() as agent, machine.application() as kiosk:
        await kiosk.hears_phase("mains")
        await begins_to_print(machine, kiosk, "slip")
        await machine.ups("power.low")
        await kiosk.hears_phase("ending")
        agent.kill()
        await agent.wait()
    assert not machine.poweroff.exists()
    await machine.printer("power.cut")  # half a slip hangs from it
    await machine.printer("power.on")
    await machine.printer("release")
    async with machine.agent() as agent, machine.application() as kiosk:
        assert kiosk.phases[0] in ("ending", "shutdown")  # as it stood, before any look
        await machine.until_told_to_go_off()
        assert (await kiosk.job("slip")).state is PrintJobState.QUEUED
        agent.kill()
        await agent.wait()
    async with machine.agent(), machine.application() as kiosk:
        assert kiosk.phases[0] == "shutdown"
        assert (await kiosk.job("slip")).state is PrintJobState.QUEUED
    assert (machine.commands, machine.slips) == (1, 0)

    machine.boot()
    await machine.ups("power.back")
    async with machine.agent(), machine.application() as kiosk:
        job = await kiosk.job("slip")
        if job.state is not PrintJobState.COMPLETED:
            job = await kiosk.hears_job("slip", PrintJobState.COMPLETED)
        assert job.copies_marked == 1  # the first attempt may lie in the tray
    assert machine.slips == 1


async def test_a_visit_is_waited_for_and_the_mains_cancel_it(machine: Machine) -> None:
    async with machine.agent(), machine.application() as other:
        async with machine.application() as kiosk:
            await kiosk.client.request(bus.VISIT_HOLD, bus.VisitHold(on=True), bus.Empty)
            await kiosk.hears_phase("mains")
            kiosk.phases.clear()
            await machine.ups("power.low")
            await kiosk.hears_phase("ending")
            await machine.ups("power.back")
            await kiosk.hears_phase("mains")
            assert kiosk.phases == ["ending", "closing", "mains"]
            other.phases.clear()
            await machine.ups("power.low")
            await other.hears_phase("ending")
            assert machine.commands == 0
        # The service that was in the visit is gone, however it went.
        await machine.until_told_to_go_off()
        await other.hears_phase("shutdown")
    assert machine.commands == 1


async def test_a_ups_whose_cable_falls_out_on_battery_counts_as_empty_after_a_while(
    machine: Machine,
) -> None:
    async with machine.agent(), machine.application() as kiosk:
        await kiosk.hears_phase("mains")
        await machine.ups("power.lost")
        await kiosk.hears_phase("closing")
        await machine.ups("unplug")
        await machine.until_told_to_go_off()
    assert machine.commands == 1
