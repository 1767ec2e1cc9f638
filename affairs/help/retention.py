"""How long calls for help are kept: what was handed over for a day, the rest as long as tickets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa

from affairs.help.rules import HelpRules
from affairs.help.tables import HOLDS_SESSION, help_calls
from hallkit.store.retention import BATCH_ROWS, DAY_MS, Batch, Step


def steps(rules: HelpRules, *, kept_days: int) -> Mapping[str, Step]:
    """What the janitor does."""
    return {
        "help sessions": partial(_empty_sessions, rules.session_days),
        "help calls": partial(_delete, kept_days),
    }


def _empty_sessions(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """An open call has no end yet, and keeps what the helper will need."""
    old = (
        sa.select(help_calls.c.id)
        .where(help_calls.c.ended_at_ms < now_ms - days * DAY_MS, HOLDS_SESSION)
        .order_by(help_calls.c.ended_at_ms)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(
        help_calls.update().where(help_calls.c.id.in_(old)).values(session=b"", shown=b"")
    )
    return Batch.of(done.rowcount)


def _delete(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(help_calls.c.id)
        .where(help_calls.c.called_at_ms < now_ms - days * DAY_MS)
        .order_by(help_calls.c.called_at_ms)
        .limit(BATCH_ROWS)
    )
    return Batch.of(
        connection.execute(help_calls.delete().where(help_calls.c.id.in_(old))).rowcount
    )
