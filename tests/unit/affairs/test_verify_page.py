"""The page behind a licence's code: whether it holds, and nothing about persons in the clear."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator

import httpx
import pytest

from affairs.licences.page import ADDRESSES, LOOKS, Throttle, verify_page
from affairs.licences.register import Register
from affairs.licences.tables import licences
from affairs.licences.verifying import Verification
from affairs.settings import VerifySection
from affairs.store import Store
from hallkit.lexicon.words import words
from hallkit.web.headers import HEADERS
from tests.fakes.clock import FakeClock
from tests.unit.affairs.hall import SettableClock
from tests.unit.affairs.licences_kit import NAME, issued, rows

HALL = "测试大厅"


@pytest.fixture
async def page(
    store: Store, register: Register, clock: SettableClock
) -> AsyncIterator[httpx.AsyncClient]:
    say = words("zh_CN")
    verification = Verification(store, register=register, clock=clock, words=say)
    app = verify_page(verification, words=say, hall=HALL, clock=clock)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://verify") as opened:
        yield opened


async def test_a_licence_in_force_is_told_with_its_holder_masked(
    page: httpx.AsyncClient, store: Store, register: Register
) -> None:
    licence = await issued(store, register)
    said = await page.get(f"/v/{register.token(licence)}")
    (row,) = await rows(store, licences)
    assert said.status_code == 200
    for part in (
        HALL,
        "证照有效",
        "四川省老年人优待证",
        "诸***",
        str(row.identifier),
        "长期",
        "0 次",
    ):
        assert part in said.text
    assert NAME not in said.text
    assert "最近打印" not in said.text


async def test_how_often_it_was_printed_and_when_last(
    page: httpx.AsyncClient, store: Store, register: Register, clock: SettableClock
) -> None:
    licence = await issued(store, register)

    def printed(connection: object) -> None:
        connection.execute(  # type: ignore[attr-defined]
            licences.update().values(prints=2, printed_at_ms=clock.wall_ms())
        )

    await store.transaction(printed)
    said = (await page.get(f"/v/{register.token(licence)}")).text
    assert "2 次" in said
    assert "2025-01-02 12:00" in said


async def test_the_name_of_a_business_is_told_whole(
    page: httpx.AsyncClient, store: Store, register: Register
) -> None:
    said = {
        "shop_name": "示例小吃店",
        "uscc": "92510682MA0000007N",
        "shop_address": "示例路1号",
        "business_kind": "sale",
    }
    licence = await issued(store, register, kind="food_licence", **said)
    text = (await page.get(f"/v/{register.token(licence)}")).text
    assert "示例小吃店" in text
    assert "示例路" not in text


async def test_expired_and_revoked_ones_are_told_as_such(
    page: httpx.AsyncClient, store: Store, register: Register, clock: SettableClock
) -> None:
    fields = {"licence_class": "b2"}
    licence = await issued(store, register, kind="driver_qualification", **fields)
    clock.now += dt.timedelta(days=3000)
    assert "证照已过期" in (await page.get(f"/v/{register.token(licence)}")).text
    await store.transaction(lambda connection: register.revoke(connection, licence))
    text = (await page.get(f"/v/{register.token(licence)}")).text
    assert "证照已注销" in text
    assert "注销日期" in text


@pytest.mark.parametrize("token", ["a" * 32, "A" * 32, "a" * 31, "x'--", "%00"])
async def test_what_the_hall_never_issued_is_not_found(page: httpx.AsyncClient, token: str) -> None:
    said = await page.get(f"/v/{token}")
    assert said.status_code == 404
    assert "查不到这本证照" in said.text


async def test_every_answer_has_strict_headers_and_nothing_foreign(
    page: httpx.AsyncClient, store: Store, register: Register
) -> None:
    licence = await issued(store, register)
    found = f"/v/{register.token(licence)}"
    for path in (found, "/v/none", "/assets/verify.css", "/assets/tokens.css", "/nothing"):
        said = await page.get(path)
        assert {name: said.headers.get(name) for name in HEADERS} == HEADERS
        assert "http" not in said.text.replace("http://www.w3.org", "")
    assert (await page.post(found)).status_code == 405


async def test_who_looks_too_often_waits(
    page: httpx.AsyncClient, store: Store, register: Register, clock: SettableClock
) -> None:
    licence = await issued(store, register)
    path = f"/v/{register.token(licence)}"
    answers = [(await page.get(path)).status_code for _ in range(LOOKS + 1)]
    assert answers == [200] * LOOKS + [429]
    clock.now += dt.timedelta(seconds=60 / LOOKS)
    assert [(await page.get(path)).status_code for _ in range(2)] == [200, 429]


def test_one_address_does_not_slow_another_and_memory_is_bounded() -> None:
    throttle = Throttle(FakeClock(), looks=1, addresses=3)
    assert [throttle.allows("a"), throttle.allows("a"), throttle.allows("b")] == [True, False, True]
    for number in range(10):
        throttle.allows(str(number))
    assert len(throttle._left) == 3
    assert ADDRESSES > LOOKS


@pytest.mark.parametrize(
    ("section", "leads_to"),
    [
        ({}, ""),
        ({"port": 18490}, "http://127.0.0.1:18490"),
        ({"port": 18490, "host": "::1"}, "http://[::1]:18490"),
        ({"port": 18490, "host": "10.0.0.2"}, "https://10.0.0.2:18490"),
        ({"address": "https://verify.example"}, "https://verify.example"),
    ],
)
def test_codes_lead_where_the_settings_say(section: dict[str, object], leads_to: str) -> None:
    assert VerifySection.model_validate(section).leads_to == leads_to
