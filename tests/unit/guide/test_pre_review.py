"""Pre-review: each point's three verdicts, from pages that were recognised."""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import re

import pytest

from hallkit.guide import pre_review
from hallkit.guide.documents import kinds
from hallkit.guide.pre_review import PointTold, Told, Verdict, kind_of, review, together
from hallkit.lexicon.words import words
from hallkit.model.conditions import Facts
from hallkit.model.document import Box, DocumentField, FieldState, RecognisedPage
from hallkit.model.item import Material, ReviewCheck, ReviewPoint

TODAY = dt.date(2026, 11, 30)
NUMBER = "11010519491231002X"
"""The sample number of GB 11643-1999."""
OTHER = "110105194912310038"
SEAL = Box(left=0.6, top=0.6, right=0.8, bottom=0.8)
APPLICANT: Facts = {"applicant.name": "张三丰", "applicant.id_number": NUMBER}


def page(
    kind: str = "resident_card",
    side: str = "front",
    *,
    stamps: tuple[Box, ...] = (),
    number: tuple[int, int] | None = None,
    letters: int = 80,
    **fields: str | tuple[str, FieldState],
) -> RecognisedPage:
    found = {key: (told, "read") if isinstance(told, str) else told for key, told in fields.items()}
    return RecognisedPage(
        kind=kind,
        side=side,
        fields=tuple(
            DocumentField(key=key, value=value, state=state)  # type: ignore[arg-type]
            for key, (value, state) in found.items()
        ),
        stamps=stamps,
        page=number[0] if number else None,
        pages=number[1] if number else None,
        letters=letters,
    )


FRONT = page(name="张三丰", id_number=(NUMBER, "checked"))
BACK = page(side="back", valid_to=("2031-02-03", "checked"))


def material(name: str = "居民身份证", *checks: ReviewCheck, **more: str) -> Material:
    points = tuple(
        ReviewPoint(text=check, check=check, field=more.get("field", "")) for check in checks
    )
    kept = {key: value for key, value in more.items() if key != "field"}
    return Material(key="m", material_name=name, review_points=points, **kept)  # type: ignore[arg-type]


def told(of: Material, *pages: RecognisedPage, facts: Facts = APPLICANT) -> Told:
    return review(of, pages, facts, on=TODAY, words=words())


def point(of: Material, *pages: RecognisedPage, facts: Facts = APPLICANT) -> PointTold:
    """What came of the last point, which is the one that the test names."""
    return told(of, *pages, facts=facts).points[-1]


@pytest.mark.parametrize(
    ("check", "pages", "verdict", "reason"),
    [
        ("kind", [FRONT, BACK], "pass", "kind_right"),
        ("kind", [page("business_licence", "duplicate")], "fail", "kind_wrong"),
        ("kind", [page("", "")], "unknown", "kind_unclear"),
        ("legible", [FRONT], "pass", "legible"),
        ("legible", [FRONT, page(side="back", letters=3)], "fail", "not_legible"),
        ("legible", [page(name="张三丰")], "unknown", "partly_legible"),
        ("legible", [page(name="张", id_number=("1", "failed"))], "unknown", "partly_legible"),
        ("complete", [FRONT, BACK], "pass", "complete"),
        ("complete", [FRONT], "fail", "side_missing"),
        ("complete", [FRONT, page("", "")], "unknown", "side_doubtful"),
        ("stamp", [FRONT, page("", "")], "unknown", "stamp_doubtful"),
        ("in_date", [FRONT, BACK], "pass", "in_date"),
        ("in_date", [page(side="back", valid_to="long_term")], "pass", "in_date"),
        ("in_date", [page(side="back", valid_to="2026-11-30")], "pass", "in_date"),
        ("in_date", [page(side="back", valid_to="2026-11-29")], "fail", "expired"),
        (
            "in_date",
            [page(side="back", valid_to=("2020-01-01", "failed"))],
            "unknown",
            "no_end_seen",
        ),
        ("in_date", [FRONT], "unknown", "no_end_seen"),
        ("in_date", [BACK, page(side="back", valid_to="2020-01-01")], "unknown", "end_unclear"),
        ("same_person", [FRONT, BACK], "pass", "own"),
        (
            "same_person",
            [page(name="张三丰", id_number=(OTHER, "checked"))],
            "fail",
            "another_person",
        ),
        (
            "same_person",
            [page(name="张三丰", id_number=(NUMBER, "failed"))],
            "unknown",
            "number_unclear",
        ),
        ("same_person", [page(name="张三丰")], "pass", "own"),
        ("same_person", [page(name="李四")], "fail", "another_person"),
        ("same_person", [page(name="张三半")], "unknown", "name_unclear"),
        ("stamp", [page(stamps=(SEAL,))], "pass", "stamped"),
        ("stamp", [FRONT], "fail", "stamp_missing"),
        ("person", [FRONT], "unknown", "for_the_clerk"),
        ("signature", [FRONT], "unknown", "for_the_clerk"),
        ("in_date", [], "unknown", "nothing_laid"),
        ("in_date", [page("business_licence", "duplicate")], "unknown", "other_first"),
    ],
)
def test_a_point(
    check: ReviewCheck, pages: list[RecognisedPage], verdict: Verdict, reason: str
) -> None:
    found = point(material("居民身份证", check), *pages)
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.advice


