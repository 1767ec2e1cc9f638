"""Nonsense on every wire, in this process: random bytes and real messages with something wrong.

Every end must be a value or a fault that has a name; anything else counts as a crash, with the
input that led to it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any, Protocol

from affairs.catalogue import load_items
from drivers.id_card_reader import sdt_frames as sdt
from drivers.id_card_reader.sdt import SdtConfig, SdtReader
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_status import (
    AutoStatus,
    Deframer,
    of_auto_status,
    of_real_time,
)
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort
from hallkit.catalogue import snapshot
from hallkit.catalogue.snapshot import Catalogue
from hallkit.errors import DeviceError, DeviceTimeout, DeviceUnavailable, Reason
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.identity import IdentityCard
from hallkit.model.ids import SiteId, VisitId, new_id
from hallkit.model.item import Item
from hallkit.model.printing import PrintJob, PrintJobState, PrintResult, QrLine, Slip, TextLine
from hallkit.model.ticket import Ticket
from hallkit.runtime.bus import BusServer, Connection, parse_args
from hallkit.runtime.clock import SystemClock, utc
from hallkit.wire import bus as wire
from hallkit.wire.agent_bus import Empty
from hallkit.wire.base import Message
from hallkit.wire.events import CloudEvent, DeviceStateChanged, TicketPrinted, VisitStarted
from hallkit.wire.mqtt import Info, Presence, Report
from hallkit.wire.topics import DeviceTopics
from kiosk.flow import events as ev
from kiosk.flow.present import present
from kiosk.flow.state import Found, Surroundings, Visit
from kiosk.flow.view import View
from kiosk.flow.visit import step
from kiosk.service import Tap
from launcher.rehearsals.record import Plan, Record
from ops.effects import settle
from ops.inbound import Refused, receive
from ops.store import Store

HELP = "random bytes and broken messages for drivers, bus, centre, search, flow"

TURN_S = 0.25
"""How long one target is fuzzed before the next one has its turn."""
CRASHES_KEPT = 10
SITE = SiteId("fuzz")
READ_TIMEOUT_S = 5.0


class Target(Protocol):
    """Something that takes input from outside. `once` names the end that the input led to."""

    async def once(self, random: Random) -> str: ...

    @property
    def last_input(self) -> str:
        """What `once` tried last."""
        ...


async def run(plan: Plan, record: Record) -> None:
    """The targets in turn until the time is up."""
    async with AsyncExitStack() as stack:
        items = load_items()
        bus, centre, search = _bus(), _centre(plan.root), _search(plan.root, items)
        targets: dict[str, Target] = {
            "sdt frames": _SdtFrames(),
            "sdt driver": _SdtDriver(),
            "escpos status": _EscPosStatus(),
            "escpos driver": _EscPosDriver(),
            "local bus": await stack.enter_async_context(bus),
            "centre": await stack.enter_async_context(centre),
            "search": await stack.enter_async_context(search),
            "flow": _Flow(items),
        }
        randoms = {name: plan.random(name) for name in targets}
        end = time.monotonic() + plan.minutes * 60
        while time.monotonic() < end:
            for name, target in targets.items():
                await _turn(name, target, randoms[name], record)
    for name in targets:
        record.expect(
            f"{name}: every input ends in a value or a named fault",
            not record.counts[f"{name}: CRASH"] and record.counts[f"{name}: inputs"] > 0,
            inputs=record.counts[f"{name}: inputs"],
        )


async def _turn(name: str, target: Target, random: Random, record: Record) -> None:
    end = time.monotonic() + TURN_S
    while time.monotonic() < end:
        record.counts[f"{name}: inputs"] += 1
        try:
            outcome = await target.once(random)
        except Exception as fault:  # noqa: BLE001  # a crash is what we look for
            outcome = "CRASH"
            if record.counts[f"{name}: CRASH"] < CRASHES_KEPT:
                record.note(f"{name}: {type(fault).__name__}: {fault}; input {target.last_input}")
        record.counts[f"{name}: {outcome}"] += 1


# ── Making nonsense ──────────────────────────────────────────────────────────────────────────


def broken(random: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Something like `data`: often whole, often nearly, sometimes nothing like it."""
    kinds: Sequence[Callable[[], bytes]] = (
        lambda: data,
        lambda: _flipped(random, data),
        lambda: data[: random.randrange(len(data) + 1)],
        lambda: data[random.randrange(len(data) + 1) :],
        lambda: data + data,
        lambda: random.randbytes(random.randrange(1, 12)) + data,
        lambda: _spliced(random, data, random.randbytes(random.randrange(1, 9))),
        lambda: random.randbytes(random.randrange(200)),
        lambda: random.choice([data, *others]),
        lambda: b"",
    )
    weights = (10, 6, 3, 2, 1, 2, 3, 2, 3, 1)
    return random.choices(kinds, weights)[0]()


