"""What was left on a roll is known again after a restart of the agent, and after a power cut."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.devices.memory import SCHEMA, DeviceMemory
from hallkit.errors import StoreError
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.runtime.journal import Journal

PRINTER = DeviceReport(
    id="ticket-printer",
    port="ticket_printer",
    driver="escpos",
    status=DeviceStatus.ONLINE,
    paper=Paper.FULL,
    paper_left_lines=4_000,
)


def journal(folder: Path) -> Journal:
    return Journal(folder / "agent.sqlite", [SCHEMA])


async def test_what_was_kept_is_loaded_by_the_next_agent(tmp_path: Path) -> None:
    async with journal(tmp_path) as db:
        memory = DeviceMemory(db)
        assert await memory.load() == {}
        memory.take(PRINTER)
        memory.take(PRINTER.model_copy(update={"paper_left_lines": 3_990}))
        await memory.write()
    async with journal(tmp_path) as db:
        kept = await DeviceMemory(db).load()
    assert kept["ticket-printer"].paper_left_lines == 3_990
    assert kept["ticket-printer"].paper is Paper.FULL


@pytest.mark.parametrize(
    "update", [{"paper_left_lines": None}, {"paper": Paper.UNKNOWN}], ids=["uncounted", "lost"]
)
async def test_a_printer_of_which_nobody_knows_changes_nothing(
    tmp_path: Path, update: dict[str, object]
) -> None:
    async with journal(tmp_path) as db:
        memory = DeviceMemory(db)
        memory.take(PRINTER)
        memory.take(PRINTER.model_copy(update=update))
        await memory.write()
        assert (await DeviceMemory(db).load())["ticket-printer"] == PRINTER


async def test_a_report_of_another_version_is_passed_over(tmp_path: Path) -> None:
    async with journal(tmp_path) as db:
        await db.write(
            lambda one: one.execute("insert into device_memory values ('x', '{\"odd\": 1}')")
        )
        assert await DeviceMemory(db).load() == {}


async def test_a_disk_that_refuses_loses_the_estimate_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal(tmp_path) as db:
        memory = DeviceMemory(db)

        async def refuse(_work: object) -> None:
            raise StoreError("full")

        with monkeypatch.context() as patch:
            patch.setattr(db, "write", refuse)
            memory.take(PRINTER)
            await memory.write()
        assert await memory.load() == {}
        memory.take(PRINTER)
        await memory.write()
        assert await DeviceMemory(db).load() == {"ticket-printer": PRINTER}
