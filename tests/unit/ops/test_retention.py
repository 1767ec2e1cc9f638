"""What is old goes in small batches; what tells a repeated report from a new one stays longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from hallkit.store.retention import BATCH_ROWS, DAY_MS, EVERY_S, FIRST_AFTER_S, Janitor
from ops import store
from ops.effects import PRESENCE_EVENT, hall_day
from ops.retention import Retention, steps
from ops.store import Store
from tests.fakes.clock import NOON_MS, FakeClock, HastyClock


@pytest.fixture
async def kept_in(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "ops.sqlite") as opened:
        yield opened


async def put(kept_in: Store, table: sa.Table, *rows: dict[str, object]) -> None:
    await kept_in.transaction(lambda connection: connection.execute(table.insert(), list(rows)))


async def left(kept_in: Store, column: sa.Column[object]) -> list[object]:
    return await kept_in.transaction(
        lambda connection: list(connection.execute(sa.select(column).order_by(column)).scalars())
    )


def event(days_ago: int, kind: str = "visit.started.v1") -> dict[str, object]:
    at_ms = NOON_MS - days_ago * DAY_MS
    return {
        "device": "t",
        "type": kind,
        "time_ms": at_ms,
        "received_ms": at_ms,
        "hist": False,
        "data": "{}",
    }


async def test_events_go_and_the_record_of_the_network_stays_longer(kept_in: Store) -> None:
    old = [event(181) for _ in range(BATCH_ROWS)]
    audit = [event(300, PRESENCE_EVENT) for _ in range(BATCH_ROWS)]
    await put(kept_in, store.event, *old, *audit, event(500, PRESENCE_EVENT), event(179))
    janitor = Janitor(kept_in, HastyClock(), steps(Retention()))
    assert await janitor.sweep() == {"events": BATCH_ROWS + 1, "counters": 0, "streams": 0}
    types = await left(kept_in, store.event.c.type)
    assert types == [*([PRESENCE_EVENT] * BATCH_ROWS), "visit.started.v1"]
    assert (await janitor.sweep())["events"] == 0


async def test_counters_go_after_years(kept_in: Store) -> None:
    days = [hall_day(NOON_MS - age * DAY_MS) for age in (1101, 1100, 0)]
    await put(
        kept_in,
        store.counter,
        *({"device": "t", "day": day, "name": "visits", "value": 1} for day in days),
    )
    assert (await Janitor(kept_in, HastyClock(), steps(Retention())).sweep())["counters"] == 1
    assert await left(kept_in, store.counter.c.day) == days[1:]


async def test_streams_of_former_starts_go_but_never_the_last_one(kept_in: Store) -> None:
    machine = {
        "device": "t",
        "name": "",
        "role": "",
        "agent": "",
        "presence": "offline",
        "presence_since_ms": 0,
        "epoch": 1,
        "boot": "last",
        "seen_ms": 0,
        "health_boot": "",
        "health_seq": 0,
    }
    await put(kept_in, store.machine, machine)
    old_ms = NOON_MS - 401 * DAY_MS
    boots = {"last": old_ms, "older": old_ms, "recent": NOON_MS - 399 * DAY_MS}
    many = {f"b{number:03}": old_ms for number in range(BATCH_ROWS)}
    await put(
        kept_in,
        store.stream,
        *(
            {"device": "t", "boot": boot, "upto": 1, "seen_ms": seen}
            for boot, seen in (boots | many).items()
        ),
    )
    await put(kept_in, store.report, *({"device": "t", "boot": boot, "seq": 3} for boot in boots))
    janitor = Janitor(kept_in, HastyClock(), steps(Retention()))
    assert (await janitor.sweep())["streams"] == BATCH_ROWS + 1
    assert await left(kept_in, store.stream.c.boot) == ["last", "recent"]
    assert await left(kept_in, store.report.c.boot) == ["last", "recent"]


async def test_the_janitor_comes_by_itself_and_does_not_believe_a_clock_that_jumps(
    kept_in: Store,
) -> None:
    clock = FakeClock()
    swept: list[int] = []

    class Watched(Janitor):
        async def sweep(self) -> dict[str, int]:
            swept.append(clock.wall_ms())
            return {}

    async with janitor_running(Watched(kept_in, clock, steps(Retention())), clock):
        assert swept == []
        await pass_time(clock, FIRST_AFTER_S)
        assert len(swept) == 1
        clock.set_wall_ms(clock.wall_ms() + 9000 * DAY_MS)
        await pass_time(clock, EVERY_S)
        assert len(swept) == 1
        await pass_time(clock, EVERY_S)
        assert len(swept) == 2


@asynccontextmanager
async def janitor_running(janitor: Janitor, clock: FakeClock) -> AsyncIterator[None]:
    task = asyncio.create_task(janitor.run())
    await clock.until_sleeping()
    yield
    task.cancel()
    await asyncio.wait({task})


async def pass_time(clock: FakeClock, seconds: float) -> None:
    clock.advance(seconds)
    await asyncio.sleep(0)
    await clock.until_sleeping()


def test_settings_that_would_count_twice_or_forget_too_soon_are_refused() -> None:
    for wrong in ({"audit_days": 100}, {"streams_days": 30}, {"events_days": 500}):
        with pytest.raises(ValidationError):
            Retention.model_validate(wrong)
