"""Each effect once, in any order, with any loss; an acknowledgement never runs ahead."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from hallkit.errors import LinkDown, StoreError
from hallkit.model.device import DeviceReport, DeviceStatus, Paper
from hallkit.model.ids import DeviceId, SiteId
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.printing import PrintJobState
from hallkit.runtime.clock import SystemClock
from hallkit.wire.events import (
    CloudEvent,
    DeviceStateChanged,
    EventData,
    Health,
    TicketPrinted,
    VisitStarted,
)
from hallkit.wire.mqtt import PAYLOAD_LIMIT, Ack, Info, Presence, Report
from hallkit.wire.topics import DeviceTopics
from ops import store, view
from ops.effects import SUSPECT, settle
from ops.inbound import Heard, Refused, receive
from ops.ingest import Ingest
from ops.store import Store, migrate

SITE, DEVICE = SiteId("hall"), DeviceId("terminal-01")
TOPICS = DeviceTopics(SITE, DEVICE)
NOW = dt.datetime(2026, 11, 23, 9, 30, tzinfo=dt.UTC)
NOW_MS = round(NOW.timestamp() * 1000)


@contextmanager
def database() -> Iterator[sa.Engine]:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    store.metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def event(data: EventData, time: dt.datetime = NOW) -> CloudEvent:
    return CloudEvent.wrap(data, source=f"hallkit/{SITE}/{DEVICE}", time=time)


def report(
    seq: int, *data: EventData, boot: str = "b1", first: int = 1, hist: bool = False
) -> Heard:
    records = tuple(event(one) for one in data)
    return Heard(
        DEVICE,
        Report(boot=boot, seq=seq, first=first, ts=0, mono=0, hist=hist, records=records),
    )


def presence(state: str, epoch: int, boot: str = "b1", *, orderly: bool = False) -> Heard:
    body = {"state": state, "epoch": epoch, "boot": boot, "ts": 0, "orderly": orderly}
    return Heard(DEVICE, Presence.model_validate(body))


def visit(number: int) -> VisitStarted:
    return VisitStarted(visit=f"v{number}")


def printer(paper: Paper) -> DeviceStateChanged:
    return DeviceStateChanged(
        device=DeviceReport(
            id="ticket-printer",
            port="ticket_printer",
            driver="escpos",
            status=DeviceStatus.ONLINE,
            paper=paper,
        )
    )


def health(rows: int) -> Health:
    return Health(
        uptime_s=1,
        load_1m=0,
        memory_used_mb=1,
        memory_total_mb=1,
        disk_free_mb=1,
        outbox_rows=rows,
        refused_messages=0,
    )


def apply(engine: sa.Engine, *batch: Heard | Refused) -> dict[str, int]:
    """One committed transaction; the acknowledgements by boot."""
    with engine.begin() as connection:
        return settle(connection, SITE, batch, NOW_MS).acks.get(DEVICE, {})


def counters(engine: sa.Engine) -> dict[str, int]:
    with engine.begin() as connection:
        rows = connection.execute(sa.select(store.counter.c.name, store.counter.c.value)).all()
    return {name: value for name, value in rows}  # noqa: C416  # rows are no pairs to mypy


def one(engine: sa.Engine, table: sa.Table) -> dict[str, Any]:
    with engine.begin() as connection:
        return dict(connection.execute(sa.select(table)).mappings().one())


# ── Whatever the wire does ────────────────────────────────────────────────────────────────────


class _Sender:
    """A machine's two boots, its outbox, and a centre that may die before a commit."""

    def __init__(self, engine: sa.Engine, count: int) -> None:
        self._engine = engine
        self._count = count
        self.kept = {boot: set(range(1, count + 1)) for boot in ("b1", "b2")}
        self._committed: dict[str, set[int]] = {"b1": set(), "b2": set()}

    def send(self, *wanted: tuple[str, int], dies: bool = False, ack_arrives: bool = True) -> None:
        batch = [self._message(boot, seq) for boot, seq in wanted]
        with self._engine.connect() as connection, connection.begin() as transaction:
            settled = settle(connection, SITE, batch, NOW_MS)
            if dies:
                transaction.rollback()
                return
        for boot, seq in wanted:
            self._committed[boot].add(seq)
        for boot, upto in settled.acks.get(DEVICE, {}).items():
            acknowledged = set(range(1, upto + 1))
            assert acknowledged <= self._committed[boot]
            if ack_arrives:
                self.kept[boot] -= acknowledged

    def send_the_rest(self) -> None:
        for boot, kept in self.kept.items():
            for seq in sorted(kept):
                self.send((boot, seq))
            assert not kept

    def _message(self, boot: str, seq: int) -> Heard:
        first = min(self.kept[boot], default=self._count + 1)
        printed = TicketPrinted(
            job=f"{boot}-{seq}", state=PrintJobState.COMPLETED, attempts=1, copies_marked=0
        )
        return report(seq, visit(seq), printed, boot=boot, first=first)


