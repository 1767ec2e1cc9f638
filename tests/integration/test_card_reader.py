"""The card reader's process: real processes under a keeper, a simulated reader behind a wire."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.control import order
from drivers.sim.process import simulator
from edge_agent.card_api import SOCKET_NAME as CARD_SOCKET
from hallkit.errors import LinkDown
from hallkit.runtime.bus import BusClient
from hallkit.wire import agent_bus as bus
from launcher.installation import TERMINAL, Installation
from launcher.processes import END_WITH_PARENT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

CARD = {"name": "张三", "number": "11010519491231002X"}
OTHER_CARD = {"name": "李四", "number": "110105194912310038"}
LONG_S = 30.0


class Peer:
    """A client of a local bus; what it hears can be awaited."""

    def __init__(self, path: Path) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.names: list[str] = []
        self.reader_states: list[str] = []
        """Of every report of the card reader that was told as a change."""
        self.watches = False
        self.client = BusClient(path, on_snapshot=self._snapshot, on_event=self._event)
        self._asking: set[asyncio.Task[None]] = set()

    async def _snapshot(self, data: dict[str, Any]) -> None:
        await self._event("snapshot", data)
        if self.watches:  # as the terminal's service does, on every connection
            task = asyncio.create_task(self.watch(on=True))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        self.names.append(name)
        if name == bus.DEVICE_CHANGED and data["device"]["port"] == "id_card_reader":
            self.reader_states.append(data["device"]["status"])
        self.heard.put_nowait((name, data))

    async def watch(self, *, on: bool) -> None:
        self.watches = on
        try:
            await self.client.request(bus.CARD_WATCH, bus.CardWatch(on=on), bus.Empty)
        except LinkDown:
            return  # the next snapshot asks again

    async def hears(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(LONG_S):
            while (heard := await self.heard.get())[0] != name:
                pass
        return heard[1]

    async def hears_reader(self, status: str) -> None:
        """Return when the reader is told to be so, in a snapshot or as a change."""
        async with asyncio.timeout(LONG_S):
            while True:
                name, data = await self.heard.get()
                devices = data["devices"] if name == "snapshot" else [data.get("device", {})]
                said = [(device.get("port"), device.get("status")) for device in devices]
                if ("id_card_reader", status) in said:
                    return


@asynccontextmanager
async def peer(path: Path) -> AsyncIterator[Peer]:
    one = Peer(path)
    running = asyncio.create_task(one.client.run())
    async with asyncio.timeout(LONG_S):
        await one.client.connected.wait()
    try:
        yield one
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Machine:
    """An agent's process over the simulated reader; the hall around it is away."""

    agent: asyncio.subprocess.Process

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._lines: asyncio.Queue[list[str]] = asyncio.Queue()

    async def start(self) -> None:
        """One life of the agent."""
        self.agent = await asyncio.create_subprocess_exec(
            *END_WITH_PARENT,
            *(sys.executable, "-P", "-m", "edge_agent.app"),
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read())

    @property
    def environment(self) -> dict[str, str]:
        files = ("site.toml", f"devices/{TERMINAL}.toml")
        return dict(self._installation.environment(TERMINAL, files=files))

    @property
    def started(self) -> list[int]:
        """The processes that the agent has started and that still run."""
        children = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children")
        return [int(pid) for pid in children.read_text(encoding="ascii").split()]

    async def _read(self) -> None:
        assert self.agent.stdout is not None
        async for line in self.agent.stdout:
            self._lines.put_nowait(line.decode().split())

    async def working(self) -> int:
        """The next process that the keeper lets work, from its line."""
        async with asyncio.timeout(LONG_S):
            while (words := await self._lines.get())[:2] != ["card-reader:", "working"]:
                pass
        return int(words[-1])

    async def says(self, *words: str) -> None:
        async with asyncio.timeout(LONG_S):
            while (await self._lines.get())[: len(words)] != list(words):
                pass

    async def reader(self, do: str, **arguments: Any) -> None:
        await order(self._installation.runtime / "reader.sock", do, **arguments)

    @property
    def runtime(self) -> Path:
        return self._installation.runtime

    def cards(self) -> AbstractAsyncContextManager[Peer]:
        return peer(self.runtime / CARD_SOCKET)

    def applications(self) -> AbstractAsyncContextManager[Peer]:
        return peer(self.runtime / "agent.sock")

    async def end(self) -> None:
        if self.agent.returncode is None:
            self.agent.terminate()
        async with asyncio.timeout(LONG_S):
            await self.agent.wait()
            await self._reading


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    installation = Installation(tmp_path)
    installation.prepare(move_ports=True)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            simulator(
                "drivers.sim.sdt",
                *("--link", installation.runtime / "id-card-reader.tty"),
                *("--control", installation.runtime / "reader.sock"),
            )
        )
        one = Machine(installation)
        await one.start()
        try:
            yield one
        finally:
            await one.end()


