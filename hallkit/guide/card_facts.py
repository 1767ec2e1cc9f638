"""What an identity card tells the guidance, so that it is not asked: age, sex, people, residence.

The residence is that of the address on the card (户籍), as far as `places.toml` knows it: the
hall's own district to the letter, elsewhere the province (`510000`: somewhere in it). The first
digits of the number say where somebody was first registered, not where they live: not used.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from hallkit.model.conditions import FactValue
from hallkit.model.identity import CardKind, IdentityCard

_SEX_TOLD = ("1", "2")


def card_facts(card: IdentityCard, on: dt.date) -> dict[str, FactValue]:
    """The facts `applicant.…` of this card on a day; what it does not say is left out."""
    facts: dict[str, FactValue] = {
        "applicant.kind": "person",
        "applicant.age": card.age_on(on),
    }
    if card.sex_code in _SEX_TOLD:
        facts["applicant.sex"] = card.sex_code
    if card.nation_code:
        facts["applicant.ethnicity"] = card.nation_code
    if card.kind is CardKind.RESIDENT and (area := area_of(card.address)):
        facts["applicant.residence"] = area
    return facts


def area_of(address: str) -> str:
    """GB/T 2260 code of what an address begins with; empty if the table knows no such place."""
    bare = "".join(address.split())
    fits = [name for name in _areas() if bare.startswith(name)]
    return _areas()[max(fits, key=len)] if fits else ""


@cache
def _areas() -> Mapping[str, str]:
    text = resources.files("hallkit.lexicon").joinpath("places.toml").read_text(encoding="utf-8")
    table: Mapping[str, str] = tomllib.loads(text)["address"]
    return table
