"""Whatever happens in whatever order, no file goes to the printer that may not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.print_guard import (
    Arrived,
    Destroy,
    Ended,
    Event,
    Guard,
    JobMade,
    Order,
    Permitted,
    Print,
    Redeemed,
    Refused,
    Tell,
    VisitOver,
    after,
)
from hallkit.model.licence import PrintOutcome

GUARD = Guard(visit="v1", person="p1")
RIGHT: tuple[Event, ...] = (
    Permitted("v1", "p1", "a", "sha-a"),
    Arrived("v1", "a", "sha-a"),
    JobMade("v1", "a", "job-1"),
    Redeemed("v1", "p1", "a", "job-1", "sha-a", 1),
)
PRINT = Print("a", "job-1", "sha-a")

visits = st.sampled_from(["v1", "v1", "v1", "v2"])
persons = st.sampled_from(["p1", "p1", "p1", "p2"])
permits = st.sampled_from(["a", "b"])
shas = st.sampled_from(["sha-a", "sha-b"])
jobs = st.sampled_from(["job-1", "job-2"])
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Permitted, visits, persons, permits, shas),
    st.builds(Arrived, visits, permits, shas),
    st.builds(JobMade, visits, permits, jobs),
    st.builds(Redeemed, visits, persons, permits, jobs, shas, st.integers(1, 3)),
    st.builds(Ended, visits, jobs, st.sampled_from(PrintOutcome)),
    st.builds(Refused, visits, permits),
    st.builds(VisitOver, visits),
)
days = st.lists(st.one_of(events, st.sampled_from(RIGHT)), max_size=30)


def run(told: Any, guard: Guard = GUARD) -> tuple[Guard, list[tuple[Event, Order]]]:
    """What was ordered, each with the event that led to it."""
    ordered: list[tuple[Event, Order]] = []
    for event in told:
        guard, orders = after(guard, event)
        ordered += [(event, order) for order in orders]
    return guard, ordered


def test_the_right_file_goes_to_the_printer_once_and_is_gone_afterwards() -> None:
    _, ordered = run((*RIGHT, Ended("v1", "job-1", PrintOutcome.COMPLETED), VisitOver("v1")))
    assert [order for _, order in ordered] == [
        PRINT,
        Tell("a", 1, PrintOutcome.COMPLETED),
        Destroy(("a",)),
        Destroy(("a",)),
    ]


def test_what_did_not_start_may_go_once_more_as_another_job() -> None:
    guard, _ = run((*RIGHT, Ended("v1", "job-1", PrintOutcome.NOT_STARTED)))
    again = (JobMade("v1", "a", "job-2"), Redeemed("v1", "p1", "a", "job-2", "sha-a", 2))
    assert [order for _, order in run(again, guard)[1]] == [replace(PRINT, job="job-2")]


def test_without_the_nodes_yes_nothing_goes() -> None:
    assert run(RIGHT[:3])[1] == []


def test_each_thing_that_is_another_one_destroys_and_prints_nothing() -> None:
    last = RIGHT[-1]
    assert isinstance(last, Redeemed)
    changes: tuple[dict[str, Any], ...] = (
        *({"visit": "v2"}, {"person": "p2"}, {"permit": "b"}),
        *({"job": "job-2"}, {"sha256": "sha-b"}, {"attempt": 0}),
    )
    for change in changes:
        guard, ordered = run((*RIGHT[:3], replace(last, **change)))
        (destroyed,) = (order for _, order in ordered)
        assert isinstance(destroyed, Destroy)
        assert "a" in destroyed.permits, change
        assert guard.is_over
        assert run(RIGHT, guard)[1] == [(event, Destroy(("a",))) for event in RIGHT]


def test_an_outcome_of_a_visit_that_is_over_is_told() -> None:
    guard, _ = run((*RIGHT, VisitOver("v1")))
    _, ordered = run((Ended("v1", "job-1", PrintOutcome.NOT_STARTED),), guard)
    assert [order for _, order in ordered] == [
        Tell("a", 1, PrintOutcome.NOT_STARTED),
        Destroy(("a",)),
    ]


@given(days)
def test_only_what_was_permitted_for_this_person_is_printed_and_each_yes_once(
    told: list[Event],
) -> None:
    guard, yeses = GUARD, Counter[tuple[str, int]]()
    for place, event in enumerate(told):
        before = told[:place]
        guard, orders = after(guard, event)
        for order in (one for one in orders if isinstance(one, Print)):
            assert isinstance(event, Redeemed)
            assert Permitted("v1", "p1", order.permit, order.sha256) in before
            assert Arrived("v1", order.permit, order.sha256) in before
            assert JobMade("v1", order.permit, order.job) in before
            assert (event.visit, event.person) == ("v1", "p1")
            assert (event.permit, event.job, event.sha256) == (
                order.permit,
                order.job,
                order.sha256,
            )
            yeses[order.permit, event.attempt] += 1
    assert all(count == 1 for count in yeses.values())


@given(days, events)
def test_after_any_doubt_nothing_is_printed_any_more(told: list[Event], rest: Event) -> None:
    guard, _ = run((*told, VisitOver("v2")))
    assert guard.is_over
    assert not [order for _, order in run([rest, *RIGHT], guard)[1] if isinstance(order, Print)]


@given(days)
def test_all_bytes_of_a_visit_are_destroyed_in_the_end(told: list[Event]) -> None:
    end = VisitOver("v1")
    _, ordered = run((*told, end))
    came = {event.permit for event in told if isinstance(event, Arrived)}
    destroyed = {
        permit for _, order in ordered if isinstance(order, Destroy) for permit in order.permits
    }
    assert came <= destroyed
