"""Composition root of the card reader's process: `python -m edge_agent.card_reader [--standby]`.

It alone opens the card readers of a machine, and it ends with the visit in which a card was read:
the warm spare takes over. With `--standby` it loads everything, prints `warm`, and works after the
line `go`; until then it opens no port.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from edge_agent.card_api import SOCKET_NAME, CardApi
from edge_agent.devices.card_watch import CardWatch
from edge_agent.devices.host import CARD_PORT, PeripheralHost, configured
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.ports.id_card_reader import CardOutcome
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.config import Places, Section, files_from_environment, load
from hallkit.runtime.keeper import Standby
from hallkit.runtime.lifecycle import ReadyCallback, run


class CardReaderSettings(Section):
    """What this process reads of the files that the agent reads."""

    peripherals: list[dict[str, Any]] = []


async def serve(ready: ReadyCallback) -> None:
    """Read cards for one citizen, then return."""
    places = Places.from_environment()
    files = files_from_environment()
    settings = load(CardReaderSettings, files).settings
    peripherals = [
        (spec, config)
        for spec, config in configured(settings.peripherals, places.runtime, files)
        if spec.port == CARD_PORT
    ]
    standby = await Standby.open() if "--standby" in sys.argv[1:] else None
    if standby is not None and not await standby.warm():
        return
    clock = SystemClock()
    async with PeripheralHost(peripherals, clock) as host:
        reader = host.of_port(CARD_PORT)
        if reader is None:
            raise ConfigError([ConfigProblem("peripherals", CARD_PORT, "this machine has none")])

        def tell(outcome: CardOutcome) -> None:
            api.card_outcome(outcome)

        def unheard() -> None:
            api.card_unheard()

        cards = CardWatch(
            reader,  # type: ignore[arg-type]  # the contract suite holds the port's shape
            clock,
            tell=tell,
            unheard=unheard,
        )
        api = CardApi(places.runtime / SOCKET_NAME, cards, reports=lambda: host.reports)
        host.listen(api.device_changed)
        async with api.server, asyncio.TaskGroup() as tasks:
            standing = [
                tasks.create_task(host.run(), name="peripherals"),
                tasks.create_task(cards.run(), name="cards"),
            ]
            ends = {tasks.create_task(api.until_over(), name="visit")}
            if standby is not None:
                # Without its keeper it would hold the port that the next one needs.
                ends.add(tasks.create_task(standby.keeper_gone(), name="keeper"))
                standing.append(tasks.create_task(standby.beat(), name="beat"))
            ready()
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (*standing, *ends):
                task.cancel()


def main() -> int:
    """Entry point of the process."""
    return run("card_reader", serve)


if __name__ == "__main__":
    sys.exit(main())
