"""Real processes on wrong files: the edge works on what was good, the centre refuses."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from launcher.installation import TERMINAL, Installation
from launcher.processes import END_WITH_PARENT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

LONG_S = 30.0
EXIT_CONFIG = 78
FILES = ("site.toml", f"devices/{TERMINAL}.toml")


class Site:
    """A terminal's and a centre's files, and processes that read them."""

    def __init__(self, folder: Path) -> None:
        self.installation = Installation(folder)
        self.installation.prepare(move_ports=True)
        self.device_file = self.installation.config / FILES[1]
        self.right = self.device_file.read_text(encoding="utf-8")

    def spoil(self) -> None:
        """Two mistakes of the terminal's service, one of a peripheral."""
        wrong = self.right.replace("popular =", "popularr =").replace('"sdt"', '"sdd"')
        self.device_file.write_text(wrong + "\n[broker]\nprot = 1\n", encoding="utf-8")

    def mend(self) -> None:
        self.device_file.write_text(self.right, encoding="utf-8")

    @property
    def events(self) -> list[dict[str, object]]:
        """What the agent has kept for the operations centre about the files."""
        path = self.installation.state(TERMINAL) / "agent.sqlite"
        with sqlite3.connect(path) as db:
            rows = db.execute("SELECT event FROM outbox ORDER BY ordinal").fetchall()
        db.close()
        told = [json.loads(row[0]) for row in rows if row[0]]
        return [one["data"] for one in told if one["type"] == "machine.configuration.v1"]

    def log(self, process: str) -> list[dict[str, object]]:
        text = (self.installation.logs / f"{process}.log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    @asynccontextmanager
    async def process(
        self, name: str, *, identity: str = TERMINAL, files: Sequence[str] = FILES
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        with (self.installation.logs / f"{name}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *END_WITH_PARENT,
                *(sys.executable, "-P", "-m", name),
                env=dict(self.installation.environment(identity, files=tuple(files))),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
            try:
                yield process
            finally:
                if process.returncode is None:
                    process.terminate()
                async with asyncio.timeout(LONG_S):
                    await process.communicate()


async def says(process: asyncio.subprocess.Process, word: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(LONG_S):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(word):
                return line
    raise AssertionError(f"it ended without {word!r}")


async def ends_with(process: asyncio.subprocess.Process) -> int:
    async with asyncio.timeout(LONG_S):
        await process.communicate()
    assert process.returncode is not None
    return process.returncode


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def test_the_agent_works_on_what_was_good_and_tells_what_is_wrong(site: Site) -> None:
    async with site.process("edge_agent.app") as agent:
        await says(agent, "ready")
    assert site.events == []

    site.spoil()
    async with site.process("edge_agent.app") as agent:
        # The card reader's own process has the configuration of the agent, not of the files.
        await says(agent, "card-reader: working")
        async with asyncio.timeout(LONG_S):
            while not site.events:  # noqa: ASYNC110  # another process's file has no event
                await asyncio.sleep(0.05)
    [told] = site.events
    assert (told["process"], told["works"], told["total"]) == ("edge_agent", True, 2)
    mistakes = "\n".join(told["mistakes"])  # type: ignore[call-overload]
    assert "peripherals[0].driver: unknown driver 'sdd' (did you mean 'sdt'?)" in mistakes
    assert "broker.prot: unknown key (did you mean 'port'?)" in mistakes
    [logged] = [
        one for one in site.log("edge_agent.app") if one["event"] == "config.last_known_good"
    ]
    assert logged["mistakes"] == told["mistakes"]

    site.mend()
    async with site.process("edge_agent.app") as agent:
        await says(agent, "ready")
        async with asyncio.timeout(LONG_S):
            while len(site.events) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    assert site.events[1] == {
        "process": "edge_agent",
        "works": True,
        "total": 0,
        "mistakes": [],
    }


async def test_the_service_goes_on_and_the_agent_tells_of_it(site: Site) -> None:
    async with site.process("kiosk.app") as service:
        await says(service, "ready")
    wrong = site.right.replace("popular =", "popularr =")
    site.device_file.write_text(wrong, encoding="utf-8")
    async with site.process("kiosk.app") as service:
        await says(service, "ready")
        async with site.process("edge_agent.app") as agent:
            await says(agent, "ready")
            async with asyncio.timeout(LONG_S):
                while not site.events:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
    [told] = site.events
    assert (told["process"], told["total"]) == ("kiosk", 1)


async def test_nothing_good_known_or_a_central_process_refuses_with_the_list(site: Site) -> None:
    site.spoil()
    other = site.installation.config / "devices" / "terminal-02.toml"
    other.write_text("[device]\nid = 7\n", encoding="utf-8")
    async with site.process("edge_agent.app") as agent:
        assert await ends_with(agent) == EXIT_CONFIG
    for name, identity in (("affairs.app", "affairs"), ("ops.app", "ops")):
        async with site.process(name, identity=identity, files=FILES[:1]) as process:
            assert await ends_with(process) == EXIT_CONFIG
        text = (site.installation.logs / f"{name}.log").read_text(encoding="utf-8")
        assert "terminal-02.toml:2: device.id: Input should be a valid string" in text
        assert "terminal-02.toml:1: device.name: is missing" in text
