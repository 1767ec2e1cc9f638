"""Numbers for the time without the node: given once, whatever becomes of the line."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from affairs.problems import ProblemCode, Refused
from affairs.queue.blocks import Blocks
from affairs.queue.calling import Windows
from affairs.queue.issuing import Desk, Queue
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.wire.affairs_api import (
    Applicant,
    Lease,
    LeaseRequest,
    OfflineTicket,
    OfflineTickets,
    OfflineTicketsTaken,
    ReservedNumber,
    TicketRequest,
)
from hallkit.wire.sealed import seal
from hallkit.wire.ticket_code import TicketCode, verify_code
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, SettableClock

DAY = dt.date(2025, 1, 2)
SAID = TicketRequest(
    item=ITEM, answers={"first": "new"}, applicant=Applicant.model_validate(APPLICANT)
)


async def lease(blocks: Blocks, *, size: int = 3, device: str = DEVICE, key: str = "") -> Lease:
    request = LeaseRequest(services=("market",), size=size)
    return await blocks.lease(request, device=device, key=key or new_id())


class Machine:
    """It gives numbers from what it leased."""

    def __init__(self, blocks: Blocks, key: X25519PrivateKey, clock: SettableClock) -> None:
        self.blocks = blocks
        self.key = key.public_key()
        self.clock = clock

    def give(self, number: ReservedNumber, *, issued_ms: int | None = None) -> OfflineTicket:
        content = SAID.model_dump_json().encode()
        return OfflineTicket(
            ticket=number.ticket,
            issued_at_ms=self.clock.wall_ms() if issued_ms is None else issued_ms,
            sealed=seal(content, self.key, subject=number.ticket),
        )

    async def tell(self, *given: OfflineTicket, device: str = DEVICE) -> OfflineTicketsTaken:
        return await self.blocks.take(OfflineTickets(tickets=given), device=device)


@pytest.fixture
def machine(blocks: Blocks, submissions_key: X25519PrivateKey, clock: SettableClock) -> Machine:
    return Machine(blocks, submissions_key, clock)


async def test_a_block_is_full_tickets_that_can_be_verified(
    blocks: Blocks, signing_key: Ed25519PrivateKey
) -> None:
    told = await lease(blocks)
    assert told.day == DAY
    assert [one.number for one in told.numbers] == ["A001", "A002", "A003"]
    first = told.numbers[0]
    code = verify_code(first.code, signing_key.public_key())
    assert code == TicketCode(first.ticket, DAY, "A001")


async def test_a_leased_number_is_given_to_nobody_else(blocks: Blocks, queue: Queue) -> None:
    one, other = await asyncio.gather(
        lease(blocks, device="terminal-01"), lease(blocks, device="terminal-02")
    )
    issued = (await queue.issue(SAID, device=DEVICE, key=new_id())).ticket
    numbers = [number.number for told in (one, other) for number in told.numbers]
    assert sorted([*numbers, issued.number]) == [f"A{n:03d}" for n in range(1, 8)]


async def test_a_lease_is_filled_up_and_no_further(blocks: Blocks, machine: Machine) -> None:
    first = await lease(blocks)
    assert await lease(blocks) == first
    await machine.tell(machine.give(first.numbers[0]))
    filled = await lease(blocks)
    assert [one.number for one in filled.numbers] == ["A002", "A003", "A004"]
    assert (await lease(blocks, size=2)).numbers == filled.numbers


async def test_a_new_day_has_new_numbers(blocks: Blocks, clock: SettableClock) -> None:
    before = await lease(blocks)
    clock.now += dt.timedelta(days=1)
    after = await lease(blocks)
    assert after.day == DAY + dt.timedelta(days=1)
    assert not {one.ticket for one in before.numbers} & {one.ticket for one in after.numbers}


async def test_who_got_one_stands_where_they_came(
    blocks: Blocks, machine: Machine, queue: Queue, windows: Windows, clock: SettableClock
) -> None:
    numbers = (await lease(blocks)).numbers
    clock.now += dt.timedelta(minutes=10)
    given = machine.give(numbers[0])
    clock.now += dt.timedelta(minutes=10)
    later = (await queue.issue(SAID, device=DEVICE, key=new_id())).ticket
    clock.now += dt.timedelta(minutes=10)
    told = await machine.tell(given)
    assert told == OfflineTicketsTaken(taken=(numbers[0].ticket,))
    found = await queue.ticket(numbers[0].ticket)
    assert (found.state, found.waiting_ahead) == (TicketState.WAITING, 0)
    assert (found.number, found.code) == (numbers[0].number, numbers[0].code)
    assert (await queue.ticket(later.id)).waiting_ahead == 1
    assert found.issued_at_ms == given.issued_at_ms


async def test_telling_it_twice_changes_nothing(blocks: Blocks, machine: Machine) -> None:
    numbers = (await lease(blocks)).numbers
    given = [machine.give(one) for one in numbers[:2]]
    assert await machine.tell(*given) == await machine.tell(*given)


async def test_a_wrong_clock_puts_nobody_before_the_lease_or_into_the_future(
    blocks: Blocks, machine: Machine, queue: Queue, clock: SettableClock
) -> None:
    numbers = (await lease(blocks)).numbers
    leased_ms = clock.wall_ms()
    clock.now += dt.timedelta(minutes=10)
    await machine.tell(
        machine.give(numbers[0], issued_ms=0), machine.give(numbers[1], issued_ms=10**14)
    )
    assert (await queue.ticket(numbers[0].ticket)).issued_at_ms == leased_ms
    assert (await queue.ticket(numbers[1].ticket)).issued_at_ms == clock.wall_ms()


async def test_one_that_cannot_be_taken_holds_up_no_other(blocks: Blocks, machine: Machine) -> None:
    mine, moved = (await lease(blocks)).numbers[:2]
    swapped = machine.give(moved).model_copy(update={"ticket": mine.ticket})
    unknown = machine.give(mine).model_copy(update={"ticket": new_id()})
    told = await machine.tell(unknown, swapped, machine.give(moved))
    assert told.taken == (moved.ticket,)
    assert told.refused == {
        unknown.ticket: ProblemCode.TICKET_UNKNOWN.value,
        mine.ticket: ProblemCode.REQUEST_UNREADABLE.value,
    }
    assert (await machine.tell(machine.give(mine))).taken == (mine.ticket,)


@pytest.mark.parametrize("late_s", [0, 8, 20])
async def test_of_two_numbers_for_one_attempt_the_machines_counts(
    late_s: int, blocks: Blocks, machine: Machine, queue: Queue, clock: SettableClock
) -> None:
    """The answer with the node's was given up, however late its effect was."""
    number = (await lease(blocks)).numbers[0]
    gave_ms = clock.wall_ms() + 8000
    clock.now += dt.timedelta(seconds=late_s)
    online = (await queue.issue(SAID, device=DEVICE, key="attempt-1")).ticket
    clock.now += dt.timedelta(minutes=1)
    given = machine.give(number, issued_ms=gave_ms).model_copy(update={"key": "attempt-1"})
    assert (await machine.tell(given)).taken == (number.ticket,)
    assert (await queue.ticket(online.id)).state is TicketState.VOID
    assert (await queue.ticket(number.ticket)).state is TicketState.WAITING


