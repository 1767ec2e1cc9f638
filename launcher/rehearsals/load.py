"""Many machines at one centre: the agent's real outbox and link, hundreds of them in this process.

The broker is killed, and the centre too; every machine comes back at once. No event may be lost
and none counted twice.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

from hallkit.clients.mqtt import STABLE_AFTER_S
from hallkit.model.ids import new_id
from hallkit.wire.events import VisitStarted
from launcher.centre import (
    SimulatedMachine,
    console_client,
    open_machine,
    read_store,
    running_centre,
)
from launcher.installation import Installation
from launcher.processes import ProcessTable
from launcher.rehearsals.record import Plan, Record

HELP = "hundreds of simulated machines, broker and centre killed under them"

EVENTS = 10
"""Each machine's events in each half of a round."""
BROKER_DOWN_S = 2.0
SPREAD_S = 1.0
"""A machine's events come at random within it."""
CONNECT_TIMEOUT_S = 180.0
MACHINES_LIMIT = 250
"""paho waits with select(2), which takes no descriptor above 1023; a link needs three at least."""
LINKS_DESCRIPTORS = 900
TOLD_TIMEOUT_S = 300.0


async def run(plan: Plan, record: Record) -> None:
    """Rounds until the time is up: events, broker killed, storm of reconnections, centre killed."""
    if plan.machines > MACHINES_LIMIT:
        raise ValueError(f"at most {MACHINES_LIMIT} machines in one process")
    names = [f"load-{number:04}" for number in range(1, plan.machines + 1)]
    installation = Installation(plan.root)
    installation.prepare(move_ports=True, simulated=names)
    folder = plan.root / "machines"
    async with running_centre(installation) as table, AsyncExitStack() as stack:
        with _low_descriptors_kept():
            machines = [
                await stack.enter_async_context(open_machine(installation, name, folder))
                for name in names
            ]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(machine.run()) for machine in machines]
            load = _Load(plan, record, table, machines)
            await load.all_connected("first connection")
            end = time.monotonic() + plan.minutes * 60
            while True:
                await load.round()
                if time.monotonic() >= end:
                    break
                await asyncio.sleep(STABLE_AFTER_S)
            await load.hold(installation)
            for task in running:
                task.cancel()


@contextmanager
def _low_descriptors_kept() -> Iterator[None]:
    """What is opened meanwhile gets high descriptors: the low ones are for the links."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    held = [os.open(os.devnull, os.O_RDONLY)]
    while held[-1] < LINKS_DESCRIPTORS:
        held.append(os.dup(held[0]))
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


class _Load:
    def __init__(
        self, plan: Plan, record: Record, table: ProcessTable, machines: list[SimulatedMachine]
    ) -> None:
        self._record = record
        self._table = table
        self._machines = machines
        self._random = plan.random("load")
        self._put: dict[str, int] = {machine.device: 0 for machine in machines}

    async def round(self) -> None:
        """Once through all of it."""
        record = self._record
        record.counts["rounds"] += 1
        began = time.monotonic()
        await self._tell_all()
        await self._all_told()
        record.figures.setdefault("events per second", []).append(
            round(EVENTS * len(self._machines) / (time.monotonic() - began))
        )
        self._table.kill("broker", hold=True)
        record.note("broker killed")
        meanwhile = asyncio.create_task(self._tell_all())
        await asyncio.sleep(BROKER_DOWN_S)
        await self._table.release("broker")
        await self.all_connected("after the broker's death")
        await meanwhile
        self._table.kill("ops")
        record.note("centre killed")
        await self._all_told()

    async def all_connected(self, when: str) -> None:
        """Wait for every machine; the seconds it took are a figure."""
        began = time.monotonic()
        took: list[float] = []

        async def one(machine: SimulatedMachine) -> None:
            await machine.link.connected.wait()
            took.append(time.monotonic() - began)

        late = 0
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await asyncio.gather(*(one(machine) for machine in self._machines))
        except TimeoutError:
            late = len(self._machines) - len(took)
        self._record.expect("every machine connects", late == 0, missing=late, when=when)
        self._record.figures.setdefault(f"seconds to connect, {when}", []).append(
            {"median": round(statistics.median(took), 2), "last": round(max(took), 2)}
        )
        self._record.note(f"{len(took)} machines connected")

    async def _tell_all(self) -> None:
        delays = [
            [self._random.uniform(0, SPREAD_S) for _ in range(EVENTS)] for _ in self._machines
        ]
        await asyncio.gather(
            *(
                self._tell(machine, sorted(own))
                for machine, own in zip(self._machines, delays, strict=True)
            )
        )

    async def _tell(self, machine: SimulatedMachine, times: list[float]) -> None:
        began = time.monotonic()
        for at in times:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await machine.recorder.add(VisitStarted(visit=new_id()))
            self._put[machine.device] += 1

    async def _all_told(self) -> None:
        try:
            async with asyncio.timeout(TOLD_TIMEOUT_S):
                await asyncio.gather(*(machine.until_told() for machine in self._machines))
        except TimeoutError:
            sizes = [await machine.outbox.size() for machine in self._machines]
            self._record.expect("every outbox empties", False, rows=sum(sizes))
        else:
            self._record.expect("every outbox empties", True)

    async def hold(self, installation: Installation) -> None:
        """Compare what was put into the outboxes with what the centre knows."""
        database = installation.state("ops") / "ops.sqlite"
        kind = (VisitStarted.EVENT_TYPE,)
        rows = read_store(
            database,
            "select device, count(*), count(distinct data) from event where type = ? "
            "group by device",
            kind,
        )
        kept = {device: (count, distinct) for device, count, distinct in rows}
        counted = dict(
            read_store(
                database,
                "select device, sum(value) from counter where name = 'visits' group by device",
            )
        )
        wrong = {
            device: {"put": put, "kept": kept.get(device), "counted": counted.get(device)}
            for device, put in self._put.items()
            if kept.get(device) != (put, put) or counted.get(device) != put
        }
        dropped = sum([await machine.outbox.dropped() for machine in self._machines])
        record = self._record
        record.counts |= {
            "machines": len(self._machines),
            "events put": sum(self._put.values()),
            "events kept": sum(count for count, _ in kept.values()),
            "events counted": sum(counted.values()),
            "connections": sum(machine.link.connections for machine in self._machines),
        }
        record.expect(
            "no event is lost or doubled", not wrong, machines=dict(list(wrong.items())[:10])
        )
        record.expect("no outbox had to drop anything", dropped == 0, dropped=dropped)
        async with console_client(installation) as console:
            state = await console.state()
        online = [one["device"] for one in state["machines"] if one["state"] == "online"]
        silent = sorted(self._put.keys() - set(online))
        record.counts["centre: machines online"] = len(online)
        record.expect("the centre shows every machine online", not silent, missing=silent[:10])
