"""The local bus in asyncio: server and client. The wire is `hallkit/wire/bus.py`.

A socket belongs to the processes of its own user (decision 0010): its mode keeps others out, and
SO_PEERCRED says the same of whoever got in. Limits keep a broken client from hurting the rest:
line length, requests per second, a bounded queue of what it has not read.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    HallError,
    LinkDown,
    NotPermitted,
    Occupied,
    Rejected,
    WireError,
)
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.log import get_logger
from hallkit.wire import bus as wire
from hallkit.wire.base import Message

UNREAD_LIMIT_BYTES = 4 * 1024 * 1024
"""A client that does not read this much is cut off; it starts again from a snapshot."""

REQUEST_TIMEOUT_S = 10.0

ROOT_UID = 0
_PEER_CREDENTIALS = struct.Struct("=iII")
"""`struct ucred` of unix(7): process, user, group."""

Out = TypeVar("Out", bound=Message)


@dataclass(eq=False, slots=True)
class Connection:
    """One client as the server sees it."""

    _writer: asyncio.StreamWriter
    refusals: int = 0
    _window: float = 0.0
    _in_window: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, message: Message) -> None:
        """Queue a line; a client that reads too slowly is disconnected."""
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > UNREAD_LIMIT_BYTES:
            self._writer.transport.abort()
            return
        self._writer.write(wire.encode_line(message))

    def cut_off(self) -> None:
        """Close the connection; what was queued is still written."""
        self._writer.close()

    def over_rate(self) -> bool:
        """Count a request; True if this second's allowance is used up."""
        now = time.monotonic()
        if now - self._window >= 1.0:
            self._window, self._in_window = now, 0
        self._in_window += 1
        return self._in_window > wire.REQUESTS_PER_SECOND


Handler = Callable[[Mapping[str, Any], Connection], Awaitable[Message]]
"""Serves one request name: arguments and the asking connection → the result."""


