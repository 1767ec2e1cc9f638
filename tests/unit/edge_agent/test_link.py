"""Reports go out in order, within the hub's credit, until the hub says that it has them."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge_agent.link import CREDIT_AT_START, CREDIT_LIMIT, DeviceLink, tell_while_running
from hallkit.clients.outbox import SCHEMA, Outbox
from hallkit.errors import LinkDown, LinkError, Rejected, StoreError
from hallkit.model.ids import DeviceId, SiteId
from hallkit.runtime.journal import Journal
from hallkit.wire.events import CloudEvent, VisitStarted
from hallkit.wire.mqtt import (
    PAYLOAD_LIMIT,
    Ack,
    HubState,
    Info,
    Presence,
    Report,
    SystemDown,
    UpstreamNotice,
)
from hallkit.wire.topics import UPSTREAM_STREAM, DeviceTopics, hall_stream, hub_state
from tests.fakes.clock import HastyClock

TOPICS = DeviceTopics(SiteId("demo"), DeviceId("terminal-01"))
HUB = hub_state(SiteId("demo"))
SYSTEMS = hall_stream(SiteId("demo"), UPSTREAM_STREAM)
NOW = dt.datetime(2025, 1, 2, 4, tzinfo=dt.UTC)


class FakeBroker:
    """What `DeviceLink` uses of `MqttLink`; keeps what was published."""

    def __init__(self) -> None:
        self.connected = asyncio.Event()
        self.published: list[tuple[str, bytes, bool]] = []
        self.subscribed: list[str] = []
        self.fault: LinkError | None = None
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self.faults_raised = asyncio.Event()
        self.anything = asyncio.Event()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        if self.fault is not None:
            self.faults_raised.set()
            raise self.fault
        self.published.append((topic, payload, retain))
        self.anything.set()
        if topic == TOPICS.report:
            self.reports.put_nowait(Report.from_bytes(payload, limit=PAYLOAD_LIMIT))

    async def subscribe(self, *filters: str) -> None:
        self.subscribed += filters


class Machine:
    """One life of the agent's link over a journal that outlives it."""

    def __init__(self, journal: Journal, *, boot: str, resend_after_s: float = 60.0) -> None:
        self.clock = HastyClock()
        self.broker = FakeBroker()
        self.outbox = Outbox(journal, boot=boot)
        self.boot = boot
        self.systems: list[UpstreamNotice] = []
        self.link = DeviceLink(
            self.broker,
            self.outbox,
            self.clock,
            topics=TOPICS,
            boot=boot,
            info=lambda: Info(name="1号", role="terminal", agent="1", peripherals=()),
            on_systems=self.systems.append,
            resend_after_s=resend_after_s,
        )

    async def connect(self) -> None:
        self.broker.connected.clear()
        await self.link.make_will()
        await self.link.on_connected()
        self.broker.connected.set()

    async def add(self, count: int) -> None:
        for _ in range(count):
            event = CloudEvent.wrap(VisitStarted(visit="v"), source="hallkit/demo/t", time=NOW)
            await self.outbox.add(
                event,
                wall_ms=self.clock.wall_ms(),
                mono_ms=round(self.clock.mono_s() * 1000),
            )

    async def reports(self, count: int) -> list[Report]:
        async with asyncio.timeout(5):
            return [await self.broker.reports.get() for _ in range(count)]

    async def hub_says(self, upto: int, *, boot: str | None = None, credit: int = 50) -> None:
        ack = Ack(boot=boot or self.boot, upto=upto, credit=credit)
        await self.link.on_message(TOPICS.ack, ack.to_bytes())
        await self.settled()

    async def settled(self) -> None:
        """Return when the sender has nothing left to do."""
        for _ in range(5):
            await self.outbox.size()


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as opened:
        yield opened


@pytest.fixture
async def machine(journal: Journal) -> AsyncIterator[Machine]:
    async with running(Machine(journal, boot="boot-b")) as one:
        yield one


