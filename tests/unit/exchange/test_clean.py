"""What a field says, without its dirt."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affairs.exchange import clean, codes
from affairs.exchange.draft import handling, plain_name


@pytest.mark.parametrize(
    ("dirty", "text"),
    [
        ("&amp;nbsp;居民&amp;nbsp;&amp;nbsp;身份证", "居民 身份证"),
        ("&amp;amp;lt;p&amp;amp;gt;一&amp;amp;lt;/p&amp;amp;gt;", "一"),
        ("<p class='a'>一</p><br/>二<script>alert(1)</script>", "一 二"),
        (
            "《办法》实施<中华人民共和国海洋环境保护法>",
            "《办法》实施<中华人民共和国海洋环境保护法>",
        ),
        ("面积&lt;50平方米", "面积<50平方米"),
        ("\ufeff一\u200b二\u3000三\x00", "一二 三"),
        ("\ud800一", "?一"),
        (" 无 ", None),
        ("无条件受理", "无条件受理"),
        ("NULL", None),
        ("", None),
        (None, None),
        (3, "3"),
        (3.0, "3"),
        (float("nan"), None),
        (True, None),
        ({"a": 1}, None),
        (["一"], None),
    ],
)
def test_text(dirty: Any, text: str | None) -> None:
    assert clean.text(dirty) == text


DIRT = st.sampled_from(
    ["&amp;", "&lt;", "<", ">", "/", "p", "br", "一", ";", "nbsp", "#", "3", "!--"]
)


@given(st.text() | st.lists(DIRT).map("".join))
def test_what_is_clean_stays_as_it_is(dirty: str) -> None:
    once = clean.plain(dirty)
    assert clean.plain(once) == once


@pytest.mark.parametrize(
    ("written", "days"),
    [
        ("30(工作日)", (30, "working")),
        ("30（工作日）", (30, "working")),
        ("30个工作日", (30, "working")),
        ("三十个工作日", (30, "working")),
        ("二十五工作日", (25, "working")),
        ("90(自然日)", (90, "calendar")),
        ("15天", (15, "calendar")),
        ("3个月", (90, "calendar")),
        ("1年", (365, "calendar")),
        ("2小时", (1, "calendar")),
        ("当场办结", (0, "working")),
        ("20", (20, "working")),
        (20, (20, "working")),
        ("0", (0, "working")),
        ("无", None),
        ("-5", None),
        ("很快", None),
        ("99999999(工作日)", None),
        (None, None),
        ([], None),
    ],
)
def test_days(written: Any, days: tuple[int, str] | None) -> None:
    assert clean.days(written) == days


@pytest.mark.parametrize(
    ("written", "number"),
    [("0", 0), (1, 1), ("1次", 1), ("３", 3), (2.0, 2), ("2.5", None), ("-1", None), (True, None)],
)
def test_number(written: Any, number: int | None) -> None:
    assert clean.number(written, most=9) == number


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        (["身份证", " 身份证 ", None, 3, {"materialName": "照片"}], ["身份证", "3", "照片"]),
        ('["身份证", "照片"]', ["身份证", "照片"]),
        ("身份证；照片", ["身份证", "照片"]),
        ("无", []),
        (None, []),
    ],
)
def test_texts(written: Any, texts: list[str]) -> None:
    assert clean.texts(written) == texts


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JUNK)
def test_nothing_breaks_it(value: Any) -> None:
    clean.text(value)
    clean.texts(value)
    clean.number(value)
    clean.flag(value)
    clean.days(value)


def test_check_digits_of_organisations() -> None:
    body = "11510682MB1500001"
    assert codes.doubts(body + codes.check_uscc(body)) == ""
    assert "check digit" in codes.doubts(body + ("0" if codes.check_uscc(body) != "0" else "1"))
    assert "lower-case" in codes.doubts("11511301452259996u")
    assert codes.doubts("00877844X") == ""
    assert "check digit" in codes.doubts("008778441")
    assert "13 characters" in codes.doubts("1234567890123")


def test_codes_in_their_parts() -> None:
    code = codes.national("11510682MB1500001X" + "4" + "000117014001" + "02")
    assert code is not None
    assert (code.level, code.basic, code.handle_item) == ("4", "000117014001", "02")
    assert codes.main_of(code.basic) == ("000117014000", "000117014001")
    assert codes.main_of("511A0138000000") == ("511A0138000000", "")
    parts = codes.sichuan("511A33034003-510682000000-000-11510682MB1500001X-1-00")
    assert parts == codes.SichuanCode("511A33034003", "510682000000", "11510682MB1500001X")
    assert codes.sichuan("G-000007-001-510682000000-000-00877868-5-1-00") == codes.SichuanCode(
        "G-000007-001", "510682000000", "00877868-5"
    )
    assert codes.national("无") is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("食品经营许可证 新办", "new"),
        ("公共场所卫生许可（变更）", "change"),
        ("道路运输证办理（注销）", "cancel"),
        ("实验动物生产许可(延续)", "renew"),
        ("残疾人证挂失补办", "replace"),
        ("变更登记", "change"),
        ("补发通行证办证进度查询", "query"),
        ("律师执业、变更、注销许可", "other"),
        ("养犬登记（县级行使）", "other"),
    ],
)
def test_handling_from_the_name(name: str, kind: str) -> None:
    assert handling(name) == kind


def test_a_plain_name_drops_who_handles_it() -> None:
    assert plain_name("养犬登记（变更）（县级行使）") == "养犬登记（变更）"
    assert plain_name("（县级）") == "（县级）"
