"""The terminal's service between a screen, an agent and the hall: what it keeps and forgets."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from structlog.testing import capture_logs

from hallkit.catalogue.installed import FOLDER, install
from hallkit.catalogue.misses import Miss, Misses
from hallkit.catalogue.snapshot import build, sign
from hallkit.errors import LinkDown, Reason, Rejected
from hallkit.lexicon.words import words
from hallkit.model.content import Content
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.item import Item, Option, Question
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJob, PrintJobState
from hallkit.model.ticket import Ticket
from hallkit.runtime.bus import BusClient, BusServer, Connection, parse_args
from hallkit.wire import agent_bus as bus
from hallkit.wire.affairs_api import (
    QueueServices,
    ReservedNumber,
    TicketIssued,
    TicketRequest,
)
from hallkit.wire.base import Message
from hallkit.wire.sealed import unseal
from kiosk.flow import view as screen
from kiosk.flow.view import View
from kiosk.service import DRAFT, SCREEN_SOCKET, KioskService, Tap, TapAnswer, TypedText
from tests.fakes.clock import FakeClock
from tests.fakes.id_card_reader import SAMPLE_CARD
from tests.fakes.item import BUNDLE, ITEM

pytestmark = pytest.mark.integration

WORDS = words("zh_CN")
CARD = SAMPLE_CARD.model_copy(update={"photo_wlt": b"WLT-PHOTO" * 100})
TICKET = Ticket(
    id="t1",
    number="A007",
    service="market",
    service_name="市场监管",
    windows="2楼 A区 12-15号窗口",
    issued_at_ms=1_735_790_400_000,
    waiting_ahead=3,
    code="HK1.T.t1.20250102.A007.sig",
)


class FakeAffairs:
    """The business node without a network: one ticket a key."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.requests: list[TicketRequest] = []
        self.fault: LinkDown | Rejected | None = None
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def issue_ticket(self, request: TicketRequest, idempotency_key: str) -> TicketIssued:
        self.keys.append(idempotency_key)
        self.requests.append(request)
        self.asked.set()
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        return TicketIssued(ticket=TICKET)

    async def queue_services(self) -> QueueServices:
        return QueueServices(services=())


