"""People find an item by letters, by its everyday name, with homophones and in their own words."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affairs.catalogue_source import load, load_items
from hallkit.catalogue import Catalogue, Hit, build
from hallkit.lexicon.thesaurus import strip_fillers


@pytest.fixture(scope="module")
def catalogue() -> Iterator[Catalogue]:
    with Catalogue.in_memory(load_items()) as catalogue:
        catalogue.warm()
        yield catalogue


def codes(hits: list[Hit]) -> list[str]:
    return [hit.code for hit in hits]


FAMILY = ["food-licence-new", "food-licence-change", "food-licence-renew", "food-licence-replace"]


@pytest.mark.parametrize(
    "typed",
    [
        "spjyxkz",
        "SPJYXKZ",
        "spjyxk",
        "sp jy xkz",
        "shipinjingying",
        "shipinjingyingxukezheng",
        "shipin jingying",
        "spjingying",
        "shipjyxukez",
    ],
)
def test_letters_find_the_new_licence_first_and_offer_its_siblings(
    catalogue: Catalogue, typed: str
) -> None:
    assert codes(catalogue.search(typed))[:4] == FAMILY


def test_letters_that_skip_a_word_still_find_it(catalogue: Catalogue) -> None:
    assert set(codes(catalogue.search("shipinzhengjingying"))[:4]) == set(FAMILY)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("jzz", "residence-permit"),
        ("sbk", "social-card-replace"),
        ("yyzz", "sole-trader-register"),
        ("ggcswsxkz", "public-place-health-new"),
        ("lnz", "senior-card"),
        ("cjrz", "disability-card"),
        ("laonianzheng", "senior-card"),
    ],
)
def test_letters_of_everyday_names(catalogue: Catalogue, typed: str, code: str) -> None:
    assert codes(catalogue.search(typed))[0] == code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("食品经营徐可", "food-licence-new"),
        ("食品经营许可正", "food-licence-new"),
        ("居住正", "residence-permit"),
        ("设保卡", "social-card-replace"),
        ("营业直照", "sole-trader-register"),
        ("残机人证", "disability-card"),
    ],
)
def test_homophones_still_match(catalogue: Catalogue, said: str, code: str) -> None:
    assert code in codes(catalogue.search(said))[:3]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("我想开个小火锅店", "food-licence-new"),
        ("开馆子要啥子手续", "food-licence-new"),
        ("食品许可证掉了咋个整", "food-licence-replace"),
        ("餐饮证到期了怎么办", "food-licence-renew"),
        ("社保卡掉了咋个办", "social-card-replace"),
        ("我妈六十五了,想坐公交车免费", "senior-card"),
        ("剪头发的店要办啥子证", "public-place-health-new"),
        ("请问店不开了咋弄", "business-deregister"),
        ("查一下我名下有没有房子", "property-records"),
        ("外地人咋个办居住证嘛", "residence-permit"),
    ],
)
def test_sentences_as_people_say_them(catalogue: Catalogue, said: str, code: str) -> None:
    assert codes(catalogue.search(said))[0] == code


def test_a_hit_says_which_name_matched(catalogue: Catalogue) -> None:
    first = catalogue.search("开馆子")[0]
    assert (first.code, first.matched, first.reason) == (
        "food-licence-new",
        "开馆子",
        "别名“开馆子”",
    )


def test_every_item_is_found_by_each_of_its_names(catalogue: Catalogue) -> None:
    missed = [
        name
        for item in catalogue.items()
        for name in (item.plain_name, item.task_name, *item.popular_terms)
        if item.catalog_code not in codes(catalogue.search(name))[:1]
    ]
    assert missed == []


@pytest.mark.parametrize("text", ["", " ", "!!", "我要办", "怎么办理", "今天吃什么", "qqqq", '"'])
def test_what_makes_no_sense_finds_nothing(catalogue: Catalogue, text: str) -> None:
    assert catalogue.search(text) == []


def test_fillers_go_and_words_that_hold_them_stay() -> None:
    assert strip_fillers("我要咋个办居住证") == "居住证"
    assert strip_fillers("请问补办社保卡怎么办") == "补办社保卡"


def test_no_more_than_asked_for(catalogue: Catalogue) -> None:
    assert len(catalogue.search("证", limit=2)) <= 2
    assert len(catalogue.search("s", limit=2)) == 2
    assert catalogue.search("s", limit=0) == []


SYNTAX = st.sampled_from(
    ["食品", "sp", '"', "'", "*", "(", ")", "NEAR", "AND", ":", "-", "^", "\0", "\n", "证"]
)


@given(st.text() | st.lists(SYNTAX).map("".join) | st.text("abcdehijnopsxyz 1'", max_size=80))
def test_no_text_breaks_the_search(catalogue: Catalogue, text: str) -> None:
    hits = catalogue.search(text)
    assert len(hits) == len({hit.code for hit in hits}) <= 6
    assert all(0 < hit.score <= 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_a_long_query_is_cut_not_refused(catalogue: Catalogue) -> None:
    begun = time.perf_counter()
    assert catalogue.search("食品经营许可证" * 10_000)
    assert len(catalogue.search("shi" * 10_000)) <= 6
    assert time.perf_counter() - begun < 0.5


def test_letters_on_a_snapshot_need_no_pinyin_table(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    build(load(), path, version="1")
    code = (
        "import sys; from pathlib import Path; from hallkit.catalogue import Catalogue\n"
        "assert Catalogue.unverified(Path(sys.argv[1])).search('spjyxkz')\n"
        "assert 'pypinyin' not in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(path)], check=True, timeout=20)
