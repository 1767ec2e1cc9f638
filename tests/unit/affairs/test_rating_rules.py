"""Working time: until when somebody looks into a bad rating."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from affairs.ratings.rules import RatingRules
from hallkit.runtime.clock import HALL_ZONE


def at(day: int, hour: int, minute: int = 0) -> dt.datetime:
    """In January 2025: the first is a Wednesday and a holiday."""
    return dt.datetime(2025, 1, day, hour, minute, tzinfo=HALL_ZONE)


@pytest.mark.parametrize(
    ("rated", "due"),
    [
        (at(2, 12), at(3, 17)),
        (at(2, 23, 59), at(3, 17)),
        (at(3, 9), at(6, 17)),  # the weekend is between
        (at(4, 9), at(6, 17)),
    ],
)
def test_whoever_is_known_is_called_by_the_end_of_the_next_working_day(
    rated: dt.datetime, due: dt.datetime
) -> None:
    assert RatingRules().due(rated, is_known=True) == due


def test_holidays_and_working_weekends_count_as_they_are() -> None:
    rules = RatingRules.model_validate(
        {"holidays": ["2025-01-28", "2025-01-29"], "working_weekends": ["2025-01-26"]}
    )
    assert rules.due(at(25, 10), is_known=True) == at(26, 17)
    assert rules.due(at(27, 10), is_known=True) == at(30, 17)


@pytest.mark.parametrize(
    ("rated", "hours", "due"),
    [
        (at(2, 9), 2.0, at(2, 11)),
        (at(2, 11), 2.0, at(2, 14)),  # lunch
        (at(2, 16), 2.0, at(3, 10)),
        (at(3, 16), 9.0, at(7, 10)),
        (at(4, 16), 0.5, at(6, 9, 30)),
        (at(2, 9), 7.0, at(3, 9)),  # what ends with the day is over when the next begins
    ],
)
def test_otherwise_hours_of_work_count(rated: dt.datetime, hours: float, due: dt.datetime) -> None:
    assert RatingRules(call_back_hours=hours).due(rated, is_known=False) == due


@given(
    st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2030, 1, 1)),  # noqa: DTZ001  # put there
    st.floats(0.1, 200),
    st.floats(0.1, 50),
)
def test_more_hours_are_never_earlier(naive: dt.datetime, hours: float, more: float) -> None:
    rated = naive.replace(tzinfo=HALL_ZONE)
    first = RatingRules(call_back_hours=hours).due(rated, is_known=False)
    second = RatingRules(call_back_hours=min(200.0, hours + more)).due(rated, is_known=False)
    assert rated < first <= second


@pytest.mark.parametrize("hours", [(), ("9-5",), ("13:00-17:00", "09:00-12:00")])
def test_hours_that_are_none_are_refused(hours: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="hours"):
        RatingRules(hours=hours)
