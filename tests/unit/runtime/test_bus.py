"""The local bus keeps its clients right through loss, nonsense and haste."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hallkit.errors import DeviceUnavailable, LinkDown, Reason, Rejected
from hallkit.runtime.bus import BusClient, BusServer, Connection
from hallkit.wire.base import Message
from hallkit.wire.bus import LINE_LIMIT, REFUSALS_LIMIT


class Number(Message):
    value: int


async def double(args: Mapping[str, Any], connection: Connection) -> Message:
    return Number(value=2 * Number.model_validate(args).value)


async def broken_device(args: Mapping[str, Any], connection: Connection) -> Message:
    raise DeviceUnavailable("ticket-printer", Reason.PORT_GONE)


class Listener:
    """Collects what a client hears; each list element can be awaited."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    async def snapshot(self, data: dict[str, Any]) -> None:
        await self.heard.put(("snapshot", data))

    async def event(self, name: str, data: dict[str, Any]) -> None:
        await self.heard.put((name, data))

    async def lost(self) -> None:
        await self.heard.put(("lost", {}))


@pytest.fixture
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("b") / "t.sock"


def server(path: Path) -> BusServer:
    return BusServer(
        "test",
        path,
        handlers={"double": double, "print": broken_device},
        snapshot=lambda: Number(value=7),
    )


async def test_a_client_gets_a_snapshot_then_events_and_replies(socket_path: Path) -> None:
    listener = Listener()
    client = BusClient(socket_path, on_snapshot=listener.snapshot, on_event=listener.event)
    async with server(socket_path) as bus, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        assert await listener.heard.get() == ("snapshot", {"value": 7})
        assert await client.request("double", Number(value=21), Number) == Number(value=42)
        bus.publish("changed", Number(value=8))
        assert await listener.heard.get() == ("changed", {"value": 8})
        running.cancel()


async def test_a_fault_crosses_the_bus_with_its_code_and_reason(socket_path: Path) -> None:
    listener = Listener()
    client = BusClient(socket_path, on_snapshot=listener.snapshot, on_event=listener.event)
    async with server(socket_path), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        await client.connected.wait()
        with pytest.raises(Rejected) as fault:
            await client.request("print", Number(value=1), Number)
        assert (fault.value.problem_code, fault.value.detail) == ("device.unavailable", "port_gone")
        running.cancel()


async def test_a_client_comes_back_after_the_server_did(socket_path: Path) -> None:
    listener = Listener()
    client = BusClient(
        socket_path,
        on_snapshot=listener.snapshot,
        on_event=listener.event,
        on_lost=listener.lost,
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        async with server(socket_path):
            assert (await listener.heard.get())[0] == "snapshot"
        assert (await listener.heard.get())[0] == "lost"
        with pytest.raises(LinkDown):
            await client.request("double", Number(value=1), Number)
        async with server(socket_path):
            assert (await listener.heard.get())[0] == "snapshot"
            assert (await client.request("double", Number(value=4), Number)).value == 8
            running.cancel()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"\xff\xfe\n", "malformed"),
        (b"{}\n", "malformed"),
        (b'{"kind":"request","id":"1","name":"no.such"}\n', "unknown"),
        (b'{"kind":"request","id":"1","name":"../etc"}\n', "malformed"),
        (b"x" * (LINE_LIMIT + 2) + b"\n", "oversized"),
    ],
)
async def test_nonsense_is_refused_and_counted(socket_path: Path, line: bytes, what: str) -> None:
    async with server(socket_path) as bus:
        reader, writer = await asyncio.open_unix_connection(socket_path)
        writer.write(line)
        kinds = []
        while (answer := json.loads(await reader.readline()))["kind"] != "refused":
            kinds.append(answer["kind"])
        assert answer["what"] == what
        assert kinds[:2] == ["hello", "snapshot"]
        assert bus.refused == 1
        writer.close()


async def test_a_client_that_never_learns_is_disconnected_and_others_are_served(
    socket_path: Path,
) -> None:
    async with server(socket_path) as bus:
        reader, writer = await asyncio.open_unix_connection(socket_path)
        writer.write(b"nonsense\n" * (REFUSALS_LIMIT + 5))
        assert len((await reader.read()).splitlines()) == 2 + REFUSALS_LIMIT
        writer.close()
        assert bus.refused == REFUSALS_LIMIT
        listener = Listener()
        client = BusClient(socket_path, on_snapshot=listener.snapshot, on_event=listener.event)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(client.run())
            await client.connected.wait()
            assert (await client.request("double", Number(value=1), Number)).value == 2
            running.cancel()


async def test_only_its_group_may_open_the_socket(socket_path: Path) -> None:
    async with server(socket_path):
        assert socket_path.stat().st_mode & 0o777 == 0o660
