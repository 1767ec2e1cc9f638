"""Identifiers of e-licences, their periods and states."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.guide.forms import uscc_is_valid
from hallkit.model.licence import (
    LicenceState,
    check_character,
    identifier,
    identifier_is_valid,
    serial_number,
    state_of,
)
from tests.fakes.licence_kind import KIND

PUBLISHED = (
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
)
"""As three authorities write them."""
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize("text", PUBLISHED)
def test_the_check_agrees_with_identifiers_of_authorities(text: str) -> None:
    assert identifier_is_valid(text)


@given(
    st.text(CHARACTERS, min_size=1, max_size=60), st.integers(0, 59), st.sampled_from(CHARACTERS)
)
def test_one_wrong_character_is_noticed(text: str, place: int, other: str) -> None:
    at = place % len(text)
    changed = text[:at] + other + text[at + 1 :]
    assert (check_character(changed) == check_character(text)) is (changed == text)


def test_an_identifier_is_made_of_its_parts() -> None:
    made = identifier(
        kind=KIND.code, issuer=KIND.issuer_code, serial=serial_number(2026, 17), version=2
    )
    assert made.startswith(f"1.2.156.3005.2.{KIND.code}.{KIND.issuer_code}.202600000017.002.")
    assert identifier_is_valid(made)
    assert uscc_is_valid(KIND.issuer_code)


@pytest.mark.parametrize("text", ["", "1.2.156.3005.2.", "1.2.156.3005.2.A.B.C.D", "A.B.001.X"])
def test_what_has_not_the_parts_is_none(text: str) -> None:
    assert not identifier_is_valid(text)


def test_a_licence_holds_on_its_last_day() -> None:
    last = KIND.valid_until(dt.date(2024, 2, 29))
    assert last == dt.date(2029, 2, 28)
    for day, state in ((last, LicenceState.VALID), (dt.date(2029, 3, 1), LicenceState.EXPIRED)):
        assert state_of(valid_until=last, revoked=False, today=day) is state
    assert state_of(valid_until=None, revoked=False, today=last) is LicenceState.VALID
    assert state_of(valid_until=last, revoked=True, today=last) is LicenceState.REVOKED
