"""Looking for a card while an application waits for one, and saying when it was left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edge_agent.devices.pulse import Pulse
from hallkit.errors import DeviceError
from hallkit.ports.id_card_reader import CardOutcome, CardRead, IdCardReader, NoCard
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

POLL_INTERVAL_S = 0.35
"""The SDT reader wants more than 300 ms between looks."""

FAULT_PAUSE_S = 1.0
"""After a fault the reader's probe finds out what it is; looking harder does not help."""


class CardWatch:
    """One reader, at most one watcher: cards are told to nobody else.

    `unheard` is called for a card that was looked at and told to nobody; `pulse` hears how long
    each look takes.
    """

    def __init__(
        self,
        reader: IdCardReader,
        clock: Clock,
        *,
        tell: Callable[[CardOutcome], None],
        unheard: Callable[[], None],
        pulse: Pulse | None = None,
    ) -> None:
        self._reader = reader
        self._pulse = pulse or Pulse(clock)
        self._clock = clock
        self._tell = tell
        self._unheard = unheard
        self._wanted = asyncio.Event()
        self._watch = 0
        self._log = get_logger()

    def start(self) -> None:
        """Look from now on, for a new watcher: where things stand is told afresh."""
        self._watch += 1
        self._wanted.set()

    def stop(self) -> None:
        """Look no more. A card that is being read now is told to nobody."""
        self._watch += 1
        self._wanted.clear()

    async def run(self) -> None:
        """Look for cards while wanted, until cancelled.

        Tells a card once, an unreadable card each time, and `left_behind` at the beginning of a
        watch and whenever it changes.
        """
        watch = self._watch
        left_behind: bool | None = None
        while True:
            await self._wanted.wait()
            if watch != self._watch:
                watch, left_behind = self._watch, None
            try:
                with self._pulse.call():
                    outcome = await self._reader.poll_card()
            except DeviceError:
                await self._clock.sleep(FAULT_PAUSE_S)
                continue
            except Exception:  # noqa: BLE001  # boundary: a broken driver must not end the watch
                self._log.exception("card.driver_crashed")
                await self._clock.sleep(FAULT_PAUSE_S)
                continue
            if watch != self._watch:
                # Whoever asks now is not who asked when the look began.
                if outcome != NoCard():
                    self._unheard()
                continue
            match outcome:
                case NoCard(left_behind=still) if still == left_behind:
                    pass
                case NoCard(left_behind=still):
                    left_behind = still
                    self._tell(outcome)
                case CardRead():
                    left_behind = True
                    self._tell(outcome)
                case _:
                    self._tell(outcome)
            await self._clock.sleep(POLL_INTERVAL_S)