@asynccontextmanager
async def running(machine: Machine) -> AsyncIterator[Machine]:
    await machine.outbox.start()
    sending = asyncio.create_task(machine.link.run())
    try:
        yield machine
        assert not sending.done()
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


async def test_which_systems_are_down_is_passed_on(machine: Machine) -> None:
    down = SystemDown(system="civil_affairs", plain_name="民政信息系统", since_ms=1)
    told = UpstreamNotice(down=(down,), ts=2)
    await machine.link.on_message(SYSTEMS, told.to_bytes())
    await machine.link.on_message(SYSTEMS, b"garbled")
    assert (machine.systems, machine.link.refused) == ([told], 1)


async def test_the_birth_says_who_is_here_and_the_will_says_goodbye(machine: Machine) -> None:
    topic, will = await machine.link.make_will()
    assert topic == TOPICS.presence
    testament = Presence.from_bytes(will, limit=PAYLOAD_LIMIT)
    assert (testament.state, testament.orderly) == ("offline", False)
    await machine.link.on_connected()
    assert machine.broker.subscribed == [TOPICS.ack, TOPICS.desired, HUB, SYSTEMS]
    presence, info = machine.broker.published
    birth = Presence.from_bytes(presence[1], limit=PAYLOAD_LIMIT)
    assert (presence[0], presence[2]) == (TOPICS.presence, True)
    assert (birth.state, birth.epoch, birth.boot) == ("online", 1, "boot-b")
    assert (info[0], info[2]) == (TOPICS.info, True)
    leave_topic, leave = machine.link.farewell()
    assert leave_topic == TOPICS.presence
    parting = Presence.from_bytes(leave, limit=PAYLOAD_LIMIT)
    assert (parting.state, parting.orderly) == ("offline", True)
    await machine.link.make_will()
    await machine.link.on_connected()
    again = Presence.from_bytes(machine.broker.published[2][1], limit=PAYLOAD_LIMIT)
    assert again.epoch == 2


async def test_reports_go_out_in_order_and_are_kept_until_acknowledged(machine: Machine) -> None:
    await machine.add(3)
    await machine.connect()
    first, second, third = await machine.reports(3)
    assert [report.seq for report in (first, second, third)] == [1, 2, 3]
    assert (first.boot, first.first, first.hist) == ("boot-b", 1, False)
    assert await machine.outbox.size() == 3
    await machine.hub_says(2)
    assert [row.seq for row in await machine.outbox.rows_after(0, limit=9)] == [3]
    await machine.add(1)
    [fourth] = await machine.reports(1)
    assert (fourth.seq, fourth.first) == (4, 3)


async def test_no_more_is_on_the_way_than_the_hub_takes(machine: Machine) -> None:
    await machine.add(CREDIT_AT_START + 20)
    await machine.connect()
    assert [report.seq for report in await machine.reports(CREDIT_AT_START)][-1] == CREDIT_AT_START
    await machine.settled()
    assert machine.broker.reports.empty()
    await machine.hub_says(10, credit=45)
    assert [report.seq for report in await machine.reports(5)] == [51, 52, 53, 54, 55]
    await machine.settled()
    assert machine.broker.reports.empty()


async def test_an_acknowledgement_of_what_was_never_sent_gives_no_credit(
    journal: Journal,
) -> None:
    """Rows of a former boot go with a late word of the hub: they were not on this way."""
    former = Machine(journal, boot="boot-a")
    await former.outbox.start()
    await former.add(30)
    async with running(Machine(journal, boot="boot-b")) as machine:
        await machine.add(5)
        await machine.hub_says(30, boot="boot-a", credit=2)
        await machine.connect()
        assert [report.seq for report in await machine.reports(2)] == [1, 2]
        await machine.settled()
        assert machine.broker.reports.empty()


async def test_a_boundless_credit_is_bounded(machine: Machine) -> None:
    await machine.hub_says(0, credit=10**9)
    assert machine.link._credit == CREDIT_LIMIT


