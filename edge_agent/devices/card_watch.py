"""Looking for a card while an application waits for one, and saying when it was left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hallkit.errors import DeviceError
from hallkit.ports.id_card_reader import CardOutcome, CardRead, IdCardReader, NoCard
from hallkit.runtime.clock import Clock

POLL_INTERVAL_S = 0.35
"""The SDT reader wants more than 300 ms between looks."""

FAULT_PAUSE_S = 1.0
"""After a fault the reader's probe finds out what it is; looking harder does not help."""


class CardWatch:
    """One reader, at most one watcher: cards are told to nobody else."""

    def __init__(
        self, reader: IdCardReader, clock: Clock, *, tell: Callable[[CardOutcome], None]
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._tell = tell
        self._wanted = asyncio.Event()

    def start(self) -> None:
        self._wanted.set()

    def stop(self) -> None:
        self._wanted.clear()

    async def run(self) -> None:
        """Look for cards while wanted, until cancelled.

        Tells a card once, an unreadable card each time, and changes of `left_behind`.
        """
        left_behind = False
        while True:
            await self._wanted.wait()
            try:
                outcome = await self._reader.poll_card()
            except DeviceError:
                await self._clock.sleep(FAULT_PAUSE_S)
                continue
            match outcome:
                case NoCard(left_behind=still) if still != left_behind:
                    left_behind = still
                    self._tell(outcome)
                case NoCard():
                    pass
                case CardRead():
                    left_behind = True
                    self._tell(outcome)
                case _:
                    self._tell(outcome)
            await self._clock.sleep(POLL_INTERVAL_S)
