"""An e-licence from the decision to the paper, over mutual TLS, through a kill of the node."""

from __future__ import annotations

import hashlib
import shutil
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from affairs.catalogue_source import CONTENT
from hallkit.clients.licences import LicencesClient
from hallkit.errors import Rejected, TrustError
from hallkit.model.ids import new_id
from hallkit.model.licence import PermitState, PrintOutcome
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, TICKETS, WINDOWS
from hallkit.wire.cases_api import CASES
from hallkit.wire.licences_api import (
    LicenceQuery,
    PermitOfPerson,
    PermitOutcome,
    PermitRedemption,
    PermitRequest,
    VisitEnd,
)
from tests.integration.affairs_node import CONTENT_FILE, HOST, ITEM, NODE_FILE, Hall

pytestmark = pytest.mark.integration

NAME, NUMBER, VISIT = "欧阳什邡", "11010519491231002X", "visit-0001"
SAMPLE_FILE = '[device]\nid = "sample-01"\nname = "1号样表机"\nrole = "form_sample"\n'


@pytest.fixture
def verify_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def hall(tmp_path: Path, verify_port: int) -> Hall:
    made = Hall(tmp_path)
    item = CONTENT_FILE.replace(
        "[[item.materials]]", 'licence_kind = "senior_card"\n[[item.materials]]'
    )
    made.write("content/items.toml", item)
    shutil.copytree(CONTENT / "hall", made.content / "hall")
    settings = f"[affairs.callers]\nwindow-05 = 5\n[affairs.verify]\nport = {verify_port}\n"
    made.write("affairs.toml", NODE_FILE.format(content=made.content) + settings)
    made.write("devices/sample-01.toml", SAMPLE_FILE)
    return made


def terminal(hall: Hall, name: str = "terminal-01") -> LicencesClient:
    return LicencesClient(hall.url, client_context(hall.identity(name)))


async def approved(hall: Hall) -> None:
    """Somebody applies, and the window approves it."""
    applicant = {"name": NAME, "number": NUMBER, "card_kind": "resident", "read": "card"}
    content = {"item": ITEM, "applicant": applicant}
    async with _http(hall, "terminal-01") as machine, _http(hall, "window-05") as window:
        case = (await _post(machine, CASES, content))["case"]
        draft = {"revision": 0, "content": content}
        await _post(machine, f"{CASES}/{case}/submit", draft)
        ticket = await _post(machine, TICKETS, {"item": ITEM, "applicant": applicant})
        told = {"do": "call", "ticket": ticket["ticket"]["id"]}
        for order in ({"do": "open"}, told, {**told, "do": "serve"}):
            await _post(window, f"{WINDOWS}/5/orders", order)
        await _post(window, f"{WINDOWS}/5/case/orders", {"do": "approve", "case": case})


async def test_what_a_window_approves_is_printed_once_whatever_happens_to_the_node(
    hall: Hall, verify_port: int
) -> None:
    pytest.importorskip("typst")
    async with hall.running() as process, terminal(hall) as machine:
        await approved(hall)
        found = await machine.find(LicenceQuery(number=NUMBER, visit=VISIT))
        (licence,) = found.licences
        assert licence.title == "四川省老年人优待证"
        request = PermitRequest(number=NUMBER, visit=VISIT, licence=licence.licence)
        permit = await machine.permit(request, "permit-1")
        mine = PermitOfPerson(permit=permit.permit, visit=VISIT, number=NUMBER)
        with pytest.raises(TrustError):
            await machine.file(permit.model_copy(update={"sha256": "0" * 64}), mine)
        content = await machine.file(permit, mine)
        assert content.startswith(b"%PDF-")
        wanted = PermitRedemption(**mine.model_dump(), sha256=hashlib.sha256(content).hexdigest())
        said = await machine.redeem(wanted, "redeem-1")
        process.kill()
    async with hall.running(), terminal(hall) as machine:
        again = await machine.redeem(wanted, "redeem-1")
        assert (again.attempt, again.again) == (said.attempt, True)
        with pytest.raises(Rejected, match="permit_over"):
            await machine.redeem(wanted, "redeem-2")
        told = PermitOutcome(
            permit=permit.permit,
            visit=VISIT,
            attempt=said.attempt,
            outcome=PrintOutcome.COMPLETED,
        )
        assert (await machine.tell(told, "outcome-1")).state is PermitState.COMPLETED
        (counted,) = (await machine.find(LicenceQuery(number=NUMBER, visit=VISIT))).licences
        assert counted.prints == 1
        assert (await machine.end_visit(VisitEnd(visit=VISIT), "leave-01")).destroyed == 0
        async with httpx.AsyncClient(trust_env=False) as anybody:
            unknown = await anybody.get(f"http://{HOST}:{verify_port}/v/{'a' * 32}")
        assert unknown.status_code == 404
    kept = b"".join(path.read_bytes() for path in hall.folder.rglob("*") if path.is_file())
    for secret in (NAME, NUMBER, "%PDF"):
        assert secret.encode() not in kept


async def test_only_terminals_of_the_device_folder_fetch_licences(hall: Hall) -> None:
    async with hall.running():
        for name in ("sample-01", "robot-01"):
            async with terminal(hall, name) as machine:
                with pytest.raises(Rejected) as fault:
                    await machine.find(LicenceQuery(number=NUMBER, visit=VISIT))
            assert fault.value.problem_code == "device_not_allowed"
        async with terminal(hall) as machine:
            assert (await machine.find(LicenceQuery(number=NUMBER, visit=VISIT))).licences == ()


def _http(hall: Hall, name: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=hall.url, verify=client_context(hall.identity(name)), trust_env=False
    )


async def _post(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> Any:
    said = await http.post(path, json=body, headers={IDEMPOTENCY_HEADER: new_id()})
    assert said.is_success, said.text
    return said.json()
