"""Drafts: opened at one machine, changed there, carried on at another, withdrawn.

One machine holds a draft at a time. It passes on by a code that works once and for minutes, or by
the card of whoever it is about.
"""

from __future__ import annotations

import base64

import sqlalchemy as sa

from affairs.cases import rows
from affairs.cases.room import Room
from affairs.cases.tables import case_steps, cases, continuations, decisions, pushes
from affairs.once import canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue.rows import next_sequences
from affairs.store import tickets
from hallkit.model.case import EDITABLE, CaseState, case_number
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.wire.base import Message
from hallkit.wire.cases_api import (
    Case,
    CaseContent,
    CaseDraft,
    CaseOfPerson,
    CaseProgress,
    Continuation,
    ContinuationCode,
)

CODE_PREFIX = "HK1.C."
CODE_MS = 10 * 60_000
"""So long a code opens a case."""
_CODE_BYTES = 20
_COUNTER = "@cases"
"""Beside the queues' counters, under a name that no service can have."""


class Drafts:
    """Cases that are not submitted yet, or came back."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def open(self, content: CaseContent, *, device: str, key: str) -> Case:
        """A new draft, or the one that this key made. `Refused` for an unknown item."""
        room = self._room

        def insert(connection: sa.Connection) -> str:
            looked = room.look(connection, content)
            now_ms, day = room.clock.wall_ms(), room.today()
            (sequence,) = next_sequences(connection, _COUNTER, day, 1)
            case_id = new_id()
            connection.execute(
                cases.insert().values(
                    id=case_id,
                    number=case_number(day, sequence),
                    item=content.item,
                    item_name=looked.matter.item.plain_name,
                    state=CaseState.DRAFT.value,
                    state_at_ms=now_ms,
                    opened_at_ms=now_ms,
                    holder=device,
                    revision=0,
                    is_owed=False,
                    wrong_tails=0,
                    wrong_at_ms=0,
                    **rows.sealed(case_id, content, room.sealer),
                )
            )
            rows.add_step(
                connection, case_id, CaseState.DRAFT, at_ms=now_ms, by=device, sealer=room.sealer
            )
            return case_id

        return await self._once(device, key, "case", content, insert)

    async def save(self, case_id: str, draft: CaseDraft, *, device: str, key: str) -> Case:
        """The content as it shall be. `Refused` where another has changed it meanwhile."""
        room = self._room

        def change(connection: sa.Connection) -> str:
            row = room.editable(connection, case_id, device)
            must_be_current(row, draft)
            room.look(connection, draft.content)
            self._change(
                connection,
                row,
                state_at_ms=_touched(row, room.clock.wall_ms()),
                **rows.sealed(case_id, draft.content, room.sealer),
            )
            return case_id

        return await self._once(device, key, f"save {case_id}", draft, change)

    async def at(self, case_id: str, *, device: str) -> Case:
        """The draft that this machine holds."""
        room = self._room

        def work(connection: sa.Connection) -> Case:
            room.editable(connection, case_id, device)
            return room.view(connection, case_id)

        return await room.store.transaction(work)

    # ── From one machine to the next ─────────────────────────────────────────────────────────

    async def hand_over(self, case_id: str, *, device: str, key: str) -> Continuation:
        """A code that opens the case elsewhere. The same key, the same code."""
        room = self._room
        # Made of the key, not kept: a repeated answer says the same, and the disk opens nothing.
        digest = room.sealer.fingerprint(b"continuation", case_id.encode(), key.encode())
        text = base64.b32encode(bytes.fromhex(digest)[:_CODE_BYTES]).decode()
        code = ContinuationCode(code=CODE_PREFIX + text)

        def make(connection: sa.Connection) -> str:
            room.editable(connection, case_id, device)
            void_codes(connection, case_id, device)
            connection.execute(
                continuations.insert().values(
                    code_mac=self._code_mac(code),
                    case_id=case_id,
                    expires_at_ms=room.clock.wall_ms() + CODE_MS,
                )
            )
            return case_id

        def work(connection: sa.Connection) -> Continuation:
            room.once.do(
                connection,
                device=device,
                key=key,
                kind="continuation",
                content=case_id.encode(),
                work=lambda: make(connection),
            )
            row = self._code_row(connection, code)
            return Continuation(code=code.code, expires_at_ms=row.expires_at_ms)

        return await room.store.transaction(work)

    async def redeem(self, code: ContinuationCode, *, device: str, key: str) -> Case:
        """Carry on at this machine. `Refused` for a code that is unknown, used or over."""
        room = self._room

        def take(connection: sa.Connection) -> str:
            found = self._code_row(connection, code)
            if found.used_by is not None:
                raise Refused(ProblemCode.CONTINUATION_USED)
            if found.expires_at_ms <= room.clock.wall_ms():
                raise Refused(ProblemCode.CONTINUATION_UNKNOWN)
            taken = connection.execute(
                continuations.update()
                .where(
                    continuations.c.code_mac == found.code_mac, continuations.c.used_by.is_(None)
                )
                .values(used_by=device)
            )
            if taken.rowcount == 0:
                raise Refused(ProblemCode.CONTINUATION_USED)
            self._take(connection, rows.case_row(connection, found.case_id), device)
            return str(found.case_id)

        return await self._once(device, key, "redeem", code, take)

    async def resume(self, wanted: CaseOfPerson, *, device: str, key: str) -> Case:
        """Carry on with the card: a draft, or what was returned."""

        def take(connection: sa.Connection) -> str:
            row = self._of_person(connection, wanted)
            self._take(connection, row, device)
            return wanted.case

        return await self._once(device, key, "resume", wanted, take)

    async def withdraw(self, wanted: CaseOfPerson, *, device: str, key: str) -> CaseProgress:
        """The person takes it back, before anybody decided; what they said is deleted."""
        room = self._room

        def end(connection: sa.Connection) -> str:
            row = self._of_person(connection, wanted)
            if row.is_owed:
                raise Refused(ProblemCode.CASE_NOT_SO)  # it is being decided this moment
            rows.move(
                connection,
                row,
                CaseState.WITHDRAWN,
                at_ms=room.clock.wall_ms(),
                by=device,
                sealer=room.sealer,
                content=b"",
                applicant_mac=None,
                decision=None,
                verdict=None,
            )
            forget(connection, row)
            return wanted.case

        def work(connection: sa.Connection) -> CaseProgress:
            room.once.do(
                connection,
                device=device,
                key=key,
                kind="withdraw",
                content=canonical(wanted),
                work=lambda: end(connection),
            )
            row = rows.case_row(connection, wanted.case)
            return CaseProgress(
                case=row.id,
                number=row.number,
                item=row.item,
                item_name=row.item_name,
                state=CaseState(row.state),
                steps=rows.steps_of(connection, row.id),
            )

        return await room.store.transaction(work)

    def _take(self, connection: sa.Connection, row: rows.Row, device: str) -> None:
        if row.state not in EDITABLE:
            raise Refused(ProblemCode.CASE_NOT_SO)
        void_codes(connection, row.id, device)
        self._change(connection, row, holder=device)

    def _of_person(self, connection: sa.Connection, wanted: CaseOfPerson) -> rows.Row:
        row = rows.case_row(connection, wanted.case)
        if row.applicant_mac != self._room.sealer.lookup(wanted.number):
            raise Refused(ProblemCode.CASE_UNKNOWN)
        return row

    def _change(self, connection: sa.Connection, row: rows.Row, **values: object) -> None:
        changed = connection.execute(
            cases.update()
            .where(cases.c.id == row.id, cases.c.revision == row.revision)
            .values(revision=row.revision + 1, **values)
        )
        if changed.rowcount == 0:
            raise Refused(ProblemCode.CASE_CHANGED)

    def _code_mac(self, code: ContinuationCode) -> str:
        return self._room.sealer.fingerprint(b"code", code.code.encode())

    def _code_row(self, connection: sa.Connection, code: ContinuationCode) -> rows.Row:
        row = connection.execute(
            sa.select(continuations).where(continuations.c.code_mac == self._code_mac(code))
        ).one_or_none()
        if row is None:
            raise Refused(ProblemCode.CONTINUATION_UNKNOWN)
        return row

    async def _once(
        self,
        device: str,
        key: str,
        kind: str,
        request: Message,
        work: rows.Work,
    ) -> Case:
        room = self._room

        def run(connection: sa.Connection) -> Case:
            done = room.once.do(
                connection,
                device=device,
                key=key,
                kind=kind,
                content=canonical(request),
                work=lambda: work(connection),
            )
            if rows.case_row(connection, done.subject).holder != device:
                raise Refused(ProblemCode.CASE_ELSEWHERE)  # asked again, after it was passed on
            return room.view(connection, done.subject)

        return await room.store.transaction(run)


def void_codes(connection: sa.Connection, case_id: str, device: str) -> None:
    """Codes that were made and not used open nothing any more."""
    connection.execute(
        continuations.update()
        .where(continuations.c.case_id == case_id, continuations.c.used_by.is_(None))
        .values(used_by=device)
    )


def forget(connection: sa.Connection, row: rows.Row) -> None:
    """What was decided of a case and said of it, and the number that waits for it."""
    for table in (decisions, pushes, continuations):
        connection.execute(table.delete().where(table.c.case_id == row.id))
    connection.execute(case_steps.update().where(case_steps.c.case_id == row.id).values(words=b""))
    mine = (tickets.c.case_id == row.id, tickets.c.state == TicketState.WAITING.value)
    connection.execute(
        tickets.update()
        .where(*mine)
        .values(state=TicketState.VOID.value, request=b"", applicant_mac=None, case_id=None)
    )


def must_be_current(row: rows.Row, draft: CaseDraft) -> None:
    """`Refused` if somebody changed the case since this draft was read, or the item is another."""
    if draft.revision != row.revision:
        raise Refused(ProblemCode.CASE_CHANGED)
    if draft.content.item != row.item:
        raise Refused(ProblemCode.REQUEST_INVALID)


def _touched(row: rows.Row, now_ms: int) -> int:
    """A draft lives from its last change, whatever came back from when it came back."""
    return now_ms if row.state == CaseState.DRAFT else int(row.state_at_ms)
