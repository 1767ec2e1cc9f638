"""Each mistake of a catalogue is told, by the key that leads to it; what is sound is left alone."""

import time
from collections.abc import Mapping
from dataclasses import replace

import pytest

from hallkit.guide.mistakes import Mistake
from hallkit.guide.questions import paths
from hallkit.guide.verify import Known, Whole, verify_bundle, verify_item, verify_whole, ways
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.conditions import Test
from hallkit.model.form import FormDefinition
from hallkit.model.item import CommonQuestion, Fee, Item, Material, Option, Question
from hallkit.model.rules import Rule, RulePack

CARD = Material(key="card", material_name="身份证")
AGE = Test(fact="applicant.age", op="ge", value=60)


def question(key: str, *options: Option, **more: object) -> Question:
    base = {"key": key, "text": f"{key} 是哪一种", "why": "要的材料不一样。", "options": options}
    return Question.model_validate(base | more)


def option(key: str, **more: object) -> Option:
    return Option.model_validate({"key": key, "label": f"选{key}"} | more)


WHO = question("who", option("self", when=AGE), option("other", next_question="extras"))
EXTRAS = question("extras", option("meat"), option("fish"), multiple=True, none_label="都没有")
ITEM = Item(
    catalog_code="one",
    task_name="示例 新办",
    plain_name="开店",
    dept_name="示例局",
    theme="示例",
    service="general",
    transact_addr="1楼",
    materials=(CARD,),
    base_materials=("card",),
    steps=("交材料",),
    first_question="who",
    questions=(WHO, EXTRAS),
)


def changed(item: Item = ITEM, **fields: object) -> Item:
    return item.model_copy(update=fields)


def with_option(**more: object) -> Item:
    other = option("other", **({"next_question": "extras"} | more))
    return changed(questions=(question("who", option("self"), other), EXTRAS))


KNOWN = Known(
    items={"one", "two"},
    forms={},
    rule_packs=set(),
    services={"general": "1楼"},
    windows={"1-1": {"general"}, "2-1": {"market"}},
    peripherals={"ticket_printer"},
    upstream={"market"},
)


