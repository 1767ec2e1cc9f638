"""Port `ticket_printer`: a slip goes on paper, and the printer says so."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.printing import PrintOutcome, Slip
from hallkit.ports.peripheral import Peripheral


class TicketPrinter(Peripheral, Protocol):
    async def print_slip(self, slip: Slip, *, marked: bool) -> PrintOutcome:
        """Print one slip and wait for the printer's own confirmation.

        `marked` puts the slip's reprint mark on top. A fault during the attempt is an outcome
        (`not_started` or `unknown` with its reason), not an exception: the caller keeps the job.
        Ends within the profile's deadline.
        """
        ...
