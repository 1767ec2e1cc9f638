"""Every driver against its twin, wire by wire and fault by fault: the state, and what people read.

The sections stand in fault_cases.py. Their rows stand in docs/drivers/faults.md and must be those
that come out here; `HALL_WRITE_TABLES=1 ./hall test tests/wire/test_fault_table.py` writes them
anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from drivers.driver import Driver
from drivers.registry import discover, parse_peripherals
from drivers.sim.control import order
from hallkit.errors import Reason
from hallkit.lexicon.faults import AS_USUAL, for_citizens, for_technicians
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceStatus, Paper
from hallkit.runtime.clock import SystemClock
from tests.wire.fault_cases import SECTIONS, Case, Section
from tests.wire.fault_twins import Stage, Transport

pytestmark = [pytest.mark.wire, pytest.mark.timeout(180)]

LONG_S = 20.0
PAGE = Path(__file__).resolve().parents[2] / "docs" / "drivers" / "faults.md"
HEAD = """\
| fault | device | paper | reason | a citizen is told | a technician is told |
|---|---|---|---|---|---|
"""
TOO_VAGUE = {Reason.INTERNAL}
"""Reasons that name a mistake of ours, and so no fault of a device."""
NOT_WIRES = {"file"}
"""A clip is played where a camera is wanted; it has no faults of its own."""
say = words("zh_CN")


def test_every_wire_of_every_driver_is_in_the_table() -> None:
    wires = {key: set(spec.transports) - NOT_WIRES for key, spec in discover().items()}
    shown: dict[str, set[str]] = {}
    for section in SECTIONS:
        shown.setdefault(section.key, set()).add(section.wire)
    assert shown == wires


def test_the_page_has_these_sections_and_no_other() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    heads = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert sorted(heads) == sorted(section.title for section in SECTIONS)


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
async def test_each_fault_has_a_state_and_words(
    section: Section, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rows: list[tuple[str, ...]] = []
    async with section.twin(Stage(tmp_path, request.getfixturevalue)) as (control, transport):
        for one in section.before:
            await order(control, **one)
        async with _driver(section, transport) as driver:
            for case in section.cases:
                await _until_fine(driver, f"{section.title} works before {case.fault}")
                for one in case.orders:
                    await order(control, **one)
                await _met(driver, case, f"{section.title}: {case.fault} is noticed")
                rows.append(_row(case, driver))
                for one in case.undo:
                    await order(control, **one)
            await _until_fine(driver, f"{section.title} heals")
    _compare(section.title, rows)


def _driver(section: Section, transport: Transport) -> Driver:
    entry = {"id": section.key.replace("_", "-"), "driver": section.key, "transport": transport}
    ((spec, config),) = parse_peripherals([entry | section.settings], discover(), file="test")
    return (section.opens or spec.open)(config, SystemClock())


async def _met(driver: Driver, case: Case, what: str) -> None:
    """Returns once the driver has met the fault."""

    async def noticed() -> bool:
        reason = (await driver.probe()).reason
        return reason is not None and case.ends_as in (None, reason)

    if case.passes:
        assert await _fine(driver), what
    else:
        await _until(noticed, what)


async def _fine(driver: Driver) -> bool:
    report = await driver.probe()
    return report.works and report.reason is None


async def _until_fine(driver: Driver, what: str) -> None:
    await _until(lambda: _fine(driver), what)


async def _until(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(LONG_S):
            while not await ask():  # noqa: ASYNC110  # another process has no event
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(what)


def _row(case: Case, driver: Driver) -> tuple[str, ...]:
    report = driver.report
    technician = for_technicians(report)
    if not case.passes:
        assert report.status is not DeviceStatus.STARTING
        assert report.reason not in TOO_VAGUE
        assert technician is not None, "a fault that nobody is told of"
    paper = report.paper if report.paper is not Paper.UNKNOWN else "–"
    told = say(f"reason.{report.reason}") if report.reason else "–"
    citizen, steps = say(for_citizens(report)), say(technician or "advice.nothing")
    if report.port not in {"ups", "auxiliaries", "camera"} and not report.works:
        assert citizen != say(AS_USUAL), "a citizen runs into it"
    return (f"`{case.fault}`", report.status, paper, told, citizen, steps)


def _compare(title: str, rows: list[tuple[str, ...]]) -> None:
    table = HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)
    assert all(cell for row in rows for cell in row)
    text = PAGE.read_text(encoding="utf-8")
    before, found, rest = text.partition(f"\n## {title}\n\n")
    assert found, f"{PAGE} has a section `## {title}`"
    old, _, behind = rest.partition("\n## ")
    if os.environ.get("HALL_WRITE_TABLES"):
        PAGE.write_text(
            before + found + table + (f"\n## {behind}" if behind else ""), encoding="utf-8"
        )
    else:
        assert old == table, "HALL_WRITE_TABLES=1 writes it anew"
