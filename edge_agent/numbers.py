"""Numbers that the machine holds for the time without the business node, and who got one.

Leased for the day while the node answers; given when it does not. What was given is in the journal
before the citizen hears of it, sealed so that the machine itself cannot read it again, and is told
to the node as soon as it is back. Only then the row goes.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import ValidationError

from edge_agent.delivery import Delivery, Rounds
from hallkit.errors import NotSupported, Reason, StoreError
from hallkit.model.ids import new_id
from hallkit.runtime.clock import Clock, local_date
from hallkit.runtime.journal import Journal
from hallkit.wire.affairs_api import (
    Lease,
    LeaseRequest,
    OfflineTicket,
    OfflineTickets,
    OfflineTicketsTaken,
    ReservedNumber,
)

SCHEMA = """\
create table numbers (
    ticket text primary key, day text not null, service text not null, number text not null,
    uncertainty_ms integer not null, key text unique, given_at_ms integer, sealed blob
)"""
"""`number` is a `ReservedNumber`; the last three are set when it is given."""

_KEPT_DAYS = 7


class Node(Protocol):
    """What is used of `hallkit.clients.affairs.AffairsClient`."""

    async def lease_numbers(self, request: LeaseRequest, idempotency_key: str) -> Lease: ...

    async def take_offline(self, given: OfflineTickets) -> OfflineTicketsTaken: ...


class Numbers:
    """What the machine holds; `run` it in a task."""

    def __init__(
        self,
        journal: Journal,
        node: Node,
        clock: Clock,
        *,
        of_each: int,
        changed: Callable[[tuple[str, ...]], None],
    ) -> None:
        """`of_each`: how many of each service; 0: none. `changed` hears of which services."""
        self._journal = journal
        self._node = node
        self._clock = clock
        self._of_each = of_each
        self._changed = changed
        self._services: tuple[str, ...] = ()
        self._rounds = Rounds("numbers", clock)
        self._delivery = Delivery[OfflineTicket](
            "numbers",
            kept=self._given,
            id_of=lambda one: one.ticket,
            tell=lambda batch: self._node.take_offline(OfflineTickets(tickets=batch)),
            forget=self._forget,
        )

    @property
    def services(self) -> tuple[str, ...]:
        """Of which it holds a number that can be given now, as far as was heard."""
        return self._services

    async def run(self) -> None:
        """Lease, and tell who got one, until cancelled."""
        await self._rounds.run(self._round)

    async def _round(self) -> None:
        await self._look()  # the day may have changed
        await self.tell()
        if self._of_each:
            await self.lease()

    async def lease(self) -> None:
        """Hold as many as wanted for today. What the node does not know of is given to nobody."""
        asked_ms = self._clock.wall_ms()
        lease = await self._node.lease_numbers(LeaseRequest(size=self._of_each), new_id())
        now_ms = self._clock.wall_ms()
        # The node looked at its clock while we waited for its answer.
        uncertainty_ms = max(abs(lease.as_of_ms - asked_ms), abs(lease.as_of_ms - now_ms))
        day = lease.day.isoformat()

        def keep(db: sqlite3.Connection) -> None:
            known = {one.ticket for one in lease.numbers}
            held = db.execute("select ticket from numbers where given_at_ms is null").fetchall()
            gone = [(row["ticket"],) for row in held if row["ticket"] not in known]
            db.executemany("delete from numbers where ticket = ?", gone)
            # So long the node itself remembers what it leased.
            too_old = lease.day - dt.timedelta(days=_KEPT_DAYS)
            db.execute("delete from numbers where day < ?", (too_old.isoformat(),))
            db.execute(
                "update numbers set uncertainty_ms = ? where given_at_ms is null",
                (uncertainty_ms,),
            )
            db.executemany(
                "insert or ignore into numbers (ticket, day, service, number, uncertainty_ms) "
                "values (?, ?, ?, ?, ?)",
                [
                    (one.ticket, day, one.service, one.model_dump_json(), uncertainty_ms)
                    for one in lease.numbers
                ],
            )

        await self._journal.write(keep)
        await self._look()

    async def tell(self) -> None:
        """Tell the node who got a number, the first first. What it refuses is kept: it was promised
        to somebody.
        """
        await self._delivery.tell_all()

    async def _given(self) -> tuple[OfflineTicket, ...]:
        rows = await self._journal.read(lambda db: db.execute(_GIVEN).fetchall())
        return tuple(
            OfflineTicket(
                ticket=row["ticket"],
                issued_at_ms=row["given_at_ms"],
                uncertainty_ms=row["uncertainty_ms"],
                key=row["key"],
                sealed=row["sealed"],
            )
            for row in rows
        )

    async def _forget(self, told: Sequence[str]) -> None:
        def forget(db: sqlite3.Connection) -> None:
            db.executemany("delete from numbers where ticket = ?", [(one,) for one in told])

        await self._journal.write(forget)

    async def offer(
        self, service: str, key: str, *, only_given: bool = False
    ) -> ReservedNumber | None:
        """The number that this attempt has, or the next one of the service; not given yet.

        `only_given`: the one that it has, or none.
        """
        today = local_date(self._clock.wall_ms()).isoformat()

        def read(db: sqlite3.Connection) -> sqlite3.Row | None:
            mine = db.execute(
                "select * from numbers where key = ? and service = ?", (key, service)
            ).fetchone()
            if mine is not None or only_given:
                return mine  # type: ignore[no-any-return]
            return db.execute(_NEXT, (service, today)).fetchone()  # type: ignore[no-any-return]

        row = await self._journal.read(read)
        try:
            return None if row is None else ReservedNumber.model_validate_json(row["number"])
        except ValidationError:
            raise StoreError("a number of another version") from None

    async def give(self, ticket: str, key: str, sealed: bytes) -> int:
        """When it was given, in milliseconds of the wall clock; on the disk when this returns.

        The same attempt gets the same answer. `NotSupported` if the number is not ours to give.
        """
        now_ms = self._clock.wall_ms()
        today = local_date(now_ms).isoformat()

        def keep(db: sqlite3.Connection) -> int | None:
            mine = db.execute("select * from numbers where key = ?", (key,)).fetchone()
            if mine is not None:
                return int(mine["given_at_ms"]) if mine["ticket"] == ticket else None
            done = db.execute(_GIVE, (key, now_ms, sealed, ticket, today))
            return now_ms if done.rowcount else None

        given_ms = await self._journal.write(keep)
        if given_ms is None:
            raise NotSupported("numbers", Reason.UNSUPPORTED, "it is not held, or given already")
        await self._look()
        self._rounds.wake()
        return given_ms

    async def _look(self) -> None:
        """Which services have a number left, for whoever shows it."""
        today = local_date(self._clock.wall_ms()).isoformat()
        rows = await self._journal.read(lambda db: db.execute(_LEFT, (today,)).fetchall())
        services = tuple(row["service"] for row in rows)
        if services != self._services:
            self._services = services
            self._changed(services)


_GIVEN = "select * from numbers where given_at_ms is not null order by given_at_ms"
_NEXT = (
    "select * from numbers where service = ? and day = ? and given_at_ms is null "
    "order by ticket limit 1"
)
_GIVE = (
    "update numbers set key = ?, given_at_ms = ?, sealed = ? "
    "where ticket = ? and day = ? and given_at_ms is null"
)
_LEFT = (
    "select distinct service from numbers where day = ? and given_at_ms is null order by service"
)
