"""A seeded slice of each rehearsal: what `./hall rehearse` runs for hours holds for seconds."""

import json
from pathlib import Path

import pytest

from hallkit.lexicon.words import words
from launcher.commands.rehearse import names, rehearse
from launcher.rehearsals.chaos import Copy, read_piece
from launcher.rehearsals.record import Plan, Record

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

say = words("zh_CN")

SEED = 20_260_101
SLICES = {
    "chaos": 0.15,
    "fuzz": 0.1,
    "load": 0.0,
    "mutants": 0.0,
    "print-guard": 0.0,
    "soak": 0.05,
    "sync": 0.0,
}
"""Minutes beside the start of the processes; a load and a sync have at least one round."""
MACHINES = 20
REQUESTS = 1_000


def plan(name: str, root: Path) -> Plan:
    return Plan(name, SEED, SLICES[name], root, machines=MACHINES, requests=REQUESTS)


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


def test_copies_on_paper_are_told_apart_by_their_mark(tmp_path: Path) -> None:
    def copy(number: str, *, mark: bool = False, code: bool = True) -> str:
        heading = f"{say('slip.reprint')}\n" if mark else ""
        end = f"[qr] HK1.T.id.20260101.{number}.sig\n" if code else ""
        return f"{heading}{say('slip.number')}\n{number}\n{end}"

    piece = tmp_path / "slip-0001.txt"
    # A power cut in the middle of the first; what follows it hangs on the same piece of paper.
    piece.write_text(
        copy("A001", code=False) + copy("A001", mark=True) + copy("A002"), encoding="utf-8"
    )
    assert read_piece(piece) == [Copy("A001", marked=True), Copy("A002", marked=False)]


def test_the_same_seed_gives_the_same_order(tmp_path: Path) -> None:
    first, again = plan("chaos", tmp_path), plan("chaos", tmp_path)
    assert first.random("faults").random() == again.random("faults").random()
    assert first.random("faults").random() != first.random("manners").random()
