"""What a technician at the machine may ask (`technician.sock`): its user's own, and root's.

Leases are on the applications' socket, too: `lease_handlers`, with the role of that socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from edge_agent.devices.leases import Leases
from edge_agent.maintenance import MaintenanceState, Order
from edge_agent.maintenance_mode import Maintenance
from hallkit.errors import NotSupported, Reason
from hallkit.lexicon.words import words
from hallkit.model.device import DeviceReport
from hallkit.model.printing import QrLine, RuleLine, Slip, TextLine
from hallkit.ports.ticket_printer import TicketPrinter
from hallkit.runtime.bus import BusServer, Connection, Handler, parse_args
from hallkit.runtime.clock import Clock, local
from hallkit.wire import agent_bus as bus
from hallkit.wire.base import Message

SOCKET_NAME = "technician.sock"
ROLE = "technician"


def lease_handlers(leases: Leases, role: str) -> dict[str, Handler]:
    """The three requests, for a socket whose peers have this role."""

    async def take(args: Mapping[str, Any], caller: Connection) -> Message:
        wanted = parse_args(bus.DeviceLease, args)
        until_ms = leases.take(wanted.device, caller, role=role, seconds=wanted.seconds)
        return bus.DeviceLeased(device=wanted.device, until_ms=until_ms)

    async def renew(args: Mapping[str, Any], caller: Connection) -> Message:
        wanted = parse_args(bus.DeviceLease, args)
        until_ms = leases.renew(wanted.device, caller, seconds=wanted.seconds)
        return bus.DeviceLeased(device=wanted.device, until_ms=until_ms)

    async def release(args: Mapping[str, Any], caller: Connection) -> Message:
        leases.release(parse_args(bus.DeviceRelease, args).device, caller)
        return bus.Empty()

    return {bus.DEVICE_LEASE: take, bus.DEVICE_RENEW: renew, bus.DEVICE_RELEASE: release}


class TechnicianApi:
    """The technician's local bus server."""

    def __init__(
        self,
        path: Path,
        leases: Leases,
        clock: Clock,
        *,
        reports: Callable[[], tuple[DeviceReport, ...]],
        diagnostics: Callable[[], dict[str, dict[str, str | int | float]]],
        printer: TicketPrinter | None,
        maintenance: Maintenance,
    ) -> None:
        self._maintenance = maintenance
        self._leases = leases
        self._clock = clock
        self._reports = reports
        self._diagnostics = diagnostics
        self._printer = printer
        self.server = BusServer(
            "technician",
            path,
            handlers={
                **lease_handlers(leases, ROLE),
                bus.DEVICES_LIST: self._devices_list,
                bus.DEVICES_DIAGNOSTICS: self._devices_diagnostics,
                bus.PRINT_TEST: self._print_test,
                bus.MAINTENANCE_SET: self._maintenance_set,
            },
            snapshot=self._snapshot,
        )

    def _snapshot(self) -> Message:
        return bus.TechnicianSnapshot(
            devices=self._reports(), maintenance=maintenance_told(self._maintenance.state)
        )

    def maintenance_is(self, told: bus.MaintenanceTold) -> None:
        self.server.publish(bus.MAINTENANCE_CHANGED, told)

    async def _devices_list(self, _args: Mapping[str, Any], _from: Connection) -> Message:
        return bus.Devices(devices=self._reports())

    async def _devices_diagnostics(self, _args: Mapping[str, Any], _from: Connection) -> Message:
        return bus.Diagnostics(devices=self._diagnostics())

    async def _maintenance_set(self, args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = parse_args(bus.MaintenanceSet, args)
        order: Order = "on" if wanted.on else "off"
        return maintenance_told(await self._maintenance.order(order, seconds=wanted.seconds))

    async def _print_test(self, args: Mapping[str, Any], caller: Connection) -> Message:
        device = parse_args(bus.PrintTest, args).device
        if self._printer is None or self._printer.report.id != device:
            raise NotSupported(device, Reason.UNSUPPORTED, "no ticket printer")
        with self._leases.using(device, caller):
            outcome = await self._printer.print_slip(
                trial_slip(self._clock.wall_ms()), marked=False
            )
        return bus.PrintTested(outcome=outcome)


def maintenance_told(state: MaintenanceState) -> bus.MaintenanceTold:
    """The state as peers hear it."""
    return bus.MaintenanceTold(phase=state.phase, until_ms=state.until_ms)


def trial_slip(now_ms: int) -> Slip:
    """Paper that nobody can take for a number: large letters, small ones, a code."""
    say = words("zh_CN")
    return Slip(
        lines=(
            TextLine(text=say("technician.test_slip"), scale=2, bold=True, align="center"),
            TextLine(text=f"{local(now_ms):%Y-%m-%d %H:%M:%S}", align="center"),
            RuleLine(),
            TextLine(text=say("technician.test_text")),
            QrLine(text="HALL-TEST", module_dots=5),
        )
    )
