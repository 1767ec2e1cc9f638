"""The authored items are sound, and a file with mistakes is told all of them at once."""

import re
import tomllib
from itertools import islice
from pathlib import Path

import pytest

import affairs
from affairs.catalogue_source import check, load_items
from hallkit.errors import ConfigError
from hallkit.guide.questions import paths, personal_list
from hallkit.model.item import Item
from tests.fakes.item import ITEM

ITEMS = load_items()
IDS = [item.catalog_code for item in ITEMS]
WAYS = 500
"""Ways of an item that are walked; that the others end is what `verify` says."""
each_item = pytest.mark.parametrize("item", ITEMS, ids=IDS)


@each_item
def test_every_way_ends_in_a_list_that_a_person_can_use(item: Item) -> None:
    for state in islice(paths(item), WAYS):
        assert len(state.answers) <= 4
        if state.ending is not None:
            continue
        personal = personal_list(item, state)
        keys = [listed.material.key for listed in personal.materials]
        assert keys
        assert len(keys) == len(set(keys))
        assert personal.steps
        assert personal.window


@each_item
def test_it_says_that_it_is_a_sample(item: Item) -> None:
    assert item.sample


@each_item
def test_it_is_brought_to_a_queue_that_the_hall_has(item: Item) -> None:
    table = tomllib.loads(
        Path(affairs.__file__).with_name("services.toml").read_text(encoding="utf-8")
    )
    windows = {service["key"]: service["windows"] for service in table["services"]}
    assert windows[item.service] == item.transact_addr


@each_item
def test_its_words_are_plain_and_speakable(item: Item) -> None:
    options = [option for question in item.questions for option in question.options]
    shown = [
        item.plain_name,
        *item.steps,
        *(material.plain_name or material.material_name for material in item.materials),
        *(material.fill_explain for material in item.materials),
        *(text for question in item.questions for text in (question.text, question.why)),
        *(text for option in options for text in (option.label, option.explain)),
    ]
    assert [text for text in shown if re.search(r"[!！?？;；,:()<>]", text)] == []
    assert [option.label for option in options if len(option.label) > 14] == []
    assert [option.explain for option in options if len(option.explain) > 32] == []
    assert [question.why for question in item.questions if not question.why.endswith("。")] == []
    assert len(item.plain_name) <= 16
    assert len(item.popular_terms) >= 5


def test_opening_a_food_business_asks_two_questions_on_every_way() -> None:
    item = next(item for item in ITEMS if item.catalog_code == "food-licence-new")
    ways = list(paths(item))
    assert {len(state.answers) for state in ways} == {2}
    assert len(ways) == 9


def test_selling_packaged_food_only_is_recorded_not_licensed() -> None:
    item = next(item for item in ITEMS if item.catalog_code == "food-licence-new")
    way = next(state for state in paths(item) if state.labels[0].startswith("只卖整包"))
    keys = {listed.material.key for listed in personal_list(item, way).materials}
    assert "record_form" in keys
    assert "application" not in keys


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")


SOUND = """
[shared]
dept_name = "示例局"
theme = "示例"
service = "general"
transact_addr = "1楼 1-4号窗口"
steps = ["到窗口"]
[shared.materials.card]
material_name = "身份证"
[[item]]
catalog_code = "one"
task_name = "一"
plain_name = "一"
materials = ["card"]
base_materials = ["card"]
"""


