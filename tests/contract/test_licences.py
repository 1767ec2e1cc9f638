"""What cases may rely on of the hall's licences, whoever keeps them."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from affairs.cases.facts import HeldLicence
from affairs.cases.room import Licences
from affairs.licences.register import Register
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.wire.cases_api import CaseApplicant, CaseContent
from tests.fakes.clock import FakeClock
from tests.fakes.licences import FakeLicences

NUMBER = "510682194001010012"
OTHER = "510682199001010015"
KIND = "senior_card"
SEALER = Sealer(bytes(range(32)))
MAC = SEALER.lookup(NUMBER)
CONTENT = CaseContent(
    item="senior-card",
    applicant=CaseApplicant(name="诸葛什邡", number=NUMBER, read="card", address="示例路1号"),
)
FAR = dt.date(9999, 1, 1)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store(tmp_path / "affairs.sqlite") as opened:
        yield opened


@pytest.fixture(params=["fake", "register"])
def licences(request: pytest.FixtureRequest) -> Licences:
    if request.param == "fake":
        return FakeLicences(SEALER)
    return Register(SEALER, FakeClock())


async def issue(store: Store, licences: Licences, case: str, kind: str = KIND) -> str | None:
    return await store.transaction(
        lambda connection: licences.issue(connection, kind, CONTENT, case)
    )


async def held(
    store: Store, licences: Licences, mac: str = MAC, today: dt.date = FAR
) -> list[HeldLicence]:
    return await store.transaction(
        lambda connection: list(licences.of_person(connection, mac, today))
    )


async def test_one_for_each_case_and_the_same_when_asked_again(
    store: Store, licences: Licences
) -> None:
    first = await issue(store, licences, "case-1")
    assert first is not None
    assert await issue(store, licences, "case-1") == first
    second = await issue(store, licences, "case-2")
    assert second not in (None, first)
    assert [one.holding.holding for one in await held(store, licences)] == [first, second]


async def test_it_is_the_applicants_and_nobody_elses(store: Store, licences: Licences) -> None:
    await issue(store, licences, "case-1")
    (mine,) = await held(store, licences)
    assert (mine.holding.kind, mine.holding.origin) == (KIND, "licence")
    assert mine.fields["name"] == "诸葛什邡"
    assert "诸葛" not in repr(mine)
    assert await held(store, licences, SEALER.lookup(OTHER)) == []


async def test_what_the_hall_does_not_issue_is_none(store: Store, licences: Licences) -> None:
    assert await issue(store, licences, "case-1", "pilot_licence") is None
    assert await held(store, licences) == []