async def test_a_new_connection_sends_everything_unacknowledged_again(machine: Machine) -> None:
    await machine.add(3)
    await machine.connect()
    await machine.reports(3)
    await machine.hub_says(1)
    await machine.connect()
    await machine.add(1)
    assert [report.seq for report in await machine.reports(3)] == [2, 3, 4]


async def test_what_is_live_goes_before_the_backlog(machine: Machine) -> None:
    await machine.add(3)
    machine.clock.advance(7 * 86_400)
    await machine.add(2)
    await machine.connect()
    reports = await machine.reports(5)
    assert [(one.seq, one.hist) for one in reports] == [
        (4, False),
        (5, False),
        (1, True),
        (2, True),
        (3, True),
    ]
    assert {one.first for one in reports} == {1}
    await machine.hub_says(5)
    await machine.add(1)
    assert [one.seq for one in await machine.reports(1)] == [6]


async def test_live_rows_leave_the_backlog_half_of_the_credit(machine: Machine) -> None:
    """They are acknowledged only behind it."""
    await machine.hub_says(0, credit=4)
    await machine.add(6)
    machine.clock.advance(7 * 86_400)
    await machine.add(6)
    await machine.connect()
    assert [one.seq for one in await machine.reports(4)] == [7, 8, 1, 2]
    await machine.settled()
    assert machine.broker.reports.empty()
    await machine.hub_says(2, credit=4)
    assert [one.seq for one in await machine.reports(2)] == [3, 4]
    await machine.hub_says(4, credit=4)
    assert [one.seq for one in await machine.reports(2)] == [5, 6]
    await machine.hub_says(8, credit=4)
    assert [one.seq for one in await machine.reports(4)] == [9, 10, 11, 12]


async def test_a_gap_of_dropped_rows_costs_no_patience(journal: Journal) -> None:
    """The row behind it is sent once more, and its `first` tells that nothing is missing."""
    async with running(Machine(journal, boot="boot-b")) as machine:
        await machine.add(6)
        await journal.write(lambda db: db.execute("delete from outbox where seq in (2, 3, 5)"))
        await machine.connect()
        assert [(one.seq, one.first) for one in await machine.reports(3)] == [
            (1, 1),
            (4, 1),
            (6, 1),
        ]
        await machine.hub_says(1)
        assert [(one.seq, one.first) for one in await machine.reports(1)] == [(4, 4)]
        await machine.hub_says(1)  # said again: once is enough
        await machine.hub_says(4)
        assert [(one.seq, one.first) for one in await machine.reports(1)] == [(6, 6)]
        await machine.hub_says(6)
        assert await machine.outbox.size() == 0


async def test_nobody_waits_for_the_brokers_word(machine: Machine) -> None:
    word = asyncio.Event()

    class Slow(FakeBroker):
        async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
            await super().publish(topic, payload, retain=retain)
            if topic == TOPICS.report:
                await word.wait()

    slow = Slow()
    slow.connected = machine.broker.connected
    machine.broker = machine.link._link = slow
    await machine.add(20)
    await machine.connect()
    assert [report.seq for report in await machine.reports(20)] == list(range(1, 21))
    word.set()


async def test_what_failed_on_the_way_is_sent_again_with_all_behind_it(machine: Machine) -> None:
    class Flaky(FakeBroker):
        refusals = 1

        async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
            await super().publish(topic, payload, retain=retain)
            if topic != TOPICS.report or not self.refusals:
                return
            if Report.from_bytes(payload, limit=PAYLOAD_LIMIT).seq == 2:
                self.refusals -= 1
                await asyncio.sleep(0)  # the word comes when others are on the way
                raise Rejected("quota_exceeded", "broker")

    flaky = Flaky()
    flaky.connected = machine.broker.connected
    machine.broker = machine.link._link = flaky
    await machine.add(4)
    await machine.connect()
    told = [report.seq for report in await machine.reports(2)]
    while told[-1] != 4:
        told += [report.seq for report in await machine.reports(1)]
    assert told[-3:] == [2, 3, 4]
    await machine.hub_says(4)
    assert await machine.outbox.size() == 0


