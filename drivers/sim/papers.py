"""Made-up documents as sheets: identity cards, licences, a household page, a proof with a seal.

    sheet = draw(business_licence(Random(7)))      # 250 dots an inch, BGR

Nothing of a real person: names are put together, numbers are random with a right check digit, in a
division that does not exist (`510699`), so that no number can be
somebody's. `drivers.sim.desk` lays them under a camera.
"""

from __future__ import annotations

import datetime as dt
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from random import Random

from drivers.documents.libraries import Picture, cv2, np

_LAYOUT = Path(__file__).with_name("papers.typ")
DPI = 250
A4 = (210.0, 297.0)
A4_ACROSS = (297.0, 210.0)
CARD = (85.6, 54.0)
BOOKLET = (143.0, 105.0)

_FAMILY = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨欧阳蓥邡湔"
_GIVEN = "明芳伟静敏丽强磊军洋勇艳杰娟涛霞平刚桂兰昱玥喆犇淼焱垚𠮷"
_STREETS = ("方亭街道民主路", "雍城街道蓥华山路", "洛水镇清泉街", "湔氐镇龙泉村", "师古镇红豆村")
_TRADES = ("便利店", "小吃店", "面馆", "超市", "茶楼", "食品店")
_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(frozen=True)
class Paper:
    """One side of a document, and what stands on it."""

    kind: str
    layout: str
    size_mm: tuple[float, float]
    texts: Mapping[str, str] = field(repr=False)

    def saying(self, **texts: str) -> Paper:
        """The same with other words."""
        return replace(self, texts={**self.texts, **texts})


@dataclass(frozen=True)
class Somebody:
    """A made-up person."""

    name: str = field(repr=False)
    number: str = field(repr=False)
    birth: dt.date = field(repr=False)
    sex: str
    address: str = field(repr=False)


def somebody(random: Random) -> Somebody:
    birth = dt.date(1950, 1, 1) + dt.timedelta(days=random.randrange(19_000))
    male = random.random() < 0.5
    sequence = random.randrange(0, 499) * 2 + male
    body = f"510699{birth:%Y%m%d}{sequence:03}"
    total = sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True))
    return Somebody(
        name=random.choice(_FAMILY) + "".join(random.sample(_GIVEN, random.choice((1, 2)))),
        number=body + "10X98765432"[total % 11],
        birth=birth,
        sex="男" if male else "女",
        address=f"四川省什邡市{random.choice(_STREETS)}{random.randrange(1, 400)}号",
    )


def credit_code(random: Random) -> str:
    """A 统一社会信用代码 of nobody, with its check character."""
    body = "92510699" + "".join(random.choice(_CODE) for _ in range(9))
    total = sum(_CODE.index(char) * pow(3, place, 31) for place, char in enumerate(body))
    return body + _CODE[-total % 31]


def identity_card(who: Somebody, *, until: dt.date | None = None) -> tuple[Paper, Paper]:
    """Front (with the person) and back (with the period); 20 years, without an end if None."""
    front = Paper(
        "resident_card",
        "card-front",
        CARD,
        {
            "name": who.name,
            "sex": who.sex,
            "nation": "汉",
            "birth": who.birth.isoformat(),
            "address": who.address,
            "number": who.number,
        },
    )
    since = dt.date(2014, 5, 6) if until is None else until.replace(year=until.year - 20)
    end = "长期" if until is None else f"{until:%Y.%m.%d}"
    texts = {"issuer": "什邡市公安局", "period": f"{since:%Y.%m.%d}-{end}"}
    return front, Paper("resident_card", "card-back", CARD, texts)


def business_licence(random: Random, who: Somebody) -> Paper:
    return Paper(
        "business_licence",
        "licence",
        A4_ACROSS,
        {
            "uscc": credit_code(random),
            "name": f"什邡市{random.choice(_GIVEN[:12])}{random.choice(_GIVEN[:12])}"
            f"{random.choice(_TRADES)}",
            "type": "个体工商户",
            "person": who.name,
            "capital": "伍万元整",
            "since": "2021年03月15日",
            "period": "长期",
            "address": who.address,
            "scope": "食品经营；日用百货销售；农副产品销售。（依法须经批准的项目，"
            "经相关部门批准后方可开展经营活动）",
            "issued": "2021年03月15日",
            "seal": "什邡市市场监督管理局",
        },
    )


def food_licence(random: Random, who: Somebody, *, until: dt.date) -> Paper:
    issued = until.replace(year=until.year - 5) + dt.timedelta(days=1)
    return Paper(
        "food_licence",
        "food",
        A4_ACROSS,
        {
            "name": f"什邡市{random.choice(_GIVEN[:12])}{random.choice(_TRADES)}",
            "uscc": credit_code(random),
            "person": who.name,
            "address": who.address,
            "number": f"JY2510699{random.randrange(10**7):07}",
            "issuer": "什邡市市场监督管理局",
            "issued": f"{issued:%Y年%m月%d日}",
            "until": f"{until:%Y年%m月%d日}",
            "seal": "什邡市市场监督管理局",
        },
    )


def household_page(who: Somebody) -> Paper:
    return Paper(
        "household_book",
        "household",
        BOOKLET,
        {
            "name": who.name,
            "relation": "户主",
            "sex": who.sex,
            "place": "四川省什邡市",
            "nation": "汉族",
            "birth_words": f"{who.birth:%Y年%m月%d日}",
            "number": who.number,
            "issued": "2019年06月03日",
            "seal": "什邡市公安局户口专用",
        },
    )


def proof(who: Somebody, *, page: int = 1, pages: int = 1) -> Paper:
    """A neighbourhood committee's proof; one of several pages says so at its foot."""
    return Paper(
        "proof",
        "proof",
        A4,
        {
            "title": "居住证明" if page == 1 else "居住证明（续页）",
            "body": f"兹证明{who.name}，{who.sex}，公民身份号码{who.number}，自2019年6月起居住在"
            f"{who.address}，情况属实。本证明只用于办理居住登记，其他用途无效，有效期三个月。",
            "issuer": "方亭街道某某社区居民委员会",
            "issued": "2026年10月12日",
            "seal": "方亭街道某某社区居民委员会" if page == pages else "",
            "foot": f"第{page}页 共{pages}页",
        },
    )


def draw(paper: Paper, *, dpi: int = DPI) -> Picture:
    """The sheet as it would come out of a perfect scanner."""
    width, height = paper.size_mm
    texts = {"layout": paper.layout, "width": width, "height": height, **paper.texts}
    return _drawn(json.dumps(texts, ensure_ascii=False, sort_keys=True), dpi)


@lru_cache(maxsize=16)
def _drawn(told: str, dpi: int) -> Picture:
    typst = importlib.import_module("typst")
    made = typst.compile(str(_LAYOUT), format="png", ppi=dpi, sys_inputs={"paper": told})
    raw = made[0] if isinstance(made, list) else made
    picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None  # noqa: S101  # typst wrote a PNG
    picture.flags.writeable = False
    return picture  # type: ignore[return-value]  # 8 bits a channel by IMREAD_COLOR
