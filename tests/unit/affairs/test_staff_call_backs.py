"""The supervisor's panels, and 差评回访: who takes it reads it, and what came of it is kept."""

from __future__ import annotations

import pytest

from affairs.help.calling import HelpCalls
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.giving import Rater, Ratings
from affairs.staff.rights import Role
from hallkit.lexicon.words import words
from hallkit.model.help import HelpReason
from hallkit.model.ids import new_id
from hallkit.model.rating import (
    CallBackResult,
    RatedKind,
    RatingChannel,
    RatingLevel,
    RatingTag,
)
from hallkit.wire.help_api import HelpRequest
from hallkit.wire.ratings_api import RatedSubject, RatingRequest
from tests.unit.affairs.hall import DEVICE
from tests.unit.affairs.staff_place import Place, Visitor

WORDS = "窗口的人让我跑了三趟"
PHONE = "13800000000"
NOON_MS = 1_735_790_400_000
"""Now, by the clock of these tests."""
REPORT = "打电话道了歉，材料改为一次告知"


@pytest.fixture
async def supervisor(place: Place) -> Visitor:
    await place.add("zhiban", Role.SUPERVISOR)
    found = await place.visitor("zhiban")
    await found.get("/call-backs")
    return found


async def rated(ratings: Ratings, level: RatingLevel = RatingLevel.DISSATISFIED) -> None:
    request = RatingRequest(
        subject=RatedSubject(kind=RatedKind.VISIT, id=new_id()),
        level=level,
        tags=(RatingTag.SLOW,) if level.is_bad else (),
        words=WORDS if level.is_bad else "",
        channel=RatingChannel.TERMINAL,
        rated_at_ms=NOON_MS,
        contact=PHONE if level.is_bad else "",
    )
    await ratings.give(request, rater=Rater(DEVICE), key=new_id())


async def the_bad_one(ratings: Ratings, call_backs: CallBacks) -> str:
    await rated(ratings)
    (only,) = await call_backs.listed()
    return only.rating


async def does(visitor: Visitor, rating: str, do: str, **more: str) -> dict[str, object]:
    return await visitor.orders(f"/call-backs/{rating}/orders", do, **more)


async def test_the_panels_say_what_rings_what_is_owed_and_what_people_thought(
    supervisor: Visitor, help_calls: HelpCalls, ratings: Ratings
) -> None:
    empty = (await supervisor.get("/hall")).text
    assert "data-panel=" not in empty
    await help_calls.call(HelpRequest(reason=HelpReason.FAULT), device=DEVICE, key=new_id())
    await rated(ratings)
    await rated(ratings, RatingLevel.VERY_SATISFIED)
    page = (await supervisor.get("/hall")).text
    for seen in (
        words()("staff.help.reason.fault"),
        words()("staff.help.reach.helpers", level=1),
        "一共 2 条，满意率 50%",
        "不满意 1 条",
        "/call-backs",
    ):
        assert seen in page
    for hidden in (WORDS, PHONE):
        assert hidden not in page


async def test_a_late_call_back_is_marked(
    place: Place, supervisor: Visitor, ratings: Ratings, call_backs: CallBacks
) -> None:
    await rated(ratings)
    await place.clock.sleep(20 * 24 * 3600)
    await call_backs.see_overdue()
    again = await place.visitor("zhiban")
    for path in ("/hall", "/call-backs"):
        page = (await again.get(path)).text
        assert "过期了" in page
        assert 'data-tone="fault"' in page


async def test_only_who_took_it_reads_words_and_telephone_and_that_is_noted_once(
    place: Place, supervisor: Visitor, ratings: Ratings, call_backs: CallBacks
) -> None:
    rating = await the_bad_one(ratings, call_backs)
    page = (await supervisor.get("/call-backs")).text
    assert words()("rating.tag.slow") in page
    assert WORDS not in page
    assert (await does(supervisor, rating, "take"))["ok"]
    page = (await supervisor.get("/call-backs")).text
    assert WORDS in page
    assert PHONE in page
    await supervisor.get("/call-backs")
    assert await place.noted("call_back.seen") == [("call_back.seen", rating, {})]
    await place.add("second", Role.SUPERVISOR)
    second = await place.visitor("second")
    page = (await second.get("/call-backs")).text
    assert "&lt;zhiban&gt;" in page
    assert WORDS not in page
    told = await does(second, rating, "take")
    assert (told["ok"], told["title"]) == (False, "这件回访现在不能这样处理")


async def test_what_came_of_it_is_kept_with_words_and_the_log_has_neither(
    place: Place, supervisor: Visitor, ratings: Ratings, call_backs: CallBacks
) -> None:
    rating = await the_bad_one(ratings, call_backs)
    await does(supervisor, rating, "take")
    assert (await does(supervisor, rating, "give_back"))["ok"]
    await does(supervisor, rating, "take")
    for missing in ({}, {"result": "solved"}, {"result": "never", "words": REPORT}):
        assert not (await does(supervisor, rating, "done", **missing))["ok"]
    key = new_id()
    for _ in range(2):
        done = {"result": CallBackResult.SOLVED.value, "words": REPORT}
        assert (await does(supervisor, rating, "done", key=key, **done))["ok"]
    (kept,) = await call_backs.listed(done_since_ms=0)
    assert kept.result is CallBackResult.SOLVED
    assert [detail for _, _, detail in await place.noted("call_back.order")] == [
        {"call_back": "take"},
        {"call_back": "give_back"},
        {"call_back": "take"},
        {"call_back": "done", "result": "solved"},
    ]
    rows = str(await place.noted())
    for personal in (WORDS, PHONE, REPORT):
        assert personal not in rows
    page = (await supervisor.get("/call-backs")).text
    assert words()("staff.call_backs.results.solved") in page


async def test_the_log_can_be_read_with_every_kind_of_order_in_it(
    place: Place, supervisor: Visitor, ratings: Ratings, call_backs: CallBacks
) -> None:
    rating = await the_bad_one(ratings, call_backs)
    await does(supervisor, rating, "take")
    await place.add("shenji", Role.AUDITOR)
    page = (await (await place.visitor("shenji")).get("/audit")).text
    assert words()("staff.call_backs.do.take") in page
