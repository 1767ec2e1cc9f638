"""Port `key_panel`: keys that can be felt, and a jack for headphones, below the screen."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.key_panel import PanelAction
from hallkit.ports.peripheral import Peripheral


class KeyPanel(Peripheral, Protocol):
    @property
    def headphones(self) -> bool | None:
        """Whether headphones are plugged in, as last known; None while nobody knows.

        A panel without a jack never knows. It is right after a probe even if nobody waits.
        """
        ...

    async def next_press(self) -> PanelAction:
        """Wait for the next press, or for headphones plugged in or out, and give it.

        What was pressed while nobody waited is not given: it was meant for another screen. What was
        pressed behind the one that is given, while its caller still waited, is for whoever asks
        again within a second. A jack that does not stand as it was last given, or found at first,
        is always given, however late. A press that bounces is given once; a key held down is given
        again and again where its action `goes_on`, to whoever got its press. Raises `DeviceError`
        when the panel itself is lost; has no deadline otherwise. Cancelling it is safe.
        """
        ...
