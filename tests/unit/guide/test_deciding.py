"""What nobody knows is never a pass, a refusal is certain, and nobody is left standing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.deciding import decide, prechecks, reasons, wanted_of, way_of
from hallkit.lexicon.words import words
from hallkit.model.canonical import canonical
from hallkit.model.conditions import FactValue
from hallkit.model.decision import Asked, Decision, Evidence, NoAnswer, RuleStatus, Verdict
from hallkit.model.rules import RulePack
from tests.fakes.item import ITEM
from tests.fakes.rule_pack import ASKED, FACTS, PACK, WAY, evidence, rule


def decided(known: Evidence, pack: RulePack = PACK) -> Decision:
    return decide(pack, known, WAY)


def status(decision: Decision) -> dict[str, str]:
    return {rule.key: rule.status.value for rule in decision.rules}


def test_it_is_approved_when_every_rule_that_applies_holds() -> None:
    decision = decided(evidence())
    assert decision.verdict is Verdict.APPROVED
    assert status(decision) == {
        "age": "passed",
        "first": "passed",
        "proxy": "not_applicable",
        "here": "passed",
        "told": "passed",
    }
    assert decision.way is None
    assert decision.reasons == ()


def test_a_rule_that_fails_refuses_with_its_words_its_law_and_a_way_to_the_window() -> None:
    decision = decided(evidence(applicant__age=59))
    assert decision.verdict is Verdict.REFUSED
    assert decision.way == WAY
    (age,) = decision.reasons
    assert (age.key, age.said, age.what_to_do) == ("age", "age不好。", "去补age。")
    assert age.by_law == "《中华人民共和国老年人权益保障法》"


def test_a_fact_that_nobody_knows_leads_to_the_window() -> None:
    decision = decided(evidence("applicant.age"))
    assert decision.verdict is Verdict.TO_WINDOW
    assert decision.way == WAY
    (age,) = decision.reasons
    assert (age.status, age.lacking, age.systems) == (RuleStatus.UNKNOWN, ("applicant.age",), ())


@pytest.mark.parametrize("why", NoAnswer)
def test_a_system_that_does_not_answer_leads_to_the_window(why: NoAnswer) -> None:
    asked = (Asked(system="civil_affairs", no_answer=why),)
    known = evidence("upstream.civil_affairs.has_card").model_copy(update={"asked": asked})
    decision = decided(known)
    assert decision.verdict is Verdict.TO_WINDOW
    assert [rule.systems for rule in decision.reasons] == [("civil_affairs",)]
    (told,) = reasons(decision, known, PACK, words())
    assert "民政信息系统" in told.said
    assert told.what_to_do == words()("deciding.to_do")


def test_a_system_that_matters_nothing_for_this_person_may_be_silent() -> None:
    assert "population" in evidence().silent
    assert decided(evidence()).verdict is Verdict.APPROVED


def test_what_is_certain_refuses_even_where_something_else_is_unknown() -> None:
    decision = decided(evidence("upstream.civil_affairs.has_card", applicant__age=59))
    assert decision.verdict is Verdict.REFUSED
    assert [rule.key for rule in decision.reasons] == ["age", "first"]


def test_a_rule_of_which_nobody_knows_whether_it_applies_may_pass_and_never_fails() -> None:
    assert status(decided(evidence("answer.who")))["proxy"] == "unknown"
    named = evidence("answer.who", form__proxy_name="示例")
    assert status(decided(named))["proxy"] == "passed"


def test_a_question_that_was_not_asked_is_no_answer_that_any_rule_waits_for() -> None:
    assert status(decided(evidence(answer__who="")))["proxy"] == "not_applicable"


def test_a_push_that_fails_changes_nothing() -> None:
    decision = decided(evidence("form.phone"))
    assert status(decision)["told"] == "failed"
    assert decision.verdict is Verdict.APPROVED
    assert decision.reasons == ()


def test_a_pack_of_which_no_rule_applies_decides_nothing() -> None:
    only = PACK.model_copy(update={"rules": PACK.rules[2:3]})
    decision = decided(evidence(), only)
    assert decision.verdict is Verdict.TO_WINDOW
    (told,) = reasons(decision, evidence(), only, words())
    assert told.said == words()("deciding.nothing_checked")


@pytest.mark.parametrize("answer", ["false", 0, 1, "no", ("false",)])
def test_an_answer_of_another_kind_is_none(answer: FactValue) -> None:
    """`not {state: "revoked"}` must not hold because the answer is a number."""
    sloppy = PACK.model_copy(
        update={
            "rules": (
                rule("ne", requires={"fact": "upstream.civil_affairs.x", "op": "ne"}),
                rule("not", requires={"not": {"fact": "upstream.civil_affairs.x"}}),
            )
        }
    )
    decision = decided(evidence(upstream__civil_affairs__x=answer), sloppy)
    assert status(decision) == {"ne": "unknown", "not": "unknown"}


def test_whether_a_system_knows_something_is_unknown_until_it_answers() -> None:
    asks = PACK.model_copy(
        update={
            "rules": (
                rule("one", requires={"fact": "upstream.civil_affairs.number", "op": "known"}),
                rule("two", requires={"fact": "upstream.population.number", "op": "known"}),
            )
        }
    )
    decision = decided(evidence(), asks)
    assert status(decision) == {"one": "failed", "two": "unknown"}


def test_prechecks_need_no_form() -> None:
    assert [rule.key for rule in prechecks(PACK, evidence())] == ["age"]


BINDING = ("precheck", "decision")


def test_a_system_is_asked_for_what_rules_look_at_and_nothing_else() -> None:
    asks = evidence("upstream.civil_affairs.has_card", applicant__residence="500000")
    unasked = asks.model_copy(update={"asked": ()})
    assert wanted_of(PACK, unasked, BINDING) == {
        "civil_affairs": ["has_card"],
        "population": ["living_here"],
    }
    assert wanted_of(PACK, unasked, ("push",)) == {}


def test_a_system_is_not_asked_what_is_decided_without_it() -> None:
    """The card says that the person lives here: no system needs to hear of them for that."""
    unasked = evidence("upstream.civil_affairs.has_card").model_copy(update={"asked": ()})
    assert wanted_of(PACK, unasked, BINDING) == {"civil_affairs": ["has_card"]}


def test_an_answer_may_lead_to_another_window() -> None:
    assert way_of(ITEM, {}).service == ITEM.service
    questions = (
        ITEM.questions[0].model_copy(
            update={
                "options": (
                    ITEM.questions[0].options[0],
                    ITEM.questions[0]
                    .options[1]
                    .model_copy(update={"service": "other", "transact_addr": "3楼"}),
                )
            }
        ),
    )
    item = ITEM.model_copy(update={"questions": questions})
    assert way_of(item, {"answer.place": "own"}).service == "other"
    assert way_of(item, {"answer.place": "rented"}).service == ITEM.service


def test_a_decision_shows_no_value_of_anybodys() -> None:
    text = canonical(decided(evidence(applicant__age=59))).decode()
    assert not any(str(FACTS[name]) in text for name in ("applicant.id_number", "form.phone"))
    assert "510682194001010016" not in repr(evidence())


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 120),
    st.sampled_from(["", "510682", "500000", "self", "other", "false"]),
)
LOOKED_AT = (
    "applicant.age",
    "applicant.residence",
    "answer.who",
    "form.proxy_name",
    "form.phone",
    "upstream.civil_affairs.has_card",
    "upstream.population.living_here",
)
KNOWN = st.fixed_dictionaries(dict.fromkeys(LOOKED_AT, VALUES))


@given(KNOWN, st.permutations(range(7)))
def test_the_same_facts_give_the_same_bytes_whatever_their_order(
    known: dict[str, FactValue | None], order: list[int]
) -> None:
    facts = {name: value for name, value in known.items() if value is not None}
    names = [name for _, name in sorted(zip(order, known, strict=True))]
    shuffled = {name: facts[name] for name in names if name in facts}
    one, other = (decided(Evidence(facts=each, asked=ASKED)) for each in (facts, shuffled))
    assert canonical(one) == canonical(other)


@given(KNOWN, st.sets(st.integers(0, 2)))
def test_knowing_less_never_turns_a_no_into_a_yes(
    known: dict[str, FactValue | None], forgotten: set[int]
) -> None:
    facts = {name: value for name, value in known.items() if value is not None}
    gone = {LOOKED_AT[number] for number in forgotten}
    less = {name: value for name, value in facts.items() if name not in gone}
    before, after = (decided(Evidence(facts=each, asked=ASKED)) for each in (facts, less))
    if before.verdict is not Verdict.APPROVED:
        assert after.verdict is not Verdict.APPROVED
    assert after.verdict is Verdict.APPROVED or after.way == WAY


@given(KNOWN)
def test_what_is_not_asked_for_would_have_changed_nothing(
    known: dict[str, FactValue | None],
) -> None:
    facts = {name: value for name, value in known.items() if value is not None}
    own = {name: value for name, value in facts.items() if not name.startswith("upstream.")}
    wanted = wanted_of(PACK, Evidence(facts=own), BINDING)
    told = {
        name: value
        for name, value in facts.items()
        if name.startswith("upstream.") and name.split(".")[1] in wanted
    }
    every = tuple(Asked(system=check.system) for check in PACK.upstream)
    asked = tuple(Asked(system=system) for system in wanted)
    one = decided(Evidence(facts=facts, asked=every))
    other = decided(Evidence(facts=own | told, asked=asked))
    assert (one.verdict, status(one)) == (other.verdict, status(other))
