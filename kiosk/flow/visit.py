"""A visit, step by step: `step(visit, event, around) → (visit, effects)`. Pure.

    home ─▶ find ─▶ question… ─▶ materials ─▶ card ─▶ identity ─▶ confirm ─▶ ticket ─▶ over
                                                └──────────────────▶┘ (no card: an equal way)

A tap that does not fit the step is ignored: the screen was a moment behind. Adding a step:
docs/how-to/add-a-screen.md.
"""

from __future__ import annotations

from collections.abc import Callable

from hallkit.guide import questions as guide
from hallkit.lexicon.words import Words
from hallkit.model.ticket import Ticket
from hallkit.runtime.clock import local_date
from hallkit.wire.affairs_api import Applicant, TicketRequest
from hallkit.wire.events import VisitEnded, VisitStarted
from kiosk.flow import events as ev
from kiosk.flow.slip import ticket_slip
from kiosk.flow.state import Step, Surroundings, Visit

Next = tuple[Visit, tuple[ev.Effect, ...]]

QUERY_LIMIT = 24
MATERIALS_PER_PAGE = 6
RESIDENT_CARD = "resident_card"


def step(visit: Visit, event: ev.Event, around: Surroundings, words: Words) -> Next:
    """What follows from an event. Never raises for anything a person can do."""
    if visit.over:
        return visit, ()
    match event:
        case ev.Tapped():
            return _tapped(visit, event, around)
        case ev.Typed(text=text):
            return _typed(_touched(visit, around)[0], text)
        case ev.SearchDone(query=query, found=found):
            return _with(visit, found=found) if query == visit.query else (visit, ())
        case ev.ItemOpened(item=item):
            return _open_guide(_set(visit, item=item, guide=guide.start(item)))
        case ev.CardSeen(card=card) if visit.step is Step.CARD:
            seen = _set(visit, card=card, card_problem=False, card_left_behind=True)
            return _set(seen, step=Step.IDENTITY), ()
        case ev.CardProblem() if visit.step is Step.CARD:
            return _with(visit, card_problem=True)
        case ev.CardLeftBehind():
            return _with(visit, card_left_behind=True)
        case ev.CardLifted():
            return _with(visit, card_left_behind=False)
        case ev.TicketGiven(ticket=ticket):
            return _given(visit, ticket, around, words)
        case ev.TicketRefused(code=code):
            return _with(visit, taking=False, step=Step.REFUSED, refusal=code)
        case ev.JobChanged(job=job) if job.id == visit.job_id:
            return _with(visit, job=job)
        case ev.NobodyTaps(seconds_left=seconds_left):
            return _nobody(visit, seconds_left, around)
    return visit, ()


def _tapped(visit: Visit, tap: ev.Tapped, around: Surroundings) -> Next:
    visit, begun = _touched(visit, around)
    match tap.action:
        case "large_type":
            return _set(visit, large_type=not visit.large_type), begun
        case "stay":
            return visit, begun
        case "leave":
            return _end(visit, "timed_out", around)
        case "home":
            return _end(visit, _left_with(visit), around)
        case "call_staff":
            came_from = visit.came_from if visit.step is Step.STAFF else visit.step
            return _set(visit, step=Step.STAFF, came_from=came_from), begun
        case "back":
            return _back(visit, begun)
    handler = _HANDLERS.get(visit.step)
    if handler is None:
        return visit, begun
    visit, effects = handler(visit, tap, around)
    return visit, (*begun, *effects)


def _home(visit: Visit, tap: ev.Tapped, around: Surroundings) -> Next:
    if not around.catalogue_ready:
        return visit, ()
    if tap.action == "choose" and tap.value == "find":
        return _set(visit, step=Step.FIND), ()
    if tap.action == "choose":
        return visit, (ev.OpenItem(tap.value),)
    return visit, ()


