"""What the card reader's process offers on `card.sock` (names: `hallkit/wire/agent_bus.py`).

Cards are told to the one connection that watches. Whoever was told of a card is a citizen's visit:
when it is gone this process has to end, because something of the person is in its memory. Not
before: while the citizen is at it, a card that was read for nobody, could not be read, or was left
behind is no reason to take the reader away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.devices.card_watch import CardWatch
from hallkit.model.device import DeviceReport
from hallkit.ports.id_card_reader import CardOutcome, CardRead, CardUnreadable, NoCard
from hallkit.runtime.bus import BusServer, Connection, parse_args
from hallkit.wire import agent_bus as bus
from hallkit.wire.base import Message

SOCKET_NAME = "card.sock"


class CardApi:
    """The local bus server of the card reader's process."""

    def __init__(
        self, path: Path, cards: CardWatch, *, reports: Callable[[], tuple[DeviceReport, ...]]
    ) -> None:
        self._cards = cards
        self._reports = reports
        self._watcher: Connection | None = None
        self._watched: Connection | None = None
        """Who watched last, when nobody does."""
        self._read: set[Connection] = set()
        """Whoever was told what stands on a card, or would have been."""
        self._saw: set[Connection] = set()
        """Whoever was told of a card that was not read."""
        self._unheard = False
        """A card was read for somebody who is gone."""
        self._changed = asyncio.Event()
        self.server = BusServer(
            "card_reader",
            path,
            handlers={bus.CARD_WATCH: self._card_watch},
            snapshot=lambda: bus.CardSnapshot(devices=self._reports()),
        )

    def device_changed(self, device: DeviceReport) -> None:
        self.server.publish(bus.DEVICE_CHANGED, bus.DeviceChanged(device=device))

    def card_outcome(self, outcome: CardOutcome) -> None:
        """Tell the one who watches, and nobody else: this is personal data."""
        watcher = self._watcher
        if watcher is None:
            return
        if outcome != NoCard():  # of a card left behind the reader is asked for more, too
            (self._read if isinstance(outcome, CardRead) else self._saw).add(watcher)
            self._changed.set()
        match outcome:
            case CardRead(card=card):
                self.server.publish(bus.CARD_READ, bus.CardReadData(card=card), only=watcher)
            case CardUnreadable(reason=reason):
                data = bus.CardUnreadableData(reason=reason)
                self.server.publish(bus.CARD_UNREADABLE, data, only=watcher)
            case NoCard(left_behind=True):
                self.server.publish(bus.CARD_LEFT_BEHIND, bus.Empty(), only=watcher)
            case NoCard():
                self.server.publish(bus.CARD_REMOVED, bus.Empty(), only=watcher)

    def card_unheard(self) -> None:
        """A card was looked at for somebody who had stopped watching meanwhile.

        The citizen may still be at it, without the card: what was read goes with the visit.
        """
        citizen = self._watcher or self._watched
        if citizen is None or citizen.closed.is_set():
            self._unheard = True
        else:
            self._read.add(citizen)
        self._changed.set()

    async def until_over(self) -> None:
        """Follow those who watch; returns when this process has served its citizen.

        That is when one who was told of a card is gone. Watching ends with the connection.
        """
        while not self._is_over():
            self._changed.clear()
            followed = {*self._read, *self._saw}
            if self._watcher is not None:
                followed.add(self._watcher)
            if not followed:
                await self._changed.wait()
                continue
            async with asyncio.TaskGroup() as tasks:
                waits = {tasks.create_task(one.closed.wait()) for one in followed}
                waits.add(tasks.create_task(self._changed.wait()))
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for wait in waits:
                    wait.cancel()

    def _is_over(self) -> bool:
        if self._watcher is not None and self._watcher.closed.is_set():
            self._stop_watching()
        if self._unheard or any(one.closed.is_set() for one in self._read):
            return True
        gone = {one for one in self._saw if one.closed.is_set()}
        if not gone:
            return False
        if self._watcher is None:
            return True
        # The next citizen is at the reader already: it ends with that visit.
        self._saw = (self._saw - gone) | {self._watcher}
        return False

    async def _card_watch(self, args: Mapping[str, Any], caller: Connection) -> Message:
        wanted = parse_args(bus.CardWatch, args)
        if wanted.on:
            if self._watcher is not caller:
                self._watcher = caller
                self._changed.set()
                self._cards.start()
        elif self._watcher is caller:
            self._stop_watching()
        return bus.Empty()

    def _stop_watching(self) -> None:
        self._watched, self._watcher = self._watcher, None
        self._changed.set()
        self._cards.stop()