class FakeAgent:
    """What the service asks of the agent, over a real bus; its state outlives its socket."""

    def __init__(self, runtime: Path) -> None:
        self._path = runtime / "agent.sock"
        self._card_path = runtime / "card.sock"
        self.jobs: dict[str, PrintJob] = {}
        self.slips: list[str] = []
        self.events: list[str] = []
        self._told: set[str] = set()
        self.watching: asyncio.Queue[bool] = asyncio.Queue()
        self.promised = asyncio.Event()
        self.refuses_slips = False
        self.prints_at_once = False
        self.power = PowerPhase.MAINS
        self.holds: asyncio.Queue[bool] = asyncio.Queue()
        self.number: ReservedNumber | None = None
        """Of its own, for the time without the node."""
        self.given: list[bus.NumberGive] = []
        self._server: BusServer | None = None
        self._cards: BusServer | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        handlers = {
            bus.PRINT_SUBMIT: self._submit,
            bus.PRINT_JOB: self._job,
            bus.EVENT_ADD: self._add,
            bus.VISIT_HOLD: self._hold,
            bus.NUMBER_OFFER: self._offer,
            bus.NUMBER_GIVE: self._give,
        }
        async with (
            self.reading_cards(),
            BusServer(
                "edge_agent", self._path, handlers=handlers, snapshot=self._snapshot
            ) as self._server,
        ):
            yield

    @asynccontextmanager
    async def reading_cards(self) -> AsyncIterator[None]:
        """One life of the card reader's process."""
        async with BusServer(
            "card_reader",
            self._card_path,
            handlers={bus.CARD_WATCH: self._watch},
            snapshot=lambda: bus.CardSnapshot(devices=()),
        ) as self._cards:
            yield

    def tells(self, name: str, data: Message) -> None:
        """Tell as the process does whose event it is."""
        server = self._cards if name.startswith("card.") else self._server
        assert server is not None
        server.publish(name, data)

    def job_is(self, state: PrintJobState) -> None:
        [job] = self.jobs
        self.jobs[job] = PrintJob(id=job, state=state)

    def _snapshot(self) -> Message:
        return bus.AgentSnapshot(devices=(), jobs=(), link_up=True, power=self.power)

    async def _submit(self, args: Mapping[str, Any], _from: Connection) -> Message:
        if self.refuses_slips:
            raise Rejected("print.other_slip", "")
        wanted = bus.PrintSubmit.model_validate(args)
        if wanted.job not in self.jobs:
            self.slips.append(wanted.slip.model_dump_json())
            self.jobs[wanted.job] = PrintJob(id=wanted.job, state=PrintJobState.QUEUED)
        self.promised.set()
        promised = self.jobs[wanted.job]
        if self.prints_at_once:  # the queue is quicker than the answer
            self.job_is(PrintJobState.PRINTING)
            self.tells(bus.PRINT_CHANGED, bus.PrintJobResult(job=self.jobs[wanted.job]))
        return bus.PrintJobResult(job=promised)

    async def _job(self, args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = bus.PrintJobQuery.model_validate(args).job
        if wanted not in self.jobs:
            raise Rejected("print.unknown_job", "")
        return bus.PrintJobResult(job=self.jobs[wanted])

    async def _watch(self, args: Mapping[str, Any], _from: Connection) -> Message:
        self.watching.put_nowait(bus.CardWatch.model_validate(args).on)
        return bus.Empty()

    async def _hold(self, args: Mapping[str, Any], _from: Connection) -> Message:
        self.holds.put_nowait(bus.VisitHold.model_validate(args).on)
        return bus.Empty()

    async def _offer(self, args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = bus.NumberOffer.model_validate(args).service
        fits = self.number is not None and self.number.service == wanted
        if parse_args(bus.NumberOffer, args).only_given and not self.given:
            fits = False
        return bus.NumberOffered(number=self.number if fits else None)

    async def _give(self, args: Mapping[str, Any], _from: Connection) -> Message:
        self.given.append(parse_args(bus.NumberGive, args))
        return bus.NumberGiven(issued_at_ms=TICKET.issued_at_ms)

    def power_is(self, phase: PowerPhase) -> None:
        self.power = phase
        self.tells(bus.POWER_CHANGED, bus.PowerTold(phase=phase))

    async def _add(self, args: Mapping[str, Any], _from: Connection) -> Message:
        event = bus.EventAdd.model_validate(args).event
        if event.id not in self._told:  # as the agent's outbox does
            self._told.add(event.id)
            self.events.append(event.type)
        return bus.Empty()


class Screen:
    """The screen process as the service sees it."""

    def __init__(self, runtime: Path) -> None:
        self.over = asyncio.Event()
        self._views: asyncio.Queue[View] = asyncio.Queue()
        self.client = BusClient(
            runtime / SCREEN_SOCKET, on_snapshot=self._snapshot, on_event=self._event
        )

    async def _snapshot(self, data: dict[str, Any]) -> None:
        self._views.put_nowait(View.model_validate(data["view"]))

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        if name == screen.SESSION_OVER:
            self.over.set()
        else:
            await self._snapshot(data)

    async def taps(self, action: str, value: str = "", *, on: View | None = None) -> bool:
        """True if the tap was taken; `on` is the view that the finger meant."""
        tap = Tap(action=action, value=value, seq=None if on is None else on.seq)
        return (await self.client.request(screen.TAP, tap, TapAnswer)).taken

    async def types(self, text: str) -> None:
        await self.client.request(screen.TEXT, TypedText(value=text), bus.Empty)

    async def shows(self, name: str, *, notice: str | None = None) -> View:
        """The next view of this screen (and with this notice)."""
        async with asyncio.timeout(10):
            while True:
                view = await self._views.get()
                said = view.notice.text if view.notice is not None else ""
                if view.screen == name and notice in (None, said):
                    return view


class Machine:
    """A terminal: its folders, the agent, the hall, and a service that may die."""

    def __init__(self, folder: Path, item: Item = ITEM, siblings: tuple[Item, ...] = ()) -> None:
        self.item = item
        self.siblings = siblings
        self.runtime = folder / "run"
        self.state = folder / "state"
        self.runtime.mkdir()
        self.clock = FakeClock(wall_ms=int(time.time() * 1000))
        self.affairs = FakeAffairs()
        self.agent = FakeAgent(self.runtime)
        self.draft = self.runtime / DRAFT
        self.misses = Misses(folder / "misses" / "search.sqlite")
        self.key = folder / "catalogue.pub"
        self.node_key = X25519PrivateKey.generate()
        self.publish()

    def publish(self) -> None:
        key = Ed25519PrivateKey.generate()
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.key.write_bytes(pem)
        fresh = self.state / FOLDER / "download.part"
        fresh.parent.mkdir(parents=True, exist_ok=True)
        content = Content(items=(self.item, *self.siblings), bundles=(BUNDLE,))
        build(content, fresh, version="1")
        install(fresh, self.state, sign(fresh, key))

    def service(self, *, last_words_s: float = 10.0, take_tries_s: float = 8.0) -> KioskService:
        return KioskService(
            runtime=self.runtime,
            state=self.state,
            key=self.key,
            hall_name="什邡市政务服务大厅",
            popular=(ITEM.catalog_code,),
            idle_ask_s=60.0,
            idle_end_s=30.0,
            affairs=self.affairs,
            sealed_to=self.node_key.public_key(),
            misses=self.misses,
            clock=self.clock,
            print_retry_s=0.0,
            last_words_s=last_words_s,
            take_tries_s=take_tries_s,
        )

    @asynccontextmanager
    async def life(self, **options: float) -> AsyncIterator[tuple[Screen, asyncio.Task[None]]]:
        """One life of the service with a screen before it; leaving the block kills it."""
        running = asyncio.create_task(self.service(**options).run())
        shown = Screen(self.runtime)
        drawing = asyncio.create_task(shown.client.run())
        try:
            yield shown, running
        finally:
            for task in (running, drawing):
                task.cancel()
            ended = await asyncio.gather(running, drawing, return_exceptions=True)
            faults = [one for one in ended if isinstance(one, Exception)]
            assert faults == []

    async def goes_to(self, shown: Screen, where: str) -> View:
        """Go the usual way to a screen."""
        view = await shown.shows("home")
        if where == "home":
            return view
        await shown.taps("choose", ITEM.catalog_code)
        await shown.shows("question")
        await shown.taps("choose", "own")
        view = await shown.shows("materials")
        if where == "materials":
            return view
        await shown.taps("take_number")
        view = await shown.shows("card")
        if where == "card":
            return view
        self.agent.tells(bus.CARD_READ, bus.CardReadData(card=CARD))
        view = await shown.shows("identity")
        if where == "identity":
            return view
        await shown.taps("is_me")
        view = await shown.shows("confirm")
        if where == "confirm":
            return view
        await shown.taps("take")
        return await shown.shows("ticket")


@pytest.fixture
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(tmp_path_factory.mktemp("k"))  # short: a socket's path is limited


async def test_a_visit_from_the_first_tap_to_the_end_of_the_process(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        await shown.shows("home")
        await shown.taps("choose", "find")
        await shown.shows("find")
        await shown.types("kfd")
        assert [choice.value for choice in (await shown.shows("find")).choices] == ["food"]
        await shown.taps("home")
        async with asyncio.timeout(10):
            await shown.over.wait()
            await running
        assert machine.agent.events == ["visit.started.v1", "visit.ended.v1"]
        assert not machine.draft.exists()


async def test_a_ticket_is_taken_once_printed_once_and_forgotten(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        view = await machine.goes_to(shown, "ticket")
        assert view.big_text == "A007"
        async with asyncio.timeout(10):
            await machine.agent.promised.wait()
        machine.agent.job_is(PrintJobState.COMPLETED)
        [job] = machine.agent.jobs.values()
        machine.agent.tells(bus.CARD_REMOVED, bus.Empty())
        machine.agent.tells(bus.PRINT_CHANGED, bus.PrintJobResult(job=job))
        await shown.shows("ticket", notice=WORDS("ticket.printed"))
        await shown.taps("done")
        async with asyncio.timeout(10):
            await shown.over.wait()
            await running
    [request] = machine.affairs.requests
    assert request.applicant is not None
    assert (request.applicant.name, request.applicant.number) == (CARD.name, CARD.number)
    [slip] = machine.agent.slips
    assert CARD.name not in slip
    assert CARD.number not in slip
    assert [path.name for path in machine.runtime.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("where", ["materials", "card", "identity", "confirm", "ticket"])
async def test_a_killed_service_comes_back_at_the_same_step(machine: Machine, where: str) -> None:
    async with machine.agent.serving():
        async with machine.life() as (shown, _):
            before = await machine.goes_to(shown, where)
        async with machine.life() as (shown, _):
            after = await shown.shows(where)
            assert (after.title, after.big_text) == (before.title, before.big_text)
            assert after.chrome.machine_notice == before.chrome.machine_notice
    assert len(set(machine.affairs.keys)) <= 1
    assert len(machine.agent.slips) <= 1


async def test_a_visit_counts_once_though_its_service_died_before_or_after_telling(
    machine: Machine,
) -> None:
    async with machine.life() as (shown, _):
        await machine.goes_to(shown, "materials")  # no agent hears of it
    async with machine.agent.serving():
        for _ in range(2):
            async with machine.life() as (shown, _):
                await shown.shows("materials")
                async with asyncio.timeout(10):
                    while not machine.agent.events:  # noqa: ASYNC110  # a list has no event
                        await asyncio.sleep(0)
        async with machine.life() as (shown, running):
            await shown.shows("materials")
            await shown.taps("home")
            async with asyncio.timeout(10):
                await running
    assert machine.agent.events == ["visit.started.v1", "visit.ended.v1"]


async def test_the_draft_is_its_owners_alone_and_holds_no_photo(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "identity")
        assert machine.draft.stat().st_mode & 0o777 == 0o600
        draft = json.loads(machine.draft.read_bytes())
        assert draft["card"]["number"] == CARD.number
        assert draft["card"]["photo_wlt"] == ""


async def test_a_number_on_its_way_is_asked_for_again_under_the_same_key(machine: Machine) -> None:
    machine.affairs.answers.clear()
    async with machine.agent.serving():
        async with machine.life() as (shown, _):
            await machine.goes_to(shown, "confirm")
            await shown.taps("take")
            await machine.affairs.asked.wait()
        machine.affairs.answers.set()
        async with machine.life() as (shown, _):
            assert (await shown.shows("ticket")).big_text == "A007"
    assert len(machine.affairs.keys) == 2
    assert len(set(machine.affairs.keys)) == 1


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        (LinkDown("affairs"), "refused.hall_down_title"),
        (Rejected("queue.closed", ""), "refused.other_title"),
    ],
)
async def test_a_refused_number_can_be_asked_for_again(
    machine: Machine, fault: LinkDown | Rejected, title: str
) -> None:
    machine.affairs.fault = fault
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        assert (await shown.shows("message")).title == WORDS(title)
        machine.affairs.fault = None
        await shown.taps("again")
        assert (await shown.shows("ticket")).big_text == "A007"
    assert len(set(machine.affairs.keys)) == 1


async def test_without_the_node_the_machine_gives_a_number_of_its_own(machine: Machine) -> None:
    own = machine.agent.number = ReservedNumber(
        ticket="01M8QAP9K8HWM4BVT5V0N0CTSS",
        number="A042",
        service=ITEM.service,
        service_name="市场监管",
        windows="2楼 A区 12-15号窗口",
        code="HK1.T.own",
    )
    machine.affairs.fault = LinkDown("affairs")
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        view = await shown.shows("ticket")
        await machine.agent.promised.wait()
    assert view.big_text == "A042"
    assert WORDS("ticket.ahead_unknown") in [row.value for row in view.rows]
    (given,) = machine.agent.given
    assert (given.ticket, given.key) == (own.ticket, machine.affairs.keys[0])
    assert CARD.number.encode() not in given.sealed
    said = unseal(given.sealed, machine.node_key, subject=own.ticket)
    assert TicketRequest.model_validate_json(said) == machine.affairs.requests[0]
    (slip,) = machine.agent.slips
    assert "A042" in slip
    assert WORDS("slip.ahead_unknown") in slip


async def test_a_number_that_was_given_is_not_asked_for_again(machine: Machine) -> None:
    """The service died between the agent's promise and its own draft."""
    machine.agent.number = ReservedNumber(
        ticket="01M8QAP9K8HWM4BVT5V0N0CTSS",
        number="A042",
        service=ITEM.service,
        service_name="市场监管",
        windows="2楼",
        code="HK1.T.own",
    )
    machine.agent.given = [bus.NumberGive(ticket="x", key="attempt-1", sealed=b"")]
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        assert (await shown.shows("ticket")).big_text == "A042"
    assert machine.affairs.keys == []


async def test_a_number_of_another_service_is_of_no_use(machine: Machine) -> None:
    machine.agent.number = ReservedNumber(
        ticket="01M8QAP9K8HWM4BVT5V0N0CTSS",
        number="Z001",
        service="another",
        service_name="",
        windows="",
        code="",
    )
    machine.affairs.fault = LinkDown("affairs")
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        assert (await shown.shows("message")).title == WORDS("refused.hall_down_title")


async def test_a_hall_that_does_not_answer_is_given_up(machine: Machine) -> None:
    machine.affairs.answers.clear()
    async with machine.agent.serving(), machine.life(take_tries_s=0.0) as (shown, _):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        assert (await shown.shows("message")).title == WORDS("refused.hall_down_title")


async def test_a_draft_of_somebody_long_gone_is_never_shown(machine: Machine) -> None:
    async with machine.agent.serving():
        async with machine.life() as (shown, _):
            await machine.goes_to(shown, "identity")
        old = time.time() - 91.0
        os.utime(machine.draft, (old, old))
        async with machine.life() as (shown, _):
            await shown.shows("home")
            assert not machine.draft.exists()


@pytest.mark.parametrize("draft", [b"", b"{}", b'{"id":"v","step":"identity","started_ms":1}'])
async def test_a_draft_that_is_of_no_use_does_not_stop_the_machine(
    machine: Machine, draft: bytes
) -> None:
    machine.draft.write_bytes(draft)
    async with machine.agent.serving(), machine.life() as (shown, _):
        await shown.shows("home")
        assert not machine.draft.exists()


async def test_last_words_are_told_to_a_slow_agent_and_no_screen_sees_the_visit(
    machine: Machine,
) -> None:
    async with machine.life() as (shown, running):
        await machine.goes_to(shown, "materials")
        await shown.taps("home")
        async with asyncio.timeout(10):
            await shown.over.wait()
        assert not machine.draft.exists()
        while (machine.runtime / SCREEN_SOCKET).exists():  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0)
        assert not running.done()
        async with machine.agent.serving(), asyncio.timeout(10):
            await running
    assert machine.agent.events == ["visit.started.v1", "visit.ended.v1"]


async def test_an_agent_that_never_comes_does_not_hold_up_the_next_citizen(
    machine: Machine,
) -> None:
    async with machine.life(last_words_s=0.0) as (shown, running):
        await machine.goes_to(shown, "materials")
        await shown.taps("home")
        async with asyncio.timeout(10):
            await running


async def test_a_slip_of_an_ended_visit_is_still_handed_over(machine: Machine) -> None:
    async with machine.life() as (shown, running):
        await shown.shows("home")
        await shown.taps("choose", ITEM.catalog_code)
        await shown.shows("question")
        await shown.taps("choose", "own")
        await shown.taps("take_number")
        await shown.taps("without_card")
        await shown.taps("take")
        await shown.shows("ticket")
        await shown.taps("done")
        async with machine.agent.serving(), asyncio.timeout(10):
            await running
    assert len(machine.agent.slips) == 1


async def test_a_number_on_its_way_is_not_lost_to_a_leaving_citizen(machine: Machine) -> None:
    machine.affairs.answers.clear()
    async with machine.agent.serving(), machine.life() as (shown, running):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        await machine.affairs.asked.wait()
        await shown.taps("home")
        machine.affairs.answers.set()
        await shown.shows("ticket")
        assert not running.done()


# ── Fast fingers ─────────────────────────────────────────────────────────────────────────────

YES_NO = (Option(key="yes", label="是"), Option(key="no", label="否"))
FIRST, SECOND = (
    Question(key="rented", text="店面是租的吗", why="租的要看合同", options=YES_NO),
    Question(key="big", text="店面大吗", why="大的要查消防", options=YES_NO),
)
LIKE_ANSWERS = ITEM.model_copy(
    update={
        "first_question": "rented",
        "questions": (
            FIRST.model_copy(
                update={
                    "options": tuple(
                        option.model_copy(update={"next_question": "big"}) for option in YES_NO
                    )
                }
            ),
            SECOND,
        ),
    }
)


async def test_a_double_tap_answers_one_question(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    machine = Machine(tmp_path_factory.mktemp("k"), LIKE_ANSWERS)
    async with machine.agent.serving(), machine.life() as (shown, _):
        home = await shown.shows("home")
        assert await shown.taps("choose", ITEM.catalog_code, on=home)
        asked = await shown.shows("question")
        assert asked.title == FIRST.text
        with capture_logs() as logs:
            taken = await asyncio.gather(*(shown.taps("choose", "yes", on=asked) for _ in range(3)))
        assert taken == [True, False, False]
        assert [line["stale_taps"] for line in logs if line["event"] == "tap.stale"] == [1, 2]
        asked = await shown.shows("question")
        assert asked.title == SECOND.text
        # The second question waits for an answer of its own.
        assert await shown.taps("choose", "no", on=asked)
        await shown.shows("materials")


async def test_a_tap_on_a_screen_that_is_gone_takes_nobody_back_or_out(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        card = await machine.goes_to(shown, "card")
        machine.agent.tells(bus.CARD_READ, bus.CardReadData(card=CARD))
        identity = await shown.shows("identity")
        for action in ("back", "home", "call_staff"):
            assert not await shown.taps(action, on=card)
        assert not await shown.taps("is_me", on=identity.model_copy(update={"seq": 10**6}))
        assert await shown.taps("is_me", on=identity)
        await shown.shows("confirm")
        assert not running.done()


async def test_a_tap_stays_good_while_only_the_clock_and_the_notices_change(
    machine: Machine,
) -> None:
    async with machine.life() as (shown, _):
        materials = await machine.goes_to(shown, "materials")
        machine.clock.advance(61.0)  # another minute, and the question who is there
        while (await shown.shows("materials")).countdown is None:
            pass
        assert await shown.taps("take_number", on=materials)
        await shown.shows("card")


async def test_letters_typed_fast_all_arrive_and_a_result_can_be_taken(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, _):
        await shown.taps("choose", "find", on=await shown.shows("home"))
        empty = await shown.shows("find")
        letters = "kfdkfdkfdk"
        fields = [letters[: end + 1] for end in range(len(letters))]
        await asyncio.gather(*(shown.types(field) for field in fields))
        async with asyncio.timeout(10):
            while (view := await shown.shows("find")).query != letters:
                assert view.query == fields.pop(0)
        await shown.types("kfd")
        # The result stands on a later view of the same turn than the one first seen.
        assert await shown.taps("choose", "food", on=empty)
        await shown.shows("question")


async def test_a_bundle_that_cannot_be_opened_here_is_no_dead_card(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, _):
        await shown.taps("choose", "find", on=await shown.shows("home"))
        await shown.shows("find")
        for text, offered in (("kfdyjs", []), ("kfd", [ITEM.catalog_code])):
            await shown.types(text)
            while (view := await shown.shows("find")).query != text:
                pass
            assert [choice.value for choice in view.choices] == offered


def kind(handling: str, name: str) -> Item:
    return ITEM.model_copy(
        update={
            "catalog_code": f"licence-{handling}",
            "plain_name": name,
            "task_name": f"旅馆许可证 {name}",
            "main_name": "旅馆许可证",
            "handling": handling,
        }
    )


async def test_kinds_of_a_matter_are_asked_about_and_a_killed_service_still_asks(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    kinds = (
        kind("change", "旅馆改名字"),
        kind("renew", "旅馆证到期"),
        kind("cancel", "旅馆不开了"),
    )
    machine = Machine(tmp_path_factory.mktemp("k"), siblings=kinds)
    async with machine.agent.serving():
        async with machine.life() as (shown, _):
            await shown.taps("choose", "find", on=await shown.shows("home"))
            await shown.shows("find")
            await shown.types("lgxkz")
            while not (view := await shown.shows("find")).choices:
                pass
            assert [choice.value for choice in view.choices] == ["licence-change/"]
            await shown.taps("choose", "licence-change/")
            view = await shown.shows("question")
            assert [choice.detail for choice in view.choices] == ["变更", "延续", "注销"]
            assert [choice.title for choice in view.choices] == [one.plain_name for one in kinds]
        async with machine.life() as (shown, _):
            again = await shown.shows("question")
            assert again.choices == view.choices
            await shown.taps("choose", "licence-renew")
            view = await shown.shows("question")
            assert view.title == ITEM.questions[0].text
            await shown.taps("back")
            assert (await shown.shows("question")).choices == again.choices
            await shown.taps("back")
            assert (await shown.shows("find")).query == "lgxkz"


async def test_what_nobody_found_is_counted_once_and_a_full_disk_stops_no_citizen(
    machine: Machine,
) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        await shown.taps("choose", "find", on=await shown.shows("home"))
        await shown.shows("find")
        for typed in ("q", "qq", "qqq"):
            await shown.types(typed)
            while (view := await shown.shows("find")).query != typed:
                pass
        assert (view.choices, view.notice is not None) == ((), True)
        await shown.taps("none_of_these")
        await shown.shows("message")
        await shown.taps("home")
        async with asyncio.timeout(10):
            await running
    assert machine.misses.told(at_least=1) == [Miss("qqq", 1)]


async def test_a_journal_that_cannot_be_written_is_told_without_the_words(
    machine: Machine, tmp_path: Path
) -> None:
    (blocked := tmp_path / "file").touch()
    machine.misses = Misses(blocked / "search.sqlite")
    with capture_logs() as logs:
        async with machine.agent.serving(), machine.life() as (shown, running):
            await shown.taps("choose", "find", on=await shown.shows("home"))
            await shown.shows("find")
            await shown.types("qqq")
            await shown.taps("none_of_these")
            await shown.shows("message")
            await shown.taps("home")
            async with asyncio.timeout(10):
                await running
    (told,) = [line for line in logs if line["event"] == "miss.not_kept"]
    assert "qqq" not in str(told)


# ── The catalogue ────────────────────────────────────────────────────────────────────────────


async def test_a_refused_catalogue_is_logged_once_and_again_when_it_is_another_fault(
    machine: Machine,
) -> None:
    good = machine.key.read_bytes()
    stranger = Ed25519PrivateKey.generate().public_key()
    machine.key.write_bytes(stranger.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def refusals() -> list[str]:
        return [line["fault"] for line in logs if line["event"] == "catalogue.refused"]

    async def looks(times: int) -> None:
        for _ in range(times):
            await machine.clock.until_sleeping()
            machine.clock.advance(0.5)
            for _ in range(3):  # whoever was woken looks and sleeps again
                await asyncio.sleep(0)

    with capture_logs() as logs:
        async with machine.agent.serving(), machine.life() as (shown, _):
            await shown.shows("message")
            await looks(6)
            assert len(refusals()) == 1
            [snapshot] = (machine.state / FOLDER).glob("*.sqlite")
            kept = snapshot.read_bytes()
            machine.key.write_bytes(good)
            snapshot.write_bytes(kept[:-1])
            await looks(6)
            assert len(refusals()) == len(set(refusals())) == 2
            snapshot.write_bytes(kept)
            await looks(2)
            await shown.shows("home")
    assert len(refusals()) == 2


# ── The agent and the card reader come and go ────────────────────────────────────────────────


async def test_the_agent_may_restart_and_the_ticket_keeps_its_slip(machine: Machine) -> None:
    async with machine.life() as (shown, _):
        async with machine.agent.serving():
            await machine.goes_to(shown, "ticket")
            async with asyncio.timeout(10):
                await machine.agent.promised.wait()
            machine.agent.tells(bus.CARD_REMOVED, bus.Empty())
            await shown.shows("ticket", notice=WORDS("ticket.waiting_other"))
            while not machine.agent.watching.empty():
                machine.agent.watching.get_nowait()
        machine.agent.job_is(PrintJobState.COMPLETED)
        async with machine.agent.serving():
            await shown.shows("ticket", notice=WORDS("ticket.printed"))
            async with asyncio.timeout(10):
                assert await machine.agent.watching.get()
    assert len(machine.agent.slips) == 1


async def test_another_card_reader_process_is_watched_again(machine: Machine) -> None:
    async with machine.life() as (shown, _):
        async with machine.agent.serving():
            await machine.goes_to(shown, "card")
            async with asyncio.timeout(10):
                assert await machine.agent.watching.get()
        async with machine.agent.reading_cards():
            async with asyncio.timeout(10):
                assert await machine.agent.watching.get()
            machine.agent.tells(bus.CARD_READ, bus.CardReadData(card=CARD))
            await shown.shows("identity")


async def test_a_slip_that_the_agent_refuses_is_not_promised_on_the_screen(
    machine: Machine,
) -> None:
    machine.agent.refuses_slips = True
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "ticket")
        machine.agent.tells(bus.CARD_REMOVED, bus.Empty())
        await shown.shows("ticket", notice=WORDS("ticket.unprinted"))


async def test_nobody_there_is_asked_and_then_forgotten(machine: Machine) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        await machine.goes_to(shown, "identity")
        machine.clock.advance(61.0)
        while (await shown.shows("identity")).countdown is None:
            pass
        await shown.taps("stay")
        while (await shown.shows("identity")).countdown is not None:
            pass
        await machine.clock.until_sleeping()
        machine.clock.advance(91.0)
        async with asyncio.timeout(10):
            await shown.over.wait()
            await running
        assert not machine.draft.exists()


# ── The machine has to close ─────────────────────────────────────────────────────────────────


async def test_a_power_cut_ends_a_visit_with_its_last_words_then_lets_the_machine_go(
    machine: Machine,
) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        await machine.goes_to(shown, "ticket")
        async with asyncio.timeout(10):
            assert await machine.agent.holds.get()
            machine.agent.power_is(PowerPhase.ENDING)
            while (view := await shown.shows("ticket")).title != WORDS("closed.off_title"):
                pass
            assert view.big_text == TICKET.number
            assert not await machine.agent.holds.get()
        assert machine.agent.events == ["visit.started.v1", "visit.ended.v1"]
        assert len(machine.agent.slips) == 1
        for secret in (CARD.name, CARD.number):
            assert secret not in machine.draft.read_text(encoding="utf-8")
        machine.agent.power_is(PowerPhase.MAINS)
        async with asyncio.timeout(10):
            assert await machine.agent.holds.get()
            while (view := await shown.shows("ticket")).title != WORDS("ticket.title"):
                pass
            assert view.big_text == TICKET.number
            await shown.taps("done")
            await running
        assert machine.agent.events[:2] == ["visit.started.v1", "visit.ended.v1"]
        assert not machine.draft.exists()


async def test_what_was_heard_of_a_slip_stands_before_an_older_answer(machine: Machine) -> None:
    machine.agent.prints_at_once = True
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "ticket")
        async with asyncio.timeout(10):
            await machine.agent.promised.wait()
            assert await shown.taps("large_type")  # a way there and back after the answer
            assert await shown.taps("large_type")
            machine.agent.power_is(PowerPhase.ENDING)
            while (view := await shown.shows("ticket")).title != WORDS("closed.off_title"):
                pass
        assert view.why == WORDS("closed.number_printing")


async def test_the_last_screen_stays_as_long_as_one_that_was_just_touched(
    machine: Machine,
) -> None:
    async with machine.agent.serving(), machine.life() as (shown, running):
        await machine.goes_to(shown, "ticket")
        await machine.clock.until_sleeping()
        machine.clock.advance(50.0)  # the citizen reads and touches nothing
        machine.agent.power_is(PowerPhase.ENDING)
        async with asyncio.timeout(10):
            while (await shown.shows("ticket")).title != WORDS("closed.off_title"):
                pass
        await machine.clock.until_sleeping()
        machine.clock.advance(80.0)
        for _ in range(10):  # whoever was woken looks and sleeps again
            await asyncio.sleep(0)
        assert not shown.over.is_set()
        assert not running.done()
        await machine.clock.until_sleeping()
        machine.clock.advance(11.0)
        async with asyncio.timeout(10):
            await running


async def test_a_number_on_its_way_is_waited_for_before_the_visit_is_closed(
    machine: Machine,
) -> None:
    machine.affairs.answers.clear()
    async with machine.agent.serving(), machine.life() as (shown, _):
        await machine.goes_to(shown, "confirm")
        await shown.taps("take")
        async with asyncio.timeout(10):
            await machine.affairs.asked.wait()
        machine.agent.power_is(PowerPhase.ENDING)
        ups = DeviceReport(
            id="ups",
            port="ups",
            driver="fake",
            status=DeviceStatus.ONLINE,
            reason=Reason.BATTERY_LOW,
        )
        machine.agent.tells(bus.DEVICE_CHANGED, bus.DeviceChanged(device=ups))
        while (await shown.shows("confirm")).chrome.machine_notice is None:
            pass  # when this has been heard, so has the phase
        machine.affairs.answers.set()
        view = await shown.shows("ticket")
        assert (view.title, view.big_text) == (WORDS("closed.off_title"), TICKET.number)
        async with asyncio.timeout(10):
            await machine.agent.promised.wait()


async def test_a_service_that_died_in_a_power_cut_comes_back_to_a_closed_machine(
    machine: Machine,
) -> None:
    async with machine.agent.serving():
        async with machine.life() as (shown, _):
            await machine.goes_to(shown, "confirm")
        machine.agent.power = PowerPhase.ENDING
        async with machine.life() as (shown, _):
            view = await shown.shows("message")
            assert view.title == WORDS("closed.off_title")
            async with asyncio.timeout(10):
                while await machine.agent.holds.get():
                    pass
        assert machine.agent.events == ["visit.started.v1", "visit.ended.v1"]


async def test_a_technician_takes_the_machine_and_it_opens_again(machine: Machine) -> None:
    def is_now(phase: MaintenancePhase) -> None:
        machine.agent.tells(bus.MAINTENANCE_CHANGED, bus.MaintenanceTold(phase=phase))

    async with machine.agent.serving(), machine.life() as (shown, running):
        await machine.goes_to(shown, "materials")
        is_now(MaintenancePhase.ENTER_PENDING)
        await shown.taps("take_number")
        await shown.shows("card")  # who began comes to an end
        is_now(MaintenancePhase.ACTIVE)
        view = await shown.shows("message")
        assert view.title == WORDS("closed.maintenance_title")
        is_now(MaintenancePhase.INACTIVE)
        async with asyncio.timeout(10):
            await running
    assert machine.agent.events == ["visit.started.v1", "visit.ended.v1"]


async def test_a_machine_that_nobody_uses_says_that_it_is_closed_and_opens_again(
    machine: Machine,
) -> None:
    machine.agent.power = PowerPhase.CLOSING
    async with machine.agent.serving(), machine.life() as (shown, _):
        assert (await shown.shows("message")).title == WORDS("closed.power_title")
        await shown.taps("choose", ITEM.catalog_code)
        machine.agent.power_is(PowerPhase.MAINS)
        await shown.shows("home")
    assert machine.agent.events == []
    assert machine.agent.holds.empty()
