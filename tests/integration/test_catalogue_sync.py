"""A machine's catalogue from the real node over mutual TLS: by delta, and always whole."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge_agent.content import CatalogueSync
from hallkit.catalogue import sign
from hallkit.catalogue.installed import FOLDER, installed, open_installed
from hallkit.errors import StoreError, TrustError
from hallkit.runtime.clock import SystemClock
from tests.integration.affairs_node import CONTENT_FILE, Hall

pytestmark = pytest.mark.integration

POINTS = 25
"""Instants at which a machine is killed; the seed is fixed."""

STEPS = ("窗口受理", "窗口当场受理", "窗口当场办好")


class Machine:
    """A machine's folder, and what keeps its catalogue."""

    def __init__(self, hall: Hall, folder: Path) -> None:
        self.state = folder
        self.key = folder / "catalogue.pub"
        public = hall.signing_key.public_key()
        self.key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self._hall = hall

    async def sync(self) -> bool:
        async with self._hall.client() as affairs:
            sync = CatalogueSync(affairs, SystemClock(), state=self.state, key=self.key)
            return await sync.once()

    def sync_in_a_child(self) -> int:
        """Sync in a process of its own; its id."""
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(self.sync())
            finally:
                os._exit(0)
        return child

    def first_step(self) -> str:
        catalogue = open_installed(self.state, [self._hall.signing_key.public_key()])
        assert catalogue is not None
        with catalogue:
            return catalogue.items()[0].steps[0]


@pytest.fixture
def hall(tmp_path: Path) -> Hall:
    folder = tmp_path / "hall"
    folder.mkdir()
    return Hall(folder)


@pytest.fixture
def machine(hall: Hall, tmp_path: Path) -> Machine:
    folder = tmp_path / "machine"
    folder.mkdir()
    return Machine(hall, folder)


def offer(hall: Hall, step: str) -> None:
    hall.write("content/items.toml", CONTENT_FILE.replace(STEPS[0], step))


async def changed(hall: Hall, process: asyncio.subprocess.Process, step: str) -> None:
    """Change the content while the node runs, and wait until it offers it."""
    async with hall.client() as affairs:
        before = await affairs.manifest()
        offer(hall, step)
        process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while (await affairs.manifest()).sha256 == before.sha256:  # noqa: ASYNC110  # asked
                await asyncio.sleep(0.02)


async def test_a_change_reaches_the_machine_as_a_delta(hall: Hall, machine: Machine) -> None:
    async with hall.running() as process:
        assert await machine.sync()
        assert not await machine.sync()
        await changed(hall, process, STEPS[1])
        assert await machine.sync()
    assert machine.first_step() == STEPS[1]
    have = installed(machine.state)
    assert have is not None
    assert len(have[1].deltas) == 1
    assert have[1].deltas[0].size < have[1].size / 10
    assert not list((machine.state / FOLDER).glob("download*"))


async def test_wrong_content_changes_nothing(hall: Hall, machine: Machine) -> None:
    async with hall.running() as process, hall.client() as affairs:
        await machine.sync()
        before = await affairs.manifest()
        hall.write("content/items.toml", CONTENT_FILE.replace("service =", "servcie ="))
        process.send_signal(signal.SIGHUP)
        log = hall.folder / "node.log"
        async with asyncio.timeout(20):
            while "catalogue.refused" not in log.read_text("utf-8"):  # noqa: ASYNC110  # a file
                await asyncio.sleep(0.02)
        assert await affairs.manifest() == before
    [line] = [one for one in log.read_text("utf-8").splitlines() if "catalogue.refused" in one]
    assert any("did you mean" in mistake for mistake in json.loads(line)["mistakes"])


async def test_a_broken_file_is_fetched_again(hall: Hall, machine: Machine) -> None:
    async with hall.running() as process:
        await machine.sync()
        have = installed(machine.state)
        assert have is not None
        have[0].write_bytes(b"broken")
        await changed(hall, process, STEPS[1])
        assert await machine.sync()  # the delta does not fit: whole
    assert machine.first_step() == STEPS[1]


async def test_a_broken_file_is_mended_though_nothing_new_is_offered(
    hall: Hall, machine: Machine
) -> None:
    async with hall.running():
        await machine.sync()
        have = installed(machine.state)
        assert have is not None
        content = have[0].read_bytes()
        have[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert await machine.sync()
    assert have[0].read_bytes() == content


async def test_a_disk_that_refuses_is_a_named_fault(
    hall: Hall, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with hall.running():
        monkeypatch.setattr("edge_agent.content.install", full)
        with pytest.raises(StoreError, match="No space left"):
            await machine.sync()
    assert installed(machine.state) is None
    assert not list((machine.state / FOLDER).iterdir())


async def test_an_older_catalogue_is_refused(hall: Hall, machine: Machine) -> None:
    async with hall.running():
        await machine.sync()
    have = installed(machine.state)
    assert have is not None
    offered = hall.state / "catalogue" / "manifest.json"
    offered.unlink()
    offer(hall, STEPS[1])
    newer = sign(have[0], hall.signing_key, sequence=have[1].sequence + 10**6)
    (machine.state / FOLDER / "manifest.json").write_bytes(newer.to_bytes())
    async with hall.running():
        with pytest.raises(TrustError, match="older than ours"):
            await machine.sync()


async def test_killed_at_any_instant_a_machine_has_a_whole_catalogue(
    hall: Hall, machine: Machine
) -> None:
    chance = random.Random(20261124)  # noqa: S311  # to be repeated
    steps = set(STEPS)
    async with hall.running() as process:
        await machine.sync()
        began_s = time.monotonic()
        await changed(hall, process, STEPS[1])
        await asyncio.to_thread(os.waitpid, machine.sync_in_a_child(), 0)
        whole_s = time.monotonic() - began_s
        assert machine.first_step() == STEPS[1]
        for point in range(POINTS):
            await changed(hall, process, STEPS[2 - point % 2])
            child = machine.sync_in_a_child()
            await asyncio.sleep(chance.uniform(0, whole_s))  # the instant is what is tried
            os.kill(child, signal.SIGKILL)
            await asyncio.to_thread(os.waitpid, child, 0)
            assert machine.first_step() in steps, f"killed at point {point}"
        await machine.sync()
    assert machine.first_step() == STEPS[2 - (POINTS - 1) % 2]
