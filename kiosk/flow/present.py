"""The view of a visit: what stands on the screen now. Pure; the words come from one table."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from hallkit.guide.sheet import costs_and_time
from hallkit.lexicon import faults
from hallkit.lexicon.words import Words
from hallkit.lexicon.words import words as words_of
from hallkit.model.device import Paper
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJobState
from hallkit.runtime.clock import local, local_date
from hallkit.wire.affairs_api import ServiceWait
from kiosk.flow.state import Found, Step, Surroundings, Visit
from kiosk.flow.view import Action, Choice, Chrome, Countdown, Notice, Row, View
from kiosk.flow.visit import (
    ANSWERS_PER_PAGE,
    LISTS_LIMIT,
    PRINT_LIST,
    answer_pages,
    kind_pages,
    material_pages,
    materials_per_page,
    personal_list,
)

STEPS = 4
KEYS = (tuple("qwertyuiop"), tuple("asdfghjkl"), tuple("zxcvbnm"))
RESULTS_SHOWN = 3
WAITS_FRESH_MS = 60_000
_SOON_S = 90.0
_NOTICED = ("ups", "ticket_printer", "id_card_reader")
"""Ports whose faults stand on every screen, the one that matters most first."""


def present(visit: Visit, around: Surroundings, words: Words) -> View:
    """The whole screen."""
    shut = visit.started_ms is None and not around.admits
    build = _closed if shut else _SCREENS[visit.step]
    view = build(visit, around, words)
    countdown = None
    if visit.seconds_left is not None:
        countdown = Countdown(
            text=words("idle.text", seconds=visit.seconds_left),
            seconds_left=visit.seconds_left,
            stay=Action(id="stay", label=words("idle.stay")),
            leave=Action(id="leave", label=words("idle.leave")),
        )
    return view.model_copy(update={"countdown": countdown})


def _chrome(visit: Visit, around: Surroundings, words: Words) -> Chrome:
    type_word = "chrome.normal_type" if visit.large_type else "chrome.large_type"
    help_band = [
        Action(id="large_type", label=words(type_word), icon="text-size"),
        Action(id="call_staff", label=words("chrome.call_staff"), icon="help"),
    ]
    if visit.started_ms is not None and visit.step is not Step.HOME:
        home = Action(id="home", label=words("chrome.home"), icon="home", enabled=not visit.taking)
        help_band.insert(0, home)
    return Chrome(
        hall_name=around.hall_name,
        time_text=f"{local(around.now_ms):%H:%M}",
        waits_text=_waits(around, words),
        machine_notice=_machine_notice(around, words),
        help=tuple(help_band),
        large_type=visit.large_type,
    )


def _waits(around: Surroundings, words: Words) -> str:
    if around.waits_at_ms is None:
        return ""
    waiting = sum(wait.waiting for wait in around.waits)
    age_ms = around.now_ms - around.waits_at_ms
    if age_ms > WAITS_FRESH_MS:
        return words("chrome.waits_old", waiting=waiting, minutes=age_ms // 60_000)
    return words("chrome.waits", waiting=waiting)


def _machine_notice(around: Surroundings, words: Words) -> Notice | None:
    """The one thing that matters most about what this machine can't do."""
    told = {
        port: faults.for_citizens(device)
        for port in _NOTICED
        if (device := around.device(port)) is not None
    }
    power = told.pop("ups", faults.AS_USUAL)
    if (smoke := _smoke(around)) is not None:
        return Notice(tone="fault", text=words(smoke))
    if around.power is PowerPhase.MAINS:
        power = faults.AS_USUAL  # an empty battery that is being charged is a technician's matter
    if power == faults.AS_USUAL and not around.hall_up and around.waits_at_ms is not None:
        key = "machine.hall_down_numbers" if around.numbers else "machine.hall_down"
        return Notice(tone="attention", text=words(key))
    first = next((key for key in (power, *told.values()) if key != faults.AS_USUAL), None)
    return None if first is None else Notice(tone="attention", text=words(first))


def _smoke(around: Surroundings) -> str | None:
    """What is told of smoke in or at this machine: it stands before all else."""
    told = (faults.for_citizens(one) for one in around.devices if one.port == "auxiliaries")
    return next((key for key in told if key != faults.AS_USUAL), None)


