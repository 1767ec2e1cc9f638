"""A terminal whose agent is a real process, with a printer and a UPS behind their wires."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from drivers.sim.control import order
from drivers.sim.process import simulator
from edge_agent.app import POWEROFF
from edge_agent.power_guard import STATE
from hallkit.model.printing import PrintJob, PrintJobState, Slip, TextLine
from hallkit.runtime.bus import BusClient
from hallkit.wire import agent_bus as bus
from launcher.installation import TERMINAL, Installation
from launcher.processes import END_WITH_PARENT

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
roll_m = 15

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
        """Of power."""
        self.maintenance: list[str] = []
        self._changed = asyncio.Event()
        self.client = BusClient(path, on_snapshot=self._snapshot, on_event=self._event)

    async def _snapshot(self, data: dict[str, Any]) -> None:
        self.phases.append(data["power"])
        self.maintenance.append(data["maintenance"])
        await self._event("snapshot", data)

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == bus.POWER_CHANGED:
            self.phases.append(data["phase"])
        if name == bus.MAINTENANCE_CHANGED:
            self.maintenance.append(data["phase"])
        self.said.append((name, data))
        self._changed.set()

    async def hears_phase(self, phase: str) -> None:
        await self.until(lambda: phase in self.phases)

    async def hears_job(self, job: str, state: PrintJobState) -> PrintJob:
        await self.until(lambda: self._told(job, state) is not None)
        told = self._told(job, state)
        assert told is not None
        return told

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LONG_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def _told(self, job: str, state: PrintJobState) -> PrintJob | None:
        jobs = (
            PrintJob.model_validate(data["job"])
            for name, data in self.said
            if name == bus.PRINT_CHANGED
        )
        return next((one for one in jobs if (one.id, one.state) == (job, state)), None)

    async def prints(self, job: str) -> None:
        wanted = bus.PrintSubmit(job=job, slip=SLIP)
        await self.client.request(bus.PRINT_SUBMIT, wanted, bus.PrintJobResult)

    async def job(self, job: str) -> PrintJob:
        asked = bus.PrintJobQuery(job=job)
        return (await self.client.request(bus.PRINT_JOB, asked, bus.PrintJobResult)).job


async def begins_to_print(machine: Machine, application: Application, job: str) -> None:
    """A slip stops in the middle."""
    await machine.printer("hold", after_lines=3)
    await application.prints(job)
    async with asyncio.timeout(LONG_S):
        await machine.printer("wait", what="held")


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


@asynccontextmanager
async def machine_with(ups: Path, folder: Path) -> AsyncIterator[Machine]:
    """The machine with its printer; `ups` is the control socket of its UPS."""
    installation = Installation(folder)
    installation.prepare(move_ports=True, witness=True)
    port = installation.endpoints["ticket-printer"].port
    ups_port = (await order(ups, "state"))["state"]["port"]
    file = installation.config / "devices" / f"{TERMINAL}.toml"
    file.write_text(FILE.format(printer=port, ups=ups_port), encoding="utf-8")
    one = Machine(installation, ups)
    async with simulator(
        "drivers.sim.escpos",
        *("--port", str(port)),
        *("--receipts", one.receipts),
        *("--control", one.runtime / "printer.sock"),
    ):
        yield one
