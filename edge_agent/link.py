"""The machine on the broker: presence, inventory, and the outbox's ordered stream of reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from hallkit import __version__
from hallkit.clients.outbox import Outbox, Row
from hallkit.errors import LinkError, Rejected, StoreError, WireError
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import PAYLOAD_LIMIT, Ack, HubState, Info, Presence, Report
from hallkit.wire.topics import DeviceTopics, hub_state

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

HISTORICAL_AFTER_MS = 60_000


class Broker(Protocol):
    """What is used of `hallkit.clients.mqtt.MqttLink`."""

    connected: asyncio.Event

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None: ...

    async def subscribe(self, *filters: str) -> None: ...


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
        resend_after_s: float = RESEND_AFTER_S,
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._clock = clock
        self._topics = topics
        self._boot = boot
        self._info = info
        self._resend_after_s = resend_after_s
        self._epoch = 0
        self._credit = CREDIT_AT_START
        self._sent_upto = 0
        self._on_the_way: set[tuple[str, int]] = set()
        """Boot and number of what was sent and not acknowledged."""
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
        await self._link.subscribe(self._topics.ack, hub_state(self._topics.site))
        await self._link.publish(
            self._topics.presence, self._presence("online").to_bytes(), retain=True
        )
        await self.tell_info()
        self._send_again()

    def farewell(self) -> tuple[str, bytes]:
        """What an orderly end publishes in place of the will."""
        return self._topics.presence, self._presence("offline").to_bytes()

    async def tell_info(self) -> None:
        """Publish the inventory; skipped while it can't be (the next birth tells it)."""
        try:
            await self._link.publish(self._topics.info, self._info().to_bytes(), retain=True)
        except LinkError:
            return

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Take the hub's word; anything else is refused and counted."""
        try:
            if topic == hub_state(self._topics.site):
                self._hub_is(HubState.from_bytes(payload, limit=PAYLOAD_LIMIT))
            elif topic == self._topics.ack:
                await self._acknowledged(Ack.from_bytes(payload, limit=PAYLOAD_LIMIT))
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

    async def _acknowledged(self, ack: Ack) -> None:
        self._credit = min(ack.credit, CREDIT_LIMIT)
        self._quiet_since_s = self._clock.mono_s()
        self._on_the_way = {
            (boot, seq) for boot, seq in self._on_the_way if boot != ack.boot or seq > ack.upto
        }
        await self._outbox.acknowledge(ack.boot, ack.upto)

    async def run(self) -> None:
        """Send what the outbox holds, in order, within the hub's credit, until cancelled."""
        while True:
            await self._link.connected.wait()
            try:
                sent = await self._send_some()
            except StoreError as fault:
                await self._wait_for_disk(fault)
                continue
            except LinkError as fault:
                await self._pause_after(fault)
                continue
            self._disk_refuses = False
            if sent:
                self._failing = False
                self._refused_pause_s = REFUSED_PAUSE_S
                continue
            await self._outbox.wait_for_change(timeout_s=self._patience_s())
            if self._on_the_way and self._patience_s() <= 0:
                self._log.warning("link.resend", on_the_way=len(self._on_the_way))
                self._send_again()

    async def _send_some(self) -> bool:
        """Send the next rows that the credit has room for; False if there are none."""
        room = self._credit - len(self._on_the_way)
        rows = await self._outbox.rows_after(self._sent_upto, limit=room) if room > 0 else []
        this_round = self._round
        for row in rows:
            await self._send(row)
            if self._round != this_round:
                break  # begun again from the oldest meanwhile
        return bool(rows)

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
        self._sent_upto = 0
        self._on_the_way.clear()

    async def _send(self, row: Row) -> None:
        this_round = self._round
        first = await self._outbox.first_seq(row.boot)
        if first is not None and first <= row.seq:  # else acknowledged since it was read
            report = Report(
                boot=row.boot,
                seq=row.seq,
                first=first,
                ts=row.created_ms,
                mono=row.mono_ms,
                hist=self._age_ms(row) > HISTORICAL_AFTER_MS,
                records=(row.event,) if row.event is not None else (),
            )
            if not self._on_the_way:
                self._quiet_since_s = self._clock.mono_s()
            # Before it is sent: the hub's word may be here sooner than the broker's.
            self._on_the_way.add((row.boot, row.seq))
            await self._publish(row, report)
        if self._round == this_round:
            self._sent_upto = row.ordinal

    async def _publish(self, row: Row, report: Report) -> None:
        """Publish a report; without its record if that is too big to be told at all."""
        try:
            await self._link.publish(self._topics.report, report.to_bytes())
        except Rejected as refusal:
            self._on_the_way.discard((row.boot, row.seq))
            if refusal.problem_code != "oversized" or row.event is None:
                raise
            self._log.error("link.dropped", type=row.event.type, detail=refusal.detail)
            await self._outbox.give_up(row.ordinal)
            self._on_the_way.add((row.boot, row.seq))
            empty = report.model_copy(update={"records": ()})
            await self._link.publish(self._topics.report, empty.to_bytes())

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


async def tell_while_running(changed: asyncio.Event, link: DeviceLink) -> None:
    """Publish the inventory again whenever it changed."""
    while True:
        await changed.wait()
        changed.clear()
        await link.tell_info()
