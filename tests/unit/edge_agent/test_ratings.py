"""Ratings on the machine: on the disk before anybody is thanked, gone when the node has them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge_agent.api import rating_handlers
from edge_agent.ratings import SCHEMA, Ratings
from hallkit.errors import LinkDown, WireError
from hallkit.model.ids import new_id
from hallkit.runtime.journal import Journal
from hallkit.wire import agent_bus as bus
from hallkit.wire.ratings_api import OfflineRating, OfflineRatings, OfflineRatingsTaken
from tests.fakes.clock import FakeClock

ONE, TWO = sorted((new_id(), new_id()))
SEALED = b"sealed"
DAY_S = 24 * 3600


class Node:
    """Takes what was kept; or is away, or refuses, or dies before it has answered."""

    def __init__(self) -> None:
        self.away = False
        self.answer_is_lost = False
        self.refuses: dict[str, str] = {}
        self.told: list[OfflineRating] = []
        self.heard = asyncio.Event()

    async def take_offline(self, given: OfflineRatings) -> OfflineRatingsTaken:
        if self.away:
            raise LinkDown("away")
        taken = tuple(one.rating for one in given.ratings if one.rating not in self.refuses)
        self.told += [one for one in given.ratings if one.rating in taken]
        if self.answer_is_lost:
            raise LinkDown("died")
        self.heard.set()
        refused = {
            one.rating: self.refuses[one.rating]
            for one in given.ratings
            if one.rating in self.refuses
        }
        return OfflineRatingsTaken(taken=taken, refused=refused)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as opened:
        yield opened


@pytest.fixture
def ratings(journal: Journal, node: Node, clock: FakeClock) -> Ratings:
    return Ratings(journal, node, clock)


async def kept(journal: Journal) -> list[str]:
    rows = await journal.read(lambda db: db.execute("select rating from ratings").fetchall())
    return [row["rating"] for row in rows]


async def test_what_was_given_is_told_and_forgotten(
    ratings: Ratings, journal: Journal, node: Node
) -> None:
    await ratings.give(ONE, SEALED)
    await ratings.tell()
    assert node.told == [OfflineRating(rating=ONE, sealed=SEALED)]
    assert await kept(journal) == []


async def test_the_same_attempt_is_one_rating_as_it_was_first(
    ratings: Ratings, journal: Journal, node: Node, clock: FakeClock
) -> None:
    first_ms = await ratings.give(ONE, SEALED)
    clock.advance(5)
    assert await ratings.give(ONE, b"another") == first_ms
    await ratings.tell()
    assert [one.sealed for one in node.told] == [SEALED]


async def test_it_is_kept_until_the_node_has_said_that_it_has_it(
    ratings: Ratings, journal: Journal, node: Node
) -> None:
    await ratings.give(ONE, SEALED)
    for trouble in ("away", "answer_is_lost"):
        setattr(node, trouble, True)
        with pytest.raises(LinkDown):
            await ratings.tell()
        assert await kept(journal) == [ONE]
        setattr(node, trouble, False)
    await ratings.tell()
    assert {one.rating for one in node.told} == {ONE}, "told twice, under one key"
    assert await kept(journal) == []


async def test_it_outlives_a_kill(
    ratings: Ratings, node: Node, clock: FakeClock, tmp_path: Path
) -> None:
    given_ms = await ratings.give(ONE, SEALED)
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as after:
        again = Ratings(after, node, clock)
        assert await again.give(ONE, SEALED) == given_ms
        await again.tell()
    assert [one.rating for one in node.told] == [ONE]


async def test_that_it_exists_is_the_last_word_and_other_refusals_are_not(
    ratings: Ratings, journal: Journal, node: Node
) -> None:
    await ratings.give(ONE, SEALED)
    await ratings.give(TWO, SEALED)
    node.refuses = {ONE: "rating_exists", TWO: "rating_not_yet"}
    await ratings.tell()
    assert await kept(journal) == [TWO]
    node.refuses = {}
    await ratings.tell()
    assert [one.rating for one in node.told] == [TWO]
    assert await kept(journal) == []


async def test_what_is_refused_for_a_month_goes(
    ratings: Ratings, journal: Journal, node: Node, clock: FakeClock
) -> None:
    await ratings.give(ONE, SEALED)
    node.refuses = {ONE: "rating_not_yet"}
    clock.advance(30 * DAY_S)
    await ratings.tell()
    assert await kept(journal) == [ONE]
    clock.advance(1)
    await ratings.tell()
    assert await kept(journal) == []


async def test_many_are_told_in_batches_the_first_first(
    ratings: Ratings, node: Node, clock: FakeClock
) -> None:
    names = [new_id() for _ in range(30)]
    for name in names:
        await ratings.give(name, SEALED)
        clock.advance(1)
    await ratings.tell()
    assert [one.rating for one in node.told] == names


async def test_by_itself_it_tells_at_once_and_again_after_a_fault(
    ratings: Ratings, node: Node, clock: FakeClock
) -> None:
    running = asyncio.create_task(ratings.run())
    async with asyncio.timeout(20):
        await clock.until_sleeping()
        await ratings.give(ONE, SEALED)
        await node.heard.wait()
        node.heard.clear()
        node.away = True
        await ratings.give(TWO, SEALED)
        while not node.heard.is_set():
            await clock.until_sleeping()
            node.away = False
            clock.advance(60)
            await asyncio.sleep(0)
    assert [one.rating for one in node.told] == [ONE, TWO]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_application_gives_it_by_its_own_id(ratings: Ratings, journal: Journal) -> None:
    give = rating_handlers(ratings)[bus.RATING_GIVE]
    wanted = bus.RatingGive(rating=ONE, sealed=SEALED).model_dump(mode="json")
    answer = await give(wanted, None)  # type: ignore[arg-type]  # who asks does not matter
    assert isinstance(answer, bus.RatingKept)
    assert await kept(journal) == [ONE]
    with pytest.raises(WireError):
        await give(wanted | {"rating": "138 1234 5678"}, None)  # type: ignore[arg-type]
