"""How long the centre keeps what it heard."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Self

import sqlalchemy as sa
from pydantic import Field, model_validator

from hallkit.runtime.config import Section
from hallkit.store.retention import BATCH_ROWS, DAY_MS, Batch, Step
from ops import store
from ops.effects import PRESENCE_EVENT, hall_day

HALF_A_YEAR_DAYS = 184

Days = Annotated[int, Field(ge=1, le=36_500)]
LongDays = Annotated[int, Field(ge=HALF_A_YEAR_DAYS, le=36_500)]

AUDIT = frozenset({PRESENCE_EVENT})
"""Types of events that are the record of who was on the network when."""


class Retention(Section):
    """`[ops.retention]`: days after it happened, or was last heard of."""

    events_days: Days = 180
    audit_days: LongDays = 400
    """Who came and went on the network; half a year at least."""
    counters_days: Days = 1100
    streams_days: LongDays = 400
    """What tells a repeated report of a former start from a new one: longer than any outbox keeps
    what was not promised."""

    @model_validator(mode="after")
    def _streams_outlive_events(self) -> Self:
        if self.streams_days < self.events_days:
            raise ValueError("streams_days: must not be shorter than events_days")
        if self.audit_days < self.events_days:
            raise ValueError("audit_days: must not be shorter than events_days")
        return self


def steps(kept: Retention) -> Mapping[str, Step]:
    """What the janitor does."""
    return {
        "events": partial(_delete_events, kept.events_days, kept.audit_days),
        "counters": partial(_delete_counters, kept.counters_days),
        "streams": partial(_delete_streams, kept.streams_days),
    }


def _delete_events(  # two ages and a step's own arguments
    days: int, audit_days: int, connection: sa.Connection, now_ms: int, after: Any
) -> Batch:
    """Look at the oldest, from where the batch before ended: some of them are kept longer."""
    table = store.event
    place = sa.tuple_(table.c.time_ms, table.c.id)
    rows = connection.execute(
        sa.select(table.c.time_ms, table.c.id, table.c.type)
        .where(table.c.time_ms < now_ms - days * DAY_MS, place > (after or (-1, -1)))
        .order_by(table.c.time_ms, table.c.id)
        .limit(BATCH_ROWS)
    ).all()
    audit_ms = now_ms - audit_days * DAY_MS
    old = [row.id for row in rows if row.type not in AUDIT or row.time_ms < audit_ms]
    connection.execute(table.delete().where(table.c.id.in_(old)))
    full = len(rows) == BATCH_ROWS
    return Batch(len(old), next=(rows[-1].time_ms, rows[-1].id) if full else None)


def _delete_counters(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    table = store.counter
    key = (table.c.device, table.c.day, table.c.name)
    old = (
        sa.select(*key)
        .where(table.c.day < hall_day(now_ms - days * DAY_MS))
        .order_by(table.c.day)
        .limit(BATCH_ROWS)
    )
    gone = connection.execute(table.delete().where(sa.tuple_(*key).in_(old))).rowcount
    return Batch(gone, next=True if gone == BATCH_ROWS else None)


def _delete_streams(days: int, connection: sa.Connection, now_ms: int, after: Any) -> Batch:
    """Former starts of machines; the last one of each is kept, however long it has been silent."""
    table, machine = store.stream, store.machine
    key = sa.tuple_(table.c.device, table.c.boot)
    rows = connection.execute(
        sa.select(
            table.c.device,
            table.c.boot,
            (
                (table.c.seen_ms < now_ms - days * DAY_MS)
                & sa.func.coalesce(machine.c.boot != table.c.boot, True)
            ).label("is_old"),
        )
        .select_from(table.outerjoin(machine, machine.c.device == table.c.device))
        .where(key > (after or ("", "")))
        .order_by(table.c.device, table.c.boot)
        .limit(BATCH_ROWS)
    ).all()
    old = [(row.device, row.boot) for row in rows if row.is_old]
    if old:
        ahead = store.report
        connection.execute(ahead.delete().where(sa.tuple_(ahead.c.device, ahead.c.boot).in_(old)))
        connection.execute(table.delete().where(key.in_(old)))
    full = len(rows) == BATCH_ROWS
    return Batch(len(old), next=(rows[-1].device, rows[-1].boot) if full else None)