async def test_a_silent_hub_is_told_again(journal: Journal) -> None:
    async with running(Machine(journal, boot="boot-b", resend_after_s=0.0)) as machine:
        await machine.add(2)
        await machine.connect()
        assert [report.seq for report in await machine.reports(6)] == [1, 2, 1, 2, 1, 2]
        await machine.hub_says(2)
        await machine.settled()
        while not machine.broker.reports.empty():
            machine.broker.reports.get_nowait()
        await machine.settled()
        assert machine.broker.reports.empty()


async def test_a_hub_that_comes_back_is_told_again_at_once(machine: Machine) -> None:
    await machine.add(2)
    await machine.connect()
    await machine.reports(2)
    await machine.link.on_message(HUB, HubState(state="offline", ts=1).to_bytes())
    await machine.settled()
    assert machine.broker.reports.empty()
    await machine.link.on_message(HUB, HubState(state="online", ts=2).to_bytes())
    assert [report.seq for report in await machine.reports(2)] == [1, 2]
    assert machine.link.refused == 0


async def test_patience_does_not_begin_anew_with_every_row(machine: Machine) -> None:
    await machine.connect()
    await machine.add(1)
    await machine.reports(1)
    machine.clock.advance(59.0)
    await machine.add(1)
    await machine.reports(1)
    assert machine.link._patience_s() == pytest.approx(1.0, abs=0.1)


async def test_a_busy_machine_tells_a_silent_hub_again_too(journal: Journal) -> None:
    """New rows must not put off the moment at which the lost ones are sent again."""
    async with running(Machine(journal, boot="boot-b", resend_after_s=10.0)) as machine:
        await machine.connect()
        for seq in range(1, 4):
            await machine.add(1)
            assert [report.seq for report in await machine.reports(1)] == [seq]
            machine.clock.advance(4.0)
        await machine.add(1)
        assert [report.seq for report in await machine.reports(4)] == [1, 2, 3, 4]


async def test_a_word_that_comes_before_the_brokers_own_is_not_lost(machine: Machine) -> None:
    class Quick(FakeBroker):
        async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
            await super().publish(topic, payload, retain=retain)
            if topic == TOPICS.report:
                seq = Report.from_bytes(payload, limit=PAYLOAD_LIMIT).seq
                await machine.hub_says(seq)

    quick = Quick()
    quick.connected = machine.broker.connected
    machine.broker = machine.link._link = quick
    await machine.add(3)
    await machine.connect()
    await machine.reports(3)
    await machine.settled()
    assert machine.link._on_the_way == {}
    assert await machine.outbox.size() == 0


async def test_what_is_told_late_is_marked_as_history(journal: Journal) -> None:
    former = Machine(journal, boot="boot-a")
    await former.outbox.start()
    await former.add(1)
    machine = Machine(journal, boot="boot-b")
    machine.clock.advance(61.0)
    async with running(machine):
        await machine.add(1)
        await machine.connect()
        assert [report.hist for report in await machine.reports(2)] == [False, True]
        # A wall clock that is set right says nothing about how late it is.
        machine.broker.connected.clear()
        await machine.add(1)
        machine.clock.set_wall_ms(machine.clock.wall_ms() + 86_400_000)
        await machine.connect()
        late: dict[tuple[str, int], bool] = {}
        while ("boot-a", 1) not in late:
            [report] = await machine.reports(1)
            late[report.boot, report.seq] = report.hist
        assert late == {("boot-b", 1): False, ("boot-b", 2): False, ("boot-a", 1): True}


@pytest.mark.parametrize("fault", [LinkDown("gone"), Rejected("quota_exceeded", "broker")])
async def test_a_failed_publication_is_tried_again(machine: Machine, fault: LinkError) -> None:
    await machine.add(2)
    await machine.connect()
    await machine.reports(2)
    machine.broker.fault = fault
    await machine.add(1)
    async with asyncio.timeout(5):
        await machine.broker.faults_raised.wait()
    await machine.link.tell_info()  # skipped: the next birth tells it
    machine.broker.fault = None
    assert [report.seq for report in await machine.reports(1)] == [3]


