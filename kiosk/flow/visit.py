"""A visit, step by step: `step(visit, event, around) → (visit, effects)`. Pure.

    home ─▶ find ─▶ question… ─▶ materials ─▶ card ─▶ identity ─▶ confirm ─▶ ticket ─▶ over
              └▶ which ▲ └▶ ended    │           └──────────────────▶┘ (no card: an equal way)
                       └───── more ◀─┘                        any of them ─▶ closed (no current)

A tap that does not fit the step is ignored: the screen was a moment behind. One that would fit and
was made for another `turn` is not given to the flow at all. `resume` takes up what a crashed
service was doing. Adding a step: docs/how-to/add-a-screen.md.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import TypeGuard

from hallkit.guide import questions as guide
from hallkit.guide.card_facts import card_facts as told_by_card
from hallkit.guide.share import encode
from hallkit.guide.sheet import sheet, slip
from hallkit.lexicon.words import Words
from hallkit.model.conditions import FactValue
from hallkit.model.identity import CardKind, IdentityCard
from hallkit.model.ticket import Ticket
from hallkit.runtime.clock import local_date
from hallkit.wire.affairs_api import Applicant, TicketRequest
from hallkit.wire.events import VisitEnded, VisitStarted
from kiosk.flow import events as ev
from kiosk.flow.slip import ticket_slip
from kiosk.flow.state import Step, Surroundings, Visit

Next = tuple[Visit, tuple[ev.Effect, ...]]
Handler = Callable[[Visit, ev.Tapped, Surroundings], Next | None]
"""What follows from a tap; None if it does not fit."""

QUERY_LIMIT = 24
MATERIALS_PER_PAGE = 6
LARGE_MATERIALS_PER_PAGE = 4
ANSWERS_PER_PAGE = 5
PAGE_DIGITS = 3
LISTS_LIMIT = 3
"""So often a visit may print its list."""
PRINT_LIST = "print_list"
RESIDENT_CARD = "resident_card"
OPENS_ITEMS = frozenset({Step.HOME, Step.FIND, Step.WHICH, Step.ENDED})
WAYS_OUT = frozenset({"home", "leave", "back"})
"""Not while a number is on its way: it may be given already, and would be lost."""


def step(visit: Visit, event: ev.Event, around: Surroundings, words: Words) -> Next:
    """What follows from an event. Never raises for anything a person can do."""
    if visit.over:
        return visit, ()
    if visit.step is Step.CLOSED:
        return _while_closed(visit, event)
    match event:
        case ev.Tapped() | ev.Typed() if visit.started_ms is None and not around.admits:
            return visit, ()
        case ev.MachineCloses() if visit.started_ms is not None and not visit.taking:
            return _close(visit, around)
        case ev.Tapped():
            return _tapped(visit, event, around, words)
        case ev.Typed(text=text) if visit.step is Step.FIND:
            return _typed(_touched(visit, around)[0], text)
        case ev.SearchDone(query=query, found=found):
            return _with(visit, found=found) if query == visit.query else (visit, ())
        case ev.ItemOpened(item=item) if visit.step in OPENS_ITEMS:
            return _open_guide(_set(visit, item=item, guide=guide.start(item)))
        case ev.CardSeen(card=card) if visit.step is Step.CARD:
            seen = _set(visit, card=card, card_problem=False, card_left_behind=True)
            return _set(seen, step=Step.IDENTITY, seconds_left=None), ()
        case ev.CardSeen():
            return _with(visit, card_left_behind=True)  # nobody asked for it, but it lies there
        case ev.CardProblem() if visit.step is Step.CARD:
            return _with(visit, card_problem=True)
        case ev.CardLeftBehind():
            return _with(visit, card_left_behind=True)
        case ev.CardLifted():
            return _with(visit, card_left_behind=False)
        case ev.TicketGiven(ticket=ticket) if visit.taking:
            return _given(visit, ticket, around, words)
        case ev.TicketRefused(code=code) if visit.taking:
            return _with(visit, taking=False, step=Step.REFUSED, refusal=code)
        case ev.JobChanged(job=job) if job.id == visit.job_id:
            return _with(visit, job=job)
        case ev.JobChanged(job=job) if visit.lists and job.id == visit.list_job_id:
            return _with(visit, list_job=job)
        case ev.NobodyTaps(seconds_left=seconds_left):
            return _nobody(visit, seconds_left, around)
    return visit, ()


def resume(visit: Visit, around: Surroundings, words: Words) -> Next:
    """Take up a visit whose service died: what it was doing is done again, all of it idempotent."""
    effects: list[ev.Effect] = []
    if visit.started_ms is not None:
        effects += [ev.HoldMachine(on=True), ev.Tell(VisitStarted(visit=visit.id))]
    if wants_card_watch(visit):
        effects.append(ev.WatchCard(on=True))
    if visit.taking:
        effects.append(_take_ticket(visit))
    if visit.ticket is not None:
        effects.append(_print_ticket(visit, visit.ticket, around, words))
    if visit.lists and _has_list(visit):
        effects.append(_print_list(visit, around, words))
    if visit.step is Step.CLOSED:
        effects += _last_words(visit, _closed_with(visit), around)
    return _set(visit, seconds_left=None), tuple(effects)


def turn(visit: Visit) -> tuple[object, ...]:
    """Differs from the former one when the same button would mean something else.

    The clock, letters, results and notices change the screen and not the turn.
    """
    code = visit.item.catalog_code if visit.item is not None else ""
    return (
        *(visit.step, visit.came_from, code, visit.guide),
        *(visit.page, visit.large_type, visit.taking),
    )


def wants_card_watch(visit: Visit) -> bool:
    """A card is asked for, or one was read and may still lie there."""
    at = visit.came_from if visit.step is Step.STAFF else visit.step
    return at is Step.CARD or visit.card is not None or visit.card_left_behind


def _tapped(visit: Visit, tap: ev.Tapped, around: Surroundings, words: Words) -> Next:
    touched, begun = _touched(visit, around)
    if visit.taking and tap.action in WAYS_OUT:
        return _with(visit, seconds_left=None)
    match tap.action:
        case "large_type":
            return _set(touched, large_type=not visit.large_type, page=0), begun
        case "leave" if visit.seconds_left is not None:
            return _end(touched, _left_with(visit), around)
        case "home" if visit.step is not Step.HOME:
            return _end(touched, _left_with(visit), around)
        case "call_staff":
            came_from = visit.came_from if visit.step is Step.STAFF else visit.step
            called = _set(touched, step=Step.STAFF, came_from=came_from)
            lost = visit.step is Step.FIND and not visit.found
            called, missed = _missed(called) if lost else (called, ())
            return called, (*begun, *missed)
        case "stay":
            handled = None  # clears the countdown, as any touch does
        case "back":
            handled = _back(touched)
        case "choose" if tap.value == PRINT_LIST and touched.step is Step.MORE:
            handled = _ask_for_list(touched, around, words)
        case _:
            handler = _HANDLERS.get(visit.step)
            handled = handler(touched, tap, around) if handler is not None else None
    if handled is None:
        return _with(visit, seconds_left=None)
    visit, effects = handled
    return visit, (*begun, *effects)


def _home(visit: Visit, tap: ev.Tapped, around: Surroundings) -> Next | None:
    if tap.action != "choose" or not around.catalogue_ready:
        return None
    if tap.value == "find":
        return _with(visit, step=Step.FIND)
    if any(found.code == tap.value for found in around.popular):
        return visit, (ev.OpenItem(tap.value),)
    return None


def _find(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    if tap.action == "none_of_these" and visit.query:
        return _missed(_set(visit, step=Step.STAFF, came_from=Step.FIND))
    chosen = next((found for found in visit.found if found.code == tap.value), None)
    if tap.action != "choose" or chosen is None:
        return None
    if chosen.kinds:
        return _with(visit, step=Step.WHICH, matter=chosen, page=0)
    return _set(visit, matter=None), (ev.OpenItem(chosen.code),)


def _missed(visit: Visit) -> Next:
    """A query that ends with a person counts once, however often the person comes back to it."""
    if not visit.query or visit.query in visit.missed:
        return visit, ()
    return _set(visit, missed=(*visit.missed, visit.query)), (ev.CountMiss(visit.query),)


def _which(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    kinds = visit.matter.kinds if visit.matter is not None else ()
    match tap.action:
        case "page" if tap.value.isdecimal() and len(tap.value) <= PAGE_DIGITS:
            return _with(visit, page=min(int(tap.value), kind_pages(visit) - 1))
        case "choose" if any(kind.code == tap.value for kind in kinds):
            return visit, (ev.OpenItem(tap.value),)
    return None


def _question(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    asked = visit.guide.question if visit.guide is not None else None
    if visit.guide is None or asked is None:
        return None
    if asked.multiple and tap.action == "chosen" and visit.chosen:
        return _open_guide(_set(visit, guide=guide.answer(visit.guide, *visit.chosen)))
    if asked.none_label and tap.action == "none_of_them":
        return _open_guide(_set(visit, guide=guide.answer(visit.guide)))
    if tap.action != "choose":
        return None
    if tap.value not in {option.key for option in asked.options}:
        return None
    if asked.multiple:
        ticked = set(visit.chosen) ^ {tap.value}
        in_order = (option.key for option in asked.options)
        return _with(visit, chosen=tuple(key for key in in_order if key in ticked))
    return _open_guide(_set(visit, guide=guide.answer(visit.guide, tap.value)))


def _materials(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    match tap.action:
        case "page" if tap.value.isdecimal() and len(tap.value) <= PAGE_DIGITS:
            return _with(visit, page=min(int(tap.value), material_pages(visit) - 1))
        case "more":
            return _with(visit, step=Step.MORE, page=0)
        case "take_number":
            return _set(visit, step=Step.CARD, card_problem=False), (ev.WatchCard(on=True),)
    return None


def _more(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    answered = visit.guide.answers if visit.guide is not None else ()
    if tap.action == "page" and tap.value.isdecimal() and len(tap.value) <= PAGE_DIGITS:
        return _with(visit, page=min(int(tap.value), answer_pages(visit) - 1))
    if tap.action != "choose" or visit.guide is None:
        return None
    if tap.value not in {given.question for given in answered}:
        return None
    ticked = next(given.options for given in answered if given.question == tap.value)
    asked = _set(visit, guide=guide.change(visit.guide, tap.value), page=0)
    return _with(asked, step=Step.QUESTION, chosen=ticked)


def _ended(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    end = visit.guide.ending if visit.guide is not None else None
    if tap.action == "other_item" and end is not None and end.go_to_item:
        return visit, (ev.OpenItem(end.go_to_item),)
    if tap.action == "ask_staff" and end is not None and end.stop:
        return _with(visit, step=Step.STAFF, came_from=Step.ENDED)
    return None


def _card(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    if tap.action == "without_card":
        forgotten = _forget_card(visit)
        return _set(forgotten, step=Step.CONFIRM), (ev.WatchCard(on=False),)
    return None


def _identity(visit: Visit, tap: ev.Tapped, around: Surroundings) -> Next | None:
    if tap.action != "is_me" or visit.guide is None or visit.card is None:
        return None
    facts = card_facts(visit.card, local_date(around.now_ms))
    return _with(visit, step=Step.CONFIRM, guide=guide.learn(visit.guide, facts))


def _confirm(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    return _take(visit) if tap.action == "take" and not visit.taking else None


def _refused(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next | None:
    return _take(_set(visit, step=Step.CONFIRM, refusal="")) if tap.action == "again" else None


def _ticket(visit: Visit, tap: ev.Tapped, around: Surroundings) -> Next | None:
    return _end(visit, "ticket", around) if tap.action == "done" else None


_HANDLERS: dict[Step, Handler] = {
    Step.HOME: _home,
    Step.FIND: _find,
    Step.WHICH: _which,
    Step.QUESTION: _question,
    Step.ENDED: _ended,
    Step.MATERIALS: _materials,
    Step.MORE: _more,
    Step.CARD: _card,
    Step.IDENTITY: _identity,
    Step.CONFIRM: _confirm,
    Step.REFUSED: _refused,
    Step.TICKET: _ticket,
}


def _back(visit: Visit) -> Next | None:
    match visit.step:
        case Step.FIND:
            return _with(visit, step=Step.HOME, query="", found=())
        case Step.QUESTION | Step.ENDED | Step.MATERIALS if _can_go_back(visit.guide):
            return _open_guide(_set(visit, guide=guide.back(visit.guide)))
        case Step.MORE:
            return _with(visit, step=Step.MATERIALS, page=0)
        case Step.QUESTION | Step.ENDED | Step.MATERIALS:
            return _with(visit, step=_before_item(visit), page=0, item=None, guide=None)
        case Step.WHICH:
            return _with(visit, step=Step.FIND, matter=None)
        case Step.CARD:
            return _set(visit, step=Step.MATERIALS), (ev.WatchCard(on=False),)
        case Step.IDENTITY:
            return _set(_forget_card(visit), step=Step.CARD), (ev.WatchCard(on=True),)
        case Step.CONFIRM if visit.card is not None:
            return _with(visit, step=Step.IDENTITY)
        case Step.CONFIRM:
            return _set(visit, step=Step.CARD), (ev.WatchCard(on=True),)
        case Step.STAFF:
            return _with(visit, step=visit.came_from)
        case Step.REFUSED:
            return _with(visit, step=Step.CONFIRM, refusal="")
    return None


def _before_item(visit: Visit) -> Step:
    if visit.matter is not None:
        return Step.WHICH
    return Step.FIND if visit.query else Step.HOME


def _typed(visit: Visit, text: str) -> Next:
    query = "".join(char for char in text if char.isalnum())[:QUERY_LIMIT].lower()
    if not query:
        return _with(visit, query="", found=())
    return _set(visit, query=query), (ev.Search(query),)


def _open_guide(visit: Visit) -> Next:
    state = visit.guide
    if state is None or not state.is_done:
        where = Step.QUESTION
    else:
        where = Step.MATERIALS if state.ending is None else Step.ENDED
    return _with(visit, step=where, page=0, chosen=())


def _forget_card(visit: Visit) -> Visit:
    state = guide.learn(visit.guide, {}) if visit.guide is not None else None
    return _set(visit, card=None, guide=state)


def card_facts(card: IdentityCard, day: dt.date) -> dict[str, FactValue]:
    """What a card makes known for the list: the person, and that its holder has it."""
    kind = RESIDENT_CARD if card.kind is CardKind.RESIDENT else f"{RESIDENT_CARD}_{card.kind}"
    held = guide.held_facts([] if card.expired_on(day) else [kind.lower()])
    return {**told_by_card(card, day), **held}


def _ask_for_list(visit: Visit, around: Surroundings, words: Words) -> Next | None:
    if visit.lists >= LISTS_LIMIT or not around.works("ticket_printer"):
        return None
    asked = _set(visit, step=Step.MATERIALS, page=0, lists=visit.lists + 1, list_job=None)
    return asked, (_print_list(asked, around, words),)


def _has_list(visit: Visit) -> bool:
    return visit.guide is not None and visit.guide.is_done and visit.guide.ending is None


def _print_list(visit: Visit, around: Surroundings, words: Words) -> ev.Print:
    code = ""
    if visit.item is not None and visit.guide is not None:
        with suppress(ValueError):  # too many answers for a code; the list is as good without
            code = encode(visit.item.catalog_code, visit.guide.as_text)
    page = sheet(personal_list(visit), hall=around.hall_name, code=code, words=words)
    return ev.Print(visit.list_job_id, slip(page, reprint_mark=words("slip.reprint")))


def _take(visit: Visit) -> Next | None:
    if visit.item is None:
        return None
    return _set(visit, taking=True), (_take_ticket(visit),)


def _take_ticket(visit: Visit) -> ev.TakeTicket:
    card = visit.card
    applicant = Applicant(name=card.name, number=card.number, card_kind=card.kind) if card else None
    request = TicketRequest(
        item=visit.item.catalog_code if visit.item is not None else "",
        answers=visit.guide.as_text if visit.guide is not None else {},
        materials=tuple(listed.material.key for listed in personal_list(visit).materials),
        applicant=applicant,
        visit=visit.id,
    )
    # Whoever goes back and asks for something else asks for another number.
    asked = hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:12]
    return ev.TakeTicket(request, f"{visit.idempotency_key}-{asked}")


def _given(visit: Visit, ticket: Ticket, around: Surroundings, words: Words) -> Next:
    given = _set(visit, step=Step.TICKET, ticket=ticket, taking=False)
    printing = _print_ticket(given, ticket, around, words)
    if visit.card_left_behind:
        # Without a card the watch was stopped; the screen must see it lifted.
        return given, (printing, ev.WatchCard(on=True))
    return given, (printing,)


def _print_ticket(visit: Visit, ticket: Ticket, around: Surroundings, words: Words) -> ev.Print:
    personal = personal_list(visit)
    bring = [
        listed.material.plain_name or listed.material.material_name
        for listed in personal.materials
        if not listed.already_held
    ]
    slip = ticket_slip(
        ticket, hall=around.hall_name, item=personal.plain_name, bring=bring, words=words
    )
    return ev.Print(visit.job_id, slip)


def _nobody(visit: Visit, seconds_left: int, around: Surroundings) -> Next:
    if visit.started_ms is None or visit.taking:
        return visit, ()
    if seconds_left <= 0:
        return _end(visit, "ticket" if visit.ticket else "timed_out", around)
    return _set(visit, seconds_left=seconds_left), ()


def _end(visit: Visit, outcome: str, around: Surroundings) -> Next:
    if visit.started_ms is None:
        return visit, ()
    told = _ended_with(visit, outcome, around)
    return _set(visit, over=True), (ev.WatchCard(on=False), ev.Tell(told), ev.EndSession())


def _ended_with(visit: Visit, outcome: str, around: Surroundings) -> VisitEnded:
    begun_ms = around.now_ms if visit.started_ms is None else visit.started_ms
    return VisitEnded.model_validate(
        {
            "visit": visit.id,
            "outcome": outcome,
            "item": visit.item.catalog_code if visit.item else "",
            "age_band": _age_band(visit, around),
            "duration_s": max(0, (around.now_ms - begun_ms) // 1000),
            "taps": visit.taps,
        }
    )


def _close(visit: Visit, around: Surroundings) -> Next:
    """Say what still matters, and forget the rest: a slip that is owed stays the agent's."""
    closed = Visit(
        id=visit.id,
        step=Step.CLOSED,
        started_ms=visit.started_ms,
        taps=visit.taps,
        item=visit.item if visit.ticket is not None else None,
        guide=visit.guide if visit.ticket is not None else None,
        ticket=visit.ticket,
        job=visit.job,
        large_type=visit.large_type,
        card_left_behind=visit.card_left_behind or visit.card is not None,
    )
    return closed, _last_words(visit, _closed_with(visit), around)