def _find(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    if tap.action == "choose" and any(found.code == tap.value for found in visit.found):
        return visit, (ev.OpenItem(tap.value),)
    if tap.action == "none_of_these":
        return _set(visit, step=Step.STAFF, came_from=Step.FIND), ()
    return visit, ()


def _question(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    asked = visit.guide.question if visit.guide is not None else None
    if visit.guide is None or asked is None or tap.action != "choose":
        return visit, ()
    if tap.value not in {option.key for option in asked.options}:
        return visit, ()
    return _open_guide(_set(visit, guide=guide.answer(visit.guide, tap.value)))


def _materials(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    match tap.action:
        case "page" if tap.value.isdecimal():
            return _set(visit, page=min(int(tap.value), material_pages(visit) - 1)), ()
        case "take_number":
            return _set(visit, step=Step.CARD, card_problem=False), (ev.WatchCard(on=True),)
    return visit, ()


def _card(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    if tap.action == "without_card":
        return _set(visit, step=Step.CONFIRM, card=None), (ev.WatchCard(on=False),)
    return visit, ()


def _identity(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    if tap.action == "is_me":
        return _set(visit, step=Step.CONFIRM), ()
    return visit, ()


def _confirm(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    if tap.action == "take" and not visit.taking and visit.item is not None:
        return _take(visit)
    return visit, ()


def _refused(visit: Visit, tap: ev.Tapped, _around: Surroundings) -> Next:
    if tap.action == "again" and visit.item is not None:
        return _take(_set(visit, step=Step.CONFIRM, refusal=""))
    return visit, ()


def _ticket(visit: Visit, tap: ev.Tapped, around: Surroundings) -> Next:
    if tap.action == "done":
        return _end(visit, "ticket", around)
    return visit, ()


_HANDLERS: dict[Step, Callable[[Visit, ev.Tapped, Surroundings], Next]] = {
    Step.HOME: _home,
    Step.FIND: _find,
    Step.QUESTION: _question,
    Step.MATERIALS: _materials,
    Step.CARD: _card,
    Step.IDENTITY: _identity,
    Step.CONFIRM: _confirm,
    Step.REFUSED: _refused,
    Step.TICKET: _ticket,
}


def _back(visit: Visit, begun: tuple[ev.Effect, ...]) -> Next:
    match visit.step:
        case Step.FIND:
            return _set(visit, step=Step.HOME, query="", found=()), begun
        case Step.QUESTION | Step.MATERIALS if visit.guide is not None and visit.guide.answers:
            return _open_guide(_set(visit, guide=guide.back(visit.guide)))
        case Step.QUESTION | Step.MATERIALS:
            before = Step.FIND if visit.query else Step.HOME
            return _set(visit, step=before, item=None, guide=None), begun
        case Step.CARD:
            return _set(visit, step=Step.MATERIALS), (*begun, ev.WatchCard(on=False))
        case Step.IDENTITY:
            return _set(visit, step=Step.CARD, card=None), (*begun, ev.WatchCard(on=True))
        case Step.CONFIRM if not visit.taking:
            watch = () if visit.card is not None else (ev.WatchCard(on=True),)
            before = Step.IDENTITY if visit.card is not None else Step.CARD
            return _set(visit, step=before), (*begun, *watch)
        case Step.STAFF:
            return _set(visit, step=visit.came_from), begun
        case Step.REFUSED:
            return _set(visit, step=Step.CONFIRM, refusal=""), begun
    return visit, begun


def _typed(visit: Visit, text: str) -> Next:
    if visit.step is not Step.FIND:
        return visit, ()
    query = "".join(char for char in text if char.isalnum())[:QUERY_LIMIT].lower()
    if not query:
        return _set(visit, query="", found=()), ()
    return _set(visit, query=query), (ev.Search(query),)


def _open_guide(visit: Visit) -> Next:
    done = visit.guide is not None and visit.guide.is_done
    return _set(visit, step=Step.MATERIALS if done else Step.QUESTION, page=0), ()


def _take(visit: Visit) -> Next:
    if visit.item is None:
        return visit, ()
    card = visit.card
    applicant = Applicant(name=card.name, number=card.number, card_kind=card.kind) if card else None
    answers = visit.guide.answers if visit.guide is not None else ()
    request = TicketRequest(
        item=visit.item.catalog_code,
        answers={given.question: given.option for given in answers},
        materials=tuple(listed.material.key for listed in personal_list(visit).materials),
        applicant=applicant,
        visit=visit.id,
    )
    return _set(visit, taking=True), (ev.TakeTicket(request, visit.idempotency_key),)


def _given(visit: Visit, ticket: Ticket, around: Surroundings, words: Words) -> Next:
    if visit.ticket is not None or visit.item is None:
        return visit, ()
    bring = [
        listed.material.plain_name or listed.material.material_name
        for listed in personal_list(visit).materials
        if not listed.already_held
    ]
    slip = ticket_slip(
        ticket, hall=around.hall_name, item=visit.item.plain_name, bring=bring, words=words
    )
    given = _set(visit, step=Step.TICKET, ticket=ticket, taking=False)
    return given, (ev.Print(visit.job_id, slip),)


def _nobody(visit: Visit, seconds_left: int, around: Surroundings) -> Next:
    if visit.started_ms is None:
        return visit, ()
    if seconds_left <= 0:
        return _end(visit, "ticket" if visit.ticket else "timed_out", around)
    return _set(visit, seconds_left=seconds_left), ()


def _end(visit: Visit, outcome: str, around: Surroundings) -> Next:
    if visit.started_ms is None:
        return visit, ()
    told = VisitEnded.model_validate(
        {
            "visit": visit.id,
            "outcome": outcome,
            "item": visit.item.catalog_code if visit.item else "",
            "age_band": _age_band(visit, around),
            "duration_s": max(0, (around.now_ms - visit.started_ms) // 1000),
            "taps": visit.taps,
        }
    )
    return _set(visit, over=True), (ev.WatchCard(on=False), ev.Tell(told), ev.EndSession())


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
    return begun, (ev.Tell(VisitStarted(visit=visit.id)),)


def personal_list(visit: Visit) -> guide.PersonalList:
    """The list of a visit whose questions are all answered."""
    if visit.item is None or visit.guide is None:
        raise ValueError("no item is open")
    held = frozenset({RESIDENT_CARD}) if visit.card is not None else frozenset[str]()
    return guide.personal_list(visit.item, visit.guide, held)


def material_pages(visit: Visit) -> int:
    return max(1, -(-len(personal_list(visit).materials) // MATERIALS_PER_PAGE))


def _set(visit: Visit, **changes: object) -> Visit:
    return visit.model_copy(update=changes)


def _with(visit: Visit, **changes: object) -> Next:
    return _set(visit, **changes), ()
