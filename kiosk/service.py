"""The terminal's service: runs the flow, asks the agent and the business node, feeds the screen.

Everything a citizen does is one event through the pure flow; effects are carried out here, each in
its own task with its deadline. The draft of a visit lives in the runtime folder (memory only): a
service that dies is replaced and the visit goes on; the end of the visit deletes it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from hallkit.catalogue.installed import installed, open_installed
from hallkit.catalogue.misses import Misses
from hallkit.catalogue.snapshot import Catalogue
from hallkit.errors import HallError, LinkDown, Rejected, TrustError, WireError
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport
from hallkit.model.ids import VisitId, new_id
from hallkit.model.printing import PrintJob, PrintJobState
from hallkit.model.ticket import Ticket
from hallkit.runtime.bus import BusClient, BusServer, Connection, parse_args
from hallkit.runtime.clock import Clock, utc
from hallkit.runtime.keys import load_publics
from hallkit.runtime.log import get_logger
from hallkit.wire import agent_bus as bus
from hallkit.wire.affairs_api import QueueServices, TicketIssued, TicketRequest
from hallkit.wire.base import Message
from hallkit.wire.events import CloudEvent
from hallkit.wire.sealed import seal
from kiosk.finding import found_by, item_card
from kiosk.flow import events as ev
from kiosk.flow import view as screen
from kiosk.flow.present import present
from kiosk.flow.state import Step, Surroundings, Visit
from kiosk.flow.visit import resume, step, turn, wants_card_watch

AGENT_SOCKET = "agent.sock"
CARD_SOCKET = "card.sock"
SCREEN_SOCKET = "kiosk.sock"
DRAFT = "kiosk-draft.json"

WAITS_INTERVAL_S = 5.0
CATALOGUE_INTERVAL_S = 0.5
PRINT_RETRY_S = 0.5
LAST_WORDS_S = 10.0
"""How long the end of a visit waits for the agent to keep its events and to promise its slip."""

TAKE_TRIES_S = 8.0
"""How long a number is asked for before the citizen hears that the hall can't be reached."""


class Tap(Message):
    action: str
    value: str = ""
    seq: int | None = None
    """Of the view that was tapped on; None from one who looks at no screen."""


class TapAnswer(Message):
    taken: bool
    """False if the tap was made for a screen that is gone."""


class TypedText(Message):
    value: str


class Shown(Message):
    """The screen drew a view; `ms` from the tap to the frame, where it knows."""

    seq: int = 0
    ms: float = 0.0


class ViewData(Message):
    view: screen.View


class Affairs(Protocol):
    """What is used of `hallkit.clients.affairs.AffairsClient`."""

    async def issue_ticket(self, request: TicketRequest, idempotency_key: str) -> TicketIssued: ...

    async def queue_services(self) -> QueueServices: ...


