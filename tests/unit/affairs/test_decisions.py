"""Deciding: all systems at once, kept before it is told, the same again, told on once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.decisions import Application, Decided, Decisions
from affairs.sealing import KEY_BYTES, Sealer
from affairs.upstreams.port import HealthState, SystemHealth, waiting_for
from hallkit.errors import StoreError, TrustError
from hallkit.model.conditions import FactValue
from hallkit.model.decision import NoAnswer, RuleStatus, Verdict
from hallkit.model.receipt import verify
from tests.fakes.clock import FakeClock
from tests.fakes.decision_store import FakeDecisionStore
from tests.fakes.item import ITEM
from tests.fakes.rule_pack import ID_NUMBER, PACK, PHONE, rule
from tests.fakes.upstreams import FakeUpstreams

KEY = Ed25519PrivateKey.generate()
ID = "01JGK0000000000000000000AA"
PUSHED = PACK.model_copy(
    update={
        "rules": (
            *PACK.rules,
            rule("made", kind="push", requires={"fact": "upstream.civil_affairs.card_made"}),
        )
    }
)
FACTS: dict[str, FactValue] = {
    "applicant.id_number": ID_NUMBER,
    "applicant.age": 84,
    "applicant.residence": "500000",
    "answer.who": "self",
    "form.phone": PHONE,
    "form.child_id_number": ID_NUMBER,
}


def application(**more: FactValue) -> Application:
    changed = {name.replace("__", "."): value for name, value in more.items()}
    return Application("case-1", ITEM, PUSHED, FACTS | changed)


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.upstreams = FakeUpstreams(
            self.clock,
            civil_affairs={"has_card": False, "card_made": True, "secret": "x"},
            population={"living_here": True},
        )
        self.store = FakeDecisionStore()
        self.sealer = Sealer(b"k" * KEY_BYTES)
        self.decisions = Decisions(self.upstreams, self.store, self.sealer, KEY, self.clock)

    async def decide(self, decision_id: str = ID, **more: FactValue) -> Decided:
        return await self.decisions.decide(application(**more), decision_id=decision_id)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_it_asks_every_system_with_what_its_check_names_and_decides(bench: Bench) -> None:
    decided = await bench.decide()
    assert decided.decision.verdict is Verdict.APPROVED
    assert [(one.system, one.want, dict(one.facts), one.key) for one in bench.upstreams.asked] == [
        ("civil_affairs", ("has_card",), {"applicant.id_number": ID_NUMBER}, f"{ID}-civil_affairs"),
        ("population", ("living_here",), {"form.child_id_number": ID_NUMBER}, f"{ID}-population"),
    ]


async def test_all_are_asked_at_once(bench: Bench) -> None:
    bench.upstreams.gate = asyncio.Event()
    deciding = asyncio.create_task(bench.decide())
    while len(bench.upstreams.asked) < 2:  # noqa: ASYNC110  # turns of the loop, not a time
        await asyncio.sleep(0)
    assert not deciding.done()
    bench.upstreams.gate.set()
    assert (await deciding).decision.verdict is Verdict.APPROVED


@pytest.mark.parametrize("why", [NoAnswer.DOWN, NoAnswer.LATE, NoAnswer.SHUT_OFF])
async def test_a_system_that_fails_leads_to_the_window_and_the_others_are_heard(
    bench: Bench, why: NoAnswer
) -> None:
    bench.upstreams.fail("civil_affairs", why)
    decided = await bench.decide()
    assert decided.decision.verdict is Verdict.TO_WINDOW
    assert decided.decision.way is not None
    assert [rule.key for rule in decided.decision.reasons] == ["first"]
    assert decided.record.evidence.silent == {"civil_affairs": why}
    assert decided.record.evidence.facts["upstream.population.living_here"] is True


async def test_a_port_that_forgets_its_deadline_is_late(bench: Bench) -> None:
    bench.upstreams.forgets_deadlines = True
    quick = tuple(one.model_copy(update={"deadline_ms": 100}) for one in PACK.upstream)
    hasty = PACK.model_copy(update={"upstream": quick})
    decided = await bench.decisions.decide(
        Application("case-1", ITEM, hasty, FACTS), decision_id=ID
    )
    assert set(decided.record.evidence.silent.values()) == {NoAnswer.LATE}


@pytest.mark.parametrize("nothing", ["", ()])
async def test_a_system_is_asked_with_all_or_not_at_all(bench: Bench, nothing: FactValue) -> None:
    decided = await bench.decide(form__child_id_number=nothing)
    assert [one.system for one in bench.upstreams.asked] == ["civil_affairs"]
    assert decided.record.evidence.silent == {"population": NoAnswer.NOT_ASKED}


async def test_a_system_is_not_told_of_a_person_for_whom_it_decides_nothing(bench: Bench) -> None:
    decided = await bench.decide(applicant__residence="510682")
    assert [one.system for one in bench.upstreams.asked] == ["civil_affairs"]
    assert decided.decision.verdict is Verdict.APPROVED


async def test_nobody_brings_another_systems_answer_or_another_day(bench: Bench) -> None:
    bench.upstreams.fail("civil_affairs", NoAnswer.DOWN)
    brought: Any = {"upstream.civil_affairs.has_card": False, "today.date": "1999-01-01"}
    decided = await bench.decide(**brought)
    assert decided.decision.verdict is Verdict.TO_WINDOW
    assert decided.record.evidence.facts["today.date"] == "2025-01-02"


async def test_it_is_kept_before_it_is_told(bench: Bench) -> None:
    class Full(FakeDecisionStore):
        async def keep(self, kept: object) -> Any:
            raise StoreError("disk full")

    decisions = Decisions(bench.upstreams, Full(), bench.sealer, KEY, bench.clock)
    with pytest.raises(StoreError):
        await decisions.decide(application(), decision_id=ID)


async def test_who_reads_the_store_learns_nothing_about_the_person(bench: Bench) -> None:
    await bench.decide()
    (kept,) = bench.store.rows.values()
    for content in (kept.sealed_record, kept.receipt, repr(kept).encode()):
        assert ID_NUMBER.encode() not in content
        assert PHONE.encode() not in content


async def test_the_receipt_is_the_halls(bench: Bench) -> None:
    verify((await bench.decide()).receipt, [KEY.public_key()])


async def test_asked_for_again_it_is_the_decision_that_was_kept(bench: Bench) -> None:
    first = await bench.decide()
    bench.upstreams.fail("civil_affairs", NoAnswer.DOWN)
    asked = len(bench.upstreams.asked)
    assert await bench.decide(applicant__age=20) == first
    assert len(bench.upstreams.asked) == asked


async def test_of_two_at_once_the_one_that_was_kept_first_stands(bench: Bench) -> None:
    bench.upstreams.gate = asyncio.Event()
    both = [asyncio.create_task(bench.decide(applicant__age=age)) for age in (84, 20)]
    while len(bench.upstreams.asked) < 4:  # noqa: ASYNC110  # turns of the loop, not a time
        await asyncio.sleep(0)
    bench.upstreams.gate.set()
    one, other = await asyncio.gather(*both)
    assert one == other
    assert len(bench.store.rows) == 1


async def test_nobody_gets_another_cases_decision(bench: Bench) -> None:
    await bench.decide()
    other = Application("case-2", ITEM, PUSHED, FACTS)
    with pytest.raises(StoreError, match="another case"):
        await bench.decisions.decide(other, decision_id=ID)
    bench.store.rows[ID] = replace(bench.store.rows[ID], case="case-2")
    with pytest.raises(TrustError, match="moved"):
        await bench.decisions.replay("case-2")


async def test_a_precheck_asks_for_nothing_that_only_the_form_knows(bench: Bench) -> None:
    young = application(applicant__age=20)
    checked = await bench.decisions.precheck(young, key="visit-1")
    assert [rule.key for rule in checked.failed] == ["age"]
    assert bench.upstreams.asked == []


async def test_an_approval_is_pushed_under_keys_of_its_own(bench: Bench) -> None:
    decided = await bench.decide()
    for _ in range(2):
        pushes = await bench.decisions.push(decided)
        assert [(one.key, one.status) for one in pushes] == [
            ("told", RuleStatus.PASSED),
            ("made", RuleStatus.PASSED),
        ]
    told = [one for one in bench.upstreams.asked if one.purpose == "push"]
    assert {(one.system, one.want, one.key) for one in told} == {
        ("civil_affairs", ("card_made",), f"{ID}-push-civil_affairs")
    }


async def test_a_push_that_nobody_hears_is_unknown_and_takes_nothing_back(bench: Bench) -> None:
    decided = await bench.decide()
    bench.upstreams.fail("civil_affairs", NoAnswer.DOWN)
    pushes = await bench.decisions.push(decided)
    assert {one.key: one.status for one in pushes}["made"] is RuleStatus.UNKNOWN
    assert decided.decision.verdict is Verdict.APPROVED


async def test_what_is_not_approved_is_pushed_nowhere(bench: Bench) -> None:
    decided = await bench.decide(applicant__age=20)
    assert await bench.decisions.push(decided) == ()


async def test_replayed_every_decision_of_a_case_is_the_same(bench: Bench) -> None:
    await bench.decide()
    bench.clock.advance(86_400.0)
    await bench.decide(ID.replace("AA", "AB"), applicant__age=20)
    replayed = await bench.decisions.replay("case-1")
    assert [(one.differences, one.signed) for one in replayed] == [((), True)] * 2
    assert await bench.decisions.replay("case-2") == ()


async def test_a_receipt_of_another_signer_is_told(bench: Bench) -> None:
    await bench.decide()
    other = Decisions(
        bench.upstreams, bench.store, bench.sealer, Ed25519PrivateKey.generate(), bench.clock
    )
    (replayed,) = await other.replay("case-1")
    assert (replayed.differences, replayed.signed) == ((), False)
    heir = Decisions(
        bench.upstreams,
        bench.store,
        bench.sealer,
        Ed25519PrivateKey.generate(),
        bench.clock,
        former_keys=[KEY.public_key()],
    )
    assert [one.signed for one in await heir.replay("case-1")] == [True]


async def test_a_record_of_another_row_or_key_does_not_open(bench: Bench) -> None:
    await bench.decide()
    other = Decisions(bench.upstreams, bench.store, Sealer(b"x" * 32), KEY, bench.clock)
    with pytest.raises(TrustError):
        await other.replay("case-1")


def test_items_of_a_system_that_is_down_are_known() -> None:
    instant = ITEM.model_copy(update={"is_instant": True, "upstream": ("tax", "population")})
    by_hand = ITEM.model_copy(update={"catalog_code": "by-hand", "upstream": ("tax",)})
    health = {
        "tax": SystemHealth("tax", HealthState.DOWN, NoAnswer.LATE),
        "population": SystemHealth("population", HealthState.UP),
    }
    assert waiting_for([instant, by_hand], health) == {instant.catalog_code: ["tax"]}
