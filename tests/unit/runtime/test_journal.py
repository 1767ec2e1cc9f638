"""The journal keeps what it said it kept."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hallkit.errors import StoreError
from hallkit.runtime.journal import Journal

SCHEMA = ["create table promise (id integer primary key, text text not null)"]


async def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    async with Journal(tmp_path / "j.sqlite", SCHEMA) as journal:
        with pytest.raises(StoreError):
            await journal.write(
                lambda db: db.executemany(
                    "insert into promise values (?, ?)", [(1, "kept"), (1, "twice")]
                )
            )
        count = await journal.read(lambda db: db.execute("select count(*) from promise").fetchone())
        assert count[0] == 0


async def test_the_schema_moves_forward_step_by_step_and_never_back(tmp_path: Path) -> None:
    path = tmp_path / "j.sqlite"
    async with Journal(path, SCHEMA) as journal:
        await journal.write(lambda db: db.execute("insert into promise values (1, 'a')"))
    newer = [*SCHEMA, "alter table promise add column done integer not null default 0"]
    async with Journal(path, newer) as journal:
        row = await journal.read(lambda db: db.execute("select text, done from promise").fetchone())
        assert tuple(row) == ("a", 0)
    with pytest.raises(StoreError, match="newer version"):
        async with Journal(path, SCHEMA):
            pass


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import asyncio, pathlib, sys
        from hallkit.runtime.journal import Journal
        async def main():
            async with Journal(pathlib.Path(sys.argv[1]), [sys.argv[2]]) as journal:
                for number in range(1_000_000):
                    await journal.write(
                        lambda db, n=number: db.execute("insert into promise values (?, 'x')", (n,))
                    )
                    print(number, flush=True)
        asyncio.run(main())
        """
    )
    path = tmp_path / "j.sqlite"
    with subprocess.Popen(
        [sys.executable, "-P", "-c", program, str(path), SCHEMA[0]], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        promised = [int(process.stdout.readline()) for _ in range(50)][-1]
        os.kill(process.pid, signal.SIGKILL)
        promised = max([promised, *(int(line) for line in process.stdout.read().split())])
    import sqlite3

    with sqlite3.connect(path) as db:
        kept = db.execute("select max(id) from promise").fetchone()[0]
    db.close()
    assert kept >= promised


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    async with Journal(tmp_path / "j.sqlite", SCHEMA):
        assert (tmp_path / "j.sqlite").stat().st_mode & 0o777 == 0o600
