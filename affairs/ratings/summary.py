"""What a day's visitors thought, counted: for boards and supervisors."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import sqlalchemy as sa

from affairs.ratings.tables import call_backs, ratings
from affairs.store import Store
from hallkit.model.rating import CallBackState, RatingLevel
from hallkit.runtime.clock import Clock, local_date
from hallkit.wire.ratings_api import LevelCounts, RatingsSummary, ServiceRatings


class Satisfaction:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def of_day(self, day: dt.date | None = None) -> RatingsSummary:
        """Of a day, else of today."""
        return await self._store.transaction(lambda connection: self.read_day(connection, day))

    def read_day(self, connection: sa.Connection, day: dt.date | None = None) -> RatingsSummary:
        """The same, in a transaction of the caller."""
        now_ms = self._clock.wall_ms()
        that_day = day or local_date(now_ms)
        by_service: dict[str, Counter[RatingLevel]] = {}
        for row in connection.execute(
            sa.select(ratings.c.service, ratings.c.level, sa.func.count().label("times"))
            .where(ratings.c.day == that_day)
            .group_by(ratings.c.service, ratings.c.level)
        ):
            counts = by_service.setdefault(row.service, Counter())
            counts[RatingLevel(row.level)] += row.times
        all_of_it = sum(by_service.values(), Counter[RatingLevel]())
        is_open = call_backs.c.state.in_([CallBackState.OPEN.value, CallBackState.TAKEN.value])
        open_ = connection.execute(
            sa.select(
                sa.func.count(),
                sa.func.count(call_backs.c.overdue_at_ms),
            ).where(is_open)
        ).one()
        return RatingsSummary(
            day=that_day,
            counts=_counts(all_of_it),
            total=all_of_it.total(),
            satisfied_share=_share(all_of_it) if all_of_it else None,
            services=tuple(
                ServiceRatings(
                    service=service,
                    counts=_counts(counts),
                    total=counts.total(),
                    satisfied_share=_share(counts),
                )
                for service, counts in sorted(by_service.items())
            ),
            call_backs_open=open_[0],
            call_backs_overdue=open_[1],
            as_of_ms=now_ms,
        )


def _counts(counts: Counter[RatingLevel]) -> LevelCounts:
    return LevelCounts.model_validate({level.value: counts[level] for level in RatingLevel})


def _share(counts: Counter[RatingLevel]) -> float:
    satisfied = sum(times for level, times in counts.items() if not level.is_bad)
    return satisfied / counts.total()
