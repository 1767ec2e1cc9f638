"""A guide on paper: every mark a person needs, within what a slip holds."""

import pytest

from hallkit.guide.questions import held_facts, personal_list, start
from hallkit.guide.share import decode, encode
from hallkit.guide.sheet import LINES, Sheet, sheet, slip
from hallkit.lexicon.words import words
from hallkit.model.item import Item, Material
from hallkit.model.printing import QrLine, TextLine
from tests.fakes.item import ITEM

WORDS = words("zh_CN")
MATERIALS = (
    Material(key="card", material_name="居民身份证", plain_name="身份证", held_as="resident_card"),
    Material(
        key="lease",
        material_name="租房合同",
        material_type="original_and_copy",
        page_copy_num=2,
        may_follow=True,
        follow_days=5,
    ),
    Material(key="proof", material_name="证明", material_type="copy", page_num=3, pledge="我有。"),
    Material(key="photo", material_name="照片", is_need=False),
)
PLAIN = ITEM.model_copy(
    update={
        "materials": MATERIALS,
        "base_materials": tuple(one.key for one in MATERIALS),
        "questions": (),
        "first_question": "",
        "promise_day": 3,
    }
)


def made(item: Item = PLAIN) -> Sheet:
    state = start(item, held_facts(["resident_card"]))
    code = encode(item.catalog_code, state.as_text)
    return sheet(personal_list(item, state), hall="大厅", code=code, words=WORDS)


def test_each_material_says_how_it_is_handed_in() -> None:
    assert [(one.name, one.mark) for one in made().materials] == [
        ("身份证", "免提交"),
        ("租房合同", "原件 1 份，复印件 2 份，可以 5 个工作日内后补"),
        ("证明", "复印件 3 份，也可以签承诺书代替"),
        ("照片", "原件 1 份，可以后补"),
    ]
    assert [row.value for row in made().rows] == ["2楼 A区", "不收费", "3 个工作日内"]


def test_nothing_to_bring_is_said() -> None:
    bare = PLAIN.model_copy(
        update={"base_materials": (), "promise_day": 0, "project_type": "instant"}
    )
    page = made(bare)
    assert page.nothing == "什么都不用带。"
    assert page.rows[-1].value == "当场"
    assert "什么都不用带。" in [
        line.text for line in slip(page, reprint_mark="").lines if isinstance(line, TextLine)
    ]


def test_however_long_the_list_a_slip_holds_code_and_note() -> None:
    many = tuple(Material(key=f"m{n}", material_name=f"材料{n}" * 60) for n in range(90))
    long = PLAIN.model_copy(
        update={
            "materials": many,
            "base_materials": tuple(one.key for one in many),
            "steps": tuple(f"第{n}步" for n in range(60)),
        }
    )
    printed = slip(made(long), reprint_mark="补打")
    assert len(printed.lines) <= LINES
    (code,) = (line for line in printed.lines if isinstance(line, QrLine))
    assert decode(code.text).code == long.catalog_code
    assert any(
        isinstance(line, TextLine) and line.text == WORDS("sheet.note") for line in printed.lines
    )


def test_a_page_is_a_pdf_and_its_code_reads_back() -> None:
    pytest.importorskip("typst")
    import io

    import zxingcpp
    from PIL import Image

    from affairs.guide_document import pdf, png

    page = made()
    assert pdf(page).startswith(b"%PDF-")
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png(page, dots_per_inch=150))))
    assert code.text == page.code
