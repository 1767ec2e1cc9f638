"""Made-up facts that approve a pack, and that fail one rule of it alone."""

from __future__ import annotations

from typing import Any

import pytest

from hallkit.guide.conditions import FactType
from hallkit.guide.deciding import decide
from hallkit.guide.rule_cases import Tangled, approving, can_fail, can_pass, evidence_of, failing
from hallkit.model.decision import RuleStatus, Verdict
from hallkit.model.rules import RulePack
from tests.fakes.rule_pack import PACK, WAY, rule


def pack(*conditions: Any, **more: Any) -> RulePack:
    rules = tuple(rule(f"r{n}", requires=one, **more) for n, one in enumerate(conditions))
    return RulePack(code="p", item="i", rules=rules)


def test_it_finds_facts_that_approve() -> None:
    facts = approving(PACK)
    assert facts is not None
    decision = decide(PACK, evidence_of(PACK, facts), WAY)
    assert decision.verdict is Verdict.APPROVED
    assert {one.status for one in decision.rules} <= {RuleStatus.PASSED, RuleStatus.NOT_APPLICABLE}
    assert {"applicant.id_number", "form.child_id_number"} <= facts.keys(), "to ask with"


@pytest.mark.parametrize("key", [rule.key for rule in PACK.rules])
def test_it_finds_facts_that_fail_one_rule_alone(key: str) -> None:
    wrong = next(rule for rule in PACK.rules if rule.key == key)
    facts = failing(PACK, wrong)
    assert facts is not None
    decision = decide(PACK, evidence_of(PACK, facts), WAY)
    failed = [one for one in decision.rules if one.status is RuleStatus.FAILED]
    assert [one.key for one in failed if one.kind == wrong.kind or one.kind != "push"] == [key]
    assert decision.verdict is (Verdict.APPROVED if wrong.kind == "push" else Verdict.REFUSED)


AGE = {"fact": "applicant.age", "op": "ge", "value": 60}
YOUNG = {"fact": "applicant.age", "op": "lt", "value": 60}


@pytest.mark.parametrize(
    ("condition", "passes", "fails"),
    [
        (AGE, True, True),
        ({"all": [AGE, YOUNG]}, False, True),
        ({"any": [AGE, YOUNG]}, True, False),
        ({"all": []}, True, False),
        ({"any": []}, False, True),
        ({"fact": "form.day", "op": "gt", "value": "2026-01-31"}, True, True),
        ({"fact": "form.kind", "op": "not_in", "value": ["a", "b"]}, True, True),
        ({"fact": "form.kinds", "op": "contains", "value": "a"}, True, True),
        ({"not": {"fact": "form.note", "op": "known"}}, True, True),
    ],
)
def test_what_can_never_hold_or_never_fail_is_found(
    condition: Any, passes: bool, fails: bool
) -> None:
    one = pack(condition)
    assert can_pass(one, one.rules[0]) is passes
    assert can_fail(one, one.rules[0]) is fails


def test_a_choice_takes_its_own_options_only() -> None:
    one = pack({"fact": "form.kind", "op": "in", "value": ["a", "b"]})
    scope = {"form.kind": FactType("text", ("a", "b"))}
    assert can_fail(one, one.rules[0])
    assert not can_fail(one, one.rules[0], scope)


def test_rules_that_contradict_each_other_approve_nobody() -> None:
    assert approving(pack(AGE, YOUNG)) is None


def test_a_rule_that_another_one_repeats_never_fails_alone() -> None:
    twice = pack(AGE, AGE)
    assert failing(twice, twice.rules[0]) is None
    assert can_fail(twice, twice.rules[0])


def test_a_pack_whose_conditions_branch_without_end_is_given_up() -> None:
    def branch(number: int) -> Any:
        return {"any": [{"fact": f"form.f{number}-{way}", "op": "known"} for way in range(4)]}

    never = {"all": [AGE, YOUNG, *(branch(number) for number in range(3))]}
    with pytest.raises(Tangled):
        approving(pack(*(branch(number) for number in range(20)), never))
