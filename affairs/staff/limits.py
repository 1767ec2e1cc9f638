"""Brakes: wrong logins by account and by address, with growing pauses; writes of a session.

A login counts as failed before the password is looked at, and is taken back when it was right: so
that many at once, or a kill in between, give nobody a free guess. The counts stand in the database
under keyed macs, of names and addresses that nobody can read there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from affairs.sealing import Sealer
from affairs.staff.tables import attempts
from hallkit.runtime.clock import Clock
from hallkit.store.retention import BATCH_ROWS, Batch

FREE_OF_ACCOUNT = 4
"""Wrong passwords before there is a pause."""
FREE_OF_ADDRESS = 20
"""More: one address may be a whole hall."""
FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 15 * 60_000
FORGOTTEN_MS = 24 * 3_600_000
"""So long after the last wrong one it begins anew."""

WRITES = 60
WRITES_WITHIN_S = 60.0


def pause_ms(failures: int, free: int) -> int:
    """How long after the last of so many failures nobody may try."""
    if failures < free:
        return 0
    doubled: int = 1 << min(failures - free, 20)
    return min(FIRST_PAUSE_MS * doubled, LONGEST_PAUSE_MS)


@dataclass(frozen=True, slots=True)
class Whose:
    """Who is counted, as it stands in the database."""

    account: str
    address: str


class LoginBrake:
    """Every call is inside a transaction of its caller."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer = sealer
        self._clock = clock

    def whose(self, name: str, address: str) -> Whose:
        return Whose(
            account=self._sealer.fingerprint(b"staff name", name.encode()),
            address=self._sealer.fingerprint(b"staff address", address.encode()),
        )

    def wait_s(self, connection: sa.Connection, whose: Whose) -> int:
        """Seconds until this login may be tried; 0: now, and it is counted as failed already."""
        now_ms = self._clock.wall_ms()
        counted = [
            (whose.account, FREE_OF_ACCOUNT, self._row(connection, whose.account, now_ms)),
            (whose.address, FREE_OF_ADDRESS, self._row(connection, whose.address, now_ms)),
        ]
        waits = [
            # A clock that was set back must not lengthen the pause.
            min(row.last_at_ms, now_ms) + pause_ms(row.failures, free) - now_ms
            for _, free, row in counted
            if row is not None
        ]
        longest_ms = max(waits, default=0)
        if longest_ms > 0:
            return math.ceil(longest_ms / 1000)
        for mac, _, row in counted:
            self._set(connection, mac, (row.failures if row is not None else 0) + 1, now_ms)
        return 0

    def succeeded(self, connection: sa.Connection, whose: Whose) -> None:
        """It was right: the account's count is gone, the address is given one back."""
        connection.execute(attempts.delete().where(attempts.c.whose == whose.account))
        connection.execute(
            attempts.update()
            .where(attempts.c.whose == whose.address, attempts.c.failures > 0)
            .values(failures=attempts.c.failures - 1)
        )

    def _row(self, connection: sa.Connection, mac: str, now_ms: int) -> sa.Row[Any] | None:
        return connection.execute(
            sa.select(attempts).where(
                attempts.c.whose == mac, attempts.c.last_at_ms > now_ms - FORGOTTEN_MS
            )
        ).one_or_none()

    def _set(self, connection: sa.Connection, mac: str, count: int, now_ms: int) -> None:
        values = {"failures": count, "last_at_ms": now_ms}
        mine = attempts.c.whose == mac
        if connection.execute(attempts.update().where(mine).values(values)).rowcount == 0:
            connection.execute(attempts.insert().values(whose=mac, **values))


class WriteBrake:
    """So many writes a session within a minute; in memory, a restart forgets them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._written: dict[str, list[float]] = {}

    def wait_s(self, session_id: str) -> int:
        """Seconds until this session may write; 0: now, and it is counted."""
        now = self._clock.mono_s()
        for key in [key for key, at in self._written.items() if now - at[-1] >= WRITES_WITHIN_S]:
            del self._written[key]
        times = [at for at in self._written.get(session_id, []) if now - at < WRITES_WITHIN_S]
        if len(times) >= WRITES:
            return math.ceil(times[0] + WRITES_WITHIN_S - now)
        self._written[session_id] = [*times, now]
        return 0


def delete_forgotten(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """The janitor's step."""
    old = (
        sa.select(attempts.c.whose)
        .where(attempts.c.last_at_ms < now_ms - FORGOTTEN_MS)
        .limit(BATCH_ROWS)
    )
    gone = connection.execute(attempts.delete().where(attempts.c.whose.in_(old))).rowcount
    return Batch(gone, next=True if gone == BATCH_ROWS else None)
