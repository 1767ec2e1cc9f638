"""Port `ups`: what keeps a machine alive while the mains are gone."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.power import PowerReading
from hallkit.ports.peripheral import Peripheral


class Ups(Peripheral, Protocol):
    async def read(self) -> PowerReading:
        """Ask for the present state; the report follows it.

        Raises `DeviceError` where the UPS cannot be asked: then nobody knows about the mains, and
        the last reading is no guide. Ends within the profile's deadline.
        """
        ...
