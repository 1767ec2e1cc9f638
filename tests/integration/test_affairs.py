"""The business node as a real process, spoken to as the machines of the hall do."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import shutil
import ssl
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from affairs.api import document
from affairs.catalogue_source import CONTENT
from hallkit.catalogue.snapshot import Catalogue
from hallkit.clients.affairs import AffairsClient
from hallkit.errors import LinkDown, Rejected, TrustError
from hallkit.model.ids import new_id
from hallkit.model.ticket import Ticket, TicketState
from hallkit.runtime.clock import SystemClock, local_date
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import (
    APPOINTMENTS,
    BLOCKS,
    CATALOGUE_DELTA,
    CATALOGUE_MANIFEST,
    CATALOGUE_SNAPSHOT,
    HEALTH,
    IDEMPOTENCY_HEADER,
    PROBLEM_TYPE,
    QUEUE_CALLS,
    QUEUE_SERVICES,
    SLOTS,
    TICKETS,
    WINDOWS,
    Applicant,
    Problem,
    TicketRequest,
)
from hallkit.wire.cases_api import CASES, CONTINUATIONS, HOLDINGS
from hallkit.wire.help_api import HELP_CALLS
from hallkit.wire.licences_api import LICENCES, PERMITS, VISITS
from hallkit.wire.ratings_api import OFFLINE_RATINGS, RATINGS, RATINGS_SUMMARY
from hallkit.wire.ticket_code import verify_code
from tests.integration.affairs_node import CONTENT_FILE, HOST, ITEM, NODE_FILE, Authority, Hall

pytestmark = pytest.mark.integration

NAME = "欧阳什邡"
NUMBER = "11010519491231002X"
REQUEST = TicketRequest(
    item=ITEM,
    answers={"who": "本人"},
    applicant=Applicant(name=NAME, number=NUMBER, card_kind="resident"),
)


CALLERS = "[affairs.callers]\nwindow-05 = 5\nwindow-99 = 999\n"
NOT_HERE = {
    ("checkIn", "200"),
    ("checkIn", "201"),
    ("forgetHoldings", "200"),
    ("getPermitFile", "200"),
    ("makePrintPermit", "200"),
    ("redeemPrintPermit", "200"),
    ("settlePrints", "200"),
    ("tellPrintOutcome", "200"),
    ("getPermitFile", "409"),
    ("redeemPrintPermit", "409"),
    ("tellPrintOutcome", "409"),
}
"""One checks in on the day and for a slot that is still to come, and forgets what was kept of one:
tests/unit/affairs/test_booking.py and test_cases.py have a clock and a paper of their own. So has
test_licence_routes.py a licence; tests/integration/test_licences.py prints one."""


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    return Hall(tmp_path)


def log_of(hall: Hall) -> str:
    return (hall.folder / "node.log").read_text(encoding="utf-8")


async def test_a_terminal_takes_a_ticket(hall: Hall) -> None:
    async with hall.running(), hall.client() as affairs:
        issued = await affairs.issue_ticket(REQUEST, new_id())
        waiting = {one.service: one.waiting for one in (await affairs.queue_services()).services}
        found = await affairs.ticket(issued.ticket.id)
    assert (issued.again, issued.ticket.number) == (False, "D001")
    assert issued.ticket.windows == "1楼D区 5-8号窗口"
    assert waiting["public_security"] == 1
    assert (found, found.state) == (issued.ticket, TicketState.WAITING)
    code = verify_code(issued.ticket.code, hall.signing_key.public_key())
    assert code is not None
    assert (code.ticket_id, code.number) == (issued.ticket.id, "D001")


async def test_nobody_without_a_certificate_of_the_hall_gets_in(hall: Hall) -> None:
    nobody = ssl.create_default_context(cafile=str(hall.identity("terminal-01") / "ca.pem"))
    stranger = ssl.create_default_context(cafile=str(hall.identity("terminal-01") / "ca.pem"))
    foreign = Authority().identity("terminal-01", hall.folder / "foreign")
    stranger.load_cert_chain(str(foreign / "cert.pem"), str(foreign / "key.pem"))
    async with hall.running():
        for context in (nobody, stranger):
            async with AffairsClient(hall.url, context) as affairs:
                with pytest.raises(LinkDown):
                    await affairs.queue_services()
    assert "crashed" not in log_of(hall)


async def test_rights_go_by_the_name_in_the_certificate(hall: Hall) -> None:
    async with hall.running():
        async with hall.client("terminal-99") as unlisted:
            assert (await unlisted.queue_services()).services
            with pytest.raises(Rejected) as fault:
                await unlisted.issue_ticket(REQUEST, new_id())
            assert (fault.value.problem_code, fault.value.status) == ("device_not_allowed", 403)
        async with hall.client("robot-01") as named_in_settings:
            assert (await named_in_settings.issue_ticket(REQUEST, new_id())).ticket.number == "D001"


async def test_fifty_machines_at_once_get_fifty_numbers(hall: Hall) -> None:
    async with hall.running(), hall.client() as affairs:
        issued = await asyncio.gather(
            *(affairs.issue_ticket(REQUEST, new_id(), retry_for_s=30) for _ in range(50))
        )
    assert sorted(one.ticket.number for one in issued) == [f"D{n:03d}" for n in range(1, 51)]


async def test_a_kill_in_a_burst_loses_and_repeats_no_number(hall: Hall) -> None:
    keys: list[str] = []
    answered: dict[str, Ticket] = {}
    in_full_swing = asyncio.Event()

    async def take_until_down(affairs: AffairsClient) -> None:
        while True:
            key = new_id()
            keys.append(key)
            try:
                answered[key] = (await affairs.issue_ticket(REQUEST, key, retry_for_s=0)).ticket
            except LinkDown:
                return
            if len(answered) == 30:
                in_full_swing.set()

    async with hall.running() as process, hall.client() as affairs, asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(take_until_down(affairs))
        await in_full_swing.wait()
        process.kill()
    assert len(keys) == len(answered) + 10

    async with hall.running(), hall.client() as affairs:
        second = {key: await affairs.issue_ticket(REQUEST, key) for key in keys}
    for key, ticket in answered.items():
        assert second[key].again
        assert second[key].ticket == ticket
    numbers = [one.ticket.number for one in second.values()]
    assert sorted(numbers) == [f"D{n:03d}" for n in range(1, len(keys) + 1)]


async def test_the_client_waits_for_a_node_that_restarts(hall: Hall) -> None:
    key = new_id()
    async with hall.client() as affairs:
        with pytest.raises(LinkDown):
            await affairs.issue_ticket(REQUEST, key, retry_for_s=0)
        asking = asyncio.create_task(affairs.issue_ticket(REQUEST, key, retry_for_s=30))
        async with hall.running():
            first = await asking
        async with hall.running():
            again = await affairs.issue_ticket(REQUEST, key)
    assert again.again
    assert again.ticket == first.ticket


async def test_nothing_personal_is_on_the_disk_or_in_the_log(hall: Hall) -> None:
    async with hall.running() as process, hall.client() as affairs:
        await affairs.issue_ticket(REQUEST, new_id())
        with pytest.raises(Rejected):
            await affairs.issue_ticket(REQUEST.model_copy(update={"item": NUMBER}), new_id())
        process.kill()  # so that the write-ahead log stays
    files = [path for path in hall.folder.rglob("*") if path.is_file()]
    assert any(path.name == "affairs.sqlite-wal" for path in files)
    kept = b"".join(path.read_bytes() for path in files)
    assert b"D001" in kept
    for secret in (NAME, NUMBER, "本人"):
        for encoding in ("utf-8", "utf-16-le", "gb18030"):
            assert secret.encode(encoding) not in kept


async def test_the_catalogue_comes_signed(hall: Hall) -> None:
    to = hall.folder / "downloaded.sqlite"
    public_key = hall.signing_key.public_key()
    async with hall.running(), hall.client() as affairs:
        manifest = await affairs.manifest()
        await affairs.download_snapshot(to)
    with Catalogue.open(to, manifest, [public_key]) as catalogue:
        assert [item.catalog_code for item in catalogue.items()] == [ITEM]
    assert not list(hall.folder.glob("*.part"))
    async with hall.running(), hall.client() as affairs:
        assert await affairs.manifest() == manifest
        with pytest.raises(LinkDown):
            await affairs.download_snapshot(to, deadline_s=0)
    with Catalogue.open(to, manifest, [public_key]):
        pass
    to.write_bytes(b"damaged")
    with pytest.raises(TrustError):
        Catalogue.open(to, manifest, [public_key])


async def test_it_stops_in_order_while_connections_are_open(hall: Hall) -> None:
    async with hall.running() as process, hall.client() as affairs:
        await affairs.queue_services()
        process.terminate()
        assert await process.wait() == 0
    assert "process.stopped" in log_of(hall)


async def test_what_is_no_http_is_answered_with_a_problem(hall: Hall) -> None:
    async with hall.running():
        reader, writer = await asyncio.open_connection(
            HOST, hall.port, ssl=client_context(hall.identity("terminal-01"))
        )
        writer.write(b"what is this\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert Problem.model_validate_json(body).code == "request_unreadable"


async def test_a_taken_port_and_a_wrong_site_file_end_the_process(hall: Hall) -> None:
    async with hall.running():
        with pytest.raises(AssertionError, match="cannot listen on"):
            async with hall.running():
                pass
    hall.write("affairs.toml", "[affairs]\ndevice = []\n")
    with pytest.raises(AssertionError, match=r"affairs\.device: unknown key .*'devices'"):
        async with hall.running():
            pass


async def test_every_operation_answers_as_documented(hall: Hall) -> None:  # noqa: PLR0915
    contract = document()
    seen: set[tuple[str, str]] = set()

    async def call(http: httpx.AsyncClient, method: str, path: str, **how: Any) -> httpx.Response:
        response = await http.request(method, path, **how)
        template = next(one for one in contract["paths"] if _matches(one, path))
        operation = contract["paths"][template][method.lower()]
        documented = operation["responses"][str(response.status_code)]
        seen.add((operation["operationId"], str(response.status_code)))
        if content := documented.get("content"):
            kind = response.headers["content-type"]
            assert kind in content
            if kind.endswith("json"):
                schema = {**content[kind]["schema"], "components": contract["components"]}
                Draft202012Validator(schema).validate(response.json())
        else:
            assert response.content == b""
        return response

    shutil.copytree(CONTENT / "hall", hall.content / "hall")
    hall.write("affairs.toml", NODE_FILE.format(content=hall.content) + CALLERS)
    async with hall.running():
        pass  # it has offered one catalogue before
    former = {path.stem for path in (hall.state / "catalogue").glob("*.sqlite")}.pop()
    hall.write("content/items.toml", CONTENT_FILE.replace("窗口受理", "窗口当场受理"))
    async with hall.running(), _http(hall, "terminal-01") as http, _http(hall, "tv-01") as other:
        key = {IDEMPOTENCY_HEADER: new_id()}
        body = REQUEST.model_dump(mode="json")
        ticket = (await call(http, "POST", TICKETS, json=body, headers=key)).json()["ticket"]
        await call(http, "POST", TICKETS, json=body, headers=key)
        await call(http, "POST", TICKETS, json={"item": "x"}, headers=key)
        await _refusals(partial(call, http), TICKETS, body)
        fresh = {IDEMPOTENCY_HEADER: new_id()}
        await call(http, "POST", TICKETS, json={"item": "x"}, headers=fresh)
        await call(other, "POST", TICKETS, json=body, headers=fresh)
        for rest in ("", "/progress"):
            for one in (ticket["id"], new_id(), "A001"):
                await call(http, "GET", f"{TICKETS}/{one}{rest}")
            await call(other, "GET", f"{TICKETS}/{ticket['id']}{rest}")
        for path in (HEALTH, QUEUE_SERVICES, QUEUE_CALLS, CATALOGUE_MANIFEST, CATALOGUE_SNAPSHOT):
            await call(http, "GET", path)
        async with _http(hall, "window-05") as window, _http(hall, "window-99") as nowhere:
            await _windows(partial(call, window), ticket["id"])
            for rest in ("", "/case"):
                await call(nowhere, "GET", f"{WINDOWS}/999{rest}")
                await call(other, "GET", f"{WINDOWS}/5{rest}")
            await call(other, "POST", f"{WINDOWS}/5/orders", json={"do": "open"}, headers=fresh)
        await _appointments(partial(call, http), partial(call, other))
        await _numbers(partial(call, http), partial(call, other))
        async with _http(hall, "robot-01") as robot, _http(hall, "window-05") as window:
            await _cases(
                partial(call, http),
                partial(call, robot),
                partial(call, window),
                partial(call, other),
            )
            await _holdings(partial(call, http), partial(call, other))
            await _licences(partial(call, http), partial(call, other), partial(call, window))
        for part in (_appointments, _numbers, _ratings, _help):
            await part(partial(call, http), partial(call, other))
        for sha256 in (former, "0" * 64, "former"):
            await call(http, "GET", f"{CATALOGUE_DELTA}/{sha256}")
        etag = (await http.get(CATALOGUE_SNAPSHOT)).headers["etag"]
        await call(http, "GET", CATALOGUE_SNAPSHOT, headers={"If-None-Match": etag})
        assert (await http.get(HEALTH)).json()["status"] == "ok"
        assert (await http.get("/v1/nothing")).headers["content-type"] == PROBLEM_TYPE
    expected = _documented(contract)
    assert expected - seen == NOT_HERE
    assert seen <= expected


def _documented(contract: dict[str, Any]) -> set[tuple[str, str]]:
    """Operation and status, but for those of a node that is broken or away."""
    return {
        (operation["operationId"], status)
        for operations in contract["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
        if status < "500"
    }


def _matches(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) is not None


def _key() -> dict[str, str]:
    return {IDEMPOTENCY_HEADER: new_id()}


Call = Callable[..., Awaitable[httpx.Response]]


async def _refusals(call: Call, path: str, body: Any) -> None:
    """What every write refuses: no key, what is no request, too much of it."""
    await call("POST", path, json=body)
    await call("POST", path, json=[], headers=_key())
    await call("POST", path, content=b" " * 300_000, headers=_key())


async def _windows(call: Call, ticket: str) -> None:
    orders = f"{WINDOWS}/5/orders"
    await call("GET", f"{WINDOWS}/5")
    await call("GET", f"{WINDOWS}/99999")
    await call("GET", f"{WINDOWS}/99999/case")
    await call("GET", f"{WINDOWS}/5/case")
    await _refusals(call, orders, {"do": "open"})
    await call("POST", orders, json={"do": "next"}, headers=_key())
    await call("POST", orders, json={"do": "open"}, headers=_key())
    await call("POST", orders, json={"do": "call", "ticket": new_id()}, headers=_key())
    await call("POST", orders, json={"do": "call", "ticket": ticket}, headers=_key())
    await call("GET", f"{WINDOWS}/5/case")


async def _appointments(call: Call, other: Call) -> None:
    today = local_date(SystemClock().wall_ms())
    days = [(today + dt.timedelta(days=ahead)).isoformat() for ahead in range(15)]
    offered = [await call("GET", SLOTS, params={"item": ITEM, "day": day}) for day in days]
    for params in ({"item": "x", "day": days[0]}, {"item": ITEM, "day": "2020-01-01"}):
        await call("GET", SLOTS, params=params)
    await other("GET", SLOTS, params={"item": ITEM, "day": days[0]})
    slot = [slot for one in offered for slot in one.json()["slots"]][-1]
    request = REQUEST.model_dump(mode="json")
    body = {"start_ms": slot["start_ms"], "ticket": request}
    await _refusals(call, APPOINTMENTS, body)
    booked = await call("POST", APPOINTMENTS, json=body, headers=_key())
    await call("POST", APPOINTMENTS, json=body, headers=_key())
    unknown = {"start_ms": slot["start_ms"], "ticket": request | {"item": "x"}}
    await call("POST", APPOINTMENTS, json=unknown, headers=_key())
    await other("POST", APPOINTMENTS, json=body, headers=_key())
    mine = {"appointment": booked.json()["appointment"], "number": NUMBER}
    for path in ("find", "check-in", "cancel"):
        await _refusals(call, f"{APPOINTMENTS}/{path}", mine)
        await other("POST", f"{APPOINTMENTS}/{path}", json=mine, headers=_key())
    await call("POST", f"{APPOINTMENTS}/find", json={"number": NUMBER}, headers=_key())
    stranger = mine | {"appointment": new_id()}
    for path in ("check-in", "cancel"):
        await call("POST", f"{APPOINTMENTS}/{path}", json=stranger, headers=_key())
    for _ in range(2):
        await call("POST", f"{APPOINTMENTS}/cancel", json=mine, headers=_key())
    await call("POST", f"{APPOINTMENTS}/check-in", json=mine, headers=_key())


async def _numbers(call: Call, other: Call) -> None:
    body = {"services": ["market"], "size": 2}
    await _refusals(call, BLOCKS, body)
    await call("POST", BLOCKS, json={"services": ["nothing"]}, headers=_key())
    await other("POST", BLOCKS, json=body, headers=_key())
    lease = await call("POST", BLOCKS, json=body, headers=_key())
    held = lease.json()["numbers"][0]["ticket"]
    told = {"tickets": [{"ticket": held, "issued_at_ms": 0, "sealed": "AAAA"}]}
    await _refusals(call, f"{BLOCKS}/tickets", told)
    await call("POST", f"{BLOCKS}/tickets", json=told, headers=_key())
    await other("POST", f"{BLOCKS}/tickets", json=told, headers=_key())


REQUEST_WITHOUT_ANSWERS = REQUEST.model_dump(mode="json") | {"answers": {}}
CASE = {
    "item": ITEM,
    "applicant": {"name": NAME, "number": NUMBER, "card_kind": "resident", "read": "card"},
}


async def _cases(call: Call, robot: Call, window: Call, other: Call) -> None:
    draft = {"revision": 0, "content": CASE}
    unknown = CASE | {"item": "x"}
    for path in (CASES, f"{CASES}/precheck"):
        await _refusals(call, path, CASE)
        await call("POST", path, json=unknown, headers=_key())
        await other("POST", path, json=CASE, headers=_key())
    await call("POST", f"{CASES}/precheck", json=CASE, headers=_key())
    opening = _key()
    case = (await call("POST", CASES, json=CASE, headers=opening)).json()
    mine = f"{CASES}/{case['case']}"
    for one in (mine, f"{CASES}/{new_id()}", f"{CASES}/A001"):
        await call("GET", one)
    await other("GET", mine)
    for path in ("draft", "submit"):
        await _refusals(call, f"{mine}/{path}", draft)
        await other("POST", f"{mine}/{path}", json=draft, headers=_key())
        await call("POST", f"{CASES}/{new_id()}/{path}", json=draft, headers=_key())
    await call("POST", f"{mine}/draft", json=draft, headers=_key())
    await call("POST", f"{mine}/draft", json=draft, headers=_key())
    await _continuations(call, robot, other, mine)
    await call("POST", CASES, json=CASE, headers=opening)  # it has been passed on
    await call("GET", mine)
    person = {"case": case["case"], "number": NUMBER}
    for path in ("resume", "withdraw"):
        await _refusals(call, f"{CASES}/{path}", person)
        stranger = person | {"case": new_id()}
        await call("POST", f"{CASES}/{path}", json=stranger, headers=_key())
        await other("POST", f"{CASES}/{path}", json=person, headers=_key())
    back = (await call("POST", f"{CASES}/resume", json=person, headers=_key())).json()
    final = draft | {"revision": back["revision"]}
    for _ in range(2):
        await call("POST", f"{mine}/submit", json=final, headers=_key())
    await call("POST", f"{CASES}/resume", json=person, headers=_key())
    await _orders(call, window, other, person)
    await call("POST", f"{CASES}/withdraw", json=person, headers=_key())
    await _progress(call, other)


async def _continuations(call: Call, robot: Call, other: Call, mine: str) -> None:
    code = await call("POST", f"{mine}/continuation", headers=_key())
    await call("POST", f"{mine}/continuation")
    await call("POST", f"{CASES}/A001/continuation", headers=_key())
    await call("POST", f"{CASES}/{new_id()}/continuation", headers=_key())
    await other("POST", f"{mine}/continuation", headers=_key())
    redeem = f"{CONTINUATIONS}/redeem"
    told = {"code": code.json()["code"]}
    await _refusals(robot, redeem, told)
    await other("POST", redeem, json=told, headers=_key())
    await robot("POST", redeem, json={"code": "HK1.C.A"}, headers=_key())
    for _ in range(2):
        await robot("POST", redeem, json=told, headers=_key())
    await call("POST", f"{mine}/continuation", headers=_key())


async def _orders(call: Call, window: Call, other: Call, person: dict[str, str]) -> None:
    """The ticket at the window was taken before there was a case; the next one brings it."""
    path = f"{WINDOWS}/5/case/orders"
    order = {"do": "accept", "case": person["case"]}
    await _refusals(window, path, order)
    await window("POST", path, json=order, headers=_key())
    await other("POST", path, json=order, headers=_key())
    status = (await window("GET", f"{WINDOWS}/5")).json()["ticket"]
    for do in ("serve", "finish"):
        told = {"do": do, "ticket": status["ticket"]}
        await window("POST", f"{WINDOWS}/5/orders", json=told, headers=_key())
    await call("POST", TICKETS, json=REQUEST_WITHOUT_ANSWERS, headers=_key())
    await window("POST", f"{WINDOWS}/5/orders", json={"do": "next"}, headers=_key())
    await window("GET", f"{WINDOWS}/5/case")
    await window("POST", path, json=order, headers=_key())
    await call("POST", f"{CASES}/withdraw", json=person, headers=_key())
    returned = order | {"do": "return", "words": "少一页"}
    await window("POST", path, json=returned, headers=_key())


async def _progress(call: Call, other: Call) -> None:
    find = f"{CASES}/find"
    case = (await call("POST", CASES, json=CASE, headers=_key())).json()
    right = {"case_number": case["number"], "tail": NUMBER[-4:]}
    await _refusals(call, find, right)
    await other("POST", find, json=right, headers=_key())
    await call("POST", find, json=right, headers=_key())
    for _ in range(6):
        await call("POST", find, json=right | {"tail": "0000"}, headers=_key())


async def _holdings(call: Call, other: Call) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "find": {"number": NUMBER},
        "consent": {"number": NUMBER, "consent": True},
        "forget": {"number": NUMBER, "holdings": [new_id()]},
    }
    for path, body in bodies.items():
        await _refusals(call, f"{HOLDINGS}/{path}", body)
        await call("POST", f"{HOLDINGS}/{path}", json=body, headers=_key())
        await other("POST", f"{HOLDINGS}/{path}", json=body, headers=_key())


async def _ratings(call: Call, other: Call) -> None:
    body = {
        "subject": {"kind": "visit", "id": new_id()},
        "level": "satisfied",
        "channel": "terminal",
        "rated_at_ms": 0,
    }
    await _refusals(call, RATINGS, body)
    key = _key()
    for _ in range(2):
        await call("POST", RATINGS, json=body, headers=key)
    await call("POST", RATINGS, json=body, headers=_key())
    unknown = body | {"subject": {"kind": "ticket", "id": new_id()}}
    await call("POST", RATINGS, json=unknown, headers=_key())
    await other("POST", RATINGS, json=body, headers=_key())
    kept = {"ratings": [{"rating": new_id(), "sealed": "AAAA"}]}
    await _refusals(call, OFFLINE_RATINGS, kept)
    await call("POST", OFFLINE_RATINGS, json=kept, headers=_key())
    await other("POST", OFFLINE_RATINGS, json=kept, headers=_key())
    for day in ("2025-01-02", "yesterday"):
        await other("GET", RATINGS_SUMMARY, params={"day": day})


async def _help(call: Call, other: Call) -> None:
    body = {"reason": "asked"}
    await _refusals(call, HELP_CALLS, body)
    made = await call("POST", HELP_CALLS, json=body, headers=_key())
    await call("POST", HELP_CALLS, json=body, headers=_key())
    await other("POST", HELP_CALLS, json=body, headers=_key())
    for one in (made.json()["call"], new_id(), "A001"):
        path = f"{HELP_CALLS}/{one}"
        await call("GET", path)
        await other("GET", path)
        await _refusals(call, f"{path}/cancel", {})
        await other("POST", f"{path}/cancel", json={}, headers=_key())


async def _licences(call: Call, other: Call, window: Call) -> None:
    person = {"number": NUMBER, "visit": "visit-0001"}
    permit = person | {"permit": new_id()}
    told = {"permit": new_id(), "visit": "visit-0001", "attempt": 1, "outcome": "completed"}
    bodies: dict[str, dict[str, Any]] = {
        f"{LICENCES}/find": person,
        PERMITS: person | {"licence": new_id()},
        f"{PERMITS}/file": permit,
        f"{PERMITS}/redeem": permit | {"sha256": "0" * 64},
        f"{PERMITS}/outcome": told,
        f"{VISITS}/end": {"visit": "visit-0001"},
    }
    for path, body in bodies.items():
        await _refusals(call, path, body)
        await call("POST", path, json=body, headers=_key())
        await other("POST", path, json=body, headers=_key())
    for path in (f"{LICENCES}/find", PERMITS):  # the visit is over
        await call("POST", path, json=bodies[path], headers=_key())
    settle, found = f"{WINDOWS}/5/prints/settle", {"number": NUMBER, "printed": True}
    await _refusals(window, settle, found)
    await window("POST", settle, json=found, headers=_key())
    await other("POST", settle, json=found, headers=_key())


def _http(hall: Hall, name: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=hall.url, verify=client_context(hall.identity(name)), trust_env=False
    )
