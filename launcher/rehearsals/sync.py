"""A machine's catalogue, fetched while everything goes wrong; after each fault it must be whole.

The node is the real process over mutual TLS with the generated hall; each sync that is hurt is a
process of its own. Between both stands a wire that counts bytes and can be cut at any of them.
What the node would never answer comes from a liar with the node's own certificate.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from affairs.catalogue_source import load
from affairs.publication import publish
from edge_agent.content import CatalogueSync
from hallkit.catalogue.installed import FOLDER, installed, open_installed
from hallkit.clients.affairs import AffairsClient
from hallkit.errors import HallError
from hallkit.runtime.clock import SystemClock
from hallkit.runtime.keys import load_private, load_publics
from hallkit.runtime.log import configure_logging
from hallkit.runtime.tls import client_context
from hallkit.web.server import https_context
from hallkit.wire.affairs_api import CATALOGUE_DELTA, CATALOGUE_MANIFEST, CatalogueManifest
from launcher.fleet import change_item, prepare, running, write_catalogue
from launcher.installation import Installation
from launcher.rehearsals.record import Plan, Record

HELP = "a machine's catalogue killed, cut, lied to and out of disk while it is fetched"

MACHINE = "sync-01"
HOST = "127.0.0.1"
CHILD_TIMEOUT_S = 60.0
PUBLISH_TIMEOUT_S = 60.0
CHUNK = 16_384
FAULT = 3
"""Exit code of a child whose sync ended in a fault with a name."""

WHOLE = "after every fault a whole catalogue opens: the former one or the new one"
NAMED = "what is not killed ends in a catalogue or in a named fault"
NEXT = "the next sync completes"


@dataclass(frozen=True, slots=True)
class Hurt:
    """What a child does to itself."""

    die_at_step: int = 0
    """Killed before this file operation in the catalogue's folder, the first being 1."""
    file_limit: int = 0
    """Bytes that a file may have: a disk that is full in the middle of it."""


@dataclass(frozen=True, slots=True)
class Start:
    """A machine before the sync; the versions that it may have after a fault."""

    name: str
    state: Path
    allowed: frozenset[str]
    took_s: float = 0.0
    steps: int = 0
    received: int = 0
    """A whole sync from here: seconds, file operations, bytes on the wire."""


