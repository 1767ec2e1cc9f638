"""Every rule pack of the hall, authored or made up: it approves somebody, each rule refuses one."""

from __future__ import annotations

import pytest

from affairs.catalogue_source import load
from affairs.generator import generate
from affairs.hall_map import load_hall_map
from affairs.queue.services import load_services
from affairs.upstream import load_upstream
from affairs.upstreams.port import ask_all
from hallkit.guide.conditions import Scope
from hallkit.guide.deciding import decide, reasons, system_of, way_of
from hallkit.guide.forms import rule_facts
from hallkit.guide.rule_cases import approving, evidence_of, failing
from hallkit.lexicon.words import words
from hallkit.model.conditions import FactValue
from hallkit.model.content import Content
from hallkit.model.decision import Evidence, NoAnswer, RuleStatus, Verdict
from hallkit.model.rules import RulePack
from tests.fakes.clock import FakeClock
from tests.fakes.upstreams import FakeUpstreams

AUTHORED = load()
SERVICES = load_services()
WHOLE = generate(AUTHORED, load_hall_map(), SERVICES)
ITEMS = {item.catalog_code: item for item in WHOLE.items}
FORMS = {form.code: form for form in WHOLE.forms}

every_pack = pytest.mark.parametrize(
    "pack", [pytest.param(pack, id=pack.code) for pack in WHOLE.rule_packs]
)


def scope_of(pack: RulePack) -> Scope:
    item = ITEMS[pack.item]
    systems = [check.system for check in pack.upstream]
    return rule_facts(systems, item, FORMS.get(item.form))


def test_every_terminal_item_has_a_pack_and_fifteen_at_least_are_written_by_hand() -> None:
    def decided(content: Content) -> set[str]:
        return {item.rule_pack for item in content.items if item.is_instant_terminal}

    codes = {pack.code for pack in WHOLE.rule_packs}
    assert len(decided(WHOLE)) == 69
    assert decided(WHOLE) <= codes
    assert len(decided(AUTHORED)) >= 15


@every_pack
def test_it_approves_somebody(pack: RulePack) -> None:
    facts = approving(pack, scope_of(pack))
    assert facts is not None
    decision = decide(pack, evidence_of(pack, facts), way_of(ITEMS[pack.item], facts))
    assert decision.verdict is Verdict.APPROVED
    assert {rule.status for rule in decision.rules} <= {
        RuleStatus.PASSED,
        RuleStatus.NOT_APPLICABLE,
    }


@every_pack
def test_each_rule_refuses_somebody_whom_no_other_refuses_and_says_why(pack: RulePack) -> None:
    for rule in pack.rules:
        facts = failing(pack, rule, scope_of(pack))
        assert facts is not None, rule.key
        known = evidence_of(pack, facts)
        decision = decide(pack, known, way_of(ITEMS[pack.item], facts))
        if rule.kind == "push":
            assert decision.verdict is Verdict.APPROVED, rule.key
            continue
        assert decision.verdict is Verdict.REFUSED, rule.key
        assert [one.key for one in decision.reasons] == [rule.key]
        (told,) = reasons(decision, known, pack, words())
        assert all((told.checked, told.said, told.what_to_do)), rule.key
        assert decision.way is not None
        assert decision.way.service in SERVICES
        assert decision.way.transact_addr


@every_pack
def test_knowing_nothing_it_leads_to_the_window_with_reasons(pack: RulePack) -> None:
    decision = decide(pack, Evidence(), way_of(ITEMS[pack.item], {}))
    told = reasons(decision, Evidence(), pack, words())
    assert decision.verdict is not Verdict.APPROVED
    assert told
    assert all(one.said and one.what_to_do for one in told)


@every_pack
def test_every_rule_has_its_words_and_every_system_a_plain_name(pack: RulePack) -> None:
    for rule in pack.rules:
        told = (rule.text, rule.passed, rule.failed, rule.what_to_do)
        assert all(text.strip() for text in told), rule.key
        assert rule.passed != rule.failed
    known = load_upstream()
    assert {check.system: check.plain_name for check in pack.upstream}.items() <= known.items()
    assert pack.sample


SYSTEMS = sorted({check.system for pack in WHOLE.rule_packs for check in pack.upstream})
KNOWN_ANOTHER_WAY = {("birth-plan-register-instant", "population")}
"""Packs that know another way: the card says that the person lives here."""


@pytest.mark.parametrize("down", [*SYSTEMS, "every system"])
async def test_items_against_outages(down: str) -> None:
    """Of the whole hall exactly the items of a system that is down go to the window."""
    clock = FakeClock()
    for pack in WHOLE.rule_packs:
        facts = approving(pack, scope_of(pack)) or {}
        answers: dict[str, dict[str, FactValue]] = {one.system: {} for one in pack.upstream}
        for name, value in facts.items():
            if system := system_of(name):
                answers[system][name.rpartition(".")[2]] = value
        upstreams = FakeUpstreams(clock, **answers)
        gone = set(SYSTEMS) if down == "every system" else {down}
        for system in gone:
            upstreams.fail(system, NoAnswer.DOWN)
        own = {name: value for name, value in facts.items() if not system_of(name)}
        heard = await ask_all(upstreams, pack, own, clock, key="k")
        decision = decide(
            pack,
            Evidence(facts={**own, **heard.facts}, asked=heard.asked),
            way_of(ITEMS[pack.item], own),
        )
        needs = {
            one.system for one in pack.upstream if (pack.code, one.system) not in KNOWN_ANOTHER_WAY
        }
        wanted = Verdict.TO_WINDOW if needs & gone else Verdict.APPROVED
        assert decision.verdict is wanted, pack.code
