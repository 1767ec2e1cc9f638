"""A card on the reader answers what it says: age, sex, people, residence."""

import datetime as dt

import pytest

from hallkit.guide.card_facts import area_of, card_facts
from hallkit.guide.conditions import evaluate
from hallkit.model.conditions import Test
from hallkit.model.identity import CardKind, IdentityCard

CARD = IdentityCard(
    kind=CardKind.RESIDENT,
    name="示例",
    number="510682195603120029",
    sex_code="2",
    nation_code="01",
    birth=dt.date(1956, 3, 12),
    address="四川省什邡市方亭街道示例路1号",
)
DAY = dt.date(2026, 3, 11)


def test_everything_that_the_card_says_is_known() -> None:
    assert card_facts(CARD, DAY) == {
        "applicant.kind": "person",
        "applicant.age": 69,
        "applicant.sex": "2",
        "applicant.ethnicity": "01",
        "applicant.residence": "510682",
    }
    assert card_facts(CARD, DAY + dt.timedelta(days=1))["applicant.age"] == 70


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("四川省 什邡市师古镇", "510682"),
        ("四川省什邡县红白镇", "510682"),
        ("四川省德阳市旌阳区", "510600"),
        ("四川省绵竹市", "510000"),
        ("重庆市渝中区什邡市场1号", "500000"),
        ("内蒙古自治区包头市", "150000"),
        ("示例路1号", ""),
        ("", ""),
    ],
)
def test_an_address_lies_where_it_begins(address: str, code: str) -> None:
    assert area_of(address) == code


@pytest.mark.parametrize(
    ("address", "local", "in_province"),
    [
        ("四川省什邡市方亭街道", True, True),
        ("四川省绵竹市", False, True),
        ("云南省昆明市", False, False),
        ("示例路1号", None, None),
    ],
)
def test_a_condition_on_the_residence_is_decided_or_asked(
    address: str, local: bool | None, in_province: bool | None
) -> None:
    facts = card_facts(CARD.model_copy(update={"address": address}), DAY)
    here = Test(fact="applicant.residence", op="starts_with", value="510682")
    province = Test(fact="applicant.residence", op="starts_with", value="51")
    assert evaluate(here, facts) is local
    assert evaluate(province, facts) is in_province


def test_a_foreign_card_says_neither_people_nor_residence() -> None:
    foreign = CARD.model_copy(
        update={"kind": CardKind.FOREIGN_2023, "nation_code": "", "sex_code": "9", "address": ""}
    )
    assert card_facts(foreign, DAY).keys() == {"applicant.kind", "applicant.age"}