def _while_closed(visit: Visit, event: ev.Event) -> Next:
    """Nothing can be done here but read."""
    match event:
        case ev.CardLeftBehind() | ev.CardLifted():
            return _with(visit, card_left_behind=isinstance(event, ev.CardLeftBehind))
        case ev.JobChanged(job=job) if job.id == visit.job_id:
            return _with(visit, job=job)
        case ev.MachineOpens() if visit.ticket is not None:
            # Whoever took it may still be reading: the machine is theirs again until they go.
            return _set(visit, step=Step.TICKET, seconds_left=None), (ev.HoldMachine(on=True),)
        case ev.MachineOpens():
            return _set(visit, over=True), (ev.WatchCard(on=False), ev.EndSession())
        case ev.NobodyTaps(seconds_left=seconds_left) if seconds_left <= 0:
            return _set(visit, over=True), (ev.WatchCard(on=False), ev.EndSession())
    return visit, ()


def _last_words(visit: Visit, outcome: str, around: Surroundings) -> tuple[ev.Effect, ...]:
    return (ev.Tell(_ended_with(visit, outcome, around)), ev.HoldMachine(on=False))


def _closed_with(visit: Visit) -> str:
    return "ticket" if visit.ticket is not None else "closed"


def _can_go_back(state: guide.GuideState | None) -> TypeGuard[guide.GuideState]:
    """An answer of the person can be taken back, or a change left."""
    return state is not None and guide.back(state) != state


