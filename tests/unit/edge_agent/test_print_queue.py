"""A job has one of three outcomes, whatever dies at whatever moment, and one valid number."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.devices import print_queue
from edge_agent.devices.print_queue import KEPT_JOBS, UNCONFIRMED_LIMIT, PrintQueue
from edge_agent.records import Recorder
from hallkit.clients import outbox as outbox_store
from hallkit.clients.outbox import Outbox
from hallkit.errors import Reason, Rejected, StoreError
from hallkit.model.device import DeviceReport
from hallkit.model.ids import DeviceId, JobId, SiteId
from hallkit.model.printing import (
    PrintJob,
    PrintJobState,
    PrintOutcome,
    PrintResult,
    Slip,
    TextLine,
)
from hallkit.runtime.journal import Journal, Result
from hallkit.wire.events import TicketPrinted
from tests.fakes.clock import HastyClock
from tests.fakes.ticket_printer import FakeTicketPrinter

SLIP = Slip(lines=(TextLine(text="A007"),), reprint_mark="补打")
JOB = JobId("visit-slip")


class Power(BaseException):
    """The agent dies here; nothing of ours may catch it."""


class Bench:
    """A journal that outlives agents, and a printer that outlives both."""

    journal: Journal
    outbox: Outbox

    def __init__(self, path: Path, journal: type[Journal] = Journal) -> None:
        self.clock = HastyClock()
        self.printer = FakeTicketPrinter(self.clock)
        self.changes: asyncio.Queue[PrintJob] = asyncio.Queue()
        self._open: Callable[[], Journal] = lambda: journal(
            path, [outbox_store.SCHEMA + ";" + print_queue.SCHEMA]
        )
        self.look_again_s = 60.0
        self._boots = 0

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[PrintQueue]:
        """One life of the agent; leaving the block is its sudden end."""
        self._boots += 1
        async with self._open() as self.journal:
            self.outbox = Outbox(self.journal, boot=f"boot-{self._boots}")
            await self.outbox.start()
            recorder = Recorder(
                self.outbox, self.clock, site=SiteId("demo"), device=DeviceId("terminal-01")
            )
            queue = PrintQueue(
                self.journal,
                recorder,
                self.printer,
                self.clock,
                on_change=self.changes.put_nowait,
                look_again_s=self.look_again_s,
            )
            yield queue

    @asynccontextmanager
    async def printing(self) -> AsyncIterator[PrintQueue]:
        """One life of the agent in which the queue runs."""
        await self.printer.probe()
        async with self.agent() as queue:
            running = asyncio.create_task(queue.run())
            try:
                yield queue
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def until(self, state: PrintJobState, job: str = JOB) -> PrintJob:
        async with asyncio.timeout(5):
            while (changed := await self.changes.get()).state is not state or changed.id != job:
                pass
        return changed

    async def told(self) -> list[TicketPrinted]:
        rows = await self.outbox.rows_after(0, limit=1000)
        return [row.event.unwrap(TicketPrinted) for row in rows]

    @property
    def marks(self) -> list[bool]:
        """For each whole slip on paper whether it is marked."""
        return [marked for _, marked in self.printer.slips]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "agent.sqlite")


async def test_a_slip_is_printed_once_and_said_so(bench: Bench) -> None:
    async with bench.printing() as queue:
        assert (await queue.submit(JOB, SLIP)).state is PrintJobState.QUEUED
        job = await bench.until(PrintJobState.COMPLETED)
        assert (job.attempts, job.copies_marked, job.reason) == (1, 0, None)
        assert await queue.find(JOB) == job
        assert await queue.unfinished() == ()
        assert [told.state for told in await bench.told()] == [PrintJobState.COMPLETED]
    assert bench.marks == [False]


async def test_a_job_submitted_again_is_printed_once(bench: Bench) -> None:
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        await bench.until(PrintJobState.COMPLETED)
        assert (await queue.submit(JOB, SLIP)).state is PrintJobState.COMPLETED
        await queue.submit(JobId("next"), SLIP)
        await bench.until(PrintJobState.COMPLETED, "next")
    assert bench.marks == [False, False]


async def test_another_slip_under_the_same_id_is_refused(bench: Bench) -> None:
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        other = SLIP.model_copy(update={"lines": (TextLine(text="B001"),)})
        with pytest.raises(Rejected) as fault:
            await queue.submit(JOB, other)
        assert fault.value.problem_code == "print.other_slip"
        await bench.until(PrintJobState.COMPLETED)
    assert [slip for slip, _ in bench.printer.slips] == [SLIP]


async def test_a_job_that_was_never_promised_is_unknown(bench: Bench) -> None:
    async with bench.agent() as queue:
        with pytest.raises(Rejected) as fault:
            await queue.find(JOB)
        assert fault.value.problem_code == "print.unknown_job"


async def test_jobs_are_printed_in_the_order_they_were_promised(bench: Bench) -> None:
    async with bench.agent() as queue:
        for number in range(5):
            text = TextLine(text=str(number))
            await queue.submit(JobId(f"job-{number}"), Slip(lines=(text,)))
    async with bench.printing():
        await bench.until(PrintJobState.COMPLETED, "job-4")
    assert [slip.lines[0] for slip, _ in bench.printer.slips] == [
        TextLine(text=str(number)) for number in range(5)
    ]


async def test_a_queue_that_is_held_owes_its_slips_and_prints_them_when_released(
    bench: Bench,
) -> None:
    async with bench.printing() as queue:
        queue.hold("power")
        queue.hold("another")
        await queue.submit(JOB, SLIP)
        queue.release("another")
        await asyncio.sleep(0.05)
        assert (await queue.find(JOB)).state is PrintJobState.QUEUED
        assert bench.printer.slips == []
        queue.release("power")
        await bench.until(PrintJobState.COMPLETED)
    assert bench.marks == [False]


async def test_every_slip_is_told_as_waiting_while_another_has_the_printer(bench: Bench) -> None:
    async with bench.printing() as queue:
        queue.hold("lease", Reason.OCCUPIED)
        for job in (JOB, JobId("next")):
            await queue.submit(job, SLIP)
            waiting = await bench.until(PrintJobState.WAITING, job)
            assert (waiting.reason, waiting.attempts) == (Reason.OCCUPIED, 0)
        bench.printer.fault = Reason.PAPER_OUT
        await bench.printer.probe()
        queue.release("lease")  # and now it waits for paper
        assert (await bench.until(PrintJobState.WAITING)).reason is Reason.PAPER_OUT
        bench.printer.mend()
        await bench.printer.probe()
        queue.printer_changed()
        await bench.until(PrintJobState.COMPLETED, "next")
    assert bench.marks == [False, False]


async def test_a_slip_that_a_lease_and_more_hold_is_told_as_before(bench: Bench) -> None:
    async with bench.printing() as queue:
        queue.hold("maintenance")
        queue.hold("lease", Reason.OCCUPIED)
        await queue.submit(JOB, SLIP)
        await asyncio.sleep(0.05)
        assert (await queue.find(JOB)).state is PrintJobState.QUEUED
        queue.release("maintenance")
        assert (await bench.until(PrintJobState.WAITING)).reason is Reason.OCCUPIED


async def test_a_slip_that_is_printing_is_finished_by_a_queue_that_is_held(bench: Bench) -> None:
    class Slow(FakeTicketPrinter):
        begun, goes_on = asyncio.Event(), asyncio.Event()

        async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
            self.begun.set()
            await self.goes_on.wait()
            return await super().print_slip(slip, marked=marked)

    bench.printer = printer = Slow(bench.clock)
    async with bench.printing() as queue:
        assert not queue.printing
        await queue.submit(JOB, SLIP)
        await queue.submit(JobId("next"), SLIP)
        await printer.begun.wait()
        queue.hold("power")
        assert queue.printing
        printer.goes_on.set()
        await bench.until(PrintJobState.COMPLETED)
        await asyncio.sleep(0.05)
        assert not queue.printing
        assert (await queue.find(JobId("next"))).state is PrintJobState.QUEUED
    assert bench.marks == [False]


async def test_a_slip_waits_for_paper_and_is_then_printed_unmarked(bench: Bench) -> None:
    bench.printer.fault = Reason.PAPER_OUT
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        waiting = await bench.until(PrintJobState.WAITING)
        assert (waiting.reason, waiting.attempts) == (Reason.PAPER_OUT, 0)
        queue.printer_changed()  # for another reason: there is still no paper
        bench.printer.mend()
        await bench.printer.probe()
        queue.printer_changed()
        job = await bench.until(PrintJobState.COMPLETED)
        assert (job.copies_marked, job.reason) == (0, None)
        assert [told.state for told in await bench.told()] == ["waiting", "completed"]
    assert bench.marks == [False]


async def test_what_was_not_started_is_tried_again_unmarked(bench: Bench) -> None:
    class Wary(FakeTicketPrinter):
        refusals = 3

        async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
            if self.refusals:
                self.refusals -= 1
                return PrintOutcome(result=PrintResult.NOT_STARTED, reason=Reason.OCCUPIED)
            return await super().print_slip(slip, marked=marked)

    bench.printer = Wary(bench.clock)
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        assert (await bench.until(PrintJobState.WAITING)).reason is Reason.OCCUPIED
        job = await bench.until(PrintJobState.COMPLETED)
        assert (job.attempts, job.copies_marked) == (4, 0)
    assert bench.marks == [False]


async def test_what_may_be_on_paper_is_printed_again_with_the_mark(bench: Bench) -> None:
    bench.printer.fault_in_next_slip = Reason.PAPER_OUT
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        assert (await bench.until(PrintJobState.WAITING)).reason is Reason.PAPER_OUT
        bench.printer.mend()
        await bench.printer.probe()
        queue.printer_changed()
        job = await bench.until(PrintJobState.COMPLETED)
        assert (job.attempts, job.copies_marked) == (2, 1)
    assert (bench.printer.half_slips, bench.marks) == (1, [True])


class Refusing(FakeTicketPrinter):
    """Works by its own word, and refuses slips one reason after the other."""

    def __init__(self, clock: HastyClock, *reasons: Reason) -> None:
        super().__init__(clock)
        self._reasons = list(reasons)
        self.asked_s: list[float] = []

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        self.asked_s.append(self._clock.mono_s())
        if self._reasons:
            return PrintOutcome(result=PrintResult.NOT_STARTED, reason=self._reasons.pop(0))
        return await super().print_slip(slip, marked=marked)


async def test_a_slip_is_in_hand_between_its_attempts_and_not_while_nothing_can_come_out(
    bench: Bench,
) -> None:
    bench.printer = Refusing(bench.clock, Reason.OCCUPIED)
    pauses: list[bool] = []
    pass_on = bench.clock.sleep

    async def sleep(seconds: float) -> None:
        pauses.append(queue.in_hand)
        await pass_on(seconds)

    bench.clock.sleep = sleep  # type: ignore[method-assign]  # to look into the retry pause
    async with bench.printing() as queue:
        assert not queue.in_hand
        queue.hold("power")
        await queue.submit(JOB, SLIP)
        assert not queue.in_hand
        queue.release("power")
        assert queue.in_hand
        await bench.until(PrintJobState.COMPLETED)
        assert pauses == [True]
        await asyncio.sleep(0.05)
        assert not queue.in_hand
        bench.printer.fault = Reason.PAPER_OUT
        await bench.printer.probe()
        await queue.submit(JobId("next"), SLIP)
        assert not queue.in_hand


async def test_the_same_refusal_is_told_once_and_asked_for_less_and_less_often(
    bench: Bench,
) -> None:
    bench.printer = printer = Refusing(
        bench.clock, *[Reason.OCCUPIED] * 6, Reason.COVER_OPEN, Reason.COVER_OPEN
    )
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        await bench.until(PrintJobState.COMPLETED)
        told = [event.state for event in await bench.told()]
        assert told == ["waiting", "waiting", "completed"]  # for the one reason, for the other
        await queue.submit(JobId("next"), SLIP)
        await bench.until(PrintJobState.COMPLETED, "next")
    pauses = [after - before for before, after in itertools.pairwise(printer.asked_s)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 0.0]


async def test_a_slip_that_can_never_be_printed_makes_way(bench: Bench) -> None:
    bench.printer = Refusing(bench.clock, Reason.UNSUPPORTED)
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        job = await bench.until(PrintJobState.CANCELLED)
        assert (job.attempts, job.reason) == (1, Reason.UNSUPPORTED)
        await queue.submit(JobId("next"), SLIP)
        await bench.until(PrintJobState.COMPLETED, "next")
        assert [event.state for event in await bench.told()] == ["cancelled", "completed"]


async def test_a_printer_that_recovers_without_a_word_is_seen(bench: Bench) -> None:
    bench.look_again_s = 0.01
    bench.printer.fault = Reason.PAPER_OUT
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        await bench.until(PrintJobState.WAITING)
        bench.printer.mend()
        await bench.printer.probe()
        await bench.until(PrintJobState.COMPLETED)


@pytest.mark.parametrize("paper", [True, False])
async def test_yesterdays_slip_is_never_printed(bench: Bench, paper: bool) -> None:
    async with bench.agent() as queue:
        await queue.submit(JOB, SLIP)
        bench.clock.advance(11 * 3600)  # eleven at night
        await queue.submit(JobId("late"), SLIP)
        bench.clock.advance(2 * 3600)
        await queue.submit(JobId("today"), SLIP)
    bench.printer.fault = None if paper else Reason.PAPER_OUT
    async with bench.printing() as queue:
        end = PrintJobState.COMPLETED if paper else PrintJobState.WAITING
        await bench.until(end, "today")
        for job in (JOB, JobId("late")):
            assert (await queue.find(job)).state is PrintJobState.CANCELLED
        told = [(event.job, event.state) for event in await bench.told()]
        assert told == [(JOB, "cancelled"), ("late", "cancelled"), ("today", end)]
    assert len(bench.printer.slips) == int(paper)


async def test_a_slip_of_today_is_printed_however_late_it_is(bench: Bench) -> None:
    async with bench.agent() as queue:
        await queue.submit(JOB, SLIP)
    bench.clock.advance(11 * 3600)
    async with bench.printing():
        await bench.until(PrintJobState.COMPLETED)


class FullJournal(Journal):
    """The disk is full for some writes, counted from one."""

    full: set[int] = set()
    writes = 0

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        FullJournal.writes += 1
        if FullJournal.writes in self.full:
            raise StoreError("agent.sqlite: database or disk is full")
        return await super().write(work)


@pytest.mark.parametrize(
    ("full", "marks"),
    [
        ({1, 2, 3}, [False]),  # before the attempt: nothing is on paper
        ({2, 3, 4}, [False, True]),  # after it: it may be
    ],
)
async def test_a_full_disk_loses_no_job_and_does_not_end_the_agent(
    tmp_path: Path, full: set[int], marks: list[bool]
) -> None:
    bench = Bench(tmp_path / "agent.sqlite", journal=FullJournal)
    async with bench.agent() as queue:
        FullJournal.full = set()
        await queue.submit(JOB, SLIP)
    await bench.printer.probe()
    async with bench.agent() as queue:
        FullJournal.full, FullJournal.writes = full, 0
        running = asyncio.create_task(queue.run())
        await bench.until(PrintJobState.COMPLETED)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert bench.marks == marks
    assert bench.clock.mono_s() == pytest.approx(3.0)


class Mute(FakeTicketPrinter):
    """Prints, and never says so."""

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        await super().print_slip(slip, marked=marked)
        return PrintOutcome(result=PrintResult.UNKNOWN)


async def test_copies_end_at_the_limit_and_the_next_job_goes_on(bench: Bench) -> None:
    bench.printer = mute = Mute(bench.clock)
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        given_up = await bench.until(PrintJobState.CANCELLED)
        assert (given_up.attempts, given_up.reason) == (UNCONFIRMED_LIMIT, Reason.SILENT)
        assert (await queue.submit(JOB, SLIP)).state is PrintJobState.CANCELLED
        await queue.submit(JobId("next"), SLIP)
        await bench.until(PrintJobState.CANCELLED, "next")
    assert [marked for _, marked in mute.slips[:UNCONFIRMED_LIMIT]] == [False, True, True]


class Crashing(FakeTicketPrinter):
    """A driver with a fault of ours."""

    crashes = 1

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        if self.crashes:
            self.crashes -= 1
            raise KeyError("profile")
        return await super().print_slip(slip, marked=marked)

    async def probe(self) -> DeviceReport:
        if not self.crashes and not self.slips:
            self.crashes = -1
            raise KeyError("profile")
        return await super().probe()


async def test_a_driver_that_raises_does_not_end_the_agent(bench: Bench) -> None:
    bench.printer = printer = Crashing(bench.clock)
    async with bench.printing() as queue:
        await queue.submit(JOB, SLIP)
        assert (await bench.until(PrintJobState.WAITING)).reason is Reason.INTERNAL
        printer.crashes = 0
        printer.slips.append((SLIP, False))  # the probe is mended, too
        job = await bench.until(PrintJobState.COMPLETED)
        assert job.copies_marked == 1


class Fate:
    """Ends the agent at the n-th moment: before or after a transaction or the printing."""

    def __init__(self) -> None:
        self.left = 0

    def strike(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Power


class MortalJournal(Journal):
    fate: Fate

    async def write(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        self.fate.strike()
        result = await super().write(work)
        self.fate.strike()
        return result


class MortalPrinter(FakeTicketPrinter):
    """The printer lives on; the agent may die before or after its word."""

    fate: Fate

    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        self.fate.strike()
        outcome = await super().print_slip(slip, marked=marked)
        self.fate.strike()
        return outcome


def mortal(path: Path) -> tuple[Bench, Fate]:
    fate = Fate()
    bench = Bench(path, journal=MortalJournal)
    bench.printer = printer = MortalPrinter(bench.clock)
    MortalJournal.fate = printer.fate = fate
    return bench, fate


async def die_at(bench: Bench, fate: Fate, moment: int) -> bool:
    """One life that ends at a moment of its printing; False if the job was completed first."""
    await bench.printer.probe()
    async with bench.agent() as queue:
        fate.left = moment
        running = asyncio.create_task(queue.run())
        completed = asyncio.create_task(bench.until(PrintJobState.COMPLETED))
        await asyncio.wait({running, completed}, return_when=asyncio.FIRST_COMPLETED)
        died = running.done()
        running.cancel()
        completed.cancel()
        await asyncio.gather(running, completed, return_exceptions=True)
        fate.left = 0
    return died


async def test_a_death_between_any_two_statements_leaves_one_valid_number(tmp_path: Path) -> None:
    seen: set[tuple[bool, ...]] = set()
    for moment in itertools.count(1):
        bench, fate = mortal(tmp_path / f"{moment}.sqlite")
        async with bench.agent() as queue:
            await queue.submit(JOB, SLIP)
        if not await die_at(bench, fate, moment):
            break
        async with bench.printing() as queue:
            if (await queue.find(JOB)).state is not PrintJobState.COMPLETED:
                await bench.until(PrintJobState.COMPLETED)
            told = [event.state for event in await bench.told()]
        assert told.count(PrintJobState.COMPLETED) == 1
        # What may be a second copy says so, and nothing is printed a third time.
        assert bench.marks in ([False], [True], [False, True])
        assert all(slip == SLIP for slip, _ in bench.printer.slips)
        seen.add(tuple(bench.marks))
    assert seen == {(False,), (True,), (False, True)}


async def test_an_agent_that_dies_of_the_job_stops_printing_it(tmp_path: Path) -> None:
    bench, fate = mortal(tmp_path / "agent.sqlite")
    async with bench.agent() as queue:
        await queue.submit(JOB, SLIP)
    lives = 0
    while True:
        # A moment at which the slip is on paper and the agent has not written it down.
        after_paper = 4 if lives == 0 else 6
        if lives == UNCONFIRMED_LIMIT or not await die_at(bench, fate, after_paper):
            break
        lives += 1
    assert lives == UNCONFIRMED_LIMIT
    async with bench.printing() as queue:
        assert (await bench.until(PrintJobState.CANCELLED)).attempts == UNCONFIRMED_LIMIT
        assert await queue.unfinished() == ()
        assert [event.state for event in await bench.told()] == [PrintJobState.CANCELLED]
    assert bench.marks == [False, True, True]


async def test_what_is_owed_is_known_after_a_restart(bench: Bench) -> None:
    async with bench.agent() as queue:
        await queue.submit(JOB, SLIP)
    async with bench.agent() as queue:
        assert [job.id for job in await queue.unfinished()] == [JOB]


async def test_ended_jobs_are_forgotten_in_the_end_and_owed_ones_never(bench: Bench) -> None:
    async with bench.agent() as queue:
        await queue.submit(JobId("owed"), SLIP)
        text = SLIP.model_dump_json()
        await bench.journal.write(
            lambda db: db.executemany(
                "insert into print_job (id, slip, state, created_ms) values (?, ?, 'completed', 1)",
                [(f"job-{number}", text) for number in range(KEPT_JOBS + 10)],
            )
        )
        await queue.submit(JobId("last"), SLIP)
        with pytest.raises(Rejected):
            await queue.find(JobId("job-0"))
        assert (await queue.find(JobId(f"job-{KEPT_JOBS}"))).state is PrintJobState.COMPLETED
        assert [job.id for job in await queue.unfinished()] == ["owed", "last"]
