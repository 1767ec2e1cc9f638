"""A technician at a machine: the command, the real agent, the printer behind its wire."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from edge_agent.technician_api import SOCKET_NAME
from hallkit.errors import Reason
from hallkit.model.printing import PrintJobState
from hallkit.runtime.bus import BusClient
from hallkit.wire import agent_bus as bus
from launcher.commands import agent as command
from launcher.installation import TERMINAL
from tests.integration.agent_machine import (
    LONG_S,
    Machine,
    begins_to_print,
    machine_with,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

PRINTER = "ticket-printer"


@pytest.fixture
async def machine(tmp_path: Path, nut_twin: Path) -> AsyncIterator[Machine]:
    async with machine_with(nut_twin, tmp_path) as one:
        yield one


async def hall_agent(machine: Machine, *words: str) -> tuple[int, str]:
    """What the command answers, without its process: exit code and what it says."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        args = parser.parse_args(["--runtime", str(machine.runtime), *words])
        async with asyncio.timeout(LONG_S):
            code = await command.answer(args)
    # Between the answers stand our own bus's log lines, which the process keeps to itself.
    lines = [line for line in said.getvalue().splitlines() if "bus.lost" not in line]
    return code, "\n".join(lines)


async def typed(machine: Machine, *words: str) -> tuple[int, str]:
    """The command as a technician types it."""
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-P",
            "-c",
            "import sys; from launcher.cli import main; sys.exit(main())",
        ),
        *("agent", "--runtime", str(machine.runtime), *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(LONG_S):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def told(machine: Machine, kind: str) -> list[dict[str, Any]]:
    """What lies in the outbox of this type, oldest first; the centre is away."""
    path = machine.installation.state(TERMINAL) / "agent.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        rows = db.execute("select event from outbox order by ordinal").fetchall()
    events = [json.loads(row[0]) for row in rows]
    return [event["data"] for event in events if event["type"] == kind]


def printer_told(machine: Machine) -> list[tuple[str, bool]]:
    """The printer's paper, and whether it was told as no alarm."""
    events = told(machine, "device.state.v1")
    return [
        (one["device"]["paper"], one["maintenance"])
        for one in events
        if one["device"]["id"] == PRINTER
    ]


async def until_told(machine: Machine, last: tuple[str, bool]) -> None:
    async with asyncio.timeout(LONG_S):
        while printer_told(machine)[-1:] != [last]:  # noqa: ASYNC110  # a file of another process
            await asyncio.sleep(0.05)


def test_the_command_knows_the_socket_of_the_agent() -> None:
    assert command.SOCKET_NAME == SOCKET_NAME


async def test_a_technician_takes_the_machine_and_gives_it_back(machine: Machine) -> None:
    async with machine.agent() as agent, machine.application() as kiosk:
        await kiosk.client.request(bus.VISIT_HOLD, bus.VisitHold(on=True), bus.Empty)
        await begins_to_print(machine, kiosk, "visit")
        entering = asyncio.create_task(typed(machine, "maintenance", "on", "--minutes", "5"))
        await kiosk.until(lambda: kiosk.maintenance[-1] == "enterPending")
        await machine.printer("release")
        await kiosk.hears_job("visit", PrintJobState.COMPLETED)
        assert kiosk.maintenance[-1] == "enterPending"  # somebody still stands there
        await kiosk.client.request(bus.VISIT_HOLD, bus.VisitHold(on=False), bus.Empty)
        code, said = await entering
        assert code == 0
        assert "enterPending" in said.splitlines()[0]
        assert "active, ends by itself at" in said.splitlines()[-1]
        await kiosk.prints("owed")
        assert await hall_agent(machine, "test-print") == (0, f"{PRINTER}: completed")
        await machine.printer("paper.set", lines=0)
        await until_told(machine, ("out", True))
        assert (await kiosk.job("owed")).state is PrintJobState.QUEUED
        assert machine.slips == 2
        agent.kill()
        await agent.wait()
    async with machine.agent(), machine.application() as kiosk:
        assert kiosk.maintenance[0] == "active"
        await until_told(machine, ("out", True))
        code, said = await typed(machine, "maintenance", "status")
        assert (code, said.split(",")[0]) == (0, "maintenance: active")
        code, said = await hall_agent(machine, "maintenance", "off")
        assert (code, said.splitlines()[-1]) == (0, "maintenance: inactive")
        await until_told(machine, ("out", False))  # now it is an alarm
        await machine.printer("paper.refill")
        await kiosk.hears_job("owed", PrintJobState.COMPLETED)
    phases = [one["phase"] for one in told(machine, "machine.maintenance.v1")]
    assert phases == ["enterPending", "active", "active", "exitPending", "inactive"]


async def test_an_agent_that_dies_while_a_visit_is_waited_for_goes_on_waiting(
    machine: Machine,
) -> None:
    async with machine.agent() as agent, machine.application() as kiosk:
        await kiosk.client.request(bus.VISIT_HOLD, bus.VisitHold(on=True), bus.Empty)
        code, said = await hall_agent(machine, "maintenance", "on", "--no-wait")
        assert (code, said.split(",")[0]) == (0, "maintenance: enterPending")
        agent.kill()
        await agent.wait()
    async with machine.agent(), machine.application() as kiosk:
        assert kiosk.maintenance == ["enterPending"]
        await kiosk.client.request(bus.VISIT_HOLD, bus.VisitHold(on=True), bus.Empty)
        _, said = await hall_agent(machine, "maintenance", "on", "--no-wait")  # it looks again
        assert said.split(",")[0] == "maintenance: enterPending"
        code, said = await hall_agent(machine, "maintenance", "off")
        assert (code, said) == (0, "maintenance: inactive")
    phases = [one["phase"] for one in told(machine, "machine.maintenance.v1")]
    assert "active" not in phases


@asynccontextmanager
async def technician(machine: Machine) -> AsyncIterator[BusClient]:
    async def nothing(*_said: Any) -> None: ...

    path = machine.runtime / SOCKET_NAME
    client = BusClient(path, on_snapshot=nothing, on_event=nothing)
    running = asyncio.create_task(client.run())
    try:
        async with asyncio.timeout(LONG_S):
            await client.connected.wait()
        yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_slip_waits_while_a_technician_has_the_printer(machine: Machine) -> None:
    async with machine.agent(), machine.application() as kiosk:
        async with technician(machine) as peer:
            lease = bus.DeviceLease(device=PRINTER, seconds=60)
            await peer.request(bus.DEVICE_LEASE, lease, bus.DeviceLeased)
            await kiosk.prints("slip")
            code, said = await hall_agent(machine, "test-print")
            assert code == 1
            assert "in use by technician until" in said
            waiting = await kiosk.hears_job("slip", PrintJobState.WAITING)
            assert waiting.reason is Reason.OCCUPIED
        await kiosk.hears_job("slip", PrintJobState.COMPLETED)  # its connection is gone
        await begins_to_print(machine, kiosk, "next")
        code, said = await hall_agent(machine, "test-print")
        assert (code, said) == (1, "hall agent: in use by print_queue")
        await machine.printer("release")
        await kiosk.hears_job("next", PrintJobState.COMPLETED)
        code, said = await hall_agent(machine, "status")
        assert code == 0
        assert [line.split()[:2] for line in said.splitlines()] == [
            [PRINTER, "online"],
            ["ups", "online"],
        ]
        code, said = await hall_agent(machine, "diagnostics")
        assert code == 0
        assert "host_crashes=0" in said
    assert machine.slips == 2


async def test_where_nobody_answers_the_command_says_so(machine: Machine) -> None:
    code, said = await typed(machine, "status")
    assert code == 1
    assert "nobody answers" in said