@dataclass(slots=True)
class Wire:
    """Between machine and node: counts what comes from the node, and acts at a given byte."""

    port: int = 0
    received: int = 0
    cut_at: int = -1
    on_cut: Callable[[], None] | None = None

    def arm(self, cut_at: int = -1, on_cut: Callable[[], None] | None = None) -> None:
        self.received, self.cut_at, self.on_cut = 0, cut_at, on_cut

    @asynccontextmanager
    async def to(self, port: int) -> AsyncIterator[Wire]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(HOST, port)
            ways = {
                asyncio.create_task(self._pump(reader, back, counted=False)),
                asyncio.create_task(self._pump(there, writer, counted=True)),
            }
            try:
                # A connection that one side has left is nobody's.
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                for one in (writer, back):
                    one.transport.abort()

        server = await asyncio.start_server(serve, HOST, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if counted and 0 <= self.cut_at <= self.received + len(chunk):
                    writer.write(chunk[: self.cut_at - self.received])
                    await writer.drain()
                    if self.on_cut is not None:
                        self.on_cut()
                    return
                self.received += len(chunk) if counted else 0
                writer.write(chunk)
                await writer.drain()


class Liar:
    """Answers as the node would, but for one answer in which something is wrong."""

    LIES = ("flipped", "cut", "short", "stale", "other file", "refused", "nonsense")

    def __init__(self, published: Path, stale: CatalogueManifest) -> None:
        self._published = published
        self._stale = stale
        self.lie = ""
        self.about = ""
        self.random = Random(0)  # noqa: S311  # replaced before each use
        self.port = 0

    @asynccontextmanager
    async def listening(self, credentials: Path) -> AsyncIterator[Liar]:
        server = await asyncio.start_server(
            self._serve, HOST, 0, ssl=https_context(credentials, known_peers=True)
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            body, part = self._truth(path)
            status, length = 200, len(body)
            if part == self.about:
                status, body, length = self._twisted(part, body)
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n"
                "Content-Type: application/json\r\nConnection: close\r\n\r\n".encode()
            )
            writer.write(body)
            await writer.drain()
        writer.close()

    def _truth(self, path: str) -> tuple[bytes, str]:
        raw = (self._published / "manifest.json").read_bytes()
        if path == CATALOGUE_MANIFEST:
            return raw, "manifest"
        if path.startswith(CATALOGUE_DELTA):
            [*_, since] = path.split("/")
            [delta] = self._published.glob(f"{since[:16]}-*.delta")
            return delta.read_bytes(), "delta"
        manifest = json.loads(raw)
        return (self._published / f"{manifest['sha256']}.sqlite").read_bytes(), "snapshot"

    def _twisted(self, part: str, body: bytes) -> tuple[int, bytes, int]:
        """Status, body, and the length that is told."""
        point = self.random.randrange(len(body))
        length, status = -1, 200
        match self.lie:
            case "flipped":
                bit = 1 << self.random.randrange(8)
                body = body[:point] + bytes([body[point] ^ bit]) + body[point + 1 :]
            case "cut":
                body, length = body[:point], len(body)
            case "short":
                body = body[:point]
            case "stale" if part == "manifest":
                body = self._stale.to_bytes()
            case "stale" | "other file":
                files = (path.read_bytes() for path in sorted(self._published.glob("*.sqlite")))
                body = next(file for file in files if file != body)
            case "refused":
                status, body = self.random.choice((404, 500, 503)), b"{}"
            case _:
                body = self.random.randbytes(self.random.randrange(1, 10_000))
        return status, body, len(body) if length < 0 else length


async def run(plan: Plan, record: Record) -> None:
    """Every way to go wrong in turn until the time is up, once at least."""
    content = plan.root / "content"
    write_catalogue(content)
    installation = Installation(plan.root / "hall")
    prepare(installation, content, [MACHINE])
    credentials = installation.pki / MACHINE
    keys = load_publics(credentials / "catalogue.pub")
    port = installation.endpoints["affairs"].port
    # A catalogue of the hall's own that the node has forgotten: from it there is no delta.
    forgotten = publish(
        load(),
        plan.root / "forgotten",
        load_private(installation.pki / "affairs" / "signing.pem"),
        SystemClock(),
    )
    wire = Wire()
    async with running(installation, "affairs") as table, wire.to(port):
        with _forking_server() as processes:
            point = _Points(
                plan, record, wire=wire, credentials=credentials, keys=keys, processes=processes
            )
            nothing, known, other = (plan.root / name for name in ("nothing", "known", "other"))
            for state in (nothing, known, other):
                state.mkdir()
            await point.sync(known, port)
            (other / FOLDER).mkdir()
            shutil.copy(forgotten.path, other / FOLDER)
            (other / FOLDER / "manifest.json").write_bytes(forgotten.manifest.to_bytes())
            stale = _manifest(known)
            change_item(content, "changed")
            if (process := table["affairs"].process) is not None:
                process.send_signal(signal.SIGHUP)
            point.newest = await _published(installation, credentials, stale)
            starts = [
                await point.measured("full, from nothing", nothing, ""),
                await point.measured("full", other, forgotten.manifest.version),
                await point.measured("delta", known, stale.version),
            ]
            liar = Liar(installation.state("affairs") / "catalogue", stale)
            async with liar.listening(installation.pki / "affairs"):
                end = time.monotonic() + plan.minutes * 60
                while True:
                    await point.round(starts, liar)
                    if time.monotonic() >= end:
                        break


@contextmanager
def _forking_server() -> Iterator[ForkServerContext]:
    """Machines fork from a server that has loaded all they need, which ends with the block."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])
    try:
        yield processes
    finally:
        # They would live as long as this process; CPython's own tests end them in this way too.
        for helper in (forkserver._forkserver, resource_tracker._resource_tracker):  # noqa: SLF001
            stop: Callable[[], None] = getattr(helper, "_stop")  # noqa: B009  # not in the stubs
            stop()


def _manifest(state: Path) -> CatalogueManifest:
    have = installed(state)
    if have is None:
        raise RuntimeError("the machine has no catalogue")
    return have[1]


async def _published(
    installation: Installation, credentials: Path, before: CatalogueManifest
) -> CatalogueManifest:
    port = installation.endpoints["affairs"].port
    async with (
        asyncio.timeout(PUBLISH_TIMEOUT_S),
        AffairsClient(f"https://{HOST}:{port}", client_context(credentials)) as node,
    ):
        while (now := await node.manifest()).sha256 == before.sha256:  # noqa: ASYNC110  # asked
            await asyncio.sleep(0.05)
    return now


class _Points:
    """Tries one point after the other."""

    newest: CatalogueManifest

    def __init__(
        self,
        plan: Plan,
        record: Record,
        *,
        wire: Wire,
        credentials: Path,
        keys: tuple[Ed25519PublicKey, ...],
        processes: ForkServerContext,
    ) -> None:
        self._record = record
        self._random = plan.random("sync")
        self._wire = wire
        self._credentials = credentials
        self._keys = keys
        self._state = plan.root / "machine"
        self._processes = processes

    async def sync(self, state: Path, port: int) -> None:
        await _once(state, self._credentials, port)

    async def measured(self, name: str, state: Path, version: str) -> Start:
        """A whole sync from this start, which stays as it is."""
        self._fresh(state)
        self._wire.arm()
        child = self._child(Hurt(), self._wire.port)
        began = time.monotonic()
        said = await asyncio.to_thread(child.wait)
        took_s = time.monotonic() - began
        if said != 0:
            raise RuntimeError(f"a sync that nobody hurts ends with {said}")
        allowed = frozenset({version, self.newest.version})
        received = self._wire.received
        self._record.figures[name] = {
            "seconds": round(took_s, 3),
            "file operations": child.steps,
            "bytes on the wire": received,
        }
        return Start(name, state, allowed, took_s, child.steps, received)

    async def round(self, starts: list[Start], liar: Liar) -> None:
        """Each start hurt in each way once."""
        lies = [(lie, part) for lie in liar.LIES for part in ("manifest", "delta", "snapshot")]
        for start in starts:
            for how in (self._instant, self._step, self._byte, self._cut, self._disk):
                await self._try(start, how.__name__.strip("_"), how)
            lie, part = self._random.choice(lies)
            liar.lie, liar.about = lie, part
            liar.random = Random(self._random.random())  # noqa: S311  # to be repeated

            async def lied(_start: Start) -> int | None:
                return await asyncio.to_thread(self._child(Hurt(), liar.port).wait)

            await self._try(start, f"lie: {lie} {part}", lied)

    async def _try(self, start: Start, name: str, how: Callable[[Start], object]) -> None:
        record = self._record
        self._fresh(start.state)
        self._wire.arm()
        ended = await how(start)  # type: ignore[misc]  # each of them is a coroutine
        record.counts["points"] += 1
        record.counts[f"{start.name}: {name}"] += 1
        killed = ended == -signal.SIGKILL
        record.counts["killed" if killed else "fault" if ended == FAULT else "completed"] += 1
        record.expect(NAMED, killed or ended in (0, FAULT), code=ended, start=start.name, how=name)
        version, fault = self._opened()
        record.expect(
            WHOLE,
            not fault and version in start.allowed,
            start=start.name,
            how=name,
            version=version,
            fault=fault,
        )
        record.counts["new one in use"] += version == self.newest.version
        self._wire.arm()
        try:
            await self.sync(self._state, self._wire.port)
        except (HallError, OSError) as exc:
            fault = str(exc)
        version, still = self._opened()
        left = [path.name for path in (self._state / FOLDER).glob("download*")]
        record.expect(
            NEXT,
            version == self.newest.version and not still,
            start=start.name,
            how=name,
            fault=fault or still,
        )
        record.counts["left behind"] += len(left)

    async def _instant(self, start: Start) -> int | None:
        child = self._child(Hurt(), self._wire.port)
        await asyncio.sleep(self._random.uniform(0, start.took_s))  # the instant is what is tried
        child.kill()
        return await asyncio.to_thread(child.wait)

    async def _step(self, start: Start) -> int | None:
        step = self._random.randint(1, start.steps)
        return await asyncio.to_thread(self._child(Hurt(die_at_step=step), self._wire.port).wait)

    async def _byte(self, start: Start) -> int | None:
        child = self._child(Hurt(), self._wire.port, wait=True)
        self._wire.arm(self._random.randint(0, start.received), child.kill)
        child.go()
        return await asyncio.to_thread(child.wait)

    async def _cut(self, start: Start) -> int | None:
        self._wire.arm(self._random.randint(0, start.received))
        return await asyncio.to_thread(self._child(Hurt(), self._wire.port).wait)

    async def _disk(self, _start: Start) -> int | None:
        limit = self._random.randrange(1, self.newest.size)
        return await asyncio.to_thread(self._child(Hurt(file_limit=limit), self._wire.port).wait)

    def _fresh(self, state: Path) -> None:
        shutil.rmtree(self._state, ignore_errors=True)
        shutil.copytree(state, self._state)

    def _child(self, hurt: Hurt, port: int, *, wait: bool = False) -> _Child:
        ours, theirs = self._processes.Pipe()
        process = self._processes.Process(
            target=_sync_in_a_child,
            args=(theirs, self._state, self._credentials, port, hurt),
            daemon=True,
        )
        process.start()
        theirs.close()
        child = _Child(process, ours)
        if not wait:
            child.go()
        return child

    def _opened(self) -> tuple[str, str]:
        """Version of what an application would open, empty for none; what is wrong with it."""
        try:
            catalogue = open_installed(self._state, self._keys)
            if catalogue is None:
                return "", ""
            with catalogue:
                catalogue.check()
                return catalogue.version, ""
        except (HallError, ValueError, OSError) as exc:
            return "", f"{type(exc).__name__}: {exc}"


class _Child:
    """A sync in a process of its own."""

    def __init__(
        self, process: multiprocessing.context.ForkServerProcess, connection: Connection
    ) -> None:
        self._process = process
        self._connection = connection
        self.steps = 0
        connection.recv()  # it has started, and waits

    def go(self) -> None:
        self._connection.send(None)

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> int | None:
        """Its exit code; None if it hangs."""
        self._process.join(CHILD_TIMEOUT_S)
        with suppress(EOFError, OSError):
            self.steps = self._connection.recv()
        code = self._process.exitcode
        if code is None:
            self._process.kill()
        self._connection.close()
        return code


def _sync_in_a_child(
    connection: Connection, state: Path, credentials: Path, port: int, hurt: Hurt
) -> None:
    steps = 0
    inside = str(state / FOLDER)

    def at_step(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal steps
        if event in ("open", "os.rename", "os.remove", "os.mkdir") and str(arguments[0]).startswith(
            inside
        ):
            steps += 1
            if steps == hurt.die_at_step:
                os.kill(os.getpid(), signal.SIGKILL)

    configure_logging("critical", process="sync")
    connection.send(None)
    connection.recv()
    sys.addaudithook(at_step)
    if hurt.file_limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hurt.file_limit, hurt.file_limit))
    try:
        asyncio.run(_once(state, credentials, port))
    except HallError:
        sys.exit(FAULT)
    connection.send(steps)


async def _once(state: Path, credentials: Path, port: int) -> None:
    async with AffairsClient(f"https://{HOST}:{port}", client_context(credentials)) as client:
        key = credentials / "catalogue.pub"
        await CatalogueSync(client, SystemClock(), state=state, key=key).once()
