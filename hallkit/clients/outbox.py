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
from hallkit.wire.events import (
    CloudEvent,
    ConfigurationChecked,
    DeviceStateChanged,
    Health,
    MaintenanceChanged,
    PowerChanged,
    VisitEnded,
    VisitStarted,
)

ROWS_LIMIT = 50_000
"""About a week of a busy machine cut off; beyond it the cheapest class is thinned and counted."""

AGE_LIMIT_MS = 30 * 24 * 3_600_000
"""What is older tells nobody anything any more; it is dropped and counted, unless promised."""

AGE_LOOK_MS = 3_600_000
"""How often old rows are looked for: it reads all of them."""

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
    PROMISED = 3
    """Somebody was told that it is done: a ticket. Never dropped, whatever the limits say."""


WORTH = {
    Health.EVENT_TYPE: Worth.HEALTH,
    VisitStarted.EVENT_TYPE: Worth.BUSINESS,
    VisitEnded.EVENT_TYPE: Worth.BUSINESS,
    DeviceStateChanged.EVENT_TYPE: Worth.DEVICE,
    ConfigurationChecked.EVENT_TYPE: Worth.DEVICE,
    MaintenanceChanged.EVENT_TYPE: Worth.DEVICE,
    PowerChanged.EVENT_TYPE: Worth.DEVICE,
}
"""What may be dropped; every other type is promised."""


@dataclass(frozen=True, slots=True)
class Row:
    """One report on its way."""

    ordinal: int
    boot: str
    seq: int
    first: int
    """Lowest number of its boot that was kept when this was read."""
    created_ms: int
    mono_ms: int
    event: CloudEvent | None
    """None if it was given up: the number is told all the same, so that no gap holds the rest."""


class Outbox:
    """The rows of one machine in its journal, whose schema includes `SCHEMA`."""

    def __init__(
        self,
        journal: Journal,
        *,
        boot: str,
        rows_limit: int = ROWS_LIMIT,
        age_limit_ms: int = AGE_LIMIT_MS,
    ) -> None:
        self._journal = journal
        self._boot = boot
        self._rows_limit = rows_limit
        self._age_limit_ms = age_limit_ms
        self._looked_at_age_ms: int | None = None
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
        [seq] = db.execute(
            "update boot set last_seq = last_seq + 1 where id = ? returning last_seq",
            (self._boot,),
        ).fetchone()
        db.execute(
            "insert into outbox (boot, seq, class, created_ms, mono_ms, event) "
            "values (?, ?, ?, ?, ?, ?)",
            (
                self._boot,
                seq,
                WORTH.get(event.type, Worth.PROMISED),
                wall_ms,
                mono_ms,
                event.model_dump_json(exclude_none=True),
            ),
        )
        self._drop_old(db, wall_ms=wall_ms, mono_ms=mono_ms)
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
            self.wake()

    def wake(self) -> None:
        """Let the sender look again."""
        self._changed.set()

    async def wait_for_change(self, *, timeout_s: float) -> None:
        """Return when rows were added or acknowledged, or when the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()

    async def rows_after(self, ordinal: int, *, limit: int, before: int | None = None) -> list[Row]:
        """The next rows in order, oldest first; those `before` an ordinal, if it is given."""

        def select(db: sqlite3.Connection) -> list[Row]:
            found = db.execute(
                "select * from outbox where ordinal > ? and ordinal < ? order by ordinal limit ?",
                (ordinal, _LAST if before is None else before, limit),
            ).fetchall()
            firsts = {boot: _first(db, boot) for boot in {row["boot"] for row in found}}
            return [_row(row, firsts[row["boot"]]) for row in found]

        return await self._journal.read(select)

    async def first_of(self, boot: str, *, above: int = 0) -> Row | None:
        """The lowest row of a boot above a number up to which the hub has acknowledged."""

        def select(db: sqlite3.Connection) -> Row | None:
            row = db.execute(
                "select * from outbox where boot = ? and seq > ? order by seq limit 1",
                (boot, above),
            ).fetchone()
            return _row(row, row["seq"]) if row else None

        return await self._journal.read(select)

    async def live_from(self, mono_ms: int) -> int:
        """The ordinal at which begins what this boot wrote at `mono_ms` or later.

        If there is none, the one past the last.
        """

        def select(db: sqlite3.Connection) -> int:
            row = db.execute(
                "select coalesce((select min(ordinal) from outbox where boot = ? and mono_ms >= ?),"
                " (select max(ordinal) + 1 from outbox), 1)",
                (self._boot, mono_ms),
            ).fetchone()
            return int(row[0])

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

    def _drop_old(self, db: sqlite3.Connection, *, wall_ms: int, mono_ms: int) -> None:
        """Keep within the age; of this boot the wall clock, which may jump, isn't asked."""
        looked_ms = self._looked_at_age_ms
        if looked_ms is not None and 0 <= mono_ms - looked_ms < AGE_LOOK_MS:
            return
        self._looked_at_age_ms = mono_ms
        gone = db.execute(
            "delete from outbox where class < ? and "
            "case boot when ? then mono_ms < ? else created_ms < ? end",
            (
                Worth.PROMISED,
                self._boot,
                mono_ms - self._age_limit_ms,
                wall_ms - self._age_limit_ms,
            ),
        )
        _count_dropped(db, gone.rowcount)

    def _thin(self, db: sqlite3.Connection) -> None:
        """Keep within the limit: the oldest of the cheapest class that there is goes first.

        What is promised stays, even beyond the limit.
        """
        lowest, highest = db.execute(
            "select (select min(ordinal) from outbox), (select max(ordinal) from outbox)"
        ).fetchone()
        if highest - lowest < self._rows_limit:
            return  # counting them takes longer than all the rest
        count = db.execute("select count(*) from outbox").fetchone()[0]
        spare = count - self._rows_limit
        if spare <= 0:
            return
        # Some more than that: a full outbox must not be sorted for every row.
        gone = db.execute(
            "delete from outbox where ordinal in "
            "(select ordinal from outbox where class < ? order by class, ordinal limit ?)",
            (Worth.PROMISED, spare + self._rows_limit // 100),
        )
        _count_dropped(db, gone.rowcount)


_LAST = 2**63 - 1


def _first(db: sqlite3.Connection, boot: str) -> int:
    [seq] = db.execute("select min(seq) from outbox where boot = ?", (boot,)).fetchone()
    return int(seq)


def _row(row: sqlite3.Row, first: int) -> Row:
    return Row(
        ordinal=row["ordinal"],
        boot=row["boot"],
        seq=row["seq"],
        first=first,
        created_ms=row["created_ms"],
        mono_ms=row["mono_ms"],
        event=CloudEvent.model_validate_json(row["event"]) if row["event"] else None,
    )


def _count_dropped(db: sqlite3.Connection, count: int) -> None:
    if not count:
        return
    db.execute(
        "insert into counter values ('dropped', ?) "
        "on conflict (name) do update set value = value + excluded.value",
        (count,),
    )
