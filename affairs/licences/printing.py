"""Printing a licence at a machine: list, permit, file, yes, outcome.

The node says yes once for one exact file, one machine, one visit and one person, immediately before
the file goes to the printer; everything else is refused, and destroys the file. A refusal is an
effect like any other: it stands on the disk before the machine hears of it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar

import sqlalchemy as sa

from affairs.licences.document import Paper, Render
from affairs.licences.permits import Asker, Permits, Row, Why
from affairs.licences.register import Register, state_of_row
from affairs.licences.tables import licences, permits
from affairs.once import Done, Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.errors import StoreError
from hallkit.model.identity import mask_name
from hallkit.model.ids import new_id
from hallkit.model.licence import LicenceState, PermitState, PrintOutcome
from hallkit.runtime.clock import Clock, local_date
from hallkit.runtime.log import get_logger
from hallkit.wire.base import Message
from hallkit.wire.licences_api import (
    LicenceQuery,
    LicencesFound,
    PermitOfPerson,
    PermitOutcome,
    PermitRedeemed,
    PermitRedemption,
    PermitRequest,
    PermitStatus,
    PrintableLicence,
    PrintPermit,
    PrintsSettled,
    PrintsSettlement,
    VisitEnd,
    VisitEnded,
)

PERMIT_MS = 5 * 60_000
"""So long a file waits for its print."""
EXPIRE_EVERY_S = 20.0
RENDERERS = 2
"""Files made at once; the others wait."""
_TRIES = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What the machine asks for under one key."""

    device: str
    key: str
    kind: str
    request: Message = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Made:
    """A file before it is kept."""

    content: bytes
    sha256: str
    copy: int


