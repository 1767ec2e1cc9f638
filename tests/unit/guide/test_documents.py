"""Fields out of lines, and what is checked of them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.documents import begins, dates, kinds, normal, recognise
from hallkit.model.document import Box, PageText, PrintedLine, RecognisedPage

NUMBER = "11010519491231002X"
"""The sample number of GB 11643-1999."""


def text(*lines: tuple[str, float, float]) -> PageText:
    """Lines with the left and top of their boxes."""
    return PageText(
        lines=tuple(
            PrintedLine(
                text=words,
                box=Box(
                    left=left, top=top, right=min(1, left + 0.02 * len(words)), bottom=top + 0.03
                ),
            )
            for words, left, top in lines
        )
    )


def values(page: RecognisedPage) -> dict[str, tuple[str, str]]:
    return {field.key: (field.value, field.state) for field in page.fields}


def card(number: str = NUMBER, *, born: str = "1949 年 12 月 31 日", sex: str = "女") -> PageText:
    return text(
        ("姓名", 0.05, 0.1),
        ("张三丰", 0.2, 0.1),
        ("性别", 0.05, 0.25),
        (sex, 0.2, 0.25),
        ("民族汉", 0.3, 0.25),
        ("出生", 0.05, 0.4),
        (born, 0.2, 0.4),
        ("住址", 0.05, 0.55),
        ("四川省什邡市方亭街道民主路", 0.2, 0.55),
        ("1号", 0.2, 0.585),
        ("公民身份号码", 0.05, 0.85),
        (number, 0.35, 0.85),
    )


def test_a_card_is_read_and_checked() -> None:
    page = recognise(card())
    assert (page.kind, page.side) == ("resident_card", "front")
    assert values(page) == {
        "name": ("张三丰", "read"),
        "sex": ("女", "checked"),
        "birth": ("1949-12-31", "checked"),
        "address": ("四川省什邡市方亭街道民主路1号", "read"),
        "id_number": (NUMBER, "checked"),
    }


def test_a_misread_number_fails_and_checks_nothing() -> None:
    found = values(recognise(card("110105194912310028")))
    assert found["id_number"][1] == "failed"
    assert found["birth"][1] == "read"


def test_what_the_number_contradicts_fails() -> None:
    found = values(recognise(card(born="1948年12月31日", sex="男")))
    assert found["birth"][1] == "failed"
    assert found["sex"][1] == "failed"


@pytest.mark.parametrize(
    ("period", "value", "state"),
    [
        ("2014.05.06-2034.05.06", "2034-05-06", "checked"),
        ("2020.02.29-2025.03.01", "2025-03-01", "checked"),
        ("2014.05.06-2084.05.06", "2084-05-06", "failed"),
        ("2014.05.06-长期", "long_term", "read"),
        ("2014.13.06-2034.13.06", "2014.13.06-2034.13.06", "failed"),
    ],
)
def test_the_term_of_a_card(period: str, value: str, state: str) -> None:
    page = recognise(
        text(
            ("居民身份证", 0.4, 0.2),
            ("签发机关", 0.1, 0.7),
            ("有效期限", 0.1, 0.85),
            (period, 0.3, 0.85),
        )
    )
    assert page.side == "back"
    assert values(page)["valid_to"] == (value, state)


def licence(code: str) -> PageText:
    return text(
        ("营业执照", 0.4, 0.1),
        ("(副本)", 0.45, 0.16),
        ("统一社会信用代码", 0.05, 0.2),
        (code, 0.05, 0.24),
        ("名　称", 0.05, 0.35),
        ("什邡市明明便利店", 0.2, 0.35),
        ("经营者：张三丰", 0.05, 0.45),
        ("住所", 0.5, 0.45),
        ("什邡市方亭街道1号", 0.6, 0.45),
    )


def test_a_licence_is_read_and_its_code_checked() -> None:
    page = recognise(licence(_valid()))
    assert (page.kind, page.side) == ("business_licence", "duplicate")
    found = values(page)
    assert found["uscc"] == (_valid(), "checked")
    assert found["name"] == ("什邡市明明便利店", "read")
    assert found["person"] == ("张三丰", "read")


def test_letters_that_no_code_has_are_the_digits_they_look_like() -> None:
    code = _valid()
    assert "0" in code
    assert values(recognise(licence(code.replace("0", "O"))))["uscc"] == (code, "checked")
    wrong = code[:-1] + ("1" if code[-1] != "1" else "2")
    assert values(recognise(licence(wrong)))["uscc"][1] == "failed"


def test_a_number_over_the_end_of_a_line_is_found() -> None:
    page = recognise(
        text(
            ("居住证明", 0.4, 0.1),
            ("兹证明张三丰，公民身份号码110105194", 0.1, 0.2),
            ("91231002X，居住在什邡市", 0.1, 0.25),
            ("第1页 共2页", 0.4, 0.9),
        )
    )
    assert page.kind == "proof"
    assert values(page)["id_number"] == (NUMBER, "checked")
    assert (page.page, page.pages) == (1, 2)


def test_no_kind_is_guessed() -> None:
    assert recognise(text(("电费通知单", 0.4, 0.1), ("姓名", 0.1, 0.3))).kind == ""
    assert recognise(text()).kind == ""


def test_one_misread_character_does_not_hide_a_label() -> None:
    assert begins("公民身分号码", "公民身份号码")
    assert not begins("姓石", "姓名")


@pytest.mark.parametrize(
    ("read", "found"),
    [
        ("2026年1月3日", ["2026-01-03"]),
        ("2026.02.30", []),
        ("自2026-01-31至长期", ["2026-01-31", "long_term"]),
        ("没有", []),
    ],
)
def test_dates(read: str, found: list[str]) -> None:
    assert dates(normal(read)) == found


def test_every_kind_is_sound() -> None:
    for kind in kinds().values():
        assert set(kind.whole) <= set(kind.sides)
        assert set(kind.core) <= set(kind.fields)
        assert all(side.title or side.needs for side in kind.sides.values())


LINES = st.lists(
    st.tuples(
        st.text(max_size=30)
        | st.sampled_from(["姓名", "住址:", "有效期限", "营业执照", NUMBER, "9999年99月99日"]),
        st.floats(0, 1),
        st.floats(0, 0.95),
    ),
    max_size=20,
)


@given(LINES)
def test_no_lines_break_it(lines: list[tuple[str, float, float]]) -> None:
    page = recognise(text(*lines))
    for field in page.fields:
        if field.key == "id_number" and field.state == "checked":
            assert dt.date(int(field.value[6:10]), int(field.value[10:12]), int(field.value[12:14]))


def _valid() -> str:
    """A code with its check character, of nobody."""
    from hallkit.guide.forms import uscc_is_valid

    body = "92510699MA00000AB"
    return next(
        body + last for last in "0123456789ABCDEFGHJKLMNPQRTUWXY" if uscc_is_valid(body + last)
    )