def ends(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([handle], [], [], LONG_S)[0], f"{pid} runs on"
    finally:
        os.close(handle)


async def test_a_card_is_told_to_the_watcher_and_its_process_ends_with_the_visit(
    machine: Machine,
) -> None:
    async with machine.applications() as application:
        first = await machine.working()
        await machine.says("card-reader:", "ready")
        await application.hears_reader("online")
        async with machine.cards() as curious:
            async with machine.cards() as kiosk:
                await kiosk.watch(on=True)
                await machine.reader("card.lay", card=CARD)
                read = await kiosk.hears(bus.CARD_READ)
                assert read["card"]["number"] == CARD["number"]
                await machine.reader("card.lift")
                await kiosk.hears(bus.CARD_REMOVED)
            second = await machine.working()
            assert second != first
            await asyncio.to_thread(ends, first)
            assert not [name for name in curious.names if name.startswith("card.")]
        await machine.says("card-reader:", "ready")
        async with machine.cards() as next_kiosk:
            await next_kiosk.watch(on=True)
            await machine.reader("card.lay", card=OTHER_CARD)
            read = await next_kiosk.hears(bus.CARD_READ)
            assert read["card"]["number"] == OTHER_CARD["number"]
        assert await machine.working() not in (first, second)
        await machine.reader("unplug")
        await application.hears_reader("noDevice")
    assert not [name for name in application.names if name.startswith("card.")]


async def test_a_visit_without_a_card_leaves_the_process_at_work(machine: Machine) -> None:
    first = await machine.working()
    await machine.says("card-reader:", "ready")
    async with machine.cards() as kiosk:
        await kiosk.watch(on=True)
        await kiosk.hears(bus.CARD_REMOVED)  # where things stand
    async with machine.cards() as kiosk:
        await kiosk.watch(on=True)
        await machine.reader("card.lay", card=CARD)
        await kiosk.hears(bus.CARD_READ)
        os.kill(first, 0)  # still the one that was there before
    assert await machine.working() != first


async def test_kill_9_is_healed_under_the_watcher_and_is_no_news_of_the_reader(
    machine: Machine,
) -> None:
    async with machine.applications() as application, AsyncExitStack() as visit:
        first = await machine.working()
        await machine.says("card-reader:", "ready")
        await application.hears_reader("online")
        kiosk: Peer = await visit.enter_async_context(machine.cards())
        await kiosk.watch(on=True)
        await kiosk.hears(bus.CARD_REMOVED)
        os.kill(first, signal.SIGKILL)
        assert await machine.working() != first
        await kiosk.hears(bus.CARD_REMOVED)  # it watches again
        await machine.reader("card.lay", card=CARD)
        read = await kiosk.hears(bus.CARD_READ)
        assert read["card"]["number"] == CARD["number"]
        # It changed while a card came and went; it never was away.
        assert set(application.reader_states) <= {"online"}


async def test_unplugging_is_told_by_the_agent_and_plugging_too(machine: Machine) -> None:
    async with machine.applications() as application:
        await application.hears_reader("online")
        await machine.reader("unplug")
        await application.hears_reader("noDevice")
        await machine.reader("plug")
        await application.hears_reader("online")


async def test_one_that_stands_still_is_replaced_in_a_moment_and_is_no_news_of_the_reader(
    machine: Machine,
) -> None:
    async with machine.applications() as application, machine.cards() as kiosk:
        first = await machine.working()
        await machine.says("card-reader:", "ready")
        await application.hears_reader("online")
        await kiosk.watch(on=True)
        await kiosk.hears(bus.CARD_REMOVED)
        began = time.monotonic()
        os.kill(first, signal.SIGSTOP)
        assert await machine.working() != first
        assert time.monotonic() - began < 5.0  # found after 2.5 s, on a busy machine a bit later
        await kiosk.hears(bus.CARD_REMOVED)  # it watches again
        await machine.reader("card.lay", card=CARD)
        read = await kiosk.hears(bus.CARD_READ)
        assert read["card"]["number"] == CARD["number"]
        assert set(application.reader_states) <= {"online"}


async def test_an_unreadable_card_leaves_the_process_to_the_citizen_who_tries_again(
    machine: Machine,
) -> None:
    first = await machine.working()
    await machine.says("card-reader:", "ready")
    async with machine.cards() as kiosk:
        await kiosk.watch(on=True)
        await machine.reader("fault.set", fault="read_fail", on="read")
        await machine.reader("card.lay", card=CARD)
        await kiosk.hears(bus.CARD_UNREADABLE)
        await kiosk.watch(on=False)  # goes back, and comes again
        await kiosk.watch(on=True)
        await machine.reader("card.lift")
        await machine.reader("card.lay", card=CARD)
        await kiosk.hears(bus.CARD_READ)
        os.kill(first, 0)  # still the one that was there before
    assert await machine.working() != first


async def test_both_processes_end_when_the_agent_is_killed(machine: Machine) -> None:
    working = await machine.working()
    await machine.says("card-reader:", "ready")
    started = machine.started
    assert working in started
    machine.agent.kill()
    for pid in started:
        await asyncio.to_thread(ends, pid)


async def test_one_that_stands_still_does_not_hold_the_reader_when_the_agent_is_killed(
    machine: Machine,
) -> None:
    first = await machine.working()
    await machine.says("card-reader:", "ready")
    os.kill(first, signal.SIGSTOP)
    machine.agent.kill()
    await machine.agent.wait()
    await machine.start()
    await asyncio.to_thread(ends, first)
    assert await machine.working() != first
    await machine.says("card-reader:", "ready")
    async with machine.cards() as kiosk:
        await kiosk.watch(on=True)
        await machine.reader("card.lay", card=CARD)
        await kiosk.hears(bus.CARD_READ)
    await machine.end()


async def test_two_never_speak_to_the_reader_at_once(machine: Machine) -> None:
    first = await machine.working()
    await machine.says("card-reader:", "ready")
    second = await asyncio.create_subprocess_exec(
        *END_WITH_PARENT,
        *(sys.executable, "-P", "-m", "edge_agent.card_reader"),
        env=machine.environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert second.stdout is not None
        assert second.stderr is not None
        async with asyncio.timeout(LONG_S):
            while b"lock.held_by_another" not in await second.stderr.readline():
                pass
            async with machine.cards() as kiosk:  # the first one serves on
                await kiosk.watch(on=True)
                await machine.reader("card.lay", card=CARD)
                await kiosk.hears(bus.CARD_READ)
                os.kill(first, 0)
                machine.agent.kill()
            await asyncio.to_thread(ends, first)
            assert await second.stdout.readline() == b"ready\n"
    finally:
        second.terminate()
        await second.communicate()
