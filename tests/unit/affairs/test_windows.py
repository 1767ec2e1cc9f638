"""What happens at the windows: calls, who comes and who does not, passing on."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from affairs.problems import ProblemCode, Refused
from affairs.queue.calling import Windows
from affairs.queue.issuing import Queue
from hallkit.model.ids import new_id
from hallkit.model.ticket import Priority, Ticket, TicketState, WindowState
from hallkit.wire.affairs_api import Applicant, TicketRequest, WindowOrder, WindowStatus
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, NAME, SettableClock


class Hall:
    """Citizens and staff, a minute apart."""

    def __init__(self, queue: Queue, windows: Windows, clock: SettableClock) -> None:
        self.queue = queue
        self.windows = windows
        self.clock = clock

    def pass_minutes(self, minutes: float) -> None:
        self.clock.now += dt.timedelta(minutes=minutes)

    async def take(self, item: str = ITEM, *, priority: Priority = Priority.NONE) -> Ticket:
        self.pass_minutes(1)
        request = TicketRequest(item=item, answers={"first": "new"}, priority=priority)
        return (await self.queue.issue(request, device=DEVICE, key=new_id())).ticket

    async def do(self, window: int, do: str, *, key: str = "", **more: Any) -> WindowStatus:
        if do in {"serve", "skip", "finish", "again", "transfer"} and "ticket" not in more:
            there = (await self.windows.status(window)).ticket
            more["ticket"] = there.ticket if there is not None else ""
        order = WindowOrder.model_validate({"do": do, **more})
        return await self.windows.do(window, order, device=f"window-{window}", key=key or new_id())

    async def refuses(self, code: ProblemCode, window: int, do: str, **more: Any) -> None:
        with pytest.raises(Refused) as fault:
            await self.do(window, do, **more)
        assert fault.value.problem_code is code

    async def state(self, ticket: Ticket) -> TicketState:
        return (await self.queue.ticket(ticket.id)).state

    async def called(self) -> list[tuple[str, int, int]]:
        told = (await self.windows.calls()).calls
        return [(call.number, call.window, call.times) for call in reversed(told)]


@pytest.fixture
def hall(queue: Queue, windows: Windows, clock: SettableClock) -> Hall:
    clock.now = dt.datetime(2025, 1, 2, 1, tzinfo=dt.UTC)  # nine in the hall
    return Hall(queue, windows, clock)


async def test_a_ticket_from_the_machine_to_the_end(hall: Hall) -> None:
    ticket = await hall.take()
    status = await hall.do(12, "open")
    assert (status.state, status.waiting, status.ticket) == (WindowState.OPEN, 1, None)
    status = await hall.do(12, "next")
    assert status.ticket is not None
    assert (status.ticket.number, status.ticket.calls, status.waiting) == ("A001", 1, 0)
    assert await hall.state(ticket) is TicketState.CALLED
    await hall.do(12, "serve")
    assert await hall.state(ticket) is TicketState.SERVING
    status = await hall.do(12, "finish")
    assert status.ticket is None
    assert await hall.state(ticket) is TicketState.SERVED
    assert await hall.called() == [("A001", 12, 1)]


async def test_the_window_sees_what_was_already_said(hall: Hall, queue: Queue) -> None:
    applicant = Applicant.model_validate(APPLICANT)
    request = TicketRequest(item=ITEM, answers={"first": "renew"}, applicant=applicant)
    await queue.issue(request, device=DEVICE, key=new_id())
    await hall.do(12, "open")
    with pytest.raises(Refused):
        await hall.windows.case(12)
    status = await hall.do(12, "next")
    assert NAME not in status.model_dump_json()
    case = await hall.windows.case(12)
    assert case.request == request


async def test_nobody_waits_is_no_fault(hall: Hall) -> None:
    await hall.do(12, "open")
    assert (await hall.do(12, "next")).ticket is None
    assert await hall.called() == []


async def test_who_is_called_first_is_who_came_first_whatever_the_service(hall: Hall) -> None:
    await hall.do(1, "open")
    tickets = [await hall.take(), await hall.take("id-card"), await hall.take()]
    seen = []
    for _ in range(2):
        status = await hall.do(1, "next")
        assert status.ticket is not None
        seen.append(status.ticket.ticket)
        await hall.do(1, "serve")
        await hall.do(1, "finish")
    # Window 1 does not serve the second one's service.
    assert seen == [tickets[0].id, tickets[2].id]


async def test_priority_goes_ahead_of_those_who_came_a_little_earlier(hall: Hall) -> None:
    await hall.take()
    hall.pass_minutes(12)
    ordinary = await hall.take()
    elderly = await hall.take(priority=Priority.ELDERLY)
    assert elderly.waiting_ahead == 1
    assert (await hall.queue.ticket(ordinary.id)).waiting_ahead == 2
    await hall.do(12, "open")
    order = []
    for _ in range(3):
        status = await hall.do(12, "next")
        assert status.ticket is not None
        order.append(status.ticket.number)
        await hall.do(12, "skip")
    assert order == ["A001", "A003", "A002"]


async def test_called_again_and_skipped_and_back(hall: Hall) -> None:
    ticket = await hall.take()
    other = await hall.take()
    await hall.do(12, "open")
    await hall.do(12, "next")
    await hall.do(12, "again")
    await hall.do(12, "skip")
    assert await hall.state(ticket) is TicketState.SKIPPED
    hall.pass_minutes(1)
    await hall.do(12, "return", ticket=ticket.id)
    assert (await hall.queue.ticket(ticket.id)).waiting_ahead == 1, "behind who waits"
    status = await hall.do(12, "next")
    assert status.ticket is not None
    assert status.ticket.ticket == other.id
    await hall.do(12, "skip")
    await hall.do(12, "call", ticket=other.id)
    assert await hall.called() == [
        ("A001", 12, 1),
        ("A001", 12, 2),
        ("A002", 12, 1),
        ("A002", 12, 2),
    ]


async def test_passed_on_one_keeps_the_place_and_what_was_said(hall: Hall) -> None:
    ticket = await hall.take()
    waits_longer_there = await hall.take("id-card")
    await hall.do(12, "open")
    await hall.do(12, "next")
    await hall.do(12, "serve")
    status = await hall.do(12, "transfer", service="public_security")
    assert status.ticket is None
    await hall.do(5, "open")
    status = await hall.do(5, "next")
    assert status.ticket is not None
    assert (status.ticket.ticket, status.ticket.number) == (ticket.id, "A001")
    assert (await hall.windows.case(5)).request.answers == {"first": "new"}
    assert await hall.state(waits_longer_there) is TicketState.WAITING


async def test_a_window_has_one_at_a_time(hall: Hall) -> None:
    await hall.take()
    await hall.take()
    await hall.refuses(ProblemCode.WINDOW_NOT_SO, 12, "next")
    await hall.do(12, "open")
    await hall.do(12, "next")
    await hall.refuses(ProblemCode.WINDOW_NOT_SO, 12, "next")
    await hall.refuses(ProblemCode.WINDOW_NOT_SO, 12, "close")
    await hall.do(12, "pause")
    await hall.do(12, "serve")
    await hall.do(12, "finish")
    await hall.refuses(ProblemCode.WINDOW_NOT_SO, 12, "next")
    assert (await hall.do(12, "close")).state is WindowState.CLOSED


@pytest.mark.parametrize("do", ["serve", "skip", "finish", "again", "transfer"])
async def test_without_anybody_there_nothing_of_it_can_be_done(hall: Hall, do: str) -> None:
    await hall.do(12, "open")
    await hall.refuses(ProblemCode.WINDOW_NOT_SO, 12, do, service="market")


async def test_what_cannot_be_is_refused_and_changes_nothing(hall: Hall) -> None:
    ticket = await hall.take()
    await hall.refuses(ProblemCode.WINDOW_UNKNOWN, 99, "open")
    await hall.do(12, "open")
    await hall.refuses(ProblemCode.TICKET_UNKNOWN, 12, "call", ticket=new_id())
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 12, "return", ticket=ticket.id)
    await hall.do(12, "next")
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 12, "finish")
    await hall.refuses(ProblemCode.SERVICE_UNKNOWN, 12, "transfer", service="nothing")
    await hall.do(12, "serve")
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 12, "again")
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 12, "skip")
    await hall.do(12, "finish")
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 12, "call", ticket=ticket.id)


async def test_an_order_that_comes_late_is_not_carried_out_on_the_next(hall: Hall) -> None:
    first, second = await hall.take(), await hall.take()
    await hall.do(12, "open")
    await hall.do(12, "next")
    await hall.do(12, "skip")
    await hall.do(12, "next")
    await hall.do(12, "serve")
    for do in ("finish", "transfer", "serve", "skip", "again"):
        more = {"ticket": first.id, "service": "health"}
        await hall.refuses(ProblemCode.WINDOW_NOT_SO, 12, do, **more)
    assert await hall.state(second) is TicketState.SERVING


async def test_a_window_has_to_do_with_its_own_services_alone(hall: Hall) -> None:
    ticket = await hall.take()
    await hall.do(5, "open")
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 5, "call", ticket=ticket.id)
    await hall.do(12, "open")
    await hall.do(12, "next")
    await hall.do(12, "skip")
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 5, "return", ticket=ticket.id)


async def test_an_order_that_is_repeated_is_carried_out_once(hall: Hall) -> None:
    await hall.take()
    await hall.take()
    await hall.do(12, "open")
    first = await hall.do(12, "next", key="press-001")
    again = await hall.do(12, "next", key="press-001")
    assert first.ticket == again.ticket
    assert len(await hall.called()) == 1
    await hall.refuses(ProblemCode.KEY_REUSED, 12, "pause", key="press-001")


async def test_two_windows_at_once_never_call_the_same(hall: Hall) -> None:
    tickets = [await hall.take() for _ in range(2)]
    for window in (1, 12):
        await hall.do(window, "open")
    told = await asyncio.gather(*(hall.do(window, "next") for window in (1, 12)))
    assert {one.ticket.ticket for one in told if one.ticket} == {one.id for one in tickets}


async def test_a_day_ends_for_those_who_were_not_called(hall: Hall) -> None:
    waiting, skipped, serving = [await hall.take() for _ in range(3)]
    await hall.do(12, "open")
    await hall.do(12, "call", ticket=skipped.id)
    await hall.do(12, "skip")
    await hall.do(12, "call", ticket=serving.id)
    await hall.do(12, "serve")
    assert await hall.windows.end_earlier_days() == 0
    hall.pass_minutes(24 * 60)
    assert await hall.windows.end_earlier_days() == 3
    assert await hall.state(waiting) is TicketState.VOID
    assert await hall.state(skipped) is TicketState.VOID
    assert await hall.state(serving) is TicketState.SERVED
    status = await hall.windows.status(12)
    assert (status.state, status.ticket) == (WindowState.CLOSED, None)
    assert await hall.called() == [], "boards begin anew"


async def test_a_ticket_of_yesterday_is_not_called(hall: Hall) -> None:
    ticket = await hall.take()
    hall.pass_minutes(24 * 60)
    await hall.do(12, "open")
    assert (await hall.do(12, "next")).ticket is None
    await hall.refuses(ProblemCode.TICKET_NOT_SO, 12, "call", ticket=ticket.id)


async def test_a_wait_is_told_and_learned(hall: Hall) -> None:
    await hall.do(12, "open")
    usual_s = 8 * 60
    first, second = await hall.take(), await hall.take()
    progress = await hall.queue.progress(second.id)
    assert (progress.expected_wait_s, progress.waiting_ahead) == (usual_s, 1)
    for _ in range(30):
        await hall.take()
    for _ in range(30):
        await hall.do(12, "next")
        hall.pass_minutes(2)
        await hall.do(12, "serve")
        await hall.do(12, "finish")
    last = await hall.take()
    hall.pass_minutes(1)
    wait_s = (await hall.queue.progress(last.id)).expected_wait_s
    assert wait_s is not None
    assert wait_s / 60 == pytest.approx(2 * 2, abs=1.5), "two are ahead, two minutes each"
    assert (await hall.queue.progress(first.id)).expected_wait_s is None, "it is over"


async def test_windows_that_fell_silent_are_not_believed(hall: Hall) -> None:
    await hall.do(12, "open")
    heard = hall.clock.wall_ms()
    ticket = await hall.take()
    hall.pass_minutes(30)
    progress = await hall.queue.progress(ticket.id)
    assert (progress.stale, progress.expected_wait_s, progress.as_of_ms) == (True, None, heard)
    services = {one.service: one for one in (await hall.queue.waiting()).services}
    assert services["market"].stale
    assert not services["health"].stale


async def test_at_three_in_the_morning_it_takes_until_the_windows_open(hall: Hall) -> None:
    await hall.do(12, "open")
    await hall.do(12, "close")
    hall.clock.now = dt.datetime(2025, 1, 2, 19, tzinfo=dt.UTC)
    ticket = await hall.take()
    progress = await hall.queue.progress(ticket.id)
    assert progress.expected_wait_s == (6 * 60 - 1) * 60, "Friday, nine o'clock"
    assert not progress.stale


async def test_what_will_not_be_today_any_more_is_not_promised(hall: Hall) -> None:
    hall.clock.now = dt.datetime(2025, 1, 2, 8, 50, tzinfo=dt.UTC)  # ten to five
    await hall.do(12, "open")
    first, second, third = [await hall.take() for _ in range(3)]
    waits = [(await hall.queue.progress(one.id)).expected_wait_s for one in (first, second, third)]
    assert waits[0] is not None
    assert waits[2] is None


async def test_with_all_windows_closed_nobody_can_tell(hall: Hall) -> None:
    await hall.do(12, "open")
    await hall.do(12, "close")
    ticket = await hall.take()
    assert (await hall.queue.progress(ticket.id)).expected_wait_s is None
    services = {one.service: one for one in (await hall.queue.waiting()).services}
    assert (services["market"].open_windows, services["market"].expected_wait_s) == (0, None)
