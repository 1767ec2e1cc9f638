"""What is unknown stays unknown only where it matters, and a mistyped condition is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.conditions import (
    COMMON_FACTS,
    FactType,
    evaluate,
    facts_of,
    renamed,
    verify_condition,
)
from hallkit.model.conditions import AllOf, AnyOf, Condition, FactValue, Not, Test

NAMES = ("applicant.age", "applicant.residence", "held.card", "answer.kind", "form.area")
VALUES = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from(["", "a", "ab", "510682", "2026-01-31"]),
    st.lists(st.sampled_from(["a", "ab"]), max_size=2).map(tuple),
)
OPERATORS = ("eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "contains", "starts_with")
TESTS = st.builds(
    Test, fact=st.sampled_from(NAMES), op=st.sampled_from(OPERATORS), value=VALUES
) | st.builds(Test, fact=st.sampled_from(NAMES), op=st.just("known"))


def _deeper(parts: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(parts, max_size=3).map(tuple)
    return st.one_of(
        several.map(lambda all_: AllOf(all=all_)),
        several.map(lambda any_: AnyOf(any=any_)),
        parts.map(negated),
    )


def negated(condition: Condition) -> Not:
    return Not.model_validate({"not": condition})


CONDITIONS = st.recursive(TESTS, _deeper, max_leaves=8)
FACTS = st.dictionaries(st.sampled_from(NAMES), VALUES)
SEVERAL = st.lists(CONDITIONS, max_size=4).map(tuple)


@given(SEVERAL, FACTS)
def test_de_morgan(parts: tuple[Condition, ...], facts: dict[str, FactValue]) -> None:
    opposites = tuple(negated(part) for part in parts)
    assert evaluate(negated(AllOf(all=parts)), facts) == evaluate(AnyOf(any=opposites), facts)
    assert evaluate(negated(AnyOf(any=parts)), facts) == evaluate(AllOf(all=opposites), facts)


@given(CONDITIONS, FACTS)
def test_nothing_raises_and_twice_not_is_nothing(
    condition: Condition, facts: dict[str, FactValue]
) -> None:
    assert evaluate(condition, {}) in (True, False, None)
    assert evaluate(negated(negated(condition)), facts) == evaluate(condition, facts)


WELL_TYPED = st.recursive(
    st.sampled_from(
        [
            Test(fact="applicant.age", op="ge", value=60),
            Test(fact="applicant.residence", op="starts_with", value="5106"),
            Test(fact="held.card"),
            Test(fact="answer.kind", op="in", value=("a", "b")),
        ]
    ),
    _deeper,
    max_leaves=8,
)
KNOWN: dict[str, FactValue] = {
    "applicant.age": 61,
    "applicant.residence": "510682",
    "held.card": False,
    "answer.kind": "c",
}


@given(WELL_TYPED, st.sets(st.sampled_from(sorted(KNOWN))))
def test_only_an_absent_fact_leaves_it_undecided(condition: Condition, absent: set[str]) -> None:
    some = {name: value for name, value in KNOWN.items() if name not in absent}
    now = evaluate(condition, some)
    if now is None:
        assert set(facts_of(condition)) & absent
    else:
        assert evaluate(condition, KNOWN) is now, "learning more never changes what was decided"


@given(CONDITIONS, FACTS)
def test_other_names_of_the_facts_change_nothing(
    condition: Condition, facts: dict[str, FactValue]
) -> None:
    names = {name: f"upstream.x.{name.replace('.', '-')}" for name in NAMES}
    elsewhere = {names[name]: value for name, value in facts.items()}
    assert evaluate(renamed(condition, names), elsewhere) == evaluate(condition, facts)


@pytest.mark.parametrize(
    ("op", "value", "fact", "expected"),
    [
        ("eq", True, 1, False),  # yes is not 1
        ("eq", 1, 1.0, True),
        ("ge", 60, 60, True),
        ("ge", 60, "old", None),
        ("lt", "2026-01-01", "2025-12-31", True),
        ("in", ("510682", "510600"), "510682", True),
        ("not_in", ("a",), ("a", "b"), False),
        ("contains", "b", ("a", "b"), True),
        ("contains", "b", "b", True),
        ("starts_with", "5106", "510682001", True),
        ("starts_with", "5106", 510682, None),
        ("known", True, "x", True),
        ("known", True, "", False),
    ],
)
def test_operators(op: str, value: FactValue, fact: FactValue, *, expected: bool | None) -> None:
    test = Test.model_validate({"fact": "form.x", "op": op, "value": value})
    assert evaluate(test, {"form.x": fact}) is expected
    if op != "known":
        assert evaluate(test, {}) is None


SCOPE = {
    **COMMON_FACTS,
    "answer.kind": FactType("text", ("shop", "online")),
    "answer.extras": FactType("words", ("meat", "fish")),
}


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (
            {"fact": "applicant.agee", "op": "ge", "value": 60},
            "unknown fact 'applicant.agee' (did you mean 'applicant.age'?)",
        ),
        (
            {"fact": "aplicant.age", "op": "ge", "value": 60},
            "unknown fact 'aplicant.age' (did you mean 'applicant'?)",
        ),
        (
            {"fact": "answer.kimd", "value": "shop"},
            "unknown fact 'answer.kimd' (did you mean 'answer.kind'?)",
        ),
        (
            {"fact": "answer.kind", "value": "shpo"},
            "answer.kind is never 'shpo' (did you mean 'shop'?)",
        ),
        (
            {"fact": "applicant.age", "op": "ge", "value": "60"},
            "applicant.age is a number, '60' is not",
        ),
        ({"fact": "applicant.age", "value": True}, "applicant.age is a number, True is not"),
        (
            {"fact": "answer.extras", "value": "meat"},
            "answer.extras is a list of words, for which 'eq' makes no sense "
            "(use one of: contains, known)",
        ),
        (
            {"fact": "answer.kind", "op": "in", "value": "shop"},
            "answer.kind needs a list with op 'in'",
        ),
        (
            {"fact": "answer.kind", "value": ["shop"]},
            "answer.kind has a list with op 'eq' (use 'in')",
        ),
        (
            {"fact": "held.card", "op": "known", "value": False},
            "held.card takes no value with op 'known' (for the opposite use not)",
        ),
        (
            {"fact": "today.date", "op": "ge", "value": "1.1.2026"},
            "today.date is a date (YYYY-MM-DD), '1.1.2026' is not",
        ),
        (
            {"fact": "upstream.market.state", "op": "in", "value": []},
            "upstream.market.state has an empty list with op 'in'",
        ),
    ],
)
def test_a_condition_that_makes_no_sense_is_told(test: dict[str, object], told: str) -> None:
    condition = AllOf(all=(negated(Test.model_validate(test)),))
    assert next(str(mistake) for mistake in verify_condition(condition, SCOPE, "when")) == (
        f"when: {told}"
    )


def test_sound_conditions_have_no_mistakes() -> None:
    sound = AnyOf(
        any=(
            Test(fact="applicant.residence", op="starts_with", value="5106"),
            Test(fact="licence.business_licence.address", op="known"),
            Test(fact="answer.extras", op="contains", value="fish"),
            Test(fact="today.date", op="ge", value="2026-01-01"),
            Test(fact="held.resident_card"),
        )
    )
    assert verify_condition(sound, SCOPE) == []
    assert facts_of(sound)[0] == "applicant.residence"
