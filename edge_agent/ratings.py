"""好差评 that the machine keeps until the business node has them.

A rating is in the journal before anybody is thanked for it, sealed so that the machine itself
cannot read it again. Its id was made at the machine and is its key at the node: told twice, it
stands once. The row goes when the node says that it has it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Protocol

from edge_agent.delivery import Delivery, Rounds
from hallkit.runtime.clock import Clock
from hallkit.runtime.journal import Journal
from hallkit.runtime.log import get_logger
from hallkit.wire.ratings_api import OfflineRating, OfflineRatings, OfflineRatingsTaken

SCHEMA = """\
create table ratings (
    rating text primary key, given_at_ms integer not null, sealed blob not null
)"""

_EXISTS = "rating_exists"
"""The node's problem: somebody rated before, and the first one counts."""
_KEPT_MS = 30 * 24 * 3_600_000


class Node(Protocol):
    """What is used of `hallkit.clients.ratings.RatingsClient`."""

    async def take_offline(self, given: OfflineRatings) -> OfflineRatingsTaken: ...


class Ratings:
    """What the machine keeps; `run` it in a task."""

    def __init__(self, journal: Journal, node: Node, clock: Clock) -> None:
        self._journal = journal
        self._node = node
        self._clock = clock
        self._rounds = Rounds("ratings", clock)
        self._delivery = Delivery[OfflineRating](
            "ratings",
            kept=self._kept,
            id_of=lambda one: one.rating,
            tell=lambda batch: self._node.take_offline(OfflineRatings(ratings=batch)),
            forget=self._forget,
            last_words=frozenset({_EXISTS}),
        )
        self._log = get_logger()

    async def give(self, rating: str, sealed: bytes) -> int:
        """When it was given, in milliseconds of the wall clock; on the disk when this returns.

        The same id again is the same rating, as it was given first.
        """
        now_ms = self._clock.wall_ms()

        def keep(db: sqlite3.Connection) -> int:
            values = (rating, now_ms, sealed)
            db.execute("insert or ignore into ratings values (?, ?, ?)", values)
            row = db.execute("select given_at_ms from ratings where rating = ?", (rating,))
            return int(row.fetchone()["given_at_ms"])

        given_ms = await self._journal.write(keep)
        self._rounds.wake()
        return given_ms

    async def run(self) -> None:
        """Tell the node, until cancelled."""
        await self._rounds.run(self.tell)

    async def tell(self) -> None:
        """Tell the node of all; what it refused for a month goes."""
        await self._delivery.tell_all()
        too_old_ms = self._clock.wall_ms() - _KEPT_MS

        def drop(db: sqlite3.Connection) -> int:
            return db.execute("delete from ratings where given_at_ms < ?", (too_old_ms,)).rowcount

        if dropped := await self._journal.write(drop):
            self._log.error("ratings.dropped", count=dropped)

    async def _kept(self) -> tuple[OfflineRating, ...]:
        rows = await self._journal.read(
            lambda db: db.execute(
                "select rating, sealed from ratings order by given_at_ms, rating"
            ).fetchall()
        )
        return tuple(OfflineRating(rating=row["rating"], sealed=row["sealed"]) for row in rows)

    async def _forget(self, ratings: Sequence[str]) -> None:
        def forget(db: sqlite3.Connection) -> None:
            db.executemany("delete from ratings where rating = ?", [(one,) for one in ratings])

        await self._journal.write(forget)
