"""The same answers give the same list on the terminal, on the command line and in a bundle."""

import json
from itertools import islice
from pathlib import Path

import pytest

from affairs.catalogue_source import check
from hallkit.guide import bundle as bundles
from hallkit.guide.questions import GuideState, PersonalList, paths, personal_list, replay
from hallkit.guide.share import decode, encode
from hallkit.lexicon.words import words
from hallkit.model.bundle import Bundle, BundleMember
from hallkit.model.ids import VisitId
from hallkit.model.item import Item
from kiosk.flow import events as ev
from kiosk.flow.state import Found, Step, Surroundings, Visit
from kiosk.flow.visit import personal_list as list_of_visit
from kiosk.flow.visit import step
from launcher.cli import main

WORDS = words("zh_CN")
CONTENT, _ = check()  # what authors are still at work on is as good for this
WAYS = 12
"""Ways of an item that are tried on every machine."""

each_item = pytest.mark.parametrize(
    "item", CONTENT.items, ids=[item.catalog_code for item in CONTENT.items]
)


def lists(item: Item) -> list[GuideState]:
    try:
        return [one for one in islice(paths(item), WAYS) if one.ending is None]
    except ValueError:
        return []  # an item with mistakes leads nowhere


def on_the_terminal(item: Item, answers: dict[str, str]) -> PersonalList:
    """Tap by tap, from the home screen."""
    found = Found(code=item.catalog_code, plain_name=item.plain_name, task_name=item.task_name)
    around = Surroundings(hall_name="大厅", now_ms=0, catalogue_ready=True, popular=(found,))
    visit = Visit(id=VisitId("01JGK0000000000000000VISIT"))
    visit, effects = step(visit, ev.Tapped("choose", item.catalog_code), around, WORDS)
    assert effects[-1] == ev.OpenItem(item.catalog_code)
    visit, _ = step(visit, ev.ItemOpened(item), around, WORDS)
    while visit.step is Step.QUESTION and visit.guide is not None:
        question = visit.guide.question
        assert question is not None
        for tap in taps(answers[question.key], multiple=question.multiple):
            visit, _ = step(visit, tap, around, WORDS)
    assert visit.step is Step.MATERIALS
    return list_of_visit(visit)


def taps(answer: str, *, multiple: bool) -> list[ev.Tapped]:
    if not multiple:
        return [ev.Tapped("choose", answer)]
    if answer == "-":
        return [ev.Tapped("none_of_them")]
    return [*(ev.Tapped("choose", key) for key in answer.split("+")), ev.Tapped("chosen")]


def in_a_bundle(item: Item, answers: dict[str, str]) -> PersonalList:
    """As a member, beside another one that asks nothing."""
    other = item.model_copy(
        update={"catalog_code": "beside", "questions": (), "first_question": ""}
    )
    bundle = Bundle(
        code="both",
        name="两件事",
        plain_name="两件事",
        theme="示例",
        lead_dept="示例局",
        members=(BundleMember(item=item.catalog_code), BundleMember(item="beside")),
        service=item.service,
        transact_addr=item.transact_addr,
    )
    named = {f"{item.catalog_code}.{key}": value for key, value in answers.items()}
    state = bundles.replay(bundle, [item, other], named)
    assert state.is_done
    return personal_list(item, state.of_item(item.catalog_code))


@each_item
def test_every_machine_gives_the_same_list(item: Item) -> None:
    for way in lists(item):
        answers = way.as_text
        expected = personal_list(item, way)
        assert on_the_terminal(item, answers) == expected
        assert in_a_bundle(item, answers) == expected
        shared = decode(encode(item.catalog_code, answers))
        assert personal_list(item, replay(item, shared.answers)) == expected


def test_the_command_line_gives_the_same_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from io import StringIO

    plain = [
        item.model_copy(update={"form": "", "rule_pack": "", "materials": _without_forms(item)})
        for item in CONTENT.items
    ]
    sound = [(item, way) for item in plain for way in lists(item)[:3] if not _refers(item)]
    text = "\n".join(
        {item.catalog_code: item.model_dump_json(by_alias=True) for item, _ in sound}.values()
    )
    (tmp_path / "items.jsonl").write_text(text, encoding="utf-8")
    asked = "\n".join(
        item.catalog_code + (" " + ",".join(f"{key}={value}" for key, value in way.as_text.items()))
        for item, way in sound
    )
    monkeypatch.setattr("sys.stdin", StringIO(asked + "\n"))
    assert main(["guide", "-", "--json", "--catalogue", str(tmp_path)]) == 0
    told = [json.loads(line)["guide"] for line in capsys.readouterr().out.splitlines()]
    assert len(told) == len(sound) > 10
    for guide, (item, way) in zip(told, sound, strict=True):
        expected = personal_list(item, way)
        keys = [listed.material.key for listed in expected.materials]
        assert [one["key"] for one in guide["materials"]] == keys
        assert guide["steps"] == list(expected.steps)
        assert (guide["window"], guide["fee"], guide["days"]) == (
            expected.window,
            expected.fee,
            expected.days,
        )


def _without_forms(item: Item) -> tuple[object, ...]:
    changes = {"form": "", "example": ""}
    return tuple(one.model_copy(update=changes) for one in item.materials)


def _refers(item: Item) -> bool:
    """Leads to other items, or has mistakes: not for a folder of its own."""
    from hallkit.guide.verify import verify_item

    leads = any(option.go_to_item for asked in item.questions for option in asked.options)
    return leads or any(one.level == "error" for one in verify_item(item))
