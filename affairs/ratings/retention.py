"""How long ratings are kept: words and telephone for weeks, the rest as long as tickets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa

from affairs.ratings.rules import RatingRules
from affairs.ratings.tables import HAS_REPORT, call_backs, ratings
from affairs.store import SEALED
from hallkit.runtime.clock import local_date
from hallkit.store.retention import BATCH_ROWS, DAY_MS, Batch, Step


def steps(rules: RatingRules, *, kept_days: int) -> Mapping[str, Step]:
    """What the janitor does."""
    return {
        "words of ratings": partial(_empty_words, rules.words_days),
        "reports": partial(_empty_reports, rules.words_days),
        "ratings": partial(_delete, kept_days),
    }


def _empty_words(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Of good ratings, and of bad ones whose call back is done."""
    old = (
        sa.select(ratings.c.id)
        .where(ratings.c.free_at_ms < now_ms - days * DAY_MS, SEALED)
        .order_by(ratings.c.free_at_ms)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(ratings.update().where(ratings.c.id.in_(old)).values(request=b""))
    return Batch.of(done.rowcount)


def _empty_reports(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(call_backs.c.rating_id)
        .where(call_backs.c.state_at_ms < now_ms - days * DAY_MS, HAS_REPORT)
        .order_by(call_backs.c.state_at_ms)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(
        call_backs.update().where(call_backs.c.rating_id.in_(old)).values(report=b"")
    )
    return Batch.of(done.rowcount)


def _delete(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(ratings.c.id)
        .where(ratings.c.day < local_date(now_ms - days * DAY_MS))
        .order_by(ratings.c.day)
        .limit(BATCH_ROWS)
    )
    gone = list(connection.execute(old).scalars())
    if gone:
        connection.execute(call_backs.delete().where(call_backs.c.rating_id.in_(gone)))
        connection.execute(ratings.delete().where(ratings.c.id.in_(gone)))
    return Batch.of(len(gone))
