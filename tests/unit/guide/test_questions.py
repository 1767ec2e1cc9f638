"""A few plain questions lead to the list that fits this person; no data leads into a dead end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.questions import (
    GuideState,
    answer,
    back,
    change,
    held_facts,
    learn,
    paths,
    personal_list,
    replay,
    start,
)
from hallkit.guide.verify import verify_item as verify
from hallkit.model.conditions import Test
from hallkit.model.item import Item, Material, Option, Question

FORM = Material(key="form", material_name="申请书")
CARD = Material(key="card", material_name="身份证", held_as="resident_card")
LEASE = Material(key="lease", material_name="租房合同")
PLAN = Material(key="plan", material_name="平面图")


def question(key: str, *options: Option) -> Question:
    return Question(key=key, text=f"{key} 的问题", why="要的材料不一样。", options=options)


KIND = question(
    "kind",
    Option(key="shop", label="开店", next_question="place", materials=("plan", "lease")),
    Option(key="online", label="只在网上"),
)
PLACE = question(
    "place",
    Option(key="own", label="自己的房子"),
    Option(key="rented", label="租的", materials=("lease",), steps=("看现场",)),
)
ITEM = Item(
    catalog_code="sample",
    task_name="示例 新办",
    plain_name="开店",
    dept_name="示例局",
    theme="示例",
    service="general",
    transact_addr="1楼 1-4号窗口",
    promise_day=3,
    materials=(FORM, CARD, LEASE, PLAN),
    base_materials=("form", "card"),
    steps=("交材料", "看现场", "领证"),
    first_question="kind",
    questions=(KIND, PLACE),
)


def changed(**fields: object) -> Item:
    return ITEM.model_copy(update=fields)


def asked(state: GuideState) -> str:
    return state.question.key if state.question is not None else ""


def test_answers_lead_from_question_to_question() -> None:
    state = start(ITEM)
    assert (asked(state), state.remaining, state.is_done) == ("kind", 2, False)
    state = answer(state, "shop")
    assert (asked(state), state.remaining) == ("place", 1)
    state = answer(state, "rented")
    assert (state.question, state.remaining, state.is_done) == (None, 0, True)
    assert state.labels == ("开店", "租的")


def test_back_takes_one_answer_and_forgets_it() -> None:
    state = answer(start(ITEM), "shop")
    assert back(answer(state, "rented")) == state
    assert back(state) == start(ITEM)
    assert back(start(ITEM)) == start(ITEM)


def test_the_list_stands_in_the_items_order_without_doubles() -> None:
    state = replay(ITEM, {"kind": "shop", "place": "rented"})
    personal = personal_list(ITEM, state)
    assert [m.material.key for m in personal.materials] == ["form", "card", "lease", "plan"]
    assert personal.steps == ("交材料", "看现场", "领证")
    assert (personal.window, personal.fee, personal.days) == ("1楼 1-4号窗口", "不收费", 3)
    assert personal.situation == ("开店", "租的")


def test_what_only_another_answer_needs_is_left_out() -> None:
    personal = personal_list(ITEM, replay(ITEM, {"kind": "online"}))
    assert [m.material.key for m in personal.materials] == ["form", "card"]
    assert personal.steps == ("交材料", "领证")


def test_a_card_on_the_reader_stands_for_its_copy() -> None:
    state = replay(ITEM, {"kind": "online"})
    without = personal_list(ITEM, state)
    assert [m.already_held for m in without.materials] == [False, False]
    holding = personal_list(ITEM, learn(state, held_facts(["resident_card"])))
    assert [m.already_held for m in holding.materials] == [False, True]


def test_an_item_without_questions_is_done_at_once() -> None:
    plain = changed(first_question="", questions=(), materials=(FORM, CARD))
    assert verify(plain) == []
    assert start(plain).is_done
    assert len(personal_list(plain, start(plain)).materials) == 2


def test_answers_that_do_not_fit_are_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match="did you mean 'shop'"):
        answer(start(ITEM), "shp")
    with pytest.raises(ValueError, match="nothing is asked"):
        answer(replay(ITEM, {"kind": "online"}), "shop")
    with pytest.raises(ValueError, match="no question 'place' on this way"):
        replay(ITEM, {"kind": "online", "place": "own"})
    with pytest.raises(ValueError, match="is not answered yet"):
        personal_list(ITEM, start(ITEM))


def test_half_the_answers_stop_at_the_open_question() -> None:
    assert asked(replay(ITEM, {"kind": "shop"})) == "place"
    assert asked(replay(ITEM, {})) == "kind"


def test_a_state_survives_being_written_down() -> None:
    state = replay(ITEM, {"kind": "shop"})
    assert GuideState.model_validate_json(state.model_dump_json()) == state


def test_a_sound_item_has_every_way_and_each_ends() -> None:
    assert verify(ITEM) == []
    assert [state.labels for state in paths(ITEM)] == [
        ("开店", "自己的房子"),
        ("开店", "租的"),
        ("只在网上",),
    ]


@given(st.lists(st.sampled_from(["shop", "online", "own", "rented", "?", "back"]), max_size=12))
def test_any_taps_leave_a_state_that_can_go_on_or_is_done(taps: list[str]) -> None:
    state = start(ITEM)
    for tap in taps:
        try:
            state = back(state) if tap == "back" else answer(state, tap)
        except ValueError:
            continue
        assert replay(ITEM, state.as_text).answers == state.answers
        assert replay(ITEM, state.as_text).at == state.at
        assert state.is_done == (state.question is None)


LOOP = question(
    "place", Option(key="own", label="自己的"), Option(key="x", label="别的", next_question="kind")
)


@pytest.mark.parametrize(
    ("item", "mistake"),
    [
        (
            changed(base_materials=("form", "crad")),
            "base_materials: unknown material 'crad' (did you mean 'card'?)",
        ),
        (
            changed(materials=(FORM, CARD, LEASE, PLAN, PLAN)),
            "materials: 'plan' stands twice",
        ),
        (
            changed(materials=(FORM, CARD, LEASE, PLAN, Material(key="z", material_name="多的"))),
            "materials.z: nobody ever needs it",
        ),
        (
            changed(first_question="kid"),
            "first_question: unknown question 'kid' (did you mean 'kind'?)",
        ),
        (
            changed(questions=(KIND, PLACE, PLACE.model_copy(update={"key": "lost"}))),
            "questions.lost: no answer leads here",
        ),
        (changed(questions=(KIND, LOOP)), "questions.kind: comes back to itself"),
        (
            changed(questions=(KIND,)),
            "questions.kind.shop.next_question: unknown question 'place' (known: kind)",
        ),
        (
            changed(steps=("交材料", "去现场看", "领证")),
            "questions.place.rented.steps: unknown step '看现场' (known: 交材料, 去现场看, 领证)",
        ),
        (changed(steps=("看现场",)), "steps: some answers lead to a list without steps"),
        (changed(steps=()), "steps: there is none"),
        (
            changed(questions=(KIND, question("place", PLACE.options[0], PLACE.options[0]))),
            "questions.place: 'own' stands twice",
        ),
        (
            changed(anticipate_day=2),
            "promise_day: is longer than anticipate_day allows",
        ),
    ],
)
def test_each_mistake_in_the_data_is_named(item: Item, mistake: str) -> None:
    assert mistake in [str(found) for found in verify(item)]


# ── Known, several, changed ──────────────────────────────────────────────────────────────────

AGE = Question(
    key="age",
    text="满 60 岁了吗",
    why="满 60 岁的少带一样。",
    options=(
        Option(
            key="old",
            label="满了",
            next_question="extras",
            when=Test(fact="applicant.age", op="ge", value=60),
        ),
        Option(
            key="young",
            label="没满",
            next_question="extras",
            materials=("plan",),
            when=Test(fact="applicant.age", op="lt", value=60),
        ),
    ),
)
EXTRAS = Question(
    key="extras",
    text="还要办哪些",
    why="每样要的不一样。",
    multiple=True,
    none_label="都没有",
    next_question="where",
    options=(
        Option(key="meat", label="卖肉", materials=("lease",), fee_text="10 元"),
        Option(key="fish", label="卖鱼", promise_day=9),
    ),
)
WHERE = question(
    "where",
    Option(key="here", label="本地", service="quick", transact_addr="2楼"),
    Option(key="away", label="外地", stop="请到外地办。"),
)
RICH = changed(
    questions=(AGE, EXTRAS, WHERE),
    first_question="age",
    materials=(
        FORM,
        CARD,
        LEASE.model_copy(update={"when": Test(fact="answer.extras", op="contains", value="meat")}),
        PLAN.model_copy(update={"may_follow": True, "follow_days": 5, "pledge": "我有平面图。"}),
    ),
)
OLD = {"applicant.age": 71}


def test_what_is_known_is_not_asked_and_says_from_where() -> None:
    assert verify(RICH) == []
    state = start(RICH, OLD)
    assert asked(state) == "extras"
    (known,) = state.answers
    assert (known.options, known.known_from) == (("old",), ("applicant.age",))
    assert [told.known for told in state.told] == [True]
    assert asked(learn(state, {})) == "age"
    assert back(state) == state, "nothing was said yet"


def test_what_was_known_can_be_changed_by_the_person() -> None:
    state = answer(change(start(RICH, OLD), "age"), "young")
    assert (asked(state), state.answers[0].known_from) == ("extras", ())
    assert state.as_text == {"age": "young"}


def test_several_options_stand_in_the_questions_order_or_none() -> None:
    state = answer(start(RICH, OLD), "fish", "meat")
    assert (state.as_text["extras"], state.labels[-1]) == ("meat+fish", "卖肉、卖鱼")
    none = answer(start(RICH, OLD))
    assert (none.as_text["extras"], none.labels[-1]) == ("-", "都没有")
    with pytest.raises(ValueError, match="takes one, got 0"):
        answer(start(RICH))
    for one in (state, none):
        assert replay(RICH, one.as_text, OLD).answers[-1] == one.answers[-1]


def test_an_answer_changes_fee_days_window_and_service() -> None:
    answers = {"age": "young", "extras": "meat+fish", "where": "here"}
    personal = personal_list(RICH, replay(RICH, answers))
    assert (personal.fee, personal.days, personal.window) == ("10 元", 9, "2楼")
    assert personal.service == "quick"
    keys = [listed.material.key for listed in personal.materials]
    assert keys == ["form", "card", "lease", "plan"]
    plan = personal.materials[-1]
    assert (plan.may_follow, plan.pledge) == (True, "我有平面图。")
    plain = personal_list(RICH, replay(RICH, {**answers, "extras": "-"}))
    assert (plain.fee, plain.days) == ("不收费", 3)


def test_an_answer_may_end_it_without_a_list() -> None:
    state = replay(RICH, {"age": "old", "extras": "-", "where": "away"})
    assert state.is_done
    assert state.ending is not None
    assert state.ending.stop == "请到外地办。"
    with pytest.raises(ValueError, match="leads to no list"):
        personal_list(RICH, state)
    assert asked(back(state)) == "where"


def test_changing_an_answer_keeps_the_later_ones_that_still_fit() -> None:
    answers = {"age": "young", "extras": "meat", "where": "here"}
    done = replay(RICH, answers)
    changing = change(done, "age")
    assert asked(changing) == "age"
    assert back(changing).as_text == answers
    assert answer(changing, "old").as_text == {**answers, "age": "old"}
    shop = replay(ITEM, {"kind": "shop", "place": "rented"})
    online = answer(change(shop, "kind"), "online")
    assert online.as_text == {"kind": "online"}
    assert answer(change(online, "kind"), "shop").as_text == shop.as_text
    with pytest.raises(ValueError, match="is not answered"):
        change(online, "place")


TAPS = st.one_of(
    st.tuples(st.just("answer"), st.lists(st.sampled_from(["meat", "fish", "old", "here"]))),
    st.tuples(st.just("change"), st.sampled_from(["age", "extras", "where"])),
    st.tuples(st.just("learn"), st.sampled_from([None, 30, 71])),
    st.tuples(st.just("back"), st.none()),
)


@given(st.lists(TAPS, max_size=12))
def test_whatever_is_tapped_the_answers_lead_where_it_stands(
    taps: list[tuple[str, object]],
) -> None:
    state = start(RICH)
    for what, value in taps:
        try:
            if what == "answer" and isinstance(value, list):
                state = answer(state, *value)
            elif what == "change":
                state = change(state, str(value))
            elif what == "learn":
                state = learn(state, {"applicant.age": value} if isinstance(value, int) else {})
            else:
                state = back(state)
        except ValueError:
            continue
        assert GuideState.model_validate_json(state.model_dump_json()) == state
        keys = [given.question for given in state.answers]
        assert len(keys) == len(set(keys))
        assert state.at not in keys
        if not state.changing:
            again = replay(RICH, state.as_text, state.facts)
            assert (again.at, again.as_text) == (state.at, state.as_text)
