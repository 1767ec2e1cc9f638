"""Composition root of the operations centre: `python -m ops.app`."""

from __future__ import annotations

import asyncio
import sys

from hallkit.clients.mqtt import MqttLink
from hallkit.errors import Rejected
from hallkit.lexicon.words import words
from hallkit.model.ids import DeviceId, SiteId
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock, SystemClock
from hallkit.runtime.config import Places, files_from_environment
from hallkit.runtime.lifecycle import ReadyCallback, run
from hallkit.runtime.log import get_logger
from hallkit.runtime.settings import DeviceSection, SiteSection
from hallkit.runtime.tls import client_context
from hallkit.store.retention import Janitor
from hallkit.web.login import read_token
from hallkit.web.server import https_context, serve
from hallkit.wire.mqtt import HubState
from hallkit.wire.topics import all_up, hub_state
from ops import retention, view
from ops.broker import DROPPED, HUB
from ops.console import Console
from ops.desired import DesiredState
from ops.ingest import Ingest
from ops.settings import parse
from ops.store import Store
from ops.view import CentreView, Surroundings

DATABASE = "ops.sqlite"


class Centre:
    """The parts that know each other: link, ingest, what the console reads."""

    def __init__(
        self,
        kept_in: Store,
        clock: Clock,
        link: MqttLink,
        *,
        site: SiteSection,
        listed: dict[DeviceId, DeviceSection],
    ) -> None:
        self._store = kept_in
        self._clock = clock
        self._link = link
        self._site = site
        self._listed = {str(one): (said.name, said.role) for one, said in listed.items()}
        self._topic = hub_state(SiteId(site.id))
        self._link_changed_ms = clock.wall_ms()
        self._console: Console | None = None
        self.desired = DesiredState(
            kept_in,
            site=SiteId(site.id),
            devices=listed,
            publish=link.publish,
            on_change=self._changed,
        )
        self.ingest = Ingest(
            kept_in,
            clock,
            site=SiteId(site.id),
            publish=link.publish,
            on_change=self._changed,
        )

    def tell(self, console: Console) -> None:
        """Who is told of changes."""
        self._console = console

    async def read(self) -> CentreView:
        """Everything that the console shows, now."""
        around = Surroundings(
            site_name=self._site.name,
            listed=self._listed,
            broker_up=self._link.connected.is_set(),
            broker_since_ms=self._link_changed_ms,
            broker_dropped=self.ingest.broker_dropped,
        )
        now_ms = self._clock.wall_ms()
        return await self._store.transaction(
            lambda connection: view.read(connection, around, now_ms)
        )

    async def stay_linked(self) -> None:
        """Hear the machines, until cancelled."""
        await self._link.run(
            will=self._will,
            on_connected=self._on_connected,
            on_message=self._on_message,
            on_lost=self._on_lost,
            farewell=lambda: (self._topic, self._state("offline")),
            on_refused=self.ingest.on_refused,
        )

    async def _will(self) -> tuple[str, bytes]:
        return self._topic, self._state("offline")

    async def _on_connected(self) -> None:
        await self._link.subscribe(all_up(SiteId(self._site.id)), self.desired.topic)
        await self._link.publish(self._topic, self._state("online"), retain=True)
        try:
            await self._link.subscribe(DROPPED)
        except Rejected:
            get_logger().info("ops.no_broker_statistics")
        await self.desired.tell()
        self._link_changed()

    async def _on_message(self, topic: str, payload: bytes) -> None:
        if topic == self.desired.topic:
            await self.desired.on_notice(payload)
        else:
            await self.ingest.on_message(topic, payload)

    async def _on_lost(self) -> None:
        self._link_changed()

    def _link_changed(self) -> None:
        self._link_changed_ms = self._clock.wall_ms()
        self._changed()

    def _state(self, state: str) -> bytes:
        told = HubState.model_validate({"state": state, "ts": self._clock.wall_ms()})
        return told.to_bytes()

    def _changed(self) -> None:
        if self._console is not None:
            self._console.live.touch()


async def _main(ready: ReadyCallback) -> None:
    settings, listed = parse(files_from_environment())
    places = Places.from_environment()
    token = read_token(places.credentials / "console.token")
    context = https_context(places.credentials) if settings.ops.tls else None
    clock = SystemClock()
    link = MqttLink(
        host=settings.broker.host,
        port=settings.broker.port,
        client_id=HUB,
        tls=client_context(places.credentials),
        backoff=Backoff(cap_s=settings.broker.reconnect_cap_s),
    )
    async with Store(places.state / DATABASE) as store:
        centre = Centre(store, clock, link, site=settings.site, listed=listed)
        console = Console(
            centre.read, words=words("zh_CN"), clock=clock, token=token, secure=settings.ops.tls
        )
        centre.tell(console)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(centre.ingest.run(), name="ingest")
            tasks.create_task(centre.stay_linked(), name="link")
            janitor = Janitor(store, clock, retention.steps(settings.ops.retention))
            tasks.create_task(janitor.run(), name="retention")
            tasks.create_task(console.live.run(), name="live page")
            await serve(
                console.app,
                host=settings.ops.host,
                port=settings.ops.port,
                context=context,
                ready=ready,
                before_stop=console.live.close,
            )


def main() -> int:
    """Run the centre until it is told to stop; the exit code."""
    return run("ops", _main)


if __name__ == "__main__":
    sys.exit(main())
