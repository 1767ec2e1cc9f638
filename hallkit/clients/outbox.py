"""The outbox: what was promised to be told is told, once, whatever dies in between.

A row is written in the transaction that changes the state it tells of, and deleted only on the
hub's own acknowledgement: the broker's PUBACK does not mean stored (docs/architecture.md,
messaging). Rows are numbered per boot of the agent; the hub dedupes on (device, boot, seq).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

from hallkit.runtime.journal import Journal
from hallkit.wire.events import CloudEvent, Health, VisitEnded, VisitStarted

ROWS_LIMIT = 50_000
"""About a week of a busy machine cut off; beyond it the cheapest class is thinned and counted."""

KNOWN_IDS_KEPT = 5_000
"""How many event ids are remembered, so that a caller who asks twice is told once."""

SCHEMA = """
create table boot (ordinal integer primary key autoincrement, id text not null unique,
                   last_seq integer not null default 0);
create table outbox (ordinal integer primary key autoincrement, boot text not null,
                     seq integer not null, class integer not null, created_ms integer not null,
                     mono_ms integer not null, event text not null, unique (boot, seq));
create table known_event (ordinal integer primary key autoincrement, id text not null unique);
create table counter (name text primary key, value integer not null)
"""


class Worth(IntEnum):
    """Classes of rows; the lowest is dropped first when the outbox is full."""

    HEALTH = 0
    BUSINESS = 1
    DEVICE = 2


_WORTH = {
    Health.EVENT_TYPE: Worth.HEALTH,
    VisitStarted.EVENT_TYPE: Worth.BUSINESS,
    VisitEnded.EVENT_TYPE: Worth.BUSINESS,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One report on its way."""

    ordinal: int
    boot: str
    seq: int
    created_ms: int
    mono_ms: int
    event: CloudEvent | None
    """None if it was given up: the number is told all the same, so that no gap holds the rest."""


