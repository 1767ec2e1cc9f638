"""What applications of this machine may ask of the agent (names: `hallkit/wire/agent_bus.py`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_agent.devices.print_queue import PrintQueue
from edge_agent.numbers import Numbers
from edge_agent.ratings import Ratings
from edge_agent.records import Recorder
from hallkit.errors import NotPermitted, NotSupported, Reason
from hallkit.model.device import DeviceReport
from hallkit.model.ids import JobId
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJob
from hallkit.runtime.bus import BusServer, Connection, Handler, parse_args
from hallkit.runtime.clock import Clock
from hallkit.wire import agent_bus as bus
from hallkit.wire.base import Message
from hallkit.wire.events import EventData
from hallkit.wire.mqtt import SystemDown, UpstreamNotice

SOCKET_NAME = "agent.sock"
ROLE = "terminal"

COMES_BACK_S = 10.0
"""So long an application that is gone may come back with its visit: after a restart of the agent,
which it finds again, or of its own, which takes up the draft."""


class AgentApi:
    """The local bus server of the agent. It knows no cards: see `edge_agent/card_api.py`."""

    def __init__(
        self,
        path: Path,
        recorder: Recorder,
        clock: Clock,
        *,
        reports: Callable[[], tuple[DeviceReport, ...]],
        queue: PrintQueue | None,
        events: Mapping[str, type[EventData]] = bus.TERMINAL_EVENTS,
        numbers: Mapping[str, Handler] = MappingProxyType({}),
        ratings: Mapping[str, Handler] = MappingProxyType({}),
        leases: Mapping[str, Handler] = MappingProxyType({}),
    ) -> None:
        """`events`: what the application of this socket may tell, by type. `leases`: its requests
        for them (`edge_agent.technician_api.lease_handlers`); `numbers`: those for numbers
        (`number_handlers`), `ratings`: for what people thought (`rating_handlers`).
        """
        self._events = events
        self._reports = reports
        self._recorder = recorder
        self._clock = clock
        self._queue = queue
        self._jobs: dict[str, PrintJob] = {}
        self._link_up = False
        self._power = PowerPhase.MAINS
        self._maintenance = MaintenancePhase.INACTIVE
        self._numbers: tuple[str, ...] = ()
        self._systems_down: tuple[SystemDown, ...] = ()
        self._visits: set[Connection] = set()
        """Whoever said that a visit is under way."""
        self._away_s = clock.mono_s()
        """When somebody was gone without letting the machine go; at first: the agent itself."""
        self.server = BusServer(
            "edge_agent",
            path,
            handlers={
                bus.DEVICES_LIST: self._devices_list,
                bus.PRINT_SUBMIT: self._print_submit,
                bus.PRINT_JOB: self._print_job,
                bus.EVENT_ADD: self._event_add,
                bus.VISIT_HOLD: self._visit_hold,
                **numbers,
                **ratings,
                **leases,
            },
            snapshot=self._snapshot,
        )

    # What the agent tells

    def device_changed(self, device: DeviceReport) -> None:
        self.server.publish(bus.DEVICE_CHANGED, bus.DeviceChanged(device=device))

    def job_changed(self, job: PrintJob) -> None:
        self._jobs[job.id] = job
        if job.state in ("completed", "cancelled"):
            del self._jobs[job.id]
        self.server.publish(bus.PRINT_CHANGED, bus.PrintJobResult(job=job))

    def link_changed(self, *, up: bool) -> None:
        self._link_up = up
        self.server.publish(bus.LINK_CHANGED, bus.LinkChanged(up=up))

    def numbers_are(self, services: tuple[str, ...]) -> None:
        self._numbers = services
        self.server.publish(bus.NUMBERS_CHANGED, bus.NumbersChanged(services=services))

    def systems_are(self, told: UpstreamNotice) -> None:
        self._systems_down = told.down
        self.server.publish(bus.SYSTEMS_CHANGED, bus.SystemsTold(down=told.down))

    def power_is(self, phase: PowerPhase) -> None:
        self._power = phase
        self.server.publish(bus.POWER_CHANGED, bus.PowerTold(phase=phase))

    def maintenance_is(self, told: bus.MaintenanceTold) -> None:
        self._maintenance = told.phase
        self.server.publish(bus.MAINTENANCE_CHANGED, told)

    @property
    def in_visit(self) -> bool:
        """A visit is under way on a connection that is still there."""
        there = {one for one in self._visits if not one.closed.is_set()}
        if there != self._visits:
            self._away_s = self._clock.mono_s()
        self._visits = there
        return bool(there)

    @property
    def may_be_in_visit(self) -> bool:
        """A visit is under way, or its application may not be back yet (`COMES_BACK_S`)."""
        return self.in_visit or self._clock.mono_s() - self._away_s < COMES_BACK_S

    def owe(self, jobs: tuple[PrintJob, ...]) -> None:
        """Jobs that a former run of the agent left unfinished."""
        self._jobs = {job.id: job for job in jobs}

    # What applications ask

    def _snapshot(self) -> Message:
        return bus.AgentSnapshot(
            devices=self._reports(),
            jobs=tuple(self._jobs.values()),
            link_up=self._link_up,
            power=self._power,
            maintenance=self._maintenance,
            numbers=self._numbers,
            systems_down=self._systems_down,
        )

    async def _devices_list(self, _args: Mapping[str, Any], _from: Connection) -> Message:
        return bus.Devices(devices=self._reports())

    async def _print_submit(self, args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = parse_args(bus.PrintSubmit, args)
        job = await self._printing().submit(JobId(wanted.job), wanted.slip)
        return bus.PrintJobResult(job=job)

    async def _print_job(self, args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = parse_args(bus.PrintJobQuery, args)
        return bus.PrintJobResult(job=await self._printing().find(JobId(wanted.job)))

    async def _event_add(self, args: Mapping[str, Any], _from: Connection) -> Message:
        event = parse_args(bus.EventAdd, args).event
        kind = self._events.get(event.type)
        if kind is None:
            raise NotPermitted(f"event {event.type[:60]}")
        # Only fields of the published type go out: an unknown field could hold anything.
        data = event.unwrap(kind).model_dump(mode="json", exclude_none=True)
        await self._recorder.keep(event.model_copy(update={"data": data}))
        return bus.Empty()

    async def _visit_hold(self, args: Mapping[str, Any], caller: Connection) -> Message:
        if parse_args(bus.VisitHold, args).on:
            self._visits.add(caller)
        else:
            self._visits.discard(caller)
        return bus.Empty()

    def _printing(self) -> PrintQueue:
        if self._queue is None:
            raise NotSupported("ticket_printer", Reason.UNSUPPORTED, "this machine has none")
        return self._queue


def number_handlers(numbers: Numbers) -> dict[str, Handler]:
    """The requests for numbers of the machine's own."""

    async def offer(args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = parse_args(bus.NumberOffer, args)
        number = await numbers.offer(wanted.service, wanted.key, only_given=wanted.only_given)
        return bus.NumberOffered(number=number)

    async def give(args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = parse_args(bus.NumberGive, args)
        given_ms = await numbers.give(wanted.ticket, wanted.key, wanted.sealed)
        return bus.NumberGiven(issued_at_ms=given_ms)

    return {bus.NUMBER_OFFER: offer, bus.NUMBER_GIVE: give}


def rating_handlers(ratings: Ratings) -> dict[str, Handler]:
    """The request that keeps a rating."""

    async def give(args: Mapping[str, Any], _from: Connection) -> Message:
        wanted = parse_args(bus.RatingGive, args)
        return bus.RatingKept(given_at_ms=await ratings.give(wanted.rating, wanted.sealed))

    return {bus.RATING_GIVE: give}
