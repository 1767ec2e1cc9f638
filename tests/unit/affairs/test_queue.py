"""Numbers are issued once, in order, per service and business day; a key gives one ticket."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.problems import ProblemCode, Refused
from affairs.queue.issuing import Queue
from affairs.queue.services import load_services, spoken_number
from hallkit.errors import ConfigError
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.wire.affairs_api import Applicant, TicketIssued, TicketRequest
from hallkit.wire.ticket_code import TicketCode, verify_code
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, NAME, NUMBER, SettableClock


async def take(
    queue: Queue, item: str = ITEM, *, key: str = "", device: str = DEVICE, answer: str = ""
) -> TicketIssued:
    request = TicketRequest(
        item=item,
        answers={"first": answer} if answer else {},
        applicant=Applicant.model_validate(APPLICANT),
    )
    return await queue.issue(request, device=device, key=key or new_id())


async def numbers(queue: Queue, *items: str) -> list[str]:
    return [(await take(queue, item)).ticket.number for item in items]


async def test_each_service_counts_for_itself(queue: Queue) -> None:
    assert await numbers(queue, ITEM, ITEM, "id-card", ITEM) == ["A001", "A002", "D001", "A003"]


async def test_a_new_business_day_begins_at_midnight_in_china(
    queue: Queue, clock: SettableClock
) -> None:
    clock.now = dt.datetime(2025, 1, 2, 15, 59, 59, tzinfo=dt.UTC)
    assert await numbers(queue, ITEM, ITEM) == ["A001", "A002"]
    clock.now = dt.datetime(2025, 1, 2, 16, 0, 0, tzinfo=dt.UTC)
    assert await numbers(queue, ITEM) == ["A001"]


async def test_a_clock_that_falls_back_to_yesterday_goes_on_counting(
    queue: Queue, clock: SettableClock
) -> None:
    yesterday = clock.now
    await numbers(queue, ITEM)
    clock.now = yesterday + dt.timedelta(days=1)
    await numbers(queue, ITEM)
    clock.now = yesterday
    assert await numbers(queue, ITEM) == ["A002"]


@pytest.mark.parametrize(("sequence", "spoken"), [(1, "A001"), (999, "A999"), (1000, "A1000")])
def test_numbers_have_three_digits_or_more(sequence: int, spoken: str) -> None:
    assert spoken_number("A", sequence) == spoken


async def test_fifty_at_once_get_fifty_numbers_in_a_row(queue: Queue) -> None:
    issued = await asyncio.gather(*(take(queue, device=f"terminal-{n}") for n in range(50)))
    assert sorted(one.ticket.number for one in issued) == [f"A{n:03d}" for n in range(1, 51)]
    assert sorted(one.ticket.waiting_ahead for one in issued) == list(range(50))


async def test_the_same_key_gives_the_same_ticket_again(queue: Queue) -> None:
    first = await take(queue, key="attempt-1")
    await take(queue)
    again = await take(queue, key="attempt-1")
    assert (first.again, again.again) == (False, True)
    assert again.ticket == first.ticket


async def test_the_same_key_at_once_makes_one_ticket(queue: Queue) -> None:
    issued = await asyncio.gather(*(take(queue, key="attempt-1") for _ in range(10)))
    assert len({one.ticket.id for one in issued}) == 1
    assert [one.again for one in issued].count(False) == 1


async def test_a_key_stands_for_one_request_only(queue: Queue) -> None:
    await take(queue, key="attempt-1", answer="yes")
    with pytest.raises(Refused) as fault:
        await take(queue, key="attempt-1", answer="no")
    assert fault.value.problem_code is ProblemCode.KEY_REUSED


async def test_machines_do_not_share_keys(queue: Queue) -> None:
    one = await take(queue, key="attempt-1", device="terminal-01")
    other = await take(queue, key="attempt-1", device="terminal-02")
    assert (one.ticket.number, other.ticket.number) == ("A001", "A002")


async def test_a_repeated_answer_outlives_its_item(queue: Queue, items: dict[str, str]) -> None:
    first = await take(queue, key="attempt-1")
    items.clear()
    assert (await take(queue, key="attempt-1")).ticket == first.ticket


@pytest.mark.parametrize("item", ["nothing", "odd"])
async def test_an_item_without_a_queue_costs_no_number(queue: Queue, item: str) -> None:
    with pytest.raises(Refused) as fault:
        await take(queue, item)
    assert fault.value.problem_code is ProblemCode.ITEM_UNKNOWN
    assert await numbers(queue, ITEM) == ["A001"]


async def test_a_ticket_can_be_asked_for(queue: Queue) -> None:
    await take(queue)
    issued = (await take(queue)).ticket
    found = await queue.ticket(issued.id)
    assert (found, found.state, found.waiting_ahead) == (issued, TicketState.WAITING, 1)
    with pytest.raises(Refused) as fault:
        await queue.ticket(new_id())
    assert fault.value.problem_code is ProblemCode.TICKET_UNKNOWN


async def test_waiting_counts_today_only(queue: Queue, clock: SettableClock) -> None:
    await take(queue)
    clock.now += dt.timedelta(days=1)
    await take(queue, "id-card")
    await take(queue, "id-card")
    counts = {one.service: one.waiting for one in (await queue.waiting()).services}
    assert list(counts) == list(load_services())
    assert {key: count for key, count in counts.items() if count} == {"public_security": 2}


async def test_the_code_verifies_and_names_the_ticket(
    queue: Queue, signing_key: Ed25519PrivateKey
) -> None:
    ticket = (await take(queue)).ticket
    assert verify_code(ticket.code, signing_key.public_key()) == TicketCode(
        ticket.id, dt.date(2025, 1, 2), "A001"
    )


async def test_nothing_personal_is_readable_on_the_disk(queue: Queue, tmp_path: Path) -> None:
    await take(queue, answer="残疾人家庭", key="key-with-13800138000")
    files = list(tmp_path.glob("affairs.sqlite*"))
    content = b"".join(path.read_bytes() for path in files)
    assert any(path.name.endswith("-wal") for path in files)
    assert b"A001" in content  # so the search finds what is there
    for secret in (NAME, NUMBER, "残疾人家庭", "13800138000"):
        for encoding in ("utf-8", "utf-16-le", "gb18030"):
            assert secret.encode(encoding) not in content


def test_two_services_cannot_share_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "services.toml"
    table = '[[services]]\nkey = "{}"\nname = "x"\nletter = "A"\nwindows = "1"\nopen_windows = 1\n'
    path.write_text(table.format("one") + table.format("two"))
    with pytest.raises(ConfigError, match="two have the same letter"):
        load_services(path)
