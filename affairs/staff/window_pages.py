"""The page of whoever stands at a window: who is there, who comes next, and the orders.

Basic orders are forms that work without a script; each form carries the key of its one press, so
that sending it twice does nothing twice. With the script the page follows the hall.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import JSONResponse, RedirectResponse, Response

from affairs.audit import AuditKind, AuditLog
from affairs.cases.office import Office
from affairs.problems import ProblemCode, Refused
from affairs.queue.calling import Windows
from affairs.queue.services import Service
from affairs.staff.case_file import WITH_WORDS, CaseFile, CaseWords
from affairs.staff.item_words import ItemWords, Said, materials, said
from affairs.staff.presses import LoggedOut, carried_out, must_be_in
from affairs.staff.rights import Right
from affairs.staff.seats import NotStanding, Seats
from affairs.staff.sessions import Session, Sessions
from affairs.staff.site import Ask, Do, Drawing, Page
from affairs.staff.view import HallReader, HallView, TicketView, WindowView
from affairs.store import Store
from hallkit.model.identity import mask_id_number, mask_name
from hallkit.model.ids import new_id
from hallkit.web.live import LiveView, Pieces
from hallkit.wire.affairs_api import TicketCase, WindowOrder
from hallkit.wire.cases_api import CaseOrder

_WINDOW = "/windows/{number:int}"
_SEEN = "seen."
"""Before a material's key in the name of the box that is ticked for it."""
LISTED = 10
"""So many of those who wait are shown; the others are counted."""
_SEEN_KEPT = 4096
_PIECES = ("state", "now", "orders", "file", "case", "waiting", "skipped")


@dataclass(frozen=True, slots=True)
class Case:
    """What whoever is at the window has said, as the page shows it."""

    answers: list[Said]
    materials: list[str]
    name: str
    number: str
    is_whole: bool
    """Name and ID number are shown whole: somebody asked for it, and the log says who."""


