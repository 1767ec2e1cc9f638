"""Owns the peripherals: opens them, asks them how they are, tells every change.

The agent sees a printer fail while no one is at the machine; a lost device is looked for again
without a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from drivers.driver import Driver, status_of
from drivers.registry import DriverSpec, PeripheralConfig, discover, parse_peripherals
from drivers.transport import hotplug
from edge_agent.devices.pulse import Pulse
from hallkit.errors import ConfigError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.runtime.clock import Clock
from hallkit.runtime.config import Stack
from hallkit.runtime.log import get_logger

PROBE_INTERVAL_S = 1.0

CARD_PORT = "id_card_reader"
"""What the card reader's process owns, and the agent itself never opens."""

Listener = Callable[[DeviceReport], None]
Configured = tuple[DriverSpec, PeripheralConfig]


def in_runtime_folder(entry: dict[str, Any], runtime: Path) -> dict[str, Any]:
    """The entry with a relative transport path placed in the machine's runtime folder."""
    transport = entry.get("transport")
    if isinstance(transport, dict) and isinstance(path := transport.get("path"), str):
        return entry | {"transport": transport | {"path": str(runtime / path)}}
    return entry


def configured(
    entries: Sequence[dict[str, Any]], runtime: Path, files: Sequence[Path]
) -> list[Configured]:
    """The machine's peripherals as its files say; `ConfigError` with every mistake at once."""
    placed = [in_runtime_folder(entry, runtime) for entry in entries]
    return parse_peripherals(placed, discover(), file=files[-1].name if files else "defaults")


def peripherals_of(stack: Stack, runtime: Path) -> list[Configured]:
    """The machine's peripherals; `ConfigError` lists every mistake with its file and line."""
    entries = stack.values.get("peripherals", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return []  # a mistake of the section itself, told by whoever validates it
    try:
        return configured(entries, runtime, ())
    except ConfigError as fault:
        raise ConfigError([stack.located(one) for one in fault.problems]) from None


def not_heard_yet(peripheral: Configured, clock: Clock) -> DeviceReport:
    """The report of a peripheral that another process owns, before that has told of it."""
    spec, config = peripheral
    return DeviceReport(
        id=config.id,
        port=spec.port,
        driver=spec.key,
        status=DeviceStatus.STARTING,
        since_ms=clock.wall_ms(),
    )


class PeripheralHost:
    """The drivers of this machine, each probed by a task of its own.

    `pulse` hears how long each probe takes.
    """

    def __init__(
        self, peripherals: Sequence[Configured], clock: Clock, *, pulse: Pulse | None = None
    ) -> None:
        self._clock = clock
        self._pulse = pulse or Pulse(clock)
        self._drivers = {config.id: spec.open(config, clock) for spec, config in peripherals}
        self._stack = AsyncExitStack()
        self._listeners: list[Listener] = []
        self._told: dict[str, DeviceReport] = {}
        self._crashed: dict[str, DeviceReport] = {}
        """What is said of a driver that raises, by its id."""
        self._news = asyncio.Event()
        """Set when something was plugged in or out; then there is a new one."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for driver in self._drivers.values():
                await stack.enter_async_context(driver)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def listen(self, listener: Listener) -> None:
        """Hear every change of every peripheral."""
        self._listeners.append(listener)

    @property
    def reports(self) -> tuple[DeviceReport, ...]:
        return tuple(
            self._crashed.get(driver.report.id, driver.report) for driver in self._drivers.values()
        )

    def of_port(self, port: str) -> Driver | None:
        """The first peripheral with a capability, or None."""
        return next((d for d in self._drivers.values() if d.report.port == port), None)

    async def run(self) -> None:
        """Probe every peripheral until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, driver in self._drivers.items():
                tasks.create_task(self._watch(driver), name=f"probe[{name}]")

    async def _watch(self, driver: Driver) -> None:
        while True:
            news = self._news
            await self.probe(driver)
            await self._pause(news)

    async def _pause(self, news: asyncio.Event) -> None:
        """Until the next probe is due, or something was plugged in or out since `news`."""
        waits = {
            asyncio.create_task(self._clock.sleep(PROBE_INTERVAL_S), name="pause"),
            asyncio.create_task(news.wait(), name="news"),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def look_again(self) -> None:
        """Probe every peripheral now."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def follow_plugs(self) -> None:
        """Look again at once when something is plugged in or out, until cancelled."""
        await hotplug.follow(lambda _plug: self.look_again())

    async def probe(self, driver: Driver) -> DeviceReport:
        """Ask one peripheral how it is and tell the listeners if that is news."""
        try:
            with self._pulse.call():
                report = await driver.probe()
        except Exception:  # noqa: BLE001  # boundary: one broken driver must not end the agent
            report = self._take_crash(driver.report)
        else:
            self._crashed.pop(report.id, None)
        if self._told.get(report.id) != report:
            self._told[report.id] = report
            for listener in self._listeners:
                listener(report)
        return report

    def _take_crash(self, last: DeviceReport) -> DeviceReport:
        """The report of a driver that raised: what it last said is not true any more."""
        if last.id not in self._crashed:
            get_logger().exception("device.crashed", device=last.id)
            status, action = status_of(Reason.INTERNAL)
            self._crashed[last.id] = last.model_copy(
                update={
                    "status": status,
                    "action": action,
                    "reason": Reason.INTERNAL,
                    "since_ms": self._clock.wall_ms(),
                }
            )
        return self._crashed[last.id]
