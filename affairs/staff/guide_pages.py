"""The page of who goes to people that call for help: what rings, where, and what was done so far.

It is read on a telephone, by somebody who walks. What rings stands first, the loudest on top.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import JSONResponse, Response

from affairs.audit import AuditKind, AuditLog
from affairs.cases.tables import cases
from affairs.help.desk import HelpDesk, OpenCall
from affairs.help.rules import Reach
from affairs.problems import ProblemCode, Refused
from affairs.staff.item_words import ItemWords, Said, materials, said
from affairs.staff.presses import LoggedOut, carried_out, must_be_in
from affairs.staff.rights import Right
from affairs.staff.sessions import Session, Sessions
from affairs.staff.site import Ask, Drawing, Page, Tone
from affairs.staff.tables import accounts
from affairs.store import Store, tickets
from hallkit.lexicon.words import Words
from hallkit.model.hall_map import HallMap
from hallkit.model.help import HelpOutcome, HelpState
from hallkit.model.identity import mask_id_number, mask_name
from hallkit.model.ids import new_id
from hallkit.runtime.clock import Clock
from hallkit.web.live import LiveView, Pieces
from hallkit.wire.help_api import SessionSoFar

GUIDE = "/help"
_CALL = f"{GUIDE}/{{call}}"
_PIECES = ("mine", "ringing", "others")
_OUTCOMES = tuple(one for one in HelpOutcome if one is not HelpOutcome.FORGOTTEN)
"""What a person says; that a call was forgotten only the node says."""
_SEEN_KEPT = 4096
_LEVEL_TONES: Mapping[Reach, Tone] = {
    Reach.HELPERS: "attention",
    Reach.SUPERVISORS: "attention",
    Reach.EVERYBODY: "fault",
}


@dataclass(frozen=True, slots=True)
class CallsView:
    """All calls that have not ended, at one moment."""

    calls: tuple[OpenCall, ...]
    names: Mapping[str, str]
    """Account → what it is called."""
    sessions: frozenset[str]
    """Logins that stand."""


@dataclass(frozen=True, slots=True)
class SoFar:
    """What somebody did at the machine before, as the page shows it."""

    item: str
    answers: list[Said]
    materials: list[str]
    screen: str
    """Where they are, in words; empty where the page knows none."""
    ticket: str
    """Number of their ticket."""
    case: str
    """办件编号."""
    name: str
    number: str
    is_whole: bool


class CallWords:
    """Where a call comes from and why, as people say it."""

    def __init__(self, words: Words, hall_map: Callable[[], HallMap | None]) -> None:
        self._words = words
        self._hall_map = hall_map

    def place(self, call: OpenCall) -> str:
        if call.place_name.isdigit():
            return self._words("staff.window_number", number=call.place_name)
        return call.place_name or call.device

    def storey(self, call: OpenCall) -> str:
        hall = self._hall_map()
        levels = hall.levels if hall is not None else ()
        return next((one.properties.name.zh for one in levels if one.id == call.level_id), "")

    def reason(self, call: OpenCall) -> str:
        return self._words(f"staff.help.reason.{call.reason.value}")

    def told(self, call: OpenCall) -> str:
        """Who has been told."""
        return self._words(f"staff.help.reach.{call.reach.value}", level=call.level)

    def tone(self, call: OpenCall) -> Tone:
        return _LEVEL_TONES[call.reach]


class GuidePages:
    def __init__(
        self,
        *,
        store: Store,
        desk: HelpDesk,
        sessions: Sessions,
        items: ItemWords,
        call_words: CallWords,
        log: AuditLog,
        drawing: Drawing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._desk = desk
        self._rung = desk.listener()
        self._sessions = sessions
        self._items = items
        self._call_words = call_words
        self._log = log
        self._drawing = drawing
        self.live: LiveView[CallsView] = LiveView(self._read, clock)
        self._seen: dict[tuple[str, str], None] = {}

    def pages(self) -> tuple[Page, ...]:
        return (
            Page("GET", GUIDE, Right.GUIDE, self._drawn),
            Page("GET", f"{GUIDE}/events", Right.GUIDE, self._events),
            Page("POST", f"{_CALL}/orders", Right.GUIDE, self._order),
            Page("POST", f"{_CALL}/identity", Right.GUIDE, self._identity),
        )

    async def listen(self, *others: Callable[[], None]) -> None:
        """Tell the pages, and others, as soon as a call changes; until cancelled."""
        while True:
            await self._rung.wait()
            self._rung.clear()
            for touch in (self.live.touch, *others):
                touch()

    async def _read(self) -> CallsView:
        def work(connection: sa.Connection) -> CallsView:
            names = connection.execute(sa.select(accounts.c.id, accounts.c.display_name))
            return CallsView(
                calls=self._desk.read_open(connection),
                names={row.id: row.display_name for row in names},
                sessions=self._sessions.standing(connection),
            )

        return await self._store.transaction(work)

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    async def _drawn(self, ask: Ask) -> Response:
        return await self._page(ask, whole={})

    async def _page(self, ask: Ask, *, whole: Mapping[str, SessionSoFar]) -> Response:
        view = await self._read()
        told = self._told(view, ask.known)
        sofar = {one.call: await self._so_far(ask.known, one) for one in told["mine"]}
        sofar |= {call: await self._shown(found, is_whole=True) for call, found in whole.items()}
        return self._drawing.page(
            ask, "help", said=self._drawing.said(ask), key=new_id, sofar=sofar, **told
        )

    async def _events(self, ask: Ask) -> Response:
        return EventSourceResponse(self._stream(ask.known))

    def _stream(self, session: Session) -> AsyncIterator[ServerSentEvent]:
        read: dict[tuple[str, int], SoFar | None] = {}
        drawn: tuple[object, Pieces] = (None, {})

        async def pieces_of(view: CallsView) -> Pieces | None:
            if session.id not in view.sessions:
                return None
            nonlocal drawn, read
            if drawn[0] == view.calls:
                return drawn[1]
            told = self._told(view, session)
            # A further press brings what was done since.
            keys = {one.call: (one.call, one.presses) for one in told["mine"]}
            read = {
                key: read[key] if key in read else await self._so_far(session, one)
                for one in told["mine"]
                for key in (keys[one.call],)
            }
            told |= {
                "sofar": {call: read[key] for call, key in keys.items()},
                "form_token": session.form_token,
                "key": lambda: "",  # the script makes one when somebody presses
            }
            pieces = {name: self._drawing.piece(f"help_{name}", **told) for name in _PIECES}
            drawn = (view.calls, pieces)
            return pieces

        return self.live.follow(pieces_of)

    def _told(self, view: CallsView, session: Session) -> dict[str, Any]:
        me = session.account.id
        ringing = [one for one in view.calls if one.state is HelpState.CALLING]
        ringing.sort(key=lambda one: (-one.level, one.called_at_ms, one.call))
        taken = [one for one in view.calls if one.state is not HelpState.CALLING]
        return {
            "ringing_calls": ringing,
            "mine": [one for one in taken if one.helper == me],
            "others": [one for one in taken if one.helper != me],
            "names": view.names,
            "about": self._call_words,
            "outcomes": _OUTCOMES,
        }

    async def _so_far(self, session: Session, call: OpenCall) -> SoFar | None:
        """For whoever goes there alone. The log says it once for each login and call."""
        seen = (session.id, call.call)

        def also(connection: sa.Connection) -> None:
            must_be_in(self._sessions, connection, session)
            if seen not in self._seen:
                self._note(connection, session, AuditKind.HELP_SEEN, call.call)

        try:
            found = await self._desk.session(call.call, by=session.account.id, also=also)
        except (Refused, LoggedOut):
            return None  # it ended meanwhile: the next picture shows it
        while len(self._seen) >= _SEEN_KEPT:
            del self._seen[next(iter(self._seen))]
        self._seen[seen] = None
        return await self._shown(found)

    async def _shown(self, found: SessionSoFar, *, is_whole: bool = False) -> SoFar:
        text = await self._items.text(found.item) if found.item else None
        screen = f"staff.help.screen.{found.screen}"
        words = self._drawing.words
        name, number = _person(found)

        def numbers(connection: sa.Connection) -> tuple[str, str]:
            of_ticket = sa.select(tickets.c.number).where(tickets.c.id == found.ticket)
            of_case = sa.select(cases.c.number).where(cases.c.id == found.case)
            ticket, case = (connection.execute(one).scalar() for one in (of_ticket, of_case))
            return ticket or "", case or ""

        ticket, case = await self._store.transaction(numbers)
        return SoFar(
            item=self._items.name(found.item) if found.item else "",
            answers=said(text, found.answers),
            materials=materials(text, found.materials),
            screen=words(screen) if found.screen and words.has(screen) else "",
            ticket=ticket,
            case=case,
            name=name if is_whole or not name else mask_name(name),
            number=number if is_whole or not number else mask_id_number(number),
            is_whole=is_whole,
        )

    # ── Going there ──────────────────────────────────────────────────────────────────────────

    async def _order(self, ask: Ask) -> Response:
        call, account = ask.request.path_params["call"], ask.known.account
        do = ask.form.get("do", "")

        async def work(key: str) -> None:
            detail = {"help": do}
            how: dict[str, Any] = {
                "by": account.id,
                "key": key,
                "also": lambda one: self._ordered(one, ask.known, call, detail),
            }
            match do:
                case "acknowledge":
                    await self._desk.acknowledge(call, shown=account.display_name, **how)
                case "there":
                    await self._desk.there(call, **how)
                case "hand_back":
                    await self._desk.hand_back(call, **how)
                case "done" if ask.form.get("outcome") in _OUTCOMES:
                    outcome = HelpOutcome(ask.form["outcome"])
                    detail["outcome"] = outcome.value
                    await self._desk.done(call, outcome=outcome, **how)
                case _:
                    raise Refused(ProblemCode.REQUEST_INVALID)

        return self._drawing.answered(ask, await carried_out(ask, work), GUIDE)

    async def _identity(self, ask: Ask) -> Response:
        """Name and ID number whole, once, and the log says who saw them."""
        call, session = ask.request.path_params["call"], ask.known

        def also(connection: sa.Connection) -> None:
            must_be_in(self._sessions, connection, session)
            self._note(connection, session, AuditKind.IDENTITY_SEEN, call)

        try:
            found = await self._desk.session(call, by=session.account.id, also=also)
        except Refused as why:
            return self._drawing.answered(ask, why.problem_code.value, GUIDE)
        except LoggedOut as why:
            return self._drawing.answered(ask, why.code, GUIDE)
        if ask.is_script:
            name, number = _person(found)
            return JSONResponse({"ok": True, "name": name, "number": number})
        return await self._page(ask, whole={call: found})

    def _ordered(
        self, connection: sa.Connection, session: Session, call: str, detail: Mapping[str, str]
    ) -> None:
        must_be_in(self._sessions, connection, session)
        self._log.add(
            connection,
            AuditKind.HELP_ORDER,
            actor=session.account.id,
            subject=call,
            detail=detail,
        )

    def _note(
        self, connection: sa.Connection, session: Session, kind: AuditKind, call: str
    ) -> None:
        self._log.add(connection, kind, actor=session.account.id, subject=call)


def _person(found: SessionSoFar) -> tuple[str, str]:
    applicant = found.applicant
    return (applicant.name, applicant.number) if applicant is not None else ("", "")
