"""Port `id_card_reader`: a card is laid on, its text is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hallkit.errors import Reason
from hallkit.model.identity import IdentityCard
from hallkit.ports.peripheral import Peripheral


@dataclass(frozen=True, slots=True)
class NoCard:
    """Nothing new lies on the reader; `left_behind` is True if the card just read still does."""

    left_behind: bool = False


@dataclass(frozen=True, slots=True)
class CardUnreadable:
    """A card was there and could not be read: ask for it to be laid flat once more."""

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CardRead:
    card: IdentityCard


CardOutcome = NoCard | CardUnreadable | CardRead


class IdCardReader(Peripheral, Protocol):
    async def poll_card(self) -> CardOutcome:
        """Look once for a new card and read it.

        Raises `DeviceError` (unavailable, timeout, protocol, attention) when the reader itself
        fails; ends within the profile's deadline. A byte sequence that fails any check never
        becomes a card.
        """
        ...
