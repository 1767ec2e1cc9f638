"""The catalogue from the node to a machine: whole, by delta, and to a whole fleet.

The node is the real process with the generated hall of 1,208 items. A sync is measured inside a
process of its own, from the question for the manifest to the swapped file, without its start. The
fleet is the agent's real process for each machine; all of them share this computer.
"""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import statistics
import sys
import time
from pathlib import Path

import httpx

from edge_agent.content import CatalogueSync
from hallkit.catalogue.installed import installed
from hallkit.clients.affairs import AffairsClient
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.log import configure_logging
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import CATALOGUE_DELTA, CATALOGUE_SNAPSHOT, CatalogueManifest
from launcher.centre import ConsoleClient, console_client
from launcher.figures import Figure
from launcher.fleet import agent, change_item, prepare, running, write_catalogue
from launcher.installation import CHECKOUT, Installation
from launcher.processes import ProcessTable

MACHINE = "bench-01"
MACHINES = 20
ROUNDS = 5
FULL_LIMIT_MS = 2_000.0
DELTA_LIMIT_MS = 200.0
FLEET_TIMEOUT_S = 120.0
LOOK_S = 0.02


async def machine(folder: Path) -> list[Figure]:
    """One machine: everything from nothing, then one changed item, several times."""
    content = folder / "content"
    write_catalogue(content)
    installation = Installation(folder)
    prepare(installation, content, [MACHINE])
    full: list[float] = []
    delta: list[float] = []
    peers: dict[str, list[float]] = {CATALOGUE_SNAPSHOT: [], CATALOGUE_DELTA: []}
    async with running(installation, "affairs") as table, _client(installation) as node:
        kept = await _synced(installation, folder / "kept")
        have = kept.sha256
        for turn in range(ROUNDS):
            full.append(await _timed(installation, folder / f"fresh-{turn}"))
            peers[CATALOGUE_SNAPSHOT].append(await _plain(installation, CATALOGUE_SNAPSHOT))
            manifest = await _publish(table, node, content, f"turn {turn}")
            delta.append(await _timed(installation, folder / "kept"))
            path = f"{CATALOGUE_DELTA}/{have}"
            peers[CATALOGUE_DELTA].append(await _plain(installation, path))
            offered = manifest.delta_from(have)
            if offered is None:  # a node that forgot its former file
                raise RuntimeError("the node offers no delta from its former publication")
            have = manifest.sha256
            size = offered.size
    mb, bare = 1_000_000, "plain HTTPS download of the same bytes"
    return [
        Figure(
            *("sync.full", statistics.median(full), "ms", bare),
            peer_value=statistics.median(peers[CATALOGUE_SNAPSHOT]),
            limit=FULL_LIMIT_MS,
        ),
        Figure("sync.full.bytes", manifest.size / mb, "MB"),
        Figure(
            *("sync.delta", statistics.median(delta), "ms", bare),
            peer_value=statistics.median(peers[CATALOGUE_DELTA]),
            limit=DELTA_LIMIT_MS,
        ),
        Figure("sync.delta.bytes", size, "B", "the whole file", manifest.size),
    ]


async def fleet(folder: Path) -> list[Figure]:
    """From the signal to the node until the centre has every machine's word; once, one item."""
    names = [f"bench-{number:02}" for number in range(1, MACHINES + 1)]
    content = folder / "content"
    write_catalogue(content)
    installation = Installation(folder)
    prepare(installation, content, names)
    async with (
        running(installation, "broker", "affairs", "ops") as table,
        _client(installation) as node,
        console_client(installation) as console,
    ):
        before = await node.manifest()
        for name in names:
            await table.start(agent(installation, name))
        await _all_have(console, names, before.version)
        change_item(content, "changed")
        began = time.monotonic()
        manifest = await _signalled(table, node, before)
        published_s = time.monotonic() - began
        await _all_have(console, names, manifest.version)
        all_s = time.monotonic() - began
    words = f"until the node offers it; {MACHINES} agents, node, broker and centre on one computer"
    return [Figure("sync.fleet", all_s, "s", words, published_s)]


MEASURES = {"sync.machine": machine, "sync.fleet": fleet}


async def _all_have(console: ConsoleClient, names: list[str], version: str) -> None:
    """Wait until the centre shows this version on all of them."""
    wanted = set(names)
    async with asyncio.timeout(FLEET_TIMEOUT_S):
        while True:
            machines = (await console.state())["machines"]
            have = {
                one["device"]
                for one in machines
                if (one["catalogue"] or {}).get("version") == version
            }
            if wanted <= have:
                return
            await asyncio.sleep(LOOK_S)


def _client(installation: Installation) -> AffairsClient:
    return AffairsClient(_url(installation), client_context(installation.pki / MACHINE))


def _url(installation: Installation) -> str:
    endpoint = installation.endpoints["affairs"]
    return f"https://{endpoint.host}:{endpoint.port}"


async def _publish(
    table: ProcessTable, node: AffairsClient, content: Path, step: str
) -> CatalogueManifest:
    before = await node.manifest()
    change_item(content, step)
    return await _signalled(table, node, before)


async def _signalled(
    table: ProcessTable, node: AffairsClient, before: CatalogueManifest
) -> CatalogueManifest:
    """Tell the node to read its files, and wait until it offers another catalogue."""
    process = table["affairs"].process
    if process is None:
        raise RuntimeError("the node is not running")
    process.send_signal(signal.SIGHUP)
    async with asyncio.timeout(FLEET_TIMEOUT_S):
        while (manifest := await node.manifest()).sha256 == before.sha256:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_S)
    return manifest


async def _synced(installation: Installation, state: Path) -> CatalogueManifest:
    await _timed(installation, state)
    have = installed(state)
    if have is None:
        raise RuntimeError("the machine has no catalogue")
    return have[1]


async def _timed(installation: Installation, state: Path) -> float:
    """Milliseconds of one sync in a process of its own."""
    credentials = installation.pki / MACHINE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", __file__, _url(installation), str(credentials), str(state)),
        env={**installation.environment(MACHINE, files=()), "PYTHONPATH": str(CHECKOUT)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    told = json.loads(out)
    if not told["swapped"]:
        raise RuntimeError("the machine had it already")
    return float(told["ms"])


async def _plain(installation: Installation, path: str) -> float:
    """Milliseconds of the same download as httpx does it by itself."""
    context: ssl.SSLContext = client_context(installation.pki / MACHINE)
    async with httpx.AsyncClient(
        base_url=_url(installation), verify=context, trust_env=False
    ) as client:
        began = time.monotonic()
        (await client.get(path)).raise_for_status()
        return (time.monotonic() - began) * 1000


async def _child(url: str, credentials: Path, state: Path) -> None:
    """What the process does that is measured."""
    state.mkdir(parents=True, exist_ok=True)
    async with AffairsClient(url, client_context(credentials)) as client:
        sync = CatalogueSync(client, SystemClock(), state=state, key=credentials / "catalogue.pub")
        began = time.monotonic()
        swapped = await sync.once()
        took_ms = (time.monotonic() - began) * 1000
    sys.stdout.write(json.dumps({"swapped": swapped, "ms": took_ms}))


if __name__ == "__main__":
    configure_logging("error", process="sync")
    asyncio.run(_child(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
