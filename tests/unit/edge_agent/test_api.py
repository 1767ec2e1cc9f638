"""What applications may ask of the agent, over a real local bus."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_agent import health
from edge_agent.api import COMES_BACK_S, AgentApi
from edge_agent.devices import print_queue
from edge_agent.devices.print_queue import PrintQueue
from edge_agent.records import Recorder
from hallkit.clients import outbox as outbox_store
from hallkit.clients.outbox import Outbox
from hallkit.errors import Reason, Rejected
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.model.ids import DeviceId, SiteId
from hallkit.model.power import PowerPhase
from hallkit.model.printing import PrintJobState, Slip, TextLine
from hallkit.runtime.bus import BusClient
from hallkit.runtime.journal import Journal
from hallkit.wire import agent_bus as bus
from hallkit.wire.events import (
    CloudEvent,
    DeviceStateChanged,
    EventData,
    TicketPrinted,
    VisitStarted,
)
from hallkit.wire.mqtt import SystemDown, UpstreamNotice
from tests.fakes.clock import HastyClock
from tests.fakes.ticket_printer import FakeTicketPrinter

NOW = dt.datetime(2025, 1, 2, 4, tzinfo=dt.UTC)
SLIP = Slip(lines=(TextLine(text="A007"),))


class Application:
    """A client of the agent; what it hears can be awaited."""

    def __init__(self, path: Path) -> None:
        self.heard: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        self.client = BusClient(path, on_snapshot=self._snapshot, on_event=self._event)

    async def _snapshot(self, data: dict[str, Any]) -> None:
        await self._event("snapshot", data)

    async def _event(self, name: str, data: dict[str, Any]) -> None:
        self.heard.put_nowait((name, data))

    async def hears(self, name: str) -> dict[str, Any]:
        async with asyncio.timeout(5):
            while (heard := await self.heard.get())[0] != name:
                pass
        return heard[1]


class Agent:
    def __init__(self, folder: Path, journal: Journal, *, with_devices: bool = True) -> None:
        self.path = folder / "agent.sock"
        self.clock = clock = HastyClock()
        self.outbox = Outbox(journal, boot="boot")
        recorder = Recorder(self.outbox, clock, site=SiteId("demo"), device=DeviceId("terminal-01"))
        self.printer = FakeTicketPrinter(clock)
        self.queue = PrintQueue(
            journal,
            recorder,
            self.printer,
            clock,
            on_change=lambda job: self.api.job_changed(job),  # noqa: PLW0108  # made below
        )
        self.api = AgentApi(
            self.path,
            recorder,
            clock,
            reports=lambda: (),
            queue=self.queue if with_devices else None,
        )

    @asynccontextmanager
    async def application(self) -> AsyncIterator[Application]:
        application = Application(self.path)
        running = asyncio.create_task(application.client.run())
        await application.client.connected.wait()
        try:
            yield application
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def serving(folder: Path, *, with_devices: bool = True) -> AsyncIterator[Agent]:
    steps = [outbox_store.SCHEMA + ";" + print_queue.SCHEMA]
    async with Journal(folder / "agent.sqlite", steps) as journal:
        agent = Agent(folder, journal, with_devices=with_devices)
        await agent.outbox.start()
        async with agent.api.server:
            yield agent


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with serving(tmp_path) as one:
        yield one


# ── Printing ─────────────────────────────────────────────────────────────────────────────────


async def test_a_slip_is_promised_and_every_application_hears_of_it(agent: Agent) -> None:
    await agent.printer.probe()
    async with agent.application() as kiosk, agent.application() as other:
        asked = bus.PrintSubmit(job="v-slip", slip=SLIP)
        promised = await kiosk.client.request(bus.PRINT_SUBMIT, asked, bus.PrintJobResult)
        assert promised.job.state is PrintJobState.QUEUED
        printing = asyncio.create_task(agent.queue.run())
        states = [(await other.hears(bus.PRINT_CHANGED))["job"]["state"] for _ in range(2)]
        assert states == ["printing", "completed"]
        found = await other.client.request(
            bus.PRINT_JOB, bus.PrintJobQuery(job="v-slip"), bus.PrintJobResult
        )
        assert found.job.state is PrintJobState.COMPLETED
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)


async def test_a_job_that_is_owed_stands_in_the_snapshot_until_it_is_done(agent: Agent) -> None:
    await agent.printer.probe()
    agent.printer.fault = Reason.PAPER_OUT
    await agent.printer.probe()
    async with agent.application() as kiosk:
        printing = asyncio.create_task(agent.queue.run())
        asked = bus.PrintSubmit(job="v-slip", slip=SLIP)
        await kiosk.client.request(bus.PRINT_SUBMIT, asked, bus.PrintJobResult)
        await kiosk.hears(bus.PRINT_CHANGED)
        async with agent.application() as late:
            jobs = (await late.hears("snapshot"))["jobs"]
            assert [(job["id"], job["state"]) for job in jobs] == [("v-slip", "waiting")]
        agent.printer.mend()
        await agent.printer.probe()
        agent.queue.printer_changed()
        while (await kiosk.hears(bus.PRINT_CHANGED))["job"]["state"] != "completed":
            pass
        async with agent.application() as later:
            assert (await later.hears("snapshot"))["jobs"] == []
        printing.cancel()
        await asyncio.gather(printing, return_exceptions=True)


@pytest.mark.parametrize("job", ["", "x" * 65])
async def test_an_id_that_no_event_could_carry_is_refused(agent: Agent, job: str) -> None:
    asked = bus.PrintSubmit.model_construct(job=job, slip=SLIP)
    async with agent.application() as kiosk:
        with pytest.raises(Rejected) as fault:
            await kiosk.client.request(bus.PRINT_SUBMIT, asked, bus.PrintJobResult)
    assert fault.value.problem_code == "wire"
    assert await agent.queue.unfinished() == ()


async def test_systems_that_are_down_stand_in_the_snapshot_and_are_told(agent: Agent) -> None:
    down = SystemDown(system="civil_affairs", plain_name="民政信息系统", since_ms=1)
    async with agent.application() as kiosk:
        agent.api.systems_are(UpstreamNotice(down=(down,), ts=2))
        told = await kiosk.hears(bus.SYSTEMS_CHANGED)
        assert [one["system"] for one in told["down"]] == ["civil_affairs"]
        async with agent.application() as late:
            assert (await late.hears("snapshot"))["systems_down"] == told["down"]
        agent.api.systems_are(UpstreamNotice(ts=3))
        assert (await kiosk.hears(bus.SYSTEMS_CHANGED))["down"] == []


async def test_a_machine_without_the_device_says_so(tmp_path: Path) -> None:
    async with serving(tmp_path, with_devices=False) as agent, agent.application() as kiosk:
        asked = bus.PrintSubmit(job="v", slip=SLIP)
        with pytest.raises(Rejected) as fault:
            await kiosk.client.request(bus.PRINT_SUBMIT, asked, bus.PrintJobResult)
        assert (fault.value.problem_code, fault.value.detail) == (
            "device.unsupported",
            "unsupported",
        )


async def test_the_agent_knows_no_cards(agent: Agent) -> None:
    assert not [name for name in vars(agent.api) if "card" in name]
    assert not [name for name in bus.AgentSnapshot.model_fields if "card" in name]
    async with agent.application() as kiosk:
        with pytest.raises(Rejected) as fault:
            await kiosk.client.request(bus.CARD_WATCH, bus.CardWatch(on=True), bus.Empty)
        assert fault.value.problem_code == "wire"


# ── Events ───────────────────────────────────────────────────────────────────────────────────


def visit_event(**data: object) -> CloudEvent:
    made = CloudEvent.wrap(VisitStarted(visit="v"), source="kiosk", time=NOW)
    return made.model_copy(update={"data": made.data | data})


async def test_an_event_is_kept_once_under_the_machines_own_name(agent: Agent) -> None:
    event = visit_event()
    async with agent.application() as kiosk:
        for _ in range(2):
            await kiosk.client.request(bus.EVENT_ADD, bus.EventAdd(event=event), bus.Empty)
    [row] = await agent.outbox.rows_after(0, limit=9)
    assert row.event == event.model_copy(update={"source": "hallkit/demo/terminal-01"})


async def test_fields_that_the_type_does_not_have_never_reach_the_outbox(agent: Agent) -> None:
    event = visit_event(name="张三", id_number="11010519491231002X", nested={"number": "1"})
    async with agent.application() as kiosk:
        await kiosk.client.request(bus.EVENT_ADD, bus.EventAdd(event=event), bus.Empty)
    [row] = await agent.outbox.rows_after(0, limit=9)
    assert row.event.data == {"visit": "v"}


@pytest.mark.parametrize(
    ("change", "data"),
    [
        ({"type": "visit.ended.v1"}, {"outcome": "张三"}),
        ({"type": "visit.started.v1", "data": {}}, {}),
    ],
)
async def test_an_event_that_its_type_does_not_hold_is_refused(
    agent: Agent, change: dict[str, object], data: dict[str, object]
) -> None:
    event = visit_event(**data).model_copy(update=change)
    async with agent.application() as kiosk:
        with pytest.raises(Rejected) as fault:
            await kiosk.client.request(bus.EVENT_ADD, bus.EventAdd(event=event), bus.Empty)
    assert fault.value.problem_code == "wire"
    assert await agent.outbox.size() == 0


@pytest.mark.parametrize(
    "data",
    [
        DeviceStateChanged(
            device=DeviceReport(
                id="ticket-printer", port="ticket_printer", driver="x", status=DeviceStatus.ONLINE
            )
        ),
        TicketPrinted(job="v-slip", state=PrintJobState.COMPLETED, attempts=1, copies_marked=0),
        health.measure(Path("/"), outbox_rows=0, refused_messages=0),
    ],
    ids=lambda data: data.EVENT_TYPE,
)
async def test_what_the_agent_knows_no_application_says_in_its_name(
    agent: Agent, data: EventData
) -> None:
    event = CloudEvent.wrap(data, source="kiosk", time=NOW)
    async with agent.application() as kiosk:
        with pytest.raises(Rejected) as fault:
            await kiosk.client.request(bus.EVENT_ADD, bus.EventAdd(event=event), bus.Empty)
    assert fault.value.problem_code == "not_permitted"
    assert agent.api.server.refused == 1
    assert await agent.outbox.size() == 0


async def test_an_event_of_no_published_type_is_refused(agent: Agent) -> None:
    event = visit_event().model_copy(update={"type": "citizen.card.v1"})
    async with agent.application() as kiosk:
        with pytest.raises(Rejected) as fault:
            await kiosk.client.request(bus.EVENT_ADD, bus.EventAdd(event=event), bus.Empty)
    assert fault.value.problem_code == "not_permitted"
    assert agent.api.server.refused == 1


async def test_only_the_agents_own_user_may_connect(agent: Agent) -> None:
    assert agent.path.stat().st_mode & 0o777 == 0o600


# ── The state of the machine ─────────────────────────────────────────────────────────────────


async def test_every_application_hears_of_devices_and_the_link(agent: Agent) -> None:
    report = DeviceReport(
        id="ticket-printer", port="ticket_printer", driver="fake", status=DeviceStatus.ONLINE
    )
    async with agent.application() as kiosk:
        assert (await kiosk.hears("snapshot"))["link_up"] is False
        agent.api.device_changed(report)
        agent.api.link_changed(up=True)
        assert (await kiosk.hears(bus.DEVICE_CHANGED))["device"]["id"] == "ticket-printer"
        assert await kiosk.hears(bus.LINK_CHANGED) == {"up": True}
        async with agent.application() as late:
            assert (await late.hears("snapshot"))["link_up"] is True


# ── Power ────────────────────────────────────────────────────────────────────────────────────


async def test_the_phase_of_power_is_told_and_stands_in_the_snapshot(agent: Agent) -> None:
    async with agent.application() as kiosk:
        assert (await kiosk.hears("snapshot"))["power"] == "mains"
        agent.api.power_is(PowerPhase.CLOSING)
        assert (await kiosk.hears(bus.POWER_CHANGED))["phase"] == "closing"
        async with agent.application() as late:
            assert (await late.hears("snapshot"))["power"] == "closing"


async def test_a_visit_is_held_until_it_is_let_go_or_its_connection_ends(agent: Agent) -> None:
    async def says(application: Application, *, on: bool) -> None:
        await application.client.request(bus.VISIT_HOLD, bus.VisitHold(on=on), bus.Empty)

    assert not agent.api.in_visit
    async with agent.application() as kiosk:
        async with agent.application() as other:
            await says(kiosk, on=True)
            await says(other, on=False)  # lets go of its own only
            assert agent.api.in_visit
            await says(kiosk, on=False)
            assert not agent.api.in_visit
            await says(other, on=True)
            assert agent.api.in_visit
        async with asyncio.timeout(5):
            while agent.api.in_visit:  # noqa: ASYNC110  # the server sees the end a moment later
                await asyncio.sleep(0.01)


async def test_a_visit_whose_application_is_gone_may_come_back_for_a_while(agent: Agent) -> None:
    async def holds(application: Application, *, on: bool) -> None:
        await application.client.request(bus.VISIT_HOLD, bus.VisitHold(on=on), bus.Empty)

    assert agent.api.may_be_in_visit  # nobody has found the agent yet
    agent.clock.advance(COMES_BACK_S)
    assert not agent.api.may_be_in_visit
    async with agent.application() as kiosk:
        await holds(kiosk, on=True)
        assert agent.api.may_be_in_visit
        await holds(kiosk, on=False)
        assert not agent.api.may_be_in_visit  # it said so itself
        await holds(kiosk, on=True)
    async with asyncio.timeout(5):
        while agent.api.in_visit:  # noqa: ASYNC110  # the server sees the end a moment later
            await asyncio.sleep(0.01)
    assert agent.api.may_be_in_visit
    async with agent.application() as kiosk:
        await holds(kiosk, on=True)  # its successor took up the draft
        agent.clock.advance(COMES_BACK_S)
        assert agent.api.may_be_in_visit
        await holds(kiosk, on=False)
        assert not agent.api.may_be_in_visit
