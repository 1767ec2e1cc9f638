"""Composition root of the card reader's process: `python -m edge_agent.card_reader [--standby]`.

It alone opens the card readers of a machine, and it ends with the visit in which a card was read:
the warm spare takes over. With `--standby` it loads everything, prints `warm`, and works after the
line `go`; until then it opens no port. It works under a lock, so that no second one does, and says
`alive` while its loop goes round and no call to a reader is stuck.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_agent.card_api import SOCKET_NAME, CardApi
from edge_agent.card_settings import CardReaderSection
from edge_agent.devices.card_watch import CardWatch
from edge_agent.devices.host import CARD_PORT, Configured, PeripheralHost, configured
from edge_agent.devices.pulse import Pulse
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.ports.id_card_reader import CardOutcome
from hallkit.runtime.clock import Clock, SystemClock
from hallkit.runtime.config import Places, Section, files_from_environment, load
from hallkit.runtime.exclusive import exclusively
from hallkit.runtime.keeper import Standby
from hallkit.runtime.lifecycle import ReadyCallback, run

LOCK_NAME = "card-reader.lock"
"""In the runtime folder: who holds it may speak to the readers and serve `card.sock`."""


class CardReaderSettings(Section):
    """What this process reads of the files that the agent reads."""

    card_reader: CardReaderSection = CardReaderSection()
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
    pulse = Pulse(clock, limit_s=settings.card_reader.call_limit_s)
    async with asyncio.TaskGroup() as tasks:
        work = tasks.create_task(
            _read_cards(peripherals, places.runtime, clock, pulse, ready), name="cards"
        )
        ends = {work}
        beat = None
        if standby is not None:
            # Without its keeper it would hold the port that the next one needs.
            ends.add(tasks.create_task(standby.keeper_gone(), name="keeper"))
            beat = tasks.create_task(
                standby.beat(settings.card_reader.beat_s, is_well=pulse.is_well), name="beat"
            )
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for task in (*ends, *([beat] if beat is not None else [])):
            task.cancel()


async def _read_cards(
    peripherals: Sequence[Configured],
    runtime: Path,
    clock: Clock,
    pulse: Pulse,
    ready: ReadyCallback,
) -> None:
    """Serve one citizen, alone on the machine: two readers' processes would garble each other."""
    async with (
        exclusively(runtime / LOCK_NAME, clock),
        PeripheralHost(peripherals, clock, pulse=pulse) as host,
    ):
        reader = host.of_port(CARD_PORT)
        if reader is None:
            raise ConfigError([ConfigProblem("peripherals", CARD_PORT, "this machine has none")])

        def tell(outcome: CardOutcome) -> None:
            api.card_outcome(outcome)

        def unheard() -> None:
            api.card_unheard()

        cards = CardWatch(
            reader,  # the contract suite holds the port's shape
            clock,
            tell=tell,
            unheard=unheard,
            pulse=pulse,
        )
        api = CardApi(runtime / SOCKET_NAME, cards, reports=lambda: host.reports)
        host.listen(api.device_changed)
        async with api.server, asyncio.TaskGroup() as tasks:
            standing = [
                tasks.create_task(host.run(), name="peripherals"),
                tasks.create_task(host.follow_plugs(), name="plugs"),
                tasks.create_task(cards.run(), name="looks"),
            ]
            ready()
            await api.until_over()
            for task in standing:
                task.cancel()


def main() -> int:
    """Entry point of the process."""
    return run("card_reader", serve)


if __name__ == "__main__":
    sys.exit(main())
