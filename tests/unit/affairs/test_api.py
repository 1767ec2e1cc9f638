"""Every answer has the documented shape; every error is a problem that repeats nothing."""

from __future__ import annotations

import json
import string
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affairs.api import BODY_LIMIT
from affairs.http.node import Node
from affairs.problems import ProblemCode, problem
from affairs.queue.issuing import Queue
from affairs.server import peer_name
from affairs.store import Store
from hallkit.model.ids import new_id
from hallkit.wire.affairs_api import (
    CATALOGUE_MANIFEST,
    CATALOGUE_SNAPSHOT,
    HEALTH,
    IDEMPOTENCY_HEADER,
    PROBLEM_TYPE,
    QUEUE_SERVICES,
    TICKETS,
    Problem,
    TicketIssued,
)
from tests.unit.affairs.hall import APPLICANT, ITEM, NUMBER, client

BODY = {"item": ITEM, "applicant": APPLICANT}


def key(text: str = "") -> dict[str, str]:
    return {IDEMPOTENCY_HEADER: text or new_id()}


def problem_of(response: httpx.Response) -> Problem:
    assert response.headers["content-type"] == PROBLEM_TYPE
    found = Problem.model_validate_json(response.content)
    assert found == problem(ProblemCode(found.code))
    assert found.status == response.status_code
    return found


async def test_a_ticket_is_created_once(http: httpx.AsyncClient) -> None:
    headers = key()
    first = await http.post(TICKETS, json=BODY, headers=headers)
    again = await http.post(TICKETS, json=BODY, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["cache-control"] == "no-store"
    issued = TicketIssued.model_validate_json(again.content)
    assert issued.again
    assert issued.ticket == TicketIssued.model_validate_json(first.content).ticket
    state = await http.get(f"{TICKETS}/{issued.ticket.id}")
    assert state.json()["state"] == "waiting"


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (BODY, {}, "idempotency_key_missing"),
        (BODY, key("short"), "idempotency_key_invalid"),
        (BODY, key("has spaces in it"), "idempotency_key_invalid"),
        (BODY, key("k" * 129), "idempotency_key_invalid"),
        ({"item": "nothing"}, key(), "item_unknown"),
        ({}, key(), "request_invalid"),
        ({"item": ITEM, "applicant": {**APPLICANT, "number": "1"}}, key(), "request_invalid"),
        ({"item": "x" * 65}, key(), "request_invalid"),
        ([], key(), "request_invalid"),
    ],
)
async def test_what_is_wrong_with_a_request_is_said_in_a_problem(
    http: httpx.AsyncClient, content: object, headers: dict[str, str], code: str
) -> None:
    assert problem_of(await http.post(TICKETS, json=content, headers=headers)).code == code


async def test_a_used_key_with_another_request_is_a_problem(http: httpx.AsyncClient) -> None:
    headers = key()
    await http.post(TICKETS, json=BODY, headers=headers)
    answer = await http.post(TICKETS, json={"item": ITEM}, headers=headers)
    assert problem_of(answer).code == "idempotency_key_reused"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"item": "\\ud800"}', b"[" * 100_000, b"NaN"]
)
async def test_what_is_no_json_is_a_problem(http: httpx.AsyncClient, content: bytes) -> None:
    headers = key() | {"Content-Type": "application/json"}
    answer = await http.post(TICKETS, content=content, headers=headers)
    assert problem_of(answer).code in {"request_invalid", "request_unreadable"}


async def test_a_body_may_not_be_too_large(http: httpx.AsyncClient) -> None:
    async def endless() -> Any:
        for _ in range(BODY_LIMIT // 1024 + 1):
            yield b" " * 1024

    announced = await http.post(TICKETS, content=b" " * (BODY_LIMIT + 1), headers=key())
    chunked = await http.post(
        TICKETS, content=endless(), headers=key() | {"Content-Type": "application/json"}
    )
    assert problem_of(announced).code == "body_too_large"
    assert problem_of(chunked).code == "body_too_large"


@pytest.mark.parametrize("peer", ["", "terminal-99", "affairs"])
async def test_only_listed_machines_may_take_tickets(node: Node, peer: str) -> None:
    async with client(node, peer) as http:
        taken = await http.post(TICKETS, json=BODY, headers=key())
        asked = await http.get(f"{TICKETS}/{new_id()}")
        services = await http.get(QUEUE_SERVICES)
    assert problem_of(taken).code == "device_not_allowed"
    assert problem_of(asked).code == "device_not_allowed"
    assert services.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", "not_found"),
        ("GET", "/docs", "not_found"),
        ("GET", f"{TICKETS}/", "not_found"),
        ("DELETE", TICKETS, "method_not_allowed"),
        ("GET", f"{TICKETS}/01JZZZZZZZZZZZZZZZZZZZZZZZ", "ticket_unknown"),
        ("GET", f"{TICKETS}/{NUMBER}", "request_invalid"),
    ],
)
async def test_wrong_addresses_are_problems(
    http: httpx.AsyncClient, method: str, path: str, code: str
) -> None:
    answer = await http.request(method, path)
    assert problem_of(answer).code == code
    assert NUMBER not in answer.text


