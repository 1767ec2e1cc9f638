"""What the search did not know is counted, and nobody can be recognised in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.catalogue.misses import LONGEST, Miss, Misses, without_persons


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("我叫张伟，想办船证", "想办船证"),
        ("身份证510682199001011234掉了", "身份证掉了"),
        ("电话13800138000打不通", "电话打不通"),
        ("电话幺三八零零一三八", "电话"),
        ("名字是欧阳小红要改", ""),
        ("李老师要的证明", "要的证明"),
        ("亭江东路12号3栋要装水表", "要装水表"),
        ("abc@example.com", ""),
    ],
)
def test_what_might_name_a_person_is_cut_out(said: str, kept: str) -> None:
    assert kept in without_persons(said)
    assert not any(
        part in without_persons(said)
        for part in ("张伟", "小红", "欧阳", "李老师", "510682", "幺三八")
    )


@given(st.text())
def test_nothing_but_han_characters_or_nothing_but_letters_is_kept(text: str) -> None:
    kept = without_persons(text)
    assert len(kept) <= LONGEST
    letters = [one for one in kept if one.isascii()]
    assert not letters or (len(letters) == len(kept) and kept.isalpha())
    assert not any(one.isdigit() for one in kept)


def test_only_what_was_said_more_than_once_is_told(tmp_path: Path) -> None:
    misses = Misses(tmp_path / "misses.sqlite")
    assert misses.told() == []
    for said in ("办船证", "办船证！", "办船证1", "问一件怪事"):
        misses.add(said)
    assert misses.told() == [Miss("办船证", 3)]


def test_the_journal_is_capped_and_keeps_what_is_frequent(tmp_path: Path) -> None:
    misses = Misses(tmp_path / "misses.sqlite", most=3)
    for said in ("甲乙", "甲乙", "丙丁", "戊己", "庚辛", "壬癸"):
        misses.add(said)
    told = misses.told(at_least=1)
    assert len(told) == 3
    assert told[0] == Miss("甲乙", 2)
    assert Miss("壬癸", 1) in told


def test_letters_are_kept_only_where_nothing_else_was_typed(tmp_path: Path) -> None:
    misses = Misses(tmp_path / "misses.sqlite")
    for said in ("spjyxkz", "spjyxkz", "a", "我的vx是abcdef", "abc123", "x" * 40):
        misses.add(said)
    told = {miss.said: miss.times for miss in misses.told(at_least=1)}
    assert told == {"spjyxkz": 2, "我的是": 1, "x" * LONGEST: 1}
