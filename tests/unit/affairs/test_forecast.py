"""How long it takes: the queue played through."""

from __future__ import annotations

import pytest

from affairs.queue.forecast import Desk, Waiting, length_s, waits_s

A, B = frozenset({"a"}), frozenset({"b"})
LENGTHS = {"a": 100.0, "b": 50.0}


def queue(*services: str) -> list[Waiting]:
    return [Waiting(str(number), service) for number, service in enumerate(services)]


def waits(desks: list[Desk], *services: str) -> list[float]:
    found = waits_s(queue(*services), desks, LENGTHS)
    return [found[str(number)] for number in range(len(services))]


def test_one_window_takes_one_after_the_other() -> None:
    assert waits([Desk(A)], "a", "a", "a") == [0, 100, 200]


def test_two_windows_take_two_at_once() -> None:
    assert waits([Desk(A), Desk(A)], "a", "a", "a", "a") == [0, 0, 100, 100]


def test_who_is_at_a_window_takes_their_time() -> None:
    assert waits([Desk(A, "a", busy_s=30)], "a") == [70]


def test_who_has_been_there_long_will_not_go_at_once() -> None:
    (wait,) = waits([Desk(A, "a", busy_s=500)], "a")
    assert 0 < wait < 100


def test_a_window_for_both_takes_whoever_is_first() -> None:
    assert waits([Desk(A | B)], "a", "b", "a") == [0, 100, 150]


def test_a_window_passes_over_those_whom_it_does_not_serve() -> None:
    assert waits([Desk(A), Desk(B)], "a", "a", "b") == [0, 100, 0]


def test_nobody_can_tell_where_no_window_is_open() -> None:
    assert waits_s(queue("a", "b"), [Desk(B)], LENGTHS) == {"1": 0}
    assert waits_s(queue("a"), [], LENGTHS) == {}


def test_a_day_without_anybody_goes_by_what_is_usual() -> None:
    assert length_s(480, []) == 480


def test_the_day_teaches() -> None:
    assert length_s(480, [120] * 60) == pytest.approx(120, rel=0.15)
    slow_morning, quick_afternoon = [600.0] * 30, [120.0] * 30
    assert length_s(480, slow_morning + quick_afternoon) < 360


def test_a_forgotten_key_is_no_hour_long_case() -> None:
    assert length_s(480, [86_400]) < 1000
