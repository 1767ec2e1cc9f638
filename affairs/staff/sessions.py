"""Who is logged in. The browser has the token, the database its hash: a copy of it opens nothing.

A session outlives a restart of the node. It ends after half an hour in which nothing was asked for
(a page that only listens asks for nothing), and twelve hours after the login.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from affairs.staff.accounts import Account, AccountState, account_of
from affairs.staff.tables import accounts, sessions
from hallkit.model.ids import new_id
from hallkit.runtime.clock import Clock
from hallkit.store.retention import BATCH_ROWS, Batch

IDLE_MS = 30 * 60_000
WHOLE_MS = 12 * 3_600_000
_SEEN_EVERY_MS = 60_000
"""So often a session that is used is marked: not with every request."""


@dataclass(frozen=True, slots=True)
class Session:
    """One login of one person."""

    id: str
    account: Account
    form_token: str
    """Stands in every form of this session, and in no other's (CSRF)."""


class Sessions:
    """Opens, finds and ends; every call is inside a transaction of its caller."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def open(self, connection: sa.Connection, account_id: str) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(32)
        now_ms = self._clock.wall_ms()
        connection.execute(
            sessions.insert().values(
                id=new_id(),
                token_hash=_hashed(token),
                account_id=account_id,
                started_at_ms=now_ms,
                seen_at_ms=now_ms,
            )
        )
        return token

    def find(self, connection: sa.Connection, token: str) -> Session | None:
        """Whose token it is, if the session still stands; it is used by this."""
        now_ms = self._clock.wall_ms()
        row = self._row(connection, sessions.c.token_hash == _hashed(token), now_ms)
        if row is None:
            return None
        if abs(now_ms - row.seen_at_ms) >= _SEEN_EVERY_MS:
            connection.execute(
                sessions.update().where(sessions.c.id == row.session_id).values(seen_at_ms=now_ms)
            )
        return Session(row.session_id, account_of(row), _form_token(token))

    def stands(self, connection: sa.Connection, session_id: str) -> bool:
        """True while the session is good, without using it."""
        now_ms = self._clock.wall_ms()
        return self._row(connection, sessions.c.id == session_id, now_ms) is not None

    def standing(self, connection: sa.Connection) -> frozenset[str]:
        """All sessions that are good now."""
        found = connection.execute(sa.select(sessions.c.id).where(*_good(self._clock.wall_ms())))
        return frozenset(found.scalars())

    def end(self, connection: sa.Connection, session_id: str) -> None:
        connection.execute(sessions.delete().where(sessions.c.id == session_id))

    def _row(
        self, connection: sa.Connection, which: sa.ColumnElement[bool], now_ms: int
    ) -> sa.Row[Any] | None:
        return connection.execute(
            sa.select(accounts, sessions.c.id.label("session_id"), sessions.c.seen_at_ms)
            .join_from(sessions, accounts, sessions.c.account_id == accounts.c.id)
            .where(which, accounts.c.state == AccountState.ACTIVE.value, *_good(now_ms))
        ).one_or_none()


def delete_ended(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """The janitor's step: sessions that ended by themselves."""
    old = (
        sa.select(sessions.c.id).where(sessions.c.seen_at_ms < now_ms - WHOLE_MS).limit(BATCH_ROWS)
    )
    gone = connection.execute(sessions.delete().where(sessions.c.id.in_(old))).rowcount
    return Batch(gone, next=True if gone == BATCH_ROWS else None)


def _good(now_ms: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        sessions.c.seen_at_ms > now_ms - IDLE_MS,
        sessions.c.started_at_ms > now_ms - WHOLE_MS,
    )


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _form_token(token: str) -> str:
    """Follows from the token, which the database does not hold."""
    return hmac.new(token.encode(), b"hallkit staff forms v1", hashlib.sha256).hexdigest()
