"""Each simulator made a liar, one change at a time: the suite of its port must find it out."""

from __future__ import annotations

import asyncio
import time

from drivers.registry import discover
from launcher.mutation import honest_twins_pass, mutants, told_apart
from launcher.rehearsals.record import Plan, Record

HELP = "simulators that lie; the contract suites must find them out"

AT_ONCE = 2


async def run(plan: Plan, record: Record) -> None:
    """All mutants, in the seed's order, until the time is up; at least two."""
    order = list(mutants())
    plan.random("order").shuffle(order)
    end = time.monotonic() + plan.minutes * 60
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        mutant = order[number]
        async with turn:
            if number >= AT_ONCE and time.monotonic() > end:
                record.counts["not tried"] += 1
                return
            found = await asyncio.to_thread(told_apart, mutant, plan.root / f"mutant-{number}")
        record.counts["found out" if found else "believed"] += 1
        record.note(f"{mutant.driver}: {mutant.lie}: {'found out' if found else 'BELIEVED'}")
        record.expect(
            "every mutant is found out by its suite", found, driver=mutant.driver, lie=mutant.lie
        )

    async with asyncio.TaskGroup() as tasks:
        for number in range(len(order)):
            tasks.create_task(one(number))
    for key in sorted(discover()):
        if time.monotonic() > end:
            record.counts["controls not tried"] += 1
            continue
        holds = await asyncio.to_thread(honest_twins_pass, key, plan.root / f"honest-{key}")
        record.counts["controls"] += 1
        record.expect("every honest twin is believed", holds, driver=key)
    missing = sorted(discover().keys() - {mutant.driver for mutant in order})
    record.expect("every driver's simulator has mutants", not missing, missing=missing)
