"""What every store of decisions does: `affairs.decisions` relies on exactly this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from affairs.cases.decision_store import DatabaseDecisions
from affairs.decisions import DecisionStore, Kept
from affairs.store import Store
from hallkit.model.decision import Verdict
from tests.fakes.decision_store import FakeDecisionStore


def kept(number: int, case: str = "case-1") -> Kept:
    return Kept(
        id=f"01JGK00000000000000000000{number}",
        case=case,
        at_ms=1_735_790_400_000 + number,
        item="senior-card",
        verdict=Verdict.APPROVED,
        sealed_record=bytes([number]) * 40,
        receipt=b'{"format":"hall-receipt/1"}',
    )


class Bench(ABC):
    """A store, and the power switch of its computer."""

    store: DecisionStore

    @abstractmethod
    async def restart(self) -> None:
        """Open again what was durable."""


class FakeBench(Bench):
    def __init__(self) -> None:
        self.store = FakeDecisionStore()

    async def restart(self) -> None:
        fresh = FakeDecisionStore()
        assert isinstance(self.store, FakeDecisionStore)
        fresh.rows = dict(self.store.rows)
        self.store = fresh


class DatabaseBench(Bench):
    """The node's database file, opened anew after a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = AsyncExitStack()

    async def start(self) -> None:
        opened = await self._open.enter_async_context(Store(self._path))
        self.store = DatabaseDecisions(opened)

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def stop(self) -> None:
        await self._open.aclose()


@pytest.fixture(params=["fake", "database"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    made = DatabaseBench(tmp_path / "affairs.sqlite")
    await made.start()
    yield made
    await made.stop()


async def test_what_was_kept_is_there_after_a_restart(bench: Bench) -> None:
    assert await bench.store.keep(kept(1)) == kept(1)
    await bench.restart()
    assert await bench.store.load("case-1") == (kept(1),)


async def test_decisions_of_a_case_come_oldest_first_and_alone(bench: Bench) -> None:
    for one in (kept(3), kept(1), kept(2, "case-2")):
        await bench.store.keep(one)
    assert await bench.store.load("case-1") == (kept(1), kept(3))
    assert await bench.store.load("case-3") == ()


async def test_what_is_kept_under_an_id_stands(bench: Bench) -> None:
    await bench.store.keep(kept(1))
    other = replace(kept(1), verdict=Verdict.REFUSED, sealed_record=b"other")
    assert await bench.store.keep(other) == kept(1)
    assert await bench.store.load("case-1") == (kept(1),)


async def test_of_many_at_once_under_one_id_one_stands_for_all(bench: Bench) -> None:
    several = [replace(kept(1), sealed_record=bytes([n]) * 40) for n in range(8)]
    stands = await asyncio.gather(*(bench.store.keep(one) for one in several))
    assert len({one.sealed_record for one in stands}) == 1
    assert await bench.store.load("case-1") == (stands[0],)