COUNT = 8
ON_THE_WIRE = st.lists(
    st.tuples(
        st.lists(
            st.tuples(st.sampled_from(["b1", "b2"]), st.integers(1, COUNT)),
            min_size=1,
            max_size=10,
        ),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(batches=ON_THE_WIRE)
def test_any_order_loss_and_repetition_yields_every_effect_once(
    batches: list[tuple[list[tuple[str, int]], bool, bool]],
) -> None:
    with database() as engine:
        sender = _Sender(engine, COUNT)
        for wanted, dies, ack_arrives in batches:
            sender.send(*wanted, dies=dies, ack_arrives=ack_arrives)
        sender.send_the_rest()
        assert counters(engine) == {"visits": 2 * COUNT, "tickets": 2 * COUNT}
        with engine.begin() as connection:
            assert connection.execute(sa.select(store.report)).all() == []
            uptos = connection.execute(sa.select(store.stream.c.upto)).scalars().all()
            events = connection.execute(sa.select(sa.func.count(store.event.c.id))).scalar_one()
        assert uptos == [COUNT, COUNT]
        assert events == 4 * COUNT


def test_ahead_of_a_gap_nothing_is_acknowledged() -> None:
    with database() as engine:
        assert apply(engine, report(2, visit(2))) == {}
        assert apply(engine, report(3, visit(3))) == {}
        assert apply(engine, report(1, visit(1))) == {"b1": 3}
        assert counters(engine) == {"visits": 3}


def test_what_the_machine_no_longer_keeps_is_no_gap() -> None:
    with database() as engine:
        apply(engine, report(1, visit(1)), report(4, visit(4)))
        assert apply(engine, report(5, visit(5), first=4)) == {"b1": 5}
        # A straggler from before the thinning is answered, and has no effect any more.
        assert apply(engine, report(2, visit(2), first=2)) == {"b1": 5}
        assert counters(engine) == {"visits": 3}


def test_a_repeated_report_is_acknowledged_again() -> None:
    with database() as engine:
        assert apply(engine, report(1, visit(1))) == {"b1": 1}
        assert apply(engine, report(1, visit(1))) == {"b1": 1}
        assert counters(engine) == {"visits": 1}


def test_a_batch_costs_the_same_statements_whatever_its_length() -> None:
    def statements(engine: sa.Engine, *batch: Heard) -> int:
        run: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
            run.append(statement)

        sa.event.listen(engine, "before_cursor_execute", note)
        apply(engine, *batch)
        sa.event.remove(engine, "before_cursor_execute", note)
        return len(run)

    with database() as engine:
        one_report = statements(engine, report(1, visit(1)))
        many = statements(engine, *(report(seq, visit(seq)) for seq in range(2, 60)))
        assert many <= one_report < 10
        assert counters(engine) == {"visits": 59}
        assert one(engine, store.stream)["upto"] == 59


def test_what_is_kept_ahead_of_a_gap_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.effects.AHEAD_LIMIT", 3)
    with database() as engine:
        assert apply(engine, *(report(seq, visit(seq)) for seq in range(2, 9))) == {"b1": 0}
        assert counters(engine) == {"visits": 3}
        assert apply(engine, report(1, visit(1))) == {"b1": 4}
        assert apply(engine, *(report(seq, visit(seq)) for seq in range(5, 9))) == {"b1": 8}
        assert counters(engine) == {"visits": 8}


# ── Live state ────────────────────────────────────────────────────────────────────────────────


def paper(engine: sa.Engine) -> str:
    return str(json.loads(one(engine, store.peripheral)["state"])["paper"])


@given(order=st.permutations(range(1, 6)))
@settings(max_examples=15, deadline=None)
def test_the_latest_number_decides_not_the_latest_arrival(order: list[int]) -> None:
    papers = [Paper.FULL, Paper.LOW, Paper.OUT, Paper.FULL, Paper.LOW]
    with database() as engine:
        apply(engine, presence("online", 1))
        for seq in order:
            apply(engine, report(seq, printer(papers[seq - 1]), health(seq)))
        assert paper(engine) == "low"
        assert one(engine, store.machine)["outbox_rows"] == 5


def test_historical_rows_count_but_never_overwrite_live_state() -> None:
    with database() as engine:
        apply(engine, presence("online", 1), report(1, printer(Paper.FULL), health(7)))
        apply(engine, report(2, printer(Paper.OUT), visit(1), health(900), hist=True))
        assert paper(engine) == "full"
        assert one(engine, store.machine)["outbox_rows"] == 7
        assert counters(engine) == {"visits": 1}


def test_an_earlier_boot_never_overwrites_the_present_one() -> None:
    with database() as engine:
        apply(engine, presence("online", 2, "b2"), report(1, printer(Paper.FULL), boot="b2"))
        apply(engine, report(9, printer(Paper.OUT), boot="b1"))
        assert paper(engine) == "full"


def test_the_inventory_removes_what_is_gone() -> None:
    with database() as engine:
        apply(engine, report(1, printer(Paper.FULL)))
        apply(engine, Heard(DEVICE, Info(name="1号", role="terminal", agent="1", peripherals=())))
        with engine.begin() as connection:
            assert connection.execute(sa.select(store.peripheral)).all() == []


def test_a_will_older_than_the_birth_is_ignored() -> None:
    with database() as engine:
        apply(engine, presence("online", 4), presence("online", 5), presence("offline", 4))
        assert one(engine, store.machine)["presence"] == "online"
        assert counters(engine) == {"refused.stale": 1}
        apply(engine, presence("offline", 5))
        assert one(engine, store.machine)["presence"] == SUSPECT
        apply(engine, presence("online", 6), presence("offline", 6, orderly=True))
        assert one(engine, store.machine)["presence"] == "offline"


def test_a_machine_is_lost_twenty_seconds_after_its_will_and_at_once_after_its_leave() -> None:
    with database() as engine:
        apply(engine, presence("online", 1), presence("offline", 1))
        row = sa.select(store.machine)
        with engine.begin() as connection:
            will = connection.execute(row).mappings().one()
            shown = [view._state(will, NOW_MS + passed_ms) for passed_ms in (0, 20_000, 20_001)]
            assert shown == ["suspect", "suspect", "offline"]
            assert view._verdict("suspect", ()) == ("attention", "state.machine_suspect")
        apply(engine, presence("online", 2), presence("offline", 2, orderly=True))
        with engine.begin() as connection:
            assert view._state(connection.execute(row).mappings().one(), NOW_MS) == "offline"


@pytest.mark.parametrize("phase", MaintenancePhase)
def test_a_machine_is_in_maintenance_as_its_inventory_says(phase: MaintenancePhase) -> None:
    broken = DeviceReport.model_validate(
        {"id": "p", "port": "ticket_printer", "driver": "escpos", "status": "hardwareError"}
    )
    around = view.Surroundings(
        site_name="", listed={}, broker_up=True, broker_since_ms=0, broker_dropped=0
    )
    info = Info(name="1号", role="terminal", agent="1", peripherals=(broken,), maintenance=phase)
    with database() as engine:
        apply(engine, presence("online", 1), Heard(DEVICE, info))
        with engine.begin() as connection:
            [machine] = view.read(connection, around, NOW_MS).machines
    serviced = phase is not MaintenancePhase.INACTIVE
    assert (machine.words == "state.machine_maintenance") == serviced
    assert machine.tone == ("plain" if serviced else "attention")


def test_a_machine_that_lost_its_disk_is_believed() -> None:
    with database() as engine:
        apply(engine, presence("online", 90), presence("offline", 90))
        apply(engine, presence("online", 1, "b2"))
        machine = one(engine, store.machine)
        assert (machine["presence"], machine["epoch"]) == ("online", 1)
        apply(engine, presence("offline", 90))
        assert one(engine, store.machine)["presence"] == SUSPECT


def test_a_retained_presence_heard_again_changes_nothing() -> None:
    with database() as engine:
        apply(engine, presence("online", 1))
        with engine.begin() as connection:
            settle(connection, SITE, [presence("online", 1)], NOW_MS + 60_000)
        machine = one(engine, store.machine)
        assert (machine["presence_since_ms"], machine["seen_ms"]) == (NOW_MS, NOW_MS + 60_000)
        with engine.begin() as connection:
            assert len(connection.execute(sa.select(store.event)).all()) == 1


@pytest.mark.parametrize(
    ("told", "day"),
    [
        (NOW - dt.timedelta(hours=20), "2026-11-22"),
        (NOW.replace(tzinfo=None), "2026-11-23"),
        (dt.datetime(1, 1, 1, tzinfo=dt.UTC), "2026-11-23"),
        (dt.datetime(9999, 12, 31, tzinfo=dt.UTC), "2026-11-23"),
    ],
)
def test_a_visit_counts_on_its_own_day_if_the_clock_can_be_right(
    told: dt.datetime, day: str
) -> None:
    with database() as engine:
        body = Report(boot="b", seq=1, first=1, ts=0, mono=0, records=(event(visit(1), time=told),))
        apply(engine, Heard(DEVICE, body))
        assert str(one(engine, store.counter)["day"]) == day


# ── Judging ───────────────────────────────────────────────────────────────────────────────────


@given(payload=st.binary(max_size=200))
@settings(deadline=None)
def test_no_payload_trips_the_judge(payload: bytes) -> None:
    for topic in (TOPICS.report, TOPICS.presence, TOPICS.info):
        for item in receive(SITE, topic, payload):
            assert isinstance(item, Refused)


@given(
    head=st.fixed_dictionaries(
        {
            "boot": st.text(max_size=40) | st.none(),
            "seq": st.integers(-5, 2**70),
            "first": st.integers(-5, 2**70),
            "records": st.lists(st.dictionaries(st.text(max_size=5), st.text()), max_size=2)
            | st.integers(),
        }
    )
)
@settings(deadline=None, max_examples=40)
def test_no_report_trips_the_centre(head: dict[str, object]) -> None:
    with database() as engine:
        apply(engine, *receive(SITE, TOPICS.report, json.dumps(head).encode()))


def test_a_broken_report_does_not_stop_the_stream() -> None:
    broken = json.dumps({"boot": "b1", "seq": 1, "first": 1, "records": "none"}).encode()
    with database() as engine:
        assert apply(engine, *receive(SITE, TOPICS.report, broken)) == {"b1": 1}
        assert counters(engine) == {"refused.malformed": 1}


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("hallkit/1/other/terminal-01/up/report", ""),
        ("hallkit/1/hall/terminal-01/down/ack", ""),
        ("hallkit/2/hall/terminal-01/up/report", ""),
        ("hallkit/1/hall/TERMINAL/up/report", ""),
        ("x", ""),
        ("hallkit/1/hall/terminal-01/up/report/deeper", DEVICE),
        ("hallkit/1/hall/terminal-01/up/reply/1", DEVICE),
    ],
)
def test_an_unknown_topic_is_refused(topic: str, device: str) -> None:
    assert receive(SITE, topic, b"{}") == [Refused(DeviceId(device), "topic")]


