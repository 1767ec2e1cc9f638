"""Who stands at which window. One person has one window, and a window one person.

Whoever comes second sees who is there and may take over; the orders of a window are for whoever
stands at it.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from affairs.audit import AuditKind, AuditLog
from affairs.staff.tables import accounts, seats
from hallkit.errors import HallError
from hallkit.runtime.clock import Clock


class NotStanding(HallError):
    """Somebody else stands at the window, or nobody does."""

    code = "not_standing"


@dataclass(frozen=True, slots=True)
class Seat:
    """Somebody at a window."""

    window: int
    account_id: str
    display_name: str
    since_ms: int


class Seats:
    """Every call is inside a transaction of its caller."""

    def __init__(self, log: AuditLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    def at(self, connection: sa.Connection, window: int) -> Seat | None:
        return self.all(connection).get(window)

    def all(self, connection: sa.Connection) -> dict[int, Seat]:
        """Everybody, by window."""
        found = connection.execute(
            sa.select(
                seats.c.window, seats.c.account_id, seats.c.since_ms, accounts.c.display_name
            ).join_from(seats, accounts, seats.c.account_id == accounts.c.id)
        )
        return {
            row.window: Seat(row.window, row.account_id, row.display_name, row.since_ms)
            for row in found
        }

    def take(
        self, connection: sa.Connection, window: int, account_id: str, *, take_over: bool
    ) -> bool:
        """Stand at a window; False if somebody else does and is not to be relieved."""
        there = self.at(connection, window)
        if there is not None and there.account_id == account_id:
            return True
        if there is not None and not take_over:
            return False
        self.leave(connection, account_id)
        connection.execute(seats.delete().where(seats.c.window == window))
        connection.execute(
            seats.insert().values(
                window=window, account_id=account_id, since_ms=self._clock.wall_ms()
            )
        )
        kind = AuditKind.SEAT_TAKEN if there is None else AuditKind.SEAT_TAKEN_OVER
        detail: dict[str, str | int] = {"window": window}
        if there is not None:
            detail["from"] = there.account_id
        self._log.add(connection, kind, actor=account_id, detail=detail)
        return True

    def leave(self, connection: sa.Connection, account_id: str) -> None:
        """Stand nowhere any more."""
        mine = seats.c.account_id == account_id
        window = connection.execute(sa.select(seats.c.window).where(mine)).scalar_one_or_none()
        if window is None:
            return
        connection.execute(seats.delete().where(mine))
        self._log.add(connection, AuditKind.SEAT_LEFT, actor=account_id, detail={"window": window})

    def must_be(self, connection: sa.Connection, window: int, account_id: str) -> None:
        """`NotStanding` unless it is this person who stands there."""
        there = self.at(connection, window)
        if there is None or there.account_id != account_id:
            raise NotStanding(f"window {window}")
