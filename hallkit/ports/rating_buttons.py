"""Port `rating_buttons`: five buttons at a window (好差评器)."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.rating import RatingLevel
from hallkit.ports.peripheral import Peripheral


class RatingButtons(Peripheral, Protocol):
    async def next_rating(self) -> RatingLevel:
        """Wait for the next press and give it.

        What was pressed while nobody waited is not given: it belongs to another service. A press
        that bounces, or is held down, is given once. Raises `DeviceError` when the box itself is
        lost; has no deadline otherwise. Cancelling it is safe.
        """
        ...
