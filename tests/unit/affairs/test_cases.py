"""Cases: begun here, carried on there, decided at once or by a person, found by their owner."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from affairs.cases.drafts import CODE_MS
from affairs.cases.facts import HeldLicence
from affairs.cases.office import Office
from affairs.cases.progress import LOCKED_MS, WRONG_LIMIT, WRONG_LIMIT_OF_DEVICE
from affairs.cases.standing import Standings
from affairs.cases.submitting import LEFT_MS, promised_by
from affairs.cases.tables import cases, decisions, pushes
from affairs.decisions import Decisions
from affairs.problems import ProblemCode, Refused
from affairs.queue.calling import Windows
from affairs.queue.issuing import Queue
from affairs.ratings.giving import CaseStanding
from affairs.sealing import Sealer
from affairs.store import Store, tickets
from hallkit.model.case import CaseState, HandedIn, case_number, case_number_is_valid
from hallkit.model.decision import NoAnswer, SourceKind, Verdict
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import TicketRequest, WindowOrder
from hallkit.wire.cases_api import (
    Case,
    CaseApplicant,
    CaseContent,
    CaseDraft,
    CaseMaterial,
    CaseOfPerson,
    CaseOrder,
    CaseOutcome,
    CaseQuery,
    CasesFound,
    ContinuationCode,
    Holding,
    HoldingsConsent,
    HoldingsForget,
    SeenMaterial,
)
from tests.fakes.licences import FakeLicences
from tests.fakes.matters import PROMISED, SENIOR, WITH_PUSH, FakeMatters
from tests.fakes.rule_pack import PHONE
from tests.fakes.upstreams import FakeUpstreams
from tests.unit.affairs.hall import DEVICE, SettableClock

OTHER_DEVICE = "robot-01"
ID_NUMBER = "510682194001010012"
YOUNG = "510682199001010015"
"""Made up, with the right check digits."""
WINDOW = "window-31"
NAME = "诸葛什邡"
HERE = "四川省什邡市方亭街道示例路1号"
APPLICANT = CaseApplicant(name=NAME, number=ID_NUMBER, read="card", address=HERE, phone=PHONE)
CONTENT = CaseContent(
    item="senior-card", answers={"who": "self"}, applicant=APPLICANT, visit="visit-1"
)
PROMISED_CONTENT = CaseContent(
    item=PROMISED.catalog_code,
    answers={"place": "own"},
    applicant=APPLICANT,
)


async def opened(office: Office, content: CaseContent = CONTENT) -> Case:
    return await office.drafts.open(content, device=DEVICE, key=new_id())


async def look_up(office: Office, query: CaseQuery, device: str = DEVICE) -> CasesFound:
    return await office.progress.find(query, device=device)


async def submitted(
    office: Office, content: CaseContent = CONTENT, key: str = "submit-1"
) -> CaseOutcome:
    case = await opened(office, content)
    return await submit(office, case, content, key)


async def submit(
    office: Office, case: Case, content: CaseContent = CONTENT, key: str = "submit-1"
) -> CaseOutcome:
    draft = CaseDraft(revision=case.revision, content=content)
    return await office.submissions.submit(case.case, draft, device=DEVICE, key=key)


def refused(code: ProblemCode) -> Any:
    return pytest.raises(Refused, match=f"^{code.value}$")


def by_person(case: Case) -> CaseOfPerson:
    return CaseOfPerson(case=case.case, number=ID_NUMBER)


# ── Drafts ───────────────────────────────────────────────────────────────────────────────────


async def test_a_new_case_brings_what_is_known_and_says_from_where(office: Office) -> None:
    case = await opened(office)
    assert case.state is CaseState.DRAFT
    assert case_number_is_valid(case.number)
    told = {one.field: (one.value, one.source.kind, one.editable) for one in case.prefilled}
    assert told == {
        "name": (NAME, SourceKind.CARD, False),
        "home": (HERE, SourceKind.CARD, True),
        "phone": (PHONE, SourceKind.SAID, True),
    }


async def test_what_is_typed_is_not_told_as_read_from_a_card(office: Office) -> None:
    typed = CONTENT.model_copy(update={"applicant": APPLICANT.model_copy(update={"read": "said"})})
    case = await opened(office, typed)
    assert {one.source.kind for one in case.prefilled} == {SourceKind.SAID}


async def test_the_same_key_is_the_same_case(office: Office) -> None:
    first = await office.drafts.open(CONTENT, device=DEVICE, key="open-0001")
    assert await office.drafts.open(CONTENT, device=DEVICE, key="open-0001") == first
    with refused(ProblemCode.KEY_REUSED):
        await office.drafts.open(PROMISED_CONTENT, device=DEVICE, key="open-0001")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"item": "nobody-knows-it"}, ProblemCode.ITEM_UNKNOWN),
        ({"answers": {"what": "else"}}, ProblemCode.REQUEST_INVALID),
        ({"answers": {"who": "nobody"}}, ProblemCode.REQUEST_INVALID),
    ],
)
async def test_what_the_item_does_not_ask_is_refused(
    office: Office, changed: dict[str, Any], code: ProblemCode
) -> None:
    with refused(code):
        await opened(office, CONTENT.model_copy(update=changed))


async def test_a_draft_is_changed_by_whoever_has_read_it_last(office: Office) -> None:
    case = await opened(office)
    content = CONTENT.model_copy(update={"values": {"phone": "13900000000"}})
    draft = CaseDraft(revision=case.revision, content=content)
    saved = await office.drafts.save(case.case, draft, device=DEVICE, key="save-0001")
    assert saved.content.values == {"phone": "13900000000"}
    assert await office.drafts.save(case.case, draft, device=DEVICE, key="save-0001") == saved
    with refused(ProblemCode.CASE_CHANGED):
        await office.drafts.save(case.case, draft, device=DEVICE, key="save-0002")
    assert await office.drafts.at(case.case, device=DEVICE) == saved


async def test_the_disk_shows_nothing_of_the_person(office: Office, store: Store) -> None:
    await submitted(office)
    rows = await store.transaction(
        lambda connection: [
            *connection.execute(sa.select(cases)),
            *connection.execute(sa.select(decisions)),
        ]
    )
    told = repr(
        [bytes(value) if isinstance(value, bytes) else value for row in rows for value in row]
    )
    assert len(rows) == 2
    for personal in (ID_NUMBER, NAME, PHONE, HERE):
        assert personal not in told
        assert repr(personal.encode())[2:-1] not in told


# ── From one machine to the next ─────────────────────────────────────────────────────────────


async def test_a_code_opens_the_case_elsewhere_once(office: Office) -> None:
    case = await opened(office)
    told = await office.drafts.hand_over(case.case, device=DEVICE, key="hand-0001")
    assert await office.drafts.hand_over(case.case, device=DEVICE, key="hand-0001") == told
    code = ContinuationCode(code=told.code)
    there = await office.drafts.redeem(code, device=OTHER_DEVICE, key="redeem-01")
    assert there.content == CONTENT
    assert await office.drafts.redeem(code, device=OTHER_DEVICE, key="redeem-01") == there
    with refused(ProblemCode.CONTINUATION_USED):
        await office.drafts.redeem(code, device=OTHER_DEVICE, key="redeem-02")
    with refused(ProblemCode.CASE_ELSEWHERE):
        await office.drafts.at(case.case, device=DEVICE)


async def test_of_many_who_scan_one_code_at_once_one_gets_the_case(office: Office) -> None:
    case = await opened(office)
    told = await office.drafts.hand_over(case.case, device=DEVICE, key="hand-0001")
    tries = [
        office.drafts.redeem(ContinuationCode(code=told.code), device=f"form-{n}", key=new_id())
        for n in range(10)
    ]
    got = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, Case) for one in got) == 1


async def test_a_code_is_good_for_minutes(office: Office, clock: SettableClock) -> None:
    case = await opened(office)
    told = await office.drafts.hand_over(case.case, device=DEVICE, key="hand-0001")
    await clock.sleep(CODE_MS / 1000)
    with refused(ProblemCode.CONTINUATION_UNKNOWN):
        await office.drafts.redeem(
            ContinuationCode(code=told.code), device=OTHER_DEVICE, key="redeem-01"
        )


async def test_a_made_up_code_opens_nothing(office: Office) -> None:
    await opened(office)
    with refused(ProblemCode.CONTINUATION_UNKNOWN):
        await office.drafts.redeem(
            ContinuationCode(code="HK1.C.AAAA"), device=DEVICE, key="redeem-01"
        )


async def test_the_card_carries_a_case_on_and_another_card_does_not(office: Office) -> None:
    case = await opened(office)
    there = await office.drafts.resume(by_person(case), device=OTHER_DEVICE, key="resume-01")
    assert there.content == CONTENT
    stranger = CaseOfPerson(case=case.case, number="11010519491231002X")
    with refused(ProblemCode.CASE_UNKNOWN):
        await office.drafts.resume(stranger, device=DEVICE, key="resume-02")


async def test_who_withdraws_is_forgotten(office: Office) -> None:
    case = await opened(office)
    told = await office.drafts.withdraw(by_person(case), device=DEVICE, key="withdraw1")
    assert told.state is CaseState.WITHDRAWN
    assert (await look_up(office, CaseQuery(number=ID_NUMBER))).cases == ()
    with refused(ProblemCode.CASE_UNKNOWN):
        await office.drafts.resume(by_person(case), device=DEVICE, key="resume-01")


# ── Submission ───────────────────────────────────────────────────────────────────────────────


async def test_an_instant_item_is_decided_at_once_with_a_licence(
    office: Office, licences: FakeLicences
) -> None:
    outcome = await submitted(office)
    assert (outcome.state, outcome.verdict) == (CaseState.DECIDED, Verdict.APPROVED), (
        outcome.reasons
    )
    assert outcome.receipt is not None
    assert outcome.receipt.case == outcome.case
    assert outcome.ticket is None
    assert outcome.licences == (licences.issued[outcome.case][1],)


async def test_a_receipt_says_where_each_value_came_from(office: Office) -> None:
    outcome = await submitted(office)
    assert outcome.receipt is not None
    sources = {
        one.fact: one.source.kind
        for told in outcome.receipt.rules
        for one in told.compared
        if one.source is not None
    }
    assert sources["applicant.age"] is SourceKind.CARD
    assert sources["form.phone"] is SourceKind.SAID
    assert sources["upstream.civil_affairs.has_card"] is SourceKind.UPSTREAM
    assert ID_NUMBER not in outcome.receipt.model_dump_json()


async def test_submitting_again_under_its_key_is_the_same_outcome(
    office: Office, upstreams: FakeUpstreams
) -> None:
    case = await opened(office)
    first = await submit(office, case)
    asked = len(upstreams.asked)
    assert await submit(office, case) == first
    assert len(upstreams.asked) == asked
    with refused(ProblemCode.CASE_NOT_SO):
        await submit(office, case, key="submit-2")


async def test_many_submissions_of_one_case_at_once_are_one_decision(
    office: Office, store: Store
) -> None:
    case = await opened(office)
    told = await asyncio.gather(*(submit(office, case) for _ in range(8)))
    assert len({one.model_dump_json() for one in told}) == 1
    made = await store.transaction(
        lambda connection: connection.execute(
            sa.select(sa.func.count()).select_from(decisions)
        ).scalar_one()
    )
    assert made == 1


async def test_a_refusal_is_a_number_for_the_window_with_reasons_and_the_case(
    office: Office, upstreams: FakeUpstreams, windows: Windows
) -> None:
    young = APPLICANT.model_copy(update={"number": YOUNG})
    content = CONTENT.model_copy(update={"applicant": young})
    outcome = await submitted(office, content)
    assert (outcome.state, outcome.verdict) == (CaseState.SUBMITTED, Verdict.REFUSED)
    assert [(one.said, one.what_to_do) for one in outcome.reasons] == [("age不好。", "去补age。")]
    assert outcome.ticket is not None
    assert outcome.ticket.service == "civil"
    await windows.do(31, WindowOrder(do="open"), device=WINDOW, key="open-0001")
    await windows.do(31, WindowOrder(do="next"), device=WINDOW, key="next-0001")
    at_window = await office.counter.case(31)
    assert at_window is not None
    assert at_window.case == outcome.case
    assert at_window.content.values["name"] == NAME


@pytest.mark.parametrize("why", [NoAnswer.DOWN, NoAnswer.LATE])
async def test_a_system_that_fails_leads_to_the_window(
    office: Office, upstreams: FakeUpstreams, why: NoAnswer
) -> None:
    upstreams.fail("civil_affairs", why)
    outcome = await submitted(office)
    assert outcome.verdict is Verdict.TO_WINDOW
    assert [one.systems for one in outcome.reasons] == [("civil_affairs",)]
    assert outcome.ticket is not None


async def test_where_nobody_opens_any_more_today_the_way_is_told_without_a_number(
    office: Office, upstreams: FakeUpstreams, clock: SettableClock
) -> None:
    clock.now = dt.datetime(2025, 1, 4, 4, tzinfo=dt.UTC)  # a Saturday
    upstreams.fail("civil_affairs", NoAnswer.DOWN)
    outcome = await submitted(office)
    assert outcome.ticket is None
    assert outcome.way is not None
    assert outcome.way.service == "civil"


async def test_without_a_card_nothing_is_decided_at_once(office: Office) -> None:
    typed = CONTENT.model_copy(update={"applicant": APPLICANT.model_copy(update={"read": "said"})})
    with refused(ProblemCode.IDENTITY_NEEDED):
        await submitted(office, typed)
    with refused(ProblemCode.IDENTITY_NEEDED):
        await submitted(office, CONTENT.model_copy(update={"applicant": None}))


async def test_open_questions_are_answered_first(office: Office) -> None:
    with refused(ProblemCode.ANSWERS_MISSING):
        await submitted(office, CONTENT.model_copy(update={"answers": {}}))


async def test_what_is_wrong_in_the_form_is_told_field_by_field(office: Office) -> None:
    content = CONTENT.model_copy(update={"values": {"phone": "12", "name": "别人"}})
    with pytest.raises(Refused) as told:
        await submitted(office, content)
    assert told.value.problem_code is ProblemCode.FORM_INCOMPLETE
    assert [one.field for one in told.value.fields] == ["name", "phone"]
    assert "12" not in str([one.text for one in told.value.fields][1])


async def test_a_promised_item_waits_for_a_person_until_a_day(office: Office) -> None:
    outcome = await submitted(office, PROMISED_CONTENT)
    assert (outcome.state, outcome.verdict) == (CaseState.SUBMITTED, None)
    assert outcome.promised_by == dt.date(2025, 1, 9)


def test_working_days_leave_out_weekends() -> None:
    friday = dt.date(2025, 1, 3)
    assert promised_by(PROMISED.model_copy(update={"promise_day": 1}), friday) == dt.date(
        2025, 1, 6
    )
    calendar = PROMISED.model_copy(update={"promise_day": 1, "promise_type": "calendar"})
    assert promised_by(calendar, friday) == dt.date(2025, 1, 4)


async def test_what_a_crash_left_is_finished_and_is_the_same_decision(
    office: Office, store: Store, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await opened(office)

    async def cut(*_args: object, **_kwargs: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(Decisions, "decide", cut)
        with pytest.raises(asyncio.CancelledError):
            await submit(office, case)
    assert await office.submissions.finish_left() == 0  # somebody may still be at it
    await clock.sleep(LEFT_MS / 1000)
    assert await office.submissions.finish_left() == 1
    outcome = await submit(office, case)
    assert outcome.verdict is Verdict.APPROVED
    assert await office.submissions.finish_left() == 0


async def test_a_decision_that_was_kept_before_the_crash_stands(
    office: Office, clock: SettableClock, upstreams: FakeUpstreams, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await opened(office)

    def cut(*_args: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(type(office.submissions), "_settle", cut)
        with pytest.raises(asyncio.CancelledError):
            await submit(office, case)
    upstreams.fail("civil_affairs", NoAnswer.DOWN)  # would be another verdict now
    await clock.sleep(LEFT_MS / 1000)
    await office.submissions.finish_left()
    assert (await submit(office, case)).verdict is Verdict.APPROVED


async def test_other_systems_are_told_of_an_approval_until_they_have_heard(
    office: Office, upstreams: FakeUpstreams, store: Store, clock: SettableClock
) -> None:
    await submitted(office)
    upstreams.fail("civil_affairs", NoAnswer.DOWN)
    assert await office.submissions.push_owed() == 0
    assert await office.submissions.push_owed() == 0
    upstreams.mend("civil_affairs")
    await clock.sleep(10)
    assert await office.submissions.push_owed() == 1
    assert await office.submissions.push_owed() == 0
    owed = await store.transaction(lambda connection: connection.execute(sa.select(pushes)).all())
    assert owed == []


async def test_a_precheck_tells_before_the_form(office: Office, upstreams: FakeUpstreams) -> None:
    young = APPLICANT.model_copy(update={"number": YOUNG})
    content = CONTENT.model_copy(update={"applicant": young})
    upstreams.fail("population", NoAnswer.DOWN)
    told = await office.submissions.precheck(content, device=DEVICE, key="precheck1")
    assert [one.said for one in told.failed] == ["age不好。"]
    assert told.systems_down == ("population",)
    fine = await office.submissions.precheck(CONTENT, device=DEVICE, key="precheck2")
    assert fine.failed == ()


# ── At the window ────────────────────────────────────────────────────────────────────────────


async def at_window(office: Office, windows: Windows, queue: Queue, content: CaseContent) -> str:
    """A case whose applicant stands at window 12, by a number that says nothing of the case."""
    case = await opened(office, content)
    request = TicketRequest.model_validate(
        {
            "item": content.item,
            "applicant": {"name": NAME, "number": ID_NUMBER, "card_kind": "resident"},
        }
    )
    number = 31 if content.item == SENIOR.catalog_code else 12
    await queue.issue(request, device=OTHER_DEVICE, key=new_id())
    device = f"window-{number}"
    await windows.do(number, WindowOrder(do="open"), device=device, key="open-0001")
    await windows.do(number, WindowOrder(do="next"), device=device, key="next-0001")
    return case.case


async def order(office: Office, do: Any, case: str, window: int = 12, **more: Any) -> Case:
    wanted = CaseOrder(do=do, case=case, **more)
    return await office.counter.do(window, wanted, device=f"window-{window}", key=new_id())


async def test_the_card_brings_the_case_to_the_window(
    office: Office, windows: Windows, queue: Queue
) -> None:
    case_id = await at_window(office, windows, queue, PROMISED_CONTENT)
    accepted = await order(office, "accept", case_id)
    assert accepted.state is CaseState.ACCEPTED
    decided = await order(office, "approve", case_id)
    assert decided.state is CaseState.DECIDED
    assert (await order(office, "deliver", case_id)).state is CaseState.DELIVERED
    (found,) = (await look_up(office, CaseQuery(number=ID_NUMBER))).cases
    assert found.verdict is Verdict.APPROVED
    assert [step.state for step in found.steps] == [
        CaseState.DRAFT,
        CaseState.SUBMITTED,
        CaseState.ACCEPTED,
        CaseState.DECIDED,
        CaseState.DELIVERED,
    ]


async def test_what_is_returned_says_why_and_comes_again(
    office: Office, windows: Windows, queue: Queue
) -> None:
    case_id = await at_window(office, windows, queue, PROMISED_CONTENT)
    with refused(ProblemCode.WORDS_MISSING):
        await order(office, "return", case_id, words=" ")
    returned = await order(office, "return", case_id, words="租房合同少一页")
    assert returned.state is CaseState.RETURNED
    (found,) = (await look_up(office, CaseQuery(number=ID_NUMBER))).cases
    assert [one.text for one in found.reasons] == ["租房合同少一页"]
    case = await office.drafts.resume(
        CaseOfPerson(case=case_id, number=ID_NUMBER), device=DEVICE, key="resume-01"
    )
    assert [one.text for one in case.reasons] == ["租房合同少一页"]
    outcome = await submit(office, case, PROMISED_CONTENT)
    assert (outcome.state, outcome.reasons) == (CaseState.SUBMITTED, ())


async def test_a_window_has_to_do_with_the_case_before_it_alone(
    office: Office, windows: Windows, queue: Queue
) -> None:
    mine = await at_window(office, windows, queue, PROMISED_CONTENT)
    other = await opened(office, PROMISED_CONTENT)
    with refused(ProblemCode.CASE_NOT_HERE):
        await order(office, "accept", other.case)
    with refused(ProblemCode.CASE_NOT_HERE):
        await order(office, "accept", mine, window=31)
    with refused(ProblemCode.CASE_NOT_SO):
        await order(office, "deliver", mine)


async def test_a_machine_takes_a_number_for_its_own_case_alone(
    office: Office, queue: Queue
) -> None:
    case = await opened(office, PROMISED_CONTENT)
    request = TicketRequest(item=PROMISED.catalog_code, case=case.case)
    with refused(ProblemCode.CASE_UNKNOWN):
        await queue.issue(request, device=OTHER_DEVICE, key="ticket-01")
    issued = await queue.issue(request, device=DEVICE, key="ticket-02")
    assert issued.ticket.service == "market"


# ── Progress ─────────────────────────────────────────────────────────────────────────────────


async def test_a_number_and_the_end_of_the_id_find_a_case(office: Office) -> None:
    outcome = await submitted(office)
    query = CaseQuery(case_number=outcome.number, tail=ID_NUMBER[-4:])
    (found,) = (await look_up(office, query)).cases
    assert found.case == outcome.case
    assert NAME not in found.model_dump_json()


async def test_wrong_ends_lock_a_number_for_an_hour(office: Office, clock: SettableClock) -> None:
    outcome = await submitted(office)
    right = CaseQuery(case_number=outcome.number, tail=ID_NUMBER[-4:])
    wrong = right.model_copy(update={"tail": "9999"})
    for _ in range(WRONG_LIMIT):
        with refused(ProblemCode.CASE_UNKNOWN):
            await look_up(office, wrong)
    with refused(ProblemCode.CASE_LOCKED):
        await look_up(office, right)
    assert (await look_up(office, CaseQuery(number=ID_NUMBER))).cases
    await clock.sleep(LOCKED_MS / 1000)
    assert (await look_up(office, right)).cases


async def test_an_empty_end_and_an_unknown_number_find_nothing(office: Office) -> None:
    await opened(office, CONTENT.model_copy(update={"applicant": None}))
    number = case_number(dt.date(2025, 1, 2), 1)
    for query in (CaseQuery(case_number=number), CaseQuery(case_number="1", tail="0016")):
        with refused(ProblemCode.CASE_UNKNOWN):
            await look_up(office, query)


def test_a_case_number_notices_a_wrong_and_a_swapped_digit() -> None:
    number = case_number(dt.date(2025, 1, 2), 17)
    assert case_number_is_valid(number)
    for place, digit in enumerate(number):
        for other in "0123456789":
            if other != digit:
                assert not case_number_is_valid(number[:place] + other + number[place + 1 :])


# ── 本地信息库 ────────────────────────────────────────────────────────────────────────────────


async def consented(office: Office, *, yes: bool = True) -> None:
    said = HoldingsConsent(number=ID_NUMBER, consent=yes)
    await office.shelf.consent(said, device=DEVICE, key=new_id())


async def with_book(office: Office, windows: Windows, queue: Queue) -> None:
    """The household book was seen at window 31."""
    case_id = await at_window(office, windows, queue, CONTENT)
    seen = (SeenMaterial(key="book"), SeenMaterial(key="photo"), SeenMaterial(key="unheard-of"))
    await order(office, "accept", case_id, 31, seen=seen)


async def test_a_paper_that_a_window_saw_is_used_again_with_consent(
    office: Office, windows: Windows, queue: Queue, clock: SettableClock
) -> None:
    await consented(office)
    await with_book(office, windows, queue)
    case = await opened(office)
    assert [(one.kind, one.title, one.source, one.at_ms) for one in case.held] == [
        ("household_book", "户口簿", "31", clock.wall_ms())
    ]


async def test_without_consent_nothing_is_kept(
    office: Office, windows: Windows, queue: Queue
) -> None:
    await with_book(office, windows, queue)
    await consented(office)
    assert (await office.shelf.of_person(ID_NUMBER)).holdings == ()


async def test_who_takes_consent_back_has_nothing_left_there(
    office: Office, windows: Windows, queue: Queue
) -> None:
    await consented(office)
    await with_book(office, windows, queue)
    await consented(office, yes=False)
    assert (await opened(office)).held == ()
    told = await office.shelf.of_person(ID_NUMBER)
    assert (told.consent, told.holdings) == (False, ())


async def test_one_paper_can_be_forgotten_by_its_owner_alone(
    office: Office, windows: Windows, queue: Queue
) -> None:
    await consented(office)
    await with_book(office, windows, queue)
    (book,) = (await office.shelf.of_person(ID_NUMBER)).holdings
    stranger = HoldingsForget(number="11010519491231002X", holdings=(book.holding,))
    with refused(ProblemCode.HOLDING_UNKNOWN):
        await office.shelf.forget(stranger, device=DEVICE, key="forget-01")
    mine = HoldingsForget(number=ID_NUMBER, holdings=(book.holding,))
    assert (await office.shelf.forget(mine, device=DEVICE, key="forget-02")).holdings == ()


async def test_a_licence_in_date_stands_for_a_material_with_consent(
    office: Office, licences: FakeLicences, sealer: Sealer
) -> None:
    holding = Holding(
        holding="L1",
        kind="household_book",
        title="户口簿",
        origin="licence",
        source="公安局",
        at_ms=1,
        valid_until=dt.date(2025, 1, 2),
    )
    licences.held[sealer.lookup(ID_NUMBER)] = [HeldLicence(holding, {"address": HERE})]
    assert (await opened(office)).held == ()
    await consented(office)
    assert (await opened(office)).held == (holding,)


# ── Rated ────────────────────────────────────────────────────────────────────────────────────


async def test_a_case_can_be_rated_once_it_is_decided(office: Office, store: Store) -> None:
    standings = Standings({"senior-card": "civil"}.get)
    case = await opened(office)
    draft, none = await store.transaction(
        lambda connection: (
            standings.standing(connection, case.case),
            standings.standing(connection, new_id()),
        )
    )
    assert draft is not None
    assert (draft.is_decided, none) == (False, None)
    await submit(office, case)
    decided = await store.transaction(lambda connection: standings.standing(connection, case.case))
    assert decided == CaseStanding(is_decided=True, service="civil", is_known=True)


# ── What a number that somebody typed opens: nothing ─────────────────────────────────────────


async def test_a_typed_number_shows_nothing_that_is_held(
    office: Office, windows: Windows, queue: Queue
) -> None:
    await consented(office)
    await with_book(office, windows, queue)
    typed = CONTENT.model_copy(update={"applicant": APPLICANT.model_copy(update={"read": "said"})})
    assert (await opened(office, typed)).held == ()


async def test_no_system_hears_of_somebody_whose_card_was_not_read(
    office: Office, upstreams: FakeUpstreams
) -> None:
    pushed = WITH_PUSH.model_copy(
        update={
            "rules": (
                WITH_PUSH.rules[1].model_copy(update={"kind": "precheck"}),
                *WITH_PUSH.rules[2:],
            )
        }
    )
    office.submissions._room.matters.packs[WITH_PUSH.code] = pushed  # type: ignore[attr-defined]
    typed = CONTENT.model_copy(update={"applicant": APPLICANT.model_copy(update={"read": "said"})})
    await office.submissions.precheck(typed, device=DEVICE, key="precheck1")
    assert upstreams.asked == []
    await office.submissions.precheck(CONTENT, device=DEVICE, key="precheck1")
    await office.submissions.precheck(CONTENT, device=OTHER_DEVICE, key="precheck1")
    assert len({one.key for one in upstreams.asked}) == 2, "a key is a machine's own"


async def test_what_is_said_to_be_held_must_be(office: Office) -> None:
    claimed = CONTENT.model_copy(
        update={"materials": (CaseMaterial(key="book", how=HandedIn.REUSED, holding="NOPE"),)}
    )
    with pytest.raises(Refused) as told:
        await submitted(office, claimed)
    assert [one.field for one in told.value.fields] == ["materials.book"]
    with refused(ProblemCode.REQUEST_INVALID):
        await opened(office, CONTENT.model_copy(update={"materials": (CaseMaterial(key="x"),)}))


async def test_a_number_for_anothers_case_is_refused(office: Office, queue: Queue) -> None:
    case = await opened(office, PROMISED_CONTENT)
    stranger = {"name": "别人", "number": "11010519491231002X", "card_kind": "resident"}
    request = TicketRequest.model_validate(
        {"item": PROMISED.catalog_code, "case": case.case, "applicant": stranger}
    )
    with refused(ProblemCode.CASE_UNKNOWN):
        await queue.issue(request, device=DEVICE, key="ticket-01")


async def test_made_up_numbers_are_locked_like_real_ones_and_machines_too(office: Office) -> None:
    made_up = CaseQuery(case_number=case_number(dt.date(2025, 1, 2), 999), tail="0012")
    for _ in range(WRONG_LIMIT):
        with refused(ProblemCode.CASE_UNKNOWN):
            await look_up(office, made_up)
    with refused(ProblemCode.CASE_LOCKED):
        await look_up(office, made_up)
    outcome = await submitted(office)
    for sequence in range(WRONG_LIMIT_OF_DEVICE):
        number = case_number(dt.date(2025, 1, 3), sequence)
        with pytest.raises(Refused):
            await look_up(office, CaseQuery(case_number=number, tail="0012"))
    right = CaseQuery(case_number=outcome.number, tail=ID_NUMBER[-4:])
    with refused(ProblemCode.CASE_LOCKED):
        await look_up(office, right)
    assert (await look_up(office, right, OTHER_DEVICE)).cases


# ── Once, and by whom it was said last ───────────────────────────────────────────────────────


async def test_one_hand_over_ends_every_other_code(office: Office) -> None:
    case = await opened(office)
    first = await office.drafts.hand_over(case.case, device=DEVICE, key="hand-0001")
    second = await office.drafts.hand_over(case.case, device=DEVICE, key="hand-0002")
    with refused(ProblemCode.CONTINUATION_USED):
        await office.drafts.redeem(
            ContinuationCode(code=first.code), device="form-1", key="redeem-01"
        )
    await office.drafts.resume(by_person(case), device=OTHER_DEVICE, key="resume-01")
    with refused(ProblemCode.CONTINUATION_USED):
        await office.drafts.redeem(
            ContinuationCode(code=second.code), device="form-1", key="redeem-02"
        )


async def test_a_submission_is_told_again_only_to_who_holds_the_case(
    office: Office, upstreams: FakeUpstreams, windows: Windows
) -> None:
    upstreams.fail("civil_affairs", NoAnswer.DOWN)
    case = await opened(office)
    await submit(office, case)
    await windows.do(31, WindowOrder(do="open"), device=WINDOW, key="open-0001")
    await windows.do(31, WindowOrder(do="next"), device=WINDOW, key="next-0001")
    await order(office, "return", case.case, 31, words="照片太暗")
    outcome = await submit(office, case)
    assert (outcome.state, outcome.verdict, outcome.receipt) == (CaseState.RETURNED, None, None)
    assert [one.text for one in outcome.reasons] == ["照片太暗"]
    await office.drafts.resume(by_person(case), device=OTHER_DEVICE, key="resume-01")
    with refused(ProblemCode.CASE_ELSEWHERE):
        await submit(office, case)


async def test_a_persons_word_stands_alone(
    office: Office, upstreams: FakeUpstreams, windows: Windows
) -> None:
    upstreams.fail("civil_affairs", NoAnswer.DOWN)
    case = await opened(office)
    await submit(office, case)
    await windows.do(31, WindowOrder(do="open"), device=WINDOW, key="open-0001")
    await windows.do(31, WindowOrder(do="next"), device=WINDOW, key="next-0001")
    await order(office, "approve", case.case, 31)
    outcome = await submit(office, case)
    assert (outcome.state, outcome.verdict) == (CaseState.DECIDED, Verdict.APPROVED)
    assert (outcome.receipt, outcome.reasons, outcome.way) == (None, (), None)


async def test_who_withdraws_after_a_decision_leaves_none_and_no_number(
    office: Office, upstreams: FakeUpstreams, store: Store
) -> None:
    upstreams.fail("civil_affairs", NoAnswer.DOWN)
    case = await opened(office)
    outcome = await submit(office, case)
    assert outcome.ticket is not None
    await office.drafts.withdraw(by_person(case), device=DEVICE, key="withdraw1")
    kept = await store.transaction(
        lambda connection: (
            connection.execute(sa.select(decisions)).all(),
            connection.execute(sa.select(tickets.c.state, tickets.c.request)).all(),
        )
    )
    assert kept[0] == []
    assert [(row.state, row.request) for row in kept[1]] == [("void", b"")]


async def test_a_case_that_comes_again_keeps_the_number_that_still_waits(
    office: Office, upstreams: FakeUpstreams, store: Store
) -> None:
    upstreams.fail("civil_affairs", NoAnswer.DOWN)
    case = await opened(office)
    first = await submit(office, case)

    def returned(connection: sa.Connection) -> None:
        connection.execute(cases.update().values(state="returned"))

    await store.transaction(returned)
    back = await office.drafts.resume(by_person(case), device=DEVICE, key="resume-01")
    second = await submit(office, back, key="submit-2")
    assert first.ticket is not None
    assert second.ticket is not None
    assert second.ticket.id == first.ticket.id


async def test_an_item_that_is_gone_leads_to_a_person(
    office: Office, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = await opened(office)

    async def cut(*_args: object, **_kwargs: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as broken:
        broken.setattr(Decisions, "decide", cut)
        with pytest.raises(asyncio.CancelledError):
            await submit(office, case)
    await clock.sleep(LEFT_MS / 1000)
    with monkeypatch.context() as without:
        without.setattr(FakeMatters, "item", lambda _self, _code: None)
        await office.submissions.finish_left()
    assert await office.submissions.finish_left() == 0
    outcome = await office.submissions.outcome(case.case)
    assert (outcome.state, outcome.verdict) == (CaseState.SUBMITTED, Verdict.TO_WINDOW)
    assert office.submissions._finishing == {}


async def test_a_push_that_cannot_be_read_stops_no_other(
    office: Office, store: Store, clock: SettableClock
) -> None:
    await submitted(office)
    await submitted(office, key="submit-2")

    def spoil(connection: sa.Connection) -> None:
        first = connection.execute(sa.select(sa.func.min(decisions.c.id))).scalar_one()
        connection.execute(
            decisions.update().where(decisions.c.id == first).values(sealed_record=b"spoilt")
        )

    await store.transaction(spoil)
    assert await office.submissions.push_owed() == 1
    left = await store.transaction(lambda connection: connection.execute(sa.select(pushes)).all())
    assert [row.tries for row in left] == [1]


async def test_an_approval_by_a_machine_is_not_brought_to_the_window_again(
    office: Office, queue: Queue, windows: Windows
) -> None:
    await submitted(office)
    request = TicketRequest.model_validate(
        {
            "item": "senior-card",
            "applicant": {"name": NAME, "number": ID_NUMBER, "card_kind": "resident"},
        }
    )
    await queue.issue(request, device=OTHER_DEVICE, key="ticket-01")
    await windows.do(31, WindowOrder(do="open"), device=WINDOW, key="open-0001")
    await windows.do(31, WindowOrder(do="next"), device=WINDOW, key="next-0001")
    assert await office.counter.case(31) is None
