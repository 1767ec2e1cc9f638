"""A simulator that lies fails the suite of its port: what the suites promise, they look at.

The first mutant of each driver; `./hall rehearse mutants` tries all.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from drivers.registry import discover
from launcher.mutation import Mutant, honest_twins_pass, mutants, told_apart

ALL = mutants()
FIRST = {mutant.driver: mutant for mutant in reversed(ALL)}


def test_every_driver_has_mutants() -> None:
    assert FIRST.keys() == discover().keys()


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: f"{mutant.driver}: {mutant.lie}")
def test_a_mutant_is_one_change_of_what_stands_there(mutant: Mutant, tmp_path: Path) -> None:
    mutant.lay(tmp_path)


@pytest.mark.wire
@pytest.mark.timeout(180)
async def test_an_honest_twin_is_believed(tmp_path: Path) -> None:
    """The control: it is the lie that fails, not the copy."""
    assert await asyncio.to_thread(honest_twins_pass, "serial_scanner", tmp_path)


@pytest.mark.wire
@pytest.mark.timeout(180)
@pytest.mark.parametrize("key", sorted(FIRST))
async def test_a_liar_is_found_out(key: str, tmp_path: Path) -> None:
    assert await asyncio.to_thread(told_apart, FIRST[key], tmp_path), FIRST[key].lie
