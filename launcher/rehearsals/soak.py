"""One citizen after the other: what grows, leaks or tires shows after enough visits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from drivers.sim.control import order
from kiosk.service import SCREEN_SOCKET
from launcher.centre import console_client
from launcher.figures import open_files, pss_mb, threads
from launcher.hall import Hall, running_hall
from launcher.installation import TERMINAL, Installation
from launcher.rehearsals.citizen import CARD, Manner, citizen_at
from launcher.rehearsals.record import Plan, Record

HELP = "visits in a row; nothing grows"

VISIT_TIMEOUT_S = 60.0
WARM_UP_VISITS = 3
"""The first visits load what later ones find: fonts, statements, pages of databases."""
SAMPLE_EVERY = 5
CARD_EVERY = 3

LONG_LIVED = ("broker", "affairs", "ops", "agent", "kiosk", "screen")
"""`kiosk` and `screen` are the keepers: what they keep is new for each citizen."""

GROWTH_MB = 12.0
"""Beyond it something is kept that should not be; SQLite's page cache alone may take 2 MB each."""
GROWTH_MB_PER_VISIT = 0.02
"""Rows of a visit that caches may still hold."""
FILES_GROWTH = 8
THREADS_GROWTH = 8
"""Pools of the web servers fill up slowly."""

Sample = dict[str, dict[str, float]]


async def run(plan: Plan, record: Record) -> None:
    """Visits until the time is up, at least one after the warm-up."""
    installation = Installation(plan.root)
    installation.prepare(move_ports=True)
    async with (
        running_hall(installation, headless=True) as hall,
        console_client(installation) as console,
    ):
        await console.until_online(TERMINAL)

        async def hand(lay: bool) -> None:
            if lay:
                await order(hall.reader_control, "card.lay", card=CARD)
            else:
                await order(hall.reader_control, "card.lift")

        samples: list[Sample] = []
        async with citizen_at(installation.runtime / SCREEN_SOCKET, hand) as citizen:
            end = time.monotonic() + plan.minutes * 60
            for manner in _manners(plan):
                visited = await citizen.visit(manner, timeout_s=VISIT_TIMEOUT_S)
                record.counts["visits"] += 1
                record.counts["visits to their end"] += visited.over
                record.counts["slips seen printed"] += visited.printed
                record.counts["taps"] += visited.taps
                done = record.counts["visits"]
                enough = done > WARM_UP_VISITS and time.monotonic() > end
                if done == WARM_UP_VISITS or enough or done % SAMPLE_EVERY == 0:
                    samples.append(_sample(hall))
                if enough:
                    break
        _compare(samples, record)
        record.counts["restarts"] = sum(hall.table[name].starts - 1 for name in LONG_LIVED)
        record.figures["samples"] = samples
    visits = record.counts["visits"]
    record.expect(
        "every visit comes to its end with a slip",
        record.counts["visits to their end"] == record.counts["slips seen printed"] == visits,
        visits=visits,
    )
    record.expect("no long-lived process restarts", record.counts["restarts"] == 0)


def _manners(plan: Plan) -> Iterator[Manner]:
    random = plan.random("manners")
    number = 0
    while True:
        number += 1
        yield Manner(with_card=number % CARD_EVERY == 0, choice=random.randrange(12))


def _sample(hall: Hall) -> Sample:
    found: Sample = {}
    for name in LONG_LIVED:
        process = hall.table[name].process
        if process is not None:
            pid = process.pid
            found[name] = {
                "pss_mb": round(pss_mb(pid), 2),
                "files": open_files(pid),
                "threads": threads(pid),
            }
    return found


def _compare(samples: list[Sample], record: Record) -> None:
    """The last sample against the first one after the warm-up."""
    warm, last = samples[0], samples[-1]
    between = record.counts["visits"] - WARM_UP_VISITS
    grown: dict[str, Any] = {
        name: {what: round(last[name][what] - warm[name][what], 2) for what in last[name]}
        for name in last
    }
    allowed = GROWTH_MB + GROWTH_MB_PER_VISIT * between
    record.figures["grown after warm-up"] = grown
    record.expect(
        f"memory of no long-lived process grows by more than {GROWTH_MB:g} MB and its visits",
        all(one["pss_mb"] <= allowed for one in grown.values()),
        grown=grown,
        allowed_mb=round(allowed, 1),
    )
    record.expect(
        "no files or threads pile up",
        all(
            one["files"] <= FILES_GROWTH and one["threads"] <= THREADS_GROWTH
            for one in grown.values()
        ),
        grown=grown,
    )
