"""Maintenance in VendorMode's words: entered in order, left by command or by time, never lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from edge_agent.maintenance import OUT, MaintenanceSection, MaintenanceState, Order, ordered, step
from edge_agent.maintenance_mode import SCHEMA, Maintenance
from hallkit.errors import StoreError
from hallkit.model.maintenance import MaintenancePhase as Phase
from hallkit.runtime.journal import Journal, Result
from tests.fakes.clock import FakeClock

LIMITS = MaintenanceSection()


class Machine:
    """Maintenance over lives of the agent; one look a second."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "agent.sqlite"
        self.clock = FakeClock()
        self.serving = self.working = False
        self.told: list[Phase] = []

    def mode(self, journal: Journal) -> Maintenance:
        return Maintenance(
            journal,
            self.clock,
            limits=LIMITS,
            serving=lambda: self.serving,
            working=lambda: self.working,
            tell=self._tell,
        )

    async def _tell(self, state: MaintenanceState) -> None:
        self.told.append(state.phase)

    def journal(self) -> Journal:
        return Journal(self.path, [SCHEMA])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def looks(machine: Machine, mode: Maintenance, seconds: float = 0) -> Phase:
    machine.clock.advance(seconds)
    await mode._look()
    return mode.state.phase


async def test_a_free_machine_is_the_technicians_at_once_and_served_again_at_once(
    machine: Machine,
) -> None:
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.start()
        assert (await mode.order("on")).phase is Phase.ACTIVE
        assert (await mode.order("off")) == OUT
        assert (await mode.order("off")) == OUT
    assert machine.told == [
        Phase.ENTER_PENDING,
        Phase.ACTIVE,
        Phase.EXIT_PENDING,
        Phase.INACTIVE,
    ]


async def test_a_visit_is_waited_for_and_not_for_ever(machine: Machine) -> None:
    machine.serving = True
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        assert (await mode.order("on")).phase is Phase.ENTER_PENDING
        assert await looks(machine, mode, LIMITS.enter_limit_s - 1) is Phase.ENTER_PENDING
        assert await looks(machine, mode, 1) is Phase.ACTIVE
        await mode.order("off")
        assert (await mode.order("on")).phase is Phase.ENTER_PENDING
        machine.serving = False
        assert await looks(machine, mode) is Phase.ACTIVE


async def test_who_changes_their_mind_before_it_began_closes_nothing(machine: Machine) -> None:
    machine.serving = True
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.order("on")
        assert (await mode.order("off")) == OUT
    assert Phase.ACTIVE not in machine.told


async def test_what_the_technician_has_under_way_is_waited_for_and_not_for_ever(
    machine: Machine,
) -> None:
    machine.working = True
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.order("on")
        assert (await mode.order("off")).phase is Phase.EXIT_PENDING
        assert (await mode.order("on")).phase is Phase.ACTIVE
        await mode.order("off")
        assert await looks(machine, mode, LIMITS.exit_limit_s - 1) is Phase.EXIT_PENDING
        assert await looks(machine, mode, 1) is Phase.INACTIVE


async def test_it_ends_by_itself_and_an_order_renews_its_time(machine: Machine) -> None:
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.order("on", seconds=60)
        assert await looks(machine, mode, 59) is Phase.ACTIVE
        await mode.order("on", seconds=60)
        assert await looks(machine, mode, 59) is Phase.ACTIVE
        await looks(machine, mode, 1)
        assert await looks(machine, mode) is Phase.INACTIVE
        state = await mode.order("on", seconds=10 * LIMITS.longest_s)
        assert state.until_ms == machine.clock.wall_ms() + LIMITS.longest_s * 1000


