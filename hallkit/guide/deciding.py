"""Instant approval (秒批秒办): a rule pack over what is known. Pure: the same in, the same out.

    decision = decide(pack, evidence, way)
    decision.verdict, decision.reasons

A rule is `when` → `requires` in Kleene's logic. It fails only where it surely concerns the person
and surely does not hold. What nobody knows is never a pass: it leads to the window. So does a pack
of which no rule applies, for then nothing was checked. Rules of kind `push` tell of what follows
the decision and never change it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from hallkit.guide.conditions import evaluate, facts_of, holds, tests_of
from hallkit.lexicon.words import Words
from hallkit.model.base import Value
from hallkit.model.canonical import canonical, digest
from hallkit.model.conditions import Condition, Facts, FactValue, Test
from hallkit.model.decision import (
    Decision,
    Evidence,
    PackName,
    RuleOutcome,
    RuleStatus,
    Verdict,
    Way,
)
from hallkit.model.item import Item
from hallkit.model.receipt import Receipt, Record, receipt_of
from hallkit.model.rules import Rule, RulePack


def decide(pack: RulePack, evidence: Evidence, way: Way) -> Decision:
    """The verdict of a pack. `way` is where the person goes if it is not approved."""
    rules = tuple(outcome(rule, evidence) for rule in pack.rules)
    binding = [rule.status for rule in rules if rule.kind != "push"]
    if RuleStatus.FAILED in binding:
        verdict = Verdict.REFUSED
    elif RuleStatus.UNKNOWN in binding or RuleStatus.PASSED not in binding:
        verdict = Verdict.TO_WINDOW
    else:
        verdict = Verdict.APPROVED
    return Decision(
        item=pack.item,
        pack=PackName(code=pack.code, version=pack.version, digest=digest(pack)),
        verdict=verdict,
        rules=rules,
        way=None if verdict is Verdict.APPROVED else way,
    )


def prechecks(pack: RulePack, evidence: Evidence) -> tuple[RuleOutcome, ...]:
    """条件预检, before the form: who fails one need not fill it in."""
    return tuple(outcome(rule, evidence) for rule in pack.rules if rule.kind == "precheck")


def outcome(rule: Rule, evidence: Evidence) -> RuleOutcome:
    """One rule."""
    judge = partial(_judge, answered=evidence.answered)
    applies = True if rule.when is None else evaluate(rule.when, evidence.facts, judge)
    holds_ = evaluate(rule.requires, evidence.facts, judge)
    status = _status(applies, holds_)
    lacking: tuple[str, ...] = ()
    if status is RuleStatus.UNKNOWN:
        open_ = [rule.requires] if holds_ is None else []
        open_ += [rule.when] if rule.when is not None and applies is None else []
        lacking = tuple(dict.fromkeys(_undecided(open_, evidence.facts, evidence.answered)))
    return RuleOutcome(
        key=rule.key,
        kind=rule.kind,
        status=status,
        text=rule.text,
        said={RuleStatus.PASSED: rule.passed, RuleStatus.FAILED: rule.failed}.get(status, ""),
        what_to_do=rule.what_to_do if status is RuleStatus.FAILED else "",
        by_law=rule.by_law,
        compared=compared(rule),
        lacking=lacking,
        systems=tuple(dict.fromkeys(filter(None, map(system_of, lacking)))),
    )


def compared(rule: Rule) -> tuple[str, ...]:
    """Every fact that a rule looks at, each once."""
    when = facts_of(rule.when) if rule.when is not None else ()
    return tuple(dict.fromkeys((*when, *facts_of(rule.requires))))


def system_of(fact: str) -> str:
    """The system whose answer a fact is; empty if it is none's."""
    source, _, rest = fact.partition(".")
    return rest.partition(".")[0] if source == "upstream" else ""


def wanted_of(pack: RulePack, evidence: Evidence, kinds: Iterable[str]) -> dict[str, list[str]]:
    """System → the fields that rules of these kinds still wait for.

    What is decided without a system is no reason to ask it: whatever it says changes nothing.
    """
    chosen = frozenset(kinds)
    found: dict[str, list[str]] = {}
    for rule in pack.rules:
        if rule.kind in chosen and outcome(rule, evidence).status is RuleStatus.UNKNOWN:
            for fact in compared(rule):
                system, name = system_of(fact), fact.rpartition(".")[2]
                if system and name not in found.setdefault(system, []):
                    found[system].append(name)
    return found


def way_of(item: Item, facts: Facts) -> Way:
    """Where somebody with this item goes; an answer may lead to another window."""
    chosen = [
        option
        for question in item.questions
        for option in question.options
        if option.key in _words(facts.get(f"answer.{question.key}"))
    ]
    places = [option.transact_addr for option in chosen if option.transact_addr]
    services = [option.service for option in chosen if option.service]
    elsewhere = bool(places or services)
    return Way(
        service=services[-1] if services else item.service,
        transact_addr=places[-1] if places else item.transact_addr,
        windows=() if elsewhere else item.windows,
    )


