"""One database: SQLAlchemy Core, schema by migrations, every write durable when it returns.

On SQLite: WAL with `synchronous=FULL`, because an answer to a machine promises that the effect is
on the disk. One connection on one thread of its own, so that writes are serial and the event loop
never waits for it. Nothing outside this room knows which database it is.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, StaticPool

from hallkit.errors import StoreError

Result = TypeVar("Result")

BUSY_TIMEOUT_S = 5.0

PRAGMAS = ("journal_mode=wal", "synchronous=full", "foreign_keys=on", "secure_delete=on")
"""`secure_delete`: what is deleted is overwritten in the file, not only unlinked."""


def new_metadata() -> sa.MetaData:
    """Where a program's tables are entered; names of indexes and keys follow one rule."""
    return sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Database:
    """One database file; use it as a context manager.

    `migrations` is the folder of the program's migration scripts; they run at the start.
    """

    def __init__(self, path: Path, *, migrations: Path) -> None:
        self._path = path
        self._migrations = migrations
        self._engine = _engine(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def __aenter__(self) -> Self:
        try:
            await self._on_thread(self._prepare)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def transaction(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Run `work` in one transaction; when this returns, its effect is on the disk.

        If it raises, nothing of it is kept. `StoreError` if the database cannot keep its promise.
        """

        def run() -> Result:
            with self._engine.begin() as connection:
                return work(connection)

        return await self._on_thread(run)

    async def truncate_log(self) -> bool:
        """Bring the write-ahead log into the file and empty it; False if a reader is in the way.

        The log holds pages as they were before a deletion.
        """

        def run() -> bool:
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute("pragma wal_checkpoint(truncate)")
                answer = cursor.fetchone()
                cursor.close()
            except sqlite3.Error as exc:
                raise StoreError(f"{self._path.name}: {type(exc).__name__}") from exc
            finally:
                connection.close()
            return answer is not None and answer[0] == 0  # else it was busy

        return await self._on_thread(run)

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        # Shielded: a caller who goes away must not leave a transaction of which nobody knows
        # whether it ran while the connection is being closed.
        job = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(job)
        except SQLAlchemyError as exc:
            raise StoreError(f"{self._path.name}: {type(exc).__name__}") from exc

    def _prepare(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path.touch(mode=0o600)
        with self._engine.begin() as connection:
            migrate(connection, self._migrations)

    async def _close(self) -> None:
        await self._on_thread(self._engine.dispose)
        self._thread.shutdown()


def migrate(connection: sa.Connection, migrations: Path) -> None:
    """Bring the schema to the newest version, all steps in the transaction of `connection`."""
    config = Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=StaticPool,  # one connection, used on one thread
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
        hide_parameters=True,  # values would stand in the text of errors
    )

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        # The driver's own transactions begin too late and commit too early for DDL.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(f"pragma {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # Taking the write lock at once: a deferred one can fail half-way.
        connection.exec_driver_sql("begin immediate")

    return engine
