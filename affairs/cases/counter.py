"""What a person at a window does with the case of whoever stands before them."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.cases import rows
from affairs.cases.room import Room
from affairs.cases.submitting import promised_by
from affairs.cases.tables import cases
from affairs.once import canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue.calling import Also
from affairs.store import tickets, windows
from hallkit.model.case import EDITABLE, CaseState
from hallkit.model.decision import Verdict
from hallkit.wire.cases_api import Case, CaseOrder

_WITH_WORDS = frozenset({"return", "refuse"})


class Counter:
    """Cases at the windows."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def case(self, window: int, *, also: Also | None = None) -> Case | None:
        """The case of the ticket at the window; none if it has none, or it was withdrawn.

        `also` is done in the same transaction, and is told the case.
        """

        def work(connection: sa.Connection) -> Case | None:
            case_id = self._case_at(connection, window)
            if case_id is None:
                return None
            if also is not None:
                also(connection, case_id)
            return self._room.view(connection, case_id)

        return await self._room.store.transaction(work)

    async def do(
        self, window: int, order: CaseOrder, *, device: str, key: str, also: Also | None = None
    ) -> Case:
        """Carry an order out, once per key; the case as it is then.

        `also` is done with it, in its transaction; what it raises undoes the order. `Refused` where
        the ticket there has another case, or the case is not so now.
        """
        room = self._room

        def carry_out(connection: sa.Connection) -> str:
            made = self._carry_out(connection, window, order, device)
            if also is not None:
                also(connection, made)
            return made

        def work(connection: sa.Connection) -> Case:
            room.once.do(
                connection,
                device=device,
                key=key,
                kind=f"case at {window}",
                content=canonical(order),
                work=lambda: carry_out(connection),
            )
            return room.view(connection, order.case)

        return await room.store.transaction(work)

    def _carry_out(self, connection: sa.Connection, window: int, order: CaseOrder, by: str) -> str:
        if self._case_at(connection, window) != order.case:
            raise Refused(ProblemCode.CASE_NOT_HERE)
        if order.do in _WITH_WORDS and not order.words.strip():
            raise Refused(ProblemCode.WORDS_MISSING)
        row = rows.case_row(connection, order.case)
        if row.is_owed:
            raise Refused(ProblemCode.CASE_NOT_SO)  # it is being decided this moment
        match order.do:
            case "accept":
                self._accept(connection, row, order, window, by)
            case "return":
                self._hand_in(connection, row, by)
                self._step(
                    connection,
                    row,
                    CaseState.RETURNED,
                    by,
                    order.words,
                    verdict=None,
                    decision=None,
                )
            case "approve":
                self._accept(connection, row, order, window, by)
                self._approve(connection, row, by)
            case "refuse":
                self._accept(connection, row, order, window, by)
                self._step(
                    connection,
                    row,
                    CaseState.DECIDED,
                    by,
                    order.words,
                    verdict=Verdict.REFUSED.value,
                    decision=None,
                )
            case "deliver":
                self._step(connection, row, CaseState.DELIVERED, by)
        return order.case

    def _accept(
        self, connection: sa.Connection, row: rows.Row, order: CaseOrder, window: int, by: str
    ) -> None:
        self._hand_in(connection, row, by)
        if rows.case_row(connection, row.id).state != CaseState.ACCEPTED:
            self._step(connection, row, CaseState.ACCEPTED, by)
        if order.seen and row.applicant_mac is not None:
            item = self._room.matter(row.item).item
            self._room.shelf.remember(
                connection, row.applicant_mac, item, order.seen, window=window, case=row.id
            )

    def _hand_in(self, connection: sa.Connection, row: rows.Row, by: str) -> None:
        """A draft that somebody brings to the window is submitted there; the window has looked."""
        if row.applicant_mac is None:
            raise Refused(ProblemCode.IDENTITY_NEEDED)
        if row.state in EDITABLE:
            item = self._room.matter(row.item).item
            promised = promised_by(item, self._room.today())
            self._step(connection, row, CaseState.SUBMITTED, by, promised_by=promised)

    def _approve(self, connection: sa.Connection, row: rows.Row, by: str) -> None:
        room = self._room
        kind = room.matter(row.item).item.licence_kind
        content = rows.content_of(row, room.sealer)
        licence = room.licences.issue(connection, kind, content, row.id) if kind else None
        self._step(
            connection,
            row,
            CaseState.DECIDED,
            by,
            verdict=Verdict.APPROVED.value,
            licence=licence,
            decision=None,  # a person's word stands, not a machine's before it
        )

    def _step(
        self,
        connection: sa.Connection,
        row: rows.Row,
        state: CaseState,
        by: str,
        words: str = "",
        **values: object,
    ) -> None:
        now = rows.case_row(connection, row.id)
        rows.move(
            connection,
            now,
            state,
            at_ms=self._room.clock.wall_ms(),
            by=by,
            sealer=self._room.sealer,
            words=words,
            revision=now.revision + 1,
            **values,
        )

    def _case_at(self, connection: sa.Connection, window: int) -> str | None:
        found: str | None = connection.execute(
            sa.select(cases.c.id)
            .join(tickets, tickets.c.case_id == cases.c.id)
            .join(windows, windows.c.ticket_id == tickets.c.id)
            .where(windows.c.number == window, cases.c.state != CaseState.WITHDRAWN.value)
        ).scalar_one_or_none()
        return found


def open_case_of(connection: sa.Connection, applicant_mac: str, item: str) -> str | None:
    """The case that somebody who takes a number for an item comes for: the newest that is open.

    What a person decided is open until it is delivered; a draft comes behind whatever the office
    has taken on.
    """
    open_ = (CaseState.DRAFT, CaseState.SUBMITTED, CaseState.ACCEPTED, CaseState.RETURNED)
    to_be_fetched = sa.and_(
        cases.c.state == CaseState.DECIDED.value,
        cases.c.decision.is_(None),
        cases.c.verdict == Verdict.APPROVED.value,
    )
    found: str | None = connection.execute(
        sa.select(cases.c.id)
        .where(
            cases.c.applicant_mac == applicant_mac,
            cases.c.item == item,
            sa.or_(cases.c.state.in_([state.value for state in open_]), to_be_fetched),
        )
        .order_by(
            sa.case((cases.c.state == CaseState.DRAFT.value, 1), else_=0),
            cases.c.opened_at_ms.desc(),
            cases.c.id.desc(),
        )
        .limit(1)
    ).scalar_one_or_none()
    return found
