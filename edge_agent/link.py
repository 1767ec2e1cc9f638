"""The machine on the broker: presence, inventory, and the outbox's ordered streams of reports.

What a connection finds older than a minute is backlog; what is younger is live and goes first, so
that a machine that was away for a week says its present state before its past. Each of the two
keeps its order. Nobody waits for the broker's PUBACK: the hub's credit bounds what is on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from hallkit import __version__
from hallkit.clients.outbox import Outbox, Row
from hallkit.errors import LinkError, Rejected, StoreError, WireError
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import (
    PAYLOAD_LIMIT,
    Ack,
    Desired,
    HubState,
    Info,
    Presence,
    Report,
    Reported,
    UpstreamNotice,
)
from hallkit.wire.topics import UPSTREAM_STREAM, DeviceTopics, hall_stream, hub_state

CREDIT_AT_START = 50
"""Reports on the way before the hub has said how many it takes."""

CREDIT_LIMIT = 1_000
"""However much the hub grants: rows are held in memory while they are sent."""

RESEND_AFTER_S = 10.0
"""Without any acknowledgement for so long, everything unacknowledged is sent again."""

RETRY_S = 0.05
"""After a publication that failed: the link itself backs off, this only keeps us from spinning."""

REFUSED_PAUSE_S = 1.0
REFUSED_PAUSE_LIMIT_S = 30.0
"""After a publication that the broker refused: doubles from one to the other."""

STORE_RETRY_S = 1.0
"""After the disk refused."""

FORGET_EVERY_S = 0.05
"""Acknowledged rows are deleted together: each deletion is a wait for the disk."""

GATHER_S = 0.02
"""From one look into the outbox to the next; what is added meanwhile is sent together. A row after
a pause does not wait."""

HISTORICAL_AFTER_MS = 60_000


class Broker(Protocol):
    """What is used of `hallkit.clients.mqtt.MqttLink`."""

    connected: asyncio.Event

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...

    async def subscribe(self, *filters: str) -> None: ...


@dataclass(frozen=True, slots=True)
class _Sent:
    """A report on the way."""

    ordinal: int
    first: int
    """The lowest number that it said the machine keeps."""


@dataclass(slots=True)
class _Cursors:
    """How far the outbox was sent: the backlog before an ordinal, the live rows from it on."""

    live_from: int
    live: int
    backlog: int = 0
    has_backlog: bool = True


class DeviceLink:
    """Keeps one connection's worth of promises: birth, will, reports until acknowledged."""

    def __init__(
        self,
        link: Broker,
        outbox: Outbox,
        clock: Clock,
        *,
        topics: DeviceTopics,
        boot: str,
        info: Callable[[], Info],
        reported: Callable[[], Reported] | None = None,
        on_desired: Callable[[Desired], None] | None = None,
        on_systems: Callable[[UpstreamNotice], None] | None = None,
        resend_after_s: float = RESEND_AFTER_S,
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._clock = clock
        self._topics = topics
        self._boot = boot
        self._info = info
        self._reported = reported
        self._on_desired = on_desired
        self._on_systems = on_systems
        self._systems_topic = hall_stream(topics.site, UPSTREAM_STREAM)
        self._resend_after_s = resend_after_s
        self._epoch = 0
        self._credit = CREDIT_AT_START
        self._cursors: _Cursors | None = None
        """None: begin again with the oldest."""
        self._on_the_way: dict[tuple[str, int], _Sent] = {}
        """By boot and number: what was sent and not acknowledged."""
        self._settled: dict[str, int] = {}
        """By boot: up to where the hub has acknowledged."""
        self._to_forget: dict[str, int] = {}
        """By boot: up to where acknowledged rows are still to be deleted."""
        self._can_forget = asyncio.Event()
        self._just_settled: set[str] = set()
        """Boots of which it acknowledged something since the sender last looked."""
        self._failed: list[tuple[Row, LinkError]] = []
        """What could not be published in this round."""
        self._quiet_since_s = 0.0
        """When the hub last acknowledged something, or the first was sent that it owes us."""
        self._round = 0
        """Counts how often it began again with the oldest row."""
        self._failing = False
        self._disk_refuses = False
        self._refused_pause_s = REFUSED_PAUSE_S
        self._log = get_logger()
        self.refused = 0
        """Messages from the broker that made no sense."""

    async def make_will(self) -> tuple[str, bytes]:
        """Topic and payload of the next connection's will; counts a new epoch.

        Waits for a disk that is full: an epoch that is not on it could be told a second time.
        """
        while True:
            try:
                self._epoch = await self._outbox.next_epoch()
            except StoreError as fault:
                await self._wait_for_disk(fault)
            else:
                self._disk_refuses = False
                break
        return self._topics.presence, self._presence("offline").to_bytes()

    async def on_connected(self) -> None:
        """Say who is here, then send again all that was not acknowledged."""
        await self._link.subscribe(
            self._topics.ack,
            self._topics.desired,
            hub_state(self._topics.site),
            self._systems_topic,
        )
        await self._link.publish(
            self._topics.presence, self._presence("online").to_bytes(), retain=True
        )
        await self.tell_info()
        await self.tell_reported()
        self._send_again()

    def farewell(self) -> tuple[str, bytes]:
        """What an orderly end publishes in place of the will."""
        leave = self._presence("offline").model_copy(update={"orderly": True})
        return self._topics.presence, leave.to_bytes()

    async def tell_info(self) -> None:
        """Publish the inventory; skipped while it can't be (the next birth tells it)."""
        try:
            await self._link.publish(self._topics.info, self._info().to_bytes(), retain=True)
        except LinkError:
            return

    async def tell_reported(self) -> None:
        """Publish what of the desired is in use; skipped while it can't be."""
        if self._reported is None:
            return
        try:
            await self._link.publish(
                self._topics.reported, self._reported().to_bytes(), retain=True
            )
        except LinkError:
            return

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Take the hub's word; anything else is refused and counted."""
        try:
            if topic == hub_state(self._topics.site):
                self._hub_is(HubState.from_bytes(payload, limit=PAYLOAD_LIMIT))
            elif topic == self._topics.ack:
                self._acknowledged(Ack.from_bytes(payload, limit=PAYLOAD_LIMIT))
            elif topic == self._topics.desired and self._on_desired is not None:
                self._on_desired(Desired.from_bytes(payload, limit=PAYLOAD_LIMIT))
            elif topic == self._systems_topic:
                told = UpstreamNotice.from_bytes(payload, limit=PAYLOAD_LIMIT)
                if self._on_systems is not None:
                    self._on_systems(told)
            else:
                self.refused += 1
        except WireError as fault:
            self.refused += 1
            self._log.warning("link.refused", what=fault.what)

    def _hub_is(self, hub: HubState) -> None:
        """A hub that has just come heard nothing of what was sent before."""
        if hub.state == "online":
            with self._outbox.waking():
                self._send_again()

    def _acknowledged(self, ack: Ack) -> None:
        self._credit = min(ack.credit, CREDIT_LIMIT)
        self._quiet_since_s = self._clock.mono_s()
        upto = max(ack.upto, self._settled.get(ack.boot, 0))
        self._settled[ack.boot] = self._to_forget[ack.boot] = upto
        self._can_forget.set()
        self._on_the_way = {
            (boot, seq): sent
            for (boot, seq), sent in self._on_the_way.items()
            if boot != ack.boot or seq > ack.upto
        }
        self._just_settled.add(ack.boot)
        self._outbox.wake()

    async def run(self) -> None:
        """Send what the outbox holds within the hub's credit, until cancelled."""
        async with asyncio.TaskGroup() as publishing:
            publishing.create_task(self._forget(), name="acknowledged rows")
            while True:
                await self._link.connected.wait()
                try:
                    sent = await self._send_some(publishing)
                    if self._failed:
                        await self._go_back()
                        continue
                except StoreError as fault:
                    await self._wait_for_disk(fault)
                    continue
                self._disk_refuses = False
                if sent:
                    continue
                looked_s = self._clock.mono_s()
                await self._outbox.wait_for_change(timeout_s=self._patience_s())
                too_early_s = looked_s + GATHER_S - self._clock.mono_s()
                if too_early_s > 0:
                    await self._clock.sleep(too_early_s)
                if self._on_the_way and self._patience_s() <= 0:
                    self._log.warning("link.resend", on_the_way=len(self._on_the_way))
                    self._send_again()

    async def _forget(self) -> None:
        """Delete what the hub has acknowledged."""
        while True:
            await self._can_forget.wait()
            self._can_forget.clear()
            while self._to_forget:
                boot, upto = next(iter(self._to_forget.items()))
                try:
                    await self._outbox.acknowledge(boot, upto)
                except StoreError as fault:
                    await self._wait_for_disk(fault)
                    continue
                if self._to_forget.get(boot) == upto:
                    del self._to_forget[boot]
            await self._clock.sleep(FORGET_EVERY_S)

    async def _send_some(self, publishing: asyncio.TaskGroup) -> bool:
        """Send the next rows that the credit has room for; False if there are none."""
        this_round = self._round
        rows = [*await self._behind_gaps(), *await self._next_rows()]
        for row in rows:
            if self._round != this_round:
                break  # begun again from the oldest meanwhile
            if row.seq > self._settled.get(row.boot, 0):  # else acknowledged since it was read
                await self._send(row, publishing)
            if self._failed:
                break
            self._count_sent(row.ordinal)
        return bool(rows)

    async def _next_rows(self) -> list[Row]:
        """Live rows, then backlog, as far as the credit goes.

        Live rows of a boot are acknowledged only behind its backlog: while there is one they get
        half of the credit, so that they cannot hold it up.
        """
        this_round, cursors = self._round, self._cursors
        if cursors is None:
            now_ms = round(self._clock.mono_s() * 1000)
            live_from = await self._outbox.live_from(now_ms - HISTORICAL_AFTER_MS)
            cursors = _Cursors(live_from, live=live_from - 1)
            if self._round == this_round:
                self._cursors = cursors
        room = self._credit - len(self._on_the_way)
        if room <= 0:
            return []
        if not cursors.has_backlog:
            return await self._outbox.rows_after(cursors.live, limit=room)
        backlog = await self._outbox.rows_after(
            cursors.backlog, before=cursors.live_from, limit=room
        )
        live_sent = sum(sent.ordinal >= cursors.live_from for sent in self._on_the_way.values())
        cursors.has_backlog = bool(backlog) or live_sent < len(self._on_the_way)
        for_live = self._credit // 2 - live_sent if cursors.has_backlog else room
        live = []
        if for_live > 0:
            live = await self._outbox.rows_after(cursors.live, limit=min(for_live, room))
        return [*live, *backlog[: room - len(live)]]

    async def _behind_gaps(self) -> list[Row]:
        """Rows to send once more, because their `first` ends a gap that the hub waits at.

        Numbers between what it acknowledged and the lowest that is kept were dropped; what is on
        the way was sent when something below them was still kept, and did not tell.
        """
        boots = sorted(self._just_settled)
        self._just_settled.clear()
        rows = []
        for boot in boots:
            lowest = min((seq for of, seq in self._on_the_way if of == boot), default=0)
            if lowest <= self._settled.get(boot, 0) + 1:
                continue
            row = await self._outbox.first_of(boot, above=self._settled[boot])
            sent = self._on_the_way.get((boot, lowest))
            if row is not None and row.seq == lowest and sent is not None and sent.first < lowest:
                rows.append(row)
        return rows

    def _count_sent(self, ordinal: int) -> None:
        if self._cursors is None:
            return
        if ordinal >= self._cursors.live_from:
            self._cursors.live = max(self._cursors.live, ordinal)
        else:
            self._cursors.backlog = max(self._cursors.backlog, ordinal)

    async def _go_back(self) -> None:
        """Take back what could not be published and what came after it, then wait a while."""
        failed, self._failed = self._failed, []
        for row, _ in failed:
            self._take_back(row.ordinal)
        others = []
        for row, fault in failed:
            if isinstance(fault, Rejected) and fault.problem_code == "oversized" and row.event:
                # Too big to be told at all; its number is told without it.
                self._log.error("link.dropped", type=row.event.type, detail=fault.detail)
                await self._outbox.give_up(row.ordinal)
            else:
                others.append(fault)
        if others:
            await self._pause_after(others[0])

    def _take_back(self, ordinal: int) -> None:
        cursors = self._cursors
        if cursors is None:
            return
        is_live = ordinal >= cursors.live_from
        if is_live:
            cursors.live = min(cursors.live, ordinal - 1)
        else:
            cursors.backlog = min(cursors.backlog, ordinal - 1)
        cursors.has_backlog = True
        self._on_the_way = {
            key: sent
            for key, sent in self._on_the_way.items()
            if sent.ordinal < ordinal or (sent.ordinal >= cursors.live_from) != is_live
        }

    async def _pause_after(self, fault: LinkError) -> None:
        if not self._failing:
            self._log.warning("link.publish_failed", code=fault.code, detail=str(fault))
        self._failing = True
        if not isinstance(fault, Rejected):
            await self._clock.sleep(RETRY_S)
            return
        pause_s = self._refused_pause_s
        self._refused_pause_s = min(2 * pause_s, REFUSED_PAUSE_LIMIT_S)
        await self._clock.sleep(pause_s)

    async def _wait_for_disk(self, fault: StoreError) -> None:
        if not self._disk_refuses:
            self._log.error("link.disk_refuses", detail=str(fault))
        self._disk_refuses = True
        await self._clock.sleep(STORE_RETRY_S)

    def _patience_s(self) -> float:
        """How long the hub may still be silent."""
        if not self._on_the_way:
            return self._resend_after_s
        return self._quiet_since_s + self._resend_after_s - self._clock.mono_s()

    def _send_again(self) -> None:
        self._round += 1
        self._cursors = None
        self._on_the_way.clear()
        self._just_settled.clear()
        self._failed.clear()

    async def _send(self, row: Row, publishing: asyncio.TaskGroup) -> None:
        """Hand a report to the link, without waiting for the broker's word."""
        report = Report(
            boot=row.boot,
            seq=row.seq,
            first=row.first,
            ts=row.created_ms,
            mono=row.mono_ms,
            hist=self._age_ms(row) > HISTORICAL_AFTER_MS,
            records=(row.event,) if row.event is not None else (),
        )
        if not self._on_the_way:
            self._quiet_since_s = self._clock.mono_s()
        # Before it is sent: the hub's word may be here sooner than the broker's.
        self._on_the_way[row.boot, row.seq] = _Sent(row.ordinal, row.first)
        publishing.create_task(self._publish(row, report.to_bytes(), self._round))
        # A task's first step hands the packet over, or refuses it: so they leave in order.
        await asyncio.sleep(0)

    async def _publish(self, row: Row, payload: bytes, this_round: int) -> None:
        try:
            await self._link.publish(self._topics.report, payload)
        except LinkError as fault:
            if self._round == this_round:
                self._failed.append((row, fault))
                self._outbox.wake()
        else:
            self._failing = False
            self._refused_pause_s = REFUSED_PAUSE_S

    def _age_ms(self, row: Row) -> int:
        """How long ago it was written; of this boot the wall clock, which may jump, isn't asked."""
        if row.boot == self._boot:
            return round(self._clock.mono_s() * 1000) - row.mono_ms
        return self._clock.wall_ms() - row.created_ms

    def _presence(self, state: str) -> Presence:
        return Presence.model_validate(
            {
                "state": state,
                "epoch": self._epoch,
                "boot": self._boot,
                "ts": self._clock.wall_ms(),
                "agent": __version__,
            }
        )


async def tell_while_running(changed: asyncio.Event, tell: Callable[[], Awaitable[None]]) -> None:
    """Publish again whenever it changed."""
    while True:
        await changed.wait()
        changed.clear()
        await tell()
