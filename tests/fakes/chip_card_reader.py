"""A chip card reader without a wire, for tests of what uses the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from drivers.driver import status_of
from hallkit.errors import DeviceError
from hallkit.model.chip_card import ApduAnswer, ChipCard, ChipCardKind
from hallkit.model.device import DeviceReport, DeviceStatus, Media
from hallkit.ports.chip_card_reader import (
    CardRemoved,
    CardSession,
    ChipCardOutcome,
    HolderNeedsPlugin,
    NoSession,
    UnknownCard,
)
from hallkit.ports.id_card_reader import CardUnreadable, NoCard
from hallkit.runtime.clock import Clock

SOCIAL_SECURITY = ChipCard(
    kind=ChipCardKind.SOCIAL_SECURITY, atr=bytes.fromhex("3B6800004E4F424F44592121")
)
OTHER = ChipCard(kind=ChipCardKind.UNKNOWN, atr=bytes.fromhex("3B800181"))


class FakeChipCardReader:
    """Implements `ChipCardReader`; the test puts cards in and sets faults."""

    def __init__(self, clock: Clock, device_id: str = "chip-card-reader") -> None:
        self._clock = clock
        self._card: ChipCard | CardUnreadable | None = None
        self._was_read = False
        self._changed = asyncio.Event()
        self._polls = 0
        self.answers: dict[bytes, ApduAnswer] = {}
        """What a card says to a command; 6D00 to any other."""
        self.pulled_at_next_command = False
        self.fault: DeviceError | None = None
        """Raised by every look while it is set."""
        self._report = DeviceReport(
            id=device_id,
            port="chip_card_reader",
            driver="fake",
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    @property
    def report(self) -> DeviceReport:
        return self._report

    def insert(self, card: ChipCard | CardUnreadable = SOCIAL_SECURITY) -> None:
        self._card, self._was_read = card, False
        self._changed.set()

    def remove(self) -> None:
        self._card = None
        self._changed.set()

    async def poll_card(self) -> ChipCardOutcome:
        self._polls += 1
        self._look()
        match self._card:
            case None:
                return NoCard()
            case CardUnreadable():
                return self._card
            case _ if self._was_read:
                return NoCard(left_behind=True)
            case _ if self._pulled():
                return CardRemoved()
            case card:
                self._was_read = True
                known = card.kind is ChipCardKind.SOCIAL_SECURITY
                return HolderNeedsPlugin(card) if known else UnknownCard(card)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[CardSession | NoSession]:
        self._look()
        if self._card is None:
            yield NoCard()
        elif isinstance(self._card, CardUnreadable):
            yield self._card
        else:
            session = _Session(self, self._card.atr)
            yield session
            session.over = True

    async def wait_change(self, *, limit_s: float) -> bool:
        if self.fault is not None:
            raise self.fault
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    async def probe(self) -> DeviceReport:
        with suppress(DeviceError):
            self._look()
        return self._report

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"looks": self._polls}

    def answer(self, command: bytes) -> ApduAnswer | CardRemoved:
        if self._pulled() or self._card is None:
            return CardRemoved()
        return self.answers.get(command, ApduAnswer(data=b"", status=0x6D00))

    def _pulled(self) -> bool:
        if not self.pulled_at_next_command:
            return False
        self.pulled_at_next_command = False
        self.remove()
        return True

    def _look(self) -> None:
        if self.fault is not None:
            status, action = status_of(self.fault.reason)
            self._update(
                status=status, reason=self.fault.reason, action=action, media=Media.UNKNOWN
            )
            raise self.fault
        self._changed.clear()
        media = Media.NOT_PRESENT if self._card is None else Media.PRESENT
        self._update(status=DeviceStatus.ONLINE, reason=None, action=None, media=media)

    def _update(self, **changes: object) -> None:
        new = self._report.model_copy(update=changes)
        if new != self._report:
            self._report = new.model_copy(update={"since_ms": self._clock.wall_ms()})


class _Session:
    def __init__(self, reader: FakeChipCardReader, atr: bytes) -> None:
        self._reader = reader
        self.atr = atr
        self.over = False

    async def exchange(self, command: bytes) -> ApduAnswer | CardRemoved | CardUnreadable:
        if self.over or len(command) < 4:
            raise ValueError("no session, or no command")
        return self._reader.answer(command)