def _flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _spliced(random: Random, data: bytes, piece: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + piece + data[at + random.randrange(len(piece) + 1) :]


def broken_json(random: Random, document: dict[str, Any]) -> bytes:
    """A message with a field gone, of another type, out of bounds, deep, or in broken JSON."""
    changed = json.loads(json.dumps(document))
    for _ in range(random.randrange(3)):
        _spoil(random, changed)
    text = json.dumps(changed, ensure_ascii=random.random() < 0.5).encode()
    if random.random() < 0.25:
        return broken(random, text)
    return text


def _spoil(random: Random, document: dict[str, Any]) -> None:
    places: list[tuple[Any, Any]] = []
    _places(document, places)
    if not places:
        return
    holder, key = random.choice(places)
    match random.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"x{random.randrange(100)}"] = deepcopy(holder[key])
        case _:
            holder[key] = deepcopy(random.choice(_ODD))


def _places(value: Any, places: list[tuple[Any, Any]]) -> None:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(entries):
        places.append((value, key))
        if isinstance(inner, (dict, list)):
            _places(inner, places)


_DEEP: Any = 0
for _ in range(150):
    _DEEP = [_DEEP]

_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63), 2**80, 1e300, 0.5, float("nan")),
    *("", "x", "0", "-1", "\0", "\x7f", "中文", "😀", "a" * 5000, "../../etc/passwd", "%s{0}"),
    *([], {}, [[]], {"": {}}, ["a"] * 300, _DEEP, "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "hallkit/fuzz/terminal-01"),
)


# ── Drivers ──────────────────────────────────────────────────────────────────────────────────


