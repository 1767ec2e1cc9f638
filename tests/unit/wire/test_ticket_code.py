"""A ticket's code holds for its signer and for not one changed character."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hallkit.model.ids import new_id
from hallkit.wire.ticket_code import TicketCode, sign_code, verify_code

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
CODE = TicketCode(new_id(), dt.date(2025, 1, 2), "A007")


def test_a_signed_code_says_what_it_was_made_of() -> None:
    text = sign_code(CODE, KEY)
    assert text.startswith(f"HK1.T.{CODE.ticket_id}.20250102.A007.")
    assert text.isascii()
    assert len(text) <= 160
    assert verify_code(text, KEY.public_key()) == CODE


def test_no_character_can_be_changed() -> None:
    text = sign_code(CODE, KEY)
    for position, character in enumerate(text):
        for other in {"A", "B", "0", "9", "-", "_", "."} - {character}:
            changed = text[:position] + other + text[position + 1 :]
            assert verify_code(changed, KEY.public_key()) is None


def test_another_hall_cannot_sign() -> None:
    forged = sign_code(CODE, Ed25519PrivateKey.from_private_bytes(bytes(31) + b"1"))
    assert verify_code(forged, KEY.public_key()) is None


@pytest.mark.parametrize("text", ["", "HK1.T.", "A007", "\n", "什邡", "HK1.T.x.20250102.A007.AA=="])
def test_what_is_no_code_is_no_fault(text: str) -> None:
    assert verify_code(text, KEY.public_key()) is None


def test_nothing_may_stand_around_it() -> None:
    text = sign_code(CODE, KEY)
    for dressed in (f"{text}\n", f" {text}", f"{text}=="):
        assert verify_code(dressed, KEY.public_key()) is None


def test_a_signed_day_must_exist() -> None:
    signed = f"HK1.T.{CODE.ticket_id}.20250230.A007"
    signature = base64.urlsafe_b64encode(KEY.sign(signed.encode())).rstrip(b"=").decode()
    assert verify_code(f"{signed}.{signature}", KEY.public_key()) is None
