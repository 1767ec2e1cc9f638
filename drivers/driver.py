"""What all drivers share: a state that is logged once when it changes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from hallkit.errors import DeviceError, NeedsAttention, Reason
from hallkit.model.device import DeviceReport, DeviceStatus, ErrorAction
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

_STATUS_OF_REASON: dict[Reason, tuple[DeviceStatus, ErrorAction]] = {
    Reason.PORT_GONE: (DeviceStatus.NO_DEVICE, ErrorAction.MAINTENANCE),
    Reason.REFUSED: (DeviceStatus.OFFLINE, ErrorAction.CONFIGURATION),
    Reason.SILENT: (DeviceStatus.OFFLINE, ErrorAction.RESET),
    Reason.GARBLED: (DeviceStatus.HARDWARE_ERROR, ErrorAction.RESET),
    Reason.OCCUPIED: (DeviceStatus.DEVICE_BUSY, ErrorAction.RESET),
    Reason.PAPER_OUT: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.PAPER_LOW: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.PAPER_JAM: (DeviceStatus.HARDWARE_ERROR, ErrorAction.CLEAR),
    Reason.TONER_LOW: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.TONER_OUT: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.OUTPUT_FULL: (DeviceStatus.USER_ERROR, ErrorAction.CLEAR),
    Reason.COVER_OPEN: (DeviceStatus.USER_ERROR, ErrorAction.CLEAR),
    Reason.CUTTER: (DeviceStatus.HARDWARE_ERROR, ErrorAction.CLEAR),
    Reason.OVERHEATED: (DeviceStatus.OFFLINE, ErrorAction.SUSPEND),
    Reason.UNRECOVERABLE: (DeviceStatus.HARDWARE_ERROR, ErrorAction.MAINTENANCE),
    Reason.OFFLINE: (DeviceStatus.OFFLINE, ErrorAction.RESET),
    Reason.SELF_TEST: (DeviceStatus.HARDWARE_ERROR, ErrorAction.MAINTENANCE),
    Reason.NOT_AUTHORISED: (DeviceStatus.HARDWARE_ERROR, ErrorAction.MAINTENANCE),
    Reason.ON_BATTERY: (DeviceStatus.ONLINE, ErrorAction.SUSPEND),
    Reason.BATTERY_LOW: (DeviceStatus.ONLINE, ErrorAction.SUSPEND),
    Reason.BATTERY_WORN: (DeviceStatus.ONLINE, ErrorAction.MAINTENANCE),
    Reason.OVERLOADED: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.UNPROTECTED: (DeviceStatus.ONLINE, ErrorAction.MAINTENANCE),
    Reason.SMOKE: (DeviceStatus.HARDWARE_ERROR, ErrorAction.SUSPEND),
    Reason.TAMPERED: (DeviceStatus.POTENTIAL_FRAUD, ErrorAction.MAINTENANCE),
    Reason.TOO_HOT: (DeviceStatus.ONLINE, ErrorAction.MAINTENANCE),
    Reason.DOOR_OPEN: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.COVERED: (DeviceStatus.USER_ERROR, ErrorAction.CLEAR),
    Reason.MUTED: (DeviceStatus.USER_ERROR, ErrorAction.CLEAR),
    Reason.OVERDRIVEN: (DeviceStatus.ONLINE, ErrorAction.CLEAR),
    Reason.UNSUPPORTED: (DeviceStatus.HARDWARE_ERROR, ErrorAction.CONFIGURATION),
    Reason.CONFIGURATION: (DeviceStatus.USER_ERROR, ErrorAction.CONFIGURATION),
    Reason.INTERNAL: (DeviceStatus.HARDWARE_ERROR, ErrorAction.SOFTWARE_ERROR),
}


TEXT_LIMIT = 120
"""Characters of what a device says of itself; a garbled answer must not fill a report."""


def status_of(reason: Reason) -> tuple[DeviceStatus, ErrorAction]:
    """The XFS4IoT state and action that a reason stands for (docs/architecture.md)."""
    return _STATUS_OF_REASON[reason]


class Driver(ABC):
    """Base of all drivers: an async context manager that owns one device.

    Entering never fails for a missing device: the driver starts as `starting`, and `probe`
    finds it when it appears. Leaving closes the wire.
    """

    def __init__(self, device_id: str, *, port: str, key: str, clock: Clock) -> None:
        self._clock = clock
        self._log = get_logger().bind(device=device_id)
        self._report = DeviceReport(
            id=device_id,
            port=port,
            driver=key,
            status=DeviceStatus.STARTING,
            since_ms=clock.wall_ms(),
        )

    def recall(self, last: DeviceReport) -> None:  # noqa: B027 - most devices need no memory
        """What an earlier driver of this device reported last, before the first probe."""

    @property
    def report(self) -> DeviceReport:
        """The last known state."""
        return self._report

    def _update(self, **changes: Any) -> DeviceReport:
        """Change fields of the report; a change of state moves `since_ms` and is logged once."""
        for field in ("model", "serial"):
            if field in changes:
                changes[field] = changes[field][:TEXT_LIMIT]
        new = self._report.model_copy(update=changes)
        if new != self._report:
            watched = ("status", "reason", "paper", "media", "toner")
            if any(getattr(new, field) != getattr(self._report, field) for field in watched):
                new = new.model_copy(update={"since_ms": self._clock.wall_ms()})
                self._log.info(
                    "device.state",
                    status=new.status,
                    reason=new.reason,
                    paper=new.paper,
                    media=new.media,
                    toner=new.toner,
                )
            self._report = new
        return self._report

    def _fault(self, fault: DeviceError) -> DeviceReport:
        """Take a fault into the report."""
        status, action = status_of(fault.reason)
        return self._update(status=status, reason=fault.reason, action=action)

    async def _guard(self, ask: Callable[[], Awaitable[DeviceReport]]) -> DeviceReport:
        """Run a probe; any fault of the device becomes a report."""
        try:
            return await ask()
        except NeedsAttention as fault:
            return self._fault(fault)
        except DeviceError as fault:
            await self._drop()
            return self._fault(fault)

    @abstractmethod
    async def _drop(self) -> None:
        """Close the wire so that the next probe starts afresh."""

    @abstractmethod
    async def probe(self) -> DeviceReport:
        """See `hallkit.ports.peripheral.Peripheral.probe`."""

    @abstractmethod
    def diagnostics(self) -> Mapping[str, str | int | float]:
        """See `hallkit.ports.peripheral.Peripheral.diagnostics`."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._drop()