def _left_with(visit: Visit) -> str:
    if visit.ticket is not None:
        return "ticket"
    reached_list = visit.guide is not None and visit.guide.is_done
    return "guide" if reached_list else "left"


def _age_band(visit: Visit, around: Surroundings) -> str:
    if visit.card is None:
        return ""
    age = visit.card.age_on(local_date(around.now_ms))
    return "under_18" if age < 18 else "18_59" if age < 60 else "60_plus"


def _touched(visit: Visit, around: Surroundings) -> tuple[Visit, tuple[ev.Effect, ...]]:
    """Somebody is there: count the tap, begin the visit with the first one."""
    touched = _set(visit, taps=visit.taps + 1, seconds_left=None)
    if visit.started_ms is not None:
        return touched, ()
    begun = _set(touched, started_ms=around.now_ms)
    return begun, (ev.HoldMachine(on=True), ev.Tell(VisitStarted(visit=visit.id)))


def personal_list(visit: Visit) -> guide.PersonalList:
    """The list of a visit whose questions are all answered."""
    if visit.item is None or visit.guide is None:
        raise ValueError("no item is open")
    return guide.personal_list(visit.item, visit.guide)


def material_pages(visit: Visit) -> int:
    """How many pages the list takes, at the type's size."""
    return max(1, -(-len(personal_list(visit).materials) // materials_per_page(visit)))


def answer_pages(visit: Visit) -> int:
    """How many pages the answers take."""
    answers = visit.guide.answers if visit.guide is not None else ()
    return max(1, -(-len(answers) // ANSWERS_PER_PAGE))


def kind_pages(visit: Visit) -> int:
    """How many pages the kinds of the matter take."""
    kinds = visit.matter.kinds if visit.matter is not None else ()
    return max(1, -(-len(kinds) // ANSWERS_PER_PAGE))


def materials_per_page(visit: Visit) -> int:
    """So many that a page never scrolls: large type shows fewer things, not tighter ones."""
    return LARGE_MATERIALS_PER_PAGE if visit.large_type else MATERIALS_PER_PAGE


def _set(visit: Visit, **changes: object) -> Visit:
    return visit.model_copy(update=changes)


def _with(visit: Visit, **changes: object) -> Next:
    return _set(visit, **changes), ()
