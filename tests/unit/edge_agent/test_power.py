"""The machine of a power cut, as a specification and as what holds whatever the UPS says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.power import Effect, PowerSection, PowerState, step
from hallkit.model.power import PowerPhase, PowerReading

MAINS = PowerReading(on_battery=False, battery_low=False, charge_percent=98, runtime_s=1800)
LOST = PowerReading(on_battery=True, battery_low=False, charge_percent=90, runtime_s=1500)
LOW = PowerReading(on_battery=True, battery_low=True, charge_percent=9, runtime_s=60)
ORDERED = PowerReading(on_battery=False, battery_low=True, switches_off=True)
LIMITS = PowerSection()


class Machine:
    """Time and a UPS around the pure machine; one look a second."""

    def __init__(self, limits: PowerSection = LIMITS) -> None:
        self.limits = limits
        self.state = PowerState()
        self.busy = False
        self.now_s = 100.0
        self.effects: list[Effect] = []

    def looks(self, seen: PowerReading | None, seconds: float = 1.0) -> PowerPhase:
        """Look once a second for so long."""
        for _ in range(max(1, math.ceil(seconds))):
            self.now_s += 1
            self.state, effects = step(
                self.state, seen, busy=self.busy, now_s=self.now_s, limits=self.limits
            )
            self.effects += effects
        return self.state.phase


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_on_the_mains_nothing_happens_and_a_silent_ups_says_nothing_about_them(
    machine: Machine,
) -> None:
    assert machine.looks(MAINS, 10) is PowerPhase.MAINS
    assert machine.looks(None, 10_000) is PowerPhase.MAINS
    assert machine.state.lost_s is None


def test_an_empty_battery_that_the_mains_charge_is_no_reason_to_go_off(machine: Machine) -> None:
    charging = MAINS.model_copy(update={"battery_low": True, "charge_percent": 3.0})
    assert machine.looks(charging, 3600) is PowerPhase.MAINS


def test_a_whole_power_cut(machine: Machine) -> None:
    assert machine.looks(LOST) is PowerPhase.BATTERY
    assert machine.looks(LOST, LIMITS.grace_s - 2) is PowerPhase.BATTERY
    assert machine.looks(LOST, 2) is PowerPhase.CLOSING
    assert machine.looks(LOST, 600) is PowerPhase.CLOSING
    assert machine.looks(LOW) is PowerPhase.ENDING
    assert machine.looks(LOW, LIMITS.words_s - 1) is PowerPhase.ENDING
    assert machine.effects == []
    assert machine.looks(LOW) is PowerPhase.SHUTDOWN
    assert machine.looks(LOW, LIMITS.stuck_s - 1) is PowerPhase.SHUTDOWN
    assert machine.effects == ["switch_off"]


def test_little_charge_closes_before_the_grace_is_over(machine: Machine) -> None:
    half = LOST.model_copy(update={"charge_percent": LIMITS.closed_below_percent - 1})
    assert machine.looks(half) is PowerPhase.CLOSING


@pytest.mark.parametrize(
    "end",
    [
        LOW,
        ORDERED,
        LOST.model_copy(update={"charge_percent": 14.0}),
        LOST.model_copy(update={"runtime_s": 80.0}),
        LOST.model_copy(update={"charge_percent": None, "battery_low": True}),
    ],
)
def test_each_sign_of_an_empty_battery_ends_it(machine: Machine, end: PowerReading) -> None:
    assert machine.looks(end) is PowerPhase.ENDING


def test_the_longest_time_on_battery_ends_it_whatever_the_charge(machine: Machine) -> None:
    assert machine.looks(LOST, LIMITS.longest_s) is PowerPhase.CLOSING
    assert machine.looks(LOST) is PowerPhase.ENDING


def test_what_is_under_way_is_waited_for_and_not_for_ever(machine: Machine) -> None:
    machine.busy = True
    machine.looks(LOW, LIMITS.words_s + 1)
    assert machine.looks(LOW, LIMITS.close_s - LIMITS.words_s - 1) is PowerPhase.ENDING
    assert machine.looks(LOW) is PowerPhase.SHUTDOWN
    assert machine.effects == ["switch_off"]


def test_it_goes_off_as_soon_as_nothing_is_under_way(machine: Machine) -> None:
    machine.busy = True
    machine.looks(LOW, LIMITS.words_s + 5)
    machine.busy = False
    assert machine.looks(LOW) is PowerPhase.SHUTDOWN


@pytest.mark.parametrize("seconds_on_battery", [1, 100])
def test_mains_that_are_back_cancel_it_and_open_once_they_are_steady(
    machine: Machine, seconds_on_battery: int
) -> None:
    before = machine.looks(LOST, seconds_on_battery)
    assert machine.looks(MAINS) is before
    assert machine.looks(MAINS, LIMITS.steady_s) is PowerPhase.MAINS
    assert machine.effects == []


def test_mains_that_are_back_before_the_command_cancel_it(machine: Machine) -> None:
    machine.looks(LOW, LIMITS.words_s - 1)
    assert machine.looks(MAINS) is PowerPhase.CLOSING
    assert machine.looks(MAINS, LIMITS.steady_s) is PowerPhase.MAINS
    assert machine.effects == []


def test_mains_that_blink_do_not_put_the_end_off_until_the_battery_is_empty(
    machine: Machine,
) -> None:
    for _ in range(20):
        machine.looks(LOW, 2)
        machine.looks(MAINS, 2)
    assert machine.effects == ["switch_off"]


def test_a_ups_that_orders_it_is_obeyed_on_the_mains_too(machine: Machine) -> None:
    machine.looks(ORDERED, LIMITS.words_s + 2)
    assert machine.effects == ["switch_off"]


def test_after_the_command_mains_do_not_open_a_machine_that_goes_down(machine: Machine) -> None:
    machine.looks(LOW, LIMITS.words_s + 2)
    for _ in range(15):
        assert machine.looks(MAINS, 6) is PowerPhase.SHUTDOWN
        assert machine.looks(LOW, 4) is PowerPhase.SHUTDOWN
    assert machine.effects == ["switch_off"]


def test_a_machine_that_lives_on_after_the_command_serves_again_with_the_mains(
    machine: Machine,
) -> None:
    machine.looks(LOW, LIMITS.words_s + 2)
    assert machine.looks(MAINS, LIMITS.stuck_s) is PowerPhase.MAINS
    assert machine.effects == ["switch_off", "take_back"]
    assert machine.state == PowerState(last=MAINS)


def test_mains_that_blink_just_then_open_nothing(machine: Machine) -> None:
    machine.looks(LOW, LIMITS.words_s + LIMITS.stuck_s)
    assert machine.looks(MAINS, LIMITS.steady_s) is PowerPhase.SHUTDOWN
    assert machine.effects == ["switch_off"]
    assert machine.looks(MAINS) is PowerPhase.MAINS


def test_what_began_between_two_cuts_is_waited_for_anew(machine: Machine) -> None:
    machine.looks(LOW, LIMITS.words_s - 1)
    machine.looks(MAINS, LIMITS.steady_s - 2)
    machine.looks(LOST, LIMITS.close_s)
    machine.busy = True
    assert machine.looks(LOW, LIMITS.close_s) is PowerPhase.ENDING
    assert machine.looks(LOW) is PowerPhase.SHUTDOWN


@pytest.mark.parametrize("seen", [LOW, None])
def test_a_machine_that_lives_on_without_mains_is_told_again(
    machine: Machine, seen: PowerReading | None
) -> None:
    machine.looks(LOW, LIMITS.words_s + 2)
    machine.looks(seen, 2 * LIMITS.stuck_s)
    assert machine.effects == ["switch_off"] * 3


def test_a_ups_that_falls_silent_on_battery_counts_as_on_battery_then_as_empty(
    machine: Machine,
) -> None:
    machine.looks(LOST)
    assert machine.looks(None, LIMITS.grace_s) is PowerPhase.CLOSING
    assert machine.looks(None, LIMITS.silent_s - LIMITS.grace_s) is PowerPhase.CLOSING
    assert machine.looks(None) is PowerPhase.ENDING
    assert machine.looks(None, LIMITS.words_s) is PowerPhase.SHUTDOWN


def test_a_ups_that_speaks_again_begins_its_silence_anew(machine: Machine) -> None:
    machine.looks(LOST)
    machine.looks(None, LIMITS.silent_s - 1)
    machine.looks(LOST)
    assert machine.looks(None, LIMITS.silent_s - 1) is PowerPhase.CLOSING


def test_mains_that_fell_silent_on_their_way_back_are_not_back(machine: Machine) -> None:
    machine.looks(LOST, 100)
    machine.looks(MAINS, LIMITS.steady_s - 2)
    machine.looks(None)
    assert machine.looks(MAINS, LIMITS.steady_s - 2) is PowerPhase.CLOSING


SECONDS = st.floats(0, 300)
SECTIONS = st.builds(
    PowerSection,
    grace_s=SECONDS,
    closed_below_percent=st.floats(0, 100),
    off_below_percent=st.floats(0, 100),
    off_below_runtime_s=SECONDS,
    longest_s=st.floats(10, 600),
    silent_s=SECONDS,
    words_s=SECONDS,
    close_s=SECONDS,
    steady_s=SECONDS,
    stuck_s=st.floats(1, 300),
)
READINGS = st.one_of(
    st.none(),
    st.sampled_from([MAINS, LOST, LOW, ORDERED]),
    st.builds(
        PowerReading,
        on_battery=st.booleans(),
        battery_low=st.booleans(),
        switches_off=st.booleans(),
        charge_percent=st.none() | st.floats(0, 100),
        runtime_s=st.none() | st.floats(0, 4000),
    ),
)
LOOKS = st.lists(st.tuples(READINGS, st.booleans(), st.floats(0.1, 120)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(limits=SECTIONS, looks=LOOKS)
def test_whatever_the_ups_says_the_command_is_given_for_a_reason_and_once(
    limits: PowerSection,
    looks: list[tuple[PowerReading | None, bool, float]],
) -> None:
    state, now_s = PowerState(), 0.0
    commanded_s: float | None = None
    was_lost = False
    for seen, busy, passed_s in looks:
        now_s += passed_s
        before = state
        state, effects = step(state, seen, busy=busy, now_s=now_s, limits=limits)
        assert PowerState.model_validate_json(state.model_dump_json()) == state
        assert len(effects) <= 1
        was_lost |= seen is not None and (seen.on_battery or seen.switches_off)
        on_mains = seen is not None and not seen.on_battery and not seen.switches_off
        if effects == ("switch_off",):
            assert was_lost, "nobody ever said that the mains are gone"
            assert not on_mains
            assert commanded_s is None or now_s - commanded_s >= limits.stuck_s
            commanded_s = now_s
        if effects == ("take_back",):
            assert on_mains
            commanded_s = None
        assert (state.phase is PowerPhase.SHUTDOWN) == (commanded_s is not None)
        if before.phase is PowerPhase.SHUTDOWN and not effects:
            assert state.phase is PowerPhase.SHUTDOWN
        if state.phase is PowerPhase.MAINS:
            assert state == PowerState(last=state.last, silent_s=state.silent_s)


@settings(max_examples=200, deadline=None)
@given(limits=SECTIONS, looks=LOOKS, busy=st.booleans())
def test_from_wherever_it_stands_it_comes_to_an_end(
    limits: PowerSection,
    looks: list[tuple[PowerReading | None, bool, float]],
    busy: bool,
) -> None:
    """Steady mains open it again, a lasting power cut switches it off: never half down."""
    begun, now_s = PowerState(), 0.0
    for seen, was_busy, passed_s in looks:
        now_s += passed_s
        begun, _ = step(begun, seen, busy=was_busy, now_s=now_s, limits=limits)
    state, at_s = begun, now_s
    while at_s - now_s <= limits.stuck_s + limits.steady_s + 2:
        at_s += 1
        state, _ = step(state, MAINS, busy=busy, now_s=at_s, limits=limits)
    assert state.phase is PowerPhase.MAINS
    state, at_s, commands = begun, now_s, 0
    # A command of before may have been given a moment ago; then it is given again.
    while at_s - now_s <= limits.words_s + limits.close_s + limits.stuck_s + 2:
        at_s += 1
        state, effects = step(state, LOW, busy=busy, now_s=at_s, limits=limits)
        commands += effects.count("switch_off")
    assert commands >= 1
    assert state.phase is PowerPhase.SHUTDOWN
