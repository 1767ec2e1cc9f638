"""The audit log: whoever changes it in the database is found out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.audit import (
    AuditKind,
    AuditLog,
    Entry,
    Finding,
    Heads,
    Verdict,
    latest,
    retention_step,
    verify,
)
from affairs.staff.composition import retention_steps
from affairs.staff.tables import audit, audit_heads
from affairs.store import Store
from hallkit.store.retention import BATCH_ROWS, Janitor
from tests.unit.affairs.hall import SettableClock

Tamper = Callable[[sa.Connection], object]


class Book:
    """A log of some rows, and hands that want to change it."""

    def __init__(self, store: Store, key: Ed25519PrivateKey, clock: SettableClock) -> None:
        self.store = store
        self.key = key
        self.clock = clock
        self.log = AuditLog(clock)
        self.heads = Heads(store, key, clock)

    async def write(self, count: int) -> None:
        def work(connection: sa.Connection) -> None:
            for number in range(count):
                self.clock.now += dt.timedelta(seconds=1)
                detail: dict[str, str | int] = {"window": number}
                self.log.add(connection, AuditKind.WINDOW_ORDER, actor="a", detail=detail)

        await self.store.transaction(work)

    async def tamper(self, how: Tamper) -> None:
        await self.store.transaction(how)

    async def found(self, **how: object) -> Verdict:
        return await verify(self.store, self.key.public_key(), **how)  # type: ignore[arg-type]

    async def faults(self) -> list[tuple[str, int]]:
        return [(one.fault, one.seq) for one in (await self.found()).findings]


@pytest.fixture
async def book(store: Store, signing_key: Ed25519PrivateKey, clock: SettableClock) -> Book:
    made = Book(store, signing_key, clock)
    await made.write(10)
    return made


def renumbered(connection: sa.Connection, old: int, new: int) -> None:
    connection.execute(audit.update().where(audit.c.seq == old).values(seq=new))


def rewritten(connection: sa.Connection, first: int, **values: object) -> None:
    """What somebody does who knows how the chain is made: change a row, chain the rest anew."""
    rows = connection.execute(sa.select(audit).order_by(audit.c.seq)).all()
    previous = rows[first - 2].hash
    for row in rows[first - 1 :]:
        told = dict(row._mapping) | {"previous": previous}
        told |= values if row.seq == first else {}
        previous = told["hash"] = Entry(**told).computed()
        connection.execute(audit.update().where(audit.c.seq == row.seq).values(told))


async def test_what_nobody_touched_holds(book: Book) -> None:
    await book.heads.sign()
    found = await book.found()
    assert (found.holds, found.rows, found.first, found.last, found.heads) == (True, 10, 1, 10, 1)


@pytest.mark.parametrize(
    "column", ["at_ms", "kind", "actor", "subject", "detail", "previous", "hash"]
)
async def test_a_changed_row_is_found(book: Book, column: str) -> None:
    other = 5 if column == "at_ms" else "f" * 64
    change = audit.update().where(audit.c.seq == 4).values({column: other})
    await book.tamper(lambda connection: connection.execute(change))
    assert ("changed", 4) in await book.faults()


async def test_a_removed_row_is_found(book: Book) -> None:
    await book.tamper(lambda connection: connection.execute(audit.delete().where(audit.c.seq == 4)))
    assert await book.faults() == [("missing", 4)]


async def test_a_removed_row_whose_number_another_one_took_is_found(book: Book) -> None:
    def tamper(connection: sa.Connection) -> None:
        connection.execute(audit.delete().where(audit.c.seq == 4))
        for seq in range(5, 11):
            renumbered(connection, seq, seq - 1)

    await book.tamper(tamper)
    assert ("broken", 4) in await book.faults()


async def test_an_inserted_row_is_found(book: Book) -> None:
    def tamper(connection: sa.Connection) -> None:
        for seq in range(10, 4, -1):
            renumbered(connection, seq, seq + 1)
        row = connection.execute(sa.select(audit).where(audit.c.seq == 4)).one()
        told = dict(row._mapping) | {"seq": 5, "previous": row.hash, "actor": "nobody"}
        told["hash"] = Entry(**told).computed()
        connection.execute(audit.insert().values(told))

    await book.tamper(tamper)
    assert ("broken", 6) in await book.faults()


async def test_rows_that_changed_places_are_found(book: Book) -> None:
    def tamper(connection: sa.Connection) -> None:
        renumbered(connection, 4, 99)
        renumbered(connection, 5, 4)
        renumbered(connection, 99, 5)

    await book.tamper(tamper)
    assert {("broken", 4), ("broken", 5)} <= set(await book.faults())


async def test_an_end_that_was_cut_off_is_found_by_the_signed_head(book: Book) -> None:
    await book.heads.sign()
    await book.tamper(lambda connection: connection.execute(audit.delete().where(audit.c.seq > 7)))
    assert await book.faults() == [("truncated", 8)]
    # Going on from there hides nothing.
    await book.write(5)
    assert await book.faults() == [("rewritten", 10)]


async def test_without_a_head_a_cut_end_shows_only_beside_an_anchor(book: Book) -> None:
    anchor = await book.heads.sign()
    assert anchor is not None

    def tamper(connection: sa.Connection) -> None:
        connection.execute(audit.delete().where(audit.c.seq > 7))
        connection.execute(audit_heads.delete())

    await book.tamper(tamper)
    assert (await book.found()).holds
    found = await book.found(anchors=[anchor])
    assert found.findings == (Finding("truncated", 8),)


async def test_a_chain_made_anew_does_not_have_the_signed_hash(book: Book) -> None:
    await book.heads.sign()
    await book.tamper(lambda connection: rewritten(connection, 4, actor="somebody else"))
    assert await book.faults() == [("rewritten", 10)]


async def test_a_head_of_another_key_vouches_for_nothing(
    book: Book, store: Store, clock: SettableClock
) -> None:
    await Heads(store, Ed25519PrivateKey.generate(), clock).sign()
    assert await book.faults() == [("unsigned", 10)]
    # The node signs over it.
    await book.heads.sign()
    assert await book.faults() == []


async def test_a_head_is_signed_only_where_there_is_something_new(book: Book) -> None:
    first = await book.heads.sign()
    book.clock.now += dt.timedelta(minutes=10)
    assert await book.heads.sign() == first
    await book.write(1)
    assert await book.heads.sign() != first


async def test_an_empty_log_holds_and_has_no_head(
    store: Store, signing_key: Ed25519PrivateKey, clock: SettableClock
) -> None:
    book = Book(store, signing_key, clock)
    assert await book.heads.sign() is None
    assert (await book.found()).rows == 0


async def test_a_row_goes_with_what_it_records(book: Book) -> None:
    def broken(connection: sa.Connection) -> None:
        book.log.add(connection, AuditKind.LOGIN, actor="a")
        raise LookupError

    with pytest.raises(LookupError):
        await book.store.transaction(broken)
    found = await book.found()
    assert (found.holds, found.last) == (True, 10)


async def test_what_retention_drops_a_signed_checkpoint_stands_for(
    book: Book, clock: SettableClock
) -> None:
    await book.heads.sign()
    await book.write(2 * BATCH_ROWS)
    clock.now += dt.timedelta(days=100)
    await book.write(5)
    await book.heads.sign()
    janitor = Janitor(book.store, clock, {"audit": retention_step(30, book.key)})
    assert await janitor.sweep() == {"audit": 10 + 2 * BATCH_ROWS}
    found = await book.found()
    assert (found.holds, found.first, found.rows) == (True, 11 + 2 * BATCH_ROWS, 5)
    await book.write(1)
    assert (await book.found()).holds


async def test_the_newest_row_stays_whatever_its_age(book: Book, clock: SettableClock) -> None:
    clock.now += dt.timedelta(days=1000)
    janitor = Janitor(book.store, clock, {"audit": retention_step(30, book.key)})
    assert await janitor.sweep() == {"audit": 9}
    await book.write(1)
    found = await book.found()
    assert (found.holds, found.first, found.last) == (True, 10, 11)


async def test_dropping_by_hand_is_no_retention(book: Book, clock: SettableClock) -> None:
    await book.tamper(lambda connection: connection.execute(audit.delete().where(audit.c.seq < 4)))
    assert await book.faults() == [("missing", 1)]


async def test_a_checkpoint_of_another_key_stands_for_nothing(
    book: Book, clock: SettableClock
) -> None:
    clock.now += dt.timedelta(days=1000)
    stranger = Ed25519PrivateKey.generate()
    await Janitor(book.store, clock, {"audit": retention_step(30, stranger)}).sweep()
    assert await book.faults() == [("unsigned", 9)]


async def test_rows_from_before_a_checkpoint_must_not_be_there(
    book: Book, clock: SettableClock
) -> None:
    clock.now += dt.timedelta(days=1000)
    await Janitor(book.store, clock, {"audit": retention_step(30, book.key)}).sweep()

    def tamper(connection: sa.Connection) -> None:
        row = connection.execute(sa.select(audit)).one()
        connection.execute(audit.insert().values(dict(row._mapping) | {"seq": 3}))

    await book.tamper(tamper)
    assert ("broken", 3) in await book.faults()


async def test_the_newest_come_first_and_page_by_page(book: Book) -> None:
    newest = await book.store.transaction(lambda connection: latest(connection, limit=3))
    assert [one.seq for one in newest] == [10, 9, 8]
    older = await book.store.transaction(lambda connection: latest(connection, before=8, limit=2))
    assert [one.seq for one in older] == [7, 6]


async def test_no_step_reads_a_whole_table(book: Book) -> None:
    seen: list[str] = []

    def explain(connection: sa.Connection) -> None:
        def note(_c: object, _cursor: object, said: str, parameters: object, *_: object) -> None:
            if said.lstrip().lower().startswith(("select", "delete", "update")):
                plan = connection.connection.cursor()
                plan.execute(f"explain query plan {said}", parameters)
                seen.extend(f"{row[3]}: {said}" for row in plan.fetchall())

        sa.event.listen(connection.engine, "before_cursor_execute", note)
        try:
            for step in retention_steps(30, book.key).values():
                step(connection, book.clock.wall_ms() + 10**12, None)
        finally:
            sa.event.remove(connection.engine, "before_cursor_execute", note)

    await book.store.transaction(explain)
    for table in ("audit", "staff_sessions", "staff_attempts"):
        assert any(table in one for one in seen)
    # `SCAN … LIMIT 1` from the end of the key is one row.
    assert not [one for one in seen if "SCAN" in one and "DESC" not in one]
