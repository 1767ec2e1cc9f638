"""Print jobs: a promise in the journal first, paper second, one of three outcomes always.

    queued ──▶ printing ──▶ completed            the printer confirmed it
                 │  ▲
                 ▼  │ the printer works again, and is nobody else's
               waiting                            not started, or unknown: printed again, marked

A job found `printing` after a crash may be on paper: its next attempt carries the reprint mark.
After `UNCONFIRMED_LIMIT` attempts that may be on paper it is `cancelled`: a person has to look.
So is a slip that the printer can't print, and one of an earlier day: its number is over, and the
paper would fall into another citizen's hands.
The number on a ticket stays the same on every copy, so there is one valid number, never none.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from edge_agent.records import Recorder
from hallkit.errors import Reason, Rejected, StoreError
from hallkit.model.ids import JobId
from hallkit.model.printing import PrintJob, PrintJobState, PrintOutcome, PrintResult, Slip
from hallkit.ports.ticket_printer import TicketPrinter
from hallkit.runtime.clock import Clock, local_date
from hallkit.runtime.journal import Journal
from hallkit.runtime.log import get_logger
from hallkit.wire.events import TicketPrinted

SCHEMA = """
create table print_job (
    ordinal integer primary key autoincrement, id text not null unique, slip text not null,
    state text not null, attempts integer not null default 0,
    copies_marked integer not null default 0, unconfirmed integer not null default 0,
    reason text, created_ms integer not null)
"""

UNCONFIRMED_LIMIT = 3
"""Attempts that may be on paper without the printer's word, before a person has to look."""

RETRY_PAUSE_S = 1.0
RETRY_PAUSE_LIMIT_S = 30.0
"""Between attempts of a job at a printer that works and doesn't print: doubles from one to the
other."""

LOOK_AGAIN_S = 5.0
"""A printer that failed and recovered between two probes wakes nobody."""

STORE_RETRY_S = 1.0
"""After the disk refused."""

KEPT_JOBS = 500
"""Ended jobs that stay answerable to a late question."""

_OPEN = (PrintJobState.QUEUED, PrintJobState.PRINTING, PrintJobState.WAITING)
_SELECT_OPEN = "select * from print_job where state in (?, ?, ?) order by ordinal"


