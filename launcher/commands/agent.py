"""A technician's door to the agent of this machine: maintenance, a test print, how its parts are.

`maintenance on` waits until the visit under way and its print have come to their end, or returns at
once with `--no-wait`. Run it as root or as the agent's user.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from hallkit.errors import LinkDown, Occupied, Rejected
from hallkit.lexicon.words import words
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.printing import PrintResult
from hallkit.runtime.bus import BusClient
from hallkit.runtime.clock import local
from hallkit.runtime.log import configure_logging
from hallkit.wire import agent_bus as bus

HELP = "this machine's agent: maintenance, test-print, diagnostics, status"

SOCKET_NAME = "technician.sock"
RUNTIME = "/run/hall"
CONNECT_LIMIT_S = 5.0
TEST_LEASE_S = 120.0

_SETTLED = (MaintenancePhase.ACTIVE, MaintenancePhase.INACTIVE)
"""Phases that last until somebody says otherwise."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        type=Path,
        default=Path(os.environ.get("HALLKIT_RUNTIME_DIR", RUNTIME)),
        help=f"the machine's runtime folder; {RUNTIME} where it is installed",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    actions = parser.add_subparsers(dest="action", required=True)
    maintenance = actions.add_parser("maintenance", help="take the machine, or give it back")
    maintenance.add_argument("order", choices=("on", "off", "status"))
    maintenance.add_argument(
        "--minutes", type=_minutes, help="it ends by itself after so long; by default 4 hours"
    )
    maintenance.add_argument("--no-wait", action="store_true", help="do not wait for the visit")
    actions.add_parser("test-print", help="print a test slip on the ticket printer")
    actions.add_parser("diagnostics", help="counters and facts of each part")
    actions.add_parser("status", help="how the parts of the machine are")


def run(args: argparse.Namespace) -> int:
    """Exit 0 done, 1 it is not so (nobody answers, somebody has the printer), 2 wrong use."""
    configure_logging("critical", process="hall agent")  # the answer is for a person
    return asyncio.run(answer(args))


async def answer(args: argparse.Namespace) -> int:
    """Ask the agent and say what it answers; the exit code."""
    try:
        return await _ask(args)
    except LinkDown:
        print(f"hall agent: nobody answers on {args.runtime / SOCKET_NAME}", file=sys.stderr)
    except Occupied as fault:
        until = "" if fault.until_ms is None else f" until {local(fault.until_ms):%H:%M:%S}"
        print(f"hall agent: in use by {fault.holder}{until}", file=sys.stderr)
    except Rejected as fault:
        print(f"hall agent: refused: {fault.problem_code} {fault.detail}", file=sys.stderr)
    return 1


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 1 <= minutes * 60 <= 7 * 86_400:
        raise argparse.ArgumentTypeError("minutes: at least a second (1/60), at most a week")
    return minutes


class _Agent:
    """What is known of the agent while connected to it."""

    def __init__(self, socket: Path) -> None:
        self.snapshot: bus.TechnicianSnapshot | None = None
        self.maintenance: bus.MaintenanceTold | None = None
        self.changed = asyncio.Event()
        self.client = BusClient(socket, on_snapshot=self._on_snapshot, on_event=self._on_event)

    async def until(self, phase_is: Callable[[MaintenancePhase], bool]) -> bus.MaintenanceTold:
        """Wait for a phase."""
        while self.maintenance is None or not phase_is(self.maintenance.phase):
            self.changed.clear()
            await self.changed.wait()
        return self.maintenance

    async def _on_snapshot(self, data: dict[str, Any]) -> None:
        self.snapshot = bus.TechnicianSnapshot.model_validate(data)
        self._is(self.snapshot.maintenance)

    async def _on_event(self, name: str, data: dict[str, Any]) -> None:
        if name == bus.MAINTENANCE_CHANGED:
            self._is(bus.MaintenanceTold.model_validate(data))

    def _is(self, told: bus.MaintenanceTold) -> None:
        self.maintenance = told
        self.changed.set()


