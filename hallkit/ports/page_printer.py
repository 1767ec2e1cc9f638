"""Port `page_printer`: a document goes on sheets, and the printer says so."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.printing import PageOutcome, Sides
from hallkit.ports.peripheral import Peripheral


class PagePrinter(Peripheral, Protocol):
    async def print_pdf(self, document: bytes, *, sides: Sides = Sides.ONE) -> PageOutcome:
        """Print one PDF and wait until the printer says that the job is over.

        A fault during the attempt is an outcome (`not_started` or `unknown` with its reason), not
        an exception. While it waits for paper or for a jam to be cleared the report says so. A job
        that is not over by the profile's deadline, or whose caller is cancelled, is cancelled in
        the printer: nothing comes out for somebody who has left.
        """
        ...
