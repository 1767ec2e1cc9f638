"""Who is called next: first come, first called, with a head start that starves nobody."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affairs.queue.order import Order, place_ms, place_with_appointment_ms, priority_of
from hallkit.model.ticket import Priority

ORDER = Order()
MINUTE = 60_000
SLOT = (100 * MINUTE, 130 * MINUTE)
TODAY = dt.date(2026, 11, 30)

people = st.lists(
    st.tuples(
        st.integers(0, 8 * 60 * MINUTE),
        st.sampled_from(Priority),
        st.none() | st.integers(0, 16).map(lambda half_hours: half_hours * 30 * MINUTE),
    ),
    max_size=40,
)


def place(came_ms: int, priority: Priority, slot_ms: int | None) -> int:
    if slot_ms is None:
        return place_ms(came_ms, priority, ORDER)
    return place_with_appointment_ms(came_ms, slot_ms, slot_ms + 30 * MINUTE, priority, ORDER)


@given(people)
def test_nobody_is_overtaken_by_who_came_later_than_the_longest_head_start(
    crowd: list[tuple[int, Priority, int | None]],
) -> None:
    called = sorted((place(*one), one) for one in crowd)
    for index, (_, (came_ms, _, slot_ms)) in enumerate(called):
        if slot_ms is not None and slot_ms > came_ms:
            continue  # who is early for a slot has no claim before it
        for _, (earlier_called_came_ms, _, _) in called[:index]:
            assert earlier_called_came_ms <= came_ms + ORDER.longest_head_start_ms


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_among_equals_who_came_first_is_called_first(came_ms: int, later_ms: int) -> None:
    for priority in Priority:
        assert place_ms(came_ms, priority, ORDER) < place_ms(came_ms + later_ms, priority, ORDER)


def test_priority_is_worth_ten_minutes() -> None:
    first = place_ms(0, Priority.NONE, ORDER)
    assert place_ms(9 * MINUTE, Priority.DISABLED, ORDER) < first
    assert place_ms(11 * MINUTE, Priority.SERVICEMAN, ORDER) > first


@pytest.mark.parametrize(
    ("came_ms", "place"),
    [
        (60 * MINUTE, 85 * MINUTE),  # early: the slot's place
        (110 * MINUTE, 95 * MINUTE),  # within: since they came
        (139 * MINUTE, 124 * MINUTE),  # a little late is forgiven
        (141 * MINUTE, 141 * MINUTE),  # too late: like anybody
    ],
)
def test_an_appointment_counts_from_its_slot(came_ms: int, place: int) -> None:
    assert place_with_appointment_ms(came_ms, *SLOT, Priority.NONE, ORDER) == place


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("110105196611300029", Priority.ELDERLY),  # sixty today
        ("110105196612010029", Priority.NONE),  # tomorrow
        ("110105190002290029", Priority.NONE),  # no such day
        ("H10000001", Priority.NONE),
        (None, Priority.NONE),
    ],
)
def test_who_is_elderly_a_number_tells(number: str | None, found: Priority) -> None:
    assert priority_of(Priority.NONE, number, TODAY, ORDER) is found


def test_what_is_declared_stands() -> None:
    elderly = "110105195001010029"
    assert priority_of(Priority.DISABLED, elderly, TODAY, ORDER) is Priority.DISABLED