async def test_a_row_that_is_too_big_is_told_empty_and_holds_nobody_up(machine: Machine) -> None:
    class Narrow(FakeBroker):
        async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
            if topic == TOPICS.report:
                report = Report.from_bytes(payload, limit=PAYLOAD_LIMIT)
                if report.seq == 2 and report.records:
                    raise Rejected("oversized", "too many bytes")
            await super().publish(topic, payload, retain=retain)

    narrow = Narrow()
    narrow.connected = machine.broker.connected
    machine.broker = machine.link._link = narrow
    await machine.add(3)
    await machine.connect()
    told = await machine.reports(3)
    assert [(one.seq, one.first, len(one.records)) for one in told] == [
        (1, 1, 1),
        (2, 1, 0),
        (3, 1, 1),
    ]
    await machine.connect()  # nobody acknowledged: all of it again, and dropped only once
    assert [len(one.records) for one in await machine.reports(3)] == [1, 0, 1]
    assert await machine.outbox.dropped() == 1
    await machine.hub_says(3)
    assert await machine.outbox.size() == 0


async def test_a_broker_that_refuses_is_asked_less_and_less_often(machine: Machine) -> None:
    pauses: list[float] = []
    mended = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await asyncio.sleep(0)
        if len(pauses) == 7:
            machine.broker.fault = None
            mended.set()

    machine.clock.sleep = sleep  # type: ignore[method-assign]
    await machine.connect()
    machine.broker.fault = Rejected("not_authorized", "broker")
    await machine.add(1)
    assert [report.seq for report in await machine.reports(1)] == [1]
    assert mended.is_set()
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


async def test_a_full_disk_ends_neither_the_sender_nor_the_next_connection(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = {"next_epoch": 3, "rows_after": 2}

    def full(name: str) -> None:
        works = getattr(machine.outbox, name)

        async def refuse(*args: object, **options: object) -> object:
            if faults[name]:
                faults[name] -= 1
                raise StoreError("agent.sqlite: database or disk is full")
            return await works(*args, **options)

        monkeypatch.setattr(machine.outbox, name, refuse)

    for name in faults:
        full(name)
    await machine.add(2)
    await machine.connect()
    assert [report.seq for report in await machine.reports(2)] == [1, 2]
    birth = Presence.from_bytes(machine.broker.published[0][1], limit=PAYLOAD_LIMIT)
    assert (birth.epoch, faults) == (1, {"next_epoch": 0, "rows_after": 0})
    assert machine.clock.mono_s() == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        (TOPICS.ack, b""),
        (TOPICS.ack, b"\xff\x00{"),
        (TOPICS.ack, b'{"boot":"boot-b","upto":-1,"credit":1}'),
        (TOPICS.ack, b'{"boot":"boot-b","upto":1,"credit":0}'),
        (TOPICS.ack, b'{"boot":"boot-b","upto":"all","credit":5}'),
        (TOPICS.ack, b'{"upto":1,"credit":5}'),
        (HUB, b'{"state":"tired","ts":1}'),
        (TOPICS.ack, b" " * (PAYLOAD_LIMIT + 1)),
        ("hallkit/1/demo/terminal-02/down/ack", b'{"boot":"boot-b","upto":1,"credit":5}'),
    ],
)
async def test_a_senseless_acknowledgement_is_refused_and_counted(
    machine: Machine, topic: str, payload: bytes
) -> None:
    await machine.add(1)
    await machine.link.on_message(topic, payload)
    assert machine.link.refused == 1
    assert await machine.outbox.size() == 1


async def test_the_inventory_is_told_when_it_changed(machine: Machine) -> None:
    changed = asyncio.Event()
    telling = asyncio.create_task(tell_while_running(changed, machine.link.tell_info))
    changed.set()
    async with asyncio.timeout(5):
        await machine.broker.anything.wait()
    assert machine.broker.published[0][0] == TOPICS.info
    telling.cancel()
    await asyncio.gather(telling, return_exceptions=True)