class BusServer:
    """Serves a Unix socket. `snapshot` gives all state that events change."""

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        handlers: Mapping[str, Handler],
        snapshot: Callable[[], Message],
        for_group: bool = False,
    ) -> None:
        """`for_group`: other users of the folder's group may connect, too."""
        self._name = name
        self._path = path
        self._handlers = handlers
        self._snapshot = snapshot
        self._for_group = for_group
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._seq = 0
        self._server: asyncio.Server | None = None
        self._log = get_logger().bind(bus=name)
        self._strangers: set[int] = set()
        """Users who tried and may not; each is logged once."""
        self.refused = 0
        """Refused since the start: lines that are oversized, malformed, unknown or too many,
        requests that are not permitted, connections of strangers."""

    async def __aenter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(
            self._serve, self._path, limit=wire.LINE_LIMIT
        )
        self._path.chmod(0o660 if self._for_group else 0o600)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._path.unlink(missing_ok=True)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def publish(self, name: str, data: Message, *, only: Connection | None = None) -> None:
        """Tell every client, or only one of them."""
        self._seq += 1
        event = wire.Event(seq=self._seq, name=name, data=data.model_dump(mode="json"))
        for connection in [only] if only is not None else list(self._connections):
            connection.send(event)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._for_group and not self._is_own_user(writer):
            writer.close()
            return
        connection = Connection(writer)
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        self._connections.add(connection)
        connection.send(wire.Hello(server=self._name))
        connection.send(wire.Snapshot(seq=self._seq, data=self._snapshot().model_dump(mode="json")))
        try:
            # Leaving the group waits: a request of a client that is gone still runs to its end.
            async with asyncio.TaskGroup() as requests:
                await self._read_lines(reader, connection, requests)
        except* (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(connection)
            connection.closed.set()
            writer.close()
            if task is not None:
                self._tasks.discard(task)

    def _is_own_user(self, writer: asyncio.StreamWriter) -> bool:
        uid = _peer_uid(writer)
        if uid in (os.geteuid(), ROOT_UID):
            return True
        self.refused += 1
        if uid not in self._strangers:
            self._strangers.add(uid)
            self._log.warning("bus.stranger", uid=uid)
        return False

    async def _read_lines(
        self,
        reader: asyncio.StreamReader,
        connection: Connection,
        requests: asyncio.TaskGroup,
    ) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break  # gone, also one that left answers unread: its requests run to their end
            except asyncio.LimitOverrunError:
                self._refuse(connection, WireError("oversized"))
                break  # the rest of the line cannot be told from a new one
            try:
                request = self._admit(line, connection)
            except WireError as fault:
                self._refuse(connection, fault)
                if connection.refusals >= wire.REFUSALS_LIMIT:
                    break
                continue
            requests.create_task(self._answer(request, connection), name=request.name)

    def _admit(self, line: bytes, connection: Connection) -> wire.Request:
        request = wire.decode_request(line)
        if connection.over_rate():
            raise WireError("too_many", "requests this second")
        if request.name not in self._handlers:
            connection.send(_failed(request, WireError("unknown", request.name)))
            raise WireError("unknown", "request")
        return request

    def _refuse(self, connection: Connection, fault: WireError) -> None:
        connection.send(wire.Refused(what=fault.what))
        self._count(connection, fault.what)

    def _count(self, connection: Connection, what: str) -> None:
        self.refused += 1
        connection.refusals += 1
        if connection.refusals == 1:
            self._log.warning("bus.refused", what=what)

    async def _answer(self, request: wire.Request, connection: Connection) -> None:
        try:
            result = await self._handlers[request.name](request.args, connection)
        except NotPermitted as fault:
            connection.send(_failed(request, fault))
            self._count(connection, str(fault))
            if connection.refusals >= wire.REFUSALS_LIMIT:
                connection.cut_off()
        except HallError as fault:
            connection.send(_failed(request, fault))
        except Exception as fault:  # noqa: BLE001  # boundary: one request must not end the server
            self._log.exception("bus.request_crashed", request=request.name)
            connection.send(_failed(request, fault))
        else:
            connection.send(wire.Reply(id=request.id, result=result.model_dump(mode="json")))


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    """The user at the other end, as the kernel noted it when the connection was made."""
    end: socket.socket = writer.get_extra_info("socket")
    raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    _process, uid, _group = _PEER_CREDENTIALS.unpack(raw)
    return int(uid)


def _failed(request: wire.Request, fault: Exception) -> wire.Reply:
    failure = wire.Failure(
        code=fault.code if isinstance(fault, HallError) else "internal",
        reason=str(fault.reason) if isinstance(fault, DeviceError) else "",
        retryable=isinstance(fault, HallError) and fault.retryable,
        holder=fault.holder if isinstance(fault, DeviceBusy) else "",
        until_ms=fault.until_ms if isinstance(fault, DeviceBusy) else None,
    )
    return wire.Reply(id=request.id, error=failure)


def _refusal(error: wire.Failure) -> Rejected:
    if error.holder:
        return Occupied(error.code, error.reason, holder=error.holder, until_ms=error.until_ms)
    return Rejected(error.code, error.reason)


def parse_args(kind: type[Out], args: Mapping[str, Any]) -> Out:
    """Typed arguments of a request; `WireError` if they don't fit."""
    try:
        return kind.model_validate(args)
    except ValueError:
        raise WireError("malformed", kind.__name__) from None


class BusClient:
    """A connection that comes back by itself; `run` it in a task.

    The callbacks run between two lines, so they must not wait for an answer on the same bus.
    `on_snapshot` gets the full state on every (re)connect, `on_event` each change after it.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_snapshot: Callable[[dict[str, Any]], Awaitable[None]],
        on_event: Callable[[str, dict[str, Any]], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._path = path
        self._on_snapshot = on_snapshot
        self._on_event = on_event
        self._on_lost = on_lost
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._ids = itertools.count(1)
        self._log = get_logger().bind(bus=path.stem)
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Stay connected until cancelled."""
        backoff = Backoff(base_s=0.05, cap_s=1.0)
        while True:
            with suppress(
                OSError, WireError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
            ):
                async with self._opened() as reader:
                    await self._read(reader, backoff)
            await asyncio.sleep(backoff.next_s())

    async def request(
        self, name: str, args: Message, kind: type[Out], *, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> Out:
        """Ask and wait. Errors: `LinkDown` if nobody is there, `Rejected` with the fault's code."""
        if self._writer is None:
            raise LinkDown(f"{self._path.stem}: not connected")
        request = wire.Request(
            id=str(next(self._ids)), name=name, args=args.model_dump(mode="json")
        )
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        try:
            self._writer.write(wire.encode_line(request))
            async with asyncio.timeout(timeout_s):
                return parse_args(kind, await answer)
        except TimeoutError:
            raise LinkDown(f"{self._path.stem}: no answer to {name}") from None
        finally:
            self._waiting.pop(request.id, None)

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[asyncio.StreamReader]:
        async with AsyncExitStack() as stack:
            reader, writer = await asyncio.open_unix_connection(self._path, limit=wire.LINE_LIMIT)
            stack.callback(writer.close)
            self._writer = writer
            try:
                yield reader
            finally:
                self._writer = None
                was_connected = self.connected.is_set()
                self.connected.clear()
                for answer in self._waiting.values():
                    if not answer.done():
                        answer.set_exception(LinkDown(f"{self._path.stem}: connection lost"))
                if was_connected:
                    self._log.warning("bus.lost")
                    if self._on_lost is not None:
                        await self._on_lost()

    async def _read(self, reader: asyncio.StreamReader, backoff: Backoff) -> None:
        while True:
            match wire.decode_server_line(await reader.readuntil(b"\n")):
                case wire.Snapshot(data=data):
                    backoff.reset()
                    self.connected.set()
                    await self._on_snapshot(data)
                case wire.Event(name=name, data=data):
                    await self._on_event(name, data)
                case wire.Reply() as reply:
                    self._settle(reply)
                case wire.Refused(what=what):
                    self._log.warning("bus.was_refused", what=what)
                case wire.Hello():
                    pass

    def _settle(self, reply: wire.Reply) -> None:
        answer = self._waiting.get(reply.id)
        if answer is None or answer.done():
            return
        if reply.error is not None:
            answer.set_exception(_refusal(reply.error))
        else:
            answer.set_result(reply.result or {})
