"""A code scanner without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from hallkit.model.scanning import ScannedCode
from hallkit.runtime.clock import Clock
from tests.fakes.listener import FakeListener


class FakeCodeScanner(FakeListener[ScannedCode]):
    """Implements `CodeScanner`; the test holds codes before it and pulls its plug."""

    def __init__(self, clock: Clock, device_id: str = "scanner") -> None:
        super().__init__(clock, device_id, port="code_scanner")

    def scan(self, text: str) -> None:
        self._say(ScannedCode(text=text))

    async def next_code(self) -> ScannedCode:
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {"codes": self._heard}
