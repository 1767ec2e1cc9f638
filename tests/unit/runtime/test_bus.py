"""The local bus keeps its clients right through loss, nonsense and haste."""

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hallkit.errors import DeviceUnavailable, LinkDown, NotPermitted, Reason, Rejected
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


async def forbidden(args: Mapping[str, Any], connection: Connection) -> Message:
    raise NotPermitted("not yours")


def server(path: Path, *, for_group: bool = False) -> BusServer:
    return BusServer(
        "test",
        path,
        handlers={"double": double, "print": broken_device, "forbidden": forbidden},
        snapshot=lambda: Number(value=7),
        for_group=for_group,
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


@pytest.mark.parametrize("unread", [False, True])
async def test_what_a_client_that_is_gone_asked_for_runs_to_its_end(
    socket_path: Path, unread: bool
) -> None:
    """The kernel resets a connection that is closed with something left to read."""
    begun, goes_on = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def slow(args: Mapping[str, Any], connection: Connection) -> Message:
        begun.set()
        try:
            await goes_on.wait()
        except asyncio.CancelledError:
            ended.append("cut off")
            raise
        ended.append("whole")
        return Number(value=1)

    loop = asyncio.get_running_loop()
    bus = BusServer("t", socket_path, handlers={"slow": slow}, snapshot=lambda: Number(value=7))
    async with bus, asyncio.timeout(5):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.setblocking(False)
            await loop.sock_connect(peer, str(socket_path))
            if not unread:
                said = b""
                while said.count(b"\n") < 2:
                    said += await loop.sock_recv(peer, LINE_LIMIT)
            line = b'{"v":1,"kind":"request","id":"1","name":"slow","args":{}}\n'
            await loop.sock_sendall(peer, line)
            await begun.wait()
        for _ in range(10):  # the server has read the end by then
            await asyncio.sleep(0)
        goes_on.set()
        while bus.connections:  # noqa: ASYNC110  # a real bus's pace
            await asyncio.sleep(0)
    assert ended == ["whole"]


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


# ── Who may connect ──────────────────────────────────────────────────────────────────────────

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """This process as another user: what the kernel notes when it connects."""
    mine, my_group, my_groups = os.geteuid(), os.getegid(), os.getgroups()
    os.setgroups([])
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(mine)
        os.setegid(my_group)
        os.setgroups(my_groups)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that other users reach: pytest's own are for one user alone."""
    with tempfile.TemporaryDirectory(prefix="b") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "t.sock"


@pytest.mark.parametrize(("for_group", "mode"), [(False, 0o600), (True, 0o660)])
async def test_a_socket_is_its_users_alone_unless_it_is_for_the_group(
    socket_path: Path, *, for_group: bool, mode: int
) -> None:
    async with server(socket_path, for_group=for_group):
        assert socket_path.stat().st_mode & 0o777 == mode


@needs_root
async def test_another_user_of_the_group_is_kept_out_by_the_mode(open_folder: Path) -> None:
    async with server(open_folder):
        with (
            socket.socket(socket.AF_UNIX) as stranger,
            acting_as(NOBODY, os.getegid()),
            pytest.raises(PermissionError),
        ):
            stranger.connect(str(open_folder))
    async with server(open_folder, for_group=True):
        with acting_as(NOBODY, os.getegid()), socket.socket(socket.AF_UNIX) as neighbour:
            neighbour.connect(str(open_folder))


@needs_root
async def test_another_user_who_got_in_is_shown_nothing_and_counted(open_folder: Path) -> None:
    async with server(open_folder) as bus:
        open_folder.chmod(0o666)  # as between binding and the mode
        with capture_logs() as logs:
            for _ in range(2):
                with acting_as(NOBODY, NOBODY):
                    stranger = socket.socket(socket.AF_UNIX)
                    stranger.connect(str(open_folder))
                reader, writer = await asyncio.open_unix_connection(sock=stranger)
                assert await reader.read() == b""
                writer.close()
        assert bus.refused == 2
        assert bus.connections == 0
        assert [(line["event"], line["uid"]) for line in logs] == [("bus.stranger", NOBODY)]


async def test_what_is_not_permitted_has_a_name_and_is_counted(socket_path: Path) -> None:
    listener = Listener()
    client = BusClient(socket_path, on_snapshot=listener.snapshot, on_event=listener.event)
    async with server(socket_path) as bus, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        await client.connected.wait()
        for _ in range(REFUSALS_LIMIT):
            with pytest.raises(Rejected) as fault:
                await client.request("forbidden", Number(value=1), Number)
            assert fault.value.problem_code == "not_permitted"
        assert bus.refused == REFUSALS_LIMIT
        while client.connected.is_set():  # noqa: ASYNC110  # it is cut off
            await asyncio.sleep(0)
        running.cancel()
