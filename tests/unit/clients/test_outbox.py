"""What was promised to be told is told once, whatever dies in between."""

from __future__ import annotations

import asyncio
import datetime as dt
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hallkit.clients.outbox import (
    AGE_LIMIT_MS,
    AGE_LOOK_MS,
    KNOWN_IDS_KEPT,
    SCHEMA,
    WORTH,
    Outbox,
    Worth,
)
from hallkit.errors import Reason, StoreError
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.printing import PrintJobState
from hallkit.runtime.journal import Journal
from hallkit.wire.events import (
    CloudEvent,
    DeviceStateChanged,
    EventData,
    Health,
    TicketPrinted,
    VisitStarted,
)

NOW = dt.datetime(2025, 1, 2, 4, tzinfo=dt.UTC)
HEALTH = Health(
    uptime_s=1,
    load_1m=0.5,
    memory_used_mb=1,
    memory_total_mb=2,
    disk_free_mb=3,
    outbox_rows=0,
    refused_messages=0,
)
VISIT = VisitStarted(visit="v")
PRINTED = TicketPrinted(job="j", state=PrintJobState.COMPLETED, attempts=1, copies_marked=0)
DEVICE = DeviceStateChanged(
    device=DeviceReport(
        id="ticket-printer",
        port="ticket_printer",
        driver="fake",
        status=DeviceStatus.OFFLINE,
        reason=Reason.SILENT,
    )
)


def event(data: EventData = VISIT, event_id: str | None = None) -> CloudEvent:
    wrapped = CloudEvent.wrap(data, source="hallkit/demo/terminal-01", time=NOW)
    return wrapped if event_id is None else wrapped.model_copy(update={"id": event_id})


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as opened:
        yield opened


async def started(journal: Journal, boot: str = "boot-a", rows_limit: int = 100) -> Outbox:
    outbox = Outbox(journal, boot=boot, rows_limit=rows_limit)
    await outbox.start()
    return outbox


async def add(outbox: Outbox, *ids: str, data: EventData = VISIT) -> None:
    for event_id in ids:
        assert await outbox.add(event(data, event_id), wall_ms=1, mono_ms=2)


async def kept(outbox: Outbox) -> list[tuple[str, int, str]]:
    rows = await outbox.rows_after(0, limit=1000)
    return [(row.boot, row.seq, row.event.id) for row in rows if row.event is not None]


async def test_rows_come_in_the_order_they_were_added(journal: Journal) -> None:
    outbox = await started(journal)
    await add(outbox, "a", "b", "c")
    rows = await outbox.rows_after(0, limit=2)
    assert [(row.seq, row.event.id, row.created_ms, row.mono_ms) for row in rows] == [
        (1, "a", 1, 2),
        (2, "b", 1, 2),
    ]
    assert [row.seq for row in await outbox.rows_after(rows[-1].ordinal, limit=2)] == [3]
    assert await outbox.size() == 3


async def test_an_event_told_twice_is_kept_once_even_after_it_was_acknowledged(
    journal: Journal,
) -> None:
    outbox = await started(journal)
    await add(outbox, "a")
    assert not await outbox.add(event(event_id="a"), wall_ms=9, mono_ms=9)
    await outbox.acknowledge("boot-a", 1)
    assert not await outbox.add(event(event_id="a"), wall_ms=9, mono_ms=9)
    assert await kept(outbox) == []


async def test_the_memory_of_event_ids_is_bounded(journal: Journal) -> None:
    outbox = await started(journal)

    def fill(db: sqlite3.Connection) -> int:
        for number in range(KNOWN_IDS_KEPT + 20):
            outbox.insert(db, event(event_id=f"e{number}"), wall_ms=1, mono_ms=1)
        count: int = db.execute("select count(*) from known_event").fetchone()[0]
        return count

    assert await journal.write(fill) == KNOWN_IDS_KEPT