def test_a_sound_item_has_no_mistakes() -> None:
    assert verify_item(ITEM, KNOWN) == []
    assert ways(ITEM) == 4
    assert [state.labels for state in paths(ITEM)] == [
        ("选self",),
        ("选other", "都没有"),
        ("选other", "选meat"),
        ("选other", "选fish"),
        ("选other", "选meat、选fish"),
    ]


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (
            with_option(go_to_item="two", next_question="extras"),
            "questions.extras: no answer leads here",
        ),
        (
            with_option(go_to_item="two"),
            "questions.who.other.next_question: is never asked: the answer ends it",
        ),
        (
            with_option(go_to_item="too"),
            "questions.who.other.go_to_item: unknown item 'too' (did you mean 'two'?)",
        ),
        (
            with_option(go_to_item="one"),
            "questions.who.other.go_to_item: is this item itself",
        ),
        (
            with_option(go_to_item="two", stop="办不了。"),
            "questions.who.other.stop: and go_to_item: only one of them",
        ),
        (
            with_option(service="genral"),
            "questions.who.other.service: unknown service 'genral' (did you mean 'general'?)",
        ),
        (
            with_option(when=Test(fact="answer.who", value="self")),
            "questions.who.other.when: answer.who is never known when this is asked",
        ),
        (
            with_option(when=Test(fact="applicant.agee", op="ge", value=1)),
            "questions.who.other.when: unknown fact 'applicant.agee' "
            "(did you mean 'applicant.age'?)",
        ),
        (
            changed(
                questions=(
                    WHO,
                    question(
                        "extras", option("meat", next_question="who"), option("x"), multiple=True
                    ),
                )
            ),
            "questions.extras.meat.next_question: is never followed: "
            "a multiple question has its own next_question",
        ),
        (
            changed(questions=(WHO, question("extras", option("a"), option("b"), none_label="无"))),
            "questions.extras.none_label: is for a multiple question only",
        ),
        (
            changed(questions=(WHO, question("extras", option("a+b"), option("b")))),
            "questions.extras: 'a+b' has other characters than a-z, 0-9, _ and -",
        ),
        (
            changed(questions=(WHO, EXTRAS.model_copy(update={"why": " "}))),
            "questions.extras.why: says nothing",
        ),
        (
            changed(materials=(CARD.model_copy(update={"when": Test(fact="form.x")}),)),
            "materials.card.when: unknown fact 'form.x' (known: applicant.age, "
            "applicant.ethnicity, applicant.kind, applicant.residence, applicant.sex, "
            "answer.extras, answer.who, held.*, licence.*.*, today.date, today.year, "
            "upstream.*.*)",
        ),
        (
            changed(materials=(CARD.model_copy(update={"may_follow": True}),)),
            "materials.card.may_follow: needs follow_days",
        ),
        (
            changed(materials=(CARD.model_copy(update={"follow_days": 3}),)),
            "materials.card.may_follow: is false, yet there are days",
        ),
        (
            changed(materials=(CARD.model_copy(update={"form": "f"}),)),
            "materials.card.form: unknown form 'f' (there is none)",
        ),
        (changed(form="f"), "form: unknown form 'f' (there is none)"),
        (changed(rule_pack="r"), "rule_pack: unknown rule pack 'r' (there is none)"),
        (changed(windows=("2-1",)), "windows: window 2-1 does not serve 'general'"),
        (changed(transact_addr="3楼"), "transact_addr: general is at '1楼', not '3楼'"),
        (changed(windows=("1-9",)), "windows: unknown window '1-9' (did you mean '1-1'?)"),
        (
            changed(peripherals=("ticket_prnter",)),
            "peripherals: unknown port 'ticket_prnter' (did you mean 'ticket_printer'?)",
        ),
        (
            changed(upstream=("makret",)),
            "upstream: unknown upstream system 'makret' (did you mean 'market'?)",
        ),
        (
            changed(is_instant_terminal=True, is_instant=True, rule_pack="r"),
            "is_service_terminals: must be true where is_instant_terminal is",
        ),
        (
            changed(is_instant_terminal=True),
            "rule_pack: is missing: is_instant_terminal needs one",
        ),
        (changed(is_fee=True), "fee_text: says that it is free, is_fee says that it is not"),
        (
            changed(fees=(Fee(fee_name="工本费", fee_stand="10 元"),)),
            "is_fee: is false, yet there are fees",
        ),
        (
            with_option(promise_day=9, next_question="extras").model_copy(
                update={"anticipate_day": 5}
            ),
            "questions.who.other.promise_day: is longer than anticipate_day allows",
        ),
    ],
)
def test_each_error_is_told(item: Item, told: str) -> None:
    errors = [str(one) for one in verify_item(item, KNOWN) if one.level == "error"]
    if "unknown fact 'form.x'" in told:
        assert any(one.startswith("materials.card.when: unknown fact 'form.x'") for one in errors)
    else:
        assert told in errors


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (changed(plain_name="开一家" * 6), "plain_name: has 18 characters, 16 fit"),
        (
            with_option(label="这个标签实在是长得没有人会看完的"),
            "questions.who.other.label: has 16 characters, 14 fit",
        ),
        (
            with_option(explain="由申请人依法提出"),
            "questions.who.other.explain: speaks like an office: 依法、申请人 "
            "(say it as people do)",
        ),
        (
            changed(common_questions=(CommonQuestion(question="多久", answer="三天。快。不贵。"),)),
            "common_questions.0.answer: has 3 sentences, at most 2 can be listened to",
        ),
        (
            changed(project_type="instant", promise_day=1),
            "project_type: is instant, yet the person waits for days",
        ),
    ],
)
def test_words_and_completeness_are_warnings(item: Item, told: str) -> None:
    found = verify_item(item, KNOWN)
    assert told in [str(one) for one in found]
    assert {one.level for one in found} == {"warning"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        # Only `other` leads to extras: it is always known there, or never.
        ({"fact": "answer.who", "value": "other"}, "is true on every way that leads here"),
        ({"fact": "answer.who", "op": "in", "value": ("self", "other")}, "is true on every way"),
        ({"fact": "answer.who", "value": "self"}, "is true on no way that leads here"),
    ],
)
def test_options_that_nobody_is_offered_are_warned_of(asked: dict[str, object], told: str) -> None:
    known = option("meat", when=asked)
    single = question("extras", known, option("fish"))
    found = verify_item(changed(questions=(WHO, single)), KNOWN)
    assert [(one.level, one.key) for one in found] == [("warning", "questions.extras.meat.when")]
    assert told in found[0].message


