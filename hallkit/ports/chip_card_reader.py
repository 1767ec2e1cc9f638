"""Port `chip_card_reader`: a chip card is put in or laid on, and talked to."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from hallkit.model.chip_card import ApduAnswer, Cardholder, ChipCard
from hallkit.ports.id_card_reader import CardUnreadable, NoCard
from hallkit.ports.peripheral import Peripheral


@dataclass(frozen=True, slots=True)
class CardRemoved:
    """It was pulled while somebody talked to it: ask for it once more, until it is done."""


@dataclass(frozen=True, slots=True)
class UnknownCard:
    """A chip card, and none that is known here."""

    card: ChipCard


@dataclass(frozen=True, slots=True)
class HolderNeedsPlugin:
    """A social-security card; whose it is, only the customer's PSAM plug-in can read."""

    card: ChipCard


@dataclass(frozen=True, slots=True)
class HolderRead:
    card: ChipCard
    holder: Cardholder


ChipCardOutcome = (
    NoCard | CardRemoved | CardUnreadable | UnknownCard | HolderNeedsPlugin | HolderRead
)
NoSession = NoCard | CardRemoved | CardUnreadable
"""Why there is nothing to talk to."""


class CardSession(Protocol):
    """A card that is ours alone until the session ends; then it loses its power and all it knew."""

    @property
    def atr(self) -> bytes: ...

    async def exchange(self, command: bytes) -> ApduAnswer | CardRemoved | CardUnreadable:
        """Send a command APDU and take the whole answer: 61xx and 6Cxx are followed.

        `CardUnreadable` for an answer that is none. Raises `DeviceError` when the reader fails, and
        `ValueError` for what is no command.
        """
        ...


class HolderReader(Protocol):
    """The plug-in that reads whose a social-security card is, with the customer's PSAM.

    The card's application is chosen already. It gives out a holder only if it is sure: a wrong
    identity is worse than a second try.
    """

    async def read(self, card: CardSession) -> Cardholder | CardRemoved | CardUnreadable: ...


class ChipCardReader(Peripheral, Protocol):
    async def poll_card(self) -> ChipCardOutcome:
        """Look once for a new card and read it as far as that is possible.

        A card that was read answers `NoCard(left_behind=True)` until it is taken out. Raises
        `DeviceError` when the reader itself fails; ends within the profile's deadline.
        """
        ...

    def session(self) -> AbstractAsyncContextManager[CardSession | NoSession]:
        """Talk to the card that lies there, new or not; other calls wait meanwhile.

        Raises `DeviceError` when the reader itself fails.
        """
        ...

    async def wait_change(self, *, limit_s: float) -> bool:
        """Wait until a card or a reader comes or goes, and say whether it did; at most `limit_s`.

        Other calls go first. Raises `DeviceError` when the reader itself fails.
        """
        ...
