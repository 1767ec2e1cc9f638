"""A generated hall has exactly the hall's numbers, is sound, and is the same for the same seed."""

import json
import statistics
from pathlib import Path

import pytest

from affairs.catalogue_source import REPORT, check
from affairs.census import count
from affairs.exchange import codes
from affairs.generator import CannotFillError, generate, numbers, written
from affairs.hall_map import load_hall_map
from affairs.queue.services import load_services
from hallkit.guide.verify import Whole, verify_whole, ways
from hallkit.model.content import Content
from launcher.cli import main

SERVICES = load_services()
HALL = load_hall_map()
AUTHORED, _ = check()


@pytest.fixture(scope="module")
def whole() -> Content:
    return generate(AUTHORED, HALL, SERVICES)


@pytest.fixture(scope="module")
def made_up(whole: Content) -> Content:
    """Without what is authored."""
    return Content(
        items=whole.items[len(AUTHORED.items) :],
        bundles=whole.bundles[len(AUTHORED.bundles) :],
        forms=whole.forms[len(AUTHORED.forms) :],
        rule_packs=whole.rule_packs[len(AUTHORED.rule_packs) :],
    )


def test_it_counts_exactly_what_the_hall_counts(whole: Content) -> None:
    wanted = numbers().model_dump()
    counted = count(whole)
    assert {name: wanted[name] for name in counted if name in wanted} == {
        name: number for name, number in counted.items() if name in wanted
    }
    assert counted["items"] >= 1200
    expected = {
        "combed": 847,
        "materials": 4599,
        "situations": 1750,
        "bundles": 61,
        "instant": 378,
        "instant_terminal": 69,
        "city_wide": 157,
        "town": 161,
        "departments": 28,
        "windows": 156,
    }
    assert expected.items() <= counted.items()


def test_authored_items_come_first_and_unchanged(whole: Content) -> None:
    assert whole.items[: len(AUTHORED.items)] == AUTHORED.items


def test_nothing_made_up_has_a_mistake_or_a_warning(whole: Content) -> None:
    found = verify_whole(Whole(whole.items, whole.bundles, whole.forms, whole.rule_packs))
    theirs = {value.catalog_code for value in AUTHORED.items}
    for values in (AUTHORED.bundles, AUTHORED.forms, AUTHORED.rule_packs):
        theirs |= {value.code for value in values}
    assert [str(one.mistake) for one in found if one.code not in theirs] == []


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(whole: Content) -> None:
    def text(content: Content) -> dict[str, list[str]]:
        return {name: list(lines) for name, lines in written(content).items()}

    assert text(generate(AUTHORED, HALL, SERVICES)) == text(whole)
    other = generate(AUTHORED, HALL, SERVICES, seed=2)
    assert count(other) == count(whole)
    assert text(other)["items.jsonl"] != text(whole)["items.jsonl"]


@pytest.mark.parametrize("left", [0, 1, 12])
def test_it_adapts_to_how_much_is_authored(left: int) -> None:
    fewer = Content(items=tuple(i for i in AUTHORED.items if not i.rule_pack and not i.form)[:left])
    assert count(generate(fewer, HALL, SERVICES))["situations"] == numbers().situations


def test_more_authored_than_the_hall_has_is_refused(whole: Content) -> None:
    copies = tuple(
        bundle.model_copy(update={"code": f"{bundle.code}-{number}"})
        for number in range(2)
        for bundle in whole.bundles
    )
    with pytest.raises(CannotFillError, match="bundles: 122 are authored, the hall has 61"):
        generate(Content(bundles=copies), HALL, SERVICES)


def test_codes_are_those_of_the_city(made_up: Content) -> None:
    for item in made_up.items:
        code = codes.national(item.task_handle_item)
        assert code is not None
        assert item.catalog_code == item.task_handle_item
        assert (code.task_code, code.basic) == (item.task_code, item.basic_code)
        assert code.organisation == item.dept_code
        assert code.organisation.startswith("11510682")
        assert codes.doubts(code.organisation) == ""
    names = [item.task_name for item in made_up.items]
    assert len(set(names)) == len(names)


def test_siblings_share_their_main_item(made_up: Content) -> None:
    families: dict[str, set[str]] = {}
    for item in made_up.items:
        families.setdefault(item.task_name.rpartition(" ")[0], set()).add(item.main_code)
    assert all(len(mains) == 1 for mains in families.values())
    assert len(families) > 300


def test_times_and_visits_are_like_those_of_real_items(whole: Content) -> None:
    items = whole.items
    assert all(item.promise_day <= item.anticipate_day for item in items if item.anticipate_day)
    assert statistics.median(item.anticipate_day for item in items) == 20
    assert statistics.median(item.promise_day for item in items) == 1
    at_home = sum(item.limit_scene_num == 0 for item in items)
    assert at_home / len(items) == pytest.approx(0.96, abs=0.01)
    combed = [item for item in items if item.combed]
    assert sum(len(item.materials) for item in combed) / len(combed) == pytest.approx(5.4, abs=0.1)
    assert sum(map(ways, combed)) / len(combed) == pytest.approx(2.1, abs=0.1)


def test_each_terminal_item_is_decided_by_a_pack_of_its_own(made_up: Content) -> None:
    packs = {pack.code: pack for pack in made_up.rule_packs}
    forms = {form.code for form in made_up.forms}
    terminal = [item for item in made_up.items if item.is_instant_terminal]
    assert len(packs) == len(forms) == len(terminal)
    for item in terminal:
        assert packs[item.rule_pack].item == item.catalog_code
        assert {rule.kind for rule in packs[item.rule_pack].rules} == {
            "precheck",
            "decision",
            "push",
        }
        assert item.form in forms
        assert item.peripherals
        assert item.upstream
        assert item.class_flag == "ai_approval"


def test_all_three_classes_are_there(whole: Content) -> None:
    assert {item.class_flag for item in whole.items} == {"situations", "bundle", "ai_approval"}


def test_the_command_writes_a_folder_that_loads(
    whole: Content,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Mistakes of the authored items are told by their own tests.
    monkeypatch.setattr("launcher.commands.catalogue.load", lambda: AUTHORED)
    place = tmp_path / "c"
    command = ["catalogue", "generate", "--catalogue", str(place)]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == count(whole)
    loaded, _ = check(place)
    assert (loaded.items, loaded.bundles) == (whole.items, whole.bundles)
    assert (loaded.forms, loaded.rule_packs) == (whole.forms, whole.rule_packs)
    before = (place / "items.jsonl").read_bytes()
    assert main(command) == 2
    assert main([*command, "--replace"]) == 0
    assert (place / "items.jsonl").read_bytes() == before
    (place / REPORT).touch()
    assert main([*command, "--replace"]) == 2
    assert "a folder of its own" in capsys.readouterr().err
