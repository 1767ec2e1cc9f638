"""What the hub wants on the machines: told to each as a retained document, kept over a restart.

The business node says on `hall/catalogue` which catalogue it offers; every machine of the site is
to have that one. A machine that is away finds the word when it comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert_of_sqlite

from hallkit.errors import LinkError, WireError
from hallkit.model.ids import DeviceId, SiteId
from hallkit.runtime.log import get_logger
from hallkit.wire.mqtt import PAYLOAD_LIMIT, CatalogueNotice, Desired
from hallkit.wire.topics import CATALOGUE_STREAM, DeviceTopics, hall_stream
from ops import store

CATALOGUE = "catalogue"


class Publish(Protocol):
    def __call__(self, topic: str, payload: bytes, *, retain: bool) -> Awaitable[None]: ...


class DesiredState:
    """Tells every machine of the site what it should have."""

    def __init__(
        self,
        kept_in: store.Store,
        *,
        site: SiteId,
        devices: Iterable[DeviceId],
        publish: Publish,
        on_change: Callable[[], None],
    ) -> None:
        """`devices` are the machines that the site's files name: no other may connect."""
        self._store = kept_in
        self._site = site
        self._devices = tuple(sorted(devices))
        self._publish = publish
        self._on_change = on_change
        self._log = get_logger()
        self.topic = hall_stream(site, CATALOGUE_STREAM)
        """Where the business node speaks."""
        self.refused = 0

    async def on_notice(self, payload: bytes) -> None:
        """The business node offers a catalogue; an older word than ours changes nothing."""
        try:
            notice = CatalogueNotice.from_bytes(payload, limit=PAYLOAD_LIMIT)
        except WireError as fault:
            self.refused += 1
            self._log.warning("desired.notice_refused", what=fault.what)
            return
        changed = await self._store.transaction(lambda connection: _want(connection, notice))
        if changed:
            self._log.info("desired.catalogue", version=notice.version)
            self._on_change()
            await self.tell()

    async def tell(self) -> None:
        """Tell each machine again; the broker keeps the last word for whoever is away."""
        desired = await self._store.transaction(read)
        if desired is None:
            return
        payload = desired.to_bytes()
        try:
            for device in self._devices:
                await self._publish(DeviceTopics(self._site, device).desired, payload, retain=True)
        except LinkError as fault:
            # The next connection tells it.
            self._log.warning("desired.not_told", detail=str(fault))


def read(connection: sa.Connection) -> Desired | None:
    """What is wanted now; None before the business node said anything."""
    table = store.wanted
    row = connection.execute(sa.select(table).where(table.c.part == CATALOGUE)).mappings().first()
    if row is None:
        return None
    notice = CatalogueNotice.model_validate_json(row["document"])
    return Desired(version=row["version"], catalogue=notice)


def _want(connection: sa.Connection, notice: CatalogueNotice) -> bool:
    """Keep the notice; False if it is known or older than the one kept."""
    known = read(connection)
    if known is not None and known.catalogue is not None:
        same = known.catalogue.sha256 == notice.sha256
        if same or notice.sequence < known.catalogue.sequence:
            return False
    table = store.wanted
    version = 1 if known is None else known.version + 1
    row = {"version": version, "document": notice.model_dump_json()}
    connection.execute(
        upsert_of_sqlite(table)
        .values(part=CATALOGUE, **row)
        .on_conflict_do_update(index_elements=["part"], set_=row)
    )
    return True
