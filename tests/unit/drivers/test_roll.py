"""What is left on a roll: counted down, put right by the sensors, remembered over a restart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ticket_printer.roll import Roll
from hallkit.model.device import Paper

WHOLE, NEAR_END = 21_333, 800
"""80 m and 3 m in lines of 3.75 mm."""


def roll() -> Roll:
    return Roll(whole_m=80, near_end_m=3)


def changed() -> Roll:
    """With a new roll that was seen to be put in."""
    one = roll()
    one.seen(Paper.OUT)
    one.seen(Paper.FULL)
    return one


def test_nobody_knows_before_a_sensor_has_told() -> None:
    one = roll()
    one.seen(Paper.FULL)
    one.printed(100)
    assert one.left is None


@pytest.mark.parametrize("before", [Paper.OUT, Paper.LOW])
def test_a_new_roll_is_known_by_its_sensor(before: Paper) -> None:
    one = roll()
    for paper in (before, Paper.UNKNOWN, Paper.FULL):
        one.seen(paper)
    assert one.left == WHOLE


def test_what_is_printed_is_counted_down() -> None:
    one = changed()
    one.printed(333)
    one.seen(Paper.FULL)
    assert one.left == WHOLE - 333


def test_the_sensors_know_better_than_the_count() -> None:
    one = changed()
    one.seen(Paper.LOW)
    assert one.left == NEAR_END
    one.printed(200)
    one.seen(Paper.LOW)
    assert one.left == NEAR_END - 200
    one.seen(Paper.OUT)
    assert one.left == 0


def test_a_count_that_ran_down_too_early_stays_at_what_the_sensor_grants() -> None:
    one = changed()
    one.printed(WHOLE)
    one.seen(Paper.FULL)
    assert one.left == NEAR_END


def test_what_was_remembered_goes_on() -> None:
    one = roll()
    one.recall(5_000, Paper.FULL)
    one.seen(Paper.FULL)
    one.printed(10)
    assert one.left == 4_990


def test_a_roll_changed_while_nobody_looked_is_a_new_one() -> None:
    one = roll()
    one.recall(300, Paper.LOW)
    one.seen(Paper.FULL)
    assert one.left == WHOLE


@given(
    st.lists(
        st.one_of(st.sampled_from(list(Paper)), st.integers(min_value=0, max_value=5_000)),
        max_size=40,
    )
)
def test_whatever_happens_it_is_a_length_of_paper(happens: list[Paper | int]) -> None:
    one = roll()
    for what in happens:
        if isinstance(what, Paper):
            one.seen(what)
        else:
            one.printed(what)
        assert one.left is None or 0 <= one.left <= WHOLE