class KioskService:
    """One visit, from the first tap to the end of its process."""

    def __init__(
        self,
        *,
        runtime: Path,
        state: Path,
        key: Path,
        hall_name: str,
        popular: tuple[str, ...],
        idle_ask_s: float,
        idle_end_s: float,
        affairs: Affairs,
        sealed_to: X25519PublicKey | None = None,
        misses: Misses,
        clock: Clock,
        waits_interval_s: float = WAITS_INTERVAL_S,
        catalogue_interval_s: float = CATALOGUE_INTERVAL_S,
        print_retry_s: float = PRINT_RETRY_S,
        last_words_s: float = LAST_WORDS_S,
        take_tries_s: float = TAKE_TRIES_S,
    ) -> None:
        self._draft = runtime / DRAFT
        self._state = state
        self._key = key
        self._popular = popular
        self._idle_ask_s = idle_ask_s
        self._idle_end_s = idle_end_s
        self._affairs = affairs
        self._sealed_to = sealed_to
        """The node's key: what a citizen said is sealed to it before it leaves this process."""
        self._misses = misses
        self._clock = clock
        self._waits_interval_s = waits_interval_s
        self._catalogue_interval_s = catalogue_interval_s
        self._print_retry_s = print_retry_s
        self._last_words_s = last_words_s
        self._take_tries_s = take_tries_s
        self._words = words("zh_CN")
        self._catalogue: Catalogue | None = None
        self._log = get_logger()
        self._around = Surroundings(hall_name=hall_name, now_ms=clock.wall_ms())
        self._visit = self._resume() or Visit(id=VisitId(new_id()))
        self._seq = 0
        self._turn = turn(self._visit)
        self._turn_since = 0
        """The first view of this turn: taps on it and on later ones mean what they say."""
        self.stale_taps = 0
        """Not taken: the screen that they were made on was gone."""
        self._catalogue_fault = ""
        self._tried = ""
        self._view = present(self._visit, self._around, self._words)
        self._last_tap_s = clock.mono_s()
        self._tasks: asyncio.TaskGroup | None = None
        self._over = asyncio.Event()
        self._pending: set[asyncio.Task[None]] = set()
        self._last_words: set[asyncio.Task[None]] = set()
        """Those of the pending that the end of the visit waits for."""
        self._jobs_heard: dict[str, PrintJob] = {}
        """What the agent told of a job while it was asked about it: newer than its answer."""
        self._screen = BusServer(
            screen.SERVER,
            runtime / SCREEN_SOCKET,
            handlers={
                screen.TAP: self._on_tap,
                screen.TEXT: self._on_text,
                screen.SHOWN: self._on_shown,
            },
            snapshot=lambda: ViewData(view=self._view),
            for_group=True,  # the screen has a user of its own
        )
        self._agent = BusClient(
            runtime / AGENT_SOCKET,
            on_snapshot=self._on_agent_snapshot,
            on_event=self._on_agent_event,
            on_lost=self._on_agent_lost,
        )
        self._cards = BusClient(
            runtime / CARD_SOCKET, on_snapshot=self._on_card_snapshot, on_event=self._on_card_event
        )

    async def run(self) -> None:
        """Serve one visit; returns when it is over and nothing of it is left."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                standing = [
                    tasks.create_task(self._agent.run(), name="agent"),
                    tasks.create_task(self._cards.run(), name="cards"),
                    tasks.create_task(self._watch_waits(), name="waits"),
                    tasks.create_task(self._watch_catalogue(), name="catalogue"),
                    tasks.create_task(self._watch_time(), name="time"),
                ]
                async with self._screen:
                    self._carry_on()
                    await self._over.wait()
                # No screen sees the visit any more. What it still has to tell is told first; a
                # missing agent can't hold us up.
                if self._last_words:
                    await asyncio.wait(set(self._last_words), timeout=self._last_words_s)
                for task in (*standing, *self._pending):
                    task.cancel()
        finally:
            self._tasks = None
            if self._catalogue is not None:
                self._catalogue.close()

    # ── The flow ─────────────────────────────────────────────────────────────────────────────

    def _happen(self, event: ev.Event) -> None:
        before = self._visit
        self._visit, effects = step(before, event, self._around, self._words)
        if self._visit != before:
            self._keep_draft()
        for effect in effects:
            self._do(effect)
        self._heed_machine()
        # After what is found out at once: no screen flashes by that says nothing was found.
        if not self._over.is_set():
            self._show()

    def _do(self, effect: ev.Effect) -> None:
        match effect:
            case ev.Search(query=query):
                self._search(query)
            case ev.CountMiss(query=query):
                self._spawn(self._count_miss(query), "count miss", last_words=True)
            case ev.OpenItem(code=code):
                item = self._catalogue.item(code) if self._catalogue is not None else None
                if item is not None:
                    self._happen(ev.ItemOpened(item))
            case ev.WatchCard(on=on):
                self._spawn(self._watch_card(on=on), "watch card")
            case ev.TakeTicket():
                self._spawn(self._take_ticket(effect), "take ticket")
            case ev.Print() | ev.Tell() | ev.HoldMachine():
                self._do_with_agent(effect)
            case ev.EndSession():
                self._end()

    def _do_with_agent(self, effect: ev.Print | ev.Tell | ev.HoldMachine) -> None:
        match effect:
            case ev.Print():
                self._spawn(self._print(effect), "print", last_words=True)
            case ev.Tell(data=data):
                time = utc(self._clock.wall_ms())
                event = CloudEvent.wrap(data, source="kiosk", time=time, subject=self._visit.id)
                # A visit tells each type once: told again after a crash, it has the same id.
                event = event.model_copy(update={"id": f"{self._visit.id}-{event.type}"})
                self._spawn(self._tell(event), "tell", last_words=True)
            case ev.HoldMachine(on=on):
                self._spawn(self._hold_machine(on=on), "hold machine")

    def _spawn(
        self, work: Coroutine[Any, Any, None], name: str, *, last_words: bool = False
    ) -> None:
        if self._tasks is None:
            work.close()
            return
        task = self._tasks.create_task(work, name=name)
        for group in (self._pending, self._last_words) if last_words else (self._pending,):
            group.add(task)
            task.add_done_callback(group.discard)

    def _show(self) -> None:
        fresh = present(self._visit, self._around, self._words)
        now = turn(self._visit)
        if now == self._turn and fresh.model_copy(update={"seq": self._seq}) == self._view:
            return
        self._seq += 1
        if now != self._turn:
            self._turn, self._turn_since = now, self._seq
        self._view = fresh.model_copy(update={"seq": self._seq})
        self._screen.publish(screen.VIEW, ViewData(view=self._view))

    def _heed_machine(self) -> None:
        """A visit ends with the machine's service, as soon as no number is on its way."""
        visit = self._visit
        if visit.over or visit.started_ms is None:
            return
        if visit.step is Step.CLOSED:
            if self._around.admits:
                self._last_tap_s = self._clock.mono_s()
                self._happen(ev.MachineOpens())
        elif self._around.closes and not visit.taking:
            self._last_tap_s = self._clock.mono_s()  # time enough to read the last screen
            self._happen(ev.MachineCloses())

    def _look(self, **changes: Any) -> None:
        """The surroundings changed."""
        self._around = self._around.model_copy(update=changes)
        self._show()

    def _search(self, query: str) -> None:
        if self._catalogue is None:
            return
        found = found_by(self._catalogue, query, self._words)
        self._happen(ev.SearchDone(query, found))

    async def _count_miss(self, query: str) -> None:
        """For whoever grows the lexicon. No citizen waits for it, and a full disk is no fault."""
        try:
            await asyncio.to_thread(self._misses.add, query)
        except (sqlite3.Error, OSError) as fault:
            self._log.warning("miss.not_kept", why=type(fault).__name__)

    # ── Drafts ───────────────────────────────────────────────────────────────────────────────

    def _resume(self) -> Visit | None:
        """The visit that a crashed service left, or None.

        Only while its citizen may still stand there: what is older would have timed out.
        """
        try:
            age_s = self._clock.wall_ms() / 1000 - self._draft.stat().st_mtime
            visit = Visit.model_validate_json(self._draft.read_bytes())
            present(visit, self._around, self._words)
            resume(visit, self._around, self._words)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError):
            self._log.warning("draft.unusable")
        else:
            if abs(age_s) <= self._idle_ask_s + self._idle_end_s:
                return visit
            self._log.info("draft.too_old", age_s=round(age_s))
        self._draft.unlink(missing_ok=True)
        return None

    def _keep_draft(self) -> None:
        if self._visit.started_ms is None or self._visit.over:
            return
        # The photo is of no use to the flow; the less is kept, even in memory, the better.
        visit = self._visit
        if visit.card is not None and visit.card.photo_wlt:
            card = visit.card.model_copy(update={"photo_wlt": b""})
            visit = self._visit = visit.model_copy(update={"card": card})
        part = self._draft.with_suffix(".part")
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        part.write_bytes(visit.model_dump_json().encode())
        part.rename(self._draft)

    def _carry_on(self) -> None:
        """Take up what a crashed service was doing: every effect is idempotent."""
        self._visit, effects = resume(self._visit, self._around, self._words)
        self._show()
        for effect in effects:
            self._do(effect)

    # ── The screen ───────────────────────────────────────────────────────────────────────────

    async def _on_tap(self, args: Mapping[str, Any], _from: Connection) -> Message:
        """A tap means what stood on the screen under the finger, or nothing."""
        tap = parse_args(Tap, args)
        self._last_tap_s = self._clock.mono_s()
        if tap.seq is not None and not self._turn_since <= tap.seq <= self._seq:
            self.stale_taps += 1
            self._log.info("tap.stale", stale_taps=self.stale_taps)
            if self._visit.seconds_left is not None:
                self._happen(ev.Tapped("stay"))  # whatever it meant, somebody is there
            return TapAnswer(taken=False)
        self._happen(ev.Tapped(tap.action, tap.value))
        return TapAnswer(taken=True)

    async def _on_text(self, args: Mapping[str, Any], _from: Connection) -> Message:
        """Not asked for its turn: it is the whole field, and only one step takes any."""
        self._last_tap_s = self._clock.mono_s()
        self._happen(ev.Typed(parse_args(TypedText, args).value))
        return bus.Empty()

    async def _on_shown(self, args: Mapping[str, Any], _from: Connection) -> Message:
        shown = parse_args(Shown, args)
        self._log.debug("screen.shown", seq=shown.seq, ms=shown.ms)
        return bus.Empty()

    # ── The agent ────────────────────────────────────────────────────────────────────────────

    async def _on_agent_snapshot(self, data: dict[str, Any]) -> None:
        snapshot = parse_args(bus.AgentSnapshot, data)
        self._look(
            devices=snapshot.devices,
            power=snapshot.power,
            maintenance=snapshot.maintenance,
            numbers=snapshot.numbers,
            systems_down=snapshot.systems_down,
        )
        if self._visit.started_ms is not None and self._visit.step is not Step.CLOSED:
            self._spawn(self._hold_machine(on=True), "hold machine")
        self._heed_machine()
        for job in snapshot.jobs:
            self._happen(ev.JobChanged(job))
        if self._visit.ticket is not None:
            self._spawn(self._ask_job(), "ask job")

    async def _on_agent_event(self, name: str, data: dict[str, Any]) -> None:
        match name:
            case bus.DEVICE_CHANGED:
                changed = parse_args(bus.DeviceChanged, data).device
                self._look(devices=_replaced(self._around.devices, changed))
            case bus.POWER_CHANGED:
                self._look(power=parse_args(bus.PowerTold, data).phase)
                self._heed_machine()
            case bus.MAINTENANCE_CHANGED:
                self._look(maintenance=parse_args(bus.MaintenanceTold, data).phase)
                self._heed_machine()
            case bus.NUMBERS_CHANGED:
                self._look(numbers=parse_args(bus.NumbersChanged, data).services)
            case bus.SYSTEMS_CHANGED:
                self._look(systems_down=parse_args(bus.SystemsTold, data).down)
            case bus.PRINT_CHANGED:
                job = parse_args(bus.PrintJobResult, data).job
                self._jobs_heard[job.id] = job
                self._happen(ev.JobChanged(job))

    async def _on_agent_lost(self) -> None:
        self._look(devices=())

    async def _hold_machine(self, *, on: bool) -> None:
        """Let go only when the last words are with the agent."""
        if not on and self._last_words:
            await asyncio.wait(set(self._last_words), timeout=self._last_words_s)
        with suppress(LinkDown, Rejected):  # the next snapshot tells it again
            await self._agent.request(bus.VISIT_HOLD, bus.VisitHold(on=on), bus.Empty)

    async def _print(self, wanted: ev.Print) -> None:
        """Hand the slip to the agent until it has promised it."""
        while True:
            await self._agent.connected.wait()
            try:
                await self._hear_of_job(
                    wanted.job, bus.PRINT_SUBMIT, bus.PrintSubmit(job=wanted.job, slip=wanted.slip)
                )
            except LinkDown:
                await self._clock.sleep(self._print_retry_s)
                continue
            except Rejected as fault:
                self._log.warning("print.refused", code=fault.problem_code)
                refused = PrintJob(id=wanted.job, state=PrintJobState.CANCELLED)
                self._happen(ev.JobChanged(refused))
            return

    async def _ask_job(self) -> None:
        """What became of our slip while the agent was away."""
        job = self._visit.job_id
        with suppress(LinkDown, Rejected):
            await self._hear_of_job(job, bus.PRINT_JOB, bus.PrintJobQuery(job=job))

    async def _hear_of_job(self, job: str, name: str, args: Message) -> None:
        self._jobs_heard.pop(job, None)
        answer = await self._agent.request(name, args, bus.PrintJobResult)
        self._happen(ev.JobChanged(self._jobs_heard.get(job, answer.job)))

    async def _tell(self, event: CloudEvent) -> None:
        """Until it is in the outbox: the event's own id makes a second try harmless."""
        while True:
            await self._agent.connected.wait()
            try:
                await self._agent.request(bus.EVENT_ADD, bus.EventAdd(event=event), bus.Empty)
            except LinkDown:
                await self._clock.sleep(self._print_retry_s)
            except Rejected as fault:
                self._log.error("event.refused", code=fault.problem_code)
                return
            else:
                return

    # ── The card reader's process ────────────────────────────────────────────────────────────

    async def _on_card_snapshot(self, _data: dict[str, Any]) -> None:
        """Another process may be at work: it does not know yet that we watch."""
        if wants_card_watch(self._visit):
            self._spawn(self._watch_card(on=True), "watch card")

    async def _on_card_event(self, name: str, data: dict[str, Any]) -> None:
        match name:
            case bus.CARD_READ:
                self._last_tap_s = self._clock.mono_s()
                self._happen(ev.CardSeen(parse_args(bus.CardReadData, data).card))
            case bus.CARD_UNREADABLE:
                self._happen(ev.CardProblem())
            case bus.CARD_LEFT_BEHIND:
                self._happen(ev.CardLeftBehind())
            case bus.CARD_REMOVED:
                self._happen(ev.CardLifted())

    async def _watch_card(self, *, on: bool) -> None:
        with suppress(LinkDown, Rejected):  # the next snapshot asks again
            await self._cards.request(bus.CARD_WATCH, bus.CardWatch(on=on), bus.Empty)

    # ── The business node ────────────────────────────────────────────────────────────────────

    async def _take_ticket(self, wanted: ev.TakeTicket) -> None:
        if (ticket := await self._own_ticket(wanted, only_given=True)) is not None:
            # A service before this one gave it and died: the node is asked no more.
            self._happen(ev.TicketGiven(ticket))
            return
        try:
            async with asyncio.timeout(self._take_tries_s):
                issued = await self._affairs.issue_ticket(
                    wanted.request, idempotency_key=wanted.key
                )
        except (TimeoutError, LinkDown):
            ticket = await self._own_ticket(wanted)
            given = ev.TicketRefused(LinkDown.code) if ticket is None else ev.TicketGiven(ticket)
            self._last_tap_s = self._clock.mono_s()
            self._happen(given)
        except Rejected as fault:
            self._happen(ev.TicketRefused(fault.problem_code))
        except HallError as fault:
            self._happen(ev.TicketRefused(fault.code))
        else:
            self._last_tap_s = self._clock.mono_s()
            self._happen(ev.TicketGiven(issued.ticket))

    async def _own_ticket(
        self, wanted: ev.TakeTicket, *, only_given: bool = False
    ) -> Ticket | None:
        """A number that the machine holds for the time without the node; None if it has none.

        `only_given`: the one that this attempt has already.
        """
        item = self._catalogue.item(wanted.request.item) if self._catalogue is not None else None
        if item is None or self._sealed_to is None:
            return None
        offer = bus.NumberOffer(service=item.service, key=wanted.key, only_given=only_given)
        try:
            offered = await self._agent.request(bus.NUMBER_OFFER, offer, bus.NumberOffered)
            number = offered.number
            if number is None:
                return None
            content = wanted.request.model_dump_json().encode()
            sealed = seal(content, self._sealed_to, subject=number.ticket)
            give = bus.NumberGive(ticket=number.ticket, key=wanted.key, sealed=sealed)
            given = await self._agent.request(bus.NUMBER_GIVE, give, bus.NumberGiven)
        except (LinkDown, Rejected) as fault:
            self._log.warning("number.not_given", fault=fault.code)
            return None
        return Ticket(
            id=number.ticket,
            number=number.number,
            service=number.service,
            service_name=number.service_name,
            windows=number.windows,
            issued_at_ms=given.issued_at_ms,
            waiting_ahead=None,
            code=number.code,
        )

    async def _watch_waits(self) -> None:
        while True:
            try:
                queues = await self._affairs.queue_services()
            except HallError:
                self._look(hall_up=False)
            else:
                self._look(hall_up=True, waits=queues.services, waits_at_ms=self._clock.wall_ms())
            await self._clock.sleep(self._waits_interval_s)

    async def _watch_catalogue(self) -> None:
        """Open the catalogue as soon as the agent has it, and each newer one between visits.

        A visit keeps the one it began with: its questions must not change under the finger.
        """
        while True:
            if self._catalogue is None or self._visit.started_ms is None:
                try:
                    self._open_catalogue()
                except (TrustError, WireError) as fault:
                    if str(fault) != self._catalogue_fault:
                        self._log.warning("catalogue.refused", fault=str(fault))
                    self._catalogue_fault = str(fault)
                else:
                    self._catalogue_fault = ""
            await self._clock.sleep(self._catalogue_interval_s)

    def _open_catalogue(self) -> None:
        """Nothing if the newest is open already."""
        newest = installed(self._state)
        if newest is None or (self._catalogue is not None and newest[1].sha256 == self._tried):
            return
        fresh = open_installed(self._state, load_publics(self._key))
        if fresh is None:
            return
        self._tried = newest[1].sha256  # if it is broken, the former one opened: don't try again
        if self._catalogue is not None:
            self._catalogue.close()
        fresh.warm()
        self._catalogue = fresh
        items = [fresh.item(code) for code in self._popular]
        popular = tuple(item_card(item) for item in items if item is not None)
        self._look(catalogue_ready=True, popular=popular)

    # ── Time ─────────────────────────────────────────────────────────────────────────────────

    async def _watch_time(self) -> None:
        while True:
            await self._clock.sleep(1.0)
            self._look(now_ms=self._clock.wall_ms())
            idle_s = self._clock.mono_s() - self._last_tap_s
            if idle_s >= self._idle_ask_s and self._visit.started_ms is not None:
                left = round(self._idle_ask_s + self._idle_end_s - idle_s)
                self._happen(ev.NobodyTaps(max(0, left)))

    def _end(self) -> None:
        """Forget the visit. A slip that is not printed yet stays the agent's promise."""
        self._draft.unlink(missing_ok=True)
        self._screen.publish(screen.SESSION_OVER, bus.Empty())
        self._over.set()
        job = self._visit.job
        if job is not None and job.state is not PrintJobState.COMPLETED:
            self._log.info("visit.slip_still_owed", job=job.id)


def _replaced(devices: tuple[DeviceReport, ...], changed: DeviceReport) -> tuple[DeviceReport, ...]:
    others = [device for device in devices if device.id != changed.id]
    return (*others, changed)