def _status(applies: bool | None, holds_: bool | None) -> RuleStatus:  # Kleene
    if applies is False:
        return RuleStatus.NOT_APPLICABLE
    if holds_ is True:
        return RuleStatus.PASSED
    if applies is True and holds_ is False:
        return RuleStatus.FAILED
    return RuleStatus.UNKNOWN


def _judge(test: Test, facts: Facts, *, answered: frozenset[str]) -> bool | None:
    """As `holds`, and stricter: what a silent system would say, and a value of another kind than
    the one it is compared with, decide nothing.
    """
    value = facts.get(test.fact)
    if value is None:
        system = system_of(test.fact)
        return None if system and system not in answered else holds(test, facts)
    return holds(test, facts) if _comparable(value, test) else None


def _comparable(value: FactValue, test: Test) -> bool:
    if test.op == "known":
        return True
    if test.op in ("in", "not_in", "contains"):
        return isinstance(value, str | tuple)
    return _kind(value) == _kind(test.value)


def _kind(value: FactValue) -> str:
    if isinstance(value, bool):
        return "yes_no"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "words"


def _undecided(
    conditions: Iterable[Condition], facts: Facts, answered: frozenset[str]
) -> Iterator[str]:
    for condition in conditions:
        for test in tests_of(condition):
            if _judge(test, facts, answered=answered) is None:
                yield test.fact


def _words(value: FactValue | None) -> tuple[FactValue, ...]:
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)


# ── Replay ───────────────────────────────────────────────────────────────────────────────────


class Difference(Value):
    """Where a decision made again is another one."""

    where: str
    """A path: `rules.age.status`."""
    was: str
    now: str


def replay(record: Record, receipt: Receipt | None = None) -> tuple[Difference, ...]:
    """Decide again what a record holds; empty if the decision, and the receipt, are the same.

    The receipt's signature is not looked at here (`hallkit.model.receipt.verify`).
    """
    now = decide(record.pack, record.evidence, record.way)
    found = list(_differences(record.decision, now))
    if receipt is not None:
        unsigned = receipt.model_copy(update={"signature": "", "key_id": ""})
        again = receipt_of(record.model_copy(update={"decision": now}))
        found += (
            one.model_copy(update={"where": f"receipt.{one.where}"})
            for one in _differences(unsigned, again)
        )
    return tuple(found)


def _differences(was: Value, now: Value) -> Iterator[Difference]:
    before, after = (
        dict(_leaves(json.loads(canonical(was)))),
        dict(_leaves(json.loads(canonical(now)))),
    )
    for where in dict.fromkeys((*before, *after)):
        if before.get(where) != after.get(where):
            yield Difference(where=where, was=before.get(where, ""), now=after.get(where, ""))


def _leaves(value: object, where: str = "") -> Iterator[tuple[str, str]]:
    """Every value at its path; parts of a list go by their key where they have one."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _leaves(part, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            key = part.get("key", number) if isinstance(part, Mapping) else number
            yield from _leaves(part, f"{where}.{key}")
    else:
        yield where, json.dumps(value, ensure_ascii=False)


# ── Words ────────────────────────────────────────────────────────────────────────────────────


class Reason(Value):
    """Why somebody goes to the window, as the screen and the slip say it."""

    checked: str
    said: str
    what_to_do: str


def reasons(
    decision: Decision, evidence: Evidence, pack: RulePack, words: Words
) -> tuple[Reason, ...]:
    """In plain words; one at least if it is not approved."""
    plain = {check.system: check.plain_name or check.system for check in pack.upstream}
    told = [
        Reason(checked=rule.text, said=rule.said, what_to_do=rule.what_to_do)
        if rule.status is RuleStatus.FAILED
        else Reason(
            checked=rule.text,
            said=_unknown(rule, evidence, plain, words),
            what_to_do=words("deciding.to_do"),
        )
        for rule in decision.reasons
    ]
    if not told and decision.verdict is not Verdict.APPROVED:
        nothing = words("deciding.nothing_checked")
        told = [Reason(checked=pack.title, said=nothing, what_to_do=words("deciding.to_do"))]
    return tuple(told)


def _unknown(rule: RuleOutcome, evidence: Evidence, plain: Mapping[str, str], words: Words) -> str:
    for system in rule.systems:
        name = plain.get(system, system)
        if system in evidence.silent:
            return words(f"deciding.silent.{evidence.silent[system]}", system=name)
        if system in evidence.answered:
            return words("deciding.incomplete", system=name)
        return words("deciding.silent.not_asked", system=name)
    return words("deciding.lacking")
