"""The machine on the broker: presence, inventory, and the outbox's ordered stream of reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hallkit.clients.mqtt import MqttLink

from hallkit import __version__
from hallkit.clients.outbox import Outbox, Row
from hallkit.errors import LinkDown, WireError
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import PAYLOAD_LIMIT, Ack, Info, Presence, Report
from hallkit.wire.topics import DeviceTopics

CREDIT_AT_START = 50
"""Reports on the way before the hub has said how many it takes."""

RESEND_AFTER_S = 10.0
"""Without any acknowledgement for so long, everything unacknowledged is sent again."""

HISTORICAL_AFTER_MS = 60_000


class DeviceLink:
    """Keeps one connection's worth of promises: birth, will, reports until acknowledged."""

    def __init__(
        self,
        link: MqttLink,
        outbox: Outbox,
        clock: Clock,
        *,
        topics: DeviceTopics,
        boot: str,
        info: Callable[[], Info],
    ) -> None:
        self._link = link
        self._outbox = outbox
        self._clock = clock
        self._topics = topics
        self._boot = boot
        self._info = info
        self._credit = CREDIT_AT_START
        self._sent_upto = 0
        self._on_the_way = 0
        self._log = get_logger()
        self.refused = 0
        """Messages from the broker that made no sense."""

    async def make_will(self) -> tuple[str, bytes]:
        """Topic and payload of the next connection's will; counts a new epoch."""
        self._epoch = await self._outbox.next_epoch()
        return self._topics.presence, self._presence("offline").to_bytes()

    async def on_connected(self) -> None:
        """Say who is here, then send again all that was not acknowledged."""
        await self._link.subscribe(self._topics.ack)
        await self._link.publish(
            self._topics.presence, self._presence("online").to_bytes(), retain=True
        )
        await self.tell_info()
        self._sent_upto = 0
        self._on_the_way = 0

    def farewell(self) -> tuple[str, bytes]:
        """What an orderly end publishes in place of the will."""
        return self._topics.presence, self._presence("offline").to_bytes()

    async def tell_info(self) -> None:
        """Publish the inventory; silently skipped while the link is down (the birth tells it)."""
        try:
            await self._link.publish(self._topics.info, self._info().to_bytes(), retain=True)
        except LinkDown:
            return

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Take the hub's acknowledgement; anything else is refused and counted."""
        if topic != self._topics.ack:
            self.refused += 1
            return
        try:
            ack = Ack.from_bytes(payload, limit=PAYLOAD_LIMIT)
        except WireError as fault:
            self.refused += 1
            self._log.warning("link.refused", what=fault.what)
            return
        self._credit = ack.credit
        gone = await self._outbox.acknowledge(ack.boot, ack.upto)
        self._on_the_way = max(0, self._on_the_way - gone)

    async def run(self) -> None:
        """Send what the outbox holds, in order, within the hub's credit, until cancelled."""
        while True:
            await self._link.connected.wait()
            room = self._credit - self._on_the_way
            rows = await self._outbox.rows_after(self._sent_upto, limit=room) if room > 0 else []
            try:
                for row in rows:
                    await self._send(row)
            except LinkDown:
                await self._clock.sleep(0.05)
                continue
            if rows:
                continue
            waiting_since = self._clock.mono_s()
            await self._outbox.wait_for_change(timeout_s=RESEND_AFTER_S)
            silent = self._clock.mono_s() - waiting_since >= RESEND_AFTER_S
            if silent and self._on_the_way:
                self._log.warning("link.resend", on_the_way=self._on_the_way)
                self._sent_upto = 0
                self._on_the_way = 0

    async def _send(self, row: Row) -> None:
        now_ms = self._clock.wall_ms()
        report = Report(
            boot=row.boot,
            seq=row.seq,
            first=await self._outbox.first_seq(row.boot),
            ts=row.created_ms,
            mono=row.mono_ms,
            hist=now_ms - row.created_ms > HISTORICAL_AFTER_MS,
            records=(row.event,),
        )
        await self._link.publish(self._topics.report, report.to_bytes())
        self._sent_upto = row.ordinal
        self._on_the_way += 1

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

    _epoch = 0


async def tell_while_running(changed: asyncio.Event, link: DeviceLink) -> None:
    """Publish the inventory again whenever it changed."""
    while True:
        await changed.wait()
        changed.clear()
        await link.tell_info()
