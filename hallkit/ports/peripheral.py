"""What every peripheral can do, whatever it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from hallkit.model.device import DeviceReport


class Peripheral(Protocol):
    """An opened device. Its owner probes it; its state never needs a citizen to be found out."""

    @property
    def report(self) -> DeviceReport:
        """The last known state, without asking the device."""
        ...

    async def probe(self) -> DeviceReport:
        """Ask the device how it is, reconnecting first where it was lost.

        Never raises for a fault of the device: a lost device is a report. Ends within the
        profile's deadline.
        """
        ...

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters and facts for a technician; no personal data."""
        ...
