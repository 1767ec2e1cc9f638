"""How far a case is, for its applicant: by the card that lies there, or by number and ID's end.

A 办件编号 can be guessed, so it opens nothing alone. Wrong tries are counted: a number that drew
too many, whether there is such a case or not, is told by the card only, for an hour, and so is any
number at a machine from which too many came.
"""

from __future__ import annotations

import hmac

import sqlalchemy as sa

from affairs.cases import rows
from affairs.cases.room import Room
from affairs.cases.tables import cases
from affairs.problems import ProblemCode, Refused
from affairs.store import tickets
from hallkit.model.case import CaseState
from hallkit.model.decision import Verdict
from hallkit.model.ticket import TicketState
from hallkit.wire.cases_api import CaseProgress, CaseQuery, CasesFound

SHOWN = 20
TAIL = 4
WRONG_LIMIT = 5
WRONG_LIMIT_OF_DEVICE = 30
LOCKED_MS = 3_600_000
_REMEMBERED = 10_000


class _Tries:
    """Wrong tries by name, for as long as they count; in memory, the oldest forgotten first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._wrong: dict[str, tuple[int, int]] = {}

    def are_too_many(self, name: str, now_ms: int) -> bool:
        count, at_ms = self._wrong.get(name, (0, 0))
        return count >= self._limit and now_ms - at_ms < LOCKED_MS

    def add(self, name: str, now_ms: int) -> None:
        count, at_ms = self._wrong.pop(name, (0, 0))
        self._wrong[name] = (1 if now_ms - at_ms >= LOCKED_MS else count + 1, now_ms)
        while len(self._wrong) > _REMEMBERED:
            del self._wrong[next(iter(self._wrong))]


class Progress:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._of_devices = _Tries(WRONG_LIMIT_OF_DEVICE)
        self._of_unknown = _Tries(WRONG_LIMIT)
        """Of numbers that no case has: they are to look like those of cases."""

    async def find(self, query: CaseQuery, *, device: str) -> CasesFound:
        """Newest first. `Refused` for a number that is none, an end that is wrong, too many tries.

        Whether it is the number or the end that is wrong nobody is told.
        """
        if query.number is not None:
            return await self._of_person(query.number)
        now_ms = self._room.clock.wall_ms()
        if self._of_devices.are_too_many(device, now_ms):
            raise Refused(ProblemCode.CASE_LOCKED)
        found = await self._room.store.transaction(
            lambda connection: self._of_number(connection, query)
        )
        if isinstance(found, ProblemCode):  # after the commit: a wrong try must be counted
            self._of_devices.add(device, now_ms)
            raise Refused(found)
        return CasesFound(cases=(found,))

    async def _of_person(self, number: str) -> CasesFound:
        mac = self._room.sealer.lookup(number)

        def work(connection: sa.Connection) -> CasesFound:
            found = connection.execute(
                sa.select(cases)
                .where(cases.c.applicant_mac == mac)
                .order_by(cases.c.opened_at_ms.desc(), cases.c.id.desc())
                .limit(SHOWN)
            )
            return CasesFound(cases=tuple(self._told(connection, row) for row in found))

        return await self._room.store.transaction(work)

    def _of_number(self, connection: sa.Connection, query: CaseQuery) -> CaseProgress | ProblemCode:
        now_ms = self._room.clock.wall_ms()
        row = connection.execute(
            sa.select(cases).where(cases.c.number == query.case_number.strip())
        ).one_or_none()
        if row is None or not row.content:
            number = query.case_number.strip()
            if self._of_unknown.are_too_many(number, now_ms):
                return ProblemCode.CASE_LOCKED
            self._of_unknown.add(number, now_ms)
            return ProblemCode.CASE_UNKNOWN
        is_over = now_ms - row.wrong_at_ms >= LOCKED_MS
        if row.wrong_tails >= WRONG_LIMIT and not is_over:
            return ProblemCode.CASE_LOCKED
        applicant = rows.content_of(row, self._room.sealer).applicant
        right = applicant.number[-TAIL:].upper() if applicant is not None else ""
        mine = cases.c.id == row.id
        if not right or not hmac.compare_digest(
            right.encode(), query.tail.strip().upper().encode()
        ):
            wrong = 1 if is_over else cases.c.wrong_tails + 1
            connection.execute(
                cases.update().where(mine).values(wrong_tails=wrong, wrong_at_ms=now_ms)
            )
            return ProblemCode.CASE_UNKNOWN
        connection.execute(cases.update().where(mine).values(wrong_tails=0))
        return self._told(connection, row)

    def _told(self, connection: sa.Connection, row: rows.Row) -> CaseProgress:
        return CaseProgress(
            case=row.id,
            number=row.number,
            item=row.item,
            item_name=row.item_name,
            state=CaseState(row.state),
            verdict=Verdict(row.verdict) if row.verdict else None,
            steps=rows.steps_of(connection, row.id),
            reasons=self._room.returned_for(connection, row),
            promised_by=row.promised_by,
            ticket=_waiting(connection, row.ticket_id),
        )


def _waiting(connection: sa.Connection, ticket_id: str | None) -> str:
    if ticket_id is None:
        return ""
    state = connection.execute(
        sa.select(tickets.c.state).where(tickets.c.id == ticket_id)
    ).scalar_one_or_none()
    open_ = (TicketState.WAITING, TicketState.CALLED, TicketState.SKIPPED, TicketState.SERVING)
    return ticket_id if state in open_ else ""
