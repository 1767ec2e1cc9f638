"""Bus, centre, search and flow under nonsense: what processes and people might send."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from hallkit.catalogue import snapshot
from hallkit.catalogue.snapshot import Catalogue
from hallkit.lexicon.words import words
from hallkit.model.content import Content
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.identity import IdentityCard
from hallkit.model.ids import SiteId, VisitId, new_id
from hallkit.model.item import Item
from hallkit.model.printing import PrintJob, PrintJobState
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
from launcher.rehearsals.nonsense import broken, broken_json
from ops.effects import settle
from ops.inbound import Refused, receive
from ops.store import Store

SITE = SiteId("fuzz")
READ_TIMEOUT_S = 5.0


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
async def fuzzed_bus() -> AsyncIterator[_Bus]:
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
async def fuzzed_centre(root: Path) -> AsyncIterator[_Centre]:
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
async def fuzzed_search(root: Path, items: Sequence[Item]) -> AsyncIterator[_Search]:
    path = root / "fuzz-catalogue.sqlite"
    snapshot.build(Content(items=tuple(items)), path, version="fuzz")
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


class Flow:
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
