"""Composition root of the terminal's service: `python -m kiosk.app [--standby]`.

With `--standby` it loads everything, prints `warm`, and works after the line `go`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from hallkit.catalogue.misses import Misses
from hallkit.clients.affairs import AffairsClient, base_url
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Places, files_from_environment
from hallkit.runtime.keeper import Standby
from hallkit.runtime.last_good import LastGood
from hallkit.runtime.lifecycle import ReadyCallback, run
from hallkit.runtime.tls import client_context
from hallkit.wire.sealed import read_public_key
from kiosk.service import KioskService
from kiosk.settings import KioskSettings, parse, read_files

PROCESS = "kiosk"
MISSES = Path("misses") / "search.sqlite"
"""In the state folder. A folder of its own: the rest belongs to the agent."""


async def serve(ready: ReadyCallback) -> None:
    """Serve one visit, then return."""
    places = Places.from_environment()
    last_good = LastGood(places.state, PROCESS)
    settings = last_good.parse(read_files(files_from_environment()), parse)
    tls = client_context(places.credentials)
    standby = await Standby.open() if "--standby" in sys.argv[1:] else None
    if standby is not None and not await standby.warm():
        return
    async with AffairsClient(base_url(settings.affairs), tls) as affairs:
        service = KioskService(
            runtime=places.runtime,
            state=places.state,
            key=places.credentials / "catalogue.pub",
            hall_name=settings.site.name,
            popular=settings.kiosk.popular,
            idle_ask_s=settings.kiosk.idle_ask_s,
            idle_end_s=settings.kiosk.idle_end_s,
            affairs=affairs,
            sealed_to=_node_key(places.credentials / "submissions.pub"),
            misses=Misses(places.state / MISSES),
            clock=SystemClock(),
        )
        last_good.started(KioskSettings.model_fields)
        ready()
        async with asyncio.TaskGroup() as tasks:
            ends = {tasks.create_task(service.run(), name="visit")}
            if standby is not None:
                # A service without its keeper would hold the visit beside the next one's.
                ends.add(tasks.create_task(standby.keeper_gone(), name="keeper"))
                beat = tasks.create_task(standby.beat(), name="beat")
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if standby is not None:
                beat.cancel()
            for end in ends:
                end.cancel()


def _node_key(path: Path) -> X25519PublicKey | None:
    """None on a machine that has not been given it: without the node it gives no numbers."""
    return read_public_key(path) if path.exists() else None


def main() -> int:
    """Entry point of the process."""
    return run(PROCESS, serve)


if __name__ == "__main__":
    sys.exit(main())