async def test_the_catalogue_is_sent_once(http: httpx.AsyncClient) -> None:
    manifest = (await http.get(CATALOGUE_MANIFEST)).json()
    first = await http.get(CATALOGUE_SNAPSHOT)
    assert (first.status_code, first.content) == (200, b"catalogue")
    assert first.headers["etag"] == f'"{manifest["sha256"]}"'
    same = await http.get(CATALOGUE_SNAPSHOT, headers={"If-None-Match": first.headers["etag"]})
    other = await http.get(CATALOGUE_SNAPSHOT, headers={"If-None-Match": '"other"'})
    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200


async def test_a_broken_store_is_a_problem(
    http: httpx.AsyncClient, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    def drop(connection: sa.Connection) -> None:
        connection.exec_driver_sql("drop table tickets")

    await store.transaction(drop)
    for answer in (await http.get(HEALTH), await http.post(TICKETS, json=BODY, headers=key())):
        assert problem_of(answer).code == "store_unavailable"
    assert NUMBER not in "".join(capfd.readouterr())


async def test_a_fault_of_ours_shows_nobodys_data(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def crash(*_arguments: object, **_named: object) -> None:
        raise ValueError(NUMBER)

    monkeypatch.setattr(Queue, "issue", crash)
    assert problem_of(await http.post(TICKETS, json=BODY, headers=key())).code == "internal"
    said = "".join(capfd.readouterr())
    assert "request.crashed" in said
    assert "ValueError" in said
    assert NUMBER not in said


@pytest.mark.parametrize(
    ("certificate", "name"),
    [
        ({"subject": ((("commonName", "terminal-01"),),)}, "terminal-01"),
        ({"subject": ((("countryName", "CN"),), (("commonName", "robot-01"),))}, "robot-01"),
        ({"subject": ((("commonName", "terminal-01"),), (("commonName", "x"),))}, ""),
        ({"subject": ((("commonName", "Terminal 01"),),)}, ""),
        ({"subject": ()}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_the_peer_is_the_one_common_name(certificate: object, name: str) -> None:
    assert peer_name(certificate) == name


def test_every_problem_says_what_happened_and_what_to_do() -> None:
    for code in ProblemCode:
        said = problem(code)
        assert 400 <= said.status <= 599
        assert any("\u4e00" <= character <= "\u9fff" for character in said.title)
        assert said.detail.endswith("。")


MARK = "不得回显"
texts = st.text(max_size=70).map(lambda text: MARK + text)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
near_requests = st.fixed_dictionaries(
    {"item": st.just(ITEM) | texts | json_values},
    optional={
        "answers": st.dictionaries(texts, texts, max_size=4) | json_values,
        "materials": st.lists(texts, max_size=4) | json_values,
        "applicant": json_values
        | st.fixed_dictionaries(
            {
                "name": texts,
                "number": st.text(string.digits + "X", min_size=14, max_size=19),
                "card_kind": texts,
            }
        ),
        "visit": texts | json_values,
        "unknown": json_values,
    },
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=near_requests | json_values)
async def test_any_body_is_answered_in_the_documented_way(
    http: httpx.AsyncClient, body: object
) -> None:
    headers = key() | {"Content-Type": "application/json"}
    answer = await http.post(TICKETS, content=json.dumps(body).encode(), headers=headers)
    assert MARK not in answer.text
    if answer.status_code == 201:
        assert not TicketIssued.model_validate_json(answer.content).again
    else:
        assert problem_of(answer).code in {"request_invalid", "item_unknown"}