class WindowPages:
    def __init__(
        self,
        *,
        store: Store,
        windows: Windows,
        office: Office,
        case_words: CaseWords,
        services: Mapping[str, Service],
        reader: HallReader,
        live: LiveView[HallView],
        sessions: Sessions,
        seats: Seats,
        items: ItemWords,
        log: AuditLog,
        drawing: Drawing,
    ) -> None:
        self._store = store
        self._windows = windows
        self._office = office
        self._case_words = case_words
        self._services = services
        self._reader = reader
        self._live = live
        self._sessions = sessions
        self._seats = seats
        self._items = items
        self._log = log
        self._drawing = drawing
        self._seen: dict[tuple[str, str], None] = {}

    def pages(self) -> tuple[Page, ...]:
        return (
            Page("GET", "/windows", Right.SERVE, self._choose),
            Page("POST", f"{_WINDOW}/stand", Right.SERVE, self._within(self._stand)),
            Page("POST", "/leave", Right.SERVE, self._leave),
            Page("GET", _WINDOW, Right.SERVE, self._within(self._drawn)),
            Page("GET", f"{_WINDOW}/events", Right.SERVE, self._within(self._events)),
            Page("POST", f"{_WINDOW}/orders", Right.SERVE, self._within(self._order)),
            Page("POST", f"{_WINDOW}/case", Right.SERVE, self._within(self._case_order)),
            Page("POST", f"{_WINDOW}/identity", Right.SEE_PERSON, self._within(self._identity)),
        )

    def _within(self, do: Do) -> Do:
        """For windows of the hall at which this person may stand, and no other."""

        async def page(ask: Ask) -> Response:
            number = ask.request.path_params["number"]
            if self._reader.has_window(number) and ask.known.account.may_stand_at(number):
                return await do(ask)
            return self._drawing.notice(ask, 403, "not_your_window", number=number)

        return page

    # ── Which window ─────────────────────────────────────────────────────────────────────────

    async def _choose(self, ask: Ask) -> Response:
        account = ask.known.account
        hall = await self._reader.read()
        mine = [
            one
            for one in hall.windows.values()
            if account.may_stand_at(one.number) and (one.services or one.seat)
        ]
        return self._drawing.page(
            ask, "windows", windows=mine, services=self._services, tone=window_tone
        )

    async def _stand(self, ask: Ask) -> Response:
        number, account = ask.request.path_params["number"], ask.known.account
        take_over = ask.form.get("take_over") == "yes"

        def work(connection: sa.Connection) -> bool:
            return self._seats.take(connection, number, account.id, take_over=take_over)

        await self._store.transaction(work)  # the page itself says who stands there
        self._live.touch()
        return RedirectResponse(f"/windows/{number}", 303)

    async def _leave(self, ask: Ask) -> Response:
        account = ask.known.account
        await self._store.transaction(lambda connection: self._seats.leave(connection, account.id))
        self._live.touch()
        return RedirectResponse("/windows", 303)

    # ── The window ───────────────────────────────────────────────────────────────────────────

    async def _drawn(
        self, ask: Ask, *, status: int = 200, whole: TicketCase | None = None
    ) -> Response:
        hall = await self._reader.read()
        session, number = ask.known, ask.request.path_params["number"]
        window = hall.windows[number]
        case = await self._case(session, window) if whole is None else await self._shown(whole)
        if whole is not None and case is not None:
            case = Case(case.answers, case.materials, *_person(whole), is_whole=True)
        told = self._told(session, hall, window, case)
        told["file"] = await self._file(session, window)
        return self._drawing.page(
            ask,
            "window",
            status=status,
            said=self._drawing.said(ask),
            wanted=ask.request.query_params.get("service", ""),
            # The next person may have come meanwhile: theirs stays masked.
            whole=whole is not None
            and window.ticket is not None
            and window.ticket.id == whole.ticket,
            key=new_id,
            **told,
        )

    async def _events(self, ask: Ask) -> Response:
        return EventSourceResponse(self._stream(ask.known, ask.request.path_params["number"]))

    def _stream(self, session: Session, number: int) -> AsyncIterator[ServerSentEvent]:
        shown: dict[str, tuple[Case | None, CaseFile | None]] = {}
        drawn: tuple[object, Pieces] = (None, {})

        async def pieces_of(hall: HallView) -> Pieces | None:
            window = hall.windows.get(number)
            if session.id not in hall.sessions or window is None:
                return None
            here = _is_mine(session, window) and window.ticket is not None
            ticket = window.ticket
            key = f"{ticket.id} {ticket.case_as}" if here and ticket is not None else ""
            if key not in shown:
                shown.clear()
                read = await self._case(session, window), await self._file(session, window)
                shown[key] = read
            seen = (
                window,
                hall.waiting_for(window.services),
                hall.skipped_of(window.services),
                shown[key],
            )
            nonlocal drawn
            if drawn[0] == seen:  # a hall has many windows, and most look as a second ago
                return drawn[1]
            case, file = shown[key]
            told = self._told(session, hall, window, case)
            # No key of a press: the script makes one when somebody presses.
            told |= {"form_token": session.form_token, "key": lambda: "", "wanted": ""}
            told |= {"file": file, "whole": False}
            pieces = {name: self._drawing.piece(f"window_{name}", **told) for name in _PIECES}
            drawn = (seen, pieces)
            return pieces

        return self._live.follow(pieces_of)

    def _told(
        self, session: Session, hall: HallView, window: WindowView, case: Case | None
    ) -> dict[str, Any]:
        waiting = hall.waiting_for(window.services)
        return {
            "window": window,
            "mine": _is_mine(session, window),
            "services": self._services,
            "item_name": self._items.name,
            "waiting": waiting[:LISTED],
            "more": max(0, len(waiting) - LISTED),
            "waiting_count": len(waiting),
            "skipped": hall.skipped_of(window.services),
            "case": case,
            "tone": window_tone,
        }

    # ── Orders ───────────────────────────────────────────────────────────────────────────────

    async def _order(self, ask: Ask) -> Response:
        number, account = ask.request.path_params["number"], ask.known.account

        async def work(key: str) -> None:
            order = WindowOrder.model_validate(
                {name: ask.form[name] for name in ("do", "ticket", "service") if name in ask.form}
            )
            await self._windows.do(
                number,
                order,
                device=f"staff-{account.id}",
                key=key,
                also=self._record(ask.known, number, order),
            )

        code = await carried_out(ask, work)
        self._live.touch()
        return self._answered(ask, code)

    async def _case_order(self, ask: Ask) -> Response:
        """What is to become of the case of whoever is at the window."""
        number, account = ask.request.path_params["number"], ask.known.account

        async def work(key: str) -> None:
            do = ask.form.get("do", "")
            seen = [name.removeprefix(_SEEN) for name in ask.form if name.startswith(_SEEN)]
            order = CaseOrder.model_validate(
                {
                    "do": do,
                    "case": ask.form.get("case", ""),
                    "words": ask.form.get("words", "") if do in WITH_WORDS else "",
                    "seen": [{"key": one} for one in seen] if do == "accept" else [],
                }
            )
            await self._office.counter.do(
                number,
                order,
                device=f"staff-{account.id}",
                key=key,
                also=lambda one, case: self._note_case(one, ask.known, number, case, order.do),
            )

        code = await carried_out(ask, work)
        self._live.touch()
        return self._answered(ask, code)

    def _note_case(
        self, connection: sa.Connection, session: Session, number: int, case: str, do: str
    ) -> None:
        self._must_stand(connection, session, number)
        self._log.add(
            connection,
            AuditKind.CASE_ORDER,
            actor=session.account.id,
            subject=case,
            detail={"window": number, "case": do},
        )

    def _record(
        self, session: Session, number: int, order: WindowOrder
    ) -> Callable[[sa.Connection, str], None]:
        """With an order: it is by whoever stands there now, and the log says so."""

        def also(connection: sa.Connection, ticket: str) -> None:
            self._must_stand(connection, session, number)
            detail: dict[str, str | int] = {"window": number, "do": order.do}
            if order.service:
                detail["service"] = order.service
            self._log.add(
                connection,
                AuditKind.WINDOW_ORDER,
                actor=session.account.id,
                subject=ticket,
                detail=detail,
            )

        return also

    def _must_stand(self, connection: sa.Connection, session: Session, number: int) -> None:
        must_be_in(self._sessions, connection, session)
        self._seats.must_be(connection, number, session.account.id)

    def _answered(self, ask: Ask, code: str) -> Response:
        wanted = ask.form.get("service", "")
        keep = f"&service={wanted}" if wanted in self._services else ""  # not lost
        number = ask.request.path_params["number"]
        return self._drawing.answered(ask, code, f"/windows/{number}", keep=keep)

    # ── What somebody said ───────────────────────────────────────────────────────────────────

    async def _case(self, session: Session, window: WindowView) -> Case | None:
        """For whoever stands there alone. The log says it once for each login and ticket."""
        if not _is_mine(session, window) or window.ticket is None:
            return None
        ticket: TicketView = window.ticket
        seen = (session.id, ticket.id)

        def also(connection: sa.Connection, ticket_id: str) -> None:
            self._must_stand(connection, session, window.number)
            if (session.id, ticket_id) not in self._seen:
                self._log.add(
                    connection,
                    AuditKind.CASE_SEEN,
                    actor=session.account.id,
                    subject=ticket_id,
                    detail={"window": window.number},
                )

        try:
            found = await self._windows.case(window.number, also=also)
        except (Refused, NotStanding, LoggedOut):
            return None  # they went meanwhile: the next picture of the hall shows it
        while len(self._seen) >= _SEEN_KEPT:
            del self._seen[next(iter(self._seen))]
        self._seen[session.id, found.ticket] = None
        return await self._shown(found) if found.ticket == seen[1] else None

    async def _file(self, session: Session, window: WindowView) -> CaseFile | None:
        """The case that belongs to the ticket. The log says it once for each login and case."""
        if not _is_mine(session, window) or window.ticket is None or not window.ticket.case_as:
            return None

        def also(connection: sa.Connection, case: str) -> None:
            self._must_stand(connection, session, window.number)
            if (session.id, case) not in self._seen:
                self._log.add(
                    connection,
                    AuditKind.CASE_SEEN,
                    actor=session.account.id,
                    subject=case,
                    detail={"window": window.number},
                )

        try:
            case = await self._office.counter.case(window.number, also=also)
            if case is None or not window.ticket.case_as.startswith(case.case):
                return None  # none, or the next person came meanwhile
            outcome = await self._office.submissions.outcome(case.case)
        except (Refused, NotStanding, LoggedOut):
            return None  # it went meanwhile, or its answers fit the catalogue no more
        self._seen[session.id, case.case] = None
        return self._case_words.file(case, outcome)

    async def _shown(self, found: TicketCase) -> Case:
        text = await self._items.text(found.request.item)
        name, number = _person(found)
        return Case(
            answers=said(text, found.request.answers),
            materials=materials(text, found.request.materials),
            name=mask_name(name) if name else "",
            number=mask_id_number(number) if number else "",
            is_whole=False,
        )

    async def _identity(self, ask: Ask) -> Response:
        """Name and ID number whole, once, and the log says who saw them."""
        number, session = ask.request.path_params["number"], ask.known
        ticket = ask.form.get("ticket", "")

        def also(connection: sa.Connection, ticket_id: str) -> None:
            self._must_stand(connection, session, number)
            if ticket_id != ticket:
                raise Refused(ProblemCode.TICKET_NOT_SO)  # the next person came meanwhile
            self._log.add(
                connection,
                AuditKind.IDENTITY_SEEN,
                actor=session.account.id,
                subject=ticket_id,
                detail={"window": number},
            )

        try:
            found = await self._windows.case(number, also=also)
        except Refused as why:
            return self._answered(ask, why.problem_code.value)
        except (NotStanding, LoggedOut) as why:
            return self._answered(ask, why.code)
        if ask.is_script:
            name, id_number = _person(found)
            told: dict[str, object] = {"ok": True, "name": name, "number": id_number}
            window = (await self._reader.read()).windows[number]
            file = await self._file(session, window)
            if file and window.ticket and window.ticket.id == ticket:
                told["fields"] = file.hidden
            return JSONResponse(told)
        return await self._drawn(ask, whole=found)


def _is_mine(session: Session, window: WindowView) -> bool:
    return window.seat is not None and window.seat.account_id == session.account.id


def _person(found: TicketCase) -> tuple[str, str]:
    applicant = found.request.applicant
    return (applicant.name, applicant.number) if applicant is not None else ("", "")


def window_tone(window: WindowView) -> str:
    """The shape of a window's state."""
    return {"open": "done", "paused": "attention"}.get(window.state.value, "plain")
