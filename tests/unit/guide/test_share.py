"""A code opens the same list elsewhere, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.questions import personal_list, replay
from hallkit.guide.share import LIMIT, Shared, decode, encode
from tests.fakes.item import ITEM

KEYS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,12}", fullmatch=True)


@given(st.text("店a1-._ ?&", min_size=1, max_size=20), st.dictionaries(KEYS, KEYS, max_size=5))
def test_what_goes_in_comes_out(code: str, answers: dict[str, str]) -> None:
    text = encode(code, answers)
    assert text.isascii()
    assert decode(f" {text}\n") == Shared(code=code, answers=answers)


@given(st.integers(0, 60), st.characters(codec="ascii"))
def test_a_misread_character_opens_nothing(place: int, char: str) -> None:
    text = encode("food-licence-new", {"kind": "catering", "extras": "meat+fish"})
    place %= len(text)
    garbled = text[:place] + char + text[place + 1 :]
    if garbled.strip() != text:
        with pytest.raises(ValueError, match="is no code"):
            decode(garbled)


@given(st.text("AZa1.?=&+ 店", max_size=60))
def test_any_text_is_a_code_or_refused(text: str) -> None:
    for tried in (text, f"HK1.G.{text}"):
        try:
            decode(tried)
        except ValueError:
            continue


def test_the_other_machine_opens_the_same_list() -> None:
    state = replay(ITEM, {"place": "rented", "size": "small"})
    shared = decode(encode(ITEM.catalog_code, state.as_text))
    assert shared.code == ITEM.catalog_code
    assert personal_list(ITEM, replay(ITEM, shared.answers)) == personal_list(ITEM, state)


def test_it_fits_a_slip_or_is_refused() -> None:
    many = {f"question-{number}": "option" for number in range(40)}
    with pytest.raises(ValueError, match="too many"):
        encode("x", many)
    assert len(encode("x", dict(list(many.items())[:15]))) <= LIMIT
