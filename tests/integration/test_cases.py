"""A case from the terminal to the result: node, broker and other systems as in a hall."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from affairs.catalogue_source import CONTENT
from affairs.upstream import load_upstream
from hallkit.clients.mqtt import MqttLink
from hallkit.model.case import CaseState
from hallkit.model.decision import NoAnswer, Verdict
from hallkit.model.ids import new_id
from hallkit.model.receipt import verify
from hallkit.runtime.tls import client_context
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER
from hallkit.wire.cases_api import CASES, Case, CaseOutcome, CasePrecheck
from hallkit.wire.mqtt import PAYLOAD_LIMIT, UpstreamNotice
from hallkit.wire.topics import UPSTREAM_STREAM, hall_stream
from launcher.fleet import NODE_FILE, prepare, running
from launcher.installation import Installation
from launcher.processes import ProcessTable
from tests.twins import tell

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 60.0
TERMINALS = ("terminal-21", "terminal-22", "terminal-23")
BOARD = "board-01"
NAME = "诸葛什邡"
OLD = "510682194001010012"
"""Made up, with the right check digit."""
CONTENT_OF_CASE = {
    "item": "senior-card",
    "answers": {"where": "local", "who": "self"},
    "applicant": {
        "name": NAME,
        "number": OLD,
        "card_kind": "resident",
        "read": "card",
        "address": "四川省什邡市方亭街道示例路1号",
        "phone": "13800000000",
    },
    "values": {"live_here": True, "signature": True},
}
KILLS = 4
BETWEEN = 12
"""Cases between two kills."""


@dataclass
class Hall:
    installation: Installation
    table: ProcessTable
    systems: Path
    """Control socket of the other systems."""
    notices: list[UpstreamNotice] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def http(self, name: str = TERMINALS[0]) -> httpx.AsyncClient:
        port = self.installation.endpoints["affairs"].port
        context = client_context(self.installation.pki / name)
        return httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{port}", verify=context, timeout=20, trust_env=False
        )

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        content = (self.installation.pki / "affairs" / "signing.pem").read_bytes()
        key = load_pem_private_key(content, password=None)
        assert isinstance(key, Ed25519PrivateKey)
        return key

    @asynccontextmanager
    async def board(self) -> AsyncIterator[None]:
        """Something that hears which systems are down."""
        topic = hall_stream(self.installation.site, UPSTREAM_STREAM)
        link = MqttLink(
            host="127.0.0.1",
            port=self.installation.endpoints["broker"].port,
            client_id=BOARD,
            tls=client_context(self.installation.pki / BOARD),
        )

        async def hear(_topic: str, payload: bytes) -> None:
            self.notices.append(UpstreamNotice.from_bytes(payload, limit=PAYLOAD_LIMIT))
            self.heard.set()

        async def listen() -> None:
            await link.subscribe(topic)

        running_ = asyncio.create_task(link.run(on_message=hear, on_connected=listen))
        try:
            yield
        finally:
            running_.cancel()
            await asyncio.gather(running_, return_exceptions=True)

    async def hears(self, *systems: str) -> None:
        """Wait until exactly these are told as down."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                self.heard.clear()
                if self.notices and [one.system for one in self.notices[-1].down] == list(systems):
                    return
                await self.heard.wait()


@asynccontextmanager
async def hall(folder: Path, systems: Path) -> AsyncIterator[Hall]:
    port = tell(systems, "state")["state"]["port"]
    installation = Installation(folder / "hall")
    prepare(installation, CONTENT, [*TERMINALS, BOARD])
    with (installation.config / NODE_FILE).open("a", encoding="utf-8") as file:
        file.write("[affairs.upstreams]\n")
        for name in load_upstream():
            file.write(f'{name} = "http://127.0.0.1:{port}/systems/{name}"\n')
    async with running(installation, "broker", "affairs") as table:
        yield Hall(installation, table, systems)


