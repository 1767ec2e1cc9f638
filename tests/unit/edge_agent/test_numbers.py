"""Numbers of the machine's own: given once, kept through a kill, told until the node knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.numbers import SCHEMA, Numbers
from hallkit.errors import LinkDown, NotSupported, Rejected
from hallkit.model.ids import new_id
from hallkit.runtime.clock import local_date
from hallkit.runtime.journal import Journal
from hallkit.wire.affairs_api import (
    Lease,
    LeaseRequest,
    OfflineTicket,
    OfflineTickets,
    OfflineTicketsTaken,
    ReservedNumber,
)
from tests.fakes.clock import FakeClock

ONE, TWO = sorted((new_id(), new_id()))
SEALED = b"sealed"


class Node:
    """Leases, and takes what was given; or is away."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.away = False
        self.numbers: list[ReservedNumber] = [
            ReservedNumber(
                ticket=ticket,
                number=f"A00{number}",
                service="market",
                service_name="市场监管",
                windows="2楼",
                code=f"HK1.T.{number}",
            )
            for number, ticket in ((1, ONE), (2, TWO))
        ]
        self.told: list[OfflineTicket] = []
        self.refuses: dict[str, str] = {}
        self.ahead_ms = 0
        self.chokes_on = ""

    async def lease_numbers(self, request: LeaseRequest, idempotency_key: str) -> Lease:
        self._there()
        day = local_date(self.clock.wall_ms())
        as_of_ms = self.clock.wall_ms() + self.ahead_ms
        return Lease(day=day, numbers=tuple(self.numbers), as_of_ms=as_of_ms)

    async def take_offline(self, given: OfflineTickets) -> OfflineTicketsTaken:
        self._there()
        if self.chokes_on in {one.ticket for one in given.tickets}:
            raise Rejected("request_invalid", "", 422)
        taken = tuple(one.ticket for one in given.tickets if one.ticket not in self.refuses)
        self.told += [one for one in given.tickets if one.ticket in taken]
        self.numbers = [one for one in self.numbers if one.ticket not in taken]
        return OfflineTicketsTaken(taken=taken, refused=self.refuses)

    def _there(self) -> None:
        if self.away:
            raise LinkDown("away")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def node(clock: FakeClock) -> Node:
    return Node(clock)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as opened:
        yield opened


@pytest.fixture
def heard() -> list[tuple[str, ...]]:
    return []


@pytest.fixture
def numbers(
    journal: Journal, node: Node, clock: FakeClock, heard: list[tuple[str, ...]]
) -> Numbers:
    return Numbers(journal, node, clock, of_each=2, changed=heard.append)


async def test_what_was_leased_is_offered_and_given_without_the_node(
    numbers: Numbers, node: Node, heard: list[tuple[str, ...]]
) -> None:
    await numbers.lease()
    assert heard == [("market",)]
    node.away = True
    offered = await numbers.offer("market", "attempt-1")
    assert offered == node.numbers[0]
    given_ms = await numbers.give(ONE, "attempt-1", SEALED)
    assert await numbers.give(ONE, "attempt-1", SEALED) == given_ms
    assert await numbers.offer("market", "attempt-1") == offered, "the same attempt, the same one"
    assert await numbers.offer("market", "attempt-2") == node.numbers[1]
    assert await numbers.offer("health", "attempt-3") is None


async def test_a_number_is_given_once(numbers: Numbers) -> None:
    await numbers.lease()
    await numbers.give(ONE, "attempt-1", SEALED)
    for ticket, key in ((ONE, "attempt-2"), (TWO, "attempt-1"), (new_id(), "attempt-9")):
        with pytest.raises(NotSupported):
            await numbers.give(ticket, key, SEALED)


async def test_the_last_one_is_told_so_that_nobody_is_promised_another(
    numbers: Numbers, heard: list[tuple[str, ...]]
) -> None:
    await numbers.lease()
    await numbers.give(ONE, "attempt-1", SEALED)
    await numbers.give(TWO, "attempt-2", SEALED)
    assert heard[-1] == numbers.services == ()


