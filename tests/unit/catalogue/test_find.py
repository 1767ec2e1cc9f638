"""An answer to what people say: a winner, candidates, a question, or the way to a person."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.catalogue import Catalogue
from hallkit.model.item import Handling, Item


def item(code: str, task_name: str, handling: Handling = "other", main_name: str = "") -> Item:
    return Item(
        catalog_code=code,
        task_name=task_name,
        plain_name=task_name,
        main_name=main_name,
        handling=handling,
        dept_name="示例局",
        theme="示例",
        service="general",
        transact_addr="1楼 1-4号窗口",
        materials=(),
        base_materials=(),
        steps=("到窗口",),
    )


TERMS = [
    # name, as it is said, letters, with homophones
    ("居民身份证申领", "身份证咋个办", "jmsfz", "居民身份正申领"),
    ("机动车驾驶证补领", "驾照掉了", "jdcjsz", "机动车驾使证补领"),
    ("不动产权证书换发", "房产证", "bdcqzs", "不动产全证书换发"),
    ("结婚登记", "扯结婚证要带啥子", "jhdj", "结昏登记"),
    ("收养登记", "领养一个娃儿", "sydj", "收氧登记"),
    ("最低生活保障金给付", "我屋头想吃低保", "zdshbz", "最低生活保章金给付"),
    ("住房公积金提取", "取公积金", "zfgjj", "住房公机金提取"),
    ("残疾人证申领", "残疾证", "cjrz", "残机人证申领"),
    ("老年人优待证申领", "敬老卡", "lnrydz", "老年人优代证申领"),
    ("失业保险金申领", "领失业金", "sybxj", "失业保现金申领"),
    ("劳动能力鉴定", "工伤鉴定", "ldnljd", "劳动能力见定"),
    ("出生登记", "给娃儿上户口", "csdj", "出生灯记"),
    ("生猪定点屠宰许可", "开个屠宰场", "szddtz", "生猪定点徒宰许可"),
    ("动物诊疗许可", "想开宠物医院", "dwzl", "动物诊辽许可"),
    ("烟草专卖零售许可证核发", "卖烟要啥子证", "yczmls", "烟草专卖零受许可证核发"),
    ("公共场所卫生许可", "开理发店", "ggcsws", "公共场所卫声许可"),
    ("歌舞娱乐场所设立审批", "开个歌厅", "gwylcs", "歌舞鱼乐场所设立审批"),
    ("道路货物运输经营许可", "我想跑货运", "dlhwys", "道路货物运书经营许可"),
    ("林木采伐许可证核发", "砍树要不要批", "lmcf", "林木采发许可证核发"),
    ("农药经营许可", "卖农药", "nyjyxk", "农要经营许可"),
    ("法律援助申请", "想请个免费律师", "flyz", "法律圆助申请"),
    ("公共租赁住房申请", "公租房", "ggzlzf", "公共租林住房申请"),
]
FAMILY: list[tuple[Handling, str]] = [
    ("new", "取水许可首次申请"),
    ("change", "取水许可变更"),
    ("renew", "取水许可延续"),
    ("cancel", "取水许可注销"),
]
TOWNS = [
    *("方亭街道", "雍城街道", "洛水镇", "禾丰镇", "马祖镇"),
    *("马井镇", "蓥华镇", "南泉镇", "湔氐镇", "师古镇"),
]


@pytest.fixture(scope="module")
def catalogue() -> Iterator[Catalogue]:
    items = [item(name, name) for name, *_ in TERMS]
    items += [item(f"water-{kind}", name, kind, "取水许可") for kind, name in FAMILY]
    with Catalogue.in_memory(items) as catalogue:
        catalogue.warm()
        yield catalogue


@pytest.mark.parametrize(("name", "said", "letters", "heard"), TERMS)
def test_a_service_is_found_by_name_everyday_word_initials_and_sound(
    catalogue: Catalogue, name: str, said: str, letters: str, heard: str
) -> None:
    for text in (name, said, letters, heard):
        found = catalogue.find(text)
        assert found.outcome != "person", text
        assert found.hits[0].code == name, text
        assert found.hits[0].reason


@pytest.mark.parametrize("town", [*TOWNS, "什邡市", "四川省什邡市", "间低镇", "应华镇"])
def test_a_place_does_not_change_the_answer(catalogue: Catalogue, town: str) -> None:
    assert catalogue.find(f"我在{town}，残疾证咋个办").hits == catalogue.find("残疾证").hits
    assert catalogue.find(town).outcome == "person"


def test_siblings_that_the_words_do_not_tell_apart_are_asked_about(catalogue: Catalogue) -> None:
    found = catalogue.find("取水许可")
    assert found.outcome == "choose"
    assert found.question
    assert {(one.label, one.code) for one in found.question.options} == {
        ("新办", "water-new"),
        ("变更", "water-change"),
        ("延续", "water-renew"),
        ("注销", "water-cancel"),
    }
    assert [hit.code for hit in found.hits].count("water-new") == 1


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("取水证快到期了", "water-renew"),
        ("取水许可证改名", "water-change"),
        ("取水证不要了，注销", "water-cancel"),
        ("第一次办取水证", "water-new"),
    ],
)
def test_a_word_for_what_to_do_chooses_the_sibling(
    catalogue: Catalogue, said: str, code: str
) -> None:
    found = catalogue.find(said)
    assert found.hits[0].code == code
    assert found.question is None


@pytest.mark.parametrize(
    "text",
    [
        *("", " \t", "！！", "\0", "？？？", "我要办", "咋个整嘛", "12345678"),
        *("今天天气咋样", "哪家火锅好吃", "肚子痛", "买张高铁票", "救命啊", "你叫什么名字"),
        *("天气", "下雨", "火车", "电影"),
        *("办事的人态度差得很", "隔壁装修太吵", "好无聊哦", "qqqq"),
    ],
)
def test_what_is_not_ours_goes_to_a_person_and_nothing_is_guessed(
    catalogue: Catalogue, text: str
) -> None:
    found = catalogue.find(text)
    assert (found.outcome, found.hits, found.question) == ("person", (), None)


@pytest.mark.parametrize("text", ["天气", "下雨"])
def test_single_characters_from_here_and_there_are_no_answer_as_one_types(
    catalogue: Catalogue, text: str
) -> None:
    assert catalogue.search(text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("结婚登记", "大家叫“结婚登记”"),
        ("jhdj", "拼音首字母"),
        ("jiehundengji", "拼音"),
        ("敬老卡", "“敬老卡”就是“老年人优待证”"),
        ("昌活宝丈", "读音相近“最低生活保障金给付”"),
        ("货物运输", "名称里有“货物运输”"),
    ],
)
def test_a_hit_says_why_in_plain_words(catalogue: Catalogue, text: str, reason: str) -> None:
    assert catalogue.search(text)[0].reason == reason


def test_one_clear_winner_is_a_match(catalogue: Catalogue) -> None:
    assert catalogue.find("结婚登记").outcome == "match"
    assert catalogue.find("许可证").outcome == "choose"


@given(st.text() | st.text("办证补换咋个什邡市a1 ，(（）\"'*\n\0", max_size=90), st.integers(1, 5))
def test_any_text_has_one_answer(catalogue: Catalogue, text: str, limit: int) -> None:
    found = catalogue.find(text, limit)
    assert (found.outcome == "person") == (not found.hits)
    assert len(found.hits) <= limit
    assert len({hit.code for hit in found.hits}) == len(found.hits)
    assert all(0 < hit.score <= 1 and hit.reason for hit in found.hits)
    assert [hit.score for hit in found.hits] == sorted(
        (hit.score for hit in found.hits), reverse=True
    )
    assert found == catalogue.find(text, limit)


def test_all_kinds_of_a_matter_can_be_asked_for(catalogue: Catalogue) -> None:
    asked = catalogue.siblings("water-renew")
    assert asked is not None
    assert asked.about == "取水许可"
    assert [one.code for one in asked.options] == [f"water-{kind}" for kind, _ in FAMILY]
    assert catalogue.siblings(TERMS[0][0]) is None
    assert catalogue.siblings("no-such-item") is None


def test_what_comes_nearest_is_told_to_the_staff_only(catalogue: Catalogue) -> None:
    found = catalogue.find("取水口堵了一天")
    assert (found.outcome, found.hits) == ("person", ())
    assert found.nearest
    assert found.nearest[0].code.startswith("water-")
    assert catalogue.find("取水许可").nearest == ()


@pytest.mark.parametrize("text", ["婆婆走了", "我老汉儿走了咋个办", "屋头老人不在了"])
def test_a_death_is_heard_in_the_words_that_people_use_for_it(text: str) -> None:
    with Catalogue.in_memory([item("gone", "户口登记 死亡登记"), item("new", "出生登记")]) as one:
        assert one.find(text).hits[0].code == "gone"


def test_the_way_out_is_no_death(catalogue: Catalogue) -> None:
    assert catalogue.find("出口怎么走了").outcome == "person"
