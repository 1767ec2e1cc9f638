"""A system that fails is left alone, tried by one for all, and trusted again when it answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from affairs.upstreams.breaker import Breaker, Circuit, Leave


def leave(breaker: Breaker, now_s: float = 0.0) -> Leave:
    given = breaker.admit(now_s)
    assert given is not None
    return given


def opened(rests: int = 1) -> tuple[Breaker, float]:
    """A breaker in its n-th rest, and when that began."""
    breaker, now_s = Breaker(limit=3, rest_s=2.0, rest_cap_s=16.0), 0.0
    for _ in range(3):
        breaker.failed(leave(breaker), now_s)
    for _ in range(rests - 1):
        now_s += breaker.rest_left_s(now_s)
        breaker.failed(leave(breaker, now_s), now_s)
    return breaker, now_s


def test_it_opens_after_failures_in_a_row_and_not_before() -> None:
    breaker = Breaker(limit=3)
    for _ in range(2):
        breaker.failed(leave(breaker), 0.0)
    assert breaker.doubted
    breaker.succeeded(leave(breaker))
    for _ in range(2):
        breaker.failed(leave(breaker), 0.0)
    assert breaker.circuit is Circuit.CLOSED
    breaker.failed(leave(breaker), 0.0)
    assert breaker.circuit is Circuit.OPEN


def test_while_it_is_open_nobody_asks() -> None:
    breaker, now_s = opened()
    assert breaker.admit(now_s + 1.9) is None
    assert breaker.rest_left_s(now_s + 1.5) == 0.5


def test_after_the_rest_one_tries_for_all() -> None:
    breaker, now_s = opened()
    first = leave(breaker, now_s + 2.0)
    assert breaker.circuit is Circuit.HALF_OPEN
    assert breaker.admit(now_s + 2.0) is None
    breaker.succeeded(first)
    assert breaker.circuit is Circuit.CLOSED
    assert breaker.admit(now_s + 2.0) is not None


def test_who_tries_and_goes_away_leaves_the_try_to_the_next() -> None:
    breaker, now_s = opened()
    breaker.withdrawn(leave(breaker, now_s + 2.0))
    assert breaker.admit(now_s + 2.0) is not None


def test_each_rest_is_twice_the_last_up_to_the_cap() -> None:
    rests = [opened(n)[0].rest_left_s(opened(n)[1]) for n in range(1, 7)]
    assert rests == [2.0, 4.0, 8.0, 16.0, 16.0, 16.0]


def test_a_sign_of_life_closes_it_and_only_an_answer_shortens_the_next_rest() -> None:
    for alive, rest_s in ((True, 4.0), (False, 2.0)):
        breaker, now_s = opened()
        breaker.succeeded(leave(breaker, now_s + 2.0), sign_of_life=alive)
        assert breaker.circuit is Circuit.CLOSED
        for _ in range(3):
            breaker.failed(leave(breaker), 10.0)
        assert breaker.rest_left_s(10.0) == rest_s


def test_signs_of_life_between_failures_do_not_hide_them() -> None:
    breaker = Breaker(limit=3)
    for _ in range(3):
        breaker.failed(leave(breaker), 0.0)
        given = breaker.admit(0.0)
        if given is not None:
            breaker.succeeded(given, sign_of_life=True)
    assert breaker.circuit is Circuit.OPEN


def test_what_comes_back_from_before_a_change_is_not_heard() -> None:
    breaker = Breaker(limit=3)
    late_good, late_bad = leave(breaker), leave(breaker)
    for _ in range(3):
        breaker.failed(leave(breaker), 0.0)
    breaker.succeeded(late_good)
    assert breaker.circuit is Circuit.OPEN
    trial = leave(breaker, 2.0)
    breaker.failed(late_bad, 2.0)
    breaker.withdrawn(late_bad)
    assert breaker.admit(2.0) is None
    breaker.succeeded(trial)
    assert breaker.circuit is Circuit.CLOSED


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["admit", "succeeded", "alive", "failed", "withdrawn", "later"]),
        st.integers(0, 5),
    ),
    max_size=60,
)


@given(STEPS)
def test_whatever_happens_one_at_a_time_tries_and_somebody_can(
    steps: list[tuple[str, int]],
) -> None:
    breaker, now_s, out = Breaker(limit=2, rest_s=2.0, rest_cap_s=8.0), 0.0, list[Leave]()
    for what, number in steps:
        if what == "later":
            now_s += number
        elif what == "admit":
            rests = breaker.rest_left_s(now_s) > 0
            given_ = breaker.admit(now_s)
            assert not (rests and given_), "nobody asks while it rests"
            out += [given_] if given_ else []
        elif out:
            leave_ = out.pop(number % len(out))
            match what:
                case "failed":
                    breaker.failed(leave_, now_s)
                case "withdrawn":
                    breaker.withdrawn(leave_)
                case _:
                    breaker.succeeded(leave_, sign_of_life=what == "alive")
        trials = [one for one in out if one.age == breaker._age]
        assert breaker.circuit is not Circuit.HALF_OPEN or len(trials) <= 1
        assert breaker.rest_left_s(now_s) <= 8.0
    for leave_ in out:
        breaker.withdrawn(leave_)
    assert breaker.admit(now_s + 8.0) is not None, "it is never shut for good"
