"""Port `code_scanner`: a bar code or QR is held before a reader."""

from __future__ import annotations

from typing import Protocol

from hallkit.model.scanning import ScannedCode
from hallkit.ports.peripheral import Peripheral


class CodeScanner(Peripheral, Protocol):
    async def next_code(self) -> ScannedCode:
        """Wait for the next code and give it.

        Codes that were scanned while nobody waited are not given: whoever asks for one gets one
        that was held there afterwards. A code that arrived damaged or cut is dropped and counted;
        a person simply holds it there again. Raises `DeviceError` when the scanner itself is lost;
        has no deadline otherwise, for a person may take their time. Cancelling it is safe.
        """
        ...