@asynccontextmanager
async def _connected(socket: Path) -> AsyncIterator[_Agent]:
    if not socket.exists():
        raise LinkDown("no agent")
    agent = _Agent(socket)
    running = asyncio.create_task(agent.client.run())
    try:
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await agent.until(lambda _: True)
        except TimeoutError:
            raise LinkDown("the agent does not answer") from None
        yield agent
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def _ask(args: argparse.Namespace) -> int:
    async with _connected(args.runtime / SOCKET_NAME) as agent:
        if args.action == "maintenance":
            return await _maintenance(agent, args)
        if args.action == "test-print":
            return await _test_print(agent, as_json=args.json)
        if args.action == "diagnostics":
            return await _diagnostics(agent, as_json=args.json)
        return _status(agent, as_json=args.json)


async def _maintenance(agent: _Agent, args: argparse.Namespace) -> int:
    if args.order != "status":
        seconds = None if args.minutes is None else args.minutes * 60
        wanted = bus.MaintenanceSet(on=args.order == "on", seconds=seconds)
        told = await agent.client.request(bus.MAINTENANCE_SET, wanted, bus.MaintenanceTold)
        if not args.no_wait and told.phase not in _SETTLED:
            _say(told, as_json=args.json)
            # Somebody else may say otherwise meanwhile, or its time may end.
            told = await agent.until(lambda phase: phase in _SETTLED)
        _say(told, as_json=args.json)
        ends = MaintenancePhase.ACTIVE if wanted.on else MaintenancePhase.INACTIVE
        if told.phase in _SETTLED and told.phase is not ends:
            return 1
    elif agent.maintenance is not None:
        _say(agent.maintenance, as_json=args.json)
    return 0


def _say(told: bus.MaintenanceTold, *, as_json: bool) -> None:
    if as_json:
        print(told.model_dump_json(), flush=True)
        return
    ends = "" if told.until_ms is None else f", ends by itself at {local(told.until_ms):%H:%M}"
    print(f"maintenance: {told.phase}{ends}", flush=True)


async def _test_print(agent: _Agent, *, as_json: bool) -> int:
    devices = agent.snapshot.devices if agent.snapshot is not None else ()
    printer = next((one.id for one in devices if one.port == "ticket_printer"), None)
    if printer is None:
        print("hall agent: this machine has no ticket printer", file=sys.stderr)
        return 1
    lease = bus.DeviceLease(device=printer, seconds=TEST_LEASE_S)
    await agent.client.request(bus.DEVICE_LEASE, lease, bus.DeviceLeased)
    tested = await agent.client.request(
        bus.PRINT_TEST, bus.PrintTest(device=printer), bus.PrintTested, timeout_s=TEST_LEASE_S
    )
    await agent.client.request(bus.DEVICE_RELEASE, bus.DeviceRelease(device=printer), bus.Empty)
    outcome = tested.outcome
    if as_json:
        print(outcome.model_dump_json(exclude_none=True))
    else:
        why = f": {words()(f'reason.{outcome.reason}')}" if outcome.reason else ""
        print(f"{printer}: {outcome.result}{why}")
    return 0 if outcome.result is PrintResult.COMPLETED else 1


async def _diagnostics(agent: _Agent, *, as_json: bool) -> int:
    told = await agent.client.request(bus.DEVICES_DIAGNOSTICS, bus.Empty(), bus.Diagnostics)
    for device, facts in told.devices.items():
        if as_json:
            print(json.dumps({"device": device, **facts}, ensure_ascii=False))
        else:
            print(f"{device:20} " + " ".join(f"{name}={value}" for name, value in facts.items()))
    return 0


def _status(agent: _Agent, *, as_json: bool) -> int:
    if agent.snapshot is None:
        return 1
    for device in agent.snapshot.devices:
        if as_json:
            print(json.dumps(device.model_dump(mode="json", exclude_none=True), ensure_ascii=False))
        else:
            reason = words()(f"reason.{device.reason}") if device.reason else ""
            print(f"{device.id:20} {device.status:14} {device.model} {device.serial} {reason}")
    return 0 if all(device.works for device in agent.snapshot.devices) else 1