def test_an_earlier_answer_that_decides_on_some_ways_only_is_sound() -> None:
    who = question("who", option("self", next_question="extras"), WHO.options[1])
    known = option("meat", when={"fact": "answer.who", "value": "other"})
    single = question("extras", known, option("fish"))
    assert verify_item(changed(questions=(who, single)), KNOWN) == []


def test_a_list_without_materials_is_warned_of_where_the_item_is_combed() -> None:
    bare = changed(materials=(), base_materials=())
    told = "base_materials: some answers lead to a list without materials"
    assert [(one.level, str(one)) for one in verify_item(bare, KNOWN)] == [("warning", told)]
    assert verify_item(changed(bare, combed=False), KNOWN) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"transact_addr": "2楼"}, "questions.who.other.transact_addr: general is at '1楼'"),
        ({"service": "market"}, "questions.who.other.transact_addr: market is at '2楼'"),
        ({"service": "market", "transact_addr": "2楼"}, ""),
    ],
)
def test_an_answer_that_leads_to_another_queue_names_its_place(
    fields: dict[str, object], told: str
) -> None:
    known = replace(KNOWN, services={"general": "1楼", "market": "2楼"})
    found = [str(one) for one in verify_item(with_option(**fields), known)]
    assert len(found) == bool(told)
    assert all(one.startswith(told) for one in found)


def test_without_a_map_nobody_knows_where_a_queue_is() -> None:
    unmapped = replace(KNOWN, windows=None)
    assert verify_item(changed(transact_addr="3楼", windows=("99",)), unmapped) == []


def test_items_that_nobody_combed_may_speak_officially() -> None:
    assert verify_item(changed(plain_name="开一家" * 6, combed=False), KNOWN) == []


def test_many_multiple_questions_are_verified_at_once() -> None:
    many = [
        question(
            f"q{n}",
            *(option(f"o{m}") for m in range(8)),
            multiple=True,
            none_label="都没有",
            next_question=f"q{n + 1}" if n < 199 else "",
        )
        for n in range(200)
    ]
    item = changed(questions=tuple(many), first_question="q0", steps=("一",), base_materials=())
    began = time.monotonic()
    found = verify_item(changed(item, base_materials=("card",)), KNOWN)
    assert found == []
    assert ways(item) == 9**200
    assert time.monotonic() - began < 2


# ── The whole ────────────────────────────────────────────────────────────────────────────────


def whole(**parts: object) -> list[str]:
    fields: Mapping[str, object] = {"items": (ITEM,)} | parts
    found = verify_whole(Whole(**fields))  # type: ignore[arg-type]  # a table of test cases
    return [f"{one.kind} {one.code} {one.mistake}" for one in found]


PACK = RulePack(
    code="pack",
    item="one",
    rules=(
        Rule(
            key="old",
            text="满 60 岁",
            requires=AGE,
            passed="您满 60 岁",
            failed="您还不满 60 岁",
            what_to_do="满 60 岁再来",
        ),
    ),
)


def test_a_rule_pack_and_its_item_name_each_other() -> None:
    assert whole(items=(changed(rule_pack="pack"),), rule_packs=(PACK,)) == []
    assert "rule_pack pack item: 'one' names another rule pack or none" in whole(rule_packs=(PACK,))
    elsewhere = PACK.model_copy(update={"item": "two"})
    told = whole(items=(changed(rule_pack="pack"),), rule_packs=(elsewhere,))
    assert "item one rule_pack: 'pack' decides 'two', not this item" in told
    assert "rule_pack pack item: unknown item 'two' (known: one)" in told


def test_siblings_share_their_main_item() -> None:
    new = changed(handling="new")
    change = changed(catalog_code="two", task_name="示例 变更", handling="change")
    assert "item one main_code: its siblings named '示例' share no 主项" in whole(
        items=(new, change)
    )
    both = tuple(changed(item, main_code="m", main_name="示例") for item in (new, change))
    assert whole(items=both) == []
    differ = (both[0], changed(both[1], main_name="别的"))
    assert "item two main_name: main_code 'm' has several names: 别的、示例" in whole(items=differ)