async def test_an_acknowledgement_deletes_only_its_boot_and_only_up_to_its_number(
    journal: Journal,
) -> None:
    await add(await started(journal, "boot-a"), "a1", "a2", "a3")
    outbox = await started(journal, "boot-b")
    await add(outbox, "b1", "b2")
    assert await outbox.acknowledge("boot-a", 2) == 2
    assert await kept(outbox) == [("boot-a", 3, "a3"), ("boot-b", 1, "b1"), ("boot-b", 2, "b2")]
    assert await outbox.acknowledge("boot-a", 2) == 0
    assert await outbox.acknowledge("boot-x", 99) == 0
    assert await outbox.size() == 3


async def test_every_row_knows_the_lowest_number_that_is_kept_of_its_boot(
    journal: Journal,
) -> None:
    await add(await started(journal, "boot-a"), "a1", "a2")
    outbox = await started(journal, "boot-b")
    await add(outbox, "b1", "b2", "b3")
    await outbox.acknowledge("boot-b", 2)
    rows = await outbox.rows_after(0, limit=9)
    assert [(row.boot, row.seq, row.first) for row in rows] == [
        ("boot-a", 1, 1),
        ("boot-a", 2, 1),
        ("boot-b", 3, 3),
    ]
    lowest = await outbox.first_of("boot-a", above=1)
    assert lowest is not None
    assert (lowest.seq, lowest.first) == (2, 2)
    assert await outbox.first_of("boot-b", above=3) is None


async def test_what_is_live_is_told_from_the_backlog(journal: Journal) -> None:
    old = await started(journal, "boot-a")
    assert await old.live_from(0) == 1
    await add(old, "a1")
    outbox = await started(journal, "boot-b")
    for number, mono_ms in enumerate((10, 20, 30)):
        await outbox.add(event(event_id=f"b{number}"), wall_ms=1, mono_ms=mono_ms)
    assert [await outbox.live_from(ms) for ms in (0, 20, 30, 31)] == [2, 3, 4, 5]
    rows = await outbox.rows_after(1, before=4, limit=9)
    assert [row.ordinal for row in rows] == [2, 3]


async def test_a_restart_keeps_the_rows_of_the_former_boot(tmp_path: Path) -> None:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as journal:
        await add(await started(journal, "boot-a"), "a1", "a2")
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as journal:
        outbox = await started(journal, "boot-b")
        await add(outbox, "b1")
        assert not await outbox.add(event(event_id="a1"), wall_ms=1, mono_ms=1)
        assert await kept(outbox) == [
            ("boot-a", 1, "a1"),
            ("boot-a", 2, "a2"),
            ("boot-b", 1, "b1"),
        ]


async def test_a_full_outbox_drops_the_cheapest_class_first_and_counts(journal: Journal) -> None:
    outbox = await started(journal, rows_limit=4)
    await add(outbox, "h1", "h2", data=HEALTH)
    await add(outbox, "d1", data=DEVICE)
    await add(outbox, "v1")
    assert await outbox.dropped() == 0
    await add(outbox, "d2", data=DEVICE)
    await add(outbox, "v2")
    assert [event_id for _, _, event_id in await kept(outbox)] == ["d1", "v1", "d2", "v2"]
    await add(outbox, "d3", "d4", data=DEVICE)
    assert [event_id for _, _, event_id in await kept(outbox)] == ["d1", "d2", "d3", "d4"]
    assert await outbox.dropped() == 4


async def test_the_outbox_is_bounded_even_when_nothing_in_it_is_cheap(journal: Journal) -> None:
    outbox = await started(journal, rows_limit=3)
    await add(outbox, *(f"d{number}" for number in range(8)), data=DEVICE)
    assert [seq for _, seq, _ in await kept(outbox)] == [6, 7, 8]
    assert await outbox.dropped() == 5
    assert [row.first for row in await outbox.rows_after(0, limit=1)] == [6]


