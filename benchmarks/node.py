"""The business node under ten times a busy morning: 60 machines, 156 windows, one computer.

A busy morning is a thousand people an hour, which is what 156 windows can serve. Ten times that is
made by a Poisson process, whatever the answers take: people take numbers, machines ask how long it
takes, windows call, open what was said, serve and finish, and three of ten people apply for an
instant item whose system answers after 100 ms. The same process makes the load and shares both
cores with the node. The peers: a bare FastAPI route over the same TLS at the same rate, and one
durable row in a bare SQLite file.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from affairs.catalogue_source import CONTENT
from affairs.hall_map import load_hall_map
from affairs.upstream import load_upstream
from hallkit.model.ids import new_id
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, QUEUE_SERVICES, TICKETS, WINDOWS
from hallkit.wire.cases_api import CASES
from launcher.figures import Figure, Measure, percentile
from launcher.fleet import NODE_FILE, prepare, running
from launcher.installation import Installation

MACHINES = 60
PEOPLE_PER_HOUR = 10_000
ASK_EVERY_S = 5.0
"""So often a machine asks how long it takes."""
FOR_S = 60.0
APPLY = 0.3
LATENCY_MS = 100
SEED = 20_261_201
LIMIT_MS = 300.0
ITEMS = ("food-licence-new", "id-card-replace", "housing-fund-retire", "social-card-replace")
ROWS = 300
"""Of the bare database."""
CASE: dict[str, Any] = {
    "item": "senior-card",
    "answers": {"where": "local", "who": "self"},
    "applicant": {
        "name": "诸葛什邡",
        "number": "510682194001010012",
        "read": "card",
        "address": "四川省什邡市方亭街道示例路1号",
        "phone": "13800000000",
    },
    "values": {"live_here": True, "signature": True},
}
BARE = """
import asyncio, sys
from pathlib import Path
from fastapi import FastAPI
from pydantic import BaseModel
from affairs.server import MACHINES
from hallkit.web.server import https_context, serve
class Said(BaseModel):
    item: str
    answers: dict[str, str] = {}
app = FastAPI(openapi_url=None)
@app.post("/bare")
async def bare(said: Said) -> Said:
    return said
asyncio.run(serve(app, host="127.0.0.1", port=int(sys.argv[2]),
    context=https_context(Path(sys.argv[1]), known_peers=True),
    ready=lambda: print("ready", flush=True), manners=MACHINES))
