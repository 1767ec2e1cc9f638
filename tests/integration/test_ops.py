"""The operations centre as a real process, behind a real mosquitto, over mutual TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import getpass
import ipaddress
import json
import os
import socket
import sqlite3
import ssl
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from playwright.async_api import Browser, Page, async_playwright

from hallkit.clients.mqtt import MqttLink
from hallkit.errors import LinkDown, Reason, Rejected
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.ids import DeviceId, SiteId, new_id
from hallkit.model.printing import PrintJobState
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.tls import client_context
from hallkit.wire.events import (
    CloudEvent,
    DeviceStateChanged,
    EventData,
    Health,
    TicketPrinted,
    VisitEnded,
    VisitStarted,
)
from hallkit.wire.mqtt import PAYLOAD_LIMIT, Ack, HubState, Info, Presence, Report
from hallkit.wire.topics import DeviceTopics, hub_state
from ops.broker import acl_text, mosquitto_conf

pytestmark = pytest.mark.integration

HOST = "127.0.0.1"
SITE = SiteId("test-hall")
FIRST, SECOND = DeviceId("terminal-01"), DeviceId("terminal-02")
TOKEN = "a-token-of-the-test-hall"  # noqa: S105
LIMIT_S = 30.0
CHROMIUM = "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


# ── A hall: authority, broker, centre ─────────────────────────────────────────────────────────


class Authority:
    """A throw-away certificate authority."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = (
            self._builder("Test CA", self._key.public_key(), "Test CA")
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def issue(self, folder: str, common_name: str = "") -> Path:
        """A credentials folder for one identity."""
        place = self._folder / folder
        place.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
        certificate = (
            self._builder(common_name or folder, key.public_key(), "Test CA")
            .add_extension(names, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        (place / "ca.pem").write_bytes(self._certificate.public_bytes(Encoding.PEM))
        (place / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (place / "key.pem").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return place

    @staticmethod
    def _builder(
        subject: str, key: ec.EllipticCurvePublicKey, issuer: str
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
        )


class Output(asyncio.SubprocessProtocol):
    """What a process says, line by line, without a task of its own."""

    def __init__(self, lines: list[str], says: str) -> None:
        self._lines = lines
        self._says = says
        self._rest = b""
        self.is_there = asyncio.Event()
        self.is_gone = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            self._lines.append(line.decode(errors="replace"))
            if self._says in self._lines[-1]:
                self.is_there.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_gone.set()
        self.is_there.set()


class Process:
    """A real process that says when it is there."""

    def __init__(self, command: list[str], *, environment: dict[str, str], says: str) -> None:
        self._command = command
        self._environment = environment
        self._says = says
        self._running: tuple[asyncio.SubprocessTransport, Output] | None = None
        self.lines: list[str] = []

    async def start(self) -> None:
        transport, output = await asyncio.get_running_loop().subprocess_exec(
            lambda: Output(self.lines, self._says),
            *self._command,
            env=self._environment,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._running = transport, output
        async with asyncio.timeout(LIMIT_S):
            await output.is_there.wait()
        assert not output.is_gone.is_set(), "\n".join(self.lines)

    async def kill(self) -> None:
        """End it as a power cut would."""
        await self._end(lambda transport: transport.kill())

    async def stop(self) -> int | None:
        """Ask it to end; its exit code."""
        return await self._end(lambda transport: transport.terminate())

    async def _end(self, how: Callable[[asyncio.SubprocessTransport], None]) -> int | None:
        if self._running is None:
            return None
        transport, output = self._running
        self._running = None
        with suppress(ProcessLookupError):
            how(transport)
        async with asyncio.timeout(LIMIT_S):
            await output.is_gone.wait()
        transport.close()
        return transport.get_returncode()


class Hall:
    """Broker and centre of one test."""

    def __init__(self, folder: Path, *, tls: bool = False) -> None:
        self.folder = folder
        self._tls = tls
        self.broker_port, self.ops_port = free_ports(2)
        self.authority = Authority(folder)
        server = self.authority.issue("broker")
        hub = self.authority.issue("ops", "hub")
        (hub / "console.token").write_text(TOKEN)
        acl = folder / "acl"
        acl.write_text(acl_text(SITE, [FIRST, SECOND]))
        conf = folder / "mosquitto.conf"
        conf.write_text(
            mosquitto_conf(
                host=HOST,
                port=self.broker_port,
                ca=server / "ca.pem",
                cert=server / "cert.pem",
                key=server / "key.pem",
                acl=acl,
                state=folder,
                user=getpass.getuser(),
            )
        )
        self.site_file = folder / "site.toml"
        self.site_file.write_text(
            f'[site]\nid = "{SITE}"\nname = "测试政务服务大厅"\narea_code = "510682"\n'
            f'[broker]\nhost = "{HOST}"\nport = {self.broker_port}\n'
            f'[ops]\nhost = "{HOST}"\nport = {self.ops_port}\ntls = {str(tls).lower()}\n'
        )
        self.broker = Process(
            ["mosquitto", "-c", str(conf)], environment=dict(os.environ), says=" running"
        )
        self.ops = Process(
            [sys.executable, "-P", "-m", "ops.app"],
            environment={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "HALLKIT_CONFIG": str(self.site_file),
                "HALLKIT_STATE_DIR": str(folder / "state"),
                "HALLKIT_RUNTIME_DIR": str(folder / "runtime"),
                "HALLKIT_CREDENTIALS_DIR": str(hub),
            },
            says="ready",
        )

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://{HOST}:{self.ops_port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=LIMIT_S
        )

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for the page's own news until its data is as wanted; the data."""
        async with (
            asyncio.timeout(LIMIT_S),
            self.client() as client,
            client.stream("GET", "/events") as news,
        ):
            async for line in news.aiter_lines():
                if not line.startswith("data:"):
                    continue
                state: dict[str, Any] = (await client.get("/api/state")).json()
                if holds(state):
                    return state
        raise AssertionError("the stream ended")

    async def until_machine(
        self, device: DeviceId, holds: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any]:
        def machine_holds(state: dict[str, Any]) -> bool:
            return any(one["device"] == device and holds(one) for one in state["machines"])

        state = await self.until(machine_holds)
        return next(one for one in state["machines"] if one["device"] == device)

    def counter(self, device: str, name: str) -> int:
        """A counter as the database has it, over all days."""
        with sqlite3.connect(self.folder / "state" / "ops.sqlite") as db:
            row = db.execute(
                "select coalesce(sum(value), 0) from counter where device = ? and name = ?",
                (device, name),
            ).fetchone()
        db.close()
        return int(row[0])


def free_ports(count: int) -> list[int]:
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    made = Hall(tmp_path)
    try:
        await made.broker.start()
        await made.ops.start()
        yield made
    finally:
        code = await made.ops.stop()
        await made.broker.stop()
    assert code == 0, "\n".join(made.ops.lines)
    assert not [line for line in made.ops.lines if "Traceback" in line or "Warning" in line]


# ── A small machine with an outbox ────────────────────────────────────────────────────────────


@dataclass
class Machine:
    """Keeps what it tells until the centre acknowledged it; sends all of it again when in doubt."""

    hall: Hall
    device: DeviceId = FIRST
    boot: str = field(default_factory=new_id)
    epoch: int = 0
    outbox: dict[int, tuple[CloudEvent, ...]] = field(default_factory=dict)
    acknowledged: int = 0

    def __post_init__(self) -> None:
        self.topics = DeviceTopics(SITE, self.device)
        self.link = MqttLink(
            host=HOST,
            port=self.hall.broker_port,
            client_id=self.device,
            tls=client_context(self.hall.authority.issue(self.device)),
            backoff=Backoff(base_s=0.1, cap_s=0.5),
            payload_limit=PAYLOAD_LIMIT + 10_000,  # so that the other side's limits are tried
        )
        self._seq = 0
        self._news = asyncio.Event()
        self._empty = asyncio.Event()
        self.printer = DeviceReport(
            id="ticket-printer",
            port="ticket_printer",
            driver="escpos",
            status=DeviceStatus.ONLINE,
            paper=Paper.FULL,
            since_ms=now_ms(),
        )
        self.reader = DeviceReport(
            id="id-card-reader",
            port="id_card_reader",
            driver="sdt",
            status=DeviceStatus.ONLINE,
            since_ms=now_ms(),
        )

    @asynccontextmanager
    async def on(self, *, says_goodbye: bool = True) -> AsyncIterator[Machine]:
        tasks = [
            asyncio.create_task(
                self.link.run(
                    will=self._will,
                    on_connected=self._on_connected,
                    on_message=self._on_message,
                    farewell=(
                        lambda: (self.topics.presence, self._presence("offline", orderly=True))
                    )
                    if says_goodbye
                    else None,
                )
            ),
            asyncio.create_task(self._send()),
        ]
        try:
            async with asyncio.timeout(LIMIT_S):
                await self.link.connected.wait()
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def tell(self, *data: EventData) -> None:
        """Put one report into the outbox."""
        self._seq += 1
        time = dt.datetime.now(dt.UTC)
        source = f"hallkit/{SITE}/{self.device}"
        self.outbox[self._seq] = tuple(
            CloudEvent.wrap(one, source=source, time=time) for one in data
        )
        self._empty.clear()
        self._news.set()

    async def is_told(self) -> None:
        """Wait until everything is acknowledged."""
        async with asyncio.timeout(LIMIT_S):
            await self._empty.wait()

    def report(self, seq: int) -> bytes:
        return Report(
            boot=self.boot,
            seq=seq,
            first=min(self.outbox),
            ts=now_ms(),
            mono=0,
            records=self.outbox[seq],
        ).to_bytes()

    def health(self) -> Health:
        return Health(
            uptime_s=60,
            load_1m=0.1,
            memory_used_mb=400,
            memory_total_mb=4000,
            disk_free_mb=9000,
            outbox_rows=len(self.outbox),
            refused_messages=0,
        )

    async def _will(self) -> tuple[str, bytes]:
        self.epoch += 1
        return self.topics.presence, self._presence("offline")

    async def _on_connected(self) -> None:
        await self.link.subscribe(self.topics.ack)
        await self.link.publish(self.topics.presence, self._presence("online"), retain=True)
        info = Info(
            name=f"{self.device[-1]}号自助终端",
            role="terminal",
            agent="0.1.0",
            peripherals=(self.reader, self.printer),
        )
        await self.link.publish(self.topics.info, info.to_bytes(), retain=True)
        self._news.set()

    async def _on_message(self, topic: str, payload: bytes) -> None:
        ack = Ack.from_bytes(payload, limit=PAYLOAD_LIMIT)
        assert topic == self.topics.ack
        if ack.boot != self.boot:
            return
        self.acknowledged = max(self.acknowledged, ack.upto)
        for seq in [seq for seq in self.outbox if seq <= ack.upto]:
            del self.outbox[seq]
        if not self.outbox:
            self._empty.set()

    async def _send(self) -> None:
        """Send everything on news; everything again if nothing is heard for a while."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._news.wait()
            self._news.clear()
            with suppress(LinkDown):
                for seq in sorted(self.outbox):
                    if seq in self.outbox:
                        await self.link.publish(self.topics.report, self.report(seq))

    def _presence(self, state: str, *, orderly: bool = False) -> bytes:
        told = {"state": state, "epoch": self.epoch, "boot": self.boot, "ts": now_ms()}
        return Presence.model_validate(told | {"orderly": orderly}).to_bytes()


def now_ms() -> int:
    return round(dt.datetime.now(dt.UTC).timestamp() * 1000)


def visit() -> tuple[VisitStarted, VisitEnded]:
    name = new_id()
    return VisitStarted(visit=name), VisitEnded(visit=name, outcome="ticket", duration_s=130)


def printed() -> TicketPrinted:
    return TicketPrinted(job=new_id(), state=PrintJobState.COMPLETED, attempts=1, copies_marked=0)


async def nothing(_topic: str, _payload: bytes) -> None:
    """For links that only write."""


@asynccontextmanager
async def linked(hall: Hall, name: str, *filters: str) -> AsyncIterator[Listener]:
    """A bare client with a certificate of this name."""
    made = Listener(hall, name)
    task = asyncio.create_task(made.run(filters))
    try:
        async with asyncio.timeout(LIMIT_S):
            await made.link.connected.wait()
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Listener:
    def __init__(self, hall: Hall, name: str) -> None:
        folder = hall.authority.issue(f"client-{name}", name)
        self.link = MqttLink(
            host=HOST, port=hall.broker_port, client_id=name, tls=client_context(folder)
        )
        self.heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self._name = name

    async def run(self, filters: tuple[str, ...]) -> None:
        async def subscribe() -> None:
            if filters:
                await self.link.subscribe(*filters)

        async def will() -> tuple[str, bytes]:
            return DeviceTopics(SITE, DeviceId(self._name)).presence, b"{}"

        async def hear(topic: str, payload: bytes) -> None:
            self.heard.put_nowait((topic, payload))

        await self.link.run(will=will, on_connected=subscribe, on_message=hear)


# ── Rights ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "topic",
    [
        DeviceTopics(SITE, SECOND).report,
        DeviceTopics(SITE, SECOND).presence,
        DeviceTopics(SiteId("other-hall"), FIRST).report,
        DeviceTopics(SITE, SECOND).ack,
        DeviceTopics(SITE, FIRST).ack,
        hub_state(SITE),
        "hallkit/1/test-hall/hall/notices",
        "anything",
    ],
)
async def test_a_machine_writes_only_under_its_own_name(hall: Hall, topic: str) -> None:
    async with linked(hall, FIRST) as machine:
        with pytest.raises(Rejected, match="not_authorized"):
            await machine.link.publish(topic, b"{}")
        await machine.link.publish(DeviceTopics(SITE, FIRST).info, b"{}")


async def test_a_machine_hears_only_what_is_meant_for_it(hall: Hall) -> None:
    own, other = DeviceTopics(SITE, FIRST), DeviceTopics(SITE, SECOND)
    async with (
        Machine(hall, SECOND).on() as second,
        linked(hall, FIRST, "#", own.ack, other.ack, other.report) as first,
    ):
        second.tell(*visit())
        await second.is_told()
        # The centre's own acknowledgement to the first machine closes the wait.
        empty = Report(boot="b", seq=1, first=1, ts=0, mono=0, records=())
        await first.link.publish(own.report, empty.to_bytes())
        heard = set()
        async with asyncio.timeout(LIMIT_S):
            while own.ack not in heard:
                heard.add((await first.heard.get())[0])
        assert heard <= {own.ack, hub_state(SITE)}


async def test_a_stranger_is_not_let_in(hall: Hall, tmp_path: Path) -> None:
    (tmp_path / "strangers").mkdir()
    folder = Authority(tmp_path / "strangers").issue(FIRST)
    (folder / "ca.pem").write_bytes((tmp_path / "broker" / "ca.pem").read_bytes())
    link = MqttLink(host=HOST, port=hall.broker_port, client_id=FIRST, tls=client_context(folder))
    attempts = 0
    tried = asyncio.Event()

    async def will() -> tuple[str, bytes]:
        nonlocal attempts
        attempts += 1
        if attempts > 2:
            tried.set()
        return DeviceTopics(SITE, FIRST).presence, b"{}"

    async def on_connected() -> None:
        raise AssertionError("a foreign certificate was accepted")

    task = asyncio.create_task(link.run(will=will, on_connected=on_connected, on_message=nothing))
    async with asyncio.timeout(LIMIT_S):
        await tried.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ── Exactly once, whatever dies ───────────────────────────────────────────────────────────────


async def test_a_visit_reaches_the_console(hall: Hall) -> None:
    async with Machine(hall).on() as machine:
        machine.tell(*visit())
        machine.tell(printed())
        machine.tell(machine.health())
        await machine.is_told()
        shown = await hall.until_machine(FIRST, lambda one: one["outbox_rows"] is not None)
        assert (shown["state"], shown["visits_today"], shown["tickets_today"]) == ("online", 1, 1)
        assert [part["id"] for part in shown["peripherals"]] == ["id-card-reader", "ticket-printer"]
        assert shown["name"] == "1号自助终端"
        empty = machine.printer.model_copy(
            update={
                "status": DeviceStatus.USER_ERROR,
                "paper": Paper.OUT,
                "reason": Reason.PAPER_OUT,
            }
        )
        machine.tell(DeviceStateChanged(device=empty))
        shown = await hall.until_machine(FIRST, lambda one: one["tone"] == "attention")
        assert (shown["state"], shown["words"]) == ("online", "state.paper_out")


async def test_the_broker_dies_and_nothing_is_lost_or_doubled(hall: Hall) -> None:
    async with Machine(hall).on() as machine:
        for _ in range(20):
            machine.tell(*visit())
        await hall.until_machine(FIRST, lambda one: one["visits_today"] > 0)
        await hall.broker.kill()
        await hall.until(lambda state: not state["broker_up"])
        for _ in range(20):
            machine.tell(*visit())
        await hall.broker.start()
        await machine.is_told()
        shown = await hall.until_machine(FIRST, lambda one: one["state"] == "online")
        assert shown["visits_today"] == 40
        assert hall.counter(FIRST, "visits") == 40


async def test_the_centre_dies_in_the_middle_and_counts_once(hall: Hall) -> None:
    async with Machine(hall).on() as machine:
        for number in range(1, 61):
            machine.tell(*visit(), printed())
            if number % 20 == 0:
                await hall.until_machine(FIRST, lambda one: one["visits_today"] > 0)
                await hall.ops.kill()
                machine.tell(*visit())
                await hall.ops.start()
        await machine.is_told()
        assert hall.counter(FIRST, "visits") == 63
        assert hall.counter(FIRST, "tickets") == 60
        assert machine.acknowledged == 63


async def test_a_machine_that_falls_silent_is_suspect(hall: Hall) -> None:
    machine = Machine(hall)
    relay_port = free_ports(1)[0]
    async with Relay(relay_port, hall.broker_port).open() as relay:
        machine.link = MqttLink(
            host=HOST,
            port=relay_port,
            client_id=FIRST,
            tls=client_context(hall.authority.issue(FIRST)),
        )
        async with machine.on():
            await hall.until_machine(FIRST, lambda one: one["state"] == "online")
            relay.freeze()
            shown = await hall.until_machine(FIRST, lambda one: one["state"] == "suspect")
            assert shown["tone"] == "attention"
            relay.thaw()
            await hall.until_machine(FIRST, lambda one: one["state"] == "online")


async def test_a_machine_that_does_not_come_back_after_its_will_is_lost(hall: Hall) -> None:
    async with Machine(hall).on() as machine:
        # The will's own words: a link that is cut for so long would try to connect meanwhile.
        await machine.link.publish(machine.topics.presence, machine._presence("offline"))
        suspect = await hall.until_machine(FIRST, lambda one: one["state"] == "suspect")
        lost = await hall.until_machine(FIRST, lambda one: one["state"] == "offline")
        assert (suspect["tone"], lost["tone"]) == ("attention", "fault")
        assert suspect["since_ms"] == lost["since_ms"]


async def test_the_will_of_an_old_connection_does_not_count(hall: Hall) -> None:
    async with Machine(hall).on() as machine:
        machine.epoch += 5
        await machine.link.publish(
            machine.topics.presence, machine._presence("online"), retain=True
        )
        machine.epoch -= 5
        await machine.link.publish(machine.topics.presence, machine._presence("offline"))
        machine.epoch += 5
        machine.tell(*visit())
        await machine.is_told()
        shown = await hall.until_machine(FIRST, lambda one: one["visits_today"] == 1)
        assert shown["state"] == "online"
        assert hall.counter(FIRST, "refused.stale") == 1


async def test_an_orderly_end_is_told_at_once(hall: Hall) -> None:
    async with Machine(hall).on():
        await hall.until_machine(FIRST, lambda one: one["state"] == "online")
    await hall.until_machine(FIRST, lambda one: one["state"] == "offline")


async def test_the_hub_says_that_it_is_there(hall: Hall) -> None:
    async with linked(hall, FIRST, hub_state(SITE)) as machine:
        states = []
        for act in (None, hall.ops.kill, hall.ops.start):
            if act is not None:
                await act()
            async with asyncio.timeout(LIMIT_S):
                _, payload = await machine.heard.get()
            states.append(HubState.from_bytes(payload, limit=PAYLOAD_LIMIT).state)
        assert states == ["online", "offline", "online"]


async def test_garbage_is_counted_and_harmless(hall: Hall) -> None:
    async with Machine(hall).on() as machine:
        own = machine.topics
        prefix = own.report.removesuffix("report")
        wild = Report(boot="b", seq=2**70, first=1, ts=0, mono=0, records=())
        liar = CloudEvent.wrap(
            visit()[0], source=f"hallkit/{SITE}/{SECOND}", time=dt.datetime.now(dt.UTC)
        )
        lying = Report(boot="liar", seq=1, first=1, ts=0, mono=0, records=(liar,))
        odd = liar.model_copy(
            update={"source": f"hallkit/{SITE}/{FIRST}", "type": "visit.stolen.v1"}
        )
        unknown = Report(boot="odd", seq=1, first=1, ts=0, mono=0, records=(odd,))
        for topic, payload in (
            (own.report, b""),
            (own.report, b"\x00\xff" * 100),
            (own.report, b"[" * 100_000),
            (own.report, wild.to_bytes()),
            (own.presence, b'{"state": "dancing"}'),
            (own.info, b"{}"),
            (own.report, b" " * (PAYLOAD_LIMIT + 1)),
            (f"{prefix}nonsense", b"{}"),
            (f"{prefix}report/deeper", b"{}"),
            (own.report, lying.to_bytes()),
            (own.report, unknown.to_bytes()),
        ):
            await machine.link.publish(topic, payload)
        with pytest.raises(LinkDown):  # the broker itself hangs up on it
            await machine.link.publish(own.report, b" " * (PAYLOAD_LIMIT + 5000))
        machine.tell(*visit())
        await machine.is_told()
        assert hall.counter(FIRST, "refused.malformed") == 6
        assert hall.counter(FIRST, "refused.oversized") == 1
        assert hall.counter(FIRST, "refused.topic") == 2
        assert hall.counter(FIRST, "refused.source") == 1
        assert hall.counter(FIRST, "refused.unknown_event") == 1
        shown = await hall.until_machine(FIRST, lambda one: one["refused_today"] == 11)
        assert (shown["state"], shown["visits_today"]) == ("online", 1)


class Relay:
    """A wire between machine and broker that can go dead without closing."""

    def __init__(self, port: int, to_port: int) -> None:
        self._port = port
        self._to_port = to_port
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Relay]:
        server = await asyncio.start_server(self._accept, HOST, self._port)
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        to_reader, to_writer = await asyncio.open_connection(HOST, self._to_port)
        ways = [
            asyncio.create_task(self._pump(reader, to_writer)),
            asyncio.create_task(self._pump(to_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for one in (writer, to_writer):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


# ── The page ──────────────────────────────────────────────────────────────────────────────────


async def test_nobody_enters_without_the_token(hall: Hall) -> None:
    async with httpx.AsyncClient(base_url=hall.url) as stranger:
        for path in ("/", "/api/state", "/events", "/?show=away"):
            assert (await stranger.get(path)).status_code == 401
        page = await stranger.get("/", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["location"]) == (303, "/login")
        form = await stranger.get("/login")
        assert form.headers["content-security-policy"].startswith("default-src 'none'")
        assert form.headers["x-frame-options"] == "DENY"
        assert form.headers["cache-control"] == "no-store"
        stranger.cookies.set("hallkit_session", "9999999.x.y")
        assert (await stranger.get("/")).status_code == 401


async def test_the_token_logs_in_by_form_and_by_link(hall: Hall) -> None:
    async with httpx.AsyncClient(base_url=hall.url) as person:
        entered = await person.post("/login", data={"token": f" {TOKEN} "})
        assert (entered.status_code, entered.headers["location"]) == (303, "/")
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await person.get("/api/state")).status_code == 200
        assert (await person.post("/logout")).status_code == 303
        assert (await person.get("/api/state")).status_code == 401
        by_link = await person.get("/", params={"show": "away", "token": TOKEN})
        assert (by_link.status_code, by_link.headers["location"]) == (303, "/?show=away")
        assert (await person.get("/")).status_code == 200


async def test_guessing_is_slowed_down_for_everybody_but_those_inside(hall: Hall) -> None:
    async with (
        httpx.AsyncClient(base_url=hall.url) as inside,
        httpx.AsyncClient(base_url=hall.url) as guesser,
    ):
        await inside.post("/login", data={"token": TOKEN})
        answers = [
            (await guesser.post("/login", data={"token": f"guess {number}"})).status_code
            for number in range(11)
        ]
        assert answers == [403] * 10 + [429]
        assert (await guesser.get("/", params={"token": TOKEN})).status_code == 429
        assert (await inside.get("/")).status_code == 200


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        yield launched
        await launched.close()


@asynccontextmanager
async def page_of(
    browser: Browser, hall: Hall, size: tuple[int, int], **options: Any
) -> AsyncIterator[Page]:
    context = await browser.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="zh-CN", **options
    )
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda fault: complaints.append(str(fault)))
    await page.goto(f"{hall.url}/?token={TOKEN}")
    assert TOKEN not in page.url
    yield page
    await context.close()
    assert not complaints


async def no_sideways_scroll(page: Page) -> bool:
    return bool(
        await page.evaluate(
            "document.scrollingElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


async def fingers_fit(page: Page) -> bool:
    """Every target is at least 44 px high and wide."""
    sizes = await page.evaluate(
        "[...document.querySelectorAll('a:not(.skip), button')].map(one => {"
        "const box = one.getBoundingClientRect(); return Math.min(box.width, box.height)})"
    )
    return all(size >= 44 for size in sizes)


@pytest.mark.parametrize("size", [(390, 844), (1366, 768)], ids=["phone", "desk"])
async def test_the_page_shows_a_machine_leave_and_return_without_a_reload(
    hall: Hall, browser: Browser, size: tuple[int, int], tmp_path: Path
) -> None:
    second = Machine(hall, SECOND)
    second.printer = second.printer.model_copy(
        update={
            "status": DeviceStatus.USER_ERROR,
            "paper": Paper.OUT,
            "reason": Reason.PAPER_OUT,
        }
    )
    second.tell(*visit())
    second.tell(DeviceStateChanged(device=second.printer))
    first = Machine(hall)
    async with second.on(), page_of(browser, hall, size) as page:
        await page.evaluate("window.untouched = true")
        card = page.locator(f"[data-device='{FIRST}']")
        async with first.on():
            first.tell(*visit())
            first.tell(printed())
            first.tell(first.health())
            await card.and_(page.locator("[data-state='online'][data-visits='1']")).wait_for()
            await page.locator("#live[data-live='on']").wait_for()
            await second.is_told()
            assert "● 正常" in await card.inner_text()
            told = await page.locator(f"[data-device='{SECOND}']").inner_text()
            assert "▲ 缺纸" in told
            assert "换一卷纸" in told
            await page.screenshot(path=tmp_path / "online.png", full_page=True)
        await page.locator(f"[data-device='{FIRST}'][data-state='offline']").wait_for()
        assert "✕ 离线" in await card.inner_text()
        await page.screenshot(path=tmp_path / "offline.png", full_page=True)
        async with first.on():
            await page.locator(f"[data-device='{FIRST}'][data-state='online']").wait_for()
        assert await page.evaluate("window.untouched === true")
        assert await no_sideways_scroll(page)
        assert await fingers_fit(page)
        # By keyboard: the filter is reached, chosen, and kept in the address.
        await page.locator("a[data-group='look_after']").focus()
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/?show=look_after")
        assert not await page.locator(f"[data-device='{FIRST}']").is_visible()
        assert await page.locator(f"[data-device='{SECOND}']").is_visible()


async def test_the_page_says_when_the_centre_is_gone(hall: Hall, browser: Browser) -> None:
    async with Machine(hall).on(), page_of(browser, hall, (390, 844)) as page:
        await page.locator("#live[data-live='on']").wait_for()
        await hall.broker.kill()
        await page.locator("[data-notice='broker']").wait_for()
        await hall.broker.start()
        await page.locator("[data-notice='broker']").wait_for(state="detached")


async def test_without_javascript_it_is_a_plain_page(hall: Hall, browser: Browser) -> None:
    async with Machine(hall).on() as machine:
        machine.tell(*visit())
        await machine.is_told()
        async with page_of(browser, hall, (390, 844), java_script_enabled=False) as page:
            text = await page.locator("body").inner_text()
            assert "● 正常" in text
            assert "一位群众取到号" in text
            assert "刷新看最新" in text


async def test_the_console_speaks_tls(tmp_path: Path) -> None:
    made = Hall(tmp_path, tls=True)
    trust = ssl.create_default_context(cafile=str(tmp_path / "broker" / "ca.pem"))
    await made.ops.start()
    try:
        async with httpx.AsyncClient(base_url=made.url, verify=trust) as browser:
            assert (await browser.get("/api/state")).status_code == 401
            entered = await browser.get("/", params={"token": TOKEN})
            assert "secure" in entered.headers["set-cookie"].lower()
            state = await browser.get("/api/state")
            assert state.json()["site_name"] == "测试政务服务大厅"
            async with asyncio.timeout(LIMIT_S), browser.stream("GET", "/events") as news:
                assert await anext(news.aiter_lines())
        async with httpx.AsyncClient(base_url=made.url) as doubtful:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await doubtful.get("/login")
        old = ssl.create_default_context(cafile=str(tmp_path / "broker" / "ca.pem"))
        old.set_ciphers("DEFAULT:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        async with httpx.AsyncClient(base_url=made.url, verify=old) as outdated:
            with pytest.raises(httpx.ConnectError):
                await outdated.get("/login")
        async with httpx.AsyncClient(base_url=made.url.replace("https", "http")) as plain:
            with pytest.raises(httpx.RemoteProtocolError):
                await plain.get("/login")
    finally:
        code = await made.ops.stop()
    assert code == 0, "\n".join(made.ops.lines)
    assert not [line for line in made.ops.lines if "Traceback" in line or TOKEN in line]


async def test_no_token_stands_in_the_log(hall: Hall) -> None:
    async with httpx.AsyncClient(base_url=hall.url) as person:
        await person.get("/", params={"token": TOKEN})
        await person.post("/login", data={"token": TOKEN})
    assert TOKEN not in "\n".join(hall.ops.lines)
    assert json.loads(next(line for line in hall.ops.lines if "login.done" in line))
