"""The routes of e-licences: who may, what they answer, from the decision to the paper."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from affairs.http.node import Node
from affairs.licences.register import Register
from affairs.problems import ProblemCode, problem
from affairs.store import Store
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, PROBLEM_TYPE, WINDOWS
from hallkit.wire.licences_api import LICENCES, PERMIT_FILE_TYPE, PERMITS, VISITS
from tests.unit.affairs.hall import SAMPLE_DEVICE, client
from tests.unit.affairs.licences_kit import HOLDER, VISIT, issued

BODIES: dict[str, dict[str, Any]] = {
    f"{LICENCES}/find": {"number": HOLDER, "visit": VISIT},
    PERMITS: {"number": HOLDER, "visit": VISIT, "licence": new_id()},
    f"{PERMITS}/file": {"number": HOLDER, "visit": VISIT, "permit": new_id()},
    f"{PERMITS}/redeem": {
        "number": HOLDER,
        "visit": VISIT,
        "permit": new_id(),
        "sha256": "0" * 64,
    },
    f"{PERMITS}/outcome": {
        "visit": VISIT,
        "permit": new_id(),
        "attempt": 1,
        "outcome": "completed",
    },
    f"{VISITS}/end": {"visit": VISIT},
}


async def ask(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> httpx.Response:
    return await http.post(path, json=body, headers={IDEMPOTENCY_HEADER: new_id()})


@pytest.fixture
async def sample_machine(node: Node) -> AsyncIterator[httpx.AsyncClient]:
    async with client(node, SAMPLE_DEVICE) as opened:
        yield opened


@pytest.mark.parametrize("path", BODIES)
async def test_a_machine_that_shows_forms_may_fetch_no_licence(
    sample_machine: httpx.AsyncClient, path: str
) -> None:
    said = await ask(sample_machine, path, BODIES[path])
    assert (said.status_code, said.json()["code"]) == (403, "device_not_allowed")


async def test_from_the_list_to_the_paper(
    http: httpx.AsyncClient, store: Store, register: Register
) -> None:
    licence = await issued(store, register)
    person = {"number": HOLDER, "visit": VISIT}
    found = (await ask(http, f"{LICENCES}/find", person)).json()["licences"]
    assert [one["licence"] for one in found] == [licence]
    permit = (await ask(http, PERMITS, person | {"licence": licence})).json()
    mine = person | {"permit": permit["permit"]}
    file = await ask(http, f"{PERMITS}/file", mine)
    assert file.headers["content-type"] == PERMIT_FILE_TYPE
    assert file.headers["cache-control"] == "no-store"
    sha256 = hashlib.sha256(file.content).hexdigest()
    redeemed = (await ask(http, f"{PERMITS}/redeem", mine | {"sha256": sha256})).json()
    told = {
        "permit": permit["permit"],
        "visit": VISIT,
        "attempt": redeemed["attempt"],
        "outcome": "completed",
    }
    assert (await ask(http, f"{PERMITS}/outcome", told)).json()["state"] == "completed"
    assert (await ask(http, f"{VISITS}/end", {"visit": VISIT})).json()["destroyed"] == 0


async def test_a_refusal_says_what_to_do_and_repeats_nothing(
    http: httpx.AsyncClient, store: Store, register: Register
) -> None:
    licence = await issued(store, register)
    person = {"number": HOLDER, "visit": VISIT}
    permit = (await ask(http, PERMITS, person | {"licence": licence})).json()
    wrong = person | {"permit": permit["permit"], "sha256": "0" * 64}
    said = await ask(http, f"{PERMITS}/redeem", wrong)
    assert (said.status_code, said.headers["content-type"]) == (409, PROBLEM_TYPE)
    expected = problem(ProblemCode.PERMIT_REFUSED)
    assert (said.json()["title"], said.json()["detail"]) == (expected.title, expected.detail)
    assert HOLDER not in said.text


async def test_a_window_settles_what_the_machine_does_not_know(
    node: Node, http: httpx.AsyncClient, store: Store, register: Register
) -> None:
    licence = await issued(store, register)
    person = {"number": HOLDER, "visit": VISIT}
    permit = (await ask(http, PERMITS, person | {"licence": licence})).json()
    mine = person | {"permit": permit["permit"], "sha256": permit["sha256"]}
    await ask(http, f"{PERMITS}/redeem", mine)
    told = {"permit": permit["permit"], "visit": VISIT, "attempt": 1, "outcome": "unknown"}
    await ask(http, f"{PERMITS}/outcome", told)
    found = {"number": HOLDER, "printed": False}
    path = f"{WINDOWS}/12/prints/settle"
    assert (await ask(http, path, found)).status_code == 403
    async with client(node, "window-12") as window:
        assert (await ask(window, path, found)).json()["settled"] == ["四川省老年人优待证"]
        assert (await ask(window, path, found)).status_code == 404
    assert (await ask(http, PERMITS, person | {"licence": licence})).json()["copy_number"] == 1
