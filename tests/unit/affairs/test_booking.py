"""Appointments: slots that hold so many, check-in with the card, nobody else's."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from affairs.problems import ProblemCode, Refused
from affairs.queue.booking import Booking
from affairs.queue.calling import Windows
from affairs.queue.issuing import Queue
from affairs.store import Store, appointments
from hallkit.model.ids import new_id
from hallkit.model.ticket import AppointmentState
from hallkit.wire.affairs_api import (
    Applicant,
    Appointment,
    AppointmentRequest,
    CheckIn,
    TicketRequest,
    WindowOrder,
)
from tests.unit.affairs.hall import DEVICE, ITEM, NAME, NUMBER, SettableClock

OTHER_NUMBER = "110105196611300029"
TODAY = dt.date(2025, 1, 2)
"""A Thursday."""
NINE = dt.datetime(2025, 1, 2, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _at_eight(clock: SettableClock) -> None:
    clock.now = NINE - dt.timedelta(hours=1)


def at(hour: int, minute: int = 0, *, days: int = 0) -> int:
    moment = NINE + dt.timedelta(days=days, hours=hour - 9, minutes=minute)
    return int(moment.timestamp() * 1000)


async def book(
    booking: Booking, start_ms: int, *, number: str = NUMBER, key: str = ""
) -> Appointment:
    applicant = Applicant(name=NAME, number=number, card_kind="resident")
    ticket = TicketRequest(item=ITEM, answers={"first": "new"}, applicant=applicant)
    request = AppointmentRequest(start_ms=start_ms, ticket=ticket)
    return await booking.book(request, device=DEVICE, key=key or new_id())


def somebody(number: int) -> str:
    """An ID number of somebody else."""
    return f"11010519491231{number:04d}"


async def refused(code: ProblemCode, doing: object) -> None:
    with pytest.raises(Refused) as fault:
        await doing  # type: ignore[misc]  # a coroutine
    assert fault.value.problem_code is code


async def test_a_day_has_its_slots(booking: Booking) -> None:
    told = await booking.slots(ITEM, TODAY)
    assert told.service == "market"
    starts = [slot.start_ms for slot in told.slots]
    assert starts[0] == at(9)
    assert at(11, 30) in starts
    assert at(12) not in starts
    assert starts[-1] == at(16, 30)
    assert {slot.places for slot in told.slots} == {4}


async def test_what_is_over_and_what_is_far_away_is_not_offered(
    booking: Booking, clock: SettableClock
) -> None:
    clock.now = NINE + dt.timedelta(hours=1)
    assert (await booking.slots(ITEM, TODAY)).slots[0].start_ms == at(10, 30)
    assert (await booking.slots(ITEM, dt.date(2025, 1, 4))).slots == (), "a Saturday"
    for day in (TODAY - dt.timedelta(days=1), TODAY + dt.timedelta(days=15)):
        await refused(ProblemCode.SLOT_UNKNOWN, booking.slots(ITEM, day))
    await refused(ProblemCode.SLOT_UNKNOWN, book(booking, at(10)))
    await refused(ProblemCode.SLOT_UNKNOWN, book(booking, at(10, 5)))


async def test_every_slot_that_is_offered_can_be_booked(booking: Booking) -> None:
    last = TODAY + dt.timedelta(days=14)
    offered = (await booking.slots(ITEM, last)).slots
    assert (await book(booking, offered[-1].start_ms)).state is AppointmentState.BOOKED


async def test_a_slot_holds_so_many_also_when_all_ask_at_once(booking: Booking) -> None:
    asked = [book(booking, at(10), number=somebody(one)) for one in range(10)]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, Appointment) for one in told) == 4
    full = [one for one in told if isinstance(one, Refused)]
    assert {one.problem_code for one in full} == {ProblemCode.SLOT_FULL}
    (slot,) = [s for s in (await booking.slots(ITEM, TODAY)).slots if s.start_ms == at(10)]
    assert slot.places == 0


async def test_a_place_that_is_given_back_is_free_again(booking: Booking) -> None:
    booked = [await book(booking, at(10))]
    booked += [await book(booking, at(10), number=somebody(one)) for one in range(3)]
    mine = CheckIn(appointment=booked[0].appointment, number=NUMBER)
    cancelled = await booking.cancel(mine, device=DEVICE, key="cancel-01")
    assert cancelled.state is AppointmentState.CANCELLED
    assert await booking.cancel(mine, device=DEVICE, key="cancel-01") == cancelled
    await book(booking, at(10), number=somebody(8))
    await refused(ProblemCode.SLOT_FULL, book(booking, at(10), number=somebody(9)))
    doing = booking.cancel(mine, device=DEVICE, key=new_id())
    await refused(ProblemCode.APPOINTMENT_NOT_SO, doing)


async def test_one_person_has_one_place_a_day_and_service(booking: Booking) -> None:
    mine = await book(booking, at(10))
    await refused(ProblemCode.APPOINTMENT_EXISTS, book(booking, at(11)))
    await book(booking, at(10, days=1))
    cancelling = CheckIn(appointment=mine.appointment, number=NUMBER)
    await booking.cancel(cancelling, device=DEVICE, key=new_id())
    await book(booking, at(11))


async def test_an_attempt_books_one_place(booking: Booking) -> None:
    first = await book(booking, at(10), key="attempt-1")
    assert await book(booking, at(10), key="attempt-1") == first
    (slot,) = [s for s in (await booking.slots(ITEM, TODAY)).slots if s.start_ms == at(10)]
    assert slot.places == 3


async def test_somebody_finds_their_own_by_their_card(booking: Booking) -> None:
    mine = await book(booking, at(10))
    await book(booking, at(11), number=OTHER_NUMBER)
    assert (await booking.of_person(NUMBER)).appointments == (mine,)
    assert NUMBER not in mine.model_dump_json()


async def test_who_checks_in_gets_a_number_and_is_called_for_the_slot(
    booking: Booking, queue: Queue, windows: Windows, clock: SettableClock
) -> None:
    mine = await book(booking, at(10))
    clock.now = NINE + dt.timedelta(minutes=50)
    request = TicketRequest(item=ITEM)
    earlier = (await queue.issue(request, device=DEVICE, key=new_id())).ticket
    clock.now = NINE + dt.timedelta(minutes=55)
    check_in = CheckIn(appointment=mine.appointment, number=NUMBER)
    issued = await booking.check_in(check_in, device=DEVICE, key="check-in-1")
    again = await booking.check_in(check_in, device=DEVICE, key="check-in-1")
    assert (issued.ticket.number, again.again, again.ticket) == ("A002", True, issued.ticket)
    (found,) = (await booking.of_person(NUMBER)).appointments
    assert (found.state, found.ticket) == (AppointmentState.CHECKED_IN, issued.ticket.id)
    order = WindowOrder(do="open")
    await windows.do(12, order, device="window-12", key=new_id())
    status = await windows.do(12, WindowOrder(do="next"), device="window-12", key=new_id())
    assert status.ticket is not None
    assert status.ticket.ticket == issued.ticket.id != earlier.id
    assert (await windows.case(12)).request.answers == {"first": "new"}


async def test_nobody_checks_in_for_another(booking: Booking) -> None:
    mine = await book(booking, at(10))
    stolen = CheckIn(appointment=mine.appointment, number=OTHER_NUMBER)
    unknown = CheckIn(appointment=new_id(), number=NUMBER)
    for request in (stolen, unknown):
        for doing in (booking.check_in, booking.cancel):
            told = doing(request, device=DEVICE, key=new_id())
            await refused(ProblemCode.APPOINTMENT_UNKNOWN, told)


async def test_a_check_in_is_for_the_day_and_once(booking: Booking, clock: SettableClock) -> None:
    mine = await book(booking, at(10, days=1))
    check_in = CheckIn(appointment=mine.appointment, number=NUMBER)
    early = booking.check_in(check_in, device=DEVICE, key=new_id())
    await refused(ProblemCode.APPOINTMENT_NOT_SO, early)
    clock.now = NINE + dt.timedelta(days=1)
    await booking.check_in(check_in, device=DEVICE, key=new_id())
    twice = booking.check_in(check_in, device=DEVICE, key=new_id())
    await refused(ProblemCode.APPOINTMENT_NOT_SO, twice)


async def test_who_does_not_come_has_missed_it(booking: Booking, clock: SettableClock) -> None:
    mine = await book(booking, at(10))
    assert await booking.end_earlier_days() == 0
    clock.now = NINE + dt.timedelta(days=1)
    assert await booking.end_earlier_days() == 1
    late = booking.check_in(
        CheckIn(appointment=mine.appointment, number=NUMBER), device=DEVICE, key=new_id()
    )
    await refused(ProblemCode.APPOINTMENT_NOT_SO, late)


async def test_nobody_books_without_a_name(booking: Booking) -> None:
    request = AppointmentRequest(start_ms=at(10), ticket=TicketRequest(item=ITEM))
    doing = booking.book(request, device=DEVICE, key=new_id())
    await refused(ProblemCode.REQUEST_INVALID, doing)


async def test_what_is_personal_is_sealed(booking: Booking, store: Store) -> None:
    await book(booking, at(10))
    rows = await store.transaction(
        lambda connection: connection.execute(appointments.select()).all()
    )
    assert NUMBER not in repr(rows)
    assert NAME not in repr(rows)