@pytest.mark.parametrize("boots", [False, True])
async def test_it_outlives_the_agent_and_the_machine(machine: Machine, boots: bool) -> None:
    async with machine.journal() as journal:
        await machine.mode(journal).order("on", seconds=600)
    if boots:
        machine.clock = FakeClock(machine.clock.wall_ms() + 60_000)
    machine.told.clear()
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.start()
        assert machine.told == [Phase.ACTIVE]
        assert await looks(machine, mode, 500) is Phase.ACTIVE
        await looks(machine, mode, 100)
        assert await looks(machine, mode) is Phase.INACTIVE


async def test_a_clock_that_is_put_back_does_not_keep_the_machine(machine: Machine) -> None:
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.order("on")
        machine.clock.set_wall_ms(machine.clock.wall_ms() - 365 * 86_400_000)
        await looks(machine, mode)
        await looks(machine, mode, LIMITS.longest_s)
        assert await looks(machine, mode) is Phase.INACTIVE


class Full(Journal):
    """A disk that may be full."""

    full = True

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        if self.full:
            raise StoreError("full")
        return await super().write(work)


async def test_an_order_that_can_not_be_kept_changes_nothing(machine: Machine) -> None:
    async with Full(machine.path, [SCHEMA]) as journal:
        mode = machine.mode(journal)
        with pytest.raises(StoreError):
            await mode.order("on")
        assert mode.state == OUT
    assert machine.told == []


@pytest.mark.parametrize("by", ["order", "time"])
async def test_a_full_disk_keeps_no_machine_from_its_citizens(machine: Machine, by: str) -> None:
    async with Full(machine.path, [SCHEMA]) as journal:
        mode = machine.mode(journal)
        journal.full = False
        await mode.order("on", seconds=600)
        journal.full = True
        with capture_logs() as logs:
            if by == "order":
                assert (await mode.order("off")) == OUT
            for _ in range(3):
                await looks(machine, mode, 300)
        assert mode.state == OUT
        assert machine.told[-1] is Phase.INACTIVE
        assert [line["event"] for line in logs].count("maintenance.not_kept") == 1
        journal.full = False
        await looks(machine, mode)
    async with machine.journal() as journal:
        mode = machine.mode(journal)
        await mode.start()
        assert mode.state == OUT


async def test_a_state_that_can_not_be_read_is_none(machine: Machine) -> None:
    async with machine.journal() as journal:
        await journal.write(lambda db: db.execute("insert into maintenance values (1, '{')"))
        mode = machine.mode(journal)
        await mode.start()
        assert mode.state == OUT


ACTS = st.lists(
    st.tuples(
        st.sampled_from([None, "on", "off"]),
        st.booleans(),
        st.booleans(),
        st.floats(0, 20_000),
        st.integers(-10_000_000, 10_000_000),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(acts=ACTS)
def test_whatever_happens_it_is_entered_by_order_alone_and_always_ends(
    acts: list[tuple[Order | None, bool, bool, float, int]],
) -> None:
    state, now_s, now_ms = OUT, 0.0, 1_735_790_400_000
    for order, serving, working, passed_s, jump_ms in acts:
        now_s += passed_s
        now_ms += round(passed_s * 1000) + jump_ms
        before = state
        if order is not None:
            state = ordered(state, order, seconds=None, now_s=now_s, now_ms=now_ms, limits=LIMITS)
        state = step(
            state, serving=serving, working=working, now_s=now_s, now_ms=now_ms, limits=LIMITS
        )
        assert MaintenanceState.model_validate_json(state.model_dump_json()) == state
        if before.phase is Phase.INACTIVE and order != "on":
            assert state == OUT
        if before.phase is not Phase.ACTIVE and state.phase is Phase.ACTIVE and serving:
            assert order == "on" or before.phase is Phase.ENTER_PENDING
        assert (state.until_ms is None) == (state.phase is Phase.INACTIVE)
    for _ in range(4):
        now_s += LIMITS.longest_s
        now_ms += round(LIMITS.longest_s * 1000)
        state = step(state, serving=True, working=True, now_s=now_s, now_ms=now_ms, limits=LIMITS)
    assert state == OUT
