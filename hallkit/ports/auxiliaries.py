"""Port `auxiliaries`: contacts, counters and switched outputs of a machine or of the hall."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.auxiliaries import AuxiliaryReading
from hallkit.ports.peripheral import Peripheral


class Auxiliaries(Peripheral, Protocol):
    """It works while anything of it answers; the report's reason tells what does not, or what is
    wrong at a contact, the worst if it is much.
    """

    async def read(self) -> AuxiliaryReading:
        """Ask for every point; the report follows it.

        Points that do not answer are `unknown`. Raises `DeviceError` where none answers. Ends
        within the profile's deadlines.
        """
        ...

    async def changed(self, last: AuxiliaryReading) -> AuxiliaryReading:
        """Wait until a contact is otherwise than in `last`, or known where it was not, or unknown
        where it was known, and give the new reading.

        Raises `DeviceError` where none of the points answers; has no deadline otherwise.
        Cancelling it is safe.
        """
        ...

    async def switch(self, point: str, *, on: bool) -> None:
        """Switch an output; returns when the module has confirmed it, read back.

        An output with a pulse time falls back by itself. Raises `NotSupported` if the point is no
        output. Any other `DeviceError`: it is not known to have followed, and may have been
        reached; a door may stand open for its pulse. What is no pulse is then switched as soon as
        its module is heard, if that is still wanted then; a pulse is not given again.
        """
        ...