class Prints:
    """Files of licences for machines; `run` it in a task."""

    def __init__(
        self,
        store: Store,
        *,
        register: Register,
        once: Once,
        sealer: Sealer,
        clock: Clock,
        render: Render,
        verify_at: str = "",
    ) -> None:
        """`verify_at` is where scanned codes lead; empty: pages have none."""
        self._store = store
        self._register = register
        self._once = once
        self._sealer = sealer
        self._clock = clock
        self._render = render
        self._verify_at = verify_at.rstrip("/")
        self._threads = ThreadPoolExecutor(RENDERERS, thread_name_prefix="licences")
        self._log = get_logger()

    # ── List ─────────────────────────────────────────────────────────────────────────────────

    async def find(self, query: LicenceQuery, *, device: str) -> LicencesFound:
        """What this person may print; from now on the visit is theirs."""
        asker = self._asker(device, query.visit, query.number)

        def work(at: Permits, connection: sa.Connection) -> LicencesFound | ProblemCode:
            refused = at.enter(asker)
            if refused is not None:
                return refused
            today = local_date(self._clock.wall_ms())
            rows = self._register.rows_of(connection, asker.mac or "")
            return LicencesFound(
                licences=tuple(
                    self._printable(row, unsettled=at.is_unsettled(row.id))
                    for row in rows
                    if state_of_row(row, today) is LicenceState.VALID
                )
            )

        return await self._do(work)

    def _printable(self, row: Row, *, unsettled: bool) -> PrintableLicence:
        kind = self._register.kinds[row.kind]
        return PrintableLicence(
            licence=row.id,
            kind=kind.key,
            title=kind.title,
            holder=mask_name(self._register.content_of(row).holder(kind)),
            issuer=kind.issuer,
            identifier=row.identifier,
            issued_on=row.issued_on,
            valid_until=row.valid_until,
            prints=row.prints,
            unsettled=unsettled,
        )

    # ── Permit and file ──────────────────────────────────────────────────────────────────────

    async def permit(self, request: PermitRequest, *, device: str, key: str) -> PrintPermit:
        """Make the file of a licence and the permit to print it once; the same key, the same one.

        `Refused` if the licence is not this person's, or not in force, or a print of it is open.
        """
        asker = self._asker(device, request.visit, request.number)
        attempt = _Attempt(device, key, "print permit", request)
        for _ in range(_TRIES):
            permit = await self._make_permit(request.licence, asker, attempt)
            if permit is not None:
                return permit
        raise Refused(ProblemCode.PERMIT_UNSETTLED)  # it was printed elsewhere each time

    async def _make_permit(
        self, licence: str, asker: Asker, attempt: _Attempt
    ) -> PrintPermit | None:
        """One try. None if the licence was printed elsewhere while the file was made."""

        def begin(at: Permits, connection: sa.Connection) -> Paper | PrintPermit | ProblemCode:
            refused = at.enter(asker)
            if refused is not None:
                return refused
            if self._was_used(connection, attempt):
                return self._permit_again(connection, at, attempt)
            return self._paper(connection, at, licence, asker)

        begun: Paper | PrintPermit = await self._do(begin)
        if isinstance(begun, PrintPermit):
            return begun
        made = await self._make(begun)

        def keep(at: Permits, connection: sa.Connection) -> PrintPermit | ProblemCode | None:
            return self._keep(connection, at, licence, asker, made=made, attempt=attempt)

        kept: PrintPermit | None = await self._do(keep)
        return kept

    def _paper(
        self, connection: sa.Connection, at: Permits, licence: str, asker: Asker
    ) -> Paper | ProblemCode:
        row = self._licence(connection, at, licence, asker)
        if isinstance(row, ProblemCode):
            return row
        verify_at = self._verify_at
        return Paper(
            kind=self._register.kinds[row.kind],
            content=self._register.content_of(row),
            identifier=row.identifier,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            issued_on=row.issued_on,
            address=f"{verify_at}/v/{self._register.token(row.id)}" if verify_at else "",
            printed_at_ms=self._clock.wall_ms(),
            terminal=asker.device,
            copy=row.prints + 1,
        )

    def _licence(
        self, connection: sa.Connection, at: Permits, licence: str, asker: Asker
    ) -> Row | ProblemCode:
        """The licence, if this person may have it printed now."""
        row = next(
            (
                one
                for one in self._register.rows_of(connection, asker.mac or "")
                if one.id == licence
            ),
            None,
        )
        if row is None:
            at.refuse(asker, Why.NOT_THEIRS)
            return ProblemCode.LICENCE_UNKNOWN
        if state_of_row(row, local_date(self._clock.wall_ms())) is not LicenceState.VALID:
            return ProblemCode.LICENCE_NOT_SO
        return ProblemCode.PERMIT_UNSETTLED if at.is_unsettled(row.id) else row

    async def _make(self, paper: Paper) -> _Made:
        """The file, on a thread of its own, so that the loop never waits for it."""
        loop = asyncio.get_running_loop()
        content = await loop.run_in_executor(self._threads, self._render, paper)
        return _Made(content, hashlib.sha256(content).hexdigest(), paper.copy)

    def _keep(
        self,
        connection: sa.Connection,
        at: Permits,
        licence: str,
        asker: Asker,
        *,
        made: _Made,
        attempt: _Attempt,
    ) -> PrintPermit | ProblemCode | None:
        """File and permit in one transaction. None if the file is not the next copy any more."""
        refused = at.enter(asker)
        if refused is not None:
            return refused
        if self._was_used(connection, attempt):
            return self._permit_again(connection, at, attempt)
        row = self._licence(connection, at, licence, asker)
        if isinstance(row, ProblemCode):
            return row
        if row.prints + 1 != made.copy:
            return None

        def insert() -> str:
            at.supersede(row.id)
            permit_id = new_id()
            now_ms = self._clock.wall_ms()
            connection.execute(
                permits.insert().values(
                    id=permit_id,
                    licence_id=row.id,
                    holder_mac=asker.mac,
                    device=asker.device,
                    visit=asker.visit,
                    sha256=made.sha256,
                    size=len(made.content),
                    file=self._sealer.seal(permit_id, made.content),
                    copy=made.copy,
                    state=PermitState.OPEN.value,
                    attempt=0,
                    made_at_ms=now_ms,
                    expires_at_ms=now_ms + PERMIT_MS,
                    why="",
                )
            )
            return permit_id

        return _told(at.row(self._do_once(connection, attempt, insert).subject))

    def _permit_again(
        self, connection: sa.Connection, at: Permits, attempt: _Attempt
    ) -> PrintPermit | ProblemCode:
        done = self._do_once(connection, attempt, _never)
        row = at.row(done.subject)
        if row is None or row.state != PermitState.OPEN or self._is_late(row):
            return ProblemCode.PERMIT_OVER
        return _told(row)

    async def file(self, wanted: PermitOfPerson, *, device: str) -> bytes:
        """The bytes, for the machine, visit and person of the permit alone."""
        asker = self._asker(device, wanted.visit, wanted.number)

        def work(at: Permits, _connection: sa.Connection) -> bytes | ProblemCode:
            row = at.checked(wanted.permit, asker)
            if isinstance(row, ProblemCode):
                return row
            if row.state != PermitState.OPEN or not row.file or self._is_late(row):
                return ProblemCode.PERMIT_OVER
            return self._sealer.open(row.id, row.file)

        return await self._do(work)

    # ── Yes, and what came of it ─────────────────────────────────────────────────────────────

    async def redeem(self, wanted: PermitRedemption, *, device: str, key: str) -> PermitRedeemed:
        """Yes, once. Whatever does not fit destroys the file; so does asking a second time.

        A key that is repeated is answered as before while that very print is going on and the file
        is there, because an answer may be lost.
        """
        asker = self._asker(device, wanted.visit, wanted.number)
        attempt = _Attempt(device, key, "redeem", wanted)

        def work(at: Permits, connection: sa.Connection) -> PermitRedeemed | ProblemCode:
            row = at.checked(wanted.permit, asker, wanted.sha256)
            if isinstance(row, ProblemCode):
                return row
            if self._was_used(connection, attempt):
                return self._redeemed_again(connection, row, attempt)
            if row.state != PermitState.OPEN:
                at.refuse(asker, Why.USED, row.id)
                at.destroy(row, Why.USED)
                return ProblemCode.PERMIT_OVER
            why = self._too_late(connection, row)
            if why is not None:
                at.destroy(row, why)
                return ProblemCode.PERMIT_OVER
            number = row.attempt + 1

            def say_yes() -> str:
                if at.redeem(row) is None:
                    raise Refused(ProblemCode.PERMIT_OVER)
                return f"{number}"

            self._do_once(connection, attempt, say_yes)
            return PermitRedeemed(permit=row.id, licence=row.licence_id, attempt=number)

        return await self._do(work)

    def _redeemed_again(
        self, connection: sa.Connection, row: Row, attempt: _Attempt
    ) -> PermitRedeemed | ProblemCode:
        done = self._do_once(connection, attempt, _never)
        is_that_print = row.state == PermitState.REDEEMED and done.subject == f"{row.attempt}"
        if not is_that_print or not row.file:
            return ProblemCode.PERMIT_OVER
        return PermitRedeemed(
            permit=row.id, licence=row.licence_id, attempt=row.attempt, again=True
        )

    async def outcome(self, told: PermitOutcome, *, device: str, key: str) -> PermitStatus:
        """What came of the print that was allowed last. Told again, it changes nothing."""
        asker = Asker(device, told.visit)

        def work(at: Permits, connection: sa.Connection) -> PermitStatus | ProblemCode:
            row = at.row(told.permit)
            if row is None:
                return ProblemCode.PERMIT_UNKNOWN
            if (row.device, row.visit) != (device, told.visit):
                refused = at.checked(told.permit, asker)
                return refused if isinstance(refused, ProblemCode) else ProblemCode.PERMIT_REFUSED
            if told.attempt != row.attempt:
                return ProblemCode.PERMIT_OVER
            if row.state == PermitState.REDEEMED:
                attempt = _Attempt(device, key, "print outcome", told)
                self._do_once(connection, attempt, lambda: self._settle(at, row, told.outcome))
            elif row.state not in _AFTER[told.outcome]:
                return ProblemCode.PERMIT_OVER
            now = at.row(told.permit)
            return PermitStatus(permit=row.id, state=PermitState(now.state if now else row.state))

        return await self._do(work)

    def _settle(self, at: Permits, row: Row, outcome: PrintOutcome) -> str:
        match outcome:
            case PrintOutcome.COMPLETED:
                at.end(row, PermitState.COMPLETED)
            case PrintOutcome.UNKNOWN:
                at.end(row, PermitState.UNKNOWN)
            case PrintOutcome.NOT_STARTED if row.file and not self._is_late(row):
                at.reopen(row)
            case PrintOutcome.NOT_STARTED:
                at.end(row, PermitState.DESTROYED, row.why or Why.NOT_PRINTED.value)
        return str(row.id)

    async def end_visit(self, visit: VisitEnd, *, device: str, key: str) -> VisitEnded:
        """The person has gone: what is left is destroyed, and nothing more is made."""

        def work(at: Permits, connection: sa.Connection) -> VisitEnded:
            destroyed = 0

            def end() -> str:
                nonlocal destroyed
                destroyed = at.end_visit(Asker(device, visit.visit), Why.VISIT_OVER)
                return "-"

            self._do_once(connection, _Attempt(device, key, "visit end", visit), end)
            return VisitEnded(visit=visit.visit, destroyed=destroyed)

        return await self._do(work)

    # ── Staff, and time ──────────────────────────────────────────────────────────────────────

    async def settle(self, found: PrintsSettlement, *, device: str, key: str) -> PrintsSettled:
        """A person at a window has seen whether the paper is there; another print may follow."""
        mac = self._sealer.lookup(found.number)
        attempt = _Attempt(device, key, "settle prints", found)

        def work(at: Permits, connection: sa.Connection) -> PrintsSettled | ProblemCode:
            open_ = {
                permit.id: (permit, row.kind)
                for row in self._register.rows_of(connection, mac)
                for permit in at.unsettled(row.id)
            }
            if not open_ and not self._was_used(connection, attempt):
                return ProblemCode.NOTHING_TO_SETTLE
            state = PermitState.COMPLETED if found.printed else PermitState.DESTROYED

            def settle() -> str:
                for permit, _ in open_.values():
                    at.end(permit, state, "" if found.printed else Why.NOT_PRINTED.value)
                return "-"

            done = self._do_once(connection, attempt, settle)
            titles = () if done.again else tuple(kind for _, kind in open_.values())
            return PrintsSettled(settled=tuple(self._register.kinds[one].title for one in titles))

        return await self._do(work)

    async def run(self) -> None:
        """Destroy files whose time is over, until cancelled."""
        while True:
            try:
                await self.expire()
            except StoreError as fault:
                self._log.error("permits.not_expired", fault=str(fault))  # expected
            await self._clock.sleep(EXPIRE_EVERY_S)

    async def expire(self) -> int:
        """How many files were destroyed."""
        return await self._do(lambda at, _connection: at.expire())

    def close(self) -> None:
        """Wait for files that are being made."""
        self._threads.shutdown()

    # ── What all of it needs ─────────────────────────────────────────────────────────────────

    async def _do(self, work: Callable[[Permits, sa.Connection], T | ProblemCode]) -> T:
        """Run it in one transaction. A refusal is kept, too: only then it is raised."""
        said = await self._store.transaction(
            lambda connection: work(Permits(connection, self._clock.wall_ms()), connection)
        )
        if isinstance(said, ProblemCode):
            raise Refused(said)
        return said

    def _do_once(
        self, connection: sa.Connection, attempt: _Attempt, work: Callable[[], str]
    ) -> Done:
        return self._once.do(
            connection,
            device=attempt.device,
            key=attempt.key,
            kind=attempt.kind,
            content=canonical(attempt.request),
            work=work,
        )

    def _was_used(self, connection: sa.Connection, attempt: _Attempt) -> bool:
        used = self._once.subject(connection, device=attempt.device, key=attempt.key)
        return used is not None

    def _asker(self, device: str, visit: str, number: str) -> Asker:
        return Asker(device, visit, self._sealer.lookup(number))

    def _is_late(self, row: Row) -> bool:
        return bool(row.expires_at_ms <= self._clock.wall_ms())

    def _too_late(self, connection: sa.Connection, row: Row) -> Why | None:
        """Why what was fine when the file was made is not any more."""
        if self._is_late(row):
            return Why.EXPIRED
        licence = connection.execute(
            sa.select(licences).where(licences.c.id == row.licence_id)
        ).one_or_none()
        today = local_date(self._clock.wall_ms())
        if licence is None or state_of_row(licence, today) is not LicenceState.VALID:
            return Why.LICENCE
        return None


_AFTER = {
    PrintOutcome.COMPLETED: (PermitState.COMPLETED,),
    PrintOutcome.UNKNOWN: (PermitState.UNKNOWN,),
    PrintOutcome.NOT_STARTED: (PermitState.OPEN, PermitState.DESTROYED),
}
"""States in which an outcome has been told already."""


def _never() -> NoReturn:
    raise StoreError("a key that was used made nothing")


def _told(row: Row | None) -> PrintPermit:
    if row is None:
        raise StoreError("a permit that was made is not there")
    return PrintPermit(
        permit=row.id,
        licence=row.licence_id,
        sha256=row.sha256,
        size=row.size,
        copy_number=row.copy,
        expires_at_ms=row.expires_at_ms,
    )
