"""Owns the peripherals: opens them, asks them how they are, tells every change.

The agent sees a printer fail while no one is at the machine; a lost device is looked for again
without a restart, and a driver that fails is replaced without hurting the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from drivers.driver import Driver, status_of
from drivers.registry import (
    MEDIA_PORTS,
    DriverSpec,
    PeripheralConfig,
    discover,
    parse_peripherals,
)
from drivers.transport import hotplug
from edge_agent.devices.pulse import Pulse
from hallkit.errors import ConfigError, Reason
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.runtime.clock import Clock
from hallkit.runtime.config import Stack
from hallkit.runtime.log import get_logger

PROBE_INTERVAL_S = 1.0

CALL_LIMIT_S = 120.0
"""Longer than any probe whose driver keeps its deadlines, at their longest settings."""

OPEN_LIMIT_S = 10.0
"""For opening and for closing a driver."""

CANCEL_LIMIT_S = 1.0
"""A call that does not end so long after it was cancelled is left behind."""

PENALTY_LIMIT_S = 60.0
"""The longest pause after trouble; it begins with `PROBE_INTERVAL_S` and doubles."""

STEADY_S = 60.0
"""So long without trouble, and a driver's pause is short again."""

FLAPS = 5
"""So many losses within `STEADY_S` are one device that comes and goes."""

_LOST = frozenset({DeviceStatus.NO_DEVICE, DeviceStatus.OFFLINE, DeviceStatus.HARDWARE_ERROR})

CARD_PORT = "id_card_reader"
"""What the card reader's process owns, and the agent itself never opens."""

Result = TypeVar("Result")
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


class Handle:
    """A peripheral as its users hold it: whatever driver has it now (`PeripheralHost`).

    Who calls it while its driver is replaced gets that driver's last word: a fault, or an outcome.
    """

    def __init__(self, slot: _Slot) -> None:
        self._slot = slot

    @property
    def report(self) -> DeviceReport:
        """The last known state; of a driver that fails, that it does."""
        return self._slot.report

    def __getattr__(self, name: str) -> Any:
        return getattr(self._slot.driver, name)


@dataclass(slots=True)
class _Slot:
    """One peripheral over the drivers that it has had."""

    spec: DriverSpec
    config: PeripheralConfig
    driver: Driver
    broken: DeviceReport | None = None
    """What is said of it while its driver raises or hangs."""
    replace: bool = False
    """The driver is not to be asked again."""
    told: DeviceReport | None = None
    pause_s: float = PROBE_INTERVAL_S
    penalty_s: float = PROBE_INTERVAL_S
    """How long it is left alone after the next trouble; doubles with each."""
    trouble_s: float | None = None
    """When it was in trouble last; None when that is long ago."""
    losses: deque[float] = field(default_factory=lambda: deque(maxlen=FLAPS))
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def report(self) -> DeviceReport:
        return self.broken or self.driver.report


class _NotMade(Driver):
    """Stands where a driver could not even be made, until one can."""

    def __init__(
        self, spec: DriverSpec, config: PeripheralConfig, clock: Clock, last: DeviceReport | None
    ) -> None:
        super().__init__(config.id, port=spec.port, key=spec.key, clock=clock)
        # What was known of the device is kept for the driver that comes.
        self._report = last or self._report

    async def _drop(self) -> None:
        """It has no wire."""

    async def probe(self) -> DeviceReport:
        return self.report

    def diagnostics(self) -> Mapping[str, str | int | float]:
        return {}


class _HangsError(Exception):
    """A call that outlives its limit."""


