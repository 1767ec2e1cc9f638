"""A publication reaches every machine: node, broker, centre and agents as real processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from launcher.centre import LOOK_S, ConsoleClient, console_client
from launcher.fleet import agent, prepare, running
from launcher.installation import Installation
from launcher.processes import ProcessTable
from tests.integration.affairs_node import CONTENT_FILE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LIMIT_S = 60.0
THERE, AWAY, STRANGER = "announced-01", "announced-02", "announced-03"
CONTENT = CONTENT_FILE.replace('"1楼D区"', '"1楼D区 5-8号窗口"')
"""At the windows where the hall's map has this queue."""
STEP, OTHER_STEP = "窗口受理", "窗口当场受理"


@dataclass(frozen=True, slots=True)
class Running:
    """What runs, and where the node's content lies."""

    installation: Installation
    table: ProcessTable
    console: ConsoleClient
    content: Path

    async def start(self, name: str) -> None:
        await self.table.start(agent(self.installation, name))

    async def offered(self) -> str:
        version: str = (await self.console.state())["catalogue_version"]
        return version

    async def publish(self) -> str:
        """Change the content and tell the node; the version that the centre then wants."""
        before = await self.offered()
        (self.content / "items.toml").write_text(CONTENT.replace(STEP, OTHER_STEP), "utf-8")
        process = self.table["affairs"].process
        assert process is not None
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(LIMIT_S):
            while (now := await self.offered()) == before:  # noqa: ASYNC110  # a page
                await asyncio.sleep(LOOK_S)
        return now

    async def shown(self, name: str, **wanted: str) -> dict[str, Any]:
        """Wait until the centre shows this of a machine's catalogue."""
        last: dict[str, Any] = {}
        try:
            async with asyncio.timeout(LIMIT_S):
                while True:
                    last = (await self.console.machine(name)).get("catalogue") or {}
                    if wanted.items() <= last.items():
                        return last
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"{name}: {last} instead of {wanted}") from None


@asynccontextmanager
async def hall(folder: Path) -> AsyncIterator[Running]:
    content = folder / "content"
    content.mkdir()
    (content / "items.toml").write_text(CONTENT, "utf-8")
    installation = Installation(folder / "hall")
    prepare(installation, content, [THERE, AWAY, STRANGER])
    async with (
        running(installation, "broker", "affairs", "ops") as table,
        console_client(installation) as console,
    ):
        yield Running(installation, table, console, content)


async def test_a_publication_reaches_who_is_there_and_who_comes_back(tmp_path: Path) -> None:
    async with hall(tmp_path) as it:
        for name in (THERE, AWAY):
            await it.start(name)
            await it.shown(name, tone="done", words="console.catalogue_newest", fault="")
        first = (await it.shown(THERE))["version"]
        assert first == await it.offered()
        it.table.kill(AWAY, hold=True)
        second = await it.publish()
        assert second != first
        await it.shown(THERE, version=second, tone="done")
        await it.shown(AWAY, version=first, words="console.catalogue_behind")
        await it.table.release(AWAY)
        await it.shown(AWAY, version=second, tone="done", fault="")


async def test_who_refuses_it_is_shown_with_the_reason(tmp_path: Path) -> None:
    async with hall(tmp_path) as it:
        await it.start(STRANGER)
        first = (await it.shown(STRANGER, tone="done"))["version"]
        it.table.kill(STRANGER, hold=True)
        key = Ed25519PrivateKey.generate().public_key()
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        trusted = it.installation.pki / STRANGER / "catalogue.pub"
        hall_key = trusted.read_bytes()
        trusted.write_bytes(pem)
        second = await it.publish()
        await it.table.release(STRANGER)
        refused = await it.shown(STRANGER, words="console.catalogue_refused", fault="trust")
        assert refused["tone"] == "attention"
        assert refused["version"] == ""
        assert first != second
        trusted.write_bytes(hall_key)
        await it.shown(STRANGER, version=second, tone="done", fault="")
