"""The register: what stands on a licence, renewed and replaced ones, and every kind's fields."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from affairs.catalogue_source import load
from affairs.generator import generate
from affairs.hall_map import load_hall_map
from affairs.licences.filling import filled, new_number
from affairs.licences.kinds import load_kinds, not_printed
from affairs.licences.register import Register
from affairs.licences.tables import licences
from affairs.queue.services import load_services
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.guide.forms import uscc_is_valid
from hallkit.model.licence import LicenceField, LicenceKind, identifier_is_valid
from tests.unit.affairs.hall import SettableClock
from tests.unit.affairs.licences_kit import HOLDER, NAME, OTHER, content, issued, rows

CONTENT = load()
KINDS = load_kinds()
FOOD = {
    "shop_name": "什邡市示例小吃店",
    "uscc": "92510682MA0000007N",
    "legal_person": NAME,
    "shop_address": "示例路1号",
    "business_kind": "catering",
    "catering_items": ["hot", "drinks"],
}
every_kind = pytest.mark.parametrize(
    "kind", [pytest.param(one, id=one.key) for one in KINDS.values()]
)


# ── Kinds ────────────────────────────────────────────────────────────────────────────────────


def test_the_hall_prints_ten_kinds() -> None:
    assert len(KINDS) == 10
    assert len({kind.title for kind in KINDS.values()}) == 10
    assert len({kind.design for kind in KINDS.values()}) == 10
    assert len({kind.code for kind in KINDS.values()}) == 10


def test_every_licence_that_an_item_yields_is_printed_or_has_a_reason_not_to_be() -> None:
    whole = generate(CONTENT, load_hall_map(), load_services())
    yielded = {item.licence_kind for item in whole.items} - {""}
    packs = {pack.licence_kind for pack in whole.rule_packs} - {""}
    assert packs <= KINDS.keys()
    assert yielded <= KINDS.keys() | not_printed().keys()
    assert not KINDS.keys() & not_printed().keys()
    assert not_printed().keys() <= yielded
    assert KINDS.keys() <= yielded


@every_kind
def test_a_kind_is_sound(kind: LicenceKind) -> None:
    assert uscc_is_valid(kind.issuer_code)
    assert kind.name in {one.key for one in kind.fields}
    assert all(one.sample for one in kind.fields)


@every_kind
def test_what_a_form_lets_choose_has_words_on_the_document(kind: LicenceKind) -> None:
    codes = {item.form for item in CONTENT.items if item.licence_kind == kind.key}
    for form in (form for form in CONTENT.forms if form.code in codes):
        asked = {one.key: one for section in form.sections for one in section.fields}
        for line in kind.fields:
            for source in line.named_in:
                if source in asked:
                    offered = {option.key for option in asked[source].options}
                    assert offered <= line.words.keys(), (form.code, line.key)


def test_a_credit_code_that_is_made_up_has_the_right_check() -> None:
    assert uscc_is_valid(new_number(KINDS["business_licence"], 17))


# ── Issuing ──────────────────────────────────────────────────────────────────────────────────


async def test_a_licence_says_what_the_form_says(
    store: Store, register: Register, sealer: Sealer, clock: SettableClock
) -> None:
    await issued(store, register, kind="food_licence", **FOOD)
    (row,) = await rows(store, licences)
    assert identifier_is_valid(str(row.identifier))
    assert (row.valid_from, row.valid_until) == (dt.date(2025, 1, 2), dt.date(2030, 1, 1))
    (held,) = await store.transaction(
        lambda connection: register.of_person(
            connection, sealer.lookup(HOLDER), dt.date(2030, 1, 1)
        )
    )
    assert held.holding.valid_until == dt.date(2030, 1, 1)
    assert held.fields["address"] == "示例路1号"
    assert held.fields["items"] == ("hot", "drinks")
    assert held.fields["number"] == "JY25106820000001"
    assert held.fields["expires_on"] == "2030-01-01"
    for mac, day in ((HOLDER, dt.date(2030, 1, 2)), (OTHER, dt.date(2025, 1, 2))):
        assert not await store.transaction(
            lambda connection, mac=mac, day=day: register.of_person(  # type: ignore[misc]
                connection, sealer.lookup(mac), day
            )
        )


async def test_without_what_must_stand_on_it_none_is_issued(
    store: Store, register: Register
) -> None:
    said = content(shop_name="什邡市示例小吃店", licence_number="JY1")
    made = await store.transaction(
        lambda connection: register.issue(connection, "food_licence", said, "case-1")
    )
    assert made is None
    assert await rows(store, licences) == []


async def test_what_is_replaced_keeps_number_and_days_and_opens_nothing_any_more(
    store: Store, register: Register, clock: SettableClock
) -> None:
    first = await issued(store, register, kind="food_licence", **FOOD)
    (row,) = await rows(store, licences)
    number = register.content_of(row).number
    clock.now += dt.timedelta(days=400)
    second = await issued(store, register, kind="food_licence", licence_number=number)
    old, new = await rows(store, licences)
    assert (old.id, new.id) == (first, second)
    assert (old.revoked_on, old.ends_on) == (dt.date(2026, 2, 6), dt.date(2026, 2, 6))
    assert (new.serial, new.version, new.valid_until) == (old.serial, 2, old.valid_until)
    assert register.content_of(new) == register.content_of(old)
    assert new.identifier != old.identifier


async def test_what_is_renewed_holds_from_today(
    store: Store, register: Register, clock: SettableClock
) -> None:
    await issued(store, register, kind="food_licence", **FOOD)
    (row,) = await rows(store, licences)
    number = register.content_of(row).number
    clock.now += dt.timedelta(days=1800)
    said = {"licence_number": number, "expires_on": "2030-01-01", "shop_address": "示例路2号"}
    await issued(store, register, kind="food_licence", **said)
    new = (await rows(store, licences))[-1]
    assert (new.version, new.valid_from) == (2, dt.date(2029, 12, 7))
    assert register.content_of(new).fields["address"] == "示例路2号"
    assert register.content_of(new).fields["name"] == FOOD["shop_name"]


async def test_nobody_replaces_a_licence_of_somebody_else(store: Store, register: Register) -> None:
    await issued(store, register, kind="food_licence", **FOOD)
    (row,) = await rows(store, licences)
    said = content(OTHER, licence_number=register.content_of(row).number)
    made = await store.transaction(
        lambda connection: register.issue(connection, "food_licence", said, "case-9")
    )
    assert made is None
    assert (await rows(store, licences))[0].revoked_on is None


async def test_a_transaction_that_fails_issues_nothing(store: Store, register: Register) -> None:
    def fails(connection: sa.Connection) -> None:
        register.issue(connection, "senior_card", content(), "case-1")
        raise LookupError

    with pytest.raises(LookupError):
        await store.transaction(fails)
    assert await rows(store, licences) == []


async def test_nothing_personal_of_a_licence_is_on_the_disk(
    store: Store, register: Register, tmp_path: Path
) -> None:
    licence = await issued(store, register)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("affairs.sqlite*"))
    assert licence.encode() in kept
    for secret in (NAME, HOLDER, register.token(licence)):
        assert secret.encode() not in kept
    (row,) = await rows(store, licences)
    assert NAME not in repr(register.content_of(row))


def test_the_first_source_that_says_something_counts() -> None:
    kind = KINDS["driver_qualification"]
    said = filled(kind, content(licence_class="b2", applicant_name="别名"))
    assert said.fields["name"] == "别名"
    assert said.missing == ()
    assert filled(kind, content()).missing == ("licence_class",)


def test_a_field_without_sources_is_named_as_its_key() -> None:
    one = LicenceField.model_validate({"key": "plate", "label": "号牌"})
    assert one.named_in == ("plate",)
