"""A seeded slice of each rehearsal: what `./hall rehearse` runs for hours holds for seconds."""

import json
from pathlib import Path

import pytest

from launcher.commands.rehearse import names, rehearse
from launcher.rehearsals.record import Plan, Record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

SEED = 20_260_101
SLICES = {"chaos": 0.15, "fuzz": 0.1, "load": 0.0, "soak": 0.05}
"""Minutes beside the start of the processes; a load has at least one round."""
MACHINES = 20


def plan(name: str, root: Path) -> Plan:
    return Plan(name, SEED, SLICES[name], root, machines=MACHINES)


def test_every_rehearsal_has_a_slice() -> None:
    assert names() == sorted(SLICES)


@pytest.mark.parametrize("name", sorted(SLICES))
async def test_a_slice_holds(name: str, tmp_path: Path) -> None:
    record = await rehearse(plan(name, tmp_path))
    broken = {one.what: one.evidence for one in record.invariants.values() if not one.holds}
    assert not broken, record.history
    assert record.counts


def test_a_broken_invariant_stays_broken_and_is_written(tmp_path: Path) -> None:
    record = Record(plan("chaos", tmp_path))
    record.expect("holds", True)
    assert record.ok
    record.expect("holds", False, number="A001")
    record.expect("holds", True)
    record.write(tmp_path / "result.json")
    written = json.loads((tmp_path / "result.json").read_bytes())
    assert not written["ok"]
    assert written["seed"] == SEED
    assert written["invariants"] == [
        {"what": "holds", "holds": False, "evidence": {"number": "A001"}}
    ]


def test_the_same_seed_gives_the_same_order(tmp_path: Path) -> None:
    first, again = plan("chaos", tmp_path), plan("chaos", tmp_path)
    assert first.random("faults").random() == again.random("faults").random()
    assert first.random("faults").random() != first.random("manners").random()
