"""Memory of each process of an idle hall: PSS, so that shared pages count by their share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

from launcher.centre import console_client
from launcher.figures import Figure, children, cpu_ticks, pss_mb
from launcher.hall import Hall, running_hall
from launcher.installation import TERMINAL, Installation

LIMITS_MB = {
    # Qt Quick with the software renderer: 95-99 MB where no other process shares its libraries.
    "screen": 130.0,
    "screen-spare": 130.0,
    # The catalogue's names and pypinyin's dictionary, which alone takes half of it.
    "kiosk": 120.0,
    "kiosk-spare": 60.0,
    # A keeper starts and watches; it must stay far below what it keeps.
    "kiosk-keeper": 60.0,
    "screen-keeper": 60.0,
    # pydantic, httpx, paho, and the printer's font of 20 MB once something is drawn.
    "agent": 90.0,
    # Web framework, SQLAlchemy, TLS; affairs also builds the catalogue at its start.
    "affairs": 150.0,
    "ops": 120.0,
    # C, and one hall's sessions.
    "broker": 20.0,
}
"""Those of the terminal together stay below a quarter of its 4 GB, sharing nothing."""

IDLE_TICKS_A_SECOND = 12
"""Of 100 a second and core; together the processes of an idle hall use less."""
IDLE_TIMEOUT_S = 60.0


async def memory(folder: Path) -> list[Figure]:
    """Once the console shows the machine online and nobody loads anything any more."""
    installation = Installation(folder)
    installation.prepare(move_ports=True)
    async with running_hall(installation, headless=True) as hall:
        async with console_client(installation) as console:
            await console.until_online(TERMINAL)
        pids = await _idle(hall)
        return [
            Figure(f"memory.{name}", pss_mb(pids[name]), "MB", limit=limit)
            for name, limit in LIMITS_MB.items()
        ]


MEASURES = {"memory": memory}


async def _idle(hall: Hall) -> dict[str, int]:
    """Wait until the hall rests; its processes by name."""
    deadline = time.monotonic() + IDLE_TIMEOUT_S
    while True:
        pids = _processes(hall)
        complete = pids.keys() >= LIMITS_MB.keys()
        before = _ticks(pids.values())
        await asyncio.sleep(1.0)
        at_rest = _ticks(pids.values()) - before <= IDLE_TICKS_A_SECOND
        if complete and (at_rest or time.monotonic() > deadline):
            return pids


def _ticks(pids: Iterable[int]) -> int:
    return sum(cpu_ticks(pid) for pid in pids)


def _processes(hall: Hall) -> dict[str, int]:
    pids = {}
    for name in ("broker", "affairs", "ops", "agent"):
        pids[name] = _pid(hall, name)
    for name in ("kiosk", "screen"):
        keeper = pids[f"{name}-keeper"] = _pid(hall, name)
        working = hall.working_pid(name)
        pids[name] = working
        for child in children(keeper):
            if child != working:
                pids[f"{name}-spare"] = child
    return pids


def _pid(hall: Hall, name: str) -> int:
    process = hall.table[name].process
    if process is None:
        raise RuntimeError(f"{name} does not run")
    return process.pid