def leading(code: str, to: str, *others: Option) -> Item:
    other = option("other", go_to_item=to)
    return changed(
        catalog_code=code,
        questions=(question("who", option("self", go_to_item=to), other, *others),),
    )


def test_nobody_is_led_round_from_item_to_item() -> None:
    items = (leading("one", "two"), leading("two", "three"), leading("three", "one"))
    assert [one for one in whole(items=items) if "round again" in one] == [
        "item one first_question: every answer leads on to two, and round again",
        "item three first_question: every answer leads on to one, and round again",
        "item two first_question: every answer leads on to three, and round again",
    ]
    for way_out in (option("list"), option("stop", stop="这里办不了，到社区办。")):
        items = (*items[:2], leading("three", "one", way_out))
        assert not [one for one in whole(items=items) if "round again" in one]


TWO = changed(catalog_code="two")
BUNDLE = Bundle(
    code="shop",
    name="“我要开店”一件事",
    plain_name="我要开店",
    theme="示例",
    lead_dept="示例局",
    service="general",
    transact_addr="1楼",
    first_question="who",
    questions=(question("who", option("self"), option("other")),),
    members=(
        BundleMember(item="one", answers_from={"who": "who"}),
        BundleMember(
            item="two",
            when=Test(fact="answer.who", value="self"),
            answers={"who": "other", "extras": "meat+fish"},
            after=("one",),
        ),
    ),
)


def test_a_sound_bundle_has_no_mistakes() -> None:
    assert whole(items=(ITEM, TWO), bundles=(BUNDLE,)) == []


@pytest.mark.parametrize(
    ("member", "told"),
    [
        ({"item": "tow"}, "members: unknown item 'tow' (did you mean 'two'?)"),
        (
            {"when": Test(fact="answer.wo", value="self")},
            "members.two.when: unknown fact 'answer.wo' (did you mean 'answer.who'?)",
        ),
        (
            {"answers": {"whoo": "self"}},
            "members.two.answers: unknown question of the item 'whoo' (did you mean 'who'?)",
        ),
        (
            {"answers": {"who": "slef"}},
            "members.two.answers.who: unknown option 'slef' (did you mean 'self'?)",
        ),
        (
            {"answers": {}, "answers_from": {"who": "wo"}},
            "members.two.answers_from.who: unknown question of the bundle 'wo' "
            "(did you mean 'who'?)",
        ),
        (
            {"answers": {}, "answers_from": {"extras": "who"}},
            "members.two.answers_from.extras: 'who' has no option in common with the item's "
            "question",
        ),
        ({"answers_from": {"who": "who"}}, "members.two.answers_from: 'who' is in answers as well"),
        ({"after": ("three",)}, "members.two.after: unknown member 'three' (known: one, two)"),
        ({"after": ("two",)}, "members.two.after: comes back to itself"),
    ],
)
def test_each_mistake_of_a_bundle_is_told(member: dict[str, object], told: str) -> None:
    second = BUNDLE.members[1].model_copy(update=member)
    bundle = BUNDLE.model_copy(update={"members": (BUNDLE.members[0], second)})
    found: list[Mistake] = verify_bundle(bundle, {"one": ITEM, "two": TWO}, KNOWN)
    assert told in [str(one) for one in found]


def test_a_bundle_of_one_is_none() -> None:
    bundle = BUNDLE.model_copy(update={"members": BUNDLE.members[:1]})
    assert "members: a bundle has two or more" in [
        str(one) for one in verify_bundle(bundle, {"one": ITEM}, KNOWN)
    ]


def test_forms_are_verified_with_the_rest() -> None:
    form = FormDefinition.model_validate(
        {
            "code": "f",
            "name": "申请书",
            "sections": [{"key": "s", "title": "一", "fields": [{"key": "A", "label": "甲"}]}],
        }
    )
    assert "form f sections.s.A.key: 'A' has other characters than a-z, 0-9, _ and -" in whole(
        forms=(form,)
    )
