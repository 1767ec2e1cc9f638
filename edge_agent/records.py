"""Events of this machine: wrapped once, kept in the outbox in the caller's transaction."""

from __future__ import annotations

import sqlite3

from hallkit.clients.outbox import Outbox
from hallkit.model.ids import DeviceId, SiteId
from hallkit.runtime.clock import Clock, utc
from hallkit.wire.events import CloudEvent, EventData


class Recorder:
    """Makes and keeps the machine's own events."""

    def __init__(self, outbox: Outbox, clock: Clock, *, site: SiteId, device: DeviceId) -> None:
        self.outbox = outbox
        self._clock = clock
        self._source = f"hallkit/{site}/{device}"

    def insert(self, db: sqlite3.Connection, data: EventData, *, subject: str = "") -> None:
        """Keep an event inside the caller's transaction (under `outbox.waking`)."""
        self.outbox.insert(db, self._wrap(data, subject), **self._times())

    async def add(self, data: EventData, *, subject: str = "") -> None:
        """Keep an event; it is on the disk when this returns."""
        await self.outbox.add(self._wrap(data, subject), **self._times())

    async def keep(self, event: CloudEvent) -> bool:
        """Keep an application's event under its own id; False if it was kept before."""
        told = event.model_copy(update={"source": self._source})
        return await self.outbox.add(told, **self._times())

    def _wrap(self, data: EventData, subject: str) -> CloudEvent:
        time = utc(self._clock.wall_ms())
        return CloudEvent.wrap(data, source=self._source, time=time, subject=subject)

    def _times(self) -> dict[str, int]:
        return {
            "wall_ms": self._clock.wall_ms(),
            "mono_ms": round(self._clock.mono_s() * 1000),
        }