class Outbox:
    """The rows of one machine in its journal, whose schema includes `SCHEMA`."""

    def __init__(self, journal: Journal, *, boot: str, rows_limit: int = ROWS_LIMIT) -> None:
        self._journal = journal
        self._boot = boot
        self._rows_limit = rows_limit
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Write down this boot."""
        await self._journal.write(
            lambda db: db.execute("insert or ignore into boot (id) values (?)", (self._boot,))
        )

    async def next_epoch(self) -> int:
        """Count one more connection of this machine; never goes back."""

        def count(db: sqlite3.Connection) -> int:
            db.execute(
                "insert into counter values ('epoch', 1) "
                "on conflict (name) do update set value = value + 1"
            )
            value: int = db.execute("select value from counter where name = 'epoch'").fetchone()[0]
            return value

        return await self._journal.write(count)

    def insert(
        self, db: sqlite3.Connection, event: CloudEvent, *, wall_ms: int, mono_ms: int
    ) -> bool:
        """Add a row inside the caller's transaction; False if this event id was told before.

        The caller calls `wake` when its transaction is through.
        """
        known = db.execute("insert or ignore into known_event (id) values (?)", (event.id,))
        if known.rowcount == 0:
            return False
        db.execute(
            "delete from known_event where ordinal <= ?", ((known.lastrowid or 0) - KNOWN_IDS_KEPT,)
        )
        db.execute("update boot set last_seq = last_seq + 1 where id = ?", (self._boot,))
        seq = db.execute("select last_seq from boot where id = ?", (self._boot,)).fetchone()[0]
        db.execute(
            "insert into outbox (boot, seq, class, created_ms, mono_ms, event) "
            "values (?, ?, ?, ?, ?, ?)",
            (
                self._boot,
                seq,
                _WORTH.get(event.type, Worth.DEVICE),
                wall_ms,
                mono_ms,
                event.model_dump_json(exclude_none=True),
            ),
        )
        self._thin(db)
        return True

    async def add(self, event: CloudEvent, *, wall_ms: int, mono_ms: int) -> bool:
        """Add a row in a transaction of its own; True when it is on the disk and new."""
        with self.waking():
            return await self._journal.write(
                lambda db: self.insert(db, event, wall_ms=wall_ms, mono_ms=mono_ms)
            )

    @contextmanager
    def waking(self) -> Iterator[None]:
        """Around a transaction that inserts rows: the sender is woken after it.

        Also when the caller was cancelled: the transaction may be through all the same.
        """
        try:
            yield
        finally:
            self._changed.set()

    async def wait_for_change(self, *, timeout_s: float) -> None:
        """Return when rows were added or acknowledged, or when the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def rows_after(self, ordinal: int, *, limit: int) -> list[Row]:
        """The next rows in order, oldest first."""

        def select(db: sqlite3.Connection) -> list[Row]:
            return [
                Row(
                    ordinal=row["ordinal"],
                    boot=row["boot"],
                    seq=row["seq"],
                    created_ms=row["created_ms"],
                    mono_ms=row["mono_ms"],
                    event=CloudEvent.model_validate_json(row["event"]) if row["event"] else None,
                )
                for row in db.execute(
                    "select * from outbox where ordinal > ? order by ordinal limit ?",
                    (ordinal, limit),
                )
            ]

        return await self._journal.read(select)

    async def first_seq(self, boot: str) -> int | None:
        """Lowest number of a boot that is still kept; one past the last if none is.

        None for a boot that is over and has nothing to tell any more.
        """

        def select(db: sqlite3.Connection) -> int | None:
            row = db.execute("select min(seq) from outbox where boot = ?", (boot,)).fetchone()
            if row[0] is not None:
                return int(row[0])
            last = db.execute("select last_seq from boot where id = ?", (boot,)).fetchone()
            return int(last[0]) + 1 if last else None

        return await self._journal.read(select)

    async def acknowledge(self, boot: str, upto: int) -> int:
        """Forget what the hub has committed; the number of rows."""

        def delete(db: sqlite3.Connection) -> int:
            gone = db.execute("delete from outbox where boot = ? and seq <= ?", (boot, upto))
            db.execute(
                "delete from boot where id <> ? and id not in (select boot from outbox)",
                (self._boot,),
            )
            return gone.rowcount

        with self.waking():
            return await self._journal.write(delete)

    async def give_up(self, ordinal: int) -> None:
        """Drop what a row tells, and count it; its number stays until it is acknowledged."""

        def empty(db: sqlite3.Connection) -> None:
            emptied = db.execute(
                "update outbox set event = '' where ordinal = ? and event <> ''", (ordinal,)
            )
            _count_dropped(db, emptied.rowcount)

        await self._journal.write(empty)

    async def size(self) -> int:
        """Rows that wait for the hub."""
        return await self._journal.read(
            lambda db: int(db.execute("select count(*) from outbox").fetchone()[0])
        )

    async def dropped(self) -> int:
        """Rows thinned away or given up since the journal was made."""

        def select(db: sqlite3.Connection) -> int:
            row = db.execute("select value from counter where name = 'dropped'").fetchone()
            return int(row[0]) if row else 0

        return await self._journal.read(select)

    def _thin(self, db: sqlite3.Connection) -> None:
        """Keep within the limit: the oldest of the cheapest class that there is goes first."""
        count = db.execute("select count(*) from outbox").fetchone()[0]
        spare = count - self._rows_limit
        if spare <= 0:
            return
        db.execute(
            "delete from outbox where ordinal in "
            "(select ordinal from outbox order by class, ordinal limit ?)",
            (spare,),
        )
        _count_dropped(db, spare)


def _count_dropped(db: sqlite3.Connection, count: int) -> None:
    db.execute(
        "insert into counter values ('dropped', ?) "
        "on conflict (name) do update set value = value + excluded.value",
        (count,),
    )
