"""Ratings come in: one for each ticket, case or visit, whatever was sent how often.

The subject is unique in the database, so that neither two machines nor a machine that tells again
what it kept can rate twice. A ticket that is rated is `rated`; a bad rating begins its call back.
All of it is one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from affairs.offline import take_each, unsealed
from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue import rows
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.said import Said, sealed
from affairs.ratings.tables import call_backs, ratings
from affairs.sealing import Sealer
from affairs.store import Store, tickets
from hallkit.model.ids import new_id
from hallkit.model.rating import RatedKind, RatingLevel
from hallkit.model.ticket import TicketState
from hallkit.runtime.clock import Clock, local_date
from hallkit.store.retention import DAY_MS
from hallkit.wire.ratings_api import (
    OfflineRating,
    OfflineRatings,
    OfflineRatingsTaken,
    RatedSubject,
    RatingGiven,
    RatingRequest,
)

_OLDEST_MS = 30 * DAY_MS
"""So long a machine keeps a rating: what it says to be older has a wrong clock."""


@dataclass(frozen=True, slots=True)
class CaseStanding:
    """What a rating needs to know of a case."""

    is_decided: bool
    service: str
    """Key of the queue's service; empty if it has none."""
    is_known: bool
    """Whoever applied gave a name."""


class CaseStates(Protocol):
    """Who has the cases."""

    def standing(self, connection: sa.Connection, case_id: str) -> CaseStanding | None:
        """None if there is no such case."""
        ...


@dataclass(frozen=True, slots=True)
class Rater:
    """Who tells of a rating: a machine, or a device at a window."""

    device: str
    window: int | None = None
    """It speaks for those who were served there, and for nobody else."""


@dataclass(frozen=True, slots=True)
class _Rated:
    service: str = ""
    window: int | None = None
    is_known: bool = False


class Ratings:
    def __init__(
        self,
        store: Store,
        *,
        call_backs: CallBacks,
        cases: CaseStates | None,
        once: Once,
        sealer: Sealer,
        submissions_key: X25519PrivateKey,
        clock: Clock,
    ) -> None:
        """`cases`: None where there are none; nobody can rate one then."""
        self._store = store
        self._call_backs = call_backs
        self._cases = cases
        self._once = once
        self._sealer = sealer
        self._key = submissions_key
        self._clock = clock

    async def give(self, request: RatingRequest, *, rater: Rater, key: str) -> RatingGiven:
        """Keep a rating, or the one that this key gave before.

        `Refused` where there is nothing to rate, not yet, or it was rated.
        """

        def work(connection: sa.Connection) -> RatingGiven:
            return self._give(connection, request, rater, key)

        given = await self._store.transaction(work)
        if given.level.is_bad and not given.again:
            self._call_backs.changed.set()
        return given

    async def take(self, given: OfflineRatings, *, rater: Rater) -> OfflineRatingsTaken:
        """Keep what a machine kept. To tell it twice changes nothing: its id is its key."""

        def take(connection: sa.Connection, one: OfflineRating) -> None:
            request = unsealed(RatingRequest, one.sealed, self._key, subject=one.rating)
            self._give(connection, request, rater, one.rating)

        def work(connection: sa.Connection) -> OfflineRatingsTaken:
            taken, refused = take_each(
                given.ratings, name=lambda one: one.rating, take=lambda one: take(connection, one)
            )
            return OfflineRatingsTaken(taken=taken, refused=refused)

        answer = await self._store.transaction(work)
        if answer.taken:
            self._call_backs.changed.set()  # what is in them, only their rows say
        return answer

    def _give(
        self, connection: sa.Connection, request: RatingRequest, rater: Rater, key: str
    ) -> RatingGiven:
        done = self._once.do(
            connection,
            device=rater.device,
            key=key,
            kind="rating",
            content=canonical(request),
            work=lambda: self._insert(connection, request, rater),
        )
        row = connection.execute(
            sa.select(ratings, call_backs.c.due_at_ms)
            .outerjoin(call_backs, call_backs.c.rating_id == ratings.c.id)
            .where(ratings.c.id == done.subject)
        ).one()
        return RatingGiven(
            rating=row.id,
            subject=RatedSubject(kind=RatedKind(row.subject_kind), id=row.subject_id),
            level=RatingLevel(row.level),
            call_back_by_ms=row.due_at_ms,
            again=done.again,
        )

    def _insert(self, connection: sa.Connection, request: RatingRequest, rater: Rater) -> str:
        now_ms = self._clock.wall_ms()
        rated_ms = min(max(request.rated_at_ms, now_ms - _OLDEST_MS), now_ms)
        rated = self._rate(connection, request.subject, rater, now_ms)
        rating_id = new_id()
        said = Said(words=request.words, contact=request.contact)
        connection.execute(
            ratings.insert().values(
                id=rating_id,
                subject_kind=request.subject.kind.value,
                subject_id=request.subject.id,
                level=request.level.value,
                tags=",".join(tag.value for tag in request.tags),
                channel=request.channel.value,
                device=rater.device,
                service=rated.service,
                window=rated.window,
                day=local_date(rated_ms),
                rated_at_ms=rated_ms,
                received_at_ms=now_ms,
                request=sealed(self._sealer, rating_id, said),
                free_at_ms=None if request.level.is_bad else now_ms,
            )
        )
        if request.level.is_bad:
            is_known = rated.is_known or bool(request.contact)
            self._call_backs.begin(connection, rating_id, is_known=is_known)
        return rating_id

    def _rate(
        self, connection: sa.Connection, subject: RatedSubject, rater: Rater, now_ms: int
    ) -> _Rated:
        """Whether it can be rated, and what is known of it; all refusals are before any write."""
        if rater.window is not None and subject.kind is not RatedKind.TICKET:
            raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)
        rated = connection.execute(
            sa.select(ratings.c.id).where(
                ratings.c.subject_kind == subject.kind.value, ratings.c.subject_id == subject.id
            )
        ).one_or_none()
        if rated is not None:
            raise Refused(ProblemCode.RATING_EXISTS)
        match subject.kind:
            case RatedKind.TICKET:
                return self._rate_ticket(connection, subject.id, rater, now_ms)
            case RatedKind.CASE:
                return self._rate_case(connection, subject.id)
            case RatedKind.VISIT:
                return _Rated()

    def _rate_ticket(
        self, connection: sa.Connection, ticket_id: str, rater: Rater, now_ms: int
    ) -> _Rated:
        row = connection.execute(sa.select(tickets).where(tickets.c.id == ticket_id)).one_or_none()
        if row is None:
            raise Refused(ProblemCode.RATED_UNKNOWN)
        if rater.window not in (None, row.window):
            raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)
        if row.state == TicketState.RATED:
            raise Refused(ProblemCode.RATING_EXISTS)
        if row.state != TicketState.SERVED:
            raise Refused(ProblemCode.RATING_NOT_YET)
        rows.move(connection, row, TicketState.RATED, at_ms=now_ms)
        return _Rated(row.queue, row.window, is_known=row.applicant_mac is not None)

    def _rate_case(self, connection: sa.Connection, case_id: str) -> _Rated:
        case = self._cases.standing(connection, case_id) if self._cases is not None else None
        if case is None:
            raise Refused(ProblemCode.RATED_UNKNOWN)
        if not case.is_decided:
            raise Refused(ProblemCode.RATING_NOT_YET)
        return _Rated(case.service, is_known=case.is_known)