async def post(http: httpx.AsyncClient, path: str, body: Any, key: str = "") -> dict[str, Any]:
    """Asked again under its key until the node answers."""
    headers = {IDEMPOTENCY_HEADER: key or new_id()}
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                response = await http.post(path, json=body, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
                continue
            assert response.is_success, response.text
            told: dict[str, Any] = response.json()
            return told


async def submitted(http: httpx.AsyncClient, key: str = "") -> CaseOutcome:
    case = Case.model_validate(await post(http, CASES, CONTENT_OF_CASE))
    body = {"revision": case.revision, "content": CONTENT_OF_CASE}
    told = await post(http, f"{CASES}/{case.case}/submit", body, key)
    return CaseOutcome.model_validate(told)


async def test_decided_while_they_wait_and_decided_again_afterwards(
    tmp_path: Path, upstream_twin: Path
) -> None:
    async with hall(tmp_path, upstream_twin) as it, it.http() as http:
        outcome = await submitted(http)
        state = it.installation.state("affairs")
        replay = await asyncio.to_thread(
            subprocess.run,
            [
                *(sys.executable, "-P", "-m", "launcher.cli", "affairs", "replay", outcome.number),
                *("--state", state, "--data-key", it.installation.pki / "affairs" / "data.key"),
                "--json",
            ],
            capture_output=True,
            check=False,
        )
    assert (outcome.state, outcome.verdict) == (CaseState.DECIDED, Verdict.APPROVED)
    assert outcome.receipt is not None
    verify(outcome.receipt, [it.signing_key.public_key()])
    told = json.loads(replay.stdout)
    assert (replay.returncode, told["same"], told["verdict"]) == (0, True, "approved")
    kept = b"".join(path.read_bytes() for path in state.glob("affairs.sqlite*"))
    for secret in (NAME, OLD, "13800000000"):
        assert secret.encode() not in kept


async def test_a_system_that_is_down_is_told_before_anybody_begins(
    tmp_path: Path, upstream_twin: Path
) -> None:
    async with hall(tmp_path, upstream_twin) as it, it.http() as http, it.board():
        await it.hears()
        tell(upstream_twin, "fault.set", system="civil_affairs", fault="down")
        await it.hears("civil_affairs")
        checked = CasePrecheck.model_validate(
            await post(http, f"{CASES}/precheck", CONTENT_OF_CASE)
        )
        assert checked.systems_down == ("civil_affairs",)
        outcome = await submitted(http)
        assert outcome.verdict is Verdict.TO_WINDOW
        assert outcome.receipt is not None
        assert {one.no_answer for one in outcome.receipt.systems} <= {
            NoAnswer.SHUT_OFF,
            NoAnswer.DOWN,
        }
        assert outcome.way is not None
        tell(upstream_twin, "fault.clear")
        await it.hears()


async def test_killed_again_and_again_each_case_is_decided_once(
    tmp_path: Path, upstream_twin: Path
) -> None:
    told: dict[str, CaseOutcome] = {}
    more = asyncio.Event()

    async def applies(http: httpx.AsyncClient) -> None:
        while True:
            outcome = await submitted(http)
            told[outcome.case] = outcome
            more.set()

    async def so_many_more() -> None:
        wanted = len(told) + BETWEEN
        while len(told) < wanted:
            more.clear()
            await more.wait()

    tell(upstream_twin, "latency", ms=20)
    async with hall(tmp_path, upstream_twin) as it:
        async with contextlib.AsyncExitStack() as clients, asyncio.timeout(LIMIT_S):
            opened = [await clients.enter_async_context(it.http(name)) for name in TERMINALS]
            tasks = [asyncio.create_task(applies(one)) for one in opened]
            for _ in range(KILLS):
                await so_many_more()
                it.table.kill("affairs", hold=True)
                await it.table.release("affairs")
            await so_many_more()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        path = it.installation.state("affairs") / "affairs.sqlite"
        with closing(sqlite3.connect(path)) as database:
            made = Counter(row[0] for row in database.execute("select case_id from decisions"))
            numbers = [row[0] for row in database.execute("select number from cases")]
            kept = dict(database.execute("select case_id, receipt from decisions"))
    assert max(made.values()) == 1, "a case that was decided twice"
    assert len(numbers) == len(set(numbers))
    for case, outcome in told.items():
        assert outcome.verdict is Verdict.APPROVED
        assert outcome.receipt is not None
        assert bytes(kept[case]) == outcome.receipt.to_bytes()