async def test_what_was_promised_is_never_dropped(journal: Journal) -> None:
    outbox = await started(journal, rows_limit=3)
    await add(outbox, "p1", "p2", data=PRINTED)
    await add(outbox, "d1", "d2", data=DEVICE)
    await add(outbox, "p3", "p4", data=PRINTED)
    assert [event_id for _, _, event_id in await kept(outbox)] == ["p1", "p2", "p3", "p4"]
    assert await outbox.dropped() == 2
    await add(outbox, "v1")
    assert [event_id for _, _, event_id in await kept(outbox)] == ["p1", "p2", "p3", "p4"]
    unknown = event(event_id="u1").model_copy(update={"type": "rating.given.v1"})
    await outbox.add(unknown, wall_ms=1, mono_ms=1)
    assert await outbox.size() == 5
    assert Worth.PROMISED not in WORTH.values()


async def test_a_large_outbox_is_thinned_by_a_hundredth_at_a_time(journal: Journal) -> None:
    outbox = await started(journal, rows_limit=200)

    def fill(db: sqlite3.Connection) -> None:
        for number in range(201):
            outbox.insert(db, event(event_id=f"e{number}"), wall_ms=1, mono_ms=1)

    await journal.write(fill)
    assert (await outbox.size(), await outbox.dropped()) == (198, 3)


async def test_what_is_too_old_is_dropped_and_counted_unless_promised(journal: Journal) -> None:
    former = await started(journal, "boot-a")
    await add(former, "v1")
    await add(former, "p1", data=PRINTED)
    outbox = await started(journal, "boot-b")
    await outbox.add(event(event_id="v2"), wall_ms=AGE_LIMIT_MS, mono_ms=5)
    assert len(await kept(outbox)) == 3
    # Not looked for before its time, and of this boot the wall clock is not asked.
    later_ms = 5 + AGE_LOOK_MS
    await outbox.add(event(event_id="v3"), wall_ms=2 * AGE_LIMIT_MS, mono_ms=later_ms - 1)
    assert await outbox.dropped() == 0
    await outbox.add(event(event_id="v4"), wall_ms=2 * AGE_LIMIT_MS, mono_ms=later_ms)
    assert [event_id for _, _, event_id in await kept(outbox)] == ["p1", "v2", "v3", "v4"]
    await outbox.add(event(event_id="v5"), wall_ms=1, mono_ms=AGE_LIMIT_MS + 6)
    assert [event_id for _, _, event_id in await kept(outbox)] == ["p1", "v3", "v4", "v5"]
    assert await outbox.dropped() == 2


async def test_a_lowered_limit_is_reached_at_once(journal: Journal) -> None:
    await add(await started(journal, "boot-a", rows_limit=10), *"abcdefgh")
    outbox = await started(journal, "boot-b", rows_limit=3)
    await add(outbox, "i")
    assert await outbox.size() == 3


async def test_a_row_that_is_given_up_keeps_its_number_and_is_counted_once(
    journal: Journal,
) -> None:
    outbox = await started(journal)
    await add(outbox, "a", "b", "c")
    ordinal = (await outbox.rows_after(0, limit=9))[1].ordinal
    await outbox.give_up(ordinal)
    await outbox.give_up(ordinal)
    rows = await outbox.rows_after(0, limit=9)
    assert [(row.seq, row.event and row.event.id) for row in rows] == [
        (1, "a"),
        (2, None),
        (3, "c"),
    ]
    assert await outbox.dropped() == 1
    assert await outbox.acknowledge("boot-a", 2) == 2
    await outbox.give_up(ordinal)  # acknowledged meanwhile
    assert await outbox.dropped() == 1


async def test_epochs_only_grow(tmp_path: Path) -> None:
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as journal:
        outbox = await started(journal)
        assert [await outbox.next_epoch(), await outbox.next_epoch()] == [1, 2]
    async with Journal(tmp_path / "agent.sqlite", [SCHEMA]) as journal:
        assert await (await started(journal, "boot-b")).next_epoch() == 3


async def test_a_row_lives_and_dies_with_the_transaction_that_changes_the_state(
    journal: Journal,
) -> None:
    outbox = await started(journal)

    def work(db: sqlite3.Connection) -> None:
        outbox.insert(db, event(event_id="a"), wall_ms=1, mono_ms=1)
        raise sqlite3.IntegrityError("the state change failed")

    with pytest.raises(StoreError):
        await journal.write(work)
    assert await kept(outbox) == []
    await add(outbox, "a")
    assert [seq for _, seq, _ in await kept(outbox)] == [1]


