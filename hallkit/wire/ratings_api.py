"""好差评 over HTTPS: what machines say, and what boards are told."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Self

from pydantic import Field, model_validator

from hallkit.model.rating import TAGS, RatedKind, RatingChannel, RatingLevel, RatingTag
from hallkit.wire.base import Message

RATINGS = "/v1/ratings"
OFFLINE_RATINGS = f"{RATINGS}/offline"
RATINGS_SUMMARY = f"{RATINGS}/summary"

ULID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}$"
LATEST_MS = 4_102_444_800_000

WallMs = Annotated[int, Field(ge=0, le=LATEST_MS)]


class RatedSubject(Message):
    """What is rated. One rating each (一次一评)."""

    kind: RatedKind
    id: Annotated[str, Field(pattern=ULID_PATTERN)]


class RatingRequest(Message):
    """What somebody thinks of it. Words and telephone are encrypted at rest."""

    subject: RatedSubject
    level: RatingLevel
    tags: Annotated[tuple[RatingTag, ...], Field(max_length=8)] = ()
    """Of `TAGS` for this level, each once."""
    words: Annotated[str, Field(max_length=500, repr=False)] = ""
    channel: RatingChannel
    rated_at_ms: WallMs
    """The machine's clock; the node corrects what cannot be."""
    contact: Annotated[str, Field(pattern=r"^(\+?[0-9][0-9 -]{4,18}[0-9])?$", repr=False)] = ""
    """A telephone, for the call back."""

    @model_validator(mode="after")
    def _tags_fit(self) -> Self:
        if len(set(self.tags)) < len(self.tags) or not set(self.tags) <= set(TAGS[self.level]):
            raise ValueError("tags: each once, and those of the level")
        return self


class RatingGiven(Message):
    """It stands. Says nothing about the person."""

    rating: str
    subject: RatedSubject
    level: RatingLevel
    call_back_by_ms: int | None = None
    """A bad one: until then somebody looks into it."""
    again: bool = False
    """True if this key had already given it."""


class OfflineRating(Message):
    """A rating that a machine kept, with or without the node."""

    rating: Annotated[str, Field(pattern=ULID_PATTERN)]
    """Made at the machine for this one attempt, and its idempotency key."""
    sealed: Annotated[bytes, Field(max_length=8 * 1024)]
    """The `RatingRequest` as JSON, sealed to the node for this id (hallkit/wire/sealed.py)."""


class OfflineRatings(Message):
    ratings: Annotated[tuple[OfflineRating, ...], Field(min_length=1, max_length=16)]


class OfflineRatingsTaken(Message):
    taken: tuple[str, ...]
    """Stand at the node, now or since before: the machine may forget them."""
    refused: dict[str, str] = {}
    """Rating → code of the problem. `rating_exists` is the last word on it: the first one counts;
    for another reason asking again helps once it is mended."""


class LevelCounts(Message):
    """How often each level was chosen."""

    very_satisfied: int = 0
    satisfied: int = 0
    basically_satisfied: int = 0
    dissatisfied: int = 0
    very_dissatisfied: int = 0


class ServiceRatings(Message):
    service: str
    """Of a queue; empty: self-service without a number."""
    counts: LevelCounts
    total: int
    satisfied_share: float


class RatingsSummary(Message):
    """What a day's visitors thought. Counts alone."""

    day: dt.date
    counts: LevelCounts
    total: int
    satisfied_share: float | None = None
    """Of the three levels that are not bad, 0 to 1; none: nobody has said anything."""
    services: tuple[ServiceRatings, ...]
    call_backs_open: int
    """Of all days: nobody has come to an end with them yet."""
    call_backs_overdue: int
    """Of those."""
    as_of_ms: int
