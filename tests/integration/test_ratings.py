"""Somebody rates, and node and machine die: what they thought stands once, and nobody reads it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from affairs.catalogue_source import CONTENT
from hallkit.clients.affairs import AffairsClient
from hallkit.clients.ratings import RatingsClient
from hallkit.model.ids import new_id
from hallkit.model.rating import RatedKind, RatingChannel, RatingLevel
from hallkit.runtime.bus import BusClient
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.tls import client_context
from hallkit.wire import agent_bus as bus
from hallkit.wire.ratings_api import RatedSubject, RatingRequest
from hallkit.wire.sealed import read_public_key, seal
from launcher.fleet import agent, prepare, running
from launcher.installation import Installation
from tests.integration.affairs_node import DEVICE, HOST, Hall

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 40.0
MACHINE = "terminal-21"
WORDS, PHONE = "让我跑了三趟", "13812345678"


def a_rating() -> RatingRequest:
    return RatingRequest(
        subject=RatedSubject(kind=RatedKind.VISIT, id=new_id()),
        level=RatingLevel.DISSATISFIED,
        words=WORDS,
        channel=RatingChannel.TERMINAL,
        rated_at_ms=SystemClock().wall_ms(),
        contact=PHONE,
    )


def kept_by(database: Path, question: str) -> list[str]:
    with closing(sqlite3.connect(database)) as opened:
        return [row[0] for row in opened.execute(question)]


class Terminal:
    """What an application asks of its agent."""

    def __init__(self, installation: Installation) -> None:
        self.key: X25519PublicKey = read_public_key(installation.pki / MACHINE / "submissions.pub")
        self.bus = BusClient(
            installation.runtime / MACHINE / "agent.sock", on_snapshot=_ignore, on_event=_ignore
        )

    async def rates(self, request: RatingRequest, name: str) -> None:
        await self.bus.connected.wait()
        sealed = seal(request.model_dump_json().encode(), self.key, subject=name)
        give = bus.RatingGive(rating=name, sealed=sealed)
        await self.bus.request(bus.RATING_GIVE, give, bus.RatingKept)


async def _ignore(*_told: object) -> None:
    """Devices do not matter here."""


@asynccontextmanager
async def terminal(installation: Installation) -> AsyncIterator[Terminal]:
    made = Terminal(installation)
    task = asyncio.create_task(made.bus.run(), name="terminal")
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_was_given_without_the_node_stands_there_once(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "hall")
    prepare(installation, CONTENT, [MACHINE])
    port = installation.endpoints["affairs"].port
    journal = installation.state(MACHINE) / "agent.sqlite"
    given = {new_id(): a_rating() for _ in range(3)}
    async with (
        running(installation, "broker", "affairs") as table,
        AffairsClient(
            f"https://127.0.0.1:{port}", client_context(installation.pki / MACHINE)
        ) as client,
        terminal(installation) as machine,
    ):
        await table.start(agent(installation, MACHINE))
        table.kill("affairs", hold=True)
        for name, request in given.items():
            for _ in range(2):
                await machine.rates(request, name)
        table.kill(MACHINE, hold=True)
        content = b"".join(path.read_bytes() for path in journal.parent.glob("agent.sqlite*"))
        for name in given:
            assert name.encode() in content
        for secret in (WORDS, PHONE):
            assert secret.encode() not in content
        await table.release("affairs")
        await table.release(MACHINE)
        await _told(journal)
        assert await _total(client) == len(given)
        # Told again, as by a machine that never heard the answer.
        for name, request in given.items():
            await machine.rates(request, name)
        await _told(journal)
    node = installation.state("affairs") / "affairs.sqlite"
    subjects = sorted(request.subject.id for request in given.values())
    assert sorted(kept_by(node, "select subject_id from ratings")) == subjects
    assert kept_by(node, "select state from call_backs") == ["open"] * len(given)


async def _told(journal: Path) -> None:
    """Until the machine owes the node nothing."""
    async with asyncio.timeout(LIMIT_S):
        while kept_by(journal, "select rating from ratings"):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)


async def _total(client: AffairsClient) -> int:
    return (await RatingsClient(client).summary()).total


class Cut:
    """A wire to the node that can swallow its next answer."""

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self.swallows = False
        self.swallowed = asyncio.Event()
        self.port = 0

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._carry, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            near, far = await asyncio.open_connection(HOST, self.hall.port)
        except OSError:  # the node is down
            writer.close()
            return
        async with asyncio.TaskGroup() as ways:
            ways.create_task(self._there(reader, far))
            ways.create_task(self._back(near, writer))

    async def _there(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        while content := await _next(reader):
            far.write(content)
        far.close()

    async def _back(self, near: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await _next(near):
            if self.swallows:
                self.swallowed.set()
            else:
                writer.write(content)
        writer.close()


async def _next(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(65536)
    except ConnectionError:
        return b""


async def test_killed_between_its_commit_and_its_answer_it_has_it_once(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    wire = Cut(hall)
    key, request = new_id(), a_rating()
    async with wire.laid():
        context = client_context(hall.identity(DEVICE))
        async with AffairsClient(f"https://{HOST}:{wire.port}", context) as client:
            ratings = RatingsClient(client)
            async with hall.running() as process:
                assert (await ratings.summary()).total == 0  # the connection stands
                wire.swallows = True
                rating = asyncio.create_task(ratings.give(request, key, retry_for_s=LIMIT_S))
                await wire.swallowed.wait()
                process.kill()
            wire.swallows = False
            async with hall.running():
                given = await rating
    assert given.again, "it stood before the answer was lost"
    node = hall.state / "affairs.sqlite"
    assert kept_by(node, "select id from ratings") == [given.rating]
    assert kept_by(node, "select rating_id from call_backs") == [given.rating]