async def test_yesterdays_numbers_are_not_given(numbers: Numbers, clock: FakeClock) -> None:
    await numbers.lease()
    clock.advance(24 * 3600)
    assert await numbers.offer("market", "attempt-1") is None
    with pytest.raises(NotSupported):
        await numbers.give(ONE, "attempt-1", SEALED)


async def test_who_got_one_is_told_until_the_node_knows(
    numbers: Numbers, node: Node, clock: FakeClock
) -> None:
    node.ahead_ms = 700
    await numbers.lease()
    given_ms = await numbers.give(ONE, "attempt-1", SEALED)
    node.away = True
    with pytest.raises(LinkDown):
        await numbers.tell()
    node.away = False
    await numbers.tell()
    await numbers.tell()
    assert node.told == [
        OfflineTicket(
            ticket=ONE, issued_at_ms=given_ms, uncertainty_ms=700, key="attempt-1", sealed=SEALED
        )
    ]


async def test_what_the_node_refuses_is_kept_and_holds_up_no_other(
    numbers: Numbers, node: Node
) -> None:
    await numbers.lease()
    await numbers.give(ONE, "attempt-1", SEALED)
    await numbers.give(TWO, "attempt-2", SEALED)
    node.refuses = {ONE: "ticket_unknown"}
    await numbers.tell()
    assert [one.ticket for one in node.told] == [TWO]
    await numbers.tell()
    assert [one.ticket for one in node.told] == [TWO]
    node.refuses = {}
    await numbers.tell()
    assert [one.ticket for one in node.told] == [TWO, ONE], "it was promised to somebody"


async def test_what_nobody_wants_to_hear_goes_after_a_week(
    numbers: Numbers, node: Node, clock: FakeClock
) -> None:
    await numbers.lease()
    await numbers.give(ONE, "attempt-1", SEALED)
    node.refuses = {ONE: "ticket_unknown"}
    for days, keeps in ((7, True), (1, False)):
        clock.advance(days * 24 * 3600)
        await numbers.lease()
        offered = await numbers.offer("market", "attempt-1", only_given=True)
        assert (offered is not None) is keeps


async def test_one_that_the_node_cannot_read_waits_for_a_better_one(
    numbers: Numbers, node: Node
) -> None:
    await numbers.lease()
    await numbers.give(ONE, "attempt-1", SEALED)
    await numbers.give(TWO, "attempt-2", SEALED)
    node.chokes_on = ONE
    await numbers.tell()
    assert [one.ticket for one in node.told] == [TWO]
    node.chokes_on = ""
    await numbers.tell()
    assert [one.ticket for one in node.told] == [TWO, ONE]


async def test_a_number_that_the_node_does_not_know_any_more_is_not_given(
    numbers: Numbers, node: Node
) -> None:
    """Its database may be a copy of before."""
    await numbers.lease()
    await numbers.give(ONE, "attempt-1", SEALED)
    node.numbers = []
    await numbers.lease()
    assert await numbers.offer("market", "attempt-2") is None
    await numbers.tell()
    assert [one.ticket for one in node.told] == [ONE], "what was given is told all the same"


async def test_given_is_given_after_a_kill(
    numbers: Numbers, journal: Journal, node: Node, clock: FakeClock, tmp_path: Path
) -> None:
    await numbers.lease()
    given_ms = await numbers.give(ONE, "attempt-1", SEALED)
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as after:
        again = Numbers(after, node, clock, of_each=2, changed=lambda _services: None)
        assert await again.give(ONE, "attempt-1", SEALED) == given_ms
        assert await again.offer("market", "attempt-2") == node.numbers[1]


async def test_it_leases_tells_and_fills_up_by_itself(
    numbers: Numbers, node: Node, clock: FakeClock
) -> None:
    node.away = True
    running = asyncio.create_task(numbers.run())
    async with asyncio.timeout(20):
        await clock.until_sleeping()
        node.away = False
        clock.advance(60.0)
        while not numbers.services:  # noqa: ASYNC110  # its loop sets no event
            await asyncio.sleep(0)
        await numbers.give(ONE, "attempt-1", SEALED)
        while not node.told:  # noqa: ASYNC110  # its loop sets no event
            await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