def _choice(found: Found, around: Surroundings, words: Words) -> Choice:
    """Marked before the first tap if a system that it needs is down."""
    down = around.down_of(found.upstream)
    return Choice(
        value=found.code,
        title=found.plain_name,
        detail=found.task_name,
        icon="document",
        badge=words("find.system_down") if down else "",
        badge_tone="attention" if down else "plain",
    )


def _systems_notice(visit: Visit, around: Surroundings, words: Words) -> Notice | None:
    """Another authority's system is down: what the person can do all the same."""
    down = around.down_of(visit.item.upstream) if visit.item is not None else ()
    if not down:
        return None
    named = "、".join(one.plain_name for one in down)
    return Notice(tone="attention", text=words("materials.system_down", systems=named))


def _home(visit: Visit, around: Surroundings, words: Words) -> View:
    if not around.catalogue_ready:
        return View(
            screen="message",
            chrome=_chrome(visit, around, words),
            title=words("refused.not_ready_title"),
            why=words("refused.not_ready_text"),
        )
    find = Choice(
        value="find",
        title=words("home.find"),
        detail=words("home.find_detail"),
        icon="search",
    )
    return View(
        screen="home",
        chrome=_chrome(visit, around, words),
        title=words("home.title"),
        why=words("home.why"),
        choices=(find, *(_choice(found, around, words) for found in around.popular[:5])),
    )


def _find(visit: Visit, around: Surroundings, words: Words) -> View:
    shown = visit.found[:RESULTS_SHOWN]
    nothing = bool(visit.query) and not shown
    return View(
        screen="find",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=1, steps=STEPS),
        title=words("find.title"),
        why=words("find.why"),
        query=visit.query,
        placeholder=words("find.placeholder"),
        keys=KEYS,
        key_delete=words("find.delete"),
        key_clear=words("find.clear"),
        choices=tuple(_choice(found, around, words) for found in shown),
        none_of_these=(
            Action(id="none_of_these", label=words("find.person" if nothing else "find.none"))
            if visit.query
            else None
        ),
        notice=(
            Notice(tone="plain", text=words("find.nothing"), detail=words("find.nothing_detail"))
            if nothing
            else None
        ),
        back=_back(visit, words),
    )


def _which(visit: Visit, around: Surroundings, words: Words) -> View:
    matter = visit.matter
    if matter is None:
        raise ValueError("no matter has kinds")
    first = visit.page * ANSWERS_PER_PAGE
    kinds = matter.kinds[first : first + ANSWERS_PER_PAGE]
    return View(
        screen="question",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=1, steps=STEPS),
        title=words("find.which"),
        why=words("find.which_why", matter=matter.plain_name),
        choices=tuple(
            Choice(value=kind.code, title=kind.plain_name, detail=kind.label) for kind in kinds
        ),
        **_pager(visit.page, kind_pages(visit), words),
        back=_back(visit, words),
    )


def _question(visit: Visit, around: Surroundings, words: Words) -> View:
    asked = visit.guide.question if visit.guide is not None else None
    if asked is None:
        raise ValueError("nothing is asked")
    view = View(
        screen="question",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=2, steps=STEPS),
        title=asked.text,
        why=words("question.why", why=asked.why),
        choices=tuple(
            Choice(
                value=option.key,
                title=option.label,
                detail=option.explain,
                toggles=asked.multiple,
                picked=asked.multiple and option.key in visit.chosen,
            )
            for option in asked.options
        ),
        back=_back(visit, words),
    )
    if not asked.multiple:
        return view
    chosen = Action(
        id="chosen",
        label=words("question.chosen", count=len(visit.chosen))
        if visit.chosen
        else words("question.choose"),
        icon="check",
        enabled=bool(visit.chosen),
    )
    none = Action(id="none_of_them", label=asked.none_label) if asked.none_label else None
    return view.model_copy(update={"primary": chosen, "secondary": none})


def _ended(visit: Visit, around: Surroundings, words: Words) -> View:
    end = visit.guide.ending if visit.guide is not None else None
    if end is None:
        raise ValueError("no answer ended the questions")
    if end.go_to_item:
        title, why = words("ended.other_title"), words("ended.other_text", answer=end.label)
        primary = Action(id="other_item", label=words("ended.other_item"), icon="forward")
    else:
        title, why = words("ended.stop_title"), end.stop
        primary = Action(id="ask_staff", label=words("ended.staff"), icon="help")
    return View(
        screen="message",
        chrome=_chrome(visit, around, words),
        title=title,
        why=why,
        primary=primary,
        back=_back(visit, words),
    )


