"""Business node, broker, centre and machines without peripherals: what carries the catalogue.

Each machine is the agent's real process; nothing of them is emulated but the ports they lack.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from affairs.catalogue_source import load
from affairs.exchange import folder
from affairs.generator import generate, written
from affairs.hall_map import load_hall_map
from affairs.queue.services import load_services
from launcher.hall import programs
from launcher.installation import Installation
from launcher.processes import ProcessTable, Program

NODE_FILE = "affairs.toml"
ITEMS = "items.jsonl"


def write_catalogue(place: Path) -> None:
    """The whole hall, 1,208 items, as files of a folder."""
    services = load_services()
    place.mkdir(parents=True, exist_ok=True)
    folder.write(place, written(generate(load(), load_hall_map(), services)))


def change_item(place: Path, step: str) -> None:
    """Let one item, in the middle of the hall, begin with another step."""
    path = place / ITEMS
    lines = path.read_text(encoding="utf-8").splitlines()
    middle = len(lines) // 2
    item = json.loads(lines[middle])
    item["steps"] = [step, *item["steps"][1:]]
    lines[middle] = json.dumps(item, ensure_ascii=False)
    folder.write(place, {ITEMS: lines})


def prepare(installation: Installation, content: Path, machines: Sequence[str] = ()) -> None:
    """An installation whose node offers `content`, and which has these machines."""
    installation.prepare(move_ports=True, simulated=machines)
    (installation.config / NODE_FILE).write_text(
        f'[affairs]\ncontent = "{content}"\n', encoding="utf-8"
    )
    for name in machines:
        (installation.config / "devices" / f"{name}.toml").write_text(
            f'[device]\nid = "{name}"\nname = "{name}"\nrole = "terminal"\n', encoding="utf-8"
        )


@asynccontextmanager
async def running(installation: Installation, *names: str) -> AsyncIterator[ProcessTable]:
    """Those of `broker`, `affairs` and `ops`, in the order of the hall's table."""
    table = ProcessTable(installation.logs)
    async with table.group():
        for program in programs(installation, None):
            if program.name == "affairs":
                files = ("site.toml", NODE_FILE)
                environment = installation.environment("affairs", files=files)
                program = replace(program, environment=environment)  # noqa: PLW2901  # its own file
            if program.name in names:
                await table.start(program)
        yield table


def agent(installation: Installation, name: str) -> Program:
    """The agent of one machine, with sockets of its own."""
    environment = installation.environment(name, files=("site.toml", f"devices/{name}.toml"))
    place = installation.runtime / name
    place.mkdir(exist_ok=True, mode=0o700)
    return Program(
        name=name,
        command=(sys.executable, "-P", "-m", "edge_agent.app"),
        environment={**environment, "HALLKIT_RUNTIME_DIR": str(place)},
    )
