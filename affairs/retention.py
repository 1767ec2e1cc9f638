"""How long the node keeps what: personal fields for days, tickets without them for longer.

Counters are never deleted: a number that was given on a day is never given again on it, whatever
becomes of the tickets and of the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Self

import sqlalchemy as sa
from pydantic import Field, model_validator

from affairs.store import SEALED, tickets, writes
from hallkit.runtime.clock import local_date
from hallkit.runtime.config import Section
from hallkit.store.retention import BATCH_ROWS, DAY_MS, Batch, Step

Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(Section):
    """`[affairs.retention]`: days after the day of the ticket or of the write."""

    personal_days: Annotated[int, Field(ge=1, le=365)] = 3
    """Name, ID number and answers of an applicant, and what finds them."""
    keys_days: Days = 30
    """Idempotency keys: a machine that asks again after that gets another number."""
    tickets_days: Days = 400
    """Tickets without anything personal."""

    @model_validator(mode="after")
    def _tickets_outlive_their_keys(self) -> Self:
        if self.tickets_days < max(self.keys_days, self.personal_days):
            raise ValueError("tickets_days: must not be shorter than the others")
        return self


def steps(kept: Retention) -> Mapping[str, Step]:
    """What the janitor does."""
    return {
        "personal": partial(_drop_personal, kept.personal_days),
        "keys": partial(_delete_keys, kept.keys_days),
        "tickets": partial(_delete_tickets, kept.tickets_days),
    }


def _drop_personal(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Empty what is sealed and what finds it; the ticket stays."""
    old = (
        sa.select(tickets.c.id)
        .where(tickets.c.day < _day(now_ms, days), SEALED)
        .order_by(tickets.c.day)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(
        tickets.update().where(tickets.c.id.in_(old)).values(request=b"", applicant_mac=None)
    )
    return _batch(done.rowcount)


def _delete_keys(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    key = (writes.c.device, writes.c.key_mac)
    old = (
        sa.select(*key)
        .where(writes.c.written_at_ms < now_ms - days * DAY_MS)
        .order_by(writes.c.written_at_ms)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(writes.delete().where(sa.tuple_(*key).in_(old))).rowcount)


def _delete_tickets(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(tickets.c.id)
        .where(tickets.c.day < _day(now_ms, days))
        .order_by(tickets.c.day)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(tickets.delete().where(tickets.c.id.in_(old))).rowcount)


def _day(now_ms: int, days: int) -> dt.date:
    return local_date(now_ms) - dt.timedelta(days=days)


def _batch(gone: int) -> Batch:
    return Batch(gone, next=True if gone == BATCH_ROWS else None)
