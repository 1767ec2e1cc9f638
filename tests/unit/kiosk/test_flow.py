"""The visit as a specification: what a person does, what the screen says, what the service does."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hallkit.errors import Reason
from hallkit.guide.share import decode
from hallkit.guide.verify import verify_item
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.identity import CardKind, IdentityCard
from hallkit.model.ids import VisitId
from hallkit.model.item import Item, Option, Question
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJob, PrintJobState, QrLine, Slip, TextLine
from hallkit.model.ticket import Ticket
from hallkit.wire.affairs_api import ServiceWait
from hallkit.wire.events import VisitEnded, VisitStarted
from hallkit.wire.mqtt import SystemDown
from kiosk.flow import events as ev
from kiosk.flow.present import present
from kiosk.flow.state import Found, Kind, Step, Surroundings, Visit
from kiosk.flow.view import Action, View
from kiosk.flow.visit import LISTS_LIMIT, WAYS_OUT, resume, step, turn, wants_card_watch
from tests.fakes.item import ITEM

WORDS = words("zh_CN")
NOW_MS = 1_735_790_400_000
CARD = IdentityCard(
    kind=CardKind.RESIDENT,
    name="欧阳什邡",
    number="11010519491231002X",
    sex_code="2",
    birth=dt.date(1949, 12, 31),
    address="四川省什邡市方亭街道测试路1号",
    valid_to=dt.date(2020, 1, 1),
)


FOUND = Found(code="food", plain_name="开饭店", task_name="食品经营许可")
TICKET = Ticket(
    id="t1",
    number="A007",
    service="market",
    service_name="市场监管",
    windows="2楼 A区 12-15号窗口",
    issued_at_ms=NOW_MS,
    waiting_ahead=3,
    code="HK1.T.t1.20250102.A007.sig",
)


def device(port: str, **more: object) -> DeviceReport:
    base = {"id": port, "port": port, "driver": "fake", "status": DeviceStatus.ONLINE}
    return DeviceReport.model_validate(base | more)


AROUND = Surroundings(
    hall_name="什邡市政务服务大厅",
    now_ms=NOW_MS,
    devices=(device("ticket_printer", paper=Paper.FULL), device("id_card_reader")),
    waits=(
        ServiceWait(
            service="market",
            service_name="市场监管",
            windows="2楼",
            waiting=5,
            open_windows=2,
            as_of_ms=NOW_MS,
        ),
    ),
    waits_at_ms=NOW_MS,
    hall_up=True,
    catalogue_ready=True,
    popular=(FOUND,),
)
NEW = Visit(id=VisitId("01JGK0000000000000000VISIT"))


ENDING = ITEM.model_copy(
    update={
        "questions": (
            ITEM.questions[0].model_copy(
                update={
                    "options": (
                        Option(key="elsewhere", label="外地的", stop="请到外地的大厅办。"),
                        Option(key="other", label="别的", go_to_item="food"),
                    )
                }
            ),
        )
    }
)
SEVERAL = ITEM.model_copy(
    update={
        "questions": (
            Question(
                key="place",
                text="卖哪些",
                why="要的证不一样。",
                multiple=True,
                none_label="都没有",
                options=(
                    Option(key="meat", label="肉", materials=("lease",)),
                    Option(key="fish", label="鱼"),
                ),
            ),
        )
    }
)


class Person:
    """Drives one visit and keeps what the service was asked to do."""

    def __init__(self, visit: Visit = NEW, around: Surroundings = AROUND) -> None:
        self.visit = visit
        self.around = around
        self.effects: list[ev.Effect] = []

    def happens(self, event: ev.Event) -> list[ev.Effect]:
        self.visit, effects = step(self.visit, event, self.around, WORDS)
        self.effects += effects
        for effect in effects:
            if isinstance(effect, ev.OpenItem) and effect.code == ITEM.catalog_code:
                self.happens(ev.ItemOpened(ITEM))
        return list(effects)

    def taps(self, action: str, value: str = "") -> list[ev.Effect]:
        return self.happens(ev.Tapped(action, value))

    @property
    def view(self) -> View:
        return present(self.visit, self.around, WORDS)

    @property
    def notice(self) -> str:
        """What the screen says in its notice."""
        return self.view.notice.text if self.view.notice is not None else ""

    def asked_for(self) -> int | None:
        """Seconds on the question whether somebody is there."""
        return self.view.countdown.seconds_left if self.view.countdown is not None else None

    def did(self, kind: type[ev.Effect]) -> list[ev.Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


def at(where: Step, *, with_card: bool = True) -> Person:
    """A person who went the usual way as far as this step."""
    person = Person()
    way: list[tuple[Step, list[ev.Event]]] = [
        (Step.HOME, []),
        (Step.FIND, [ev.Tapped("choose", "find")]),
        (
            Step.QUESTION,
            [ev.Typed("kfd"), ev.SearchDone("kfd", (FOUND,)), ev.Tapped("choose", "food")],
        ),
        (Step.MATERIALS, [ev.Tapped("choose", "own")]),
        (Step.CARD, [ev.Tapped("take_number")]),
        (Step.IDENTITY, [ev.CardSeen(CARD)]),
        (Step.CONFIRM, [ev.Tapped("is_me")]),
        (Step.TICKET, [ev.Tapped("take"), ev.TicketGiven(TICKET)]),
    ]
    if where is Step.REFUSED:
        way[-1] = (Step.REFUSED, [ev.Tapped("take"), ev.TicketRefused("link.down")])
    if not with_card:
        way[-3:-1] = [(Step.CONFIRM, [ev.Tapped("without_card")])]
    for reached, events in way:
        for event in events:
            person.happens(event)
        if reached is where:
            break
    if person.visit.step is not where:
        person = beside_the_way(where)
    assert person.visit.step is where
    return person


def beside_the_way(where: Step) -> Person:
    """A person at a step that the usual way does not touch."""
    person = Person()
    match where:
        case Step.STAFF:
            person.taps("call_staff")
        case Step.WHICH:
            person = at_which()
        case Step.ENDED:
            person.taps("choose", "find")
            person.happens(ev.ItemOpened(ENDING))
            person.taps("choose", "elsewhere")
        case Step.MORE:
            person = at(Step.MATERIALS)
            person.taps("more")
        case Step.CLOSED:
            person = at(Step.FIND)
            person.happens(ev.MachineCloses())
    return person


# ── Which kind ──────────────────────────────────────────────────────────────────────────────


MATTER = Found(
    code="licence/",
    plain_name="旅馆许可证",
    task_name="新办、变更，点开选一种",
    kinds=tuple(
        Kind(code=f"licence-{number}", label=f"第{number}种", plain_name=f"办第{number}种")
        for number in range(7)
    ),
)


def at_which() -> Person:
    person = Person()
    person.taps("choose", "find")
    person.happens(ev.Typed("lg"))
    person.happens(ev.SearchDone("lg", (MATTER, FOUND)))
    assert person.taps("choose", "licence/") == []
    assert person.visit.step is Step.WHICH
    return person


def test_a_matter_of_several_kinds_is_asked_about() -> None:
    person = at_which()
    assert (person.view.screen, person.view.pages) == ("question", 2)
    assert person.view.choices[0].title == "办第0种"
    assert person.view.choices[0].detail == "第0种"
    assert "旅馆许可证" in person.view.why
    person.taps("page", "1")
    assert [choice.value for choice in person.view.choices] == ["licence-5", "licence-6"]
    assert person.taps("choose", "licence-6") == [ev.OpenItem("licence-6")]


def test_what_is_no_kind_of_the_matter_opens_nothing() -> None:
    person = at_which()
    for value in ("food", "licence/", "", "licence-7"):
        assert person.taps("choose", value) == []
    assert person.visit.step is Step.WHICH


def test_back_from_the_item_leads_to_its_kinds_and_then_to_what_was_found() -> None:
    person = at_which()
    person.taps("choose", "licence-1")
    person.happens(ev.ItemOpened(ITEM))
    assert person.visit.step is Step.QUESTION
    person.taps("back")
    assert person.visit.step is Step.WHICH
    person.taps("back")
    assert (person.visit.step, person.visit.query) == (Step.FIND, "lg")
    person.taps("choose", "food")
    person.happens(ev.ItemOpened(ITEM))
    person.taps("back")
    assert person.visit.step is Step.FIND


def test_none_of_these_counts_what_was_asked_and_leads_to_a_person() -> None:
    person = at(Step.FIND)
    person.happens(ev.Typed("lg"))
    assert person.taps("none_of_these") == [ev.CountMiss("lg")]
    assert person.visit.step is Step.STAFF


def test_a_query_counts_once_however_often_it_ends_with_a_person() -> None:
    person = at(Step.FIND)
    for query, counted in (("lg", 1), ("lg", 0), ("lgx", 1), ("lg", 0)):
        person.happens(ev.Typed(query))
        assert person.taps("none_of_these") == [ev.CountMiss(query)] * counted
        person.visit = Visit.model_validate_json(person.visit.model_dump_json())
        person.taps("back")


def test_who_calls_staff_over_an_empty_list_did_not_find_it() -> None:
    person = at(Step.FIND)
    assert person.taps("call_staff") == [], "nothing was looked for"
    person.taps("back")
    person.happens(ev.Typed("lg"))
    person.happens(ev.SearchDone("lg", (FOUND,)))
    assert person.taps("call_staff") == [], "what is listed may be right"
    person.taps("back")
    person.happens(ev.SearchDone("lg", ()))
    assert person.taps("call_staff") == [ev.CountMiss("lg")]
    person.taps("back")
    assert person.taps("none_of_these") == []


def test_where_nothing_is_found_nothing_is_guessed_and_a_person_is_the_way_on() -> None:
    person = at(Step.FIND)
    person.happens(ev.Typed("lg"))
    person.happens(ev.SearchDone("lg", (FOUND,)))
    assert person.view.none_of_these == Action(id="none_of_these", label=WORDS("find.none"))
    person.happens(ev.Typed("lgx"))
    person.happens(ev.SearchDone("lgx", ()))
    assert (person.view.choices, person.notice) == ((), WORDS("find.nothing"))
    assert person.view.none_of_these == Action(id="none_of_these", label=WORDS("find.person"))


# ── A whole visit ────────────────────────────────────────────────────────────────────────────


def test_a_whole_visit() -> None:
    person = Person()
    assert person.view.screen == "home"
    assert [choice.value for choice in person.view.choices] == ["find", "food"]
    begun = [ev.HoldMachine(on=True), ev.Tell(VisitStarted(visit=NEW.id))]
    assert person.taps("choose", "find") == begun
    assert person.happens(ev.Typed("K f,d")) == [ev.Search("kfd")]
    person.happens(ev.SearchDone("kfd", (FOUND,)))
    assert [choice.title for choice in person.view.choices] == ["开饭店"]
    person.taps("choose", "food")
    assert person.view.title == "店面是租的吗"
    person.taps("choose", "rented")
    person.taps("choose", "small")
    assert (person.view.screen, person.view.pages) == ("materials", 2)
    person.taps("page", "1")
    assert [row.label for row in person.view.rows][-1] == "租房合同"
    assert person.taps("take_number") == [ev.WatchCard(on=True)]
    person.happens(ev.CardSeen(CARD))
    assert [row.value for row in person.view.rows] == ["欧***", "1101**********002X"]
    assert person.view.notice is not None  # the card has expired, and that is said
    person.taps("is_me")
    assert person.view.rows[2].value == "5 人"
    [take] = person.taps("take")
    assert isinstance(take, ev.TakeTicket)
    assert take.key.startswith(f"{NEW.id}-ticket-")
    assert take.request.answers == {"place": "rented", "size": "small"}
    assert take.request.materials[-1] == "lease"
    assert take.request.applicant is not None
    assert take.request.applicant.number == CARD.number
    assert person.view.primary == Action(
        id="take", label=WORDS("confirm.taking"), icon="ticket", enabled=False
    )
    [printing, watch] = person.happens(ev.TicketGiven(TICKET))
    assert isinstance(printing, ev.Print)
    assert watch == ev.WatchCard(on=True)
    assert person.view.big_text == "A007"
    job = PrintJob(id=person.visit.job_id, state=PrintJobState.COMPLETED)
    person.happens(ev.JobChanged(job))
    assert person.notice == WORDS("ticket.card_left")
    person.happens(ev.CardLifted())
    assert person.notice == WORDS("ticket.printed")
    person.around = AROUND.model_copy(update={"now_ms": NOW_MS + 90_000})
    off, told, end = person.taps("done")
    assert (off, end) == (ev.WatchCard(on=False), ev.EndSession())
    assert told == ev.Tell(
        VisitEnded(
            visit=NEW.id,
            outcome="ticket",
            item="food",
            age_band="60_plus",
            duration_s=90,
            taps=person.visit.taps,
        )
    )
    assert len(person.did(ev.TakeTicket)) == len(person.did(ev.Print)) == 1


def test_a_visit_without_a_card_gets_the_same_number() -> None:
    person = at(Step.CARD)
    assert person.taps("without_card") == [ev.WatchCard(on=False)]
    assert person.view.rows[3].value == WORDS("confirm.person_without")
    [take] = person.taps("take")
    assert isinstance(take, ev.TakeTicket)
    assert take.request.applicant is None
    person.happens(ev.TicketGiven(TICKET))
    assert person.view.big_text == "A007"
    told = person.taps("done")[1]
    assert isinstance(told, ev.Tell)
    assert isinstance(told.data, VisitEnded)
    assert told.data.age_band == ""


def test_a_card_that_was_not_read_is_asked_for_again() -> None:
    person = at(Step.CARD)
    person.happens(ev.CardProblem())
    assert person.notice == WORDS("card.unreadable")
    person.happens(ev.CardSeen(CARD))
    assert person.visit.step is Step.IDENTITY


def test_a_card_that_lies_there_already_must_be_lifted_first() -> None:
    person = at(Step.IDENTITY)
    assert person.taps("back") == [ev.WatchCard(on=True)]
    assert person.visit.card is None
    assert person.notice == WORDS("card.lift")
    person.happens(ev.CardLifted())
    assert person.notice == ""


def test_a_card_is_taken_only_where_it_was_asked_for() -> None:
    for where in (Step.HOME, Step.MATERIALS, Step.CONFIRM, Step.TICKET):
        person = at(where, with_card=False)
        person.happens(ev.CardSeen(CARD))
        assert person.visit.card is None
        assert person.visit.step is where


# ── Refusals ─────────────────────────────────────────────────────────────────────────────────


def test_a_refused_number_is_asked_for_again_under_the_same_key() -> None:
    person = at(Step.REFUSED)
    assert person.view.title == WORDS("refused.hall_down_title")
    person.taps("again")
    person.happens(ev.TicketRefused("queue.closed"))
    assert person.view.title == WORDS("refused.other_title")
    person.taps("back")
    assert person.visit.step is Step.CONFIRM
    person.taps("take")
    person.happens(ev.TicketGiven(TICKET))
    asked = person.did(ev.TakeTicket)
    assert len(asked) == 3
    assert all(again == asked[0] for again in asked)


def test_a_number_that_nobody_asked_for_is_not_taken() -> None:
    for where in (Step.HOME, Step.MATERIALS, Step.CONFIRM, Step.REFUSED, Step.TICKET):
        person = at(where)
        before = person.visit
        other = TICKET.model_copy(update={"number": "B001"})
        assert person.happens(ev.TicketGiven(other)) == []
        assert person.happens(ev.TicketRefused("late")) == []
        assert person.visit == before


def test_a_second_tap_while_the_number_is_taken_asks_once() -> None:
    person = at(Step.CONFIRM)
    person.taps("take")
    person.taps("take")
    person.taps("back")
    assert (person.visit.step, len(person.did(ev.TakeTicket))) == (Step.CONFIRM, 1)


@pytest.mark.parametrize("before", ["", "call_staff"])
def test_the_ways_out_are_seen_to_be_closed_while_a_number_is_on_its_way(before: str) -> None:
    person = at(Step.CONFIRM)
    assert ways_out(person.view) == {"home": True, "back": True}
    person.taps("take")
    if before:
        person.taps(before)
    assert ways_out(person.view) == {"home": False, "back": False}
    person.happens(ev.TicketRefused("link.down"))
    assert ways_out(person.view) == {"home": True, "back": True}


def ways_out(view: View) -> dict[str, bool]:
    """By action: whether the screen offers it."""
    shown = [*view.chrome.help, *((view.back,) if view.back is not None else ())]
    return {action.id: action.enabled for action in shown if action.id in WAYS_OUT}


def test_a_number_that_comes_while_staff_is_called_is_shown() -> None:
    person = at(Step.CONFIRM)
    person.taps("take")
    person.taps("call_staff")
    person.happens(ev.TicketGiven(TICKET))
    assert person.view.big_text == "A007"


# ── The turn a tap was made for ──────────────────────────────────────────────────────────────


def test_what_a_person_decides_begins_another_turn() -> None:
    person = at(Step.QUESTION)
    turns = [turn(person.visit)]
    for action, value in (
        ("choose", "rented"),
        ("choose", "small"),
        ("page", "1"),
        ("large_type", ""),
        ("take_number", ""),
        ("call_staff", ""),
        ("back", ""),
        ("without_card", ""),
        ("take", ""),
    ):
        person.taps(action, value)
        turns.append(turn(person.visit))
    person.happens(ev.TicketGiven(TICKET))
    turns.append(turn(person.visit))
    assert [now == before for before, now in itertools.pairwise(turns)] == [False] * 10


def test_letters_results_notices_and_the_countdown_stay_in_the_turn() -> None:
    person = at(Step.FIND)
    before = turn(person.visit)
    for event in (
        ev.Typed("k"),
        ev.Typed("kf"),
        ev.SearchDone("kf", (FOUND,)),
        ev.NobodyTaps(9),
        ev.CardLeftBehind(),
        ev.CardLifted(),
        ev.Typed(""),
    ):
        person.happens(event)
        assert turn(person.visit) == before
    waiting = at(Step.CARD)
    before = turn(waiting.visit)
    waiting.happens(ev.CardProblem())
    assert turn(waiting.visit) == before


# ── Taps that don't fit ──────────────────────────────────────────────────────────────────────

FITTING = {
    Step.HOME: {"choose"},
    Step.FIND: {"choose", "none_of_these", "back", "home"},
    Step.WHICH: {"choose", "page", "back", "home"},
    Step.QUESTION: {"choose", "back", "home"},
    Step.ENDED: {"other_item", "ask_staff", "back", "home"},
    Step.MATERIALS: {"page", "more", "take_number", "back", "home"},
    Step.MORE: {"choose", "page", "back", "home"},
    Step.CARD: {"without_card", "back", "home"},
    Step.IDENTITY: {"is_me", "back", "home"},
    Step.CONFIRM: {"take", "back", "home"},
    Step.TICKET: {"done", "home"},
    Step.REFUSED: {"again", "back", "home"},
    Step.STAFF: {"back", "home"},
    Step.CLOSED: set(),
}
ACTIONS = {"stay", "leave", "", "nonsense"}.union(*FITTING.values())


@pytest.mark.parametrize("where", list(Step))
@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_tap_that_does_not_fit_is_ignored(where: Step, action: str) -> None:
    if action in FITTING[where]:
        return
    person = at(where)
    before = person.visit
    assert person.taps(action, "0") == []
    assert person.visit == before


@pytest.mark.parametrize(
    ("where", "action", "value"),
    [
        (Step.HOME, "choose", "no-such-item"),
        (Step.FIND, "choose", "food"),  # nothing was found yet
        (Step.FIND, "none_of_these", ""),  # nothing was looked for yet
        (Step.QUESTION, "choose", "small"),  # belongs to the next question
        (Step.MATERIALS, "page", "-1"),
        (Step.MATERIALS, "page", "next"),
        (Step.MATERIALS, "page", "9" * 5000),
        (Step.MATERIALS, "page", "²"),
    ],
)
def test_a_tap_with_a_value_that_does_not_fit_is_ignored(
    where: Step, action: str, value: str
) -> None:
    person = at(where)
    before = person.visit
    assert person.taps(action, value) == []
    assert person.visit == before


def test_nothing_can_be_chosen_before_the_catalogue_is_there() -> None:
    person = Person(around=AROUND.model_copy(update={"catalogue_ready": False}))
    assert person.view.screen == "message"
    assert person.taps("choose", "find") == []
    assert person.visit == NEW


def test_an_old_search_result_is_ignored() -> None:
    person = at(Step.FIND)
    person.happens(ev.Typed("kf"))
    person.happens(ev.Typed("kfd"))
    person.happens(ev.SearchDone("kf", (FOUND,)))
    assert person.visit.found == ()


def test_typing_counts_only_where_there_is_a_keyboard() -> None:
    person = at(Step.MATERIALS)
    before = person.visit
    assert person.happens(ev.Typed("x")) == []
    assert person.visit == before


# ── Back ─────────────────────────────────────────────────────────────────────────────────────


def test_back_leads_from_the_end_to_the_beginning() -> None:
    person = at(Step.CONFIRM)
    steps = [person.visit.step]
    while person.view.back is not None:
        person.taps("back")
        steps.append(person.visit.step)
    assert steps == [
        Step.CONFIRM,
        Step.IDENTITY,
        Step.CARD,
        Step.MATERIALS,
        Step.QUESTION,
        Step.FIND,
        Step.HOME,
    ]
    assert person.visit.card is None
    assert person.visit.item is None


def test_back_takes_one_answer_back_at_a_time() -> None:
    person = at(Step.QUESTION)
    person.taps("choose", "rented")
    person.taps("choose", "small")
    person.taps("back")
    assert person.view.title == "多大"
    person.taps("back")
    assert person.view.title == "店面是租的吗"


def test_back_from_an_item_of_the_first_screen_leads_there() -> None:
    person = Person()
    person.taps("choose", "food")
    person.taps("back")
    assert person.visit.step is Step.HOME


@pytest.mark.parametrize("where", [one for one in FITTING if one not in (Step.STAFF, Step.CLOSED)])
def test_back_from_the_help_leads_where_it_was_called(where: Step) -> None:
    person = at(where)
    person.taps("call_staff")
    person.taps("call_staff")
    assert person.visit.step is Step.STAFF
    person.taps("back")
    assert person.visit.step is where


# ── The slip ─────────────────────────────────────────────────────────────────────────────────


def slip_of(person: Person) -> Slip:
    [printing] = person.did(ev.Print)
    assert isinstance(printing, ev.Print)
    assert printing.job == f"{NEW.id}-slip"
    return printing.slip


def test_the_slip_holds_the_number_and_nothing_personal() -> None:
    slip = slip_of(at(Step.TICKET))
    text = slip.model_dump_json()
    for secret in personal_texts():
        assert secret not in text
    texts = [line.text for line in slip.lines if isinstance(line, TextLine)]
    assert "A007" in texts
    assert slip.reprint_mark == WORDS("slip.reprint")
    assert [line.text for line in slip.lines if isinstance(line, QrLine)] == [TICKET.code]
    assert "□ 身份证" in texts  # the one that was shown has expired


def test_a_card_in_date_need_not_be_brought_again() -> None:
    person = at(Step.CARD)
    person.happens(ev.CardSeen(CARD.model_copy(update={"valid_to": None})))
    person.taps("is_me")
    person.taps("take")
    person.happens(ev.TicketGiven(TICKET))
    texts = [line.text for line in slip_of(person).lines if isinstance(line, TextLine)]
    assert "□ 身份证" not in texts


# ── The guide ────────────────────────────────────────────────────────────────────────────────


def asks(item: Item) -> Person:
    person = Person()
    person.taps("choose", "find")
    person.happens(ev.ItemOpened(item))
    return person


def test_several_options_are_ticked_and_then_said() -> None:
    person = asks(SEVERAL)
    assert person.view.primary is not None
    assert not person.view.primary.enabled
    person.taps("chosen")
    assert person.visit.step is Step.QUESTION, "nothing was ticked"
    for value in ("fish", "meat", "fish"):
        person.taps("choose", value)
    assert [(one.value, one.toggles, one.picked) for one in person.view.choices] == [
        ("meat", True, True),
        ("fish", True, False),
    ]
    person.taps("chosen")
    assert person.visit.step is Step.MATERIALS
    assert person.visit.guide is not None
    assert person.visit.guide.as_text == {"place": "meat"}


def test_none_of_them_is_an_answer_too() -> None:
    person = asks(SEVERAL)
    assert person.view.secondary == Action(id="none_of_them", label="都没有")
    person.taps("choose", "meat")
    person.taps("none_of_them")
    assert person.visit.guide is not None
    assert person.visit.guide.as_text == {"place": "-"}


def test_an_answer_is_changed_from_the_list_and_the_others_stay() -> None:
    person = at(Step.QUESTION)
    person.taps("choose", "rented")
    person.taps("choose", "big")
    person.taps("more")
    assert [(one.value, one.detail) for one in person.view.choices[1:]] == [
        ("place", "您选的：租的"),
        ("size", "您选的：大"),
    ]
    person.taps("choose", "place")
    assert person.view.title == "店面是租的吗"
    person.taps("back")
    assert person.visit.step is Step.MATERIALS, "nothing was changed"
    person.taps("more")
    person.taps("choose", "place")
    person.taps("choose", "own")
    assert person.visit.step is Step.MATERIALS
    person.taps("more")
    person.taps("choose", "place")
    person.taps("choose", "rented")
    assert person.visit.step is Step.MATERIALS, "the size was said already"


def test_an_answer_that_ends_it_says_what_to_do_instead() -> None:
    person = at(Step.ENDED)
    assert (person.view.title, person.view.why) == (WORDS("ended.stop_title"), "请到外地的大厅办。")
    person.taps("ask_staff")
    assert person.visit.step is Step.STAFF
    person.taps("back")
    person.taps("back")
    assert person.visit.step is Step.QUESTION
    person.taps("choose", "other")
    assert person.view.title == WORDS("ended.other_title")
    assert person.taps("other_item") == [ev.OpenItem("food")]
    assert person.view.title == "店面是租的吗"


def test_the_list_is_printed_a_few_times_and_holds_nothing_personal() -> None:
    person = at(Step.MORE)
    [first] = person.taps("choose", "print_list")
    assert isinstance(first, ev.Print)
    assert first.job == f"{NEW.id}-list-1"
    assert person.notice == WORDS("more.printing")
    person.happens(ev.JobChanged(PrintJob(id=first.job, state=PrintJobState.COMPLETED)))
    assert person.notice == WORDS("more.printed")
    (code,) = (line.text for line in first.slip.lines if isinstance(line, QrLine))
    assert decode(code).answers == {"place": "own"}
    assert first in resume(person.visit, AROUND, WORDS)[1]
    for _ in range(4):
        person.taps("more")
        person.taps("choose", "print_list")
        person.taps("back")
        if person.visit.step is Step.QUESTION:
            person.taps("choose", "own")
    assert len(person.did(ev.Print)) == 3


def test_a_machine_without_paper_does_not_offer_to_print() -> None:
    person = at(Step.MORE)
    person.around = AROUND.model_copy(update={"devices": ()})
    assert not person.view.choices[0].enabled
    assert person.taps("choose", "print_list") == []


def test_the_slip_of_a_visit_without_card_asks_for_the_card() -> None:
    texts = [
        line.text
        for line in slip_of(at(Step.TICKET, with_card=False)).lines
        if isinstance(line, TextLine)
    ]
    assert "□ 身份证" in texts


@pytest.mark.parametrize(
    ("state", "marked", "word"),
    [
        (PrintJobState.QUEUED, 0, "ticket.printing"),
        (PrintJobState.PRINTING, 0, "ticket.printing"),
        (PrintJobState.WAITING, 0, "ticket.waiting_other"),
        (PrintJobState.COMPLETED, 0, "ticket.printed"),
        (PrintJobState.COMPLETED, 1, "ticket.printed_again"),
        (PrintJobState.CANCELLED, 1, "ticket.unprinted"),
    ],
)
def test_the_screen_says_what_became_of_the_slip(
    state: PrintJobState, marked: int, word: str
) -> None:
    person = at(Step.TICKET, with_card=False)
    job = PrintJob(id=person.visit.job_id, state=state, copies_marked=marked)
    person.happens(ev.JobChanged(job))
    assert person.notice == WORDS(word)
    person.happens(ev.JobChanged(PrintJob(id="another", state=PrintJobState.CANCELLED)))
    assert person.notice == WORDS(word)


def test_a_printer_without_paper_is_told_before_and_after() -> None:
    person = at(Step.CONFIRM)
    out = device("ticket_printer", paper=Paper.OUT)
    person.around = AROUND.model_copy(update={"devices": (out, device("id_card_reader"))})
    assert person.view.chrome.machine_notice is not None
    assert person.notice == WORDS("confirm.printer_out")


# ── Time ─────────────────────────────────────────────────────────────────────────────────────


def test_nobody_is_asked_before_somebody_came() -> None:
    person = Person()
    assert person.happens(ev.NobodyTaps(0)) == []
    assert person.visit == NEW


def test_the_screen_asks_and_any_touch_stays() -> None:
    for action in ("stay", "nonsense", "large_type"):
        person = at(Step.CARD)
        person.happens(ev.NobodyTaps(12))
        assert person.asked_for() == 12
        person.taps(action)
        assert person.asked_for() is None
        assert person.visit.step is Step.CARD


@pytest.mark.parametrize(
    ("where", "event", "outcome"),
    [
        (Step.FIND, ev.NobodyTaps(0), "timed_out"),
        (Step.IDENTITY, ev.NobodyTaps(-3), "timed_out"),
        (Step.TICKET, ev.NobodyTaps(0), "ticket"),
        (Step.FIND, ev.Tapped("leave"), "left"),
        (Step.CARD, ev.Tapped("leave"), "guide"),
        (Step.TICKET, ev.Tapped("leave"), "ticket"),
        (Step.FIND, ev.Tapped("home"), "left"),
        (Step.MATERIALS, ev.Tapped("home"), "guide"),
        (Step.TICKET, ev.Tapped("home"), "ticket"),
    ],
)
def test_every_end_says_how_it_ended(where: Step, event: ev.Event, outcome: str) -> None:
    person = at(where)
    person.happens(ev.NobodyTaps(5))
    off, told, end = person.happens(event)
    assert (off, end) == (ev.WatchCard(on=False), ev.EndSession())
    assert isinstance(told, ev.Tell)
    assert isinstance(told.data, VisitEnded)
    assert told.data.outcome == outcome
    assert person.visit.over


@pytest.mark.parametrize("before", ["", "call_staff"])
@pytest.mark.parametrize(
    "event",
    [ev.Tapped("home"), ev.Tapped("leave"), ev.Tapped("back"), ev.NobodyTaps(5), ev.NobodyTaps(0)],
)
def test_a_visit_does_not_end_under_a_number_on_its_way(event: ev.Event, before: str) -> None:
    person = at(Step.CONFIRM)
    person.taps("take")
    if before:
        person.taps(before)
    at_step = person.visit.step
    assert person.happens(event) == []
    assert (person.visit.step, person.visit.over) == (at_step, False)
    assert person.asked_for() is None
    person.happens(ev.TicketGiven(TICKET))
    assert person.visit.step is Step.TICKET
    assert len(person.did(ev.Print)) == 1
    person.happens(ev.NobodyTaps(0))
    assert person.visit.over


def test_a_refused_number_sets_the_visit_free() -> None:
    person = at(Step.CONFIRM)
    person.taps("take")
    person.happens(ev.TicketRefused("link.down"))
    person.taps("home")
    assert person.visit.over


# ── Taking up what a crash left ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("where", list(Step))
def test_a_visit_is_taken_up_at_the_same_step(where: Step) -> None:
    person = at(where)
    person.happens(ev.NobodyTaps(5))
    stored = Visit.model_validate_json(person.visit.model_dump_json())
    visit, effects = resume(stored, AROUND, WORDS)
    assert visit == person.visit.model_copy(update={"seconds_left": None})
    watches = ev.WatchCard(on=True) in effects
    card_steps = (Step.CARD, Step.IDENTITY, Step.CONFIRM, Step.REFUSED, Step.TICKET)
    assert watches == wants_card_watch(visit) == (where in card_steps)


def test_a_number_on_its_way_is_asked_for_again_under_the_same_key() -> None:
    person = at(Step.CONFIRM)
    person.taps("take")
    person.taps("call_staff")
    visit, effects = resume(person.visit, AROUND, WORDS)
    assert [effect for effect in effects if isinstance(effect, ev.TakeTicket)] == person.did(
        ev.TakeTicket
    )
    given = Person(visit)
    given.happens(ev.TicketGiven(TICKET))
    assert given.visit.step is Step.TICKET


def test_a_slip_is_handed_over_again_under_the_same_id() -> None:
    person = at(Step.TICKET)
    _, effects = resume(person.visit, AROUND, WORDS)
    assert [effect for effect in effects if isinstance(effect, ev.Print)] == person.did(ev.Print)


# ── Anything at all ──────────────────────────────────────────────────────────────────────────


def personal_texts() -> list[str]:
    return [CARD.name, CARD.name[1:], CARD.number, CARD.number[4:14], CARD.address, "1949"]


_VALUES = [
    "",
    "find",
    "food",
    "licence/",
    "licence-6",
    "rented",
    "own",
    "small",
    "big",
    "0",
    "1",
    "7",
    "x" * 50,
]
JOBS = st.builds(
    PrintJob,
    id=st.sampled_from([NEW.job_id, "another"]),
    state=st.sampled_from(PrintJobState),
    copies_marked=st.integers(0, 2),
)
EVENTS: st.SearchStrategy[ev.Event] = st.one_of(
    st.builds(
        ev.Tapped,
        st.sampled_from(sorted(ACTIONS | {"call_staff", "large_type"})),
        st.sampled_from(_VALUES),
    ),
    st.builds(ev.Typed, st.text(max_size=40)),
    st.builds(
        ev.SearchDone,
        st.sampled_from(["", "kfd"]),
        st.sampled_from([(), (FOUND,), (FOUND,) * 6, (MATTER, FOUND)]),
    ),
    st.just(ev.Typed("kfd")),
    st.just(ev.ItemOpened(ITEM)),
    st.just(ev.CardSeen(CARD)),
    st.sampled_from([ev.CardProblem(), ev.CardLeftBehind(), ev.CardLifted()]),
    st.just(ev.TicketGiven(TICKET)),
    st.builds(ev.TicketRefused, st.sampled_from(["link.down", "queue.closed", ""])),
    st.builds(ev.JobChanged, JOBS),
    st.builds(ev.NobodyTaps, st.integers(-5, 30)),
    st.sampled_from([ev.MachineCloses(), ev.MachineOpens()]),
)
AROUNDS = st.builds(
    Surroundings,
    hall_name=st.just("什邡市政务服务大厅"),
    now_ms=st.integers(NOW_MS, NOW_MS + 600_000),
    devices=st.lists(
        st.builds(
            device,
            st.sampled_from(["ticket_printer", "id_card_reader"]),
            status=st.sampled_from(DeviceStatus),
            paper=st.sampled_from(Paper),
        ),
        max_size=2,
    ).map(tuple),
    waits=st.sampled_from([(), AROUND.waits]),
    waits_at_ms=st.sampled_from([None, NOW_MS]),
    hall_up=st.booleans(),
    catalogue_ready=st.sampled_from([True, True, True, False]),
    popular=st.sampled_from([(), (FOUND,), (FOUND,) * 9]),
    power=st.sampled_from(PowerPhase),
    maintenance=st.sampled_from(MaintenancePhase),
)


def labelled(value: object) -> Iterable[tuple[str, str]]:
    """Every text that a person is to read on something that can be tapped."""
    if isinstance(value, dict):
        if "label" in value and "id" in value:
            yield f"action {value['id']}", value["label"]
        if "title" in value and "value" in value:
            yield f"choice {value['value']}", value["title"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from labelled(inner)


def check_view(visit: Visit, around: Surroundings) -> None:
    view = present(visit, around, WORDS)
    assert len(view.choices) <= 6
    assert view.title
    raw = view.model_dump_json()
    if not any(secret in visit.query for secret in personal_texts()):
        assert not [secret for secret in personal_texts() if secret in raw]
    empty = [where for where, text in labelled(json.loads(raw)) if not text]
    assert empty == []
    assert set(ways_out(view).values()) <= {not visit.taking}


@settings(max_examples=120, deadline=None)
@given(
    start=st.sampled_from(list(Step)),
    happenings=st.lists(st.tuples(EVENTS, AROUNDS), max_size=25),
)
def test_whatever_happens_the_visit_holds(
    start: Step, happenings: list[tuple[ev.Event, Surroundings]]
) -> None:
    person = at(start)
    for event, around in happenings:
        person.around = around
        was_over = person.visit.over
        ticket = person.visit.ticket
        before = person.visit
        effects = person.happens(event)
        if was_over:
            assert (person.visit, effects) == (before, [])
        if ticket is not None:
            assert person.visit.ticket == ticket
        check_view(person.visit, around)
        check_view(resume(person.visit, around, WORDS)[0], around)
    asked = [effect for effect in person.effects if isinstance(effect, ev.TakeTicket)]
    assert len({take.key for take in asked}) <= 1
    printed = [printing.job for printing in person.did(ev.Print) if isinstance(printing, ev.Print)]
    assert len(printed) == len(set(printed))
    assert len(printed) <= 1 + LISTS_LIMIT
    assert len(person.did(ev.EndSession)) <= 1
    for told in person.effects:
        if isinstance(told, ev.Tell):
            kept = told.data.model_dump_json()
            assert not [secret for secret in personal_texts() if secret in kept]


# ── A machine that has to close ──────────────────────────────────────────────────────────────


def in_phase(phase: PowerPhase) -> Surroundings:
    return AROUND.model_copy(update={"power": phase})


CLOSED_PHASES = [phase for phase in PowerPhase if not phase.admits]


@pytest.mark.parametrize("phase", CLOSED_PHASES)
def test_no_visit_begins_at_a_machine_that_closes_and_the_screen_says_why(
    phase: PowerPhase,
) -> None:
    person = Person(around=in_phase(phase))
    for action in ("choose", "call_staff", "large_type"):
        assert person.taps(action, "find") == []
    assert person.visit == NEW
    view = person.view
    assert (view.screen, view.choices, view.primary, view.chrome.help) == ("message", (), None, ())
    said = "closed.off_title" if phase.ends else "closed.power_title"
    assert view.title == WORDS(said)
    person.around = AROUND
    assert person.view.screen == "home"


@pytest.mark.parametrize("phase", [PowerPhase.BATTERY, PowerPhase.CLOSING])
def test_a_visit_that_began_goes_on_while_the_battery_lasts(phase: PowerPhase) -> None:
    person = at(Step.CONFIRM)
    person.around = in_phase(phase)
    person.taps("take")
    person.happens(ev.TicketGiven(TICKET))
    assert person.view.screen == "ticket"


@pytest.mark.parametrize("where", [one for one in FITTING if one not in (Step.HOME, Step.CLOSED)])
def test_a_visit_that_must_end_says_so_and_forgets_who_it_was(where: Step) -> None:
    person = at(where)
    person.around = in_phase(PowerPhase.ENDING)
    told, let_go = person.happens(ev.MachineCloses())
    assert isinstance(told, ev.Tell)
    assert isinstance(told.data, VisitEnded)
    has_number = where is Step.TICKET
    assert told.data.outcome == ("ticket" if has_number else "closed")
    assert let_go == ev.HoldMachine(on=False)
    kept = person.visit.model_dump_json()
    assert not [secret for secret in personal_texts() if secret in kept]
    assert person.view.title == WORDS("closed.off_title")
    assert person.view.big_text == (TICKET.number if has_number else "")
    read_a_card = where in (Step.IDENTITY, Step.CONFIRM, Step.TICKET, Step.REFUSED)
    assert (person.notice == WORDS("closed.card_left")) == read_a_card


@pytest.mark.parametrize("phase", [one for one in MaintenancePhase if one != "inactive"])
def test_in_maintenance_no_visit_begins_and_the_screen_says_where_else_to_go(
    phase: MaintenancePhase,
) -> None:
    around = AROUND.model_copy(update={"maintenance": phase})
    person = Person(around=around)
    assert person.taps("choose", "find") == []
    view = person.view
    assert (view.title, view.why) == (
        WORDS("closed.maintenance_title"),
        WORDS("closed.maintenance_text"),
    )
    assert view.notice is not None
    assert words("en")("closed.maintenance_title") in view.notice.detail
    begun = at(Step.FIND)
    begun.around = around
    assert begun.view.screen == "find"  # its end is waited for, within a limit
    assert around.closes == (phase != "enterPending")
    if around.closes:
        begun.happens(ev.MachineCloses())
        assert begun.view.title == WORDS("closed.maintenance_title")


def test_a_power_cut_stands_before_maintenance() -> None:
    both = {"maintenance": MaintenancePhase.ACTIVE, "power": PowerPhase.ENDING}
    shown = present(NEW, AROUND.model_copy(update=both), WORDS)
    assert shown.title == WORDS("closed.off_title")


def test_a_number_on_its_way_is_waited_for_and_then_stands_on_the_last_screen() -> None:
    person = at(Step.CONFIRM)
    person.around = in_phase(PowerPhase.ENDING)
    person.taps("take")
    assert person.happens(ev.MachineCloses()) == []
    assert person.visit.taking
    person.happens(ev.TicketGiven(TICKET))
    person.happens(ev.MachineCloses())
    assert (person.view.screen, person.view.big_text) == ("ticket", TICKET.number)
    assert len(person.did(ev.Print)) == 1
    assert person.view.why == WORDS("closed.number")
    person.happens(ev.JobChanged(PrintJob(id=NEW.job_id, state=PrintJobState.PRINTING)))
    assert person.view.why == WORDS("closed.number_printing")
    person.happens(ev.JobChanged(PrintJob(id=NEW.job_id, state=PrintJobState.COMPLETED)))
    assert person.view.why == WORDS("closed.number_printed")
    [again] = [one for one in resume(person.visit, AROUND, WORDS)[1] if isinstance(one, ev.Print)]
    assert [again] == person.did(ev.Print)


def test_the_last_screen_stays_while_somebody_may_read_it() -> None:
    person = at(Step.TICKET)
    person.happens(ev.MachineCloses())
    assert person.happens(ev.NobodyTaps(5)) == []
    assert person.happens(ev.NobodyTaps(0)) == [ev.WatchCard(on=False), ev.EndSession()]
    assert person.visit.over


def test_a_machine_that_opens_again_shows_the_number_as_before() -> None:
    person = at(Step.TICKET)
    before = person.view
    person.happens(ev.CardLifted())
    person.happens(ev.MachineCloses())
    person.happens(ev.CardLifted())
    assert person.happens(ev.MachineOpens()) == [ev.HoldMachine(on=True)]
    assert (person.view.screen, person.view.title) == ("ticket", before.title)
    assert (person.view.big_text, person.view.rows) == (TICKET.number, before.rows)
    again = person.happens(ev.MachineCloses())  # mains that flap
    assert again[-1] == ev.HoldMachine(on=False)
    person.happens(ev.MachineOpens())
    assert person.taps("done")[-1] == ev.EndSession()


def test_a_closed_machine_without_a_number_begins_anew_when_it_opens() -> None:
    person = at(Step.CONFIRM)
    person.happens(ev.MachineCloses())
    assert person.happens(ev.MachineOpens()) == [ev.WatchCard(on=False), ev.EndSession()]
    assert person.visit.over


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    "closed",
    [
        {"power": PowerPhase.CLOSING},
        {"power": PowerPhase.ENDING},
        {"power": PowerPhase.SHUTDOWN},
        {"maintenance": MaintenancePhase.ACTIVE},
    ],
)
def test_smoke_is_told_on_a_closed_screen_in_both_languages(
    closed: dict[str, object], begun: bool
) -> None:
    smoke = device("auxiliaries", status=DeviceStatus.HARDWARE_ERROR, reason=Reason.SMOKE)
    person = at(Step.TICKET) if begun else Person()
    broken = device("ticket_printer", status=DeviceStatus.OFFLINE, reason=Reason.SILENT)
    person.around = AROUND.model_copy(update={"devices": (broken,), **closed})
    if begun:
        person.happens(ev.MachineCloses())
    assert person.view.chrome.machine_notice is None  # it changes nothing here
    person.around = person.around.model_copy(update={"devices": (broken, smoke)})
    told = person.view.chrome.machine_notice
    assert told is not None
    assert (told.tone, told.text) == ("fault", WORDS("machine.smoke"))
    assert told.detail == words("en")("machine.smoke")


def test_the_item_of_these_tests_is_sound() -> None:
    assert verify_item(ITEM) == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (Reason.ON_BATTERY, "machine.power_cut"),
        (Reason.BATTERY_LOW, "machine.power_ends"),
        # A technician's matter: nothing changes for who stands there.
        (Reason.BATTERY_WORN, "machine.printer_down"),
    ],
)
def test_a_power_cut_stands_before_what_else_is_wrong(reason: Reason, told: str) -> None:
    devices = (
        device("ticket_printer", status=DeviceStatus.OFFLINE, reason=Reason.SILENT),
        device("ups", reason=reason),
    )
    around = AROUND.model_copy(update={"devices": devices, "power": PowerPhase.BATTERY})
    shown = present(NEW, around, WORDS)
    assert shown.chrome.machine_notice is not None
    assert shown.chrome.machine_notice.text == WORDS(told)


def test_smoke_stands_before_all_else_and_an_open_cabinet_is_nothing_to_a_citizen() -> None:
    smoke = device("auxiliaries", status=DeviceStatus.HARDWARE_ERROR, reason=Reason.SMOKE)
    door = device("auxiliaries", reason=Reason.DOOR_OPEN)
    others = (device("ups", reason=Reason.BATTERY_LOW), door)
    for devices, told in (
        ((*others, smoke.model_copy(update={"id": "second"})), "machine.smoke"),
        (others, "machine.power_ends"),
    ):
        shown = present(
            NEW, AROUND.model_copy(update={"devices": devices, "power": PowerPhase.BATTERY}), WORDS
        )
        assert shown.chrome.machine_notice is not None
        assert shown.chrome.machine_notice.text == WORDS(told)


def test_an_empty_battery_on_the_mains_is_nothing_to_tell_a_citizen() -> None:
    """It is being charged after a long cut."""
    devices = (*AROUND.devices, device("ups", reason=Reason.BATTERY_LOW))
    shown = present(NEW, AROUND.model_copy(update={"devices": devices}), WORDS)
    assert shown.chrome.machine_notice is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "5 人"),
        ({"expected_wait_s": 1201.0}, "5 人，大约等 25 分钟"),
        ({"expected_wait_s": 1200.0}, "5 人，大约等 20 分钟"),
        ({"expected_wait_s": 100.0}, "5 人，大约等 5 分钟"),
        ({"expected_wait_s": 30.0}, "5 人，很快就到您"),
        ({"expected_wait_s": 30.0, "stale": True}, "5 人"),
    ],
    ids=str,
)
def test_a_wait_is_told_in_steps_of_five_minutes(more: dict[str, Any], told: str) -> None:
    wait = AROUND.waits[0].model_copy(update=more)
    person = at(Step.CONFIRM)
    person.around = AROUND.model_copy(update={"waits": (wait,)})
    assert person.view.rows[2].value == told


# ── Other authorities' systems ───────────────────────────────────────────────────────────────


DOWN = SystemDown(system="market_platform", plain_name="市场监督一体化工作平台", since_ms=NOW_MS)
NEEDS_IT = FOUND.model_copy(update={"upstream": ("market_platform",)})


def test_an_item_whose_system_is_down_is_marked_before_the_first_tap() -> None:
    around = AROUND.model_copy(update={"systems_down": (DOWN,), "popular": (NEEDS_IT,)})
    person = Person(around=around)
    assert [choice.badge for choice in person.view.choices] == ["", "系统暂停"]
    person.taps("choose", "find")
    person.happens(ev.Typed("kfd"))
    person.happens(ev.SearchDone("kfd", (NEEDS_IT, FOUND)))
    assert [(one.badge, one.badge_tone) for one in person.view.choices] == [
        ("系统暂停", "attention"),
        ("", "plain"),
    ]
    person.around = AROUND
    assert [choice.badge for choice in person.view.choices] == ["", ""]


def test_the_list_says_which_system_is_down_and_what_can_be_done_all_the_same() -> None:
    person = at(Step.MATERIALS)
    item = ITEM.model_copy(update={"upstream": ("market_platform",)})
    person.visit = person.visit.model_copy(update={"item": item})
    assert person.notice == ""
    person.around = AROUND.model_copy(update={"systems_down": (DOWN,)})
    assert person.notice == "市场监督一体化工作平台现在连不上，可以先取号到窗口问"
    assert person.view.primary is not None
    assert person.view.primary.enabled
