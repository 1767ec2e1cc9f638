"""The database keeps what it promised, and its schema is what the code thinks."""

from __future__ import annotations

import datetime as dt
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import affairs.staff.tables  # noqa: F401  # its tables are part of the schema
from affairs.help import tables as _help_tables  # noqa: F401  # registers its tables
from affairs.ratings import tables as _ratings_tables  # noqa: F401  # registers its tables
from affairs.store import Store, counters, metadata, migrate
from hallkit.errors import StoreError

DAY = dt.date(2025, 1, 2)


def add(connection: sa.Connection) -> None:
    connection.execute(counters.insert().values(service="market", day=DAY, last=1))


def count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(counters)).scalar_one()


async def test_migrations_make_the_schema_that_the_code_uses(store: Store) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    assert await store.transaction(differences) == []


async def test_the_database_is_set_to_keep_promises(store: Store, tmp_path: Path) -> None:
    def pragmas(connection: sa.Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
        return [connection.exec_driver_sql(f"pragma {name}").scalar() for name in names]

    assert await store.transaction(pragmas) == ["wal", 2, 1, 1, 5000]
    assert stat.S_IMODE((tmp_path / "affairs.sqlite").stat().st_mode) == 0o600


async def test_what_returned_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "affairs.sqlite"
    async with Store(path) as store:
        await store.transaction(add)
    async with Store(path) as store:
        assert await store.transaction(count) == 1
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    def broken(connection: sa.Connection) -> None:
        add(connection)
        raise LookupError

    with pytest.raises(LookupError):
        await store.transaction(broken)
    assert await store.transaction(count) == 0


async def test_a_refused_row_is_a_fault_without_its_values(store: Store) -> None:
    await store.transaction(add)
    with pytest.raises(StoreError) as fault:
        await store.transaction(add)
    assert str(fault.value) == "affairs.sqlite: IntegrityError"
    assert "market" not in repr(fault.value.__cause__)


async def test_an_interrupted_migration_leaves_the_old_version(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'affairs.sqlite'}")
    with engine.connect() as connection:
        connection.connection.driver_connection.isolation_level = None  # type: ignore[union-attr]
        connection.exec_driver_sql("begin immediate")
        migrate(connection)
        connection.rollback()
    engine.dispose()
    async with Store(tmp_path / "affairs.sqlite") as store:
        assert await store.transaction(count) == 0


async def test_a_file_that_is_no_database_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "affairs.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreError):
        async with Store(path):
            pass
