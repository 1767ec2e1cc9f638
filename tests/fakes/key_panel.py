"""A key panel without a wire, for tests of what uses the port."""

from __future__ import annotations

from collections import deque
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
        self._told: bool | None = None
        """How the jack stood when that was last given, or was found at first."""
        self._behind: deque[PanelAction] = deque()
        """Pressed behind the one that is being given."""
        self._kept_until_s = 0.0

    @property
    def headphones(self) -> bool | None:
        return self._headphones

    def press(self, *actions: PanelAction) -> None:
        """All at once, if there are several."""
        if self.waits:
            self._behind.extend(actions[1:])
        self._say(actions[0])

    def plug_headphones(self, *, is_in: bool) -> None:
        self._plugged = is_in
        if self.waits and (news := self._news_of_jack()):
            self._say(news)

    def break_(self, reason: Reason) -> None:
        super().break_(reason)
        self._headphones = None

    async def probe(self) -> DeviceReport:
        report = await super().probe()
        self._headphones = self._plugged if self.fault is None else None
        if self._told is None:
            self._told = self._headphones
        return report

    async def next_press(self) -> PanelAction:
        await self.probe()
        if self._clock.mono_s() >= self._kept_until_s:
            self._behind.clear()
        action = None
        if self.fault is None:
            action = self._behind.popleft() if self._behind else self._news_of_jack()
        if action is None:
            action = await self._next()
        else:
            self._heard += 1
        self._kept_until_s = self._clock.mono_s() + 1
        return action

    def _news_of_jack(self) -> PanelAction | None:
        self._headphones = self._plugged
        if self._told is self._plugged:
            return None
        self._told = self._plugged
        return PanelAction.HEADPHONES_IN if self._plugged else PanelAction.HEADPHONES_OUT

    def diagnostics(self) -> Mapping[str, str | int | float]:
        jack = {True: "in", False: "out", None: "unknown"}[self._headphones]
        return {"presses": self._heard, "headphones": jack}