# ── The way through the process ───────────────────────────────────────────────────────────────


class Publisher:
    def __init__(self) -> None:
        self.acks: asyncio.Queue[Ack] = asyncio.Queue()
        self.asked = asyncio.Event()
        self.fails = 0

    async def __call__(self, topic: str, payload: bytes) -> None:
        assert topic == TOPICS.ack
        self.asked.set()
        if self.fails:
            self.fails -= 1
            raise LinkDown("broker: not connected")
        self.acks.put_nowait(Ack.from_bytes(payload, limit=PAYLOAD_LIMIT))


class Impatient(SystemClock):
    """Does not wait between attempts."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


async def through(
    kept_in: Store, act: Callable[[Ingest, Publisher], Any], publisher: Publisher | None = None
) -> None:
    sink = Publisher() if publisher is None else publisher
    ingest = Ingest(kept_in, Impatient(), site=SITE, publish=sink, on_change=lambda: None)
    task = asyncio.create_task(ingest.run())
    try:
        async with asyncio.timeout(10):
            await act(ingest, sink)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def payload_of(heard: Heard) -> bytes:
    return heard.body.to_bytes()


async def test_an_acknowledgement_that_is_lost_is_given_again(tmp_path: Path) -> None:
    publisher = Publisher()
    publisher.fails = 1

    async def act(ingest: Ingest, sink: Publisher) -> None:
        for seq in (1, 1):  # the machine heard nothing, and asks again
            await ingest.on_message(TOPICS.report, payload_of(report(seq, visit(seq))))
            await sink.asked.wait()
            sink.asked.clear()
        assert (await sink.acks.get()).upto == 1
        assert sink.fails == 0

    async with Store(tmp_path / "ops.sqlite") as kept_in:
        await through(kept_in, act, publisher)


async def test_a_full_disk_delays_and_loses_nothing(tmp_path: Path) -> None:
    class Full(Store):
        refusals = 3

        async def transaction(self, work: Callable[[sa.Connection], Any]) -> Any:
            if self.refusals:
                self.refusals -= 1
                raise StoreError("ops.sqlite: full")
            return await super().transaction(work)

    async def act(ingest: Ingest, sink: Publisher) -> None:
        await ingest.on_message(TOPICS.report, payload_of(report(1, visit(1))))
        assert (await sink.acks.get()).upto == 1

    async with Full(tmp_path / "ops.sqlite") as kept_in:
        await through(kept_in, act)


async def test_a_message_that_trips_us_stops_nobody_else(tmp_path: Path) -> None:
    class Tripping(Store):
        async def transaction(self, work: Callable[[sa.Connection], Any]) -> Any:
            def checked(connection: sa.Connection) -> Any:
                result = work(connection)
                seqs = connection.execute(sa.select(store.event.c.seq)).scalars().all()
                if 13 in seqs:
                    raise ZeroDivisionError
                return result

            return await super().transaction(checked)

    async def act(ingest: Ingest, sink: Publisher) -> None:
        for seq in (1, 13, 2, 3):
            await ingest.on_message(TOPICS.report, payload_of(report(seq, visit(seq))))
        while (await sink.acks.get()).upto < 3:
            pass

    async with Tripping(tmp_path / "ops.sqlite") as kept_in:
        await through(kept_in, act)


def test_the_migrations_make_the_schema_that_the_code_uses() -> None:
    engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
    with engine.begin() as connection:
        migrate(connection)
        found = compare_metadata(MigrationContext.configure(connection), store.metadata)
    engine.dispose()
    assert found == []
