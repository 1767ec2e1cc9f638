"""The stand-in for other systems: the same person, the same answers; told what to do wrong."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from affairs.catalogue_source import load
from affairs.generator import generate
from affairs.hall_map import load_hall_map
from affairs.queue.services import load_services
from hallkit.guide.deciding import decide, system_of, way_of
from hallkit.guide.forms import rule_facts
from hallkit.guide.rule_cases import approving, evidence_of
from hallkit.model.content import Content
from hallkit.model.decision import RuleStatus, Verdict
from hallkit.model.rules import RulePack
from launcher.standins.upstream import Dropped, StandIn, knowledge
from tests.fakes.rule_pack import ID_NUMBER

ITEM, SYSTEM = "age-allowance", "civil_affairs"
WANT = ["alive", "receives_age_allowance"]


@pytest.fixture(scope="module")
def whole() -> Content:
    services = load_services()
    return generate(load(), load_hall_map(), services)


async def ask(stand_in: StandIn, who: str = ID_NUMBER, key: str = "k", **more: Any) -> Any:
    body = {
        "item": ITEM,
        "purpose": "check",
        "want": WANT,
        "facts": {"applicant.id_number": who},
        **more,
    }
    system = more.pop("system", SYSTEM)
    headers = {"idempotency-key": key}
    target = f"/systems/{system}/ask"
    status, content = await stand_in.answer("POST", target, headers, json.dumps(body).encode())
    return json.loads(content)["answers"] if status == 200 else status


def made(refuse: int = 0, seed: int = 1) -> StandIn:
    return StandIn(knowledge(load()), seed=seed, refuse=refuse)


async def test_it_answers_what_was_wanted_as_the_pack_wants_to_hear_it() -> None:
    assert await ask(made()) == {"alive": True, "receives_age_allowance": False}
    assert await ask(made(), want=["alive"]) == {"alive": True}
    assert await ask(made(), item="unheard-of") == {}


async def test_with_all_its_packs_it_approves_the_whole_hall(whole: Content) -> None:
    knows = knowledge(whole)
    forms = {form.code: form for form in whole.forms}
    items = {item.catalog_code: item for item in whole.items}
    for pack in whole.rule_packs:
        item = items[pack.item]
        scope = rule_facts([one.system for one in pack.upstream], item, forms.get(item.form))
        facts = approving(pack, scope) or {}
        own = {name: value for name, value in facts.items() if not system_of(name)}
        told = _told(pack, {system: dict(it) for system, it in knows[pack.item].approval.items()})
        evidence = evidence_of(pack, own | told)
        decision = decide(pack, evidence, way_of(item, own))
        assert decision.verdict is Verdict.APPROVED, pack.code
        for system, refusals in knows[pack.item].refusals.items():
            for answers in refusals:
                wrong = own | told | _told(pack, {system: dict(answers)})
                decision = decide(pack, evidence_of(pack, wrong), way_of(item, own))
                assert RuleStatus.FAILED in {rule.status for rule in decision.reasons}, pack.code


def _told(pack: RulePack, answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        f"upstream.{system}.{name}": value
        for system, fields in answers.items()
        for name, value in fields.items()
    }


async def test_the_same_person_and_seed_the_same_answers() -> None:
    people = [f"51068219400101{number:04}" for number in range(64)]

    async def heard(stand_in: StandIn) -> list[Any]:
        return [await ask(stand_in, who, key=who) for who in people]

    some = await heard(made(refuse=50))
    assert some == await heard(made(refuse=50))
    assert some != await heard(made(refuse=50, seed=2))
    good = {"alive": True, "receives_age_allowance": False}
    assert 16 < sum(one != good for one in some) < 48
    assert all(one != good for one in await heard(made(refuse=100)))


async def test_it_is_told_about_one_person_or_all() -> None:
    stand_in = made()
    told = {"system": SYSTEM, "who": ID_NUMBER, "answers": {"alive": False}}
    await stand_in.order("answers.set", told)
    assert (await ask(stand_in))["alive"] is False
    assert (await ask(stand_in, "somebody else", key="k2"))["alive"] is True
    await stand_in.order("answers.set", {**told, "who": "*"})
    assert (await ask(stand_in, "somebody else", key="k3"))["alive"] is False
    await stand_in.order("answers.clear", {})
    assert (await ask(stand_in))["alive"] is True


async def test_the_same_question_again_has_the_same_answer_and_is_counted() -> None:
    stand_in = made()
    first = await ask(stand_in)
    await stand_in.order("answers.set", {"system": SYSTEM, "who": "*", "answers": {"alive": False}})
    assert await ask(stand_in) == first
    counted = stand_in.systems[SYSTEM]
    assert (counted.asked, counted.repeated) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "heard"),
    [
        ("error", 500),
        ("refuse", 403),
        ("wrong_types", {"alive": {"value": True}, "receives_age_allowance": {"value": False}}),
        ("wrong_kinds", {"alive": "True", "receives_age_allowance": "False"}),
    ],
)
async def test_each_fault_and_only_as_often_as_was_said(fault: str, heard: Any) -> None:
    stand_in = made()
    order = {"system": SYSTEM, "fault": fault, "times": 2}
    await stand_in.order("fault.set", order)
    assert [await ask(stand_in, key=str(n)) for n in range(2)] == [heard, heard]
    assert (await ask(stand_in, key="3"))["alive"] is True


async def test_what_breaks_off_and_what_drops_the_connection() -> None:
    stand_in = made()
    await stand_in.order("fault.set", {"fault": "garbled"})
    with pytest.raises(json.JSONDecodeError):
        await ask(stand_in)
    await stand_in.order("fault.set", {"fault": "down"})
    for target in (f"/systems/{SYSTEM}/ask", "/systems/tax/health"):
        with pytest.raises(Dropped):
            await stand_in.answer("GET", target, {}, b"")
    await stand_in.order("fault.clear", {})
    assert await stand_in.answer("GET", "/systems/tax/health", {}, b"") == (200, b"{}")


async def test_a_silent_system_says_nothing() -> None:
    stand_in = made()
    await stand_in.order("fault.set", {"system": SYSTEM, "fault": "silent"})
    asking = asyncio.create_task(ask(stand_in))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/", b"", 404),
        ("GET", "/systems/unheard-of/health", b"", 404),
        ("GET", "/systems/tax/ask", b"", 405),
        ("POST", "/systems/tax/ask", b"", 400),
        ("POST", "/systems/tax/ask", b"[]", 400),
    ],
)
async def test_what_is_no_question_is_refused(
    method: str, target: str, body: bytes, status: int
) -> None:
    assert (await made().answer(method, target, {"idempotency-key": "k"}, body))[0] == status


@pytest.mark.parametrize(
    ("do", "order", "fault"),
    [
        ("nonsense", {}, KeyError),
        ("fault.set", {"fault": "nonsense"}, ValueError),
        ("fault.set", {"fault": "down", "system": "nonsense"}, KeyError),
        ("latency", {}, KeyError),
    ],
)
async def test_orders_that_make_no_sense(
    do: str, order: dict[str, Any], fault: type[Exception]
) -> None:
    with pytest.raises(fault):
        await made().order(do, order)