async def test_an_attempt_that_the_machine_gave_a_number_gets_no_other(
    blocks: Blocks, machine: Machine, queue: Queue
) -> None:
    numbers = (await lease(blocks)).numbers
    given = machine.give(numbers[0]).model_copy(update={"key": "attempt-1"})
    await machine.tell(given)
    issued = await queue.issue(SAID, device=DEVICE, key="attempt-1")
    assert (issued.again, issued.ticket.id) == (True, numbers[0].ticket)
    # Told, forgotten, and given once more while the node was away again.
    await machine.tell(machine.give(numbers[1]).model_copy(update={"key": "attempt-1"}))
    states = [(await queue.ticket(one.ticket)).state for one in numbers[:2]]
    assert states == [TicketState.VOID, TicketState.WAITING]


async def test_a_service_that_is_no_more_holds_up_no_other(
    blocks: Blocks, machine: Machine, desk: Desk
) -> None:
    request = LeaseRequest(services=("market", "health"), size=1)
    told = await blocks.lease(request, device=DEVICE, key=new_id())
    gone, stays = sorted(told.numbers, key=lambda one: one.service)
    del desk.services[gone.service]  # type: ignore[attr-defined]  # the site's file changed
    taken = await machine.tell(machine.give(gone), machine.give(stays))
    assert taken.taken == (stays.ticket,)
    assert taken.refused == {gone.ticket: ProblemCode.SERVICE_UNKNOWN.value}
    assert (await blocks.lease(LeaseRequest(size=1), device=DEVICE, key=new_id())).numbers


async def test_another_machines_numbers_are_not_taken(blocks: Blocks, machine: Machine) -> None:
    given = machine.give((await lease(blocks)).numbers[0])
    told = await machine.tell(given, device="terminal-02")
    assert told.refused == {given.ticket: ProblemCode.TICKET_UNKNOWN.value}
    await machine.tell(given)
    told = await machine.tell(given, device="terminal-02")
    assert told.taken == ()


async def test_there_is_no_block_of_a_service_that_is_not(blocks: Blocks) -> None:
    with pytest.raises(Refused) as fault:
        await blocks.lease(LeaseRequest(services=("nothing",)), device=DEVICE, key=new_id())
    assert fault.value.problem_code is ProblemCode.SERVICE_UNKNOWN
