"""From the link to the store and back: batches, transactions, acknowledgements after commit."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hallkit.errors import LinkDown, Rejected, StoreError, WireError
from hallkit.model.ids import DeviceId, SiteId
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import Ack
from hallkit.wire.topics import DeviceTopics, parse_up
from ops.broker import DROPPED
from ops.effects import Settled, settle
from ops.inbound import NOBODY, Heard, Refused, receive
from ops.store import Store

CREDIT = 100
"""Reports that a machine may have on the way."""

BATCH_LIMIT = 200
"""Messages in one transaction: one wait for the disk serves them all."""

GATHER_S = 0.02
"""From the end of one transaction to the next; what comes meanwhile shares the next one. A message
after a pause does not wait."""

QUEUE_LIMIT = 2_000
"""Messages that wait for a transaction; beyond it the link's inbox takes over."""

Publish = Callable[[str, bytes], Awaitable[None]]


class Ingest:
    """Takes messages from the link, settles them in batches, acknowledges; `run` it in a task."""

    def __init__(
        self,
        kept_in: Store,
        clock: Clock,
        *,
        site: SiteId,
        publish: Publish,
        on_change: Callable[[], None],
    ) -> None:
        self._store = kept_in
        self._clock = clock
        self._site = site
        self._publish = publish
        self._on_change = on_change
        self._queue: asyncio.Queue[Heard | Refused] = asyncio.Queue(QUEUE_LIMIT)
        self._log = get_logger()
        self._told: set[Refused] = set()
        self.broker_dropped = 0
        """Messages that the broker says it threw away since its start."""

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Take one message; waits while too many are unsettled."""
        if topic == DROPPED:
            if payload.isdigit() and len(payload) < 19:
                self.broker_dropped = int(payload)
                self._on_change()
            return
        for item in receive(self._site, topic, payload):
            await self._queue.put(item)

    def on_refused(self, topic: str, what: str) -> None:
        """Count a message that the link did not hand over."""
        try:
            device = parse_up(topic).device
        except WireError:
            device = NOBODY
        if not self._queue.full():
            self._queue.put_nowait(Refused(device, what))

    async def run(self) -> None:
        """Settle until cancelled. What cannot be kept now is kept later; nothing is skipped."""
        ended_s = -GATHER_S
        while True:
            batch = [await self._queue.get()]
            too_early_s = ended_s + GATHER_S - self._clock.mono_s()
            if too_early_s > 0 and self._queue.qsize() < BATCH_LIMIT:
                await self._clock.sleep(too_early_s)
            while len(batch) < BATCH_LIMIT and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            for settled in await self._kept(batch):
                self._tell_refused(settled)
                await asyncio.gather(
                    *(
                        self._acknowledge(device, boot, upto)
                        for device, boots in settled.acks.items()
                        for boot, upto in boots.items()
                    )
                )
            self._on_change()
            ended_s = self._clock.mono_s()

    def _tell_refused(self, settled: Settled) -> None:
        """Log the first of its kind; the counters have them all."""
        for refused in settled.refused:
            if refused not in self._told:
                self._told.add(refused)
                self._log.warning("ingest.refused", device=refused.device, reason=refused.what)

    async def _kept(self, batch: list[Heard | Refused]) -> list[Settled]:
        backoff = Backoff(base_s=0.2, cap_s=10.0)
        told = False
        while True:
            try:
                return [await self._settle(batch)]
            except StoreError as fault:
                if not told:
                    told = True
                    self._log.error("ingest.store_failed", detail=str(fault))
                await self._clock.sleep(backoff.next_s())
            except Exception:  # noqa: BLE001
                # The supervisor boundary of a message: one that trips us must not stop the rest.
                if len(batch) > 1:
                    return [one for item in batch for one in await self._kept([item])]
                self._log.exception("ingest.crashed", device=batch[0].device)
                return await self._kept([Refused(batch[0].device, "internal")])

    async def _settle(self, batch: list[Heard | Refused]) -> Settled:
        now_ms = self._clock.wall_ms()
        return await self._store.transaction(
            lambda connection: settle(connection, self._site, batch, now_ms)
        )

    async def _acknowledge(self, device: DeviceId, boot: str, upto: int) -> None:
        ack = Ack(boot=boot, upto=upto, credit=CREDIT)
        try:
            await self._publish(DeviceTopics(self._site, device).ack, ack.to_bytes())
        except (LinkDown, Rejected) as fault:
            # The machine sends again what it heard no word of, and is answered then.
            self._log.warning("ingest.ack_failed", device=device, detail=str(fault))
