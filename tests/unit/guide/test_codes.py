"""A scanned code is ours only if it proves it; anything else is data."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.codes import Damaged, Foreign, OurList, OurTicket, recognise
from hallkit.guide.share import Shared, encode
from hallkit.model.ids import new_id
from hallkit.wire.ticket_code import TicketCode, sign_code

KEY, FORMER, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2, 3))
KEYS = [KEY.public_key(), FORMER.public_key()]
TICKET = TicketCode(new_id(), dt.date(2026, 11, 24), "A007")
LIST = encode("food-licence-new", {"place": "rented"})


@pytest.mark.parametrize("key", [KEY, FORMER])
def test_a_ticket_is_known_by_any_of_the_halls_keys(key: Ed25519PrivateKey) -> None:
    assert recognise(sign_code(TICKET, key), KEYS) == OurTicket(TICKET)
    assert recognise(f" {sign_code(TICKET, key)}\r\n", KEYS) == OurTicket(TICKET)


def test_a_ticket_of_a_stranger_is_damaged() -> None:
    assert recognise(sign_code(TICKET, STRANGER), KEYS) == Damaged()
    assert recognise(sign_code(TICKET, KEY), []) == Damaged()


def test_a_list_is_known_by_its_check() -> None:
    assert recognise(LIST, KEYS) == OurList(
        Shared(code="food-licence-new", answers={"place": "rented"})
    )
    assert recognise(LIST.replace("rented", "own"), KEYS) == Damaged()


@pytest.mark.parametrize(
    "text", ["https://hall.example/", "6901234567892", "HK1", "HK2.T.x", "张三"]
)
def test_others_are_data_and_are_not_told_in_a_log(text: str) -> None:
    found = recognise(text, KEYS)
    assert found == Foreign(text)
    assert text not in repr(found)


@given(st.text(), st.sampled_from(["", "HK1.T.", "HK1.G.", "HK1.G.AAAAAA."]))
def test_whatever_is_scanned_nothing_but_a_proof_makes_it_ours(text: str, head: str) -> None:
    assert isinstance(recognise(head + text, KEYS), Damaged | Foreign)


@given(st.data())
def test_one_wrong_character_makes_a_code_damaged(data: st.DataObject) -> None:
    code = data.draw(st.sampled_from([sign_code(TICKET, KEY), LIST]))
    place = data.draw(st.integers(6, len(code) - 1))
    other = data.draw(st.sampled_from("ABCabc0189.-_=&?").filter(lambda one: one != code[place]))
    assert recognise(code[:place] + other + code[place + 1 :], KEYS) == Damaged()
