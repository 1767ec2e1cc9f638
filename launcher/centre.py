"""The operations centre as rehearsals and benchmarks use it: alone, or with a simulated fleet.

A simulated machine is the agent's real journal, outbox and link; it has no peripherals.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx

from edge_agent.link import DeviceLink
from edge_agent.records import Recorder
from hallkit.clients import outbox as outbox_store
from hallkit.clients.mqtt import MqttLink
from hallkit.clients.outbox import Outbox
from hallkit.model.ids import DeviceId, new_id
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.journal import Journal
from hallkit.runtime.tls import client_context
from hallkit.wire.mqtt import Info
from hallkit.wire.topics import DeviceTopics
from launcher.hall import programs
from launcher.installation import Installation
from launcher.processes import ProcessTable

PROGRAMS = ("broker", "ops")
LOOK_S = 0.1


@asynccontextmanager
async def running_centre(installation: Installation) -> AsyncIterator[ProcessTable]:
    """Broker and operations centre, nothing else of the hall."""
    table = ProcessTable(installation.logs)
    async with table.group():
        for program in programs(installation, None):
            if program.name in PROGRAMS:
                await table.start(program)
        yield table


class ConsoleClient:
    """What the console's page knows, asked for without a browser."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def state(self) -> dict[str, Any]:
        """Everything that the page shows."""
        answer = await self._client.get("/api/state")
        answer.raise_for_status()
        state: dict[str, Any] = answer.json()
        return state

    async def machine(self, device: str) -> dict[str, Any]:
        """One machine; empty while it is unknown or the centre does not answer."""
        try:
            machines = (await self.state())["machines"]
        except httpx.HTTPError:
            return {}
        return next((one for one in machines if one["device"] == device), {})

    async def until_online(self, device: str, *, timeout_s: float = 30.0) -> None:
        """Wait until the console shows a machine online; `TimeoutError` otherwise."""
        async with asyncio.timeout(timeout_s):
            while (await self.machine(device)).get("state") != "online":  # noqa: ASYNC110  # a page
                await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def console_client(installation: Installation) -> AsyncIterator[ConsoleClient]:
    """With the token, as programs send it."""
    endpoint = installation.endpoints["ops"]
    token = (installation.pki / "ops" / "console.token").read_text(encoding="ascii").strip()
    async with httpx.AsyncClient(
        base_url=f"http://{endpoint.host}:{endpoint.port}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
    ) as client:
        yield ConsoleClient(client)


def read_store(database: Path, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Rows of a process's database, read beside it."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(statement, values).fetchall()


class SimulatedMachine:
    """One machine of a fleet; `open_machine` makes it."""

    def __init__(self, installation: Installation, device: str, journal: Journal) -> None:
        clock = SystemClock()
        broker = installation.endpoints["broker"]
        site, self.device = installation.site, DeviceId(device)
        boot = new_id()
        self.outbox = Outbox(journal, boot=boot)
        self.recorder = Recorder(self.outbox, clock, site=site, device=self.device)
        self.link = MqttLink(
            host=broker.host,
            port=broker.port,
            client_id=device,
            tls=client_context(installation.pki / device),
        )
        self._reports = DeviceLink(
            self.link,
            self.outbox,
            clock,
            topics=DeviceTopics(site, self.device),
            boot=boot,
            info=lambda: Info(name=device, role="simulated", agent="", peripherals=()),
        )

    async def run(self) -> None:
        """Stay linked and send what the outbox holds, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reports.run(), name=f"outbox[{self.device}]")
            await self.link.run(
                will=self._reports.make_will,
                on_connected=self._reports.on_connected,
                on_message=self._reports.on_message,
                farewell=self._reports.farewell,
            )

    async def until_told(self) -> None:
        """Wait until the centre has acknowledged everything."""
        while await self.outbox.size():
            await self.outbox.wait_for_change(timeout_s=1.0)


@asynccontextmanager
async def open_machine(
    installation: Installation, device: str, folder: Path
) -> AsyncIterator[SimulatedMachine]:
    """A machine with its journal in `folder`, not linked yet."""
    async with Journal(folder / f"{device}.sqlite", [outbox_store.SCHEMA]) as journal:
        machine = SimulatedMachine(installation, device, journal)
        await machine.outbox.start()
        yield machine
