"""好差评 at the business node. Faults as in `hallkit.clients.affairs`."""

from __future__ import annotations

import datetime as dt

from hallkit.clients.affairs import RETRY_FOR_S, AffairsClient
from hallkit.model.ids import new_id
from hallkit.wire.ratings_api import (
    OFFLINE_RATINGS,
    RATINGS,
    RATINGS_SUMMARY,
    OfflineRatings,
    OfflineRatingsTaken,
    RatingGiven,
    RatingRequest,
    RatingsSummary,
)


class RatingsClient:
    def __init__(self, affairs: AffairsClient) -> None:
        self._affairs = affairs

    async def give(
        self, request: RatingRequest, idempotency_key: str, *, retry_for_s: float = RETRY_FOR_S
    ) -> RatingGiven:
        """Rate. After `LinkDown` it may stand: repeat with the same key, never another."""
        return await self._affairs.write(
            RatingGiven, RATINGS, request, idempotency_key, retry_for_s=retry_for_s
        )

    async def take_offline(self, given: OfflineRatings) -> OfflineRatingsTaken:
        """What the machine kept. To tell it twice changes nothing."""
        return await self._affairs.write(
            OfflineRatingsTaken, OFFLINE_RATINGS, given, new_id(), retry_for_s=0
        )

    async def summary(self, day: dt.date | None = None) -> RatingsSummary:
        """A day's ratings, counted."""
        query = f"?day={day.isoformat()}" if day is not None else ""
        return await self._affairs.ask(RatingsSummary, "GET", f"{RATINGS_SUMMARY}{query}")
