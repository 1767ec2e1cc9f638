"""Composition root of the agent: `python -m edge_agent.app`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from edge_agent import health, maintenance_mode, numbers, ratings
from edge_agent.api import ROLE as TERMINAL_ROLE
from edge_agent.api import SOCKET_NAME, AgentApi, number_handlers, rating_handlers
from edge_agent.card_api import SOCKET_NAME as CARD_SOCKET
from edge_agent.configuration import PART, ConfigurationWatch, right
from edge_agent.content import CatalogueSync
from edge_agent.desired import DesiredState
from edge_agent.devices import memory as device_memory
from edge_agent.devices import print_queue
from edge_agent.devices.card_worker import CardWorker
from edge_agent.devices.host import CARD_PORT, PeripheralHost, not_heard_yet
from edge_agent.devices.leases import Leases
from edge_agent.devices.memory import DeviceMemory
from edge_agent.devices.print_queue import PrintQueue
from edge_agent.link import DeviceLink, tell_while_running
from edge_agent.maintenance import MaintenanceState
from edge_agent.maintenance_mode import Maintenance
from edge_agent.numbers import Numbers
from edge_agent.power_guard import PowerGuard, PoweroffFile
from edge_agent.ratings import Ratings
from edge_agent.records import Recorder
from edge_agent.settings import AgentSettings, parse
from edge_agent.technician_api import ROLE as TECHNICIAN_ROLE
from edge_agent.technician_api import SOCKET_NAME as TECHNICIAN_SOCKET
from edge_agent.technician_api import TechnicianApi, lease_handlers, maintenance_told
from hallkit import __version__
from hallkit.clients import outbox as outbox_store
from hallkit.clients.affairs import AffairsClient, base_url
from hallkit.clients.mqtt import MqttLink
from hallkit.clients.outbox import Outbox
from hallkit.clients.ratings import RatingsClient
from hallkit.errors import Reason, StoreError
from hallkit.model.device import DeviceReport, Media
from hallkit.model.ids import DeviceId, SiteId, new_id
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.printing import PrintJob
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock, SystemClock
from hallkit.runtime.config import FILES_VARIABLE, Places, files_from_environment, read
from hallkit.runtime.journal import Journal
from hallkit.runtime.keeper import Keeper
from hallkit.runtime.last_good import LastGood
from hallkit.runtime.lifecycle import ReadyCallback, run
from hallkit.runtime.log import get_logger
from hallkit.runtime.tls import client_context
from hallkit.wire.events import (
    ConfigurationChecked,
    DeviceStateChanged,
    EventData,
    MaintenanceChanged,
    PowerChanged,
)
from hallkit.wire.mqtt import Info
from hallkit.wire.topics import DeviceTopics

PROCESS = "edge_agent"

CARD_READER = "card-reader"
"""What the card reader's process is called on standard output."""

PAPER_STEP_LINES = 1_000
"""Paper that is used up is an event for the centre in steps of so many lines."""

POWEROFF = "poweroff"
"""In the runtime folder: who writes it switches the machine off (systemd/hall-poweroff.path)."""

POWER, LEASE, MAINTENANCE = "power", "lease", "maintenance"
"""Why the print queue is held."""

PRINT_QUEUE = "print_queue"
"""Who has the printer while a slip comes out."""

JOURNAL_STEPS = [
    outbox_store.SCHEMA + ";" + print_queue.SCHEMA,
    maintenance_mode.SCHEMA,
    device_memory.SCHEMA,
    numbers.SCHEMA,
    ratings.SCHEMA,
]


