"""A bundle asks once, lists once, fills in once; every item still gets what it needs."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide import bundle as guide
from hallkit.guide import questions as alone
from hallkit.guide.bundle import BundleState
from hallkit.guide.forms import shown
from hallkit.guide.merging import merged_form, merged_materials
from hallkit.guide.verify import verify_bundle, verify_item
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.conditions import Test
from hallkit.model.form import Field, FieldOption, FormDefinition, Limits, Section
from hallkit.model.item import Item, Material, Option, Question, ReviewPoint


def question(key: str, *options: str, text: str = "", **more: object) -> Question:
    made = tuple(Option(key=one, label=f"选{one}") for one in options)
    base = {"key": key, "text": text or f"{key} 是哪种", "why": "要的不一样。", "options": made}
    return Question.model_validate(base | more)


def item(
    code: str, *questions: Question, materials: tuple[Material, ...] = (), **more: object
) -> Item:
    chained = tuple(
        one.model_copy(
            update={
                "options": tuple(
                    option.model_copy(update={"next_question": after.key if after else ""})
                    for option in one.options
                )
            }
        )
        for one, after in zip(questions, [*questions[1:], None][: len(questions)], strict=True)
    )
    base = {
        "catalog_code": code,
        "task_name": f"{code} 新办",
        "plain_name": code,
        "dept_name": f"{code} 局",
        "theme": "示例",
        "service": "general",
        "transact_addr": "1楼",
        "materials": materials,
        "base_materials": tuple(one.key for one in materials),
        "steps": (f"办 {code}",),
        "first_question": questions[0].key if questions else "",
        "questions": chained,
    }
    return Item.model_validate(base | more)


CARD = Material(key="card", material_name="身份证", held_as="resident_card")
LEASE = Material(key="lease", material_name="租房合同", material_type="copy", page_num=2)
LEASE_ORIGINAL = Material(key="contract", material_name="租房合同", is_need=False)
PLACE = question("place", "own", "rented", text="店面是租的吗")
SIZE = question("size", "small", "large", text="店有多大")

LICENCE = item("licence", PLACE, materials=(CARD, LEASE), promise_day=1, form="one")
FOOD = item(
    "food",
    PLACE,
    SIZE,
    materials=(CARD, LEASE_ORIGINAL),
    promise_day=5,
    form="two",
    fee_text="20 元",
)
SIGN = item("sign", question("lit", "yes", "no"), materials=(CARD,), promise_day=3)
BUNDLE = Bundle(
    code="shop",
    name="“我要开店”一件事",
    plain_name="我要开店",
    theme="示例",
    lead_dept="示例局",
    service="bundle",
    transact_addr="1楼 一件事窗口",
    first_question="what",
    questions=(
        Question(
            key="what",
            text="卖不卖吃的",
            why="卖吃的要多办一个证。",
            options=(
                Option(key="food", label="卖", next_question="board"),
                Option(key="other", label="不卖"),
            ),
        ),
        question("board", "yes", "no", text="挂不挂招牌"),
    ),
    members=(
        BundleMember(item="licence"),
        BundleMember(item="food", when=Test(fact="answer.what", value="food"), after=("licence",)),
        BundleMember(
            item="sign",
            when=Test(fact="answer.board", value="yes"),
            answers={"lit": "no"},
            after=("licence",),
        ),
    ),
)
ITEMS = {one.catalog_code: one for one in (LICENCE, FOOD, SIGN)}


def asked(state: BundleState) -> str:
    return state.at


def test_the_example_is_sound() -> None:
    assert [one for each in ITEMS.values() for one in verify_item(each)] == []
    assert verify_bundle(BUNDLE, ITEMS) == []


def test_one_questionnaire_then_one_plan() -> None:
    state = guide.start(BUNDLE, ITEMS.values())
    way = []
    for option in ("food", "yes", "rented", "large"):
        way.append(asked(state))
        state = guide.answer(state, option)
    assert way == ["what", "board", "licence.place", "food.size"], "the place is asked once"
    assert state.is_done
    assert state.labels == ("卖", "选yes", "选rented", "选large")
    assert state.as_text == {
        "what": "food",
        "board": "yes",
        "licence.place": "rented",
        "food.size": "large",
    }
    assert guide.replay(BUNDLE, ITEMS.values(), state.as_text).answers == state.answers
    plan = guide.personal_plan(state)
    assert [(one.item, one.after, one.from_day, one.to_day) for one in plan.timeline] == [
        ("licence", (), 0, 1),
        ("sign", ("licence",), 1, 4),
        ("food", ("licence",), 1, 6),
    ]
    assert (plan.days, plan.fee) == (6, "food：20 元")
    assert plan.steps == ("办 licence", "办 sign", "办 food")
    card, lease = plan.materials
    assert (card.items, lease.items) == (("licence", "food", "sign"), ("licence", "food"))
    merged = lease.material
    assert (merged.material_type, merged.page_num, merged.page_copy_num, merged.is_need) == (
        "original_and_copy",
        1,
        2,
        True,
    )


def test_a_member_that_no_answer_asks_for_is_left_out() -> None:
    plan = guide.personal_plan(
        guide.replay(BUNDLE, ITEMS.values(), {"what": "other", "licence.place": "own"})
    )
    assert [one.item for one in plan.timeline] == ["licence"], "the board was never asked about"


def test_an_earlier_answer_can_be_changed_and_the_others_stay() -> None:
    answers = {"what": "food", "board": "no", "licence.place": "own", "food.size": "small"}
    state = guide.replay(BUNDLE, ITEMS.values(), answers)
    state = guide.change(state, "what")
    assert asked(state) == "what"
    assert guide.back(state).as_text == answers
    state = guide.answer(state, "other")
    assert state.is_done
    assert state.as_text == {"what": "other", "licence.place": "own"}
    state = guide.answer(guide.change(state, "what"), "food")
    assert state.as_text == answers
    with pytest.raises(ValueError, match=r"follows from answer\.licence\.place"):
        guide.change(state, "food.place")
    with pytest.raises(ValueError, match="is not answered"):
        guide.change(state, "sign.lit")


def test_back_takes_one_answer_after_the_other() -> None:
    state = guide.replay(
        BUNDLE, ITEMS.values(), {"what": "food", "board": "no", "licence.place": "own"}
    )
    way = []
    for _ in range(4):
        way.append(asked(state))
        state = guide.back(state)
    assert way == ["food.size", "licence.place", "board", "what"]
    assert state == guide.start(BUNDLE, ITEMS.values())


def test_what_is_known_is_not_asked() -> None:
    by_age = SIZE.model_copy(
        update={
            "options": (
                SIZE.options[0].model_copy(
                    update={"when": Test(fact="applicant.age", op="lt", value=60)}
                ),
                SIZE.options[1].model_copy(
                    update={"when": Test(fact="applicant.age", op="ge", value=60)}
                ),
            )
        }
    )
    items = {**ITEMS, "food": item("food", PLACE, by_age)}
    answers = {"what": "food", "board": "no", "licence.place": "own"}
    state = guide.replay(BUNDLE, items.values(), answers, {"applicant.age": 71})
    assert state.is_done
    assert state.answers[-1].options == ("large",)
    assert state.answers[-1].known_from == ("applicant.age",)
    assert guide.learn(state, {}).at == "food.size"


def test_what_an_earlier_member_yields_is_not_handed_in() -> None:
    paper = Material(key="paper", material_name="营业执照", held_as="business_licence")
    items = {
        **ITEMS,
        "licence": LICENCE.model_copy(update={"licence_kind": "business_licence"}),
        "food": item("food", materials=(paper,)),
    }
    answers = {"what": "food", "board": "no", "licence.place": "own"}
    plan = guide.personal_plan(guide.replay(BUNDLE, items.values(), answers))
    assert [(one.material.key, one.already_held) for one in plan.materials][-1] == ("paper", True)


def test_a_member_that_ends_elsewhere_is_named() -> None:
    stop = Option(key="own", label="自己的", stop="不用办，直接开。")
    place = PLACE.model_copy(update={"options": (stop, PLACE.options[1])})
    items = {**ITEMS, "licence": item("licence", place, materials=(CARD,))}
    state = guide.replay(BUNDLE, items.values(), {"what": "other", "licence.place": "own"})
    plan = guide.personal_plan(state)
    assert plan.timeline == ()
    assert [(one.item, one.stop) for one in plan.left] == [("licence", "不用办，直接开。")]


def test_answers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no question 'waht'"):
        guide.replay(BUNDLE, ITEMS.values(), {"waht": "food"})
    with pytest.raises(ValueError, match=r"no question 'food\.size' on this way"):
        guide.replay(BUNDLE, ITEMS.values(), {"what": "other", "food.size": "small"})
    with pytest.raises(ValueError, match="is not answered yet"):
        guide.personal_plan(guide.start(BUNDLE, ITEMS.values()))


# ── Forms ────────────────────────────────────────────────────────────────────────────────────


def form(code: str, *fields: Field) -> FormDefinition:
    return FormDefinition(
        code=code, name=code, sections=(Section(key="main", title="基本情况", fields=fields),)
    )


ONE = form(
    "one",
    Field(key="name", label="名称", merges_as="shop_name", limits=Limits(max_length=40)),
    Field(key="area", label="面积", kind="number", merges_as="area"),
    Field(
        key="other",
        label="别的",
        required=False,
        shown_when=Test(fact="form.area", op="ge", value=50),
    ),
)
TWO = form(
    "two",
    Field(
        key="title",
        label="店名",
        merges_as="shop_name",
        limits=Limits(min_length=2, max_length=60),
        required=False,
        hint="写招牌上的名字",
    ),
    Field(
        key="other",
        label="另外的",
        kind="choice",
        options=(FieldOption(key="a", label="甲"), FieldOption(key="b", label="乙")),
        sources=("answer.size", "form.title"),
    ),
)


def test_fields_of_one_meaning_are_filled_in_once() -> None:
    merged = merged_form("shop", "开店", [LICENCE, FOOD, SIGN], {"one": ONE, "two": TWO})
    assert merged is not None
    fields = {field.key: field for field in merged.form.fields}
    assert list(fields) == ["name", "area", "other", "other-2"]
    assert (fields["name"].limits.min_length, fields["name"].limits.max_length) == (2, 40)
    assert fields["name"].required
    assert fields["name"].hint == "写招牌上的名字"
    assert fields["other-2"].sources == ("answer.food.size", "form.name")
    assert not shown(fields["other"], {"form.area": 20})
    assert [section.key for section in merged.form.sections] == ["main", "main-2"]
    values = {"name": "小店", "area": 20, "other-2": "a"}
    assert merged.values_for("licence", values) == {"name": "小店", "area": 20}
    assert merged.values_for("food", values) == {"title": "小店", "other": "a"}
    assert merged.values_for("sign", values) == {}


def test_items_without_forms_have_none_together() -> None:
    assert merged_form("shop", "开店", [SIGN], {"one": ONE}) is None


# ── Whatever the items ───────────────────────────────────────────────────────────────────────

NAMES = ("身份证", "租房合同", "平面图", "申请书")
MATERIALS = st.builds(
    Material,
    key=st.sampled_from(["a", "b", "c"]),
    material_name=st.sampled_from(NAMES),
    material_type=st.sampled_from(["original", "copy", "original_and_copy"]),
    page_num=st.integers(1, 3),
    page_copy_num=st.integers(0, 2),
    is_need=st.booleans(),
    held_as=st.sampled_from(["", "resident_card"]),
    form=st.sampled_from(["", "one", "two"]),
    review_points=st.lists(
        st.sampled_from(["看得清", "没过期"]).map(lambda text: ReviewPoint(text=text)), max_size=2
    ).map(tuple),
)
POOL = (PLACE, SIZE, question("who", "self", "other", text="谁来办"), question("lit", "yes", "no"))


@st.composite
def bundles(draw: st.DrawFn) -> tuple[Bundle, dict[str, Item]]:
    items = {}
    for number in range(draw(st.integers(2, 4))):
        questions = draw(st.lists(st.sampled_from(POOL), unique_by=lambda one: one.key, max_size=3))
        materials = draw(
            st.lists(
                MATERIALS,
                unique_by=(lambda one: one.key, lambda one: one.material_name),
                max_size=3,
            )
        )
        form_ = draw(st.sampled_from(["", "one", "two"]))
        code = f"i{number}"
        items[code] = item(code, *questions, materials=tuple(materials), form=form_)
    own = draw(st.lists(st.sampled_from(POOL), unique_by=lambda one: one.key, max_size=1))
    members = tuple(BundleMember(item=code) for code in items)
    return BUNDLE.model_copy(
        update={
            "questions": tuple(own),
            "first_question": own[0].key if own else "",
            "members": members,
        }
    ), items


@given(bundles(), st.data())
def test_nothing_is_asked_twice_and_everybody_gets_theirs(
    made: tuple[Bundle, dict[str, Item]], data: st.DataObject
) -> None:
    bundle, items = made
    state = guide.start(bundle, items.values(), {"held.resident_card": True})
    texts = []
    while (question := state.question) is not None:
        texts.append(question.text)
        state = guide.answer(state, data.draw(st.sampled_from(question.options)).key)
    assert max(Counter(texts).values(), default=1) == 1
    assert BundleState.model_validate_json(state.model_dump_json()) == state
    plan = guide.personal_plan(state)
    lists = {}
    for code, one in items.items():
        own = alone.replay(one, state.of_item(code).as_text, {"held.resident_card": True})
        lists[code] = alone.personal_list(one, own)
    for code, personal in lists.items():
        for listed in personal.materials:
            mine, wanted = [one for one in plan.materials if code in one.items], listed.material
            assert any(
                wanted.material_name == one.material.material_name
                or (wanted.held_as and wanted.held_as == one.material.held_as)
                or (wanted.form and wanted.form == one.material.form)
                for one in mine
            )
    assert plan.materials == merged_materials(lists)
    listed = [one.material for one in plan.materials]
    names = Counter((one.material_name, one.form) for one in listed)
    assert max(names.values(), default=1) == 1


@given(bundles())
def test_every_item_gets_every_field_of_its_form(made: tuple[Bundle, dict[str, Item]]) -> None:
    _, items = made
    forms = {"one": ONE, "two": TWO}
    merged = merged_form("all", "合并", list(items.values()), forms)
    if merged is None:
        assert not any(one.form for one in items.values())
        return
    keys = [field.key for field in merged.form.fields]
    assert max(Counter(keys).values()) == 1
    values = dict.fromkeys(keys, "x")
    for code, one in items.items():
        wanted = {field.key for field in forms[one.form].fields} if one.form else set()
        assert merged.values_for(code, values).keys() == wanted
