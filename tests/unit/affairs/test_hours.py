"""A wait runs only while the windows are open."""

from __future__ import annotations

import datetime as dt

import pytest

from affairs.queue.hours import Hours
from hallkit.runtime.clock import HALL_ZONE

HOURS = Hours.parse(("09:00-12:00", "13:00-17:00"))
MINUTE = 60


def at(hour: int, minute: int = 0, *, day: int = 30) -> dt.datetime:
    """30 November 2026 is a Monday."""
    return dt.datetime(2026, 11, day, hour, minute, tzinfo=HALL_ZONE)


@pytest.mark.parametrize(
    ("now", "open_minutes", "minutes"),
    [
        (at(9), 0, 0),
        (at(9), 30, 30),
        (at(8), 30, 90),  # an hour until they open
        (at(11, 50), 20, 80),  # over lunch
        (at(12, 30), 5, 35),
        (at(16, 50), 9, 9),
        (at(9), 7 * 60 - 1, 8 * 60 - 1),
    ],
)
def test_it_waits_for_the_doors(now: dt.datetime, open_minutes: int, minutes: int) -> None:
    assert HOURS.wait_s(now, open_minutes * MINUTE) == minutes * MINUTE


@pytest.mark.parametrize(
    ("now", "open_minutes"),
    [(at(16, 50), 10), (at(17), 0), (at(22), 1), (at(10, day=29), 1)],
    ids=["too long", "closed", "at night", "on Sunday"],
)
def test_what_is_not_today_any_more_is_said(now: dt.datetime, open_minutes: int) -> None:
    assert HOURS.wait_s(now, open_minutes * MINUTE) is None


@pytest.mark.parametrize(
    ("now", "is_open"),
    [(at(8, 59), False), (at(9), True), (at(12), False), (at(13), True), (at(10, day=28), False)],
)
def test_when_it_is_open(now: dt.datetime, *, is_open: bool) -> None:
    assert HOURS.is_open(now) is is_open


@pytest.mark.parametrize(
    "texts", [["9-12"], ["12:00-09:00"], ["09:00-12:00", "11:00-13:00"], ["09:00"], ["25:00-26:00"]]
)
def test_hours_that_cannot_be_are_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Hours.parse(texts)