async def serve(ready: ReadyCallback) -> None:
    """Run the agent until cancelled."""
    places = Places.from_environment()
    last_good = LastGood(places.state, PROCESS)
    settings, peripherals = last_good.parse(
        read(files_from_environment()), lambda stack: parse(stack, places.runtime)
    )
    clock = SystemClock()
    ours = [one for one in peripherals if one[0].port != CARD_PORT]
    readers = [not_heard_yet(one, clock) for one in peripherals if one[0].port == CARD_PORT]
    async with AsyncExitStack() as stack:
        open_journal = Journal(places.state / "agent.sqlite", JOURNAL_STEPS)
        journal = await stack.enter_async_context(open_journal)
        memory = DeviceMemory(journal)
        drivers = PeripheralHost(ours, clock, recalled=await memory.load())
        host = await stack.enter_async_context(drivers)
        host.listen(memory.take)
        client = AffairsClient(base_url(settings.affairs), client_context(places.credentials))
        affairs = await stack.enter_async_context(client)
        agent = await _Agent.assemble(
            settings, places, clock, journal, affairs=affairs, host=host, readers=readers
        )
        agent.catalogue = catalogue = CatalogueSync(
            affairs,
            clock,
            state=places.state,
            key=places.credentials / "catalogue.pub",
            told=agent.desired.catalogue_is,
        )
        async with agent.api.server, agent.technician.server, asyncio.TaskGroup() as tasks:
            tasks.create_task(host.run(), name="peripherals")
            tasks.create_task(memory.run(), name="device memory")
            tasks.create_task(host.follow_plugs(), name="plugs")
            tasks.create_task(catalogue.run(), name="catalogue")
            tasks.create_task(agent.numbers.run(), name="numbers")
            tasks.create_task(agent.ratings.run(), name="ratings")
            tasks.create_task(agent.leases.run(), name="leases")
            tasks.create_task(agent.maintenance.run(), name="maintenance")
            tasks.create_task(agent.report_health(places), name="health")
            if agent.queue is not None:
                tasks.create_task(agent.queue.run(), name="print queue")
            if agent.power is not None:
                tasks.create_task(agent.power.run(), name="power")
            tasks.create_task(agent.configuration.run(), name="configuration")
            if last_good.healed:
                agent.configuration_changed(right(PROCESS))
            kept = last_good.started(AgentSettings.model_fields)
            if readers:
                command = _card_reader_command(kept)
                keeper = Keeper(
                    CARD_READER,
                    command,
                    clock,
                    silence_limit_s=settings.card_reader.silence_limit_s,
                    prefix=CARD_READER,
                )
                tasks.create_task(keeper.run(), name="card reader's keeper")
                tasks.create_task(agent.card_worker.run(), name="card reader")
            ready()
            await agent.stay_linked()


def _card_reader_command(kept: Path | None) -> list[str]:
    """Every card reader's process works on what the agent works on, whatever the files say now."""
    given = ["env", f"{FILES_VARIABLE}={kept}"] if kept is not None else []
    return [*given, sys.executable, "-P", "-m", "edge_agent.card_reader"]


