"""The page of who goes to people that call for help: what rings, who goes, what they get to see."""

from __future__ import annotations

import pytest

from affairs.help.bell import Bell
from affairs.help.calling import HelpCalls
from affairs.help.ringing import Ringing
from affairs.help.rules import HelpRules
from affairs.staff.rights import Role
from affairs.store import Store
from hallkit.lexicon.words import words
from hallkit.model.help import HelpOutcome, HelpReason
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import Applicant
from hallkit.wire.help_api import HelpRequest, SessionSoFar
from tests.unit.affairs.hall import APPLICANT, DEVICE, ITEM, NAME, NUMBER
from tests.unit.affairs.staff_place import Place, Visitor

SO_FAR = SessionSoFar(
    item=ITEM,
    answers={"what": "meals"},
    materials=("card",),
    applicant=Applicant.model_validate(APPLICANT),
    screen="materials",
)


@pytest.fixture
async def guide(place: Place) -> Visitor:
    await place.add("daofu", Role.GUIDE)
    found = await place.visitor("daofu")
    await found.get("/help")
    return found


async def rings(help_calls: HelpCalls, *, device: str = DEVICE) -> str:
    wanted = HelpRequest(reason=HelpReason.ELDERLY, session=SO_FAR)
    return (await help_calls.call(wanted, device=device, key=new_id())).call


async def does(visitor: Visitor, call: str, do: str, **more: str) -> dict[str, object]:
    return await visitor.orders(f"/help/{call}/orders", do, **more)


async def test_a_call_rings_with_place_and_reason_and_says_nothing_of_the_person(
    guide: Visitor, help_calls: HelpCalls
) -> None:
    assert "data-call=" not in guide.page
    call = await rings(help_calls)
    page = (await guide.get("/help")).text
    assert "<title>(1) " in page
    for seen in (f'data-call="{call}"', DEVICE, "老年人在办", words()("staff.help.do.acknowledge")):
        assert seen in page
    for hidden in (NAME, NUMBER, "002X", "做餐饮"):
        assert hidden not in page


async def test_the_loudest_stands_first(
    place: Place, guide: Visitor, help_calls: HelpCalls, store: Store, bell: Bell
) -> None:
    first = await rings(help_calls)
    await place.clock.sleep(31)
    await Ringing(store, rules=HelpRules(), bell=bell, clock=place.clock).look()
    second = await rings(help_calls, device="robot-01")
    page = (await guide.get("/help")).text
    assert page.index(first) < page.index(second)
    assert words()("staff.help.reach.supervisors", level=2) in page


async def test_who_goes_sees_what_was_done_and_every_step_is_noted_once(
    place: Place, guide: Visitor, help_calls: HelpCalls
) -> None:
    call = await rings(help_calls)
    key = new_id()
    assert (await does(guide, call, "acknowledge", key=key))["ok"]
    assert (await does(guide, call, "acknowledge", key=key))["ok"], "one press, told twice"
    assert (await help_calls.status(call, device=DEVICE)).helper == "<daofu>"
    page = (await guide.get("/help")).text
    for seen in ("您要卖什么", "做餐饮", "身份证", "开小吃店", "002X", "看要带的材料"):
        assert seen in page
    assert NUMBER not in page
    assert NAME not in page
    await guide.get("/help")
    assert (await does(guide, call, "there"))["ok"]
    assert (await does(guide, call, "done", outcome=HelpOutcome.SOLVED.value))["ok"]
    assert call not in (await guide.get("/help")).text
    assert await place.noted("help.seen") == [("help.seen", call, {})]
    assert [detail for _, subject, detail in await place.noted("help.order")] == [
        {"help": "acknowledge"},
        {"help": "there"},
        {"help": "done", "outcome": "solved"},
    ]


async def test_the_whole_number_is_shown_on_request_and_each_look_is_noted(
    place: Place, guide: Visitor, help_calls: HelpCalls
) -> None:
    call = await rings(help_calls)
    refused = await guide.post(f"/help/{call}/identity", script=True)
    assert refused.status_code == 409
    await does(guide, call, "acknowledge")
    told = await guide.post(f"/help/{call}/identity", script=True)
    assert told.json() == {"ok": True, "name": NAME, "number": NUMBER}
    assert NUMBER in (await guide.post(f"/help/{call}/identity")).text
    assert NUMBER not in (await guide.get("/help")).text
    assert await place.noted("identity.seen") == [("identity.seen", call, {})] * 2


async def test_the_second_who_presses_is_told_and_sees_nothing(
    place: Place, guide: Visitor, help_calls: HelpCalls
) -> None:
    call = await rings(help_calls)
    await place.add("zhiban", Role.SUPERVISOR)
    second = await place.visitor("zhiban")
    await second.get("/help")
    assert (await does(guide, call, "acknowledge"))["ok"]
    told = await does(second, call, "acknowledge")
    assert (told["ok"], told["title"]) == (False, "这次呼叫现在不能这样处理")
    page = (await second.get("/help")).text
    assert words()("staff.help.going", name="&lt;daofu&gt;") in page
    assert "做餐饮" not in page
    assert (await second.post(f"/help/{call}/identity", script=True)).status_code == 409
    assert len(await place.noted("help.order")) == 1
    assert not await place.noted("identity.seen")


async def test_who_cannot_come_hands_back_and_it_rings_for_the_others(
    guide: Visitor, help_calls: HelpCalls
) -> None:
    call = await rings(help_calls)
    await does(guide, call, "acknowledge")
    assert (await does(guide, call, "hand_back"))["ok"]
    page = (await guide.get("/help")).text
    assert f'id="acknowledge-{call}"' in page
    assert "做餐饮" not in page


@pytest.mark.parametrize(
    ("do", "more"), [("dance", {}), ("done", {}), ("done", {"outcome": "forgotten"})]
)
async def test_an_order_that_makes_no_sense_changes_nothing(
    place: Place, guide: Visitor, help_calls: HelpCalls, do: str, more: dict[str, str]
) -> None:
    call = await rings(help_calls)
    await does(guide, call, "acknowledge")
    told = await does(guide, call, do, **more)
    assert (told["ok"], told["title"]) == (False, "提交的内容不完整或格式不对")
    assert len(await place.noted("help.order")) == 1


async def test_without_a_script_the_page_says_what_was_in_the_way(
    guide: Visitor, help_calls: HelpCalls
) -> None:
    call = await rings(help_calls)
    answer = await guide.post(f"/help/{call}/orders", do="there", key=new_id())
    assert answer.headers["location"] == "/help?said=help_not_so"
    assert "这次呼叫现在不能这样处理" in (await guide.get("/help?said=help_not_so")).text


async def test_every_reason_outcome_and_level_has_words() -> None:
    for reason in HelpReason:
        assert words().has(f"staff.help.reason.{reason.value}")
    for outcome in HelpOutcome:
        assert words().has(f"staff.help.outcome.{outcome.value}") or outcome == "forgotten"