def _more(visit: Visit, around: Surroundings, words: Words) -> View:
    prints = around.works("ticket_printer") and visit.lists < LISTS_LIMIT
    paper = Choice(
        value=PRINT_LIST,
        title=words("more.print"),
        detail=words("more.print_detail" if prints else "more.print_not"),
        icon="printer",
        enabled=prints,
    )
    told = visit.guide.told if visit.guide is not None else ()
    first = visit.page * ANSWERS_PER_PAGE
    return View(
        screen="question",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=3, steps=STEPS),
        title=words("more.title"),
        why=words("more.why"),
        choices=(
            paper,
            *(
                Choice(
                    value=one.question,
                    title=one.text,
                    detail=words("more.answer", answer=one.label),
                    icon="edit",
                    badge=words("more.known") if one.known else "",
                )
                for one in told[first : first + ANSWERS_PER_PAGE]
            ),
        ),
        **_pager(visit.page, answer_pages(visit), words),
        back=_back(visit, words),
    )


def _pager(page: int, pages: int, words: Words) -> dict[str, Any]:
    """The fields of a view whose list pages."""
    return {
        "page": page,
        "pages": pages,
        "pager_text": words("chrome.pager", page=page + 1, pages=pages),
        "previous": Action(
            id="page",
            value=str(max(0, page - 1)),
            label=words("chrome.previous"),
            enabled=page > 0,
        ),
        "next": Action(
            id="page",
            value=str(page + 1),
            label=words("chrome.next"),
            enabled=page + 1 < pages,
        ),
    }


def _list_notice(visit: Visit, words: Words) -> Notice | None:
    """What became of the list that was sent to the printer."""
    if not visit.lists:
        return None
    state = visit.list_job.state if visit.list_job is not None else PrintJobState.QUEUED
    if state is PrintJobState.COMPLETED:
        return Notice(tone="done", text=words("more.printed"))
    if state in (PrintJobState.CANCELLED, PrintJobState.WAITING):
        return Notice(tone="attention", text=words("more.unprinted"))
    return Notice(tone="plain", text=words("more.printing"))


def _materials(visit: Visit, around: Surroundings, words: Words) -> View:
    personal = personal_list(visit)
    pages = material_pages(visit)
    size = materials_per_page(visit)
    first = visit.page * size
    rows = []
    for listed in personal.materials[first : first + size]:
        material = listed.material
        mark = words(f"materials.{material.material_type}")
        if listed.already_held:
            mark = words("materials.already_held")
        elif listed.may_follow or not material.is_need:
            mark = words("materials.later")
        elif listed.pledge:
            mark = words("materials.pledge")
        official = material.material_name if material.plain_name else ""
        detail = "。".join(part.rstrip("。") for part in (official, material.fill_explain) if part)
        rows.append(
            Row(
                label=material.plain_name or material.material_name,
                detail=detail,
                mark=mark,
                tone="done" if listed.already_held else "plain",
            )
        )
    return View(
        screen="materials",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=3, steps=STEPS),
        title=words("materials.title"),
        why=words(
            "materials.why",
            item=personal.plain_name,
            costs_and_time=costs_and_time(personal, words),
        ),
        rows=tuple(rows),
        **_pager(visit.page, pages, words),
        notice=_list_notice(visit, words) or _systems_notice(visit, around, words),
        primary=Action(id="take_number", label=words("materials.take_number"), icon="ticket"),
        secondary=Action(id="more", label=words("materials.more")),
        back=_back(visit, words),
    )


def _card(visit: Visit, around: Surroundings, words: Words) -> View:
    if not around.works("id_card_reader"):
        notice = Notice(tone="attention", text=words("card.reader_down"))
    elif visit.card_problem:
        notice = Notice(tone="attention", text=words("card.unreadable"))
    elif visit.card_left_behind:
        notice = Notice(tone="attention", text=words("card.lift"))
    else:
        notice = None
    return View(
        screen="card",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=4, steps=STEPS),
        title=words("card.title"),
        why=words("card.why"),
        progress_text=words("card.waiting") if notice is None else "",
        notice=notice,
        secondary=Action(id="without_card", label=words("card.without")),
        back=_back(visit, words),
    )