class _Agent:
    """The parts that know each other."""

    api: AgentApi
    technician: TechnicianApi
    maintenance: Maintenance
    leases: Leases
    numbers: Numbers
    ratings: Ratings
    card_worker: CardWorker
    device_link: DeviceLink
    link: MqttLink

    def __init__(self, recorder: Recorder, clock: Clock, state: Path) -> None:
        self.recorder = recorder
        self.configuration = ConfigurationWatch(state, clock, tell=self.configuration_changed)
        self.queue: PrintQueue | None = None
        self.power: PowerGuard | None = None
        self._clock = clock
        self._disk_refuses = False
        self._log = get_logger()
        self._info_changed = asyncio.Event()
        self._reported_changed = asyncio.Event()
        self.desired = DesiredState(
            clock, want_catalogue=self._want_catalogue, changed=self._reported_changed.set
        )
        self.catalogue: CatalogueSync | None = None
        self._to_record: asyncio.Queue[tuple[EventData, str]] = asyncio.Queue()
        self._recorded: dict[str, DeviceStateChanged] = {}
        """What the centre was told last, by device."""

    @classmethod
    async def assemble(
        cls,
        settings: AgentSettings,
        places: Places,
        clock: Clock,
        journal: Journal,
        *,
        affairs: AffairsClient,
        host: PeripheralHost,
        readers: Sequence[DeviceReport],
    ) -> _Agent:
        site, device = SiteId(settings.site.id), DeviceId(settings.device.id)
        boot = new_id()
        outbox = Outbox(journal, boot=boot)
        await outbox.start()
        self = cls(Recorder(outbox, clock, site=site, device=device), clock, places.state)
        printer = host.of_port("ticket_printer")
        if printer is not None:
            self.queue = PrintQueue(
                journal,
                self.recorder,
                printer,  # the contract suite holds the port's shape
                clock,
                on_change=self._job_changed,
            )
        self.card_worker = worker = CardWorker(
            places.runtime / CARD_SOCKET,
            readers,
            clock,
            tell=self._device_changed,
            away_s=settings.card_reader.away_s,
        )

        def reports() -> tuple[DeviceReport, ...]:
            return (*worker.reports, *host.reports)

        self.leases = Leases(
            clock,
            # Not the card readers: another process has them.
            devices=lambda: tuple(report.id for report in host.reports),
            used_by=self._used_by,
            changed=self._lease_changed,
        )
        self.numbers = Numbers(
            journal,
            affairs,
            clock,
            of_each=settings.numbers.of_each,
            changed=self._numbers_changed,
        )
        self.ratings = Ratings(journal, RatingsClient(affairs), clock)
        self.api = AgentApi(
            places.runtime / SOCKET_NAME,
            self.recorder,
            clock,
            reports=reports,
            queue=self.queue,
            numbers=number_handlers(self.numbers),
            ratings=rating_handlers(self.ratings),
            leases=lease_handlers(self.leases, TERMINAL_ROLE),
        )
        self.maintenance = Maintenance(
            journal,
            clock,
            limits=settings.maintenance,
            serving=self._may_be_serving,
            working=lambda: self.leases.any_of(TECHNICIAN_ROLE),
            tell=self._maintenance_changed,
        )
        self.technician = TechnicianApi(
            places.runtime / TECHNICIAN_SOCKET,
            self.leases,
            clock,
            reports=reports,
            diagnostics=host.diagnostics,
            printer=printer,
            maintenance=self.maintenance,
        )
        await self.maintenance.start()
        if self.queue is not None:
            self.api.owe(await self.queue.unfinished())
        ups = host.of_port("ups")
        if ups is not None:
            self.power = PowerGuard(
                ups,  # the contract suite holds the port's shape
                clock,
                limits=settings.power,
                runtime=places.runtime,
                switch=PoweroffFile(places.runtime / POWEROFF),
                busy=self._is_busy,
                tell=self._power_changed,
            )
            self.api.power_is(self.power.phase)
            if self.queue is not None:
                self.queue.hold(POWER)  # until it is known whether the battery ends
        host.listen(self._device_changed)
        self.link = MqttLink(
            host=settings.broker.host,
            port=settings.broker.port,
            client_id=device,
            tls=client_context(places.credentials),
            backoff=Backoff(cap_s=settings.broker.reconnect_cap_s),
        )
        self.device_link = DeviceLink(
            self.link,
            outbox,
            clock,
            topics=DeviceTopics(site, device),
            boot=boot,
            info=lambda: Info(
                name=settings.device.name,
                role=settings.device.role,
                agent=__version__,
                peripherals=(*reports(), *self.configuration.reports),
                maintenance=self.maintenance.state.phase,
                capabilities=tuple(sorted({one.port for one in reports() if one.works})),
            ),
            reported=lambda: self.desired.reported,
            on_desired=self.desired.want,
            on_systems=self.api.systems_are,
        )
        return self

    async def stay_linked(self) -> None:
        """Keep the connection to the broker, until cancelled."""
        link = self.device_link
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.device_link.run(), name="outbox")
            tasks.create_task(tell_while_running(self._info_changed, link.tell_info), name="info")
            tasks.create_task(
                tell_while_running(self._reported_changed, link.tell_reported), name="reported"
            )
            tasks.create_task(self._record_changes(), name="events")
            await self.link.run(
                will=self.device_link.make_will,
                on_connected=self._linked,
                on_message=self.device_link.on_message,
                on_lost=self._unlinked,
                farewell=self.device_link.farewell,
            )

    async def report_health(self, places: Places) -> None:
        """Keep one aggregate a minute, until cancelled."""
        while True:
            await self._keep(
                health.measure(
                    places.state,
                    outbox_rows=await self.recorder.outbox.size(),
                    refused_messages=self.api.server.refused
                    + self.technician.server.refused
                    + self.device_link.refused,
                    reports_dropped=await self.recorder.outbox.dropped(),
                )
            )
            await self._clock.sleep(health.INTERVAL_S)

    async def _keep(self, data: EventData, *, subject: str = "") -> None:
        """A full disk must not take the peripherals from the citizen: the loss is logged."""
        try:
            await self.recorder.add(data, subject=subject)
        except StoreError as fault:
            if not self._disk_refuses:
                self._log.error("event.not_kept", detail=str(fault))  # expected
            self._disk_refuses = True
        else:
            self._disk_refuses = False

    async def _linked(self) -> None:
        await self.device_link.on_connected()
        self.api.link_changed(up=True)

    async def _unlinked(self) -> None:
        self.api.link_changed(up=False)

    def _device_changed(self, device: DeviceReport) -> None:
        self.api.device_changed(device)
        self._info_changed.set()
        before = self._recorded.get(device.id)
        if before is None or _for_technicians(before.device) != _for_technicians(device):
            self._record_device(device)
        if self.queue is not None and device.port == "ticket_printer":
            self.queue.printer_changed()

    def _used_by(self, device: str) -> str:
        queue = self.queue
        return (
            PRINT_QUEUE if queue is not None and queue.printing and queue.device == device else ""
        )

    def _lease_changed(self, device: str, taken: bool) -> None:
        """Slips wait while somebody else has their printer."""
        if self.queue is None or device != self.queue.device:
            return
        if taken:
            self.queue.hold(LEASE, Reason.OCCUPIED)
        else:
            self.queue.release(LEASE)

    async def _power_changed(self, told: PowerChanged) -> None:
        """Before anything else follows from it, it is in the outbox."""
        if self.queue is not None:
            if told.phase.ends:
                self.queue.hold(POWER)
            else:
                self.queue.release(POWER)
        self.api.power_is(told.phase)
        await self._keep(told)

    async def _is_busy(self) -> bool:
        """Something is under way that a power cut should wait for."""
        if self._is_serving() or self.leases.in_use:
            return True
        # A hall whose network is down with the mains hears of it when they are back.
        try:
            return self.link.connected.is_set() and await self.recorder.outbox.size() > 0
        except StoreError:
            return False

    def _record_device(self, device: DeviceReport) -> None:
        calm = self.maintenance.state.phase is not MaintenancePhase.INACTIVE
        told = self._recorded[device.id] = DeviceStateChanged(device=device, maintenance=calm)
        self._to_record.put_nowait((told, device.id))

    async def _maintenance_changed(self, state: MaintenanceState) -> None:
        told = maintenance_told(state)
        if self.queue is not None:
            if state.phase.closes:
                self.queue.hold(MAINTENANCE)
            else:
                self.queue.release(MAINTENANCE)
        self.api.maintenance_is(told)
        self.technician.maintenance_is(told)
        self._info_changed.set()
        event = MaintenanceChanged(phase=told.phase, until_ms=told.until_ms)
        self._to_record.put_nowait((event, MAINTENANCE))
        if state.phase is MaintenancePhase.INACTIVE:
            # What happened meanwhile was no alarm; what is still wrong is one now.
            for last in list(self._recorded.values()):
                if last.maintenance and last.device.reason is not None:
                    self._record_device(last.device)

    def _numbers_changed(self, services: tuple[str, ...]) -> None:
        self.api.numbers_are(services)

    def _is_serving(self) -> bool:
        return self.api.in_visit or (self.queue is not None and self.queue.printing)

    def _may_be_serving(self) -> bool:
        """For what can wait a while longer than an empty battery."""
        return self.api.may_be_in_visit or (self.queue is not None and self.queue.in_hand)

    def _want_catalogue(self) -> None:
        if self.catalogue is not None:
            self.catalogue.want()

    def configuration_changed(self, told: ConfigurationChecked) -> None:
        """Tell how a program's files are: an event, and a part in the inventory while wrong."""
        self._info_changed.set()
        self._to_record.put_nowait((told, PART))

    async def _record_changes(self) -> None:
        while True:
            data, subject = await self._to_record.get()
            await self._keep(data, subject=subject)

    def _job_changed(self, job: PrintJob) -> None:
        self.api.job_changed(job)


def _for_technicians(device: DeviceReport) -> DeviceReport:
    """The report without what changes with every card and slip: that is no event for the centre."""
    left = device.paper_left_lines
    rounded = None if left is None else left // PAPER_STEP_LINES * PAPER_STEP_LINES
    return device.model_copy(
        update={"media": Media.UNKNOWN, "since_ms": 0, "paper_left_lines": rounded}
    )


def main() -> int:
    """Entry point of the process."""
    return run(PROCESS, serve)


if __name__ == "__main__":
    sys.exit(main())
