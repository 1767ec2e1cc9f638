"""Conditions over facts, evaluated: true, false, or not known yet.

    evaluate(AllOf(all=(age_60, lives_here)), {"applicant.age": 71})  → None

Three-valued logic of Kleene: what is unknown stays so only where it matters. A fact of a kind that
the operator makes no sense for counts as unknown too; nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from hallkit.guide.mistakes import Mistake, suggest
from hallkit.model.conditions import (
    FACT_SOURCES,
    AllOf,
    AnyOf,
    Condition,
    Facts,
    FactValue,
    Not,
    Test,
)
from hallkit.model.item import Question

FactKind = Literal["yes_no", "number", "text", "date", "words", "any"]
"""What a fact's value is; `words` is a list of them."""


@dataclass(frozen=True, slots=True)
class FactType:
    """What may be asked of a fact."""

    kind: FactKind
    values: tuple[str, ...] = ()
    """The only words that it takes; empty where any is possible."""


Scope = Mapping[str, FactType]
"""The facts that conditions in one place may name; `*` in a name stands for any word."""

COMMON_FACTS: Scope = {
    "applicant.age": FactType("number"),
    "applicant.sex": FactType("text", ("0", "1", "2", "9")),
    "applicant.residence": FactType("text"),
    "applicant.kind": FactType("text", ("person", "company", "sole_trader")),
    "applicant.ethnicity": FactType("text"),
    "held.*": FactType("yes_no"),
    "licence.*.*": FactType("any"),
    "upstream.*.*": FactType("any"),
    "today.date": FactType("date"),
    "today.year": FactType("number"),
}
"""What may be known anywhere; an item adds `answer.…`, its form `form.…`."""

_ORDER = frozenset({"lt", "le", "gt", "ge"})
_LISTS = frozenset({"in", "not_in"})
_OPERATORS: Mapping[FactKind, frozenset[str]] = {
    "yes_no": frozenset({"eq", "ne", "known"}),
    "number": frozenset({"eq", "ne", "known"}) | _ORDER | _LISTS,
    "text": frozenset({"eq", "ne", "known", "starts_with"}) | _LISTS,
    "date": frozenset({"eq", "ne", "known", "starts_with"}) | _ORDER,
    "words": frozenset({"contains", "known"}),
}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def answer_facts(questions: Iterable[Question]) -> dict[str, FactType]:
    """The facts that the answers of these questions are."""
    return {
        f"answer.{question.key}": FactType(
            "words" if question.multiple else "text",
            tuple(option.key for option in question.options),
        )
        for question in questions
    }


def evaluate(
    condition: Condition, facts: Facts, judge: Callable[[Test, Facts], bool | None] | None = None
) -> bool | None:
    """True, false, or None while what is known decides neither.

    `judge` says how one comparison stands, instead of `holds`.
    """
    match condition:
        case Test():
            return (judge or holds)(condition, facts)
        case AllOf(all=parts):
            return _all(evaluate(part, facts, judge) for part in parts)
        case AnyOf(any=parts):
            return _opposite(_all(_opposite(evaluate(part, facts, judge)) for part in parts))
        case Not(not_=part):
            return _opposite(evaluate(part, facts, judge))


def facts_of(condition: Condition) -> tuple[str, ...]:
    """Names of the facts that a condition asks for, each once, as they stand."""
    return tuple(dict.fromkeys(test.fact for test in tests_of(condition)))


def tests_of(condition: Condition) -> Iterator[Test]:
    """Every comparison within."""
    match condition:
        case Test():
            yield condition
        case AllOf(all=parts) | AnyOf(any=parts):
            for part in parts:
                yield from tests_of(part)
        case Not(not_=part):
            yield from tests_of(part)


def renamed(condition: Condition, names: Mapping[str, str]) -> Condition:
    """The same condition over facts of other names; what is not named stays."""
    match condition:
        case Test(fact=fact):
            return condition.model_copy(update={"fact": names.get(fact, fact)})
        case AllOf(all=parts):
            return AllOf(all=tuple(renamed(part, names) for part in parts))
        case AnyOf(any=parts):
            return AnyOf(any=tuple(renamed(part, names) for part in parts))
        case Not(not_=part):
            return condition.model_copy(update={"not_": renamed(part, names)})


def verify_condition(
    condition: Condition, scope: Scope = COMMON_FACTS, key: str = ""
) -> list[Mistake]:
    """Unknown facts, values of the wrong kind, operators without sense."""
    mistakes: list[Mistake] = []
    for test in tests_of(condition):
        found = fact_type(test.fact, scope)
        if found is None:
            mistakes.append(Mistake(key, f"unknown fact {test.fact!r}", _fact_hint(test, scope)))
        else:
            mistakes += (
                Mistake(key, f"{test.fact} {message}", hint)
                for message, hint in _verify_test(test, found)
            )
    return mistakes