"""


@dataclass
class Load:
    """Who asks, and how long each answer took."""

    machines: list[httpx.AsyncClient]
    windows: dict[int, httpx.AsyncClient]
    services: dict[int, frozenset[str]]
    took_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: int = 0
    free: set[int] = field(default_factory=set)

    async def ask(
        self, kind: str, http: httpx.AsyncClient, method: str, path: str, body: Any = None
    ) -> Any:
        headers = {IDEMPOTENCY_HEADER: new_id()} if method == "POST" else {}
        start = time.perf_counter()
        response = await http.request(method, path, json=body, headers=headers)
        self.took_ms[kind].append(1000 * (time.perf_counter() - start))
        if not response.is_success:
            self.faults += 1
            raise RuntimeError(f"{kind}: {response.status_code} {response.text[:200]}")
        return response.json()


async def morning(folder: Path) -> list[Figure]:
    """Ten times a busy morning, for a minute."""
    hall = load_hall_map()
    services = {one.properties.number: frozenset(one.properties.services) for one in hall.windows}
    machines = [f"machine-{number:02}" for number in range(1, MACHINES + 1)]
    callers = {f"window-{number}": number for number in services}
    async with _stand_in(folder) as address, AsyncExitStack() as clients:
        installation = Installation(folder / "hall")
        prepare(installation, CONTENT, [*machines, *callers])
        with (installation.config / NODE_FILE).open("a", encoding="utf-8") as file:
            file.write("[affairs.callers]\n")
            file.writelines(f"{name} = {number}\n" for name, number in callers.items())
            file.write("[affairs.upstreams]\n")
            file.writelines(f'{name} = "{address}/{name}"\n' for name in load_upstream())
        port = installation.endpoints["affairs"].port

        async def client(name: str) -> httpx.AsyncClient:
            made = httpx.AsyncClient(
                base_url=f"https://127.0.0.1:{port}",
                verify=client_context(installation.pki / name),
                timeout=30,
                trust_env=False,
            )
            return await clients.enter_async_context(made)

        async with running(installation, "affairs"):
            load = Load(
                [await client(name) for name in machines],
                {number: await client(name) for name, number in callers.items()},
                services,
            )
            for number, http in load.windows.items():
                await load.ask("open", http, "POST", f"{WINDOWS}/{number}/orders", {"do": "open"})
            load.free = set(load.windows)
            await _people(load)
            bare_ms = await _bare(installation, len(load.took_ms["ticket"]))
        database_ms = _database(folder)
    return _figures(load, bare_ms, database_ms)


async def _people(load: Load) -> None:
    """Everybody who comes within the time, and whoever is still there then."""
    dice = random.Random(SEED)  # noqa: S311  # arrivals of made-up people
    over_s = time.monotonic() + FOR_S
    async with asyncio.TaskGroup() as tasks:
        for http in load.machines:
            tasks.create_task(_asks_how_long(load, http, over_s, dice.random() * ASK_EVERY_S))
        while time.monotonic() < over_s:
            await asyncio.sleep(dice.expovariate(PEOPLE_PER_HOUR / 3600))
            http = dice.choice(load.machines)
            if dice.random() < APPLY:
                tasks.create_task(_applies(load, http))
            else:
                tasks.create_task(_is_served(load, http, dice.choice(ITEMS)))


async def _asks_how_long(
    load: Load, http: httpx.AsyncClient, over_s: float, first_s: float
) -> None:
    await asyncio.sleep(first_s)
    while time.monotonic() < over_s:
        await load.ask("services", http, "GET", QUEUE_SERVICES)
        await asyncio.sleep(ASK_EVERY_S)


async def _is_served(load: Load, http: httpx.AsyncClient, item: str) -> None:
    body = {"item": item, "applicant": {**CASE["applicant"], "card_kind": "resident"}}
    ticket = (await load.ask("ticket", http, "POST", TICKETS, body))["ticket"]
    await load.ask("progress", http, "GET", f"{TICKETS}/{ticket['id']}/progress")
    number = next((one for one in load.free if ticket["service"] in load.services[one]), None)
    if number is None:
        return  # everybody is busy: it waits
    load.free.discard(number)
    window, path = load.windows[number], f"{WINDOWS}/{number}"
    status = await load.ask("order", window, "POST", f"{path}/orders", {"do": "next"})
    if status["ticket"] is not None:
        await load.ask("case", window, "GET", f"{path}/case")
        for do in ("serve", "finish"):
            told = {"do": do, "ticket": status["ticket"]["ticket"]}
            await load.ask("order", window, "POST", f"{path}/orders", told)
    load.free.add(number)


async def _applies(load: Load, http: httpx.AsyncClient) -> None:
    case = await load.ask("draft", http, "POST", CASES, CASE)
    body = {"revision": case["revision"], "content": CASE}
    outcome = await load.ask("submit", http, "POST", f"{CASES}/{case['case']}/submit", body)
    if outcome["verdict"] != "approved":
        raise RuntimeError(f"not approved: {outcome['reasons']}")


async def _bare(installation: Installation, rounds: int) -> list[float]:
    """The framework without a node: one route, the same TLS, the same rate as numbers are taken."""
    port = installation.endpoints["ops"].port
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-c", BARE, str(installation.pki / "affairs"), str(port)),
        stdout=asyncio.subprocess.PIPE,
    )
    took: list[float] = []
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        context = client_context(installation.pki / "machine-01")
        dice = random.Random(SEED)  # noqa: S311  # as above
        async with httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{port}", verify=context, trust_env=False
        ) as http:
            for _round in range(rounds):
                await asyncio.sleep(dice.expovariate(50))
                start = time.perf_counter()
                (await http.post("/bare", json={"item": "x"})).raise_for_status()
                took.append(1000 * (time.perf_counter() - start))
    finally:
        process.terminate()
        await process.wait()
    return took


def _database(folder: Path) -> list[float]:
    """One durable row after the other in a file of its own."""
    took = []
    with closing(sqlite3.connect(folder / "bare.sqlite", isolation_level=None)) as database:
        database.execute("pragma journal_mode=wal")
        database.execute("pragma synchronous=full")
        database.execute("create table rows (id text primary key, content blob)")
        for _ in range(ROWS):
            start = time.perf_counter()
            database.execute("begin immediate")
            database.execute("insert into rows values (?, ?)", (new_id(), b"x" * 600))
            database.execute("commit")
            took.append(1000 * (time.perf_counter() - start))
    return took


def _figures(load: Load, bare_ms: list[float], database_ms: list[float]) -> list[Figure]:
    asked = sum(len(took) for took in load.took_ms.values())
    told = f"bare FastAPI route over TLS; {asked} requests in {FOR_S:.0f} s, {load.faults} failed"
    figures = [
        Figure(
            f"node.{kind}.p{percent}",
            percentile(took, percent),
            "ms",
            told,
            percentile(bare_ms, percent),
            LIMIT_MS if kind == "submit" else None,
        )
        for kind, took in sorted(load.took_ms.items())
        for percent in (50, 95)
    ]
    rows = f"one durable row in a bare SQLite file, {ROWS} of them"
    return [
        *figures,
        Figure("node.bare.database.p95", percentile(database_ms, 95), "ms", rows),
    ]


@asynccontextmanager
async def _stand_in(folder: Path) -> AsyncIterator[str]:
    control = folder / "control"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "launcher.standins.upstream"),
        *("--control", str(control), "--latency-ms", str(LATENCY_MS)),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        ready = (await process.stdout.readline()).decode().split()
        yield f"http://127.0.0.1:{ready[1]}/systems"
    finally:
        process.terminate()
        await process.wait()


MEASURES: dict[str, Measure] = {"node": morning}
