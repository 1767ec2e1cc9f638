"""What drivers should know again after a restart: how much paper was left on a roll.

It is an estimate, so a disk that refuses loses it and nothing else.
"""

from __future__ import annotations

import asyncio
import sqlite3

from pydantic import ValidationError

from hallkit.errors import StoreError
from hallkit.model.device import DeviceReport, Paper
from hallkit.runtime.journal import Journal
from hallkit.runtime.log import get_logger

SCHEMA = "create table device_memory (device text primary key, report text not null)"
_KEPT = {"paper_left_lines", "paper"}
"""Fields of a report that count; the others are known again at the first probe."""


class DeviceMemory:
    """The last reports worth remembering, one for each device."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept: dict[str, DeviceReport] = {}
        self._changed: dict[str, DeviceReport] = {}
        self._wake = asyncio.Event()
        self._disk_refuses = False

    async def load(self) -> dict[str, DeviceReport]:
        """What was kept, by device."""
        rows = await self._journal.read(lambda db: db.execute(_SELECT).fetchall())
        for row in rows:
            try:
                report = DeviceReport.model_validate_json(row["report"])
            except ValidationError:
                continue  # of another version: an estimate begins anew
            self._kept[report.id] = report
        return dict(self._kept)

    def take(self, report: DeviceReport) -> None:
        """Keep it soon, if it says anything that is worth it."""
        if report.paper_left_lines is None or report.paper is Paper.UNKNOWN:
            return
        known = self._changed.get(report.id, self._kept.get(report.id))
        if known is None or known.model_dump(include=_KEPT) != report.model_dump(include=_KEPT):
            self._changed[report.id] = report
            self._wake.set()

    async def run(self) -> None:
        """Write what changed, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.write()

    async def write(self) -> None:
        """Write what changed now."""
        changed, self._changed = self._changed, {}
        rows = [(name, report.model_dump_json()) for name, report in changed.items()]

        def insert(db: sqlite3.Connection) -> None:
            db.executemany("insert or replace into device_memory values (?, ?)", rows)

        try:
            await self._journal.write(insert)
        except StoreError as fault:
            if not self._disk_refuses:
                get_logger().warning("device.memory_not_kept", detail=str(fault))
            self._disk_refuses = True
        else:
            self._disk_refuses = False
            self._kept |= changed


_SELECT = "select report from device_memory"