class _WireClock:
    """Time that passes only while a wire is silent."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def mono_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += max(seconds, 0.001)


class _Wire:
    """A transport whose other end answers what `answer` says, in pieces; None hangs up."""

    def __init__(self, clock: _WireClock, answer: Callable[[bytes], list[bytes | None]]) -> None:
        self._clock = clock
        self._answer = answer
        self._arriving: deque[bytes | None] = deque()
        self.delivered = bytearray()
        self.written = bytearray()
        self.is_open = False

    async def open(self, *, timeout_s: float) -> None:  # noqa: ARG002  # the port's shape
        self.is_open = True

    async def write(self, data: bytes, *, timeout_s: float) -> None:  # noqa: ARG002
        self._must_be_open()
        self.written += data
        self._arriving.extend(self._answer(data))

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        self._must_be_open()
        if not self._arriving:
            self._clock.now_s += timeout_s
            raise DeviceTimeout("fuzz", Reason.SILENT)
        self._clock.now_s += 0.002
        data = self._arriving.popleft()
        if data is None:
            self.is_open = False
            raise DeviceUnavailable("fuzz", Reason.PORT_GONE)
        if len(data) > limit:
            self._arriving.appendleft(data[limit:])
        self.delivered += data[:limit]
        return data[:limit]

    async def drain_input(self) -> int:
        thrown = sum(len(data or b"") for data in self._arriving)
        self._arriving.clear()
        return thrown

    async def close(self) -> None:
        self.is_open = False
        self._arriving.clear()

    def _must_be_open(self) -> None:
        if not self.is_open:
            raise DeviceUnavailable("fuzz", Reason.PORT_GONE)


def _pieces(random: Random, data: bytes) -> list[bytes | None]:
    """As a wire delivers: in pieces, or cut off by a hang-up."""
    pieces: list[bytes | None] = []
    while data:
        size = random.randrange(1, len(data) + 1)
        pieces.append(data[:size])
        data = data[size:]
    if random.random() < 0.02:
        pieces.insert(random.randrange(len(pieces) + 1), None)
    return pieces


def _card_text() -> bytes:
    text = bytearray(" " * 128, "utf-16-le")
    fields = {
        0: "张三", 30: "1", 32: "01", 36: "19491231", 52: "测试路1号", 122: "11010519491231002X",
        158: "测试局", 188: "20200101", 204: "长期",
    }  # fmt: skip
    for offset, value in fields.items():
        raw = value.encode("utf-16-le")
        text[offset : offset + len(raw)] = raw
    return bytes(text)


_OK = b"\0\0\x90"
_SDT_ANSWERS: Mapping[bytes, bytes] = {
    sdt.SAM_STATUS.code: sdt.frame(_OK),
    sdt.SAM_ID.code: sdt.frame(_OK + bytes.fromhex("0500010009B83201E7030000AD000000")),
    sdt.FIND.code: sdt.frame(b"\0\0\x9f" + bytes(4)),
    sdt.SELECT.code: sdt.frame(_OK + bytes(8)),
    sdt.READ.code: sdt.frame(_OK + bytes.fromhex("01000400") + _card_text() + bytes(1024)),
    sdt.APPENDED.code: sdt.frame(b"\0\0\x91"),
}
_SDT_ALL = tuple(_SDT_ANSWERS.values())


def _sdt_reply(random: Random, real: bytes) -> bytes:
    """A broken reply, or a whole frame of broken content: the check byte is right then."""
    if random.random() < 0.3:
        content = broken(random, real[len(sdt.PREAMBLE) + 2 : -1])[: sdt.MAX_LENGTH]
        return sdt.frame(content)
    return broken(random, real, _SDT_ALL)


class _SdtFrames:
    last_input = ""

    async def once(self, random: Random) -> str:
        data = b"".join(_sdt_reply(random, random.choice(_SDT_ALL)) for _ in range(4))
        self.last_input = data.hex()
        stream = sdt.ReplyStream()
        replies = [reply for piece in _pieces(random, data) for reply in stream.feed(piece or b"")]
        whole = sdt.ReplyStream()
        if [r.status for r in whole.feed(data)] != [r.status for r in replies]:
            raise AssertionError("the replies depend on how the bytes were split")
        for reply in replies:
            if reply.status == sdt.Status.OK and len(reply.data) in sdt.READ.data_bytes:
                sdt.split_read(reply.data)
            if reply.status == sdt.Status.OK and len(reply.data) == sdt.SAM_ID.data_bytes.start:
                sdt.sam_id_text(reply.data)
        return f"{min(len(replies), 5)} replies"


class _SdtDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        clock = _WireClock()
        config = SdtConfig(
            id="fuzz", driver="sdt", transport=SerialPort(kind="serial", path="/dev/fuzz")
        )

        def answer(request: bytes) -> list[bytes | None]:
            code = request[len(sdt.PREAMBLE) + 2 : len(sdt.PREAMBLE) + 4]
            return _pieces(random, _sdt_reply(random, _SDT_ANSWERS[code]))

        port = _Wire(clock, answer)
        reader = SdtReader(config, clock, open_transport=lambda _id, _port: port)
        try:
            if random.random() < 0.3:
                return f"probe {(await reader.probe()).status}"
            return type(await reader.poll_card()).__name__
        except DeviceError as fault:
            return fault.code
        finally:
            self.last_input = port.delivered.hex()
            await port.close()


_ESCPOS_ANSWERS = (b"\x12", b"\x16", b"\x1a", b"\x37\x25\x00", b"\x5fTM\x00", b"\x10\0\0\0", b"\0")
_SLIP = Slip(
    lines=(TextLine(text="A001 䶮"), QrLine(text="HK1.T.0.20260101.A001.x")), reprint_mark="补打"
)


class _EscPosStatus:
    last_input = ""

    async def once(self, random: Random) -> str:
        data = b"".join(
            broken(random, random.choice(_ESCPOS_ANSWERS), _ESCPOS_ANSWERS) for _ in range(12)
        )
        self.last_input = data.hex()
        pieces, at_once = Deframer(), Deframer()
        frames = [frame for piece in _pieces(random, data) for frame in pieces.feed(piece or b"")]
        if at_once.feed(data) != frames:
            raise AssertionError("the frames depend on how the bytes were split")
        for frame in frames:
            if isinstance(frame, AutoStatus):
                _ = of_auto_status(frame).reason
        condition = of_real_time(*random.randbytes(4))
        return f"condition {condition.reason or 'works'}"


class _EscPosDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        clock = _WireClock()
        config = EscPosConfig(
            id="fuzz", driver="escpos", transport=TcpPort(host="printer", port=9100)
        )
        port = _Wire(clock, lambda data: _escpos_answer(random, data))
        printer = EscPosPrinter(config, clock, transport=port)
        try:
            if random.random() < 0.5:
                return f"probe {(await printer.probe()).status}"
            outcome = await printer.print_slip(_SLIP, marked=random.random() < 0.5)
        finally:
            self.last_input = port.delivered.hex()
            await port.close()
        echo = b"\x37\x22" + _asked_identifier(bytes(port.written)) + b"\x00"
        if outcome.result is PrintResult.COMPLETED and echo not in port.delivered:
            raise AssertionError("completed without the printer's word")
        return f"print {outcome.result}"


def _escpos_answer(random: Random, data: bytes) -> list[bytes | None]:
    """What a printer answers, each answer perhaps broken; sometimes a status nobody asked for."""
    answers = []
    if data[:2] == b"\x10\x04":
        answers.append(b"\x12")
    if b"\x1dI\x43" in data:
        answers += [b"\x5fTM\x00", b"\x5f1\x00"]
    if data[:3] == b"\x10\x14\x08":
        answers.append(b"\x37\x25\x00")
    if identifier := _asked_identifier(data):
        answers.append(b"\x37\x22" + identifier + b"\x00")
    if random.random() < 0.1:
        answers.append(bytes([0x10, *(random.randrange(128) & 0x6F for _ in range(3))]))
    return [
        piece
        for one in answers
        for whole in [one if random.random() < 0.8 else broken(random, one, _ESCPOS_ANSWERS)]
        for piece in _pieces(random, whole)
    ]


def _asked_identifier(data: bytes) -> bytes:
    """The four characters of the last process-ID request."""
    before, request, behind = data.rpartition(b"\x1d(H\x06\x0000")
    return behind[:4] if request and len(behind) >= 4 and before else b""


# ── The local bus ────────────────────────────────────────────────────────────────────────────


class _Bus:
    last_input = ""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def once(self, random: Random) -> str:
        request = {"kind": "request", "id": "1", "name": "tap", "args": {"action": "a"}}
        lines = [_bus_line(random, request) for _ in range(random.randrange(1, 30))]
        self.last_input = b"\n".join(lines)[:2000].hex()
        reader, writer = await asyncio.open_unix_connection(self._path, limit=wire.LINE_LIMIT)
        try:
            writer.write(b"\n".join(lines) + b"\n")
            writer.write_eof()
            async with asyncio.timeout(READ_TIMEOUT_S):
                answers = await _server_lines(reader)
        except ConnectionError:
            answers = []
        finally:
            writer.close()
        failed = [one.error.code for one in answers if isinstance(one, wire.Reply) and one.error]
        if "internal" in failed:
            raise AssertionError("a request crashed its handler")
        await self._well_behaved()
        kinds = {type(answer).__name__ for answer in answers[2:]}
        return "+".join(sorted(kinds)) or "nothing"

    async def _well_behaved(self) -> None:
        """Another client is served as ever."""
        reader, writer = await asyncio.open_unix_connection(self._path, limit=wire.LINE_LIMIT)
        request = wire.Request(id="ok", name="tap", args={"action": "a"})
        try:
            writer.write(wire.encode_line(request))
            writer.write_eof()
            async with asyncio.timeout(READ_TIMEOUT_S):
                answers = await _server_lines(reader)
        finally:
            writer.close()
        if not any(isinstance(one, wire.Reply) and one.error is None for one in answers):
            raise AssertionError("the other client was not answered")


async def _server_lines(reader: asyncio.StreamReader) -> list[Message]:
    answers: list[Message] = []
    while line := await reader.readline():
        answers.append(wire.decode_server_line(line))
    return answers


def _bus_line(random: Random, request: dict[str, Any]) -> bytes:
    if random.random() < 0.01:
        return b"[" * random.choice((500, 100_000, wire.LINE_LIMIT + 10))
    return broken_json(random, request)


@asynccontextmanager
async def _bus() -> AsyncIterator[Target]:
    async def on_tap(args: Mapping[str, Any], _from: Connection) -> Message:
        parse_args(Tap, args)
        return Empty()

    # A Unix socket's path has at most 107 characters; the folder's may be longer.
    path = Path("/dev/shm") / f"hallkit-fuzz-{new_id()}.sock"  # noqa: S108  # named by chance
    async with BusServer("fuzz", path, handlers={"tap": on_tap}, snapshot=Empty):
        yield _Bus(path)


# ── The operations centre ────────────────────────────────────────────────────────────────────


class _Centre:
    last_input = ""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seq = 0

    async def once(self, random: Random) -> str:
        messages = [self._message(random) for _ in range(random.randrange(1, 8))]
        self.last_input = repr(messages)[:3000]
        batch = [item for topic, payload in messages for item in receive(SITE, topic, payload)]
        now_ms = SystemClock().wall_ms()
        settled = await self._store.transaction(
            lambda connection: settle(connection, SITE, batch, now_ms)
        )
        for acks in settled.acks.values():
            for upto in acks.values():
                if upto > 2**53:
                    raise AssertionError("acknowledged beyond every number")
        refused = sum(isinstance(item, Refused) for item in batch)
        return "all refused" if refused == len(batch) else "some taken"

    def _message(self, random: Random) -> tuple[str, bytes]:
        device = random.choice(("terminal-01", "terminal-02"))
        topics = DeviceTopics(SITE, device)  # type: ignore[arg-type]  # plain text will do
        self._seq += 1
        document: Message
        match random.randrange(4):
            case 0:
                topic = topics.presence
                document = Presence(state="online", epoch=self._seq, boot="boot", ts=1)
            case 1:
                topic = topics.info
                document = Info(name="n", role="terminal", agent="1", peripherals=(_device(),))
            case _:
                topic = topics.report
                document = Report(
                    boot=random.choice(("boot", "earlier")),
                    seq=self._seq,
                    first=random.choice((1, self._seq)),
                    ts=1,
                    mono=1,
                    records=(_event(random, f"hallkit/{SITE}/{device}"),),
                )
        if random.random() < 0.05:
            topic = broken(random, topic.encode()).decode("utf-8", "replace")
        return topic, broken_json(random, document.model_dump(mode="json"))


def _device() -> DeviceReport:
    return DeviceReport(
        id="ticket-printer", port="ticket_printer", driver="escpos", status=DeviceStatus.ONLINE
    )


def _event(random: Random, source: str) -> CloudEvent:
    data = random.choice(
        (
            VisitStarted(visit=new_id()),
            TicketPrinted(job="j", state=PrintJobState.COMPLETED, attempts=1, copies_marked=0),
            DeviceStateChanged(device=_device()),
        )
    )
    return CloudEvent.wrap(data, source=source, time=utc(SystemClock().wall_ms()))


@asynccontextmanager
async def _centre(root: Path) -> AsyncIterator[Target]:
    async with Store(root / "fuzz-ops.sqlite") as store:
        yield _Centre(store)


# ── Search ───────────────────────────────────────────────────────────────────────────────────

_SYNTAX = (
    '"',
    "'",
    "*",
    "(",
    ")",
    " OR ",
    " AND ",
    "NEAR(",
    ":",
    "^",
    "-",
    "{",
    "\0",
    "%",
    "_",
    ";",
)


class _Search:
    last_input = ""

    def __init__(self, catalogue: Catalogue, names: Sequence[str]) -> None:
        self._catalogue = catalogue
        self._names = names

    async def once(self, random: Random) -> str:
        query = self._query(random)
        self.last_input = repr(query)
        hits = self._catalogue.search(query)
        if any(not 0 <= hit.score <= 1 for hit in hits):
            raise AssertionError("a score is out of its range")
        return "found" if hits else "nothing"

    def _query(self, random: Random) -> str:
        name = random.choice(self._names)
        match random.randrange(5):
            case 0:
                return "".join(random.sample(name, random.randrange(1, len(name) + 1)))
            case 1:
                piece = random.choice(_SYNTAX)
                at = random.randrange(len(name) + 1)
                return name[:at] + piece + name[at:]
            case 2:
                return "".join(chr(_any_character(random)) for _ in range(random.randrange(80)))
            case 3:
                letters = "abcdefghijklmnopqrstuvwxyz0123456789 "
                return "".join(random.choice(letters) for _ in range(random.randrange(100)))
            case _:
                return name * random.randrange(1, 40)


def _any_character(random: Random) -> int:
    code = random.randrange(0x110000)
    return code if not 0xD800 <= code <= 0xDFFF else 0x4E00


@asynccontextmanager
async def _search(root: Path, items: Sequence[Item]) -> AsyncIterator[Target]:
    path = root / "fuzz-catalogue.sqlite"
    snapshot.build(items, path, version="fuzz")
    catalogue = Catalogue.unverified(path)
    try:
        yield _Search(catalogue, [item.plain_name for item in items])
    finally:
        catalogue.close()


# ── The flow ─────────────────────────────────────────────────────────────────────────────────

_ACTIONS = (
    *("choose", "page", "take_number", "without_card", "is_me", "take", "done", "again", "back"),
    *("home", "call_staff", "none_of_these", "large_type", "stay", "nonsense", ""),
)


class _Flow:
    """A visit under taps and events that come as they like."""

    last_input = ""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._words = words("zh_CN")
        self._visit = Visit(id=VisitId(new_id()))
        self._offered: list[tuple[str, str]] = []
        self._history: deque[str] = deque(maxlen=25)

    async def once(self, random: Random) -> str:
        if self._visit.over or random.random() < 0.005:
            self._visit = Visit(id=VisitId(new_id()))
            self._history.clear()
        around = _around(random, self._items)
        event = self._event(random)
        self._history.append(repr(event)[:120])
        self.last_input = " ; ".join(self._history)
        before = self._visit.step
        try:
            self._visit, effects = step(self._visit, event, around, self._words)
            self._offered = _offers(present(self._visit, around, self._words))
        except Exception:
            self._visit = Visit(id=VisitId(new_id()))  # the next visit starts anew
            raise
        # A draft is written after every event and read after a crash.
        Visit.model_validate_json(self._visit.model_dump_json())
        for effect in effects:
            if isinstance(effect, ev.OpenItem):
                item = next((one for one in self._items if one.catalog_code == effect.code), None)
                if item is not None:
                    opened, _ = step(self._visit, ev.ItemOpened(item), around, self._words)
                    self._visit = opened
                    self._offered = _offers(present(self._visit, around, self._words))
        return f"{before} to {self._visit.step}" if before is not self._visit.step else "stays"

    def _event(self, random: Random) -> ev.Event:
        visit = self._visit
        item = random.choice(self._items)
        if random.random() < 0.6:
            return self._tap(random, item)
        found = Found(code=item.catalog_code, plain_name="x", task_name="y")
        job = random.choice((visit.job_id, "another"))
        state = random.choice(list(PrintJobState))
        events: tuple[ev.Event, ...] = (
            ev.Typed(broken(random, b"spjyxkz").decode("utf-8", "replace")),
            ev.SearchDone(random.choice((visit.query, "another")), (found,)),
            ev.CardSeen(_card(random)),
            ev.CardProblem(),
            ev.CardLeftBehind(),
            ev.CardLifted(),
            ev.TicketGiven(_TICKET),
            ev.TicketRefused(random.choice(("link.down", "other", ""))),
            ev.JobChanged(PrintJob(id=job, state=state)),
            ev.NobodyTaps(random.randrange(-1, 31)),
        )
        return random.choice(events)

    def _tap(self, random: Random, item: Item) -> ev.Tapped:
        """Mostly something that the screen offers, as a person does."""
        if self._offered and random.random() < 0.8:
            return ev.Tapped(*random.choice(self._offered))
        values = ("find", item.catalog_code, "-1", "9999", "²", "", "1")
        return ev.Tapped(random.choice(_ACTIONS), random.choice(values))


def _offers(view: View) -> list[tuple[str, str]]:
    """Every tap that a view offers, those of the visit oftener than those that end it."""
    actions = (view.primary, view.secondary, view.back, view.previous, view.next)
    found = [(one.id, one.value) for one in actions if one is not None]
    found += [("choose", choice.value) for choice in view.choices] * 2
    return found + [(one.id, one.value) for one in view.chrome.help]


_TICKET = Ticket(
    id="0",
    number="A001",
    service="market",
    service_name="市场监管",
    windows="2楼",
    issued_at_ms=1_790_000_000_000,
    waiting_ahead=3,
    code="HK1.T.0.20260101.A001.x",
)


def _card(random: Random) -> IdentityCard:
    return IdentityCard.model_validate(
        {
            "kind": "resident",
            "name": random.choice(("张三", "欧", "阿卜杜拉·买买提明")),
            "number": "11010519491231002X",
            "sex_code": "1",
            "birth": random.choice(("1949-12-31", "2020-02-29", "2999-01-01")),
        }
    )


def _around(random: Random, items: Sequence[Item]) -> Surroundings:
    printer = _device().model_copy(
        update={
            "status": random.choice(list(DeviceStatus)),
            "paper": random.choice(list(Paper)),
        }
    )
    return Surroundings(
        hall_name="大厅",
        now_ms=1_790_000_000_000 + random.randrange(10**9),
        devices=(printer,) if random.random() < 0.8 else (),
        waits_at_ms=random.choice((None, 1_790_000_000_000)),
        hall_up=random.random() < 0.5,
        catalogue_ready=random.random() < 0.95,
        popular=tuple(
            Found(code=item.catalog_code, plain_name=item.plain_name, task_name=item.task_name)
            for item in items
        ),
    )
