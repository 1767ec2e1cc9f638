"""A form is filled in from what is known, and says in plain words what is still wrong."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.forms import check, prefill, uscc_is_valid, verify_form, verify_rule_pack
from hallkit.lexicon.words import words
from hallkit.model.conditions import AllOf, AnyOf, FactValue, Test
from hallkit.model.form import Field, FieldOption, FormDefinition, Limits, Section
from hallkit.model.rules import Rule, RulePack, UpstreamCheck

TODAY = dt.date(2026, 5, 4)
WORDS = words("zh_CN")


def field(key: str, **more: object) -> Field:
    base = {"key": key, "label": f"{key}栏", "hint": "照证件写", "sample": "样"}
    return Field.model_validate(base | more)


def form(*fields: Field) -> FormDefinition:
    return FormDefinition(
        code="f",
        name="申请书",
        declaration="以上属实。",
        sections=(Section(key="s", title="基本情况", fields=fields),),
    )


CHOICE = (FieldOption(key="a", label="甲"), FieldOption(key="b", label="乙"))
SHOP = form(
    field("name", sources=("applicant.name",), editable=False, kind="name"),
    field("number", kind="id_number", sources=("applicant.id_number",)),
    field("address", sources=("licence.business_licence.address", "applicant.address")),
    field("mail_to", sources=("form.address",), required=False),
    field("kind", kind="choice", options=CHOICE, sources=("answer.kind",)),
    field("area", kind="number", limits=Limits(minimum=1, maximum=500, unit="平方米")),
    field("seats", kind="number", shown_when=Test(fact="form.area", op="gt", value=50)),
    field("start", kind="date", limits=Limits(not_before="today", not_after="today+30")),
    field("signed", kind="signature"),
    field("stamp", filler="clerk"),
)


def test_a_sound_form_has_no_mistakes() -> None:
    assert verify_form(SHOP) == []


def test_what_is_known_is_filled_in_with_its_source() -> None:
    filled = prefill(
        SHOP,
        {
            "applicant.name": "欧阳什邡",
            "applicant.address": "测试路1号",
            "applicant.id_number": "no number",
            "answer.kind": "c",
        },
    )
    assert {key: (one.value, one.source, one.editable) for key, one in filled.items()} == {
        "name": ("欧阳什邡", "applicant.name", False),
        "address": ("测试路1号", "applicant.address", True),
        "mail_to": ("测试路1号", "form.address", True),
    }
    better = prefill(SHOP, {"applicant.address": "旧", "licence.business_licence.address": "新"})
    assert better["address"].source == "licence.business_licence.address"


GOOD: dict[str, FactValue] = {
    "name": "欧阳什邡",
    "number": "11010519491231002X",
    "address": "测试路1号",
    "kind": "a",
    "area": 20,
    "start": "2026-05-04",
    "signed": True,
}


def told(**changes: FactValue) -> list[str]:
    return [one.text for one in check(SHOP, GOOD | changes, today=TODAY, words=WORDS)]


def test_a_sound_answer_lacks_nothing() -> None:
    assert told() == []


def test_everything_that_is_missing_is_told_in_the_forms_order() -> None:
    problems = check(SHOP, {}, today=TODAY, words=WORDS)
    assert [one.field for one in problems] == [
        *("name", "number", "address", "kind", "area", "seats", "start", "signed")
    ]
    assert problems[0].text == "请填“name栏”"
    assert problems[-1].text == "请在“signed栏”签名"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"number": "110105194912310021"}, "“number栏”的号码不对，请对着身份证再看一遍"),
        ({"area": 600}, "“area栏”不能大于 500平方米"),
        ({"area": 0.5}, "“area栏”不能小于 1平方米"),
        ({"area": "20"}, "“area栏”请只填数字"),
        ({"area": 60}, "请填“seats栏”"),
        ({"start": "2026-05-03"}, "“start栏”不能早于 2026-05-04"),
        ({"start": "2026-06-04"}, "“start栏”不能晚于 2026-06-03"),
        ({"start": "4.5.2026"}, "“start栏”请写成 2026-01-31 这样的日期"),
        ({"kind": "c"}, "请在“kind栏”里选一个"),
        ({"name": "a1"}, "“name栏”里有不能用的字符，请照证件写"),
        ({"address": "长" * 101}, "“address栏”太长，最多写 100 个字"),
        ({"address": " "}, "请填“address栏”"),
        ({"signed": False}, "请在“signed栏”签名"),
    ],
)
def test_each_wrong_answer_is_told_in_plain_words(changes: dict[str, FactValue], text: str) -> None:
    assert text in told(**changes)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("phone", "13800138000", "12345"),
        ("phone", "0838-8200000", "8200000a"),
        ("place", "510682", "51"),
        ("money", 12.5, 12.345),
        ("yes_no", False, "yes"),
        ("uscc", "91350100M000100Y43", "91350100M000100Y44"),
        ("choices", ("a", "b"), ("a", "z")),
        ("number", 3, True),
        ("number", 3, float("nan")),
        ("long_text", "文字", 3),
    ],
)
def test_kinds(kind: str, good: FactValue, bad: FactValue) -> None:
    options = CHOICE if kind == "choices" else ()
    one = form(field("x", kind=kind, options=options))
    assert check(one, {"x": good}, today=TODAY, words=WORDS) == []
    (problem,) = check(one, {"x": bad}, today=TODAY, words=WORDS)
    assert problem.field == "x"


@given(
    st.dictionaries(
        st.sampled_from([one.key for one in SHOP.fields]),
        st.booleans()
        | st.integers()
        | st.floats()
        | st.text("甲a1- ", max_size=8)
        | st.just(("a", "z")),
    )
)
def test_any_answer_is_checked_and_none_raises(values: dict[str, FactValue]) -> None:
    problems = check(SHOP, values, today=TODAY, words=WORDS)
    assert len({one.field for one in problems}) == len(problems)
    prefill(SHOP, {f"applicant.{key}": value for key, value in values.items()})


def test_check_characters_of_credit_codes() -> None:
    assert uscc_is_valid("91350100M000100Y43")
    assert not uscc_is_valid("91350100M000100Y4")
    assert not uscc_is_valid("91350100M000100I43")


@pytest.mark.parametrize(
    ("made", "mistake"),
    [
        (
            form(field("a", sources=("applicant.nmae",))),
            "sections.s.a.sources: unknown fact 'applicant.nmae' (did you mean 'applicant.name'?)",
        ),
        (
            form(field("a", shown_when=Test(fact="form.bb")), field("b", kind="yes_no")),
            "sections.s.a.shown_when: unknown fact 'form.bb' (did you mean 'form.b'?)",
        ),
        (
            form(
                field("a", sources=("form.b",)),
                field("b", kind="text", shown_when=Test(fact="form.a", op="known")),
            ),
            "sections.s.a: waits for itself",
        ),
        (form(field("a", kind="choice")), "sections.s.a.options: a choice has two or more"),
        (
            form(field("a", options=CHOICE)),
            "sections.s.a.options: are for a choice only, this is 'text'",
        ),
        (
            form(field("a", limits=Limits(min_length=9, max_length=3))),
            "sections.s.a.limits.min_length: is more than max_length",
        ),
        (
            form(field("a", kind="date", limits=Limits(not_before="soon"))),
            "sections.s.a.limits.not_before: 'soon' is no date (2026-01-31, today, today+30)",
        ),
        (
            form(field("a", limits=Limits(minimum=3))),
            "sections.s.a.limits.minimum: limits a number, this is 'text'",
        ),
        (
            form(field("a", editable=False)),
            "sections.s.a.editable: is false, and no source fills it",
        ),
        (form(field("a", hint="")), "sections.s.a.hint: is missing: what should be written here"),
        (form(field("a"), field("a")), "fields: 'a' stands twice"),
    ],
)
def test_each_mistake_of_a_form_is_told(made: FormDefinition, mistake: str) -> None:
    assert mistake in [str(one) for one in verify_form(made)]


SMALL = Test(fact="form.area", op="le", value=50)
LARGE = Test(fact="form.area", op="gt", value=50)


def rule(**more: object) -> Rule:
    base = {
        "key": "area",
        "text": "店面不超过 50 平方米",
        "requires": SMALL,
        "passed": "店面合适",
        "failed": "店面太大",
        "what_to_do": "请到窗口办",
    }
    return Rule.model_validate(base | more)


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        (
            {"kind": "precheck"},
            "rules.area.requires: looks at form.area before the form is filled in",
        ),
        (
            {"requires": Test(fact="form.aera", op="le", value=50)},
            "rules.area.requires: unknown fact 'form.aera' (did you mean 'form.area'?)",
        ),
        (
            {"when": Test(fact="upstream.tax.state", value="ok")},
            "rules.area.when: unknown fact 'upstream.tax.state' "
            "(did you mean 'upstream.market.*'?)",
        ),
        (
            {"masks": ("applicant.nmae",)},
            "rules.area.masks: unknown fact 'applicant.nmae' (did you mean 'applicant.name'?)",
        ),
        ({"what_to_do": " "}, "rules.area.what_to_do: says nothing"),
        (
            {"requires": AllOf(all=(SMALL, LARGE))},
            "rules.area: can never hold, whatever is known",
        ),
        (
            {"requires": AnyOf(any=(SMALL, LARGE))},
            "rules.area: can never fail: it checks nothing",
        ),
        ({"kind": "push"}, "rules: are pushes only: nothing is decided"),
    ],
)
def test_each_mistake_of_a_rule_pack_is_told(changes: dict[str, object], mistake: str) -> None:
    market = UpstreamCheck(system="market", ask=("applicant.id_number",))
    pack = RulePack(code="p", item="i", rules=(rule(**changes),), upstream=(market,))
    assert mistake in [str(one) for one in verify_rule_pack(pack, form=SHOP)]
    sound = pack.model_copy(update={"rules": (rule(),)})
    assert verify_rule_pack(sound, form=SHOP, systems={"market"}) == []
    assert [str(one) for one in verify_rule_pack(sound, form=SHOP, systems={"markt"})] == [
        "upstream: unknown upstream system 'market' (did you mean 'markt'?)"
    ]


def test_rules_that_cannot_all_hold_and_rules_that_say_the_same_are_told() -> None:
    def told(*rules: Rule) -> list[str]:
        return [str(one) for one in verify_rule_pack(RulePack(code="p", item="i", rules=rules))]

    assert "rules: contradict each other: nobody is ever approved" in told(
        rule(), rule(key="large", requires=LARGE)
    )
    assert told(rule(), rule(key="again")) == [
        "rules.area: never fails alone: another rule says the same",
        "rules.again: never fails alone: another rule says the same",
    ]
