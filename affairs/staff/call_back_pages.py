"""差评回访: the supervisor takes a bad rating, calls back, and writes down what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from starlette.responses import Response

from affairs.audit import AuditKind, AuditLog
from affairs.problems import ProblemCode, Refused
from affairs.queue.services import Service
from affairs.ratings.call_backs import CallBack, CallBackFile, CallBacks
from affairs.staff.presses import LoggedOut, carried_out, must_be_in
from affairs.staff.rights import Right
from affairs.staff.sessions import Session, Sessions
from affairs.staff.site import Ask, Drawing, Page
from affairs.staff.tables import accounts
from affairs.store import Store
from hallkit.lexicon.words import Words
from hallkit.model.ids import new_id
from hallkit.model.rating import CallBackResult, CallBackState
from hallkit.runtime.clock import Clock, local
from hallkit.store.retention import DAY_MS

CALL_BACKS = "/call-backs"
_RESULTS = tuple(CallBackResult)
_SEEN_KEPT = 1024


class BackWords:
    """Bad ratings in words that say nothing of the person."""

    def __init__(self, words: Words, services: Mapping[str, Service]) -> None:
        self._words = words
        self._services = services

    def title(self, one: CallBack) -> str:
        level = self._words(f"rating.{one.level.value}")
        return f"{level} · {self.place(one)}"

    def place(self, one: CallBack) -> str:
        if one.window is not None:
            return self._words("staff.window_number", number=one.window)
        known = self._services.get(one.service)
        return known.name if known is not None else self._words("staff.call_backs.self_service")

    def due(self, one: CallBack) -> str:
        key = "overdue" if one.is_overdue else "due"
        return self._words(
            f"staff.call_backs.{key}", time=local(one.due_at_ms).strftime("%m-%d %H:%M")
        )

    def tags(self, one: CallBack) -> list[str]:
        return [self._words(f"rating.tag.{tag.value}") for tag in one.tags]


class CallBackPages:
    def __init__(
        self,
        *,
        store: Store,
        call_backs: CallBacks,
        sessions: Sessions,
        about: BackWords,
        log: AuditLog,
        drawing: Drawing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._call_backs = call_backs
        self._sessions = sessions
        self._about = about
        self._log = log
        self._drawing = drawing
        self._clock = clock
        self._seen: dict[tuple[str, str], None] = {}

    def pages(self) -> tuple[Page, ...]:
        return (
            Page("GET", CALL_BACKS, Right.CALL_BACK, self._drawn),
            Page("POST", f"{CALL_BACKS}/{{rating}}/orders", Right.CALL_BACK, self._order),
        )

    async def _drawn(self, ask: Ask) -> Response:
        found = await self._call_backs.listed()
        done = await self._call_backs.listed(done_since_ms=self._clock.wall_ms() - DAY_MS)
        me = ask.known.account.id
        mine = [one for one in found if one.taken_by == me]
        return self._drawing.page(
            ask,
            "call_backs",
            said=self._drawing.said(ask),
            mine=[file for one in mine if (file := await self._file(ask.known, one)) is not None],
            waiting=[one for one in found if one.state is CallBackState.OPEN],
            others=[one for one in found if one.taken_by not in {None, me}],
            done=done,
            names=await self._store.transaction(_names),
            about=self._about,
            results=_RESULTS,
            key=new_id,
        )

    async def _file(self, session: Session, one: CallBack) -> CallBackFile | None:
        """Words and telephone, for who took it. The log says it once a login and rating."""
        seen = (session.id, one.rating)

        def also(connection: sa.Connection) -> None:
            must_be_in(self._sessions, connection, session)
            if seen not in self._seen:
                self._log.add(
                    connection,
                    AuditKind.CALL_BACK_SEEN,
                    actor=session.account.id,
                    subject=one.rating,
                )

        try:
            found = await self._call_backs.read(one.rating, by=session.account.id, also=also)
        except (Refused, LoggedOut):
            return None
        while len(self._seen) >= _SEEN_KEPT:
            del self._seen[next(iter(self._seen))]
        self._seen[seen] = None
        return found

    async def _order(self, ask: Ask) -> Response:
        rating, account = ask.request.path_params["rating"], ask.known.account
        do = ask.form.get("do", "")

        async def work(key: str) -> None:
            detail = {"call_back": do}
            how: dict[str, Any] = {
                "by": account.id,
                "key": key,
                "also": lambda one: self._ordered(one, ask.known, rating, detail),
            }
            match do:
                case "take":
                    await self._call_backs.take(rating, **how)
                case "give_back":
                    await self._call_backs.give_back(rating, **how)
                case "done" if ask.form.get("result") in _RESULTS:
                    result = CallBackResult(ask.form["result"])
                    words = ask.form.get("words", "")
                    if not words.strip():
                        raise Refused(ProblemCode.REQUEST_INVALID)
                    detail["result"] = result.value
                    await self._call_backs.done(rating, result=result, words=words, **how)
                case _:
                    raise Refused(ProblemCode.REQUEST_INVALID)

        return self._drawing.answered(ask, await carried_out(ask, work), CALL_BACKS)

    def _ordered(
        self, connection: sa.Connection, session: Session, rating: str, detail: Mapping[str, str]
    ) -> None:
        must_be_in(self._sessions, connection, session)
        self._log.add(
            connection,
            AuditKind.CALL_BACK_ORDER,
            actor=session.account.id,
            subject=rating,
            detail=detail,
        )


def _names(connection: sa.Connection) -> Mapping[str, str]:
    found = connection.execute(sa.select(accounts.c.id, accounts.c.display_name))
    return {row.id: row.display_name for row in found}
