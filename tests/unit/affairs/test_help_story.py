"""Whatever machines, helpers and time do: one open call for each visit, none lost, one helper."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from affairs.help.bell import Bell
from affairs.help.calling import HelpCalls
from affairs.help.desk import HelpDesk
from affairs.help.ringing import Ringing
from affairs.help.rules import HelpRules
from affairs.once import Once
from affairs.problems import Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.model.help import HelpOutcome, HelpReason, HelpState
from hallkit.model.ids import new_id
from hallkit.wire.help_api import HelpRequest, SessionSoFar
from tests.fakes.clock import FakeClock

RULES = HelpRules(ring_s=30, then_s=(60,))
MACHINES = st.sampled_from(["terminal-01", "terminal-02"])
VISITS = st.sampled_from(["", "01JGJ6E0000000000000000000"])
HELPERS = st.sampled_from(["wang", "li"])
Who = tuple[str, str]


class Story(RuleBasedStateMachine):
    """The model knows who waits, since when, and who goes there."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.store = Store(Path(self.folder.name) / "affairs.sqlite")
        self.does(self.store.__aenter__())
        self.open: dict[Who, str] = {}
        self.presses: dict[str, int] = {}
        self.rings_since: dict[str, tuple[float, int]] = {}
        """Since when a call rings, and its level then."""
        self.helper: dict[str, str] = {}
        self.starts()

    def starts(self) -> None:
        sealer, bell = Sealer(bytes(32)), Bell()
        shared: dict[str, Any] = {
            "once": Once(sealer, self.clock),
            "rules": RULES,
            "sealer": sealer,
            "bell": bell,
            "clock": self.clock,
        }
        self.calls = HelpCalls(self.store, hall_map=lambda: None, **shared)
        self.desk = HelpDesk(self.store, **shared)
        self.ringing = Ringing(self.store, rules=RULES, bell=bell, clock=self.clock)

    def does(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.does(self.store.__aexit__(None, None, None))
        self.loop.close()
        self.folder.cleanup()

    @rule(machine=MACHINES, visit=VISITS)
    def press(self, machine: str, visit: str) -> None:
        wanted = HelpRequest(reason=HelpReason.ASKED, session=SessionSoFar(visit=visit))
        told = self.does(self.calls.call(wanted, device=machine, key=new_id()))
        known = self.open.get((machine, visit))
        assert told.again is (known is not None)
        assert told.call == (known or told.call)
        if known is None:
            self.open[machine, visit] = told.call
            self.presses[told.call] = 0
            self.rings_since[told.call] = (self.clock.mono_s(), 1)
        self.presses[told.call] += 1

    @rule(seconds=st.integers(1, 100))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def the_node_dies(self) -> None:
        self.starts()

    @rule(machine=MACHINES, visit=VISITS)
    def cancel(self, machine: str, visit: str) -> None:
        call = self.open.get((machine, visit))
        if call is not None:
            self.does(self.calls.cancel(call, device=machine, key=new_id()))
            self.ends(call)

    @rule(machine=MACHINES, visit=VISITS, helper=HELPERS)
    def acknowledge(self, machine: str, visit: str, helper: str) -> None:
        call = self.open.get((machine, visit))
        if call is None:
            return
        self.does(self.ringing.look())
        taken = self.tries(self.desk.acknowledge(call, by=helper, shown="", key=new_id()))
        assert taken is (call not in self.helper)
        if taken:
            self.helper[call] = helper
            del self.rings_since[call]

    @rule(machine=MACHINES, visit=VISITS, helper=HELPERS, back=st.booleans())
    def comes_to_an_end(self, machine: str, visit: str, helper: str, back: bool) -> None:
        call = self.open.get((machine, visit))
        if call is None:
            return
        level = self.level_of(call)
        end = (
            self.desk.hand_back(call, by=helper, key=new_id())
            if back
            else self.desk.done(call, by=helper, outcome=HelpOutcome.SOLVED, key=new_id())
        )
        could = self.tries(end)
        assert could is (self.helper.get(call) == helper)
        if could and back:
            del self.helper[call]
            self.rings_since[call] = (self.clock.mono_s(), level)
        elif could:
            self.ends(call)

    @invariant()
    def every_open_call_is_there_once_at_its_level(self) -> None:
        self.does(self.ringing.look())
        found = self.does(self.desk.open_calls())
        assert sorted(one.call for one in found) == sorted(self.open.values())
        for one in found:
            assert one.presses == self.presses[one.call]
            assert one.helper == self.helper.get(one.call)
            assert (one.state is HelpState.CALLING) is (one.call in self.rings_since)
            if one.call in self.rings_since:
                assert one.level == self.level_now(*self.rings_since[one.call])

    def level_now(self, since_s: float, level: int) -> int:
        left_s = self.clock.mono_s() - since_s
        for rings_s in (30, 60)[level - 1 :]:
            if left_s < rings_s:
                break
            left_s -= rings_s
            level += 1
        return level

    def level_of(self, call: str) -> int:
        found = self.does(self.desk.open_calls())
        return next(one.level for one in found if one.call == call)

    def ends(self, call: str) -> None:
        self.open = {who: one for who, one in self.open.items() if one != call}
        self.helper.pop(call, None)
        self.rings_since.pop(call, None)

    def tries(self, work: Coroutine[Any, Any, Any]) -> bool:
        try:
            self.does(work)
        except Refused:
            return False
        return True


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
