"""`[affairs.ratings]`: working time, and until when somebody looks into a bad rating. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from affairs.queue.hours import Hours
from hallkit.runtime.config import Section

_EVERY_DAY = frozenset(range(7))
_SATURDAY = 5
_DAY = dt.timedelta(days=1)


class RatingRules(Section):
    """`[affairs.ratings]`."""

    real_name_days: Annotated[int, Field(ge=1, le=15)] = 1
    """Working days for the bad rating of somebody whom we know or can call."""
    call_back_hours: Annotated[float, Field(gt=0, le=200)] = 35.0
    """Working hours for a bad rating of nobody whom we know: it is looked into all the same."""
    hours: Annotated[tuple[str, ...], Field(min_length=1)] = ("09:00-12:00", "13:00-17:00")
    """When the hall's staff work."""
    holidays: tuple[dt.date, ...] = ()
    working_weekends: tuple[dt.date, ...] = ()
    """调休: Saturdays and Sundays on which they work."""
    words_days: Annotated[int, Field(ge=1, le=365)] = 30
    """Words and telephone go so long after nobody needs them any more."""

    @field_validator("hours")
    @classmethod
    def _hours_can_be(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        Hours.parse(hours)
        return hours

    def due(self, rated: dt.datetime, *, is_known: bool) -> dt.datetime:
        """Until when it is to be looked into."""
        spans = Hours.parse(self.hours).spans
        working = WorkingTime(
            Hours(spans, _EVERY_DAY), frozenset(self.holidays), frozenset(self.working_weekends)
        )
        if is_known:
            return working.end_after_days(rated, self.real_name_days)
        return working.after_hours(rated, self.call_back_hours)


@dataclass(frozen=True, slots=True)
class WorkingTime:
    """The same hours on every working day."""

    hours: Hours
    holidays: frozenset[dt.date] = frozenset()
    working_weekends: frozenset[dt.date] = frozenset()

    def is_working(self, day: dt.date) -> bool:
        if day in self.holidays:
            return False
        return day.weekday() < _SATURDAY or day in self.working_weekends

    def end_after_days(self, now: dt.datetime, days: int) -> dt.datetime:
        """When so many working days after today are over; today does not count."""
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(days):
            day = self._next_working(day)
        return day + dt.timedelta(seconds=self.hours.spans[-1][1])

    def after_hours(self, now: dt.datetime, hours: float) -> dt.datetime:
        """When staff have worked so many hours from now on."""
        left_s = hours * 3600
        moment = now if self.is_working(now.date()) else self._next_working(now)
        while (wait_s := self.hours.wait_s(moment, left_s)) is None:
            left_s -= self.hours.left_s(moment)
            moment = self._next_working(moment)
        return moment + dt.timedelta(seconds=wait_s)

    def _next_working(self, now: dt.datetime) -> dt.datetime:
        """The beginning of the next working day."""
        day = now.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        while not self.is_working(day.date()):
            day += _DAY
        return day
