"""The authored items are sound, and a file with mistakes is told all of them at once."""

import re
import tomllib
from pathlib import Path

import pytest

import affairs
from affairs.catalogue_source import load_items
from hallkit.errors import ConfigError
from hallkit.guide.questions import paths, personal_list
from hallkit.model.item import Item

ITEMS = load_items()
IDS = [item.catalog_code for item in ITEMS]
each_item = pytest.mark.parametrize("item", ITEMS, ids=IDS)


@each_item
def test_every_way_ends_in_a_list_that_a_person_can_use(item: Item) -> None:
    for state in paths(item):
        personal = personal_list(item, state)
        keys = [listed.material.key for listed in personal.materials]
        assert keys
        assert len(keys) == len(set(keys))
        assert personal.steps
        assert personal.window
        assert len(state.answers) <= 3


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
    assert "a.toml: one.materials: unknown 'crad' (did you mean 'card'?)" in lines
    assert "b.toml: one.plian_name: unknown key (did you mean 'plain_name'?)" in lines
    assert any(line.startswith("b.toml: one.fee_text: Input should be") for line in lines)
    assert any(line.startswith("c.toml: -: is not TOML") for line in lines)
    assert "d.toml: one.catalog_code: is also in a.toml" in lines
    assert "e.toml: itme: unknown key (did you mean 'item'?)" in lines


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