def _identity(visit: Visit, around: Surroundings, words: Words) -> View:
    if visit.card is None:
        raise ValueError("no card was read")
    masked = visit.card.masked()
    expired = visit.card.expired_on(local_date(around.now_ms))
    return View(
        screen="identity",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=4, steps=STEPS),
        title=words("identity.title"),
        why=words("identity.why"),
        rows=(
            Row(label=words("identity.person"), value=masked.name),
            Row(label=words("identity.number"), value=masked.number),
        ),
        notice=Notice(tone="attention", text=words("identity.expired")) if expired else None,
        primary=Action(id="is_me", label=words("identity.yes"), icon="check"),
        back=_back(visit, words),
    )


def _ahead(wait: ServiceWait | None, words: Words) -> str:
    """How many, and how long that takes; in steps of five minutes, and never too short."""
    if wait is None:
        return words("confirm.ahead_unknown")
    if wait.stale or wait.expected_wait_s is None:
        return words("confirm.ahead_value", waiting=wait.waiting)
    if wait.expected_wait_s < _SOON_S:
        return words("confirm.ahead_soon", waiting=wait.waiting)
    minutes = 5 * ceil(wait.expected_wait_s / 300)
    return words("confirm.ahead_wait", waiting=wait.waiting, minutes=minutes)


def _confirm(visit: Visit, around: Surroundings, words: Words) -> View:
    personal = personal_list(visit)
    ahead = _ahead(around.wait_of(personal.service), words)
    masked = visit.card.masked() if visit.card is not None else None
    person = f"{masked.name} {masked.number}" if masked else words("confirm.person_without")
    return View(
        screen="confirm",
        chrome=_chrome(visit, around, words),
        step_text=words("chrome.step", step=4, steps=STEPS),
        title=words("confirm.title"),
        why=words("confirm.why"),
        rows=(
            Row(label=words("confirm.item"), value=personal.plain_name),
            Row(label=words("confirm.window"), value=personal.window),
            Row(label=words("confirm.ahead"), value=ahead),
            Row(label=words("confirm.person"), value=person),
        ),
        notice=_printer_notice(around, words),
        primary=Action(
            id="take",
            label=words("confirm.taking") if visit.taking else words("confirm.take"),
            icon="ticket",
            enabled=not visit.taking,
        ),
        back=_back(visit, words),
    )


def _printer_notice(around: Surroundings, words: Words) -> Notice | None:
    """Told before confirming: what will become of the slip."""
    printer = around.device("ticket_printer")
    if printer is not None and printer.works:
        if printer.paper is Paper.LOW:
            return Notice(tone="plain", text=words("confirm.paper_low"))
        return None
    out = printer is not None and printer.paper is Paper.OUT
    return Notice(
        tone="attention",
        text=words("confirm.printer_out" if out else "confirm.printer_down"),
        detail=words("confirm.printer_out_detail"),
    )


def _ticket(visit: Visit, around: Surroundings, words: Words) -> View:
    ticket = visit.ticket
    if ticket is None or visit.item is None:
        raise ValueError("no ticket was given")
    notices = [_print_notice(visit, around, words)]
    if visit.card_left_behind:
        notices.insert(0, Notice(tone="attention", text=words("ticket.card_left")))
    return View(
        screen="ticket",
        chrome=_chrome(visit, around, words),
        title=words("ticket.title"),
        why=words("ticket.why", windows=ticket.windows),
        big_text=ticket.number,
        rows=(
            Row(label=words("ticket.item"), value=visit.item.plain_name),
            Row(label=words("ticket.window"), value=ticket.windows),
            Row(
                label=words("ticket.ahead"),
                value=words("confirm.ahead_value", waiting=ticket.waiting_ahead)
                if ticket.waiting_ahead is not None
                else words("ticket.ahead_unknown"),
            ),
        ),
        notice=Notice(
            tone=notices[0].tone,
            text=notices[0].text,
            detail=notices[0].detail if len(notices) == 1 else notices[1].text,
        ),
        primary=Action(id="done", label=words("ticket.done"), icon="check"),
    )