class PeripheralHost:
    """The drivers of this machine, each probed by a task of its own.

    `pulse` hears how long each probe takes. A driver that raises or hangs is replaced by a fresh
    one; one whose device comes and goes is left alone for a while. Each time the pause doubles,
    and a minute without trouble forgives it. `recalled`: what drivers reported last before this
    program began.
    """

    def __init__(
        self,
        peripherals: Sequence[Configured],
        clock: Clock,
        *,
        pulse: Pulse | None = None,
        call_limit_s: float = CALL_LIMIT_S,
        recalled: Mapping[str, DeviceReport] | None = None,
    ) -> None:
        self._clock = clock
        self._pulse = pulse or Pulse(clock)
        self._call_limit_s = call_limit_s
        self._log = get_logger()
        known = recalled or {}
        self._slots = {
            config.id: self._made(spec, config, known.get(config.id))
            for spec, config in peripherals
            # Pictures and sound never pass the agent: their worker opens these.
            if spec.port not in MEDIA_PORTS
        }
        self._listeners: list[Listener] = []
        self._abandoned: set[asyncio.Task[Any]] = set()
        """Calls that did not even end when they were cancelled."""
        self._news = asyncio.Event()
        """Set when something was plugged in or out; then there is a new one."""

    def _made(self, spec: DriverSpec, config: PeripheralConfig, last: DeviceReport | None) -> _Slot:
        try:
            driver = spec.open(config, self._clock)
            if last is not None:
                driver.recall(last)
        except Exception:  # noqa: BLE001  # boundary, as in `_ask`
            slot = _Slot(spec, config, _NotMade(spec, config, self._clock, last))
            self._take_trouble(slot, "crashes")
            return slot
        return _Slot(spec, config, driver)

    async def __aenter__(self) -> Self:
        for slot in self._slots.values():
            await self._open(slot)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for slot in reversed(self._slots.values()):
            await self._close(slot)

    def listen(self, listener: Listener) -> None:
        """Hear every change of every peripheral."""
        self._listeners.append(listener)

    @property
    def reports(self) -> tuple[DeviceReport, ...]:
        return tuple(slot.report for slot in self._slots.values())

    def of_port(self, port: str) -> Handle | None:
        """The first peripheral with a capability, or None."""
        return next((Handle(s) for s in self._slots.values() if s.report.port == port), None)

    def diagnostics(self) -> dict[str, dict[str, str | int | float]]:
        """By peripheral: what its driver says, and how often it was in trouble."""
        return {name: self._facts(slot) for name, slot in self._slots.items()}

    async def run(self) -> None:
        """Probe every peripheral until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name, slot in self._slots.items():
                tasks.create_task(self._watch(slot), name=f"probe[{name}]")

    async def _watch(self, slot: _Slot) -> None:
        while True:
            news = self._news
            await self.probe(slot.config.id)
            await self._pause(slot, news)

    async def _pause(self, slot: _Slot, news: asyncio.Event) -> None:
        """Until the next probe is due, or something was plugged in or out since `news`."""
        if slot.pause_s > PROBE_INTERVAL_S:
            # What comes and goes is left alone, however often it is plugged in.
            await self._clock.sleep(slot.pause_s)
            return
        waits = {
            asyncio.create_task(self._clock.sleep(slot.pause_s), name="pause"),
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

    async def probe(self, name: str) -> DeviceReport:
        """Ask one peripheral how it is and tell the listeners if that is news."""
        slot = self._slots[name]
        slot.pause_s = PROBE_INTERVAL_S
        fault = await self._replace(slot) if slot.replace else None
        report = await self._ask(slot) if fault is None else fault
        if slot.told != report:
            slot.told = report
            for listener in self._listeners:
                listener(report)
        return report

    async def _ask(self, slot: _Slot) -> DeviceReport:
        try:
            with self._pulse.call():
                report = await self._within(self._call_limit_s, slot.driver.probe())
        except _HangsError:
            return self._take_trouble(slot, "hangs")
        except Exception:  # noqa: BLE001  # boundary: one broken driver must not end the agent
            return self._take_trouble(slot, "crashes")
        slot.broken = None
        self._notice_flapping(slot, report)
        self._forgive(slot)
        return report

    def _take_trouble(self, slot: _Slot, kind: str) -> DeviceReport:
        """The report of a driver that raised or hangs: what it last said is not true any more."""
        slot.counts[kind] += 1
        if slot.trouble_s is None:  # once for a driver that is in trouble again and again
            self._log.error(f"device.{kind}", device=slot.config.id, exc_info=kind == "crashes")
        slot.replace = True
        self._leave_alone(slot)
        if slot.broken is None:
            status, action = status_of(Reason.INTERNAL)
            slot.broken = slot.driver.report.model_copy(
                update={
                    "status": status,
                    "action": action,
                    "reason": Reason.INTERNAL,
                    "since_ms": self._clock.wall_ms(),
                }
            )
        return slot.broken

    def _notice_flapping(self, slot: _Slot, report: DeviceReport) -> None:
        """A device that was lost several times within a minute is left alone for a while."""
        if report.status not in _LOST or slot.told is None or slot.told.status in _LOST:
            return
        now_s = self._clock.mono_s()
        slot.losses.append(now_s)
        if len(slot.losses) == FLAPS and now_s - slot.losses[0] <= STEADY_S:
            slot.counts["flaps"] += 1
            if slot.trouble_s is None:
                self._log.warning("device.flaps", device=slot.config.id)
            self._leave_alone(slot)

    def _leave_alone(self, slot: _Slot) -> None:
        slot.trouble_s = self._clock.mono_s()
        slot.pause_s = slot.penalty_s
        slot.penalty_s = min(2 * slot.penalty_s, PENALTY_LIMIT_S)

    def _forgive(self, slot: _Slot) -> None:
        if slot.trouble_s is None or self._clock.mono_s() - slot.trouble_s < (
            STEADY_S + slot.penalty_s
        ):
            return
        slot.trouble_s, slot.penalty_s = None, PROBE_INTERVAL_S

    async def _replace(self, slot: _Slot) -> DeviceReport | None:
        """A fresh driver: the old one closes its wire first, if it still can.

        The report of one that can't be made or opened, which is then not asked.
        """
        await self._close(slot)
        try:
            slot.driver = slot.spec.open(slot.config, self._clock)
            if (last := slot.told or slot.broken) is not None:
                slot.driver.recall(last)
        except Exception:  # noqa: BLE001  # boundary, as in `_ask`
            return self._take_trouble(slot, "crashes")
        slot.replace = False
        slot.counts["replacements"] += 1
        return await self._open(slot)

    async def _open(self, slot: _Slot) -> DeviceReport | None:
        try:
            await self._within(OPEN_LIMIT_S, slot.driver.__aenter__())
        except _HangsError:
            return self._take_trouble(slot, "hangs")
        except Exception:  # noqa: BLE001  # boundary, as in `_ask`
            return self._take_trouble(slot, "crashes")
        return None

    async def _close(self, slot: _Slot) -> None:
        try:
            await self._within(OPEN_LIMIT_S, slot.driver.__aexit__(None, None, None))
        except Exception as fault:  # noqa: BLE001  # boundary, as in `_ask`
            self._log.warning("device.not_closed", device=slot.config.id, why=type(fault).__name__)

    async def _within(self, limit_s: float, call: Coroutine[Any, Any, Result]) -> Result:
        """Await a call of a driver, by the real clock: it is for drivers that keep no deadline."""
        task = asyncio.create_task(call)
        try:
            await asyncio.wait({task}, timeout=limit_s)
        except asyncio.CancelledError:
            await self._give_up(task)
            raise
        if task.done():
            return task.result()
        await self._give_up(task)
        raise _HangsError

    async def _give_up(self, task: asyncio.Task[Any]) -> None:
        """Cancel a call; one that does not heed it is left behind."""
        task.cancel()
        self._abandoned.add(task)
        task.add_done_callback(self._buried)
        await asyncio.wait({task}, timeout=CANCEL_LIMIT_S)

    def _buried(self, task: asyncio.Task[Any]) -> None:
        self._abandoned.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more

    def _facts(self, slot: _Slot) -> dict[str, str | int | float]:
        try:
            facts = dict(slot.driver.diagnostics())
        except Exception:  # noqa: BLE001  # boundary, as in `_ask`
            facts = {}
        names = ("crashes", "hangs", "flaps", "replacements")
        return facts | {f"host_{name}": slot.counts[name] for name in names}