def test_shared_keys_and_materials_reach_every_item(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", SOUND)
    (one,) = load_items(tmp_path)
    assert one.dept_name == "示例局"
    assert [(m.key, m.material_name) for m in one.materials] == [("card", "身份证")]


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", SOUND.replace('materials = ["card"]', 'materials = ["crad"]', 1))
    write(tmp_path, "b.toml", SOUND + 'plian_name = "错字"\nfee_text = 3\n')
    write(tmp_path, "c.toml", "[[item]")
    write(tmp_path, "d.toml", SOUND)
    write(tmp_path, "e.toml", SOUND + "[[itme]]\n")
    with pytest.raises(ConfigError) as fault:
        load_items(tmp_path)
    lines = str(fault.value).splitlines()
    assert "a.toml:14: one.materials: unknown 'crad' (did you mean 'card'?)" in lines
    assert "b.toml:16: one.plian_name: unknown key (did you mean 'plain_name'?)" in lines
    assert any(line.startswith("b.toml:17: one.fee_text: Input should be") for line in lines)
    assert any(line.startswith("c.toml:1: -: is not TOML") for line in lines)
    assert "d.toml:11: one.catalog_code: is also in a.toml" in lines
    assert "e.toml:16: itme: unknown key (did you mean 'item'?)" in lines


DEEP = (
    SOUND.replace(
        'plain_name = "一"\n',
        '''plain_name = "一"
popular_terms = [
  "十",  # a value over several lines
  """
还有
[[item]]""",
]
''',
    )
    + """
first_question = "who"
[[item.questions]]
key = "who"
text = "谁来办"
why = "要的材料不一样。"
[[item.questions.options]]
key = "self"
label = "本人来"
[[item.questions.options]]
key = "other"
label = "请人代办的时候还要另外再带上很多的东西"
next_question = "whoo"
"""
)


def test_a_mistake_names_the_line_on_which_the_author_wrote_it(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", DEEP)
    content, problems = check(tmp_path)
    assert [str(one) for one in problems] == [
        "a.toml:34: one.questions.who.other.next_question: unknown question 'whoo' "
        "(did you mean 'who'?)",
        "a.toml:33: one.questions.who.other.label: has 19 characters, 14 fit",
    ]
    assert [one.level for one in problems] == ["error", "warning"]
    assert len(content.items) == 1


def test_an_entry_of_a_list_in_one_statement_has_its_own_line(tmp_path: Path) -> None:
    questions = """
first_question = "who"
questions = [
  { key = "who", text = "谁来办", why = "要的不一样。", options = [
    { key = "self", label = "本人来" },
    { key = "other", label = "别人来", next_question = "whoo" },
  ] },
]
"""
    write(tmp_path, "a.toml", SOUND + questions)
    _, [problem] = check(tmp_path)
    assert str(problem).startswith("a.toml:21: one.questions.who.other.next_question")


def test_words_alone_are_no_reason_to_refuse_a_catalogue(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", DEEP.replace("whoo", ""))
    assert [one.level for one in check(tmp_path)[1]] == ["warning"]
    assert len(load_items(tmp_path)) == 1


def test_a_mistake_of_a_shared_material_is_told_where_that_stands(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", SOUND.replace('"身份证"', '"身份证"\nmay_follow = true'))
    _, [problem] = check(tmp_path)
    assert str(problem) == "a.toml:10: one.materials.card.may_follow: needs follow_days"


def test_json_lines_name_their_line(tmp_path: Path) -> None:
    wrong = ITEM.model_copy(update={"catalog_code": "x", "promise_day": 99, "anticipate_day": 9})
    lines = [ITEM.model_dump_json(by_alias=True), "", wrong.model_dump_json(by_alias=True)]
    write(tmp_path, "items.jsonl", "\n".join([*lines, "{", "[]"]))
    write(tmp_path, "report.jsonl", "not read")
    write(tmp_path, "itms.jsonl", "{}")
    content, problems = check(tmp_path)
    assert len(content.items) == 2
    assert [str(one)[:60] for one in problems if one.level == "error"] == [
        "items.jsonl:4: -: is not JSON: Expecting property name enclo",
        "items.jsonl:5: -: is not an object",
        "itms.jsonl: -: unknown file (known: items.jsonl, bundles.jso",
        "items.jsonl:3: x.promise_day: is longer than anticipate_day ",
    ]


@pytest.mark.parametrize(
    "text",
    ["shared = 1", "item = 3", "item = [1]", "[shared]\nmaterials = 4", "[[item]]\nmaterials = 1"],
)
def test_a_file_of_another_shape_is_told_not_crashed_on(tmp_path: Path, text: str) -> None:
    write(tmp_path, "a.toml", text)
    with pytest.raises(ConfigError, match=r"a\.toml"):
        load_items(tmp_path)


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no items"):
        load_items(tmp_path)