def _print_notice(visit: Visit, around: Surroundings, words: Words) -> Notice:
    job = visit.job
    if job is not None and job.state is PrintJobState.COMPLETED:
        again = job.copies_marked > 0
        return Notice(
            tone="done", text=words("ticket.printed_again" if again else "ticket.printed")
        )
    if job is not None and job.state is PrintJobState.CANCELLED:
        return Notice(tone="attention", text=words("ticket.unprinted"))
    printer = around.device("ticket_printer")
    stopped = printer is None or not printer.works
    if stopped or (job is not None and job.state is PrintJobState.WAITING):
        out = printer is not None and printer.paper is Paper.OUT
        return Notice(
            tone="attention",
            text=words("ticket.waiting_paper" if out else "ticket.waiting_other"),
            detail=words("ticket.waiting_detail"),
        )
    return Notice(tone="plain", text=words("ticket.printing"))


def _refused(visit: Visit, around: Surroundings, words: Words) -> View:
    which = "hall_down" if visit.refusal == "link.down" else "other"
    return View(
        screen="message",
        chrome=_chrome(visit, around, words),
        title=words(f"refused.{which}_title"),
        why=words(f"refused.{which}_text"),
        notice=None,
        primary=Action(id="again", label=words("refused.again"), icon="retry"),
        back=_back(visit, words),
    )


def _staff(visit: Visit, around: Surroundings, words: Words) -> View:
    return View(
        screen="message",
        chrome=_chrome(visit, around, words),
        title=words("chrome.staff_called_title"),
        why=words("chrome.staff_called_text"),
        back=_back(visit, words),
    )


def _closed(visit: Visit, around: Surroundings, words: Words) -> View:
    """This machine serves nobody for now: why, and where else to go.

    Nothing here can be tapped, no other language chosen: so it says everything in both.
    """
    in_maintenance = around.maintenance is not MaintenancePhase.INACTIVE and around.power.admits
    why = "maintenance" if in_maintenance else "off" if around.power.ends else "power"
    ticket = visit.ticket
    text = f"closed.{why}_text" if ticket is None else _number_text(visit)
    card_lies_there = visit.card_left_behind
    later = "closed.maintenance_later" if in_maintenance else "closed.power_later"
    notice = "closed.card_left" if card_lies_there else later
    english = words_of("en")
    # What is broken changes nothing here; smoke is a reason to leave.
    smoke = _smoke(around)
    view = View(
        screen="message",
        chrome=_chrome(visit, around, words).model_copy(
            update={
                "machine_notice": smoke
                and Notice(tone="fault", text=words(smoke), detail=english(smoke)),
                "help": (),
            }
        ),
        title=words(f"closed.{why}_title"),
        why=words(text),
        notice=Notice(
            tone="attention" if card_lies_there else "plain",
            text=words(notice),
            detail=" ".join(english(key) for key in (f"closed.{why}_title", text, notice)),
        ),
    )
    if ticket is None:
        return view
    return view.model_copy(
        update={
            "screen": "ticket",
            "big_text": ticket.number,
            "rows": (Row(label=words("ticket.window"), value=ticket.windows),),
        }
    )


def _number_text(visit: Visit) -> str:
    """What the last screen says of the slip."""
    match visit.job.state if visit.job is not None else None:
        case PrintJobState.COMPLETED:
            return "closed.number_printed"
        case PrintJobState.PRINTING:
            return "closed.number_printing"
    return "closed.number"


def _back(visit: Visit, words: Words) -> Action:
    """Closed, as every way out, while a number is on its way (`kiosk.flow.visit.WAYS_OUT`)."""
    return Action(id="back", label=words("chrome.back"), icon="back", enabled=not visit.taking)


_SCREENS: dict[Step, Callable[[Visit, Surroundings, Words], View]] = {
    Step.HOME: _home,
    Step.FIND: _find,
    Step.WHICH: _which,
    Step.QUESTION: _question,
    Step.ENDED: _ended,
    Step.MORE: _more,
    Step.MATERIALS: _materials,
    Step.CARD: _card,
    Step.IDENTITY: _identity,
    Step.CONFIRM: _confirm,
    Step.TICKET: _ticket,
    Step.REFUSED: _refused,
    Step.STAFF: _staff,
    Step.CLOSED: _closed,
}
