"""呼叫帮办: one call at a time, who comes is told, nothing is asked twice, nobody is forgotten."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from affairs.catalogue_source import CONTENT
from affairs.hall_map import load_hall_map
from affairs.help.bell import Bell
from affairs.help.board import HelpBoard
from affairs.help.calling import HelpCalls
from affairs.help.desk import HelpDesk
from affairs.help.places import CallPlace, place_of
from affairs.help.ringing import Ringing
from affairs.help.rules import HelpRules, Reach
from affairs.help.tables import help_calls as table
from affairs.once import Once
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.lexicon.words import words
from hallkit.model.help import HelpOutcome, HelpReason, HelpState
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import Applicant
from hallkit.wire.help_api import HelpCall, HelpRequest, SessionSoFar
from tests.fakes.clock import NOON_MS, FakeClock
from tests.unit.affairs.hall import APPLICANT, DEVICE, NAME, NUMBER, SettableClock

VISIT = "01JGJ6E0000000000000000000"
SESSION = SessionSoFar(
    visit=VISIT,
    item="restaurant",
    answers={"first": "new"},
    materials=("lease",),
    applicant=Applicant.model_validate(APPLICANT),
    screen="materials",
)
ASKED = HelpRequest(reason=HelpReason.ASKED, session=SESSION)
BADGE = "3号帮办员"


async def presses(
    help_calls: HelpCalls, wanted: HelpRequest = ASKED, *, device: str = DEVICE, key: str = ""
) -> HelpCall:
    return await help_calls.call(wanted, device=device, key=key or new_id())


async def refuses(code: ProblemCode, attempt: Callable[[], object]) -> None:
    with pytest.raises(Refused) as fault:
        await attempt()  # type: ignore[misc]  # a method of the desk
    assert fault.value.problem_code is code


# ── At the machine ───────────────────────────────────────────────────────────────────────────


async def test_a_second_press_is_the_same_call(help_calls: HelpCalls, help_desk: HelpDesk) -> None:
    first = await presses(help_calls, key="press-1")
    assert (first.state, first.level, first.presses) == (HelpState.CALLING, 1, 1)
    assert not first.again
    assert (await presses(help_calls, key="press-1")).presses == 1, "one press, told twice"
    further = SESSION.model_copy(update={"answers": {"first": "new", "second": "yes"}})
    again = await presses(
        help_calls, HelpRequest(reason=HelpReason.REPEATED_FAILURE, session=further)
    )
    assert (again.call, again.presses, again.again) == (first.call, 2, True)
    await help_desk.acknowledge(first.call, by="wang", shown="", key=new_id())
    assert await help_desk.session(first.call, by="wang") == further
    (only,) = await help_desk.open_calls()
    assert only.reason is HelpReason.REPEATED_FAILURE


async def test_other_machines_and_other_visits_call_for_themselves(help_calls: HelpCalls) -> None:
    other_visit = ASKED.model_copy(update={"session": SessionSoFar(visit=new_id())})
    calls = [
        await presses(help_calls),
        await presses(help_calls, device="robot-01"),
        await presses(help_calls, other_visit),
        await presses(help_calls, HelpRequest(reason=HelpReason.FAULT)),
    ]
    assert len({one.call for one in calls}) == 4


async def test_a_call_that_has_ended_is_followed_by_another(help_calls: HelpCalls) -> None:
    first = await presses(help_calls)
    await help_calls.cancel(first.call, device=DEVICE, key=new_id())
    assert (await presses(help_calls)).call != first.call


async def test_the_machine_hears_who_comes_and_how_long_it_takes(
    help_calls: HelpCalls, help_desk: HelpDesk, clock: SettableClock
) -> None:
    call = (await presses(help_calls)).call
    said = []

    async def hears() -> HelpCall:
        heard = await help_calls.status(call, device=DEVICE)
        assert words()(heard.say, helper=heard.helper)
        said.append(heard.say.removeprefix("help.said."))
        return heard

    assert (await hears()).waiting_s == 0
    clock.now += dt.timedelta(seconds=20)
    await help_desk.acknowledge(call, by="wang", shown=f" {BADGE} ", key=new_id())
    heard = await hears()
    assert (heard.state, heard.helper) == (HelpState.ACKNOWLEDGED, BADGE)
    clock.now += dt.timedelta(seconds=25)
    await help_desk.there(call, by="wang", key=new_id())
    clock.now += dt.timedelta(minutes=5)
    assert (await hears()).waiting_s == 45
    await help_desk.done(call, by="wang", outcome=HelpOutcome.SOLVED, key=new_id())
    heard = await hears()
    assert (heard.state, heard.waiting_s, heard.helper) == (HelpState.DONE, 45, "")
    assert said == ["calling", "coming_by_name", "there", "done"]


async def test_a_call_is_taken_back_once_and_an_ended_one_stays(
    help_calls: HelpCalls, help_desk: HelpDesk
) -> None:
    call = (await presses(help_calls)).call
    for _ in range(2):
        told = await help_calls.cancel(call, device=DEVICE, key="cancel-1")
        assert told.state is HelpState.CANCELLED
    assert await help_desk.open_calls() == ()
    other = (await presses(help_calls)).call
    await help_desk.acknowledge(other, by="wang", shown="", key=new_id())
    await help_desk.done(other, by="wang", outcome=HelpOutcome.NOBODY_THERE, key=new_id())
    told = await help_calls.cancel(other, device=DEVICE, key=new_id())
    assert told.state is HelpState.DONE


async def test_another_machine_hears_nothing_of_it(help_calls: HelpCalls) -> None:
    call = (await presses(help_calls)).call
    unknown = ProblemCode.HELP_UNKNOWN
    await refuses(unknown, lambda: help_calls.status(call, device="terminal-02"))
    await refuses(unknown, lambda: help_calls.cancel(call, device="terminal-02", key=new_id()))
    await refuses(unknown, lambda: help_calls.status(new_id(), device=DEVICE))


def test_every_state_has_words() -> None:
    for name in ("calling", "calling_more", "coming", "there", "done", "cancelled"):
        assert words()(f"help.said.{name}")


# ── At the helpers' desk ─────────────────────────────────────────────────────────────────────


async def test_the_desk_hears_as_soon_as_it_stands(
    help_calls: HelpCalls, help_desk: HelpDesk
) -> None:
    assert not help_desk.changed.is_set()
    await presses(help_calls)
    assert help_desk.changed.is_set()
    other = help_desk.listener()
    help_desk.changed.clear()
    await presses(help_calls)
    assert help_desk.changed.is_set()
    assert other.is_set()


async def test_one_helper_goes_there(help_calls: HelpCalls, help_desk: HelpDesk) -> None:
    call = (await presses(help_calls)).call
    not_so = ProblemCode.HELP_NOT_SO
    await refuses(not_so, lambda: help_desk.there(call, by="wang", key=new_id()))
    first = await help_desk.acknowledge(call, by="wang", shown="", key="mine-1")
    assert first.helper == "wang"
    assert await help_desk.acknowledge(call, by="wang", shown="", key="mine-1") == first
    for attempt in (
        lambda: help_desk.acknowledge(call, by="li", shown="", key=new_id()),
        lambda: help_desk.there(call, by="li", key=new_id()),
        lambda: help_desk.done(call, by="li", outcome=HelpOutcome.SOLVED, key=new_id()),
        lambda: help_desk.hand_back(call, by="li", key=new_id()),
    ):
        await refuses(not_so, attempt)
    await refuses(
        ProblemCode.HELP_UNKNOWN,
        lambda: help_desk.acknowledge(new_id(), by="li", shown="", key=new_id()),
    )


async def test_who_goes_there_reads_what_was_done_and_nobody_else(
    help_calls: HelpCalls, help_desk: HelpDesk
) -> None:
    call = (await presses(help_calls)).call
    not_so = ProblemCode.HELP_NOT_SO
    await refuses(not_so, lambda: help_desk.session(call, by="wang"))
    await help_desk.acknowledge(call, by="wang", shown=BADGE, key=new_id())
    assert await help_desk.session(call, by="wang") == SESSION
    await refuses(not_so, lambda: help_desk.session(call, by="li"))
    await help_desk.done(call, by="wang", outcome=HelpOutcome.SOLVED, key=new_id())
    await refuses(not_so, lambda: help_desk.session(call, by="wang"))


async def test_who_cannot_come_lets_it_ring_again(
    help_calls: HelpCalls, help_desk: HelpDesk
) -> None:
    call = (await presses(help_calls)).call
    await help_desk.acknowledge(call, by="wang", shown=BADGE, key=new_id())
    back = await help_desk.hand_back(call, by="wang", key=new_id())
    assert (back.state, back.helper) == (HelpState.CALLING, None)
    await help_desk.acknowledge(call, by="li", shown="", key=new_id())
    heard = await help_calls.status(call, device=DEVICE)
    assert (heard.say, heard.helper) == ("help.said.coming", "")


async def test_what_was_handed_over_is_sealed_and_shown_nowhere(
    help_calls: HelpCalls, help_desk: HelpDesk, store: Store
) -> None:
    call = (await presses(help_calls)).call
    await help_desk.acknowledge(call, by="wang", shown=BADGE, key=new_id())

    def kept(connection: sa.Connection) -> str:
        return str(connection.execute(sa.select(table)).one())

    row = await store.transaction(kept)
    session = await help_desk.session(call, by="wang")
    for shown in (row, repr(ASKED), repr(session), str(session), str(ASKED)):
        for secret in (NAME, NUMBER, BADGE, "lease", "restaurant"):
            assert secret not in shown


# ── It rings ─────────────────────────────────────────────────────────────────────────────────


class Node:
    """What rings in a hall, by a clock that stands until it is moved; it can die."""

    def __init__(self, store: Store, sealer: Sealer, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.rules = HelpRules()
        self.sealer = sealer
        self.starts()

    def starts(self) -> None:
        once, bell = Once(self.sealer, self.clock), Bell()
        self.bell = bell
        self.calls = HelpCalls(
            self.store,
            hall_map=lambda: None,
            once=once,
            rules=self.rules,
            sealer=self.sealer,
            bell=bell,
            clock=self.clock,
        )
        self.desk = HelpDesk(
            self.store,
            once=once,
            rules=self.rules,
            sealer=self.sealer,
            bell=bell,
            clock=self.clock,
        )
        self.board = HelpBoard(self.store, rules=self.rules, bell=bell, clock=self.clock)
        self.ringing = Ringing(self.store, rules=self.rules, bell=bell, clock=self.clock)

    async def levels(self) -> list[int]:
        return [one.level for one in await self.desk.open_calls()]


@pytest.fixture
async def node(tmp_path: Path, sealer: Sealer) -> AsyncIterator[Node]:
    async with Store(tmp_path / "affairs.sqlite") as store:
        yield Node(store, sealer, FakeClock())


async def test_unanswered_it_rings_for_more_and_more_people(node: Node) -> None:
    call = (await presses(node.calls)).call
    reached = []
    for seconds in (29, 1, 59, 1, 600):
        node.clock.advance(seconds)
        node.desk.changed.clear()
        await node.ringing.look()
        (one,) = await node.desk.open_calls()
        reached.append((one.level, one.reach, node.desk.changed.is_set()))
    assert reached == [
        (1, Reach.HELPERS, False),
        (2, Reach.SUPERVISORS, True),
        (2, Reach.SUPERVISORS, False),
        (3, Reach.EVERYBODY, True),
        (3, Reach.EVERYBODY, False),
    ]
    assert (await node.calls.status(call, device=DEVICE)).say == "help.said.calling_more"


async def test_it_looks_again_when_the_next_level_is_due(node: Node) -> None:
    await presses(node.calls)
    assert await node.ringing.look() == 10.0, "no longer: the wall clock may be set"
    node.clock.advance(24)
    assert await node.ringing.look() == 6.0


async def test_somebody_on_the_way_ends_the_ringing(node: Node) -> None:
    call = (await presses(node.calls)).call
    await node.desk.acknowledge(call, by="wang", shown="", key=new_id())
    node.clock.advance(3600)
    await node.ringing.look()
    assert await node.levels() == [1]
    await node.desk.hand_back(call, by="wang", key=new_id())
    node.clock.advance(30)
    await node.ringing.look()
    assert await node.levels() == [2]


async def test_a_node_that_was_away_catches_up(node: Node) -> None:
    await presses(node.calls)
    node.starts()
    node.clock.advance(31)
    await node.ringing.look()
    assert await node.levels() == [2]
    node.starts()
    node.clock.advance(59)  # 30 + 60 after the call, whenever the node looked before
    await node.ringing.look()
    assert await node.levels() == [3]
    await presses(node.calls, device="terminal-02")
    node.clock.advance(3600)
    node.starts()
    await node.ringing.look()
    assert await node.levels() == [3, 3]


async def test_a_wall_clock_that_is_set_back_lets_nobody_wait_for_hours(node: Node) -> None:
    await presses(node.calls)
    node.clock.set_wall_ms(NOON_MS - 3_600_000)
    await node.ringing.look()
    node.clock.advance(30)
    await node.ringing.look()
    assert await node.levels() == [2]


async def test_what_nobody_ended_ends_by_itself(node: Node) -> None:
    left = (await presses(node.calls)).call
    forgotten = (await presses(node.calls, device="terminal-02")).call
    await node.desk.acknowledge(forgotten, by="wang", shown="", key=new_id())
    node.clock.advance(12 * 3600)
    await node.ringing.look()
    assert await node.desk.open_calls() == ()
    for call, device in ((left, DEVICE), (forgotten, "terminal-02")):
        assert (await node.calls.status(call, device=device)).state is HelpState.CANCELLED


async def test_by_itself_it_rings_in_time_and_hears_of_a_new_call_at_once(node: Node) -> None:
    running = asyncio.create_task(node.ringing.run())
    async with asyncio.timeout(20):
        await node.clock.until_sleeping()
        await presses(node.calls)
        for seconds, level in ((30, 2), (60, 3)):
            passed = 0
            node.desk.changed.clear()
            while passed < seconds:
                await node.clock.until_sleeping()
                node.clock.advance(1)
                passed += 1
            await node.desk.changed.wait()
            assert await node.levels() == [level]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_board_sees_the_machine_when_nobody_else_has_come(node: Node) -> None:
    call = (await presses(node.calls)).call
    assert node.board.changed.is_set()
    for level, machine in ((1, ""), (2, ""), (3, DEVICE)):
        (ringing,) = (await node.board.notice()).calls
        assert (ringing.call, ringing.level, ringing.machine) == (call, level, machine)
        assert ringing.since_ms == NOON_MS
        node.clock.advance(60)
        await node.ringing.look()
    await node.desk.acknowledge(call, by="wang", shown=BADGE, key=new_id())
    notice = await node.board.notice()
    assert notice.calls == ()
    assert NAME not in notice.model_dump_json()


async def test_the_loudest_stand_first(node: Node) -> None:
    for device in (DEVICE, "terminal-02"):
        await presses(node.calls, device=device)
        node.clock.advance(40)
        await node.ringing.look()
    await presses(node.calls, device="terminal-03")
    levels = [one.level for one in (await node.board.notice()).calls]
    assert levels == sorted(levels, reverse=True)
    assert len(levels) == 3


LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=5)


@given(LENGTHS, st.lists(st.integers(0, 400), max_size=30))
def test_whenever_it_looks_the_level_is_that_of_the_time_passed(
    lengths: list[int], looks: list[int]
) -> None:
    rules = HelpRules(ring_s=lengths[0], then_s=tuple(lengths[1:]))
    level, next_ms, now_ms = 1, rules.rings_ms(1), 0
    for seconds in looks:
        now_ms += seconds * 1000
        level, next_ms = rules.level_at(level, next_ms, now_ms)
        begins = [sum(lengths[:count]) * 1000 for count in range(len(lengths) + 1)]
        assert level == sum(begin <= now_ms for begin in begins)


def test_levels_reach_ever_more_people() -> None:
    with pytest.raises(ValidationError, match="everybody_level"):
        HelpRules(supervisors_level=4, everybody_level=3)


# ── Where ────────────────────────────────────────────────────────────────────────────────────


def test_a_call_comes_from_where_the_map_has_the_machine() -> None:
    hall = load_hall_map(CONTENT / "hall")
    machine = hall.machines[0]
    device, window = machine.properties.device, hall.windows[0]
    found = place_of(hall, device, window.id)
    assert (found.id, found.name) == (machine.id, machine.properties.name.zh)
    assert found.level_id == machine.properties.level_id
    said = place_of(hall, "robot-01", window.id)
    assert (said.id, said.name) == (window.id, str(window.properties.number))
    for place in hall.places:
        assert place_of(hall, "robot-01", place).id == place
    assert place_of(hall, "robot-01", "nowhere") == place_of(None, device, "") == CallPlace()
