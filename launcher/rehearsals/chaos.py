"""A hall in which everything fails: processes die, links are cut, peripherals misbehave.

A scripted citizen takes tickets meanwhile. Whatever happens, every number is given once, every
number that was shown is printed or owed, and the operations centre counts what happened.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from drivers.sim.control import order
from hallkit.lexicon.words import words
from hallkit.wire.events import VisitStarted
from kiosk.service import SCREEN_SOCKET
from launcher.centre import ConsoleClient, console_client, read_store
from launcher.hall import Hall, running_hall
from launcher.installation import TERMINAL, Installation
from launcher.rehearsals.citizen import CARD, Citizen, Manner, Visited, citizen_at
from launcher.rehearsals.record import Plan, Record
from launcher.witness import Witness, files_holding, listening

HELP = "random faults in a running hall while tickets are taken"

VISIT_TIMEOUT_S = 60.0
REPAIR_TIMEOUT_S = 30.0
QUIET_TIMEOUT_S = 150.0
"""The agent's and the centre's links come back with a back-off that a row of faults has grown."""
CONTROL_TIMEOUT_S = 10.0

PROGRAMS = ("broker", "affairs", "ops", "agent", "kiosk", "screen")
SIMULATORS = ("sim-id-card-reader", "sim-ticket-printer")
KEPT = ("kiosk", "screen", "agent")
"""Keepers; the agent's working process is the card reader's."""

PRINTER_FAULTS: tuple[dict[str, Any], ...] = (
    {"do": "fault.set", "fault": "paper_out"},
    {"do": "fault.set", "fault": "paper_out", "after_lines": 6},
    {"do": "fault.set", "fault": "paper_low"},
    {"do": "fault.set", "fault": "cover_open", "after_lines": 4},
    {"do": "fault.set", "fault": "cutter"},
    {"do": "fault.set", "fault": "overheated", "after_lines": 3},
    {"do": "fault.set", "fault": "offline"},
    {"do": "fault.set", "fault": "silent", "times": 3},
    {"do": "fault.set", "fault": "drop", "times": 1, "after_lines": 5},
    {"do": "fault.set", "fault": "garble", "times": 2},
    {"do": "fault.set", "fault": "delay", "times": 3, "seconds": 0.4},
    {"do": "fault.set", "fault": "busy", "times": 2},
    {"do": "paper.set", "lines": 8},
    {"do": "hold", "after_lines": 5},
    {"do": "disconnect"},
    {"do": "power.cut"},
)
READER_FAULTS: tuple[dict[str, Any], ...] = (
    {"do": "fault.set", "fault": "drop", "times": 1},
    {"do": "fault.set", "fault": "silent", "times": 2},
    {"do": "fault.set", "fault": "delay", "seconds": 0.4},
    {"do": "fault.set", "fault": "garble", "times": 2},
    {"do": "fault.set", "fault": "cut", "times": 2},
    {"do": "fault.set", "fault": "double", "times": 3},
    {"do": "fault.set", "fault": "noise", "times": 3},
    {"do": "fault.set", "fault": "only_noise", "times": 1},
    {"do": "fault.set", "fault": "read_fail", "times": 1, "on": "read"},
    {"do": "fault.set", "fault": "self_test", "times": 1},
    {"do": "unplug"},
)
PRINTER_REPAIR = ("fault.clear", "paper.refill", "release", "power.on")
READER_REPAIR = ("fault.clear", "plug")


def say(key: str) -> str:
    """A text as the citizen reads it."""
    return words("zh_CN")(key)


async def run(plan: Plan, record: Record) -> None:
    """Rounds of faults until the time is up; then everything is mended and has to come right."""
    installation = Installation(plan.root)
    installation.prepare(move_ports=True, witness=True)
    async with (
        running_hall(installation, headless=True) as hall,
        listening(installation) as witness,
        console_client(installation) as console,
    ):
        chaos = _Chaos(hall, console, plan, record)
        await console.until_online(TERMINAL)
        async with citizen_at(installation.runtime / SCREEN_SOCKET, chaos.hand) as citizen:
            end = time.monotonic() + plan.minutes * 60
            while time.monotonic() < end:
                await chaos.round(citizen)
        await chaos.come_right(witness)


@dataclass(frozen=True, slots=True)
class _Fault:
    name: str
    begin: Callable[[], Awaitable[None]]
    repair: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Copy:
    """A ticket on paper, down to its code."""

    number: str
    marked: bool


class _Chaos:
    """The faults, and the eyes on what must hold."""

    def __init__(self, hall: Hall, console: ConsoleClient, plan: Plan, record: Record) -> None:
        self._hall = hall
        self._console = console
        self._record = record
        self._faults_of = plan.random("faults")
        self._manners_of = plan.random("manners")
        self._shown: list[str] = []
        self._faults = self._all_faults()

    async def round(self, citizen: Citizen) -> None:
        """One visit with one to three faults in it, each repaired before the round ends."""
        record = self._record
        record.counts["rounds"] += 1
        random = self._faults_of
        faults = [(random.choice(self._faults), *_times(random)) for _ in range(_few(random))]
        manner = _manner(self._manners_of)
        async with asyncio.TaskGroup() as tasks:
            for fault, after_s, for_s in faults:
                tasks.create_task(self._suffer(fault, after_s, for_s))
            visit = tasks.create_task(citizen.visit(manner, timeout_s=VISIT_TIMEOUT_S))
        self._count(visit.result(), manner)
        await self._hold_after_round()

    async def come_right(self, witness: Witness) -> None:
        """Everything works again: what was promised is kept, and counted once."""
        await self._repair_all()
        quiet = await _within(QUIET_TIMEOUT_S, self._is_quiet)
        record, hall = self._record, self._hall
        record.expect("the hall comes to rest once everything is mended", quiet, **self._rest())
        await self._hold_after_round()
        await self._hold_counts()
        secrets = (CARD["name"], CARD["number"], CARD["address"])
        in_files = files_holding(hall.installation, *secrets)
        record.counts["payloads heard"] = len(witness.payloads)
        record.expect(
            "no personal data on the broker, in state or in logs",
            not witness.find(*secrets) and not in_files,
            topics=witness.find(*secrets),
            files=in_files,
        )

    async def hand(self, lay: bool) -> None:
        """The citizen's hand at the reader."""
        if lay:
            await self._order(self._hall.reader_control, "card.lay", card=CARD)
        else:
            await self._order(self._hall.reader_control, "card.lift")

    # ── Faults ───────────────────────────────────────────────────────────────────────────────

    def _all_faults(self) -> Sequence[_Fault]:
        kills = [_Fault(f"kill {name}", self._killer(name), _nothing) for name in PROGRAMS]
        kills += [_Fault(f"kill {name}", self._killer(name), _nothing) for name in SIMULATORS]
        kills += [_Fault(f"kill working {name}", self._worker(name), _nothing) for name in KEPT]
        outages = [
            _Fault(f"{name} down", self._killer(name, hold=True), self._releaser(name))
            for name in ("broker", "affairs", "ops", "agent")
        ]
        printer = [
            _Fault(f"printer {_named(one)}", self._printer(one), self._repair_printer)
            for one in PRINTER_FAULTS
        ]
        reader = [
            _Fault(f"reader {_named(one)}", self._reader(one), self._repair_reader)
            for one in READER_FAULTS
        ]
        return (*kills, *outages, *printer, *reader)

    async def _suffer(self, fault: _Fault, after_s: float, for_s: float) -> None:
        await asyncio.sleep(after_s)
        self._record.counts[f"fault: {fault.name}"] += 1
        self._record.counts["faults"] += 1
        self._record.note(f"{fault.name} for {for_s:.1f} s")
        await fault.begin()
        await asyncio.sleep(for_s)
        await fault.repair()

    def _killer(self, name: str, *, hold: bool = False) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            with suppress(ProcessLookupError):
                self._hall.table.kill(name, hold=hold)

        return kill

    def _releaser(self, name: str) -> Callable[[], Awaitable[None]]:
        return lambda: self._hall.table.release(name)

    def _worker(self, name: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            with suppress(ProcessLookupError):
                os.kill(self._hall.working_pid(name), signal.SIGKILL)

        return kill

    def _printer(self, what: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        return lambda: self._order(self._hall.printer_control, **what)

    def _reader(self, what: dict[str, Any]) -> Callable[[], Awaitable[None]]:
        return lambda: self._order(self._hall.reader_control, **what)

    async def _repair_printer(self) -> None:
        for do in PRINTER_REPAIR:
            await self._order(self._hall.printer_control, do)

    async def _repair_reader(self) -> None:
        for do in READER_REPAIR:
            await self._order(self._hall.reader_control, do)

    async def _repair_all(self) -> None:
        for name in PROGRAMS:
            await self._hall.table.release(name)
        await self._repair_printer()
        await self._repair_reader()

    async def _order(self, control: Path, do: str, **arguments: Any) -> None:
        """Tell a simulator, waiting for it where it was killed a moment ago."""
        async with asyncio.timeout(CONTROL_TIMEOUT_S):
            while True:
                try:
                    await order(control, do, **arguments)
                except (OSError, json.JSONDecodeError):
                    await asyncio.sleep(0.1)
                else:
                    return

    # ── What must hold ───────────────────────────────────────────────────────────────────────

    def _count(self, visited: Visited, manner: Manner) -> None:
        counts = self._record.counts
        counts["visits started"] += visited.started
        counts["visits with card"] += manner.with_card
        counts["visits cut short"] += not visited.over
        counts["taps"] += visited.taps
        counts["slips seen printed by the citizen"] += visited.printed
        if visited.number:
            counts["numbers shown"] += 1
            self._record.note(f"number {visited.number}")
            self._record.expect(
                "no number is shown to two citizens",
                visited.number not in self._shown,
                number=visited.number,
            )
            self._shown.append(visited.number)

    async def _hold_after_round(self) -> None:
        record = self._record
        alive = await _within(REPAIR_TIMEOUT_S, self._nobody_dead)
        record.expect("no process stays dead", alive, dead=self._hall.table.dead())
        promised = await _within(REPAIR_TIMEOUT_S, self._all_promised)
        record.expect(
            "every number shown is printed, owed, or handed to staff",
            promised,
            unaccounted=sorted(set(self._shown) - self._accounted()),
        )
        issued = self._issued()
        twice = [number for number, times in Counter(issued).items() if times > 1]
        record.expect("no number is issued twice", not twice, numbers=twice)
        copies = self._copies()
        unmarked = Counter(copy.number for copy in copies if not copy.marked)
        doubled = sorted(number for number, times in unmarked.items() if times > 1)
        record.expect("no second copy without the reprint mark", not doubled, numbers=doubled)
        strange = sorted({copy.number for copy in copies} - set(issued))
        record.expect("no number on paper that was not issued", not strange, numbers=strange)

    async def _hold_counts(self) -> None:
        record = self._record
        machine = await self._console.machine(TERMINAL)
        completed = [job for job in self._jobs() if job[1] == "completed"]
        told = self._told(VisitStarted.EVENT_TYPE)
        record.counts |= {
            "numbers issued": len(self._issued()),
            "copies on paper": len(self._copies()),
            "copies marked": sum(copy.marked for copy in self._copies()),
            "jobs completed": len(completed),
            "jobs handed to staff": sum(job[1] == "cancelled" for job in self._jobs()),
            "centre: visits": machine.get("visits_today", -1),
            "centre: tickets": machine.get("tickets_today", -1),
        }
        record.expect(
            "the centre counts every visit once",
            machine.get("visits_today") == record.counts["visits started"] == len(set(told)),
            counted=machine.get("visits_today"),
            happened=record.counts["visits started"],
            told=len(told),
            told_once=len(set(told)),
        )
        record.expect(
            "the centre counts every printed ticket once",
            machine.get("tickets_today") == len(completed),
            counted=machine.get("tickets_today"),
            happened=len(completed),
        )

    async def _nobody_dead(self) -> bool:
        return not self._hall.table.dead()

    async def _all_promised(self) -> bool:
        return set(self._shown) <= self._accounted()

    async def _is_quiet(self) -> bool:
        rest = self._rest()
        machine = await self._console.machine(TERMINAL)
        return (
            not rest["dead"]
            and not rest["open_jobs"]
            and rest["outbox"] == 0
            and machine.get("state") == "online"
        )

    def _rest(self) -> dict[str, Any]:
        """What is still to be done."""
        return {
            "dead": self._hall.table.dead(),
            "open_jobs": [job for job in self._jobs() if job[1] not in ("completed", "cancelled")],
            "outbox": self._agent("select count(*) from outbox")[0][0],
        }

    def _accounted(self) -> set[str]:
        printed = {copy.number for copy in self._copies()}
        return printed | {number for number, _, _ in self._jobs()}

    def _jobs(self) -> list[tuple[str, str, int]]:
        """Number, state and unconfirmed attempts of each job in the agent's journal."""
        rows = self._agent("select slip, state, unconfirmed from print_job")
        return [(_number_of(slip), state, unconfirmed) for slip, state, unconfirmed in rows]

    def _agent(self, statement: str) -> list[tuple[Any, ...]]:
        return self._rows(TERMINAL, "agent.sqlite", statement)

    def _issued(self) -> list[str]:
        rows = self._rows("affairs", "*.sqlite", "select number from tickets")
        return [number for (number,) in rows]

    def _told(self, kind: str) -> list[str]:
        """Visits of the centre's events of one type."""
        statement = f"select data from event where type = '{kind}'"  # noqa: S608  # our own word
        rows = self._rows("ops", "ops.sqlite", statement)
        return [json.loads(data)["visit"] for (data,) in rows]

    def _rows(self, identity: str, pattern: str, statement: str) -> list[tuple[Any, ...]]:
        [database] = self._hall.installation.state(identity).glob(pattern)
        for _ in range(20):
            with suppress(sqlite3.OperationalError):  # a process that starts holds the lock
                return read_store(database, statement)
            time.sleep(0.1)
        return read_store(database, statement)

    def _copies(self) -> list[Copy]:
        """What came out of the printer, cut or torn off with an empty roll."""
        pieces = sorted(self._hall.installation.receipts.glob("*.txt"))
        return [copy for piece in pieces for copy in read_piece(piece)]


def read_piece(piece: Path) -> list[Copy]:
    """Tickets on one piece of paper: several, where a power cut left half a slip on it."""
    copies = []
    marked = mark_seen = False
    for line in piece.read_text(encoding="utf-8").splitlines():
        if line.strip() == say("slip.reprint"):
            mark_seen = True
        elif line.strip() == say("slip.number"):
            marked, mark_seen = mark_seen, False
        elif line.startswith("[qr] HK1.T."):
            copies.append(Copy(line.split(".")[4], marked))
    return copies


def _number_of(slip: str) -> str:
    codes = [line["text"] for line in json.loads(slip)["lines"] if line["kind"] == "qr"]
    return str(codes[0]).split(".")[4]


def _named(what: dict[str, Any]) -> str:
    after = f" after {what['after_lines']} lines" if "after_lines" in what else ""
    return f"{what.get('fault', what['do'])}{after}"


def _few(random: Random) -> int:
    return random.choice((1, 1, 1, 2, 2, 3))


def _times(random: Random) -> tuple[float, float]:
    """When a fault begins in its round, and how long it lasts."""
    return random.uniform(0.0, 2.0), random.uniform(0.2, 4.0)


def _manner(random: Random) -> Manner:
    return Manner(
        with_card=random.random() < 0.4,
        waits_for_slip=random.random() < 0.7,
        choice=random.randrange(12),
    )


async def _nothing() -> None:
    """What was killed comes back by itself."""


async def _within(seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
    end = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.2)
    return True
