"""The tables of everyday words are sound, and a query is cut to its point."""

import tomllib
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.lexicon import pinyin, thesaurus
from hallkit.lexicon.words import words
from hallkit.model.item import Item


def table(name: str) -> dict[str, Any]:
    return tomllib.loads(
        resources.files("hallkit.lexicon").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    )


def test_every_line_of_the_thesaurus_leads_from_one_wording_to_others() -> None:
    said: list[str] = []
    for section in table("thesaurus").values():
        for everyday, official in section.items():
            said.append(everyday)
            assert len(everyday) >= 1
            assert everyday == pinyin.normal(everyday)
            assert official
            assert len(official) == len(set(official))
            assert [everyday] != official
    assert len(said) == len(set(said)), "a word stands in two sections"


@pytest.mark.parametrize("name", ["fillers", "places", "handlings", "elsewhere"])
def test_no_phrase_stands_twice_in_one_list(name: str) -> None:
    for section, phrases in table(name).items():
        assert len(phrases) == len(set(phrases)), section


def test_every_handling_is_one_of_the_model_and_has_a_word() -> None:
    known = Item.model_fields["handling"].annotation
    for kind in table("handlings"):
        if kind != "none":
            assert kind in str(known)
            assert words().has(f"handling.{kind}")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("我要咋个办居住证嘛", "居住证"),
        ("请问社保卡在哪点办", "社保卡"),
        ("什邡市湔氐镇低保好多钱", "低保"),
        ("个体工商户", "个体工商户"),
        ("异地就医", "异地就医"),
        ("工伤咋个认定", "工伤认定"),
        ("要得", ""),
    ],
)
def test_fillers_and_places_go_and_words_that_hold_them_stay(said: str, left: str) -> None:
    assert thesaurus.read(said).text == left


@pytest.mark.parametrize(
    ("said", "handling"),
    [
        ("社保卡掉了", "replace"),
        ("驾驶证到期换证", "renew"),
        ("公司改名", "change"),
        ("店不开了", "cancel"),
        ("查询进度", "query"),
        ("首次申请", "new"),
        ("困难补贴", ""),
        ("房屋安全审查", ""),
        ("旧房改造", ""),
    ],
)
def test_the_word_for_what_to_do(said: str, handling: str) -> None:
    assert (thesaurus.read(said).handlings or ("",))[0] == handling


def test_a_phrase_is_heard_through_homophones_but_not_by_chance() -> None:
    assert any(one.meant for one in thesaurus.read("社保咔").wordings)
    assert not any(one.said == "驾照" for one in thesaurus.read("价找").wordings)


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    asked = thesaurus.read(text)
    assert 1 <= len(asked.wordings) <= thesaurus.MOST_WORDINGS
    assert all(len(one.read) == len(one.parts) for one in asked.wordings)