def test_pages_are_counted_by_what_they_say() -> None:
    proof = material("居住证明", "complete")
    first, second = (page("proof", "page", number=(n, 2)) for n in (1, 2))
    assert point(proof, first, second).verdict == "pass"
    missing = point(proof, first)
    assert missing.verdict == "fail"
    assert "第 2 页" in missing.advice
    assert point(proof, page("proof", "page")).verdict == "unknown"


def test_what_has_no_end_date_is_not_asked_for_its_other_side() -> None:
    found = point(material("户口簿", "in_date"), page("household_book", "person"))
    assert (found.verdict, found.reason) == ("unknown", "for_the_clerk")


def test_a_copy_without_a_red_seal_is_not_refused() -> None:
    copy = material("居住证明", "stamp", material_type="copy")
    assert point(copy, page("proof", "page")).verdict == "unknown"


@pytest.mark.parametrize(
    ("wanted", "verdict"),
    [
        ("四川省什邡市方亭街道民主路1号", "pass"),
        ("四川省什邡市方亭街道民主路１号", "pass"),  # NFKC
        ("四川省什邡市方亭街道民主路7号", "unknown"),
        ("四川省什邡市湔氐镇龙泉村374号", "fail"),
        ("", "unknown"),
    ],
)
def test_a_field_of_the_form_is_compared(wanted: str, verdict: Verdict) -> None:
    licence = material("营业执照", "same", field="shop_address")
    read = page("business_licence", "duplicate", address="四川省什邡市方亭街道民主路1号")
    assert point(licence, read, facts={"form.shop_address": wanted}).verdict == verdict


def test_on_a_licence_the_person_is_compared_and_not_the_shop() -> None:
    licence = material("营业执照", "same_person")
    read = page("business_licence", "duplicate", name="什邡市明明便利店", person="张三丰")
    assert point(licence, read).verdict == "pass"


@pytest.mark.parametrize(
    ("wanted", "read", "verdict"),
    [
        ("张𠮷", "张吉", "unknown"),  # beyond the recogniser's characters
        ("李喆", "李吉吉", "unknown"),
        ("凊\ufa1a", "凊祥", "pass"),  # a compatibility form is its character
        ("张三", "李三", "fail"),
    ],
)
def test_rare_characters_make_nobody_another(wanted: str, read: str, verdict: Verdict) -> None:
    found = point(
        material("户口簿", "same_person"),
        page("household_book", "person", name=read),
        facts={"applicant.name": wanted},
    )
    assert found.verdict == verdict


def test_what_may_be_something_else_is_not_refused() -> None:
    """营业执照或者其他主体资格证明: another document may do."""
    several = material("营业执照或者其他主体资格证明", "kind", held_as="business_licence")
    assert point(several, page("household_book", "person")).verdict == "unknown"


@pytest.mark.parametrize(
    ("name", "held_as", "kind"),
    [
        ("经营者身份证", "resident_card", "resident_card"),
        ("代办人身份证", "", "resident_card"),
        ("监护人身份证和监护关系证明", "", ""),
        ("食品经营布局图", "", ""),
        ("居民户口簿", "household_book", "household_book"),
        ("老年优待证", "elderly_card", ""),
    ],
)
def test_which_document_a_material_is(name: str, held_as: str, kind: str) -> None:
    assert kind_of(material(name, held_as=held_as)) == kind


def test_unknown_is_never_a_pass() -> None:
    verdicts: tuple[Verdict, ...] = ("pass", "fail", "unknown")
    for some in itertools.product(verdicts, repeat=3):
        assert (together(some) == "pass") is (set(some) == {"pass"})
        assert (together(some) == "fail") is ("fail" in some)
    assert together([]) == "unknown"


def test_the_way_to_a_person_is_always_told() -> None:
    assert told(material(), FRONT, BACK).person
    assert told(material()).person


def test_nothing_of_a_person_is_in_a_repr() -> None:
    shown = repr((FRONT, told(material("居民身份证", "same_person"), FRONT)))
    assert NUMBER not in shown
    assert "张三丰" not in shown


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_every_reason_kind_and_side_has_words(language: str) -> None:
    table = words(language)  # type: ignore[arg-type]
    source = inspect.getsource(pre_review)
    reasons = set(re.findall(r'"(?:pass|fail|unknown)", "(\w+)"[,}]? ?\{', source))
    assert len(reasons) > 20
    assert all(table.has(f"review.{reason}") for reason in reasons)
    for name, kind in kinds().items():
        assert table.has(f"document.{name}")
        assert all(table.has(f"document.side.{side}") for side in kind.whole)
        assert all(table.has(f"document.field.{key}") for key in kind.core)