async def test_the_sender_is_woken_by_what_is_added(journal: Journal) -> None:
    outbox = await started(journal)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(outbox.wait_for_change(timeout_s=60))
        await add(outbox, "a")


async def test_a_cancelled_caller_still_wakes_the_sender(journal: Journal) -> None:
    outbox = await started(journal)
    adding = asyncio.create_task(outbox.add(event(event_id="a"), wall_ms=1, mono_ms=1))
    await asyncio.sleep(0)
    adding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await adding
    async with asyncio.timeout(5):
        await outbox.wait_for_change(timeout_s=60)
    # It is there or it is not, but if it is, nobody sleeps over it.
    assert await outbox.size() in (0, 1)


class Delivery(RuleBasedStateMachine):
    """An outbox, a network that loses and doubles, and a hub that dedupes by (boot, seq)."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self._loop = asyncio.new_event_loop()
        self._boots = 0
        self._told: list[str] = []
        """Event ids in the order in which they were promised."""
        self._boot_of: dict[str, str] = {}
        self._effects: list[str] = []
        """Event ids in the order in which the hub applied them."""
        self._upto: dict[str, int] = {}
        self._open()

    def _open(self) -> None:
        self._boots += 1
        path = Path(self._folder.name) / "agent.sqlite"
        self._journal = Journal(path, [SCHEMA])
        self._loop.run_until_complete(self._journal.__aenter__())
        self._outbox = Outbox(self._journal, boot=f"boot-{self._boots}")
        self._loop.run_until_complete(self._outbox.start())

    @rule()
    def add(self) -> None:
        event_id = f"e{len(self._told)}"
        adding = self._outbox.add(event(event_id=event_id), wall_ms=1, mono_ms=1)
        assert self._loop.run_until_complete(adding)
        self._told.append(event_id)
        self._boot_of[event_id] = f"boot-{self._boots}"

    @rule(back=st.integers(1, 5))
    def add_again(self, back: int) -> None:
        if back <= len(self._told):
            again = self._outbox.add(event(event_id=self._told[-back]), wall_ms=1, mono_ms=1)
            assert not self._loop.run_until_complete(again)

    @rule(arrives=st.lists(st.booleans(), max_size=6), acked=st.booleans())
    def send(self, arrives: list[bool], acked: bool) -> None:
        """Some rows reach the hub, which keeps the order of each boot; its word may be lost."""
        rows = self._loop.run_until_complete(self._outbox.rows_after(0, limit=len(arrives)))
        boots: dict[str, int] = {}
        for row, arrived in zip(rows, arrives, strict=False):
            upto = self._upto.get(row.boot, 0)
            if arrived and row.seq == upto + 1:
                self._effects.append(row.event.id)
                self._upto[row.boot] = row.seq
            boots[row.boot] = self._upto.get(row.boot, 0)
        if acked:
            for boot, upto in boots.items():
                self._loop.run_until_complete(self._outbox.acknowledge(boot, upto))

    @rule()
    def acknowledge_again(self) -> None:
        for boot, upto in self._upto.items():
            self._loop.run_until_complete(self._outbox.acknowledge(boot, upto))

    @rule()
    def restart(self) -> None:
        self._loop.run_until_complete(self._journal.__aexit__(None, None, None))
        self._open()

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        rows = self._loop.run_until_complete(self._outbox.rows_after(0, limit=1000))
        waiting = [row.event.id for row in rows if row.event is not None]
        known = set(self._effects)
        assert len(known) == len(self._effects)
        for boot in self._upto:
            effects = [one for one in self._effects if self._boot_of[one] == boot]
            told = [one for one in self._told if self._boot_of[one] == boot]
            assert effects == told[: len(effects)]
        assert known | set(waiting) == set(self._told)
        assert waiting == [event_id for event_id in self._told if event_id in waiting]

    def teardown(self) -> None:
        self._loop.run_until_complete(self._journal.__aexit__(None, None, None))
        self._loop.close()
        self._folder.cleanup()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
