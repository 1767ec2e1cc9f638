"""`hall affairs person`: what the node keeps of somebody, told or deleted, beside the running node.

The ID number comes on standard input: on the command line everybody on the machine could read it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from affairs.persons import Persons
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.errors import HallError

_SHORTEST = 15


def person(args: argparse.Namespace) -> int:
    """0 done, 1 nothing is kept of them, 2 wrong use."""
    number = sys.stdin.readline().strip()
    if len(number) < _SHORTEST:
        print("hall affairs: the ID number comes on standard input", file=sys.stderr)
        return 2
    database = args.state / "affairs.sqlite"
    if not database.is_file():
        print(f"hall affairs: {database.name}: no such file", file=sys.stderr)
        return 2
    try:
        told, found = asyncio.run(_do(args.do, database, args.data_key, number))
    except HallError as exc:
        print(f"hall affairs: {exc}", file=sys.stderr)
        return 2
    print(json.dumps(told, ensure_ascii=False, indent=2))
    return 0 if found else 1


async def _do(do: str, database: Path, data_key: Path, number: str) -> tuple[Any, bool]:
    persons = Persons(Sealer.from_file(data_key))
    async with Store(database) as store:
        if do == "export":
            told = await store.transaction(lambda connection: persons.export(connection, number))
            return told, any(told.values())
        erased = await store.transaction(lambda connection: persons.erase(connection, number))
        await store.truncate_log()  # it holds pages as they were before
    return asdict(erased), any(erased.gone.values()) or any(erased.kept.values())
