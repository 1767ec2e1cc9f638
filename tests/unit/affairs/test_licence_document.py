"""Every kind of licence as a page: what it says, that its code reads back, that nothing waits."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from pathlib import Path

import pytest

from affairs.licences.document import Renderer, page_of, value_text
from affairs.licences.kinds import load_kinds
from affairs.licences.made_up import made_up_paper
from hallkit.lexicon.words import words
from hallkit.model.licence import LicenceField, LicenceKind
from launcher.cli import main
from tests import pdf

KINDS = load_kinds()
SAY = words("zh_CN")
AT_MS = 1_735_790_400_000
TODAY = dt.date(2025, 1, 2)

every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(one, id=one.key) for one in KINDS.values()]
)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    pytest.importorskip("typst")
    return Renderer(SAY)


@every_kind
def test_a_page_says_everything_and_is_one(renderer: Renderer, kind: LicenceKind) -> None:
    paper = made_up_paper(kind, at_ms=AT_MS, today=TODAY)
    made = renderer(paper)
    assert pdf.page_count(made) == 1
    text = "".join(pdf.text(made).split())
    page = page_of(paper, SAY)
    said = [page["title"], page["number"], page["issuer"], page["identifier"], "示例数据"]
    said += ["打印时间2025-01-0212:00:00", "终端编号terminal-01", "第1次打印", page["valid"]]
    said += [row["value"] for row in page["rows"]] + [row["label"] for row in page["rows"]]
    missing = [one for one in said if "".join(one.split()) not in text]
    assert not missing


@every_kind
def test_the_code_leads_to_the_page_that_verifies_it(renderer: Renderer, kind: LicenceKind) -> None:
    import zxingcpp
    from PIL import Image

    paper = made_up_paper(kind, at_ms=AT_MS, today=TODAY)
    picture = Image.open(io.BytesIO(renderer.png(paper, dots_per_inch=110)))
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.text == paper.address


def test_without_a_page_to_verify_it_there_is_no_code(renderer: Renderer) -> None:
    import zxingcpp
    from PIL import Image

    paper = made_up_paper(KINDS["food_licence"], at_ms=AT_MS, today=TODAY, address="")
    picture = Image.open(io.BytesIO(renderer.png(paper, dots_per_inch=90)))
    assert zxingcpp.read_barcodes(picture) == []


def test_long_values_stay_on_the_page(renderer: Renderer) -> None:
    kind = KINDS["business_licence"]
    paper = made_up_paper(kind, at_ms=AT_MS, today=TODAY)
    long = {**paper.content.fields, "business_scope": "食品销售；" * 60, "name": "示例" * 20}
    content = paper.content.model_copy(update={"fields": long})
    from dataclasses import replace

    made = renderer(replace(paper, content=content))
    assert pdf.page_count(made) == 1
    assert "".join(pdf.text(made).split()).count("食品销售；") == 60


async def test_the_loop_goes_on_while_a_page_is_made(renderer: Renderer) -> None:
    paper = made_up_paper(KINDS["property_certificate"], at_ms=AT_MS, today=TODAY)
    renderer(paper)  # the fonts are looked for once
    making = asyncio.create_task(asyncio.to_thread(renderer, paper))
    turns = 0
    while not making.done():
        await asyncio.sleep(0)
        turns += 1
    assert (await making).startswith(b"%PDF-")
    assert turns > 20


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ({}, None, ""),
        ({}, True, ""),
        ({"unit": "元"}, 5.0, "5元"),
        ({"unit": "元"}, "5元", "5元"),
        ({"unit": "公顷"}, 0.25, "0.25公顷"),
        ({"words": {"a": "甲", "b": "乙"}}, ("a", "b", "c"), "甲、乙、c"),
        ({"words": {"a": "甲"}}, "a", "甲"),
        ({"date": True}, "2026-03-31", "2026年3月31日"),
        ({"date": True}, "长期", "长期"),
    ],
)
def test_values_as_they_stand_on_paper(field: dict[str, object], value: object, text: str) -> None:
    one = LicenceField.model_validate({"key": "x", "label": "x", **field})
    assert value_text(one, value, SAY) == text  # type: ignore[arg-type]


def test_the_command_writes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("typst")
    out = tmp_path / "licence.png"
    assert main(["affairs", "licence", "senior_card", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    assert main(["affairs", "licence", "senior_card", str(tmp_path / "licence.txt")]) == 2
    assert "must end in" in capsys.readouterr().err
