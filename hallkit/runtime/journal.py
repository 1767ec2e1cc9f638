"""A small SQLite database that keeps promises through kill -9 and a power cut.

WAL with `synchronous=FULL`: a transaction that returned is on the disk. All access runs on one
thread of its own, so that the event loop never waits for the disk.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from hallkit.errors import StoreError

Result = TypeVar("Result")


class Journal:
    """One database file. `steps` are SQL scripts; step n brings the schema to version n."""

    def __init__(self, path: Path, steps: Sequence[str]) -> None:
        self._path = path
        self._steps = steps
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"journal-{path.stem}")
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        await self._on_thread(self._open)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._on_thread(self._close)
        self._thread.shutdown()

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` in one transaction; when this returns, its effect is on the disk.

        Errors: `StoreError` when the disk is full, read-only or broken; nothing is kept then.
        """

        def transaction() -> Result:
            connection = self._opened()
            with connection:
                connection.execute("begin immediate")
                return work(connection)

        return await self._on_thread(transaction)

    async def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Run `work` that changes nothing."""
        return await self._on_thread(lambda: work(self._opened()))

    async def _on_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as exc:
            raise StoreError(f"{self._path.name}: {exc}") from exc

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"{self._path.name}: used outside its block")
        return self._connection

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = sqlite3.connect(self._path, isolation_level=None)
        self._path.chmod(0o600)
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=full")
        connection.execute("pragma foreign_keys=on")
        version: int = connection.execute("pragma user_version").fetchone()[0]
        if version > len(self._steps):
            connection.close()
            raise StoreError(f"{self._path.name}: made by a newer version ({version})")
        for number, script in enumerate(self._steps[version:], start=version + 1):
            connection.executescript(f"begin; {script}; pragma user_version={number}; commit;")
        self._connection = connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
