"""Composition root of the terminal's service: `python -m kiosk.app [--standby]`.

With `--standby` it loads everything, prints `warm`, and works after the line `go`.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import resources
from typing import Annotated

from pydantic import Field

from hallkit.clients.affairs import AffairsClient, base_url
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Places, Section, files_from_environment, load
from hallkit.runtime.keeper import Standby
from hallkit.runtime.lifecycle import ReadyCallback, run
from hallkit.runtime.settings import AffairsSection, DeviceSection, SiteSection
from hallkit.runtime.tls import client_context
from kiosk.service import KioskService


class KioskSection(Section):
    """The terminal's own settings."""

    idle_ask_s: Annotated[float, Field(ge=10, le=3600)] = 60.0
    """Nobody taps for so long: the screen asks."""
    idle_end_s: Annotated[float, Field(ge=10, le=600)] = 30.0
    """And ends the visit after so long."""
    popular: Annotated[tuple[str, ...], Field(max_length=5)] = ()
    """基本编码 of items on the first screen, at most five."""
    px_per_mm: Annotated[float, Field(ge=1, le=20)] = 3.2
    """Pixels per millimetre of the panel; physical sizes follow from it."""


class KioskSettings(Section):
    """What the service reads of the site's and the machine's files."""

    site: SiteSection
    device: DeviceSection
    affairs: AffairsSection = AffairsSection()
    kiosk: KioskSection = KioskSection()


async def serve(ready: ReadyCallback) -> None:
    """Serve one visit, then return."""
    places = Places.from_environment()
    with resources.as_file(resources.files("kiosk") / "defaults.toml") as defaults:
        settings = load(KioskSettings, [defaults, *files_from_environment()]).settings
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
            clock=SystemClock(),
        )
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


def main() -> int:
    """Entry point of the process."""
    return run("kiosk", serve)


if __name__ == "__main__":
    sys.exit(main())
