"""The case of whoever is at a window: what the clerk sees, what they may do, what is noted."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from affairs.cases.office import Office
from affairs.cases.tables import cases
from affairs.queue.issuing import Queue
from affairs.staff.rights import Role
from affairs.store import Store
from hallkit.lexicon.words import words
from hallkit.model.case import CaseState
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import TicketRequest
from hallkit.wire.cases_api import CaseApplicant, CaseContent, CaseDraft, HoldingsConsent
from tests.fakes.rule_pack import PHONE
from tests.unit.affairs.hall import DEVICE
from tests.unit.affairs.staff_place import Place, Visitor

WINDOW = 31
YOUNG = "510682199001010015"
"""Made up, with the right check digits; too young, so that the rules refuse at once."""
NAME = "诸葛什邡"
HERE = "四川省什邡市方亭街道示例路1号"
CONTENT = CaseContent(
    item="senior-card",
    answers={"who": "self"},
    applicant=CaseApplicant(name=NAME, number=YOUNG, read="card", address=HERE, phone=PHONE),
)


@pytest.fixture
async def clerk(place: Place) -> Visitor:
    """Somebody who stands at window 31."""
    await place.add("xiaoman", Role.WINDOW)
    found = await place.visitor("xiaoman")
    await found.stand(WINDOW)
    assert (await found.order(WINDOW, "open"))["ok"]
    return found


async def refused_at_once(office: Office) -> str:
    """A case that the rules refused: its number for the window waits."""
    case = await office.drafts.open(CONTENT, device=DEVICE, key=new_id())
    draft = CaseDraft(revision=case.revision, content=CONTENT)
    await office.submissions.submit(case.case, draft, device=DEVICE, key=new_id())
    return case.case


async def called(clerk: Visitor) -> str:
    assert (await clerk.order(WINDOW, "next"))["ok"]
    return (await clerk.get(f"/windows/{WINDOW}")).text


async def does(clerk: Visitor, case: str, do: str, **more: str) -> dict[str, object]:
    return await clerk.orders(f"/windows/{WINDOW}/case", do, case=case, **more)


async def test_the_clerk_sees_state_values_sources_points_and_why_not_at_once(
    place: Place, clerk: Visitor, office: Office
) -> None:
    case = await refused_at_once(office)
    page = await called(clerk)
    for seen in (
        words()("staff.file.state.submitted"),
        HERE,
        words()("staff.file.source.card"),
        words()("staff.file.source.said"),
        "户口簿",
        "白底，五官清楚",
        "age不好。",
        "去补age。",
    ):
        assert seen in page
    assert NAME not in page
    assert YOUNG not in page
    await clerk.get(f"/windows/{WINDOW}")
    noted = [one for one in await place.noted("case.seen") if one[1] == case]
    assert noted == [("case.seen", case, {"window": WINDOW})]


async def test_only_what_the_state_allows_can_be_pressed(clerk: Visitor, office: Office) -> None:
    case = await refused_at_once(office)
    page = await called(clerk)
    for state, allowed in (
        ("", {"accept", "return"}),
        ("accept", {"approve", "return", "refuse"}),
        ("approve", {"deliver"}),
        ("deliver", set()),
    ):
        if state:
            assert (await does(clerk, case, state))["ok"]
            page = (await clerk.get(f"/windows/{WINDOW}")).text
        shown = {
            do
            for do in ("accept", "return", "approve", "refuse", "deliver")
            if f'id="case-{do}"' in page
        }
        assert shown == allowed


async def test_each_press_is_one_row_in_the_log_and_one_order(
    place: Place, clerk: Visitor, office: Office
) -> None:
    case = await refused_at_once(office)
    await called(clerk)
    key = new_id()
    assert (await does(clerk, case, "accept", key=key))["ok"]
    assert (await does(clerk, case, "accept", key=key))["ok"]
    assert await place.noted("case.order") == [
        ("case.order", case, {"window": WINDOW, "case": "accept"})
    ]


async def test_a_return_needs_its_reason_and_the_applicant_hears_it(
    place: Place, clerk: Visitor, office: Office
) -> None:
    case = await refused_at_once(office)
    await called(clerk)
    told = await does(clerk, case, "return", words=" ")
    assert (told["ok"], told["title"]) == (False, "没有写明原因")
    assert not await place.noted("case.order")
    assert (await does(clerk, case, "return", words="照片不清楚"))["ok"]
    outcome = await office.submissions.outcome(case)
    assert outcome.state is CaseState.RETURNED
    assert [one.text for one in outcome.reasons] == ["照片不清楚"]
    assert "照片不清楚" in (await clerk.get(f"/windows/{WINDOW}")).text
    assert "照片" not in str(await place.noted())


async def test_what_was_ticked_is_kept_for_next_time_if_they_consented(
    clerk: Visitor, office: Office
) -> None:
    await office.shelf.consent(
        HoldingsConsent(number=YOUNG, consent=True), device=DEVICE, key=new_id()
    )
    case = await refused_at_once(office)
    await called(clerk)
    assert (await does(clerk, case, "accept", **{"seen.book": "yes", "seen.photo": "yes"}))["ok"]
    at_window = await office.counter.case(WINDOW)
    assert at_window is not None
    assert [one.kind for one in at_window.held] == ["household_book"]


async def test_an_order_that_comes_late_says_so_and_changes_nothing(
    place: Place, clerk: Visitor, office: Office, queue: Queue
) -> None:
    case = await refused_at_once(office)
    await queue.issue(TicketRequest(item="senior-card"), device=DEVICE, key=new_id())
    page = await called(clerk)
    assert 'id="case-accept"' in page
    assert (await does(clerk, case, "deliver"))["title"] == "这个办件现在不能这样操作"
    ticket = (await office.submissions.outcome(case)).ticket
    assert ticket is not None
    await clerk.order(WINDOW, "skip", ticket=ticket.id)
    page = await called(clerk)
    assert 'id="case-accept"' not in page
    assert (await does(clerk, case, "accept"))["title"] == "窗口上的号票不是这个办件的"
    assert not await place.noted("case.order")


async def test_who_was_relieved_gives_no_orders_and_sees_no_case(
    place: Place, clerk: Visitor, office: Office
) -> None:
    case = await refused_at_once(office)
    await called(clerk)
    await place.add("lixia", Role.WINDOW)
    second = await place.visitor("lixia")
    await second.stand(WINDOW, take_over="yes")
    told = await does(clerk, case, "accept")
    assert (told["ok"], told["title"]) == (False, words()("staff.not_standing_title"))
    assert (await office.submissions.outcome(case)).state is CaseState.SUBMITTED
    assert HERE not in (await clerk.get(f"/windows/{WINDOW}")).text


async def test_a_case_that_cannot_be_opened_is_not_passed_over_in_silence(
    clerk: Visitor, office: Office, store: Store
) -> None:
    case = await refused_at_once(office)
    emptied = sa.update(cases).where(cases.c.id == case).values(content=b"")
    await store.transaction(lambda one: one.execute(emptied))
    page = await called(clerk)
    assert words()("staff.file.shut") in page
    assert 'id="case-accept"' not in page


async def test_what_stands_behind_a_mask_is_told_with_the_whole_number(
    place: Place, clerk: Visitor, office: Office
) -> None:
    case = await refused_at_once(office)
    await called(clerk)
    ticket = (await office.submissions.outcome(case)).ticket
    assert ticket is not None
    told = await clerk.post(f"/windows/{WINDOW}/identity", script=True, ticket=ticket.id)
    assert told.json()["fields"] == {"name": NAME}
    assert NAME in (await clerk.post(f"/windows/{WINDOW}/identity", ticket=ticket.id)).text
    assert len(await place.noted("identity.seen")) == 2
