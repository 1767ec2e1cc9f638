"""Tells the hall what concerns everybody: retained states, under the node's own certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from affairs.live_catalogue import LiveCatalogue
from affairs.queue.calling import Windows
from affairs.upstream import load_upstream
from affairs.upstreams.port import HealthState, Upstreams
from hallkit.clients.mqtt import MqttLink
from hallkit.errors import LinkDown, Rejected, StoreError
from hallkit.model.ids import SiteId
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.wire.base import Message
from hallkit.wire.mqtt import (
    CalledNumber,
    CallsNotice,
    CatalogueNotice,
    SystemDown,
    UpstreamNotice,
)
from hallkit.wire.topics import hall_stream


class State(Protocol):
    """Something of the node that the hall is told, whole, whenever it changes."""

    @property
    def changed(self) -> asyncio.Event:
        """Set when it has; cleared by who tells it."""
        ...

    async def notice(self) -> Message:
        """As it is now. `StoreError` if that cannot be read."""
        ...


class CatalogueState:
    """Which catalogue the node offers."""

    def __init__(self, catalogue: LiveCatalogue, clock: Clock) -> None:
        self._catalogue = catalogue
        self._clock = clock

    @property
    def changed(self) -> asyncio.Event:
        return self._catalogue.changed

    async def notice(self) -> Message:
        manifest = self._catalogue.publication.manifest
        return CatalogueNotice(
            version=manifest.version,
            sequence=manifest.sequence,
            sha256=manifest.sha256,
            ts=self._clock.wall_ms(),
        )


class CallsState:
    """Which numbers are called: read from the disk each time, so that none is lost or made up."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    @property
    def changed(self) -> asyncio.Event:
        return self._windows.called

    async def notice(self) -> Message:
        told = await self._windows.calls()
        called = tuple(CalledNumber.model_validate(call.model_dump()) for call in told.calls)
        return CallsNotice(calls=called, ts=told.as_of_ms)


class SystemsState:
    """Which systems of other authorities, of those that the hall asks, don't answer."""

    def __init__(self, upstreams: Upstreams, clock: Clock) -> None:
        self._upstreams = upstreams
        self._clock = clock
        self._names = load_upstream()
        self._changed = asyncio.Event()

    @property
    def changed(self) -> asyncio.Event:
        return self._changed

    async def run(self) -> None:
        """Hear of changes until cancelled."""
        with self._upstreams.changes() as changes:
            async for _ in changes:
                self._changed.set()

    def down(self) -> tuple[SystemDown, ...]:
        health = self._upstreams.health()
        return tuple(
            SystemDown(
                system=name,
                plain_name=plain_name,
                since_ms=health[name].since_ms,
            )
            for name, plain_name in self._names.items()
            if name in health and health[name].state is HealthState.DOWN
        )

    def not_to_be_asked(self) -> frozenset[str]:
        """Those, and whoever has no address: no item that needs one is decided at once."""
        health = self._upstreams.health()
        return frozenset(
            name
            for name in self._names
            if name not in health or health[name].state is HealthState.DOWN
        )

    async def notice(self) -> Message:
        return UpstreamNotice(down=self.down(), ts=self._clock.wall_ms())


class Announcement:
    """Says over MQTT how each state is, by its stream. The node serves with or without it."""

    def __init__(self, link: MqttLink, states: Mapping[str, State], *, site: SiteId) -> None:
        self._link = link
        self._states = {hall_stream(site, stream): state for stream, state in states.items()}
        self._telling = {topic: asyncio.Lock() for topic in self._states}
        """What was read later is told later: the last word stays with the broker."""
        self._log = get_logger()

    async def run(self) -> None:
        """Stay connected and tell each change, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for topic, state in self._states.items():
                tasks.create_task(self._tell_changes(topic, state), name=f"tells {topic}")
            # No will: a node that is gone has taken nothing back.
            await self._link.run(on_message=self._ignore, on_connected=self._tell_all)

    async def _tell_changes(self, topic: str, state: State) -> None:
        while True:
            await state.changed.wait()
            state.changed.clear()
            try:
                await self._tell(topic, state)
            except (LinkDown, Rejected, StoreError) as fault:
                # The next connection, or the next change, tells it.
                self._log.warning("announcement.failed", topic=topic, fault=str(fault))

    async def _tell_all(self) -> None:
        for topic, state in self._states.items():
            try:
                await self._tell(topic, state)
            except StoreError as fault:
                # The node serves without it, and the next change tells it.
                self._log.warning("announcement.failed", topic=topic, fault=str(fault))

    async def _tell(self, topic: str, state: State) -> None:
        async with self._telling[topic]:
            notice = await state.notice()
            await self._link.publish(topic, notice.to_bytes(), retain=True)

    async def _ignore(self, _topic: str, _payload: bytes) -> None:
        """The node asks for nothing."""
