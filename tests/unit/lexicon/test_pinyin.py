"""Names of the area are read as people here say them, and no text breaks the reading."""

import subprocess
import sys
import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.lexicon.pinyin import initials, normal, syllables, units


@pytest.mark.parametrize(
    ("name", "reading"),
    [
        ("什邡市", "shi fang shi"),
        ("方亭街道", "fang ting jie dao"),
        ("雍城街道", "yong cheng jie dao"),
        ("洛水镇", "luo shui zhen"),
        ("禾丰镇", "he feng zhen"),
        ("马祖镇", "ma zu zhen"),
        ("马井镇", "ma jing zhen"),
        ("蓥华镇", "ying hua zhen"),
        ("南泉镇", "nan quan zhen"),
        ("湔氐镇", "jian di zhen"),
        ("师古镇", "shi gu zhen"),
    ],
)
def test_the_city_and_its_ten_towns(name: str, reading: str) -> None:
    assert " ".join(syllables(f"我住在{name}")) == f"wo zhu zai {reading}"


@pytest.mark.parametrize(
    ("term", "reading"),
    [
        ("好差评", "hao cha ping"),
        ("秒批秒办", "miao pi miao ban"),
        ("综窗", "zong chuang"),
        ("容缺受理", "rong que shou li"),
        ("告知承诺", "gao zhi cheng nuo"),
        ("一件事一次办", "yi jian shi yi ci ban"),
        ("社保卡补换", "she bao ka bu huan"),
        ("居住证申领", "ju zhu zheng shen ling"),
        ("重新办理", "chong xin ban li"),
        ("残疾人证", "can ji ren zheng"),
        ("行驶证", "xing shi zheng"),
        ("银行", "yin hang"),
        ("会计", "kuai ji"),
        ("人民调解", "ren min tiao jie"),
        ("工作调动", "gong zuo diao dong"),
        ("给付", "ji fu"),
        ("动物畜牧", "dong wu xu mu"),
        ("长者食堂", "zhang zhe shi tang"),
        ("曾用名", "ceng yong ming"),
        ("户口簿", "hu kou bu"),
        ("什么", "shen me"),
    ],
)
def test_terms_of_the_hall(term: str, reading: str) -> None:
    assert " ".join(syllables(term)) == reading


def test_initials_are_what_people_type() -> None:
    assert initials("食品经营许可证") == "spjyxkz"
    assert initials("居住证") == "jzz"
    assert initials("什邡市湔氐镇") == "sfsjdz"


def test_letters_and_digits_stay_whole_and_small() -> None:
    assert syllables("2楼A区 12-15号窗口") == (
        "2",
        "lou",
        "a",
        "qu",
        "12",
        "15",
        "hao",
        "chuang",
        "kou",
    )
    assert initials("KTV卫生") == "ktvws"
    assert units("KTV卫生") == ("ktv", "卫", "生")


def test_each_reading_of_ours_has_a_syllable_for_each_character() -> None:
    raw = tomllib.loads(
        resources.files("hallkit.lexicon").joinpath("readings.toml").read_text(encoding="utf-8")
    )
    wrong = [
        word
        for table in raw.values()
        for word, reading in table.items()
        if len(reading.split()) != len(word) or not reading.replace(" ", "").isalpha()
    ]
    assert wrong == []


@given(st.text())
def test_any_text_has_a_reading_of_small_letters_and_digits(text: str) -> None:
    found = syllables(text)
    assert all(s and s.isascii() and s.isalnum() and s == s.lower() for s in found)
    assert len(found) <= len(units(text))
    assert initials(normal(text)) == initials(text)


def test_the_slow_table_is_loaded_only_for_han_text_that_is_not_ours() -> None:
    code = (
        "import sys; from hallkit.lexicon.pinyin import syllables, initials\n"
        "initials('spjyxkz'); syllables('什邡 ABC 居住证')\n"
        "assert 'pypinyin' not in sys.modules\n"
        "syllables('天气'); assert 'pypinyin' in sys.modules"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True, timeout=20)
