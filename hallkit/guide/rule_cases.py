"""Made-up facts that a rule pack approves, and those that fail one rule of it alone.

    approving(pack)          facts under which it approves; None if there are none
    failing(pack, rule)      facts under which this rule fails and no other; None if there are none

What is compared with tells which values matter: those named, their neighbours and something else.
So a rule that can never hold, or never fail, is found without anybody's data. Where conditions
branch so often that the ways can't be tried, each of these raises `Tangled`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hallkit.errors import HallError
from hallkit.guide.conditions import FactType, Scope, fact_type, holds, tests_of
from hallkit.model.conditions import AllOf, AnyOf, Condition, Facts, FactValue, Not, Test
from hallkit.model.decision import Asked, Evidence
from hallkit.model.rules import Rule, RulePack

OTHER = "sample"
"""A word that no pack waits for."""
_OTHER_DIGITS = "000000"
_OTHER_DAY = "2000-01-01"

_STEPS = 20_000
"""A pack of the hall takes some dozens."""

_Values = Mapping[str, Sequence[FactValue | None]]
_Known = dict[str, FactValue | None]


class Tangled(HallError):
    """So many ways to try that nobody waits for it."""

    code = "rules.tangled"


def approving(pack: RulePack, scope: Scope | None = None) -> dict[str, FactValue] | None:
    """Facts under which a pack approves, and its pushes hold if that can be."""
    binding = [_holds(rule) for rule in pack.rules if rule.kind != "push"]
    pushes = [_holds(rule) for rule in pack.rules if rule.kind == "push"]
    passes = [_passes(rule) for rule in pack.rules if rule.kind != "push"]
    for goals in ([*binding, *pushes], binding):
        found = _first(pack, [*goals, AnyOf(any=tuple(passes))], scope or {})
        if found is not None:
            return found
    return None


def failing(pack: RulePack, rule: Rule, scope: Scope | None = None) -> dict[str, FactValue] | None:
    """Facts under which this rule fails and every other one holds or does not apply."""
    others = [_holds(other) for other in pack.rules if other is not rule and other.kind != "push"]
    passes = tuple(_passes(other) for other in pack.rules if other.kind != "push")
    goals: list[Condition] = [_fails(rule), *others]
    if rule.kind == "push":
        goals.append(AnyOf(any=passes))
    return _first(pack, goals, scope or {})


def can_pass(pack: RulePack, rule: Rule, scope: Scope | None = None) -> bool:
    """Whether some facts let this rule pass, whatever becomes of the others."""
    return _first(pack, [_passes(rule)], scope or {}) is not None


def can_fail(pack: RulePack, rule: Rule, scope: Scope | None = None) -> bool:
    return _first(pack, [_fails(rule)], scope or {}) is not None


def evidence_of(pack: RulePack, facts: Facts) -> Evidence:
    """As if every system had been asked and had answered."""
    asked = tuple(Asked(system=check.system, facts=check.ask) for check in pack.upstream)
    return Evidence(facts=dict(facts), asked=asked)


def _passes(rule: Rule) -> Condition:
    return rule.requires if rule.when is None else AllOf(all=(rule.when, rule.requires))


def _holds(rule: Rule) -> Condition:
    """It passes or does not apply; what applies is tried first."""
    return _passes(rule) if rule.when is None else AnyOf(any=(_passes(rule), _not(rule.when)))


def _fails(rule: Rule) -> Condition:
    parts = (_not(rule.requires),) if rule.when is None else (rule.when, _not(rule.requires))
    return AllOf(all=parts)


def _not(condition: Condition) -> Condition:
    return Not.model_validate({"not": condition})


def _first(pack: RulePack, goals: Sequence[Condition], scope: Scope) -> dict[str, FactValue] | None:
    values = _values(pack, scope)
    # What leaves least to choose goes first: then the rest has less to try.
    wanted = [(goal, True) for goal in sorted(goals, key=lambda goal: len([*tests_of(goal)]))]
    known = next(_satisfied(wanted, {}, values, iter(range(_STEPS))), None)
    if known is None:
        return None
    asked = {fact for check in pack.upstream for fact in check.ask} - known.keys()
    found = {name: value for name, value in known.items() if value is not None}
    found |= {name: _some(fact_type(name, scope)) for name in asked}
    return dict(sorted(found.items()))


def _satisfied(
    goals: Sequence[tuple[Condition, bool]], known: _Known, values: _Values, steps: Iterator[int]
) -> Iterator[_Known]:
    """What must be known besides, for each way in which all goals come true."""
    if next(steps, None) is None:
        raise Tangled(f"more than {_STEPS} steps")
    if not goals:
        yield known
        return
    (condition, wanted), rest = goals[0], goals[1:]
    match condition:
        case Test(fact=fact):
            for value in (known[fact],) if fact in known else values[fact]:
                one = {**known, fact: value}
                given = {name: each for name, each in one.items() if each is not None}
                if holds(condition, given) is wanted:
                    yield from _satisfied(rest, one, values, steps)
        case Not(not_=part):
            yield from _satisfied([(part, not wanted), *rest], known, values, steps)
        case AllOf(all=parts) | AnyOf(any=parts):
            if isinstance(condition, AllOf) is wanted:
                yield from _satisfied(
                    [*((part, wanted) for part in parts), *rest], known, values, steps
                )
            else:
                for part in parts:
                    yield from _satisfied([(part, wanted), *rest], known, values, steps)


# ── Values that matter ───────────────────────────────────────────────────────────────────────


def _conditions(rule: Rule) -> tuple[Condition, ...]:
    return (rule.requires,) if rule.when is None else (rule.when, rule.requires)


def _values(pack: RulePack, scope: Scope) -> _Values:
    tests: dict[str, list[Test]] = {}
    for rule in pack.rules:
        for condition in _conditions(rule):
            for test in tests_of(condition):
                tests.setdefault(test.fact, []).append(test)
    return {fact: _candidates(of_fact, fact_type(fact, scope)) for fact, of_fact in tests.items()}


def _candidates(tests: Iterable[Test], type_: FactType | None) -> list[FactValue | None]:
    found: list[FactValue | None] = []
    for test in tests:
        found += _around(test, type_)
    if type_ is not None and type_.values:
        words = type_.kind == "words"
        found = [(word,) if words else word for word in type_.values]
    return [*dict.fromkeys(found), None]


def _around(test: Test, type_: FactType | None) -> Iterator[FactValue]:
    wanted = test.value
    match test.op:
        case "known":
            yield _some(type_)
        case "contains":
            yield from ((str(wanted),), (OTHER,))
        case "in" | "not_in":
            yield from wanted if isinstance(wanted, tuple) else (wanted,)
            yield OTHER
        case "starts_with":
            yield from (str(wanted), _OTHER_DIGITS if str(wanted).isdigit() else OTHER)
        case _:
            yield from _near(wanted)


def _near(wanted: FactValue) -> Iterator[FactValue]:
    """The value, what stands beside it, and something else."""
    yield wanted
    if isinstance(wanted, bool):
        yield not wanted
    elif isinstance(wanted, int | float):
        yield from (wanted - 1, wanted + 1)
    elif isinstance(wanted, str):
        try:
            day = dt.date.fromisoformat(wanted)
        except ValueError:
            yield OTHER
        else:
            yield from ((day + dt.timedelta(days=days)).isoformat() for days in (-1, 1))


def _some(type_: FactType | None) -> FactValue:
    """Any value of a kind."""
    match type_.kind if type_ is not None else "text":
        case "yes_no":
            return True
        case "number":
            return 1
        case "date":
            return _OTHER_DAY
        case "words":
            return (OTHER,)
        case _:
            return type_.values[0] if type_ is not None and type_.values else OTHER
