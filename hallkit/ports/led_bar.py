"""Port `led_bar`: a line of text over a window."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.signage import BarText
from hallkit.ports.peripheral import Peripheral


class LedBar(Peripheral, Protocol):
    async def show(self, text: BarText) -> None:
        """Show this instead of what stands there; returns when the bar has confirmed it.

        Raises `NotSupported` if the bar has no glyph for a character: then nothing changes. Any
        other `DeviceError`: the bar was not reached, and will show the text as soon as it is back,
        if it is still to be shown then. Ends within the profile's deadline.
        """
        ...

    async def clear(self) -> None:
        """Show nothing; faults as with `show`."""
        ...