class PrintQueue:
    """The jobs of one ticket printer. `on_change` hears every change of a job."""

    def __init__(
        self,
        journal: Journal,
        recorder: Recorder,
        printer: TicketPrinter,
        clock: Clock,
        *,
        on_change: Callable[[PrintJob], None],
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._printer = printer
        self._clock = clock
        self._on_change = on_change
        self._look_again_s = look_again_s
        self._wake = asyncio.Event()
        self._pause_s = RETRY_PAUSE_S
        self._told: tuple[str, PrintJobState, Reason | None] | None = None
        """Job, state and reason of the last event: the same again is none."""
        self._disk_refuses = False
        self._held: dict[str, Reason | None] = {}
        """Why no attempt begins, and what is said of a slip that waits for it."""
        self.printing = False
        """An attempt is under way."""
        self._owes = False
        """There was an owed job when it was last looked."""
        self._log = get_logger().bind(device=printer.report.id)

    @property
    def device(self) -> str:
        """The printer's id."""
        return self._printer.report.id

    @property
    def in_hand(self) -> bool:
        """An attempt is under way or comes next: a slip is owed, and its printer works."""
        return self.printing or (self._owes and not self._held and self._printer.report.works)

    async def submit(self, job: JobId, slip: Slip) -> PrintJob:
        """Promise a job; idempotent by its id. Another slip under the same id is refused."""
        text = slip.model_dump_json()

        def insert(db: sqlite3.Connection) -> PrintJob:
            db.execute(
                "insert or ignore into print_job (id, slip, state, created_ms) values (?, ?, ?, ?)",
                (job, text, PrintJobState.QUEUED, self._clock.wall_ms()),
            )
            row = db.execute("select * from print_job where id = ?", (job,)).fetchone()
            if Slip.model_validate_json(row["slip"]) != slip:
                raise Rejected("print.other_slip", "the id was used for another slip")
            db.execute(
                "delete from print_job where state not in (?, ?, ?) and ordinal < "
                "(select max(ordinal) from print_job) - ?",
                (*_OPEN, KEPT_JOBS),
            )
            return _job(row)

        promised = await self._journal.write(insert)
        self._owes = True  # or was printed before: the next look knows
        self._wake.set()
        return promised

    async def find(self, job: JobId) -> PrintJob:
        """A job by its id; `Rejected` if this machine never promised it."""
        row = await self._journal.read(
            lambda db: db.execute("select * from print_job where id = ?", (job,)).fetchone()
        )
        if row is None:
            raise Rejected("print.unknown_job", "no such job")
        return _job(row)

    async def unfinished(self) -> tuple[PrintJob, ...]:
        """Jobs that are still owed, oldest first."""
        rows = await self._journal.read(lambda db: db.execute(_SELECT_OPEN, _OPEN).fetchall())
        return tuple(_job(row) for row in rows)

    def printer_changed(self) -> None:
        """The printer's state changed: a waiting job may go on."""
        self._wake.set()

    def hold(self, why: str, reason: Reason | None = None) -> None:
        """Begin no attempt until `release`; one that is under way comes to its end.

        With a reason a slip that is owed is told as waiting; without, nobody is there to read it.
        """
        self._held[why] = reason
        self._wake.set()

    def release(self, why: str) -> None:
        """Take a hold back."""
        self._held.pop(why, None)
        self._wake.set()

    async def run(self) -> None:
        """Print what is owed until cancelled; begins with what a crash left behind.

        So it does after the disk refused: a job it left `printing` may be on paper.
        """
        while True:
            try:
                await self._print_owed()
            except StoreError as fault:
                if not self._disk_refuses:
                    self._log.error("print.disk_refuses", detail=str(fault))
                self._disk_refuses = True
                await self._clock.sleep(STORE_RETRY_S)

    async def _print_owed(self) -> None:
        for row in await self._journal.read(_interrupted):
            await self._unconfirmed(row, None, PrintJobState.QUEUED)
        while True:
            self._wake.clear()
            row = await self._journal.read(lambda db: db.execute(_SELECT_OPEN, _OPEN).fetchone())
            self._owes = row is not None
            if self._held:
                await self._tell_held()
                await self._wait()
            elif row is not None and self._is_of_an_earlier_day(row):
                await self._cancel(row, None)
            elif row is not None and self._printer.report.works:
                await self._attempt(row)
            else:
                if row is not None and not self._waits_for_printer(row):
                    await self._wait_for(row, self._printer.report.reason)
                self._pause_s = RETRY_PAUSE_S
                await self._wait()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._look_again_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def _is_of_an_earlier_day(self, row: sqlite3.Row) -> bool:
        return local_date(row["created_ms"]) < local_date(self._clock.wall_ms())

    async def _attempt(self, row: sqlite3.Row) -> None:
        self.printing = True
        try:
            worked = await self._try(row)
        finally:
            self.printing = False
        if not worked:
            await self._pause()

    async def _try(self, row: sqlite3.Row) -> bool:
        """One attempt; False if the printer needs a while before the next."""
        marked = row["unconfirmed"] > 0
        slip = Slip.model_validate_json(row["slip"])
        await self._change(
            row["id"],
            "update print_job set state = ?, attempts = attempts + 1, reason = null, "
            "copies_marked = copies_marked + ? where id = ?",
            (PrintJobState.PRINTING, int(marked), row["id"]),
        )
        try:
            outcome = await self._printer.print_slip(slip, marked=marked)
        except Exception:  # noqa: BLE001  # boundary: a broken driver must not end the agent
            self._log.exception("print.driver_crashed", job=row["id"])
            outcome = PrintOutcome(result=PrintResult.UNKNOWN, reason=Reason.INTERNAL)
        return await self._conclude(row, outcome)

    async def _conclude(self, row: sqlite3.Row, outcome: PrintOutcome) -> bool:
        job = row["id"]
        self._log.info("print.outcome", job=job, result=outcome.result, reason=outcome.reason)
        match outcome.result:
            case PrintResult.COMPLETED:
                await self._change(
                    job,
                    "update print_job set state = ? where id = ?",
                    (PrintJobState.COMPLETED, job),
                    tell=True,
                )
                self._pause_s = RETRY_PAUSE_S
            case PrintResult.NOT_STARTED if outcome.reason is Reason.UNSUPPORTED:
                await self._cancel(row, outcome.reason)
            case PrintResult.NOT_STARTED:
                await self._change(
                    job,
                    "update print_job set state = ?, reason = ? where id = ?",
                    (PrintJobState.WAITING, outcome.reason, job),
                    tell=True,
                )
                return False
            case PrintResult.UNKNOWN:
                reason = outcome.reason or Reason.SILENT
                await self._unconfirmed(row, reason, PrintJobState.WAITING)
                return False
        return True

    async def _cancel(self, row: sqlite3.Row, reason: Reason | None) -> None:
        self._log.warning("print.cancelled", job=row["id"], reason=reason)
        await self._change(
            row["id"],
            "update print_job set state = ?, reason = ? where id = ?",
            (PrintJobState.CANCELLED, reason, row["id"]),
            tell=True,
        )
        self._pause_s = RETRY_PAUSE_S

    async def _unconfirmed(
        self, row: sqlite3.Row, reason: Reason | None, otherwise: PrintJobState
    ) -> None:
        """Count an attempt that may be on paper; give up at the limit."""
        given_up = row["unconfirmed"] + 1 >= UNCONFIRMED_LIMIT
        await self._change(
            row["id"],
            "update print_job set state = ?, unconfirmed = unconfirmed + 1, reason = ? "
            "where id = ?",
            (PrintJobState.CANCELLED if given_up else otherwise, reason, row["id"]),
            tell=given_up or otherwise is PrintJobState.WAITING,
        )
        if given_up:
            self._pause_s = RETRY_PAUSE_S

    async def _pause(self) -> None:
        """After a failed attempt: a breath, then the printer's state, before the next one."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, RETRY_PAUSE_LIMIT_S)
        await self._clock.sleep(pause_s)
        try:
            await self._printer.probe()
        except Exception:  # noqa: BLE001  # boundary: the host tells of a driver that crashes
            self._log.debug("print.probe_crashed")

    async def _tell_held(self) -> None:
        """Every slip that is owed waits, where all that holds the queue has a reason."""
        reason = next(iter(self._held.values()))
        if reason is None or None in self._held.values():
            return
        for row in await self._journal.read(lambda db: db.execute(_SELECT_OPEN, _OPEN).fetchall()):
            if row["state"] == PrintJobState.QUEUED:
                await self._wait_for(row, reason)

    def _waits_for_printer(self, row: sqlite3.Row) -> bool:
        """It is told so already, and not that it waits for whoever had the printer."""
        reason = self._printer.report.reason
        since_free = row["reason"] == Reason.OCCUPIED and reason is not Reason.OCCUPIED
        return row["state"] == PrintJobState.WAITING and not since_free

    async def _wait_for(self, row: sqlite3.Row, reason: Reason | None) -> None:
        await self._change(
            row["id"],
            "update print_job set state = ?, reason = ? where id = ?",
            (PrintJobState.WAITING, reason, row["id"]),
            tell=True,
        )

    async def _change(
        self, job: str, statement: str, values: tuple[object, ...], *, tell: bool = False
    ) -> None:
        def update(db: sqlite3.Connection) -> PrintJob:
            db.execute(statement, values)
            changed = _job(db.execute("select * from print_job where id = ?", (job,)).fetchone())
            if tell and _state_of(changed) != self._told:
                self._recorder.insert(
                    db,
                    TicketPrinted(
                        job=job,
                        state=changed.state,
                        attempts=changed.attempts,
                        copies_marked=changed.copies_marked,
                    ),
                )
            return changed

        with self._recorder.outbox.waking():
            changed = await self._journal.write(update)
        if tell:
            self._told = _state_of(changed)
        self._disk_refuses = False
        self._on_change(changed)


def _interrupted(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """Jobs whose attempt was cut off by the end of the agent."""
    printing = (PrintJobState.PRINTING,)
    return db.execute(
        "select * from print_job where state = ? order by ordinal", printing
    ).fetchall()


def _state_of(job: PrintJob) -> tuple[str, PrintJobState, Reason | None]:
    return job.id, job.state, job.reason


def _job(row: sqlite3.Row) -> PrintJob:
    return PrintJob(
        id=row["id"],
        state=PrintJobState(row["state"]),
        attempts=row["attempts"],
        copies_marked=row["copies_marked"],
        reason=Reason(row["reason"]) if row["reason"] else None,
    )
