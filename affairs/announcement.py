"""Tells the hall that there is another catalogue: retained, under the node's own certificate."""

from __future__ import annotations

import asyncio

from affairs.live_catalogue import LiveCatalogue
from hallkit.clients.mqtt import MqttLink
from hallkit.errors import LinkDown, Rejected
from hallkit.model.ids import SiteId
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import CatalogueNotice
from hallkit.wire.topics import CATALOGUE_STREAM, hall_stream


class Announcement:
    """Says over MQTT which catalogue the node offers. The node serves with or without it."""

    def __init__(
        self, link: MqttLink, catalogue: LiveCatalogue, *, site: SiteId, clock: Clock
    ) -> None:
        self._link = link
        self._catalogue = catalogue
        self._topic = hall_stream(site, CATALOGUE_STREAM)
        self._clock = clock
        self._log = get_logger()

    async def run(self) -> None:
        """Stay connected and tell each change, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell_changes(), name="catalogue notices")
            # No will: a node that is gone has not taken its catalogue back.
            await self._link.run(on_message=self._ignore, on_connected=self._tell)

    async def _tell_changes(self) -> None:
        while True:
            await self._catalogue.changed.wait()
            self._catalogue.changed.clear()
            try:
                await self._tell()
            except (LinkDown, Rejected) as fault:
                # The next connection tells it.
                self._log.warning("catalogue.notice_failed", fault=str(fault))

    async def _tell(self) -> None:
        manifest = self._catalogue.publication.manifest
        notice = CatalogueNotice(
            version=manifest.version,
            sequence=manifest.sequence,
            sha256=manifest.sha256,
            ts=self._clock.wall_ms(),
        )
        await self._link.publish(self._topic, notice.to_bytes(), retain=True)

    async def _ignore(self, _topic: str, _payload: bytes) -> None:
        """The node asks for nothing."""