def fact_type(name: str, scope: Scope) -> FactType | None:
    """What is known of a fact's kind; None if nothing here has such a fact."""
    if name in scope:
        return scope[name]
    patterns = (pattern for pattern in scope if "*" in pattern)
    dots = name.count(".")
    return next(
        (scope[one] for one in patterns if one.count(".") == dots and fnmatchcase(name, one)), None
    )


def holds(test: Test, facts: Facts) -> bool | None:  # noqa: PLR0911  # one line an operator
    """How one comparison stands."""
    value = facts.get(test.fact)
    if test.op == "known":
        return value is not None and value != ""
    if value is None:
        return None
    wanted = test.value
    match test.op:
        case "eq":
            return _same(value, wanted)
        case "ne":
            return not _same(value, wanted)
        case "in":
            return any(_same(one, other) for one in _words(value) for other in _words(wanted))
        case "not_in":
            return not any(_same(one, other) for one in _words(value) for other in _words(wanted))
        case "contains":
            return any(_same(one, wanted) for one in _words(value))
        case "starts_with":
            both_text = isinstance(value, str) and isinstance(wanted, str)
            return str(value).startswith(str(wanted)) if both_text else None
        case "lt" | "le" | "gt" | "ge":
            return _ordered(value, test.op, wanted)


def _same(one: FactValue, other: FactValue) -> bool:
    """Equal and of one kind: yes is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _words(value: FactValue) -> tuple[FactValue, ...]:
    return value if isinstance(value, tuple) else (value,)


def _ordered(value: FactValue, op: str, wanted: FactValue) -> bool | None:
    if isinstance(value, str) and isinstance(wanted, str):
        sign = (value > wanted) - (value < wanted)
    elif _is_number(value) and _is_number(wanted):
        sign = (value > wanted) - (value < wanted)  # type: ignore[operator]  # both are numbers
    else:
        return None
    return {"lt": sign < 0, "le": sign <= 0, "gt": sign > 0, "ge": sign >= 0}[op]


def _is_number(value: FactValue) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _all(parts: Iterable[bool | None]) -> bool | None:
    undecided = False
    for part in parts:
        if part is False:
            return False
        undecided = undecided or part is None
    return None if undecided else True


def _opposite(value: bool | None) -> bool | None:
    return None if value is None else not value


def _fact_hint(test: Test, scope: Scope) -> str:
    source = test.fact.partition(".")[0]
    if source not in FACT_SOURCES:
        return suggest(source, FACT_SOURCES)
    of_source = [name for name in scope if name.partition(".")[0] == source]
    return suggest(test.fact, of_source or scope)


def _verify_test(test: Test, found: FactType) -> Iterator[tuple[str, str]]:
    """What is wrong with one comparison, and a hint."""
    if test.op == "known":
        if test.value is not True:
            yield "takes no value with op 'known'", "for the opposite use not"
        return
    if found.kind == "any":
        yield from _verify_form(test)
        return
    allowed = _OPERATORS[found.kind]
    if test.op not in allowed:
        yield (
            f"is {_KIND_WORDS[found.kind]}, for which {test.op!r} makes no sense",
            "use one of: " + ", ".join(sorted(allowed)),
        )
        return
    yield from _verify_form(test)
    for value in _words(test.value) if test.op in _LISTS else (test.value,):
        if not _fits(value, found.kind):
            yield f"is {_KIND_WORDS[found.kind]}, {value!r} is not", ""
        elif found.values and test.op != "starts_with" and value not in found.values:
            yield f"is never {value!r}", suggest(str(value), found.values)


def _verify_form(test: Test) -> Iterator[tuple[str, str]]:
    if test.op in _LISTS and not isinstance(test.value, tuple):
        yield f"needs a list with op {test.op!r}", ""
    elif test.op in _LISTS and not test.value:
        yield f"has an empty list with op {test.op!r}", ""
    elif test.op not in _LISTS and isinstance(test.value, tuple):
        yield f"has a list with op {test.op!r}", "use 'in'"


_KIND_WORDS: Mapping[FactKind, str] = {
    "yes_no": "true or false",
    "number": "a number",
    "text": "a text",
    "date": "a date (YYYY-MM-DD)",
    "words": "a list of words",
    "any": "anything",
}


def _fits(value: FactValue, kind: FactKind) -> bool:
    match kind:
        case "yes_no":
            return isinstance(value, bool)
        case "number":
            return _is_number(value)
        case "date":
            return isinstance(value, str) and _DATE.fullmatch(value) is not None
        case _:
            return isinstance(value, str)
