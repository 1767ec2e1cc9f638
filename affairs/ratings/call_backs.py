"""差评回访: who gave a bad rating is called back, in time, and what came of it is kept.

For the hall's staff, through pages of their own; no machine asks for any of it. A call back that is
late is seen by a timer, told, and stays marked; it still has to be done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from affairs.once import Once
from affairs.problems import ProblemCode, Refused
from affairs.ratings.rules import RatingRules
from affairs.ratings.said import Said, opened
from affairs.ratings.tables import call_backs, ratings
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.errors import StoreError
from hallkit.model.rating import (
    CallBackResult,
    CallBackState,
    RatedKind,
    RatingChannel,
    RatingLevel,
    RatingTag,
)
from hallkit.runtime.clock import Clock, local
from hallkit.runtime.log import get_logger

_LOOK_EVERY_S = 60.0
Also = Callable[[sa.Connection], None]
"""Done with something, in its transaction; what it raises undoes it."""
WORDS_LIMIT = 2000
"""Characters of a report."""


@dataclass(frozen=True, slots=True)
class CallBack:
    """A bad rating, and where its call back stands. Says nothing about the person."""

    rating: str
    kind: RatedKind
    subject: str
    level: RatingLevel
    tags: tuple[RatingTag, ...]
    channel: RatingChannel
    service: str
    window: int | None
    rated_at_ms: int
    due_at_ms: int
    state: CallBackState
    state_at_ms: int
    is_overdue: bool
    """It was not done in time."""
    taken_by: str | None
    result: CallBackResult | None


@dataclass(frozen=True, slots=True)
class CallBackFile:
    """All of it, for who took it. Personal."""

    call_back: CallBack
    said: Said
    report: str = field(repr=False)


class CallBacks:
    def __init__(
        self, store: Store, *, once: Once, rules: RatingRules, sealer: Sealer, clock: Clock
    ) -> None:
        self._store = store
        self._once = once
        self._rules = rules
        self._sealer = sealer
        self._clock = clock
        self._log = get_logger()
        self.changed = asyncio.Event()
        """Set when one is new, taken, done or late; whoever waits for it clears it."""

    # ── For the staff ────────────────────────────────────────────────────────────────────────

    async def listed(self, *, done_since_ms: int | None = None) -> tuple[CallBack, ...]:
        """What is open or taken, the most urgent first; or what was done since then."""
        chosen = (
            _OPEN
            if done_since_ms is None
            else sa.and_(
                call_backs.c.state == CallBackState.DONE.value,
                call_backs.c.state_at_ms >= done_since_ms,
            )
        )

        return await self._store.transaction(lambda connection: _listed(connection, chosen))

    def read_open(self, connection: sa.Connection) -> tuple[CallBack, ...]:
        """What is open or taken, in a transaction of the caller."""
        return _listed(connection, _OPEN)

    async def take(self, rating: str, *, by: str, key: str, also: Also | None = None) -> CallBack:
        """This account looks into it. `Refused` if another one does, or it is done."""

        def work(connection: sa.Connection, row: sa.Row[Any]) -> None:
            if row.state != CallBackState.OPEN:
                raise Refused(ProblemCode.CALL_BACK_NOT_SO)
            self._move(connection, row, CallBackState.TAKEN, taken_by=by)

        return await self._change(rating, "take", work, by=by, key=key, also=also)

    async def give_back(
        self, rating: str, *, by: str, key: str, also: Also | None = None
    ) -> CallBack:
        """Somebody else is to look into it. `Refused` unless this account has it."""

        def work(connection: sa.Connection, row: sa.Row[Any]) -> None:
            _must_have(row, by)
            self._move(connection, row, CallBackState.OPEN, taken_by=None)

        return await self._change(rating, "give_back", work, by=by, key=key, also=also)

    async def done(
        self,
        rating: str,
        *,
        by: str,
        key: str,
        result: CallBackResult,
        words: str,
        also: Also | None = None,
    ) -> CallBack:
        """What came of it. `Refused` unless this account has it."""
        report = words.strip()[:WORDS_LIMIT]

        def work(connection: sa.Connection, row: sa.Row[Any]) -> None:
            _must_have(row, by)
            sealed = self._sealer.seal(_report_of(rating), report.encode())
            self._move(connection, row, CallBackState.DONE, result=result.value, report=sealed)
            connection.execute(
                ratings.update()
                .where(ratings.c.id == rating)
                .values(free_at_ms=self._clock.wall_ms())
            )

        content = f"{result.value} {report}"
        return await self._change(rating, "done", work, by=by, key=key, also=also, content=content)

    async def read(self, rating: str, *, by: str, also: Also | None = None) -> CallBackFile:
        """What they said and how to reach them. `Refused` unless this account took it."""

        def work(connection: sa.Connection) -> CallBackFile:
            row = _row(connection, rating)
            if row.taken_by != by:
                raise Refused(ProblemCode.CALL_BACK_NOT_SO)
            if also is not None:
                also(connection)
            report = self._sealer.open(_report_of(rating), row.report) if row.report else b""
            said = opened(self._sealer, rating, row.request)
            return CallBackFile(_call_back(row), said, report.decode())

        return await self._store.transaction(work)

    # ── For the node itself ──────────────────────────────────────────────────────────────────

    def begin(self, connection: sa.Connection, rating: str, *, is_known: bool) -> None:
        """A bad rating came in: part of its own transaction. Its time runs from now on, for nobody
        could know of it before.
        """
        now_ms = self._clock.wall_ms()
        due = self._rules.due(local(now_ms), is_known=is_known)
        connection.execute(
            call_backs.insert().values(
                rating_id=rating,
                state=CallBackState.OPEN.value,
                state_at_ms=now_ms,
                due_at_ms=int(due.timestamp() * 1000),
                report=b"",
            )
        )

    async def run(self) -> None:
        """See what is late, until cancelled."""
        while True:
            try:
                await self.see_overdue()
            except StoreError as fault:
                self._log.error("call_backs.not_seen", fault=str(fault))  # expected
            await self._clock.sleep(_LOOK_EVERY_S)

    async def see_overdue(self) -> int:
        """Mark and tell those that became late since the last look; how many."""
        now_ms = self._clock.wall_ms()

        def work(connection: sa.Connection) -> int:
            late = connection.execute(
                call_backs.update()
                .where(
                    call_backs.c.state.in_([CallBackState.OPEN.value, CallBackState.TAKEN.value]),
                    call_backs.c.due_at_ms < now_ms,
                    call_backs.c.overdue_at_ms.is_(None),
                )
                .values(overdue_at_ms=now_ms)
            )
            return late.rowcount

        count = await self._store.transaction(work)
        if count:
            self._log.warning("call_backs.overdue", count=count)
            self.changed.set()
        return count

    async def _change(
        self,
        rating: str,
        do: str,
        work: Callable[[sa.Connection, sa.Row[Any]], None],
        *,
        by: str,
        key: str,
        also: Also | None,
        content: str = "",
    ) -> CallBack:
        def carry_out(connection: sa.Connection) -> str:
            work(connection, _row(connection, rating))
            if also is not None:
                also(connection)
            return rating

        def change(connection: sa.Connection) -> CallBack:
            self._once.do(
                connection,
                device=by,
                key=key,
                kind=f"call back {do}",
                content=f"{rating} {content}".encode(),
                work=lambda: carry_out(connection),
            )
            return _call_back(_row(connection, rating))

        changed = await self._store.transaction(change)
        self.changed.set()
        return changed

    def _move(
        self, connection: sa.Connection, row: sa.Row[Any], state: CallBackState, **values: Any
    ) -> None:
        """From the state that `row` shows; `Refused` where somebody else was quicker."""
        moved = connection.execute(
            call_backs.update()
            .where(call_backs.c.rating_id == row.id, call_backs.c.state == row.state)
            .values(state=state.value, state_at_ms=self._clock.wall_ms(), **values)
        )
        if moved.rowcount == 0:
            raise Refused(ProblemCode.CALL_BACK_NOT_SO)


_JOINED = sa.select(
    *(column for column in ratings.c if column.name != "free_at_ms"),
    *(column for column in call_backs.c if column.name != "rating_id"),
).join_from(call_backs, ratings, ratings.c.id == call_backs.c.rating_id)

_OPEN = call_backs.c.state.in_([CallBackState.OPEN.value, CallBackState.TAKEN.value])


def _listed(connection: sa.Connection, chosen: sa.ColumnElement[bool]) -> tuple[CallBack, ...]:
    found = connection.execute(
        _JOINED.where(chosen).order_by(call_backs.c.due_at_ms, call_backs.c.rating_id)
    )
    return tuple(_call_back(row) for row in found)


def _row(connection: sa.Connection, rating: str) -> sa.Row[Any]:
    row = connection.execute(_JOINED.where(call_backs.c.rating_id == rating)).one_or_none()
    if row is None:
        raise Refused(ProblemCode.CALL_BACK_UNKNOWN)
    return row


def _must_have(row: sa.Row[Any], account: str) -> None:
    if row.state != CallBackState.TAKEN or row.taken_by != account:
        raise Refused(ProblemCode.CALL_BACK_NOT_SO)


def _report_of(rating: str) -> str:
    return f"{rating}.report"


def _call_back(row: sa.Row[Any]) -> CallBack:
    return CallBack(
        rating=row.id,
        kind=RatedKind(row.subject_kind),
        subject=row.subject_id,
        level=RatingLevel(row.level),
        tags=tuple(RatingTag(tag) for tag in row.tags.split(",") if tag),
        channel=RatingChannel(row.channel),
        service=row.service,
        window=row.window,
        rated_at_ms=row.rated_at_ms,
        due_at_ms=row.due_at_ms,
        state=CallBackState(row.state),
        state_at_ms=row.state_at_ms,
        is_overdue=row.overdue_at_ms is not None,
        taken_by=row.taken_by,
        result=CallBackResult(row.result) if row.result else None,
    )
