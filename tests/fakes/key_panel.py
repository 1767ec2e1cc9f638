"""A key panel without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections.abc import Mapping

from hallkit.errors import Reason
from hallkit.model.device import DeviceReport
from hallkit.model.key_panel import PanelAction
from hallkit.runtime.clock import Clock
from tests.fakes.listener import FakeListener


class FakeKeyPanel(FakeListener[PanelAction]):
    """Implements `KeyPanel`; the test presses, plugs headphones and pulls the plug."""

    def __init__(self, clock: Clock, device_id: str = "panel") -> None:
        super().__init__(clock, device_id, port="key_panel")
        self._plugged = False
        self._headphones: bool | None = None

    @property
    def headphones(self) -> bool | None:
        return self._headphones

    def press(self, action: PanelAction) -> None:
        self._say(action)

    def plug_headphones(self, *, is_in: bool) -> None:
        if is_in is not self._plugged:
            self._plugged = is_in
            if self.waits:
                self._headphones = is_in
                self._say(PanelAction.HEADPHONES_IN if is_in else PanelAction.HEADPHONES_OUT)

    def break_(self, reason: Reason) -> None:
        super().break_(reason)
        self._headphones = None

    async def probe(self) -> DeviceReport:
        report = await super().probe()
        self._headphones = self._plugged if self.fault is None else None
        return report

    async def next_press(self) -> PanelAction:
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        jack = {True: "in", False: "out", None: "unknown"}[self._headphones]
        return {"presses": self._heard, "headphones": jack}
