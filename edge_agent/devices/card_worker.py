"""The card reader's process as the agent sees it: how its readers are, and never a card.

A process that ends with its citizen is replaced within a moment, which is no news. Only when none
has told of a reader for some seconds is the reader `starting` again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hallkit.model.device import DeviceReport, DeviceStatus, Media
from hallkit.runtime.bus import BusClient, parse_args
from hallkit.runtime.clock import Clock
from hallkit.wire import agent_bus as bus

AWAY_S = 5.0

LOOK_INTERVAL_S = 1.0


class CardWorker:
    """Follows the process at work, whichever it is; `tell` hears every change of a reader."""

    def __init__(
        self,
        path: Path,
        readers: Sequence[DeviceReport],
        clock: Clock,
        *,
        tell: Callable[[DeviceReport], None],
        away_s: float = AWAY_S,
    ) -> None:
        self._clock = clock
        self._away_s = away_s
        self._tell = tell
        self._reports = {report.id: report for report in readers}
        self._away_since_s: dict[str, float] = {}
        """Readers of which nothing was heard since the process that told of them went."""
        self._bus = BusClient(
            path, on_snapshot=self._on_snapshot, on_event=self._on_event, on_lost=self._on_lost
        )

    @property
    def reports(self) -> tuple[DeviceReport, ...]:
        return tuple(self._reports.values())

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._bus.run(), name="card reader's bus")
            tasks.create_task(self._notice_absence(), name="card reader's absence")

    async def _on_snapshot(self, data: dict[str, Any]) -> None:
        for report in parse_args(bus.CardSnapshot, data).devices:
            self._take(report)

    async def _on_event(self, name: str, data: dict[str, Any]) -> None:
        if name == bus.DEVICE_CHANGED:
            self._take(parse_args(bus.DeviceChanged, data).device)

    async def _on_lost(self) -> None:
        for name in self._reports:
            self._away_since_s.setdefault(name, self._clock.mono_s())

    def _take(self, report: DeviceReport) -> None:
        last = self._reports.get(report.id)
        if last is None or report.status is DeviceStatus.STARTING:
            return  # a process that has just begun knows nothing yet
        self._away_since_s.pop(report.id, None)
        if report.media is Media.UNKNOWN:  # it has not looked: what was last seen stands
            report = report.model_copy(update={"media": last.media})
        if report.model_copy(update={"since_ms": last.since_ms}) != last:
            self._news(report)

    async def _notice_absence(self) -> None:
        while True:
            await self._clock.sleep(LOOK_INTERVAL_S)
            now_s = self._clock.mono_s()
            for name, since_s in list(self._away_since_s.items()):
                if now_s - since_s > self._away_s:
                    del self._away_since_s[name]
                    self._news(
                        self._reports[name].model_copy(
                            update={
                                "status": DeviceStatus.STARTING,
                                "reason": None,
                                "action": None,
                                "media": Media.UNKNOWN,
                                "since_ms": self._clock.wall_ms(),
                            }
                        )
                    )

    def _news(self, report: DeviceReport) -> None:
        self._reports[report.id] = report
        self._tell(report)
