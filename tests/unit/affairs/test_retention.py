"""What is old goes, and is not left in the file; a number is never given twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from affairs.cases.office import Office
from affairs.cases.tables import case_steps, cases, consents, holdings
from affairs.help import retention as help_retention
from affairs.help.calling import HelpCalls
from affairs.help.desk import HelpDesk
from affairs.help.rules import HelpRules
from affairs.help.tables import help_calls as help_table
from affairs.licences.printing import PERMIT_MS, Prints
from affairs.licences.register import Register
from affairs.licences.tables import licences
from affairs.problems import Refused
from affairs.queue.blocks import Blocks
from affairs.queue.booking import Booking
from affairs.queue.calling import Windows
from affairs.queue.issuing import Queue
from affairs.ratings import retention as ratings_retention
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.giving import Rater, Ratings
from affairs.ratings.rules import RatingRules
from affairs.ratings.tables import call_backs as call_backs_table
from affairs.ratings.tables import ratings as ratings_table
from affairs.retention import Retention, steps
from affairs.store import (
    Store,
    appointments,
    calls,
    counters,
    reserved,
    slots,
    tickets,
    writes,
)
from hallkit.model.help import HelpOutcome, HelpReason
from hallkit.model.ids import new_id
from hallkit.model.rating import CallBackResult, RatedKind, RatingChannel, RatingLevel
from hallkit.store.retention import BATCH_ROWS, Janitor, Step
from hallkit.wire.affairs_api import (
    Applicant,
    AppointmentRequest,
    LeaseRequest,
    TicketRequest,
    WindowOrder,
)
from hallkit.wire.cases_api import CaseContent, CaseDraft, SeenMaterial
from hallkit.wire.help_api import HelpRequest, SessionSoFar
from hallkit.wire.ratings_api import RatedSubject, RatingRequest
from tests.fakes.matters import PROMISED
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, SettableClock
from tests.unit.affairs.licences_kit import OTHER as OTHER_HOLDER
from tests.unit.affairs.licences_kit import issued, wanted
from tests.unit.affairs.licences_kit import rows as kept_rows

REQUEST = TicketRequest.model_validate({"item": ITEM, "applicant": APPLICANT})


@pytest.fixture
def janitor(store: Store, clock: SettableClock) -> Janitor:
    return Janitor(store, clock, all_steps())


def all_steps() -> dict[str, Step]:
    """As `affairs.app` puts them together."""
    kept_days = Retention().tickets_days
    return {
        **steps(Retention()),
        **ratings_retention.steps(RatingRules(), kept_days=kept_days),
        **help_retention.steps(HelpRules(), kept_days=kept_days),
    }


OTHER = REQUEST.model_copy(
    update={
        "applicant": Applicant(name="诸葛什邡", number="110105194912310038", card_kind="resident")
    }
)


async def issue(queue: Queue, count: int, request: TicketRequest = REQUEST) -> None:
    for number in range(count):
        key = f"{request is REQUEST}-{number}"
        await queue.issue(request, device=DEVICE, key=key)


async def personal(store: Store) -> list[bytes]:
    """What is sealed, and what finds it, as the files would hold it."""

    def read(connection: sa.Connection) -> list[bytes]:
        rows = connection.execute(sa.select(tickets.c.request, tickets.c.applicant_mac)).all()
        return [
            content
            for row in rows
            if row.request
            for content in (row.request, row.applicant_mac.encode())
        ]

    return await store.transaction(read)


async def rows(store: Store, table: sa.Table) -> int:
    def count(connection: sa.Connection) -> int:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

    return await store.transaction(count)


async def swept(janitor: Janitor) -> dict[str, int]:
    """What went, by step."""
    return {step: gone for step, gone in (await janitor.sweep()).items() if gone}


def files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("affairs.sqlite*")))


async def test_personal_fields_go_and_no_byte_of_them_is_left_in_the_files(
    queue: Queue, store: Store, janitor: Janitor, clock: SettableClock, tmp_path: Path
) -> None:
    await issue(queue, BATCH_ROWS + 40)
    old = await personal(store)
    clock.now += dt.timedelta(days=3)
    await issue(queue, 5, OTHER)
    late = [one for one in await personal(store) if one not in old]
    content = files(tmp_path)
    assert all(one in content for one in old)
    assert (await janitor.sweep())["personal"] == 0
    clock.now += dt.timedelta(days=1)
    assert await swept(janitor) == {"personal": BATCH_ROWS + 40}
    content = files(tmp_path)
    assert not [one for one in old if one[-16:] in content or one[:24] in content]
    assert all(one in content for one in late)
    assert await personal(store) == late
    assert await rows(store, tickets) == BATCH_ROWS + 45


async def test_appointments_calls_and_unused_numbers_go_too(  # noqa: PLR0917  # fixtures
    booking: Booking,
    blocks: Blocks,
    windows: Windows,
    queue: Queue,
    store: Store,
    janitor: Janitor,
    clock: SettableClock,
) -> None:
    clock.now = dt.datetime(2025, 1, 2, 0, 30, tzinfo=dt.UTC)
    slot_ms = clock.wall_ms() + 30 * 60_000
    booked = AppointmentRequest(start_ms=slot_ms, ticket=REQUEST)
    await booking.book(booked, device=DEVICE, key="appointment")
    await blocks.lease(LeaseRequest(services=("market",)), device=DEVICE, key="lease-of-5")
    await issue(queue, 1)
    await windows.do(12, WindowOrder(do="open"), device="window-12", key="open-window")
    await windows.do(12, WindowOrder(do="next"), device="window-12", key="next-please")
    assert await swept(janitor) == {}
    clock.now += dt.timedelta(days=8)
    gone = await swept(janitor)
    assert gone == {"personal": 1, "appointments": 1, "slots": 1, "reserved": 5}
    clock.now += dt.timedelta(days=400)
    gone = await swept(janitor)
    assert (gone["old appointments"], gone["calls"], gone["tickets"]) == (1, 1, 1)
    assert [await rows(store, one) for one in (appointments, calls, slots, reserved)] == [0] * 4


def thought(level: RatingLevel, clock: SettableClock) -> RatingRequest:
    return RatingRequest(
        subject=RatedSubject(kind=RatedKind.VISIT, id=new_id()),
        level=level,
        words="说了几句",
        channel=RatingChannel.TERMINAL,
        rated_at_ms=clock.wall_ms(),
    )


async def test_words_of_a_rating_stay_until_somebody_has_called_back(
    ratings: Ratings,
    call_backs: CallBacks,
    store: Store,
    janitor: Janitor,
    clock: SettableClock,
) -> None:
    async def gives(level: RatingLevel) -> str:
        given = await ratings.give(thought(level, clock), rater=Rater(DEVICE), key=new_id())
        return given.rating

    await gives(RatingLevel.SATISFIED)
    name = await gives(RatingLevel.DISSATISFIED)
    clock.now += dt.timedelta(days=31)
    assert await swept(janitor) == {"words of ratings": 1, "keys": 2}
    await call_backs.take(name, by="wang", key="take-it")
    assert (await call_backs.read(name, by="wang")).said.words == "说了几句"
    solved = CallBackResult.SOLVED
    await call_backs.done(name, by="wang", key="done-it", result=solved, words="谈过了")
    assert await swept(janitor) == {}
    clock.now += dt.timedelta(days=31)
    assert await swept(janitor) == {"words of ratings": 1, "reports": 1, "keys": 2}
    file = await call_backs.read(name, by="wang")
    assert (file.said.words, file.report) == ("", "")
    clock.now += dt.timedelta(days=400)
    assert await swept(janitor) == {"ratings": 2}
    assert [await rows(store, one) for one in (ratings_table, call_backs_table)] == [0, 0]


async def test_what_was_handed_over_goes_a_day_after_the_call(  # noqa: PLR0917  # fixtures
    help_calls: HelpCalls,
    help_desk: HelpDesk,
    store: Store,
    janitor: Janitor,
    clock: SettableClock,
    tmp_path: Path,
) -> None:
    session = SessionSoFar(applicant=Applicant.model_validate(APPLICANT))
    asked = HelpRequest(reason=HelpReason.ASKED, session=session)
    call = (await help_calls.call(asked, device=DEVICE, key="press-it")).call
    await help_desk.acknowledge(call, by="wang", shown="王", key="mine-it")
    clock.now += dt.timedelta(days=2)
    assert await swept(janitor) == {}
    assert await help_desk.session(call, by="wang") == session
    await help_desk.done(call, by="wang", outcome=HelpOutcome.SOLVED, key="done-it")

    def sealed(connection: sa.Connection) -> bytes:
        content: bytes = connection.execute(sa.select(help_table.c.session)).scalar_one()
        return content

    content = await store.transaction(sealed)
    assert content in files(tmp_path)
    clock.now += dt.timedelta(days=1, seconds=1)
    assert await swept(janitor) == {"help sessions": 1}
    assert content[-16:] not in files(tmp_path)
    clock.now += dt.timedelta(days=400)
    assert (await swept(janitor))["help calls"] == 1
    assert await rows(store, help_table) == 0


async def test_a_ticket_outlives_what_was_personal_in_it(
    queue: Queue, janitor: Janitor, clock: SettableClock
) -> None:
    issued = await queue.issue(REQUEST, device=DEVICE, key="k")
    clock.now += dt.timedelta(days=10)
    await janitor.sweep()
    assert (await queue.ticket(issued.ticket.id)).number == issued.ticket.number
    again = await queue.issue(REQUEST, device=DEVICE, key="k")
    assert (again.again, again.ticket) == (True, issued.ticket)


async def test_keys_and_tickets_go_and_counters_stay(
    queue: Queue, store: Store, janitor: Janitor, clock: SettableClock, tmp_path: Path
) -> None:
    await issue(queue, 3)
    began = clock.now
    clock.now += dt.timedelta(days=31)
    assert await swept(janitor) == {"personal": 3, "keys": 3}
    clock.now += dt.timedelta(days=370)
    assert await swept(janitor) == {"tickets": 3}
    assert [await rows(store, one) for one in (tickets, writes, counters)] == [0, 0, 1]
    # Even if the clock goes back to a day of which no ticket is left.
    clock.now = began
    issued = await queue.issue(REQUEST, device=DEVICE, key="new")
    assert issued.ticket.number.endswith("004")


async def test_others_have_their_turn_between_two_batches(
    queue: Queue, store: Store, clock: SettableClock
) -> None:
    await issue(queue, BATCH_ROWS * 2 + 1)
    clock.now += dt.timedelta(days=500)
    sizes: list[int] = []

    def watched(step: Any) -> Any:
        def batch(connection: sa.Connection, now_ms: int, after: Any) -> Any:
            done = step(connection, now_ms, after)
            sizes.append(done.gone)
            return done

        return batch

    every = {name: watched(step) for name, step in steps(Retention()).items()}
    began = clock.now
    await Janitor(store, clock, every).sweep()
    assert [size for size in sizes if size] == 3 * [BATCH_ROWS, BATCH_ROWS, 1]
    assert clock.now > began  # it paused


async def test_old_rows_are_found_by_an_index(store: Store, clock: SettableClock) -> None:
    """Not by reading all the others: that would hold the database for longer every day."""
    statements: list[str] = []

    def plans(connection: sa.Connection) -> list[str]:
        def note(_c: Any, _k: Any, statement: str, values: Any, *_rest: Any) -> None:
            statements.append((statement, values))  # type: ignore[arg-type]

        sa.event.listen(connection, "before_cursor_execute", note)
        for step in all_steps().values():
            step(connection, clock.wall_ms(), None)
        sa.event.remove(connection, "before_cursor_execute", note)
        return [
            row[3]
            for statement, values in statements
            for row in connection.exec_driver_sql(f"explain query plan {statement}", values)
        ]

    found = await store.transaction(plans)
    assert found
    assert not [line for line in found if line.startswith("SCAN")]


CONTENT = CaseContent.model_validate(
    {"item": "food", "answers": {"place": "own"}, "applicant": APPLICANT}
)


async def test_drafts_go_after_days_and_cases_after_years(
    office: Office, store: Store, janitor: Janitor, clock: SettableClock
) -> None:
    await office.drafts.open(CONTENT, device=DEVICE, key="draft-01")
    case = await office.drafts.open(CONTENT, device=DEVICE, key="case-001")
    draft = CaseDraft(revision=case.revision, content=CONTENT)
    await office.submissions.submit(case.case, draft, device=DEVICE, key="submit-1")
    clock.now += dt.timedelta(days=2, hours=1)
    assert await swept(janitor) == {"drafts": 1}
    clock.now += dt.timedelta(days=1000)
    assert "cases" not in await swept(janitor)
    clock.now += dt.timedelta(days=100)
    assert await swept(janitor) == {"cases": 1}
    assert [await rows(store, table) for table in (cases, case_steps)] == [0, 0]


async def test_what_a_person_let_be_kept_goes_in_the_end(
    office: Office, store: Store, janitor: Janitor, clock: SettableClock
) -> None:
    case = await office.drafts.open(CONTENT, device=DEVICE, key="draft-01")
    await office.drafts.hand_over(case.case, device=DEVICE, key="hand-001")

    def keep(connection: sa.Connection) -> None:
        mac = "a" * 64
        connection.execute(
            consents.insert().values(applicant_mac=mac, given_at_ms=1, device=DEVICE)
        )
        seen = (SeenMaterial(key="id"),)
        office.shelf.remember(connection, mac, PROMISED, seen, window=5, case=case.case)

    await store.transaction(keep)
    clock.now += dt.timedelta(days=1, hours=1)
    assert await swept(janitor) == {"continuations": 1}
    clock.now += dt.timedelta(days=1096)
    assert (await swept(janitor))["holdings"] == 1
    assert await rows(store, holdings) == 0


async def test_files_to_print_go_within_minutes_and_licences_long_after_their_end(
    prints: Prints, register: Register, store: Store, janitor: Janitor, clock: SettableClock
) -> None:
    first = await issued(store, register, kind="driver_qualification", licence_class="b2")
    lasting = await issued(store, register)
    await prints.permit(wanted(first), device=DEVICE, key="permit-1")
    assert await swept(janitor) == {}
    clock.now += dt.timedelta(milliseconds=PERMIT_MS)
    assert await swept(janitor) == {"print files": 1}
    clock.now += dt.timedelta(days=1, hours=1)
    assert await swept(janitor) == {"visits": 1}
    clock.now += dt.timedelta(days=400)
    assert (await swept(janitor))["permits"] == 1
    clock.now = dt.datetime(2031, 1, 2, 4, tzinfo=dt.UTC) + dt.timedelta(days=1094)
    assert "licences" not in await swept(janitor)
    clock.now += dt.timedelta(days=2)
    assert (await swept(janitor))["licences"] == 1
    (left,) = await kept_rows(store, licences)
    assert left.id == lasting
    await store.transaction(lambda connection: register.revoke(connection, lasting))
    clock.now += dt.timedelta(days=1097)
    assert (await swept(janitor))["licences"] == 1


async def test_who_asked_for_what_is_not_theirs_is_known_for_a_year(
    prints: Prints, register: Register, store: Store, janitor: Janitor, clock: SettableClock
) -> None:
    licence = await issued(store, register)
    with pytest.raises(Refused):
        await prints.permit(wanted(licence, OTHER_HOLDER), device=DEVICE, key="permit-1")
    clock.now += dt.timedelta(days=399)
    assert "print refusals" not in await swept(janitor)
    clock.now += dt.timedelta(days=2)
    assert (await swept(janitor))["print refusals"] == 1


def test_tickets_are_kept_as_long_as_their_keys() -> None:
    with pytest.raises(ValidationError, match="tickets_days"):
        Retention(keys_days=30, tickets_days=7)
