"""What the console shows, as data: the same for the page, its live updates and `/api/state`."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Literal

import sqlalchemy as sa

from hallkit.errors import Reason
from hallkit.lexicon.faults import for_technicians
from hallkit.model.base import Value
from hallkit.model.device import DeviceReport, DeviceStatus, Media, Paper
from hallkit.model.maintenance import MaintenancePhase
from hallkit.model.power import PowerPhase
from hallkit.wire.events import (
    ConfigurationChecked,
    DeviceStateChanged,
    MaintenanceChanged,
    PowerChanged,
    TicketPrinted,
    VisitEnded,
    VisitStarted,
)
from hallkit.wire.mqtt import CatalogueNotice, Reported
from ops import desired, effects, store
from ops.effects import HALL_TIME, PRESENCE_EVENT, REFUSED, TICKETS, VISITS, hall_day
from ops.inbound import NOBODY

EVENTS_SHOWN = 50

SILENT_AFTER_MS = 200_000
"""Three reports of health and some seconds: there, by its presence, but not a word."""

FUTURE_SLACK_MS = 60_000

Tone = Literal["done", "plain", "attention", "fault"]
"""Shape and colour: ● fine, ○ neither, ▲ look after it, ✕ does not work."""

LOST_AFTER_MS = 20_000
"""From a machine's will to the word that it is away: a cable that is put right needs no person."""

MachineState = Literal["online", "sleeping", "silent", "suspect", "offline", "unknown"]

_BROKEN = frozenset(
    {
        DeviceStatus.OFFLINE,
        DeviceStatus.POWER_OFF,
        DeviceStatus.NO_DEVICE,
        DeviceStatus.HARDWARE_ERROR,
        DeviceStatus.FRAUD_ATTEMPT,
    }
)
_LOOK_AFTER = frozenset({DeviceStatus.USER_ERROR, DeviceStatus.POTENTIAL_FRAUD})
LINE_MM = 3.75
"""Of `DeviceReport.paper_left_lines`."""
_URGENCY: tuple[Tone, ...] = ("fault", "attention", "plain", "done")


class PeripheralView(Value):
    """One peripheral. `words` is a key of the wording table."""

    id: str
    port: str
    driver: str
    model: str
    status: DeviceStatus
    paper: Paper
    paper_left_m: int | None
    """Metres estimated to be left on its roll."""
    reason: Reason | None
    tone: Tone
    words: str
    advice: str | None
    """Key of what is to be done about it."""
    since_ms: int | None


class MachineView(Value):
    """One machine; every number says since when."""

    device: str
    name: str
    role: str
    agent: str
    state: MachineState
    tone: Tone
    """The worst of the machine and, while it is there, its peripherals."""
    rank: int
    """Order by what needs a person first."""
    words: str
    since_ms: int | None
    """Since when it is in this state."""
    seen_ms: int | None
    """When it was last heard."""
    peripherals: tuple[PeripheralView, ...]
    visits_today: int
    tickets_today: int
    today_since_ms: int
    last_event_ms: int | None
    outbox_rows: int | None
    outbox_at_ms: int | None
    refused_today: int
    catalogue: CatalogueView | None = None
    """None: it has not told."""


class CatalogueView(Value):
    """Which catalogue a machine has. `words` is a key of the wording table."""

    version: str
    """Empty: none yet."""
    tone: Tone
    words: str
    told_ms: int
    fault: str = ""
    """Code of what keeps it from the newest; empty if nothing does."""


class EventView(Value):
    """One thing that happened. `words` is a key of the wording table, `values` fill it."""

    id: int
    device: str
    machine_name: str
    time_ms: int
    late: bool
    """It was told long after it happened."""
    tone: Tone
    words: str
    part: str
    """Key of a second wording that stands in for `{part}`, or empty."""
    subject: str
    """The peripheral that it is about, or empty."""
    port: str
    minutes: int


class CentreView(Value):
    """Everything at one instant."""

    now_ms: int
    site_name: str
    broker_up: bool
    broker_since_ms: int
    broker_dropped: int
    catalogue_version: str = ""
    """What every machine should have; empty before the business node said."""
    refused_today: int
    """From no machine that can be named."""
    machines: tuple[MachineView, ...]
    events: tuple[EventView, ...]


class Surroundings(Value):
    """What the database does not know."""

    site_name: str
    listed: Mapping[str, tuple[str, str]]
    """Machines that the site's files name: id → name and role."""
    broker_up: bool
    broker_since_ms: int
    broker_dropped: int


def read(connection: sa.Connection, around: Surroundings, now_ms: int) -> CentreView:
    """The state of everything, from one transaction."""
    day = hall_day(now_ms)
    counters = _counters(connection, day)
    peripherals = _peripherals(connection, now_ms)
    wanted = desired.read(connection)
    offered = None if wanted is None else wanted.catalogue
    catalogues = _catalogues(connection, offered)
    rows = {
        row["device"]: row for row in connection.execute(sa.select(store.machine)).mappings().all()
    }
    machines = []
    for device in sorted(rows.keys() | around.listed.keys()):
        counted = counters.get(device, {})
        machines.append(
            _machine(
                device,
                rows.get(device),
                around.listed.get(device, ("", "")),
                peripherals.get(device, ()),
                counted,
                catalogues.get(device),
                now_ms,
            )
        )
    names = {one.device: one.name for one in machines}
    # What needs a person stands on top.
    machines.sort(key=lambda one: (one.rank, one.device))
    return CentreView(
        now_ms=now_ms,
        site_name=around.site_name,
        broker_up=around.broker_up,
        broker_since_ms=around.broker_since_ms,
        broker_dropped=around.broker_dropped,
        catalogue_version="" if offered is None else offered.version,
        refused_today=_refused(counters.get(NOBODY, {})),
        machines=tuple(machines),
        events=_events(connection, names),
    )


def _catalogues(
    connection: sa.Connection, offered: CatalogueNotice | None
) -> dict[str, CatalogueView]:
    found = {}
    for row in connection.execute(sa.select(store.reported)).mappings():
        told = Reported.model_validate_json(row["document"])
        tone, words = _catalogue_verdict(told, offered)
        found[str(row["device"])] = CatalogueView(
            version="" if told.catalogue is None else told.catalogue.version,
            tone=tone,
            words=words,
            told_ms=row["told_ms"],
            fault=told.faults[0].code if told.faults else "",
        )
    return found


def _catalogue_verdict(told: Reported, offered: CatalogueNotice | None) -> tuple[Tone, str]:
    if told.faults:
        return "attention", "console.catalogue_refused"
    if told.catalogue is None:
        return "attention", "console.catalogue_none"
    if offered is None or told.catalogue.sha256 == offered.sha256:
        return "done", "console.catalogue_newest"
    return "plain", "console.catalogue_behind"


def _counters(connection: sa.Connection, day: dt.date) -> dict[str, dict[str, int]]:
    table = store.counter
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(
        sa.select(table.c.device, table.c.name, table.c.value).where(table.c.day == day)
    ):
        found.setdefault(row.device, {})[row.name] = row.value
    return found


def _refused(counted: Mapping[str, int]) -> int:
    return sum(value for name, value in counted.items() if name.startswith(REFUSED))


def _peripherals(connection: sa.Connection, now_ms: int) -> dict[str, tuple[PeripheralView, ...]]:
    table = store.peripheral
    found: dict[str, tuple[PeripheralView, ...]] = {}
    for row in connection.execute(
        sa.select(table.c.device, table.c.state).order_by(table.c.device, table.c.place)
    ):
        report = DeviceReport.model_validate_json(row.state)
        found[row.device] = (*found.get(row.device, ()), peripheral_view(report, now_ms))
    return found


def peripheral_view(report: DeviceReport, now_ms: int) -> PeripheralView:
    """What a technician reads of a report."""
    tone, words = _condition(report)
    told = 0 < report.since_ms <= now_ms + FUTURE_SLACK_MS
    return PeripheralView(
        id=report.id,
        port=report.port,
        driver=report.driver,
        model=report.model,
        status=report.status,
        paper=report.paper,
        paper_left_m=_metres(report.paper_left_lines),
        reason=report.reason,
        tone=tone,
        words=words,
        advice=for_technicians(report),
        since_ms=min(report.since_ms, now_ms) if told else None,
    )


def _metres(lines: int | None) -> int | None:
    return None if lines is None else round(lines * LINE_MM / 1000)


def _condition(report: DeviceReport) -> tuple[Tone, str]:
    """The first that holds: what a person can put right stands before what is broken."""
    conditions: tuple[tuple[bool, Tone, str], ...] = (
        (report.paper in (Paper.OUT, Paper.JAMMED), "attention", f"state.paper_{report.paper}"),
        (report.media is Media.JAMMED, "attention", "state.media_jammed"),
        (report.status in _BROKEN, "fault", _why(report)),
        (report.status in _LOOK_AFTER, "attention", _why(report)),
        (report.status is DeviceStatus.STARTING, "plain", "state.starting"),
        (report.paper is Paper.LOW, "attention", "state.paper_low"),
        # It works, and somebody has to look: a worn battery, a power cut.
        (report.reason is not None, "attention", _why(report)),
    )
    return next(
        ((tone, words) for holds, tone, words in conditions if holds),
        ("done", f"state.{report.status}"),
    )


def _why(report: DeviceReport) -> str:
    return f"reason.{report.reason}" if report.reason else f"state.{report.status}"


def _machine(  # noqa: PLR0917  # a row and what belongs to it
    device: str,
    row: sa.RowMapping | None,
    listed: tuple[str, str],
    peripherals: tuple[PeripheralView, ...],
    counted: Mapping[str, int],
    catalogue: CatalogueView | None,
    now_ms: int,
) -> MachineView:
    midnight = dt.datetime.combine(hall_day(now_ms), dt.time(), HALL_TIME)
    state = _state(row, now_ms)
    serviced = row is not None and row["maintenance"] != MaintenancePhase.INACTIVE
    tone, words = _verdict(state, peripherals, serviced=serviced)
    known = row is not None
    return MachineView(
        device=device,
        name=(row["name"] if row else "") or listed[0] or device,
        role=(row["role"] if row else "") or listed[1],
        agent=row["agent"] if row else "",
        state=state,
        tone=tone,
        rank=_URGENCY.index(tone),
        words=words,
        since_ms=_since(state, row),
        seen_ms=row["seen_ms"] if row else None,
        peripherals=peripherals,
        visits_today=counted.get(VISITS, 0),
        tickets_today=counted.get(TICKETS, 0),
        today_since_ms=round(midnight.timestamp() * 1000),
        last_event_ms=row["event_ms"] if row else None,
        outbox_rows=row["outbox_rows"] if row else None,
        outbox_at_ms=row["health_ms"] if row else None,
        refused_today=_refused(counted) if known else 0,
        catalogue=catalogue,
    )


def _state(row: sa.RowMapping | None, now_ms: int) -> MachineState:
    match row["presence"] if row is not None else "":
        case "online":
            silent = row is not None and now_ms - row["seen_ms"] > SILENT_AFTER_MS
            return "silent" if silent else "online"
        case "sleeping":
            return "sleeping"
        case effects.SUSPECT:
            lost = row is not None and now_ms - row["presence_since_ms"] > LOST_AFTER_MS
            return "offline" if lost else "suspect"
        case "offline":
            return "offline"
        case _:
            return "unknown"


def _since(state: MachineState, row: sa.RowMapping | None) -> int | None:
    if row is None or state == "unknown":
        return None
    since: int = row["seen_ms"] if state == "silent" else row["presence_since_ms"]
    return since


def _verdict(
    state: MachineState, peripherals: tuple[PeripheralView, ...], *, serviced: bool = False
) -> tuple[Tone, str]:
    """Shape, colour and the one word that names the worst.

    What is wrong with a machine that a technician has is no alarm, but for smoke and silence.
    """
    if state == "offline":
        return "fault", "state.machine_offline"
    if state in ("unknown", "sleeping"):
        return "plain", f"state.machine_{state}"
    if state in ("silent", "suspect"):
        return "attention", f"state.machine_{state}"
    # Smoke is told before whatever else is broken.
    order = sorted(peripherals, key=lambda one: one.reason is not Reason.SMOKE)
    worst = min(order, key=lambda one: _URGENCY.index(one.tone), default=None)
    if serviced and (worst is None or worst.reason is not Reason.SMOKE):
        return "plain", "state.machine_maintenance"
    if worst is not None and worst.tone in ("fault", "attention"):
        # One broken part does not make the machine a broken one: it still serves.
        return "attention", worst.words
    return "done", f"state.machine_{state}"


# ── Events ────────────────────────────────────────────────────────────────────────────────────


def _events(connection: sa.Connection, names: Mapping[str, str]) -> tuple[EventView, ...]:
    table = store.event
    rows = connection.execute(
        sa.select(table).order_by(table.c.time_ms.desc(), table.c.id.desc()).limit(EVENTS_SHOWN)
    ).mappings()
    return tuple(_event(row, names.get(row["device"], row["device"])) for row in rows)


def _event(row: sa.RowMapping, machine_name: str) -> EventView:
    data = json.loads(row["data"])
    tone: Tone = "plain"
    words, part, subject, port, minutes = "console.event.other", "", "", "", 0
    match row["type"]:
        case type_ if type_ == PRESENCE_EVENT:
            tone = "done" if data["state"] == "online" else "fault"
            tone = "plain" if data["state"] == "sleeping" else tone
            name = "restarted" if data["restarted"] else data["state"]
            words = f"console.event.machine_{name}"
        case DeviceStateChanged.EVENT_TYPE:
            report = DeviceReport.model_validate(data["device"])
            tone, part = _condition(report)
            if data.get("maintenance"):
                tone = "plain"  # a technician is at it
            words, subject, port = "console.event.device", report.id, report.port
        case VisitStarted.EVENT_TYPE:
            words = "console.event.visit_started"
        case VisitEnded.EVENT_TYPE:
            words = f"console.event.visit_{data['outcome']}"
            minutes = max(1, round(data.get("duration_s", 0) / 60))
        case TicketPrinted.EVENT_TYPE:
            words = f"console.event.print_{data['state']}"
            tone = "attention" if data["state"] == "waiting" else "plain"
        case MaintenanceChanged.EVENT_TYPE:
            words = f"console.event.maintenance_{data['phase']}"
        case PowerChanged.EVENT_TYPE:
            phase = PowerPhase(data["phase"])
            words = f"console.event.power_{phase}"
            tone = "done" if phase is PowerPhase.MAINS else "attention"
        case ConfigurationChecked.EVENT_TYPE:
            told = ConfigurationChecked.model_validate(data)
            tone = "attention" if told.total else "done"
            words = f"console.event.configuration_{'wrong' if told.total else 'right'}"
            more = f" (+{told.total - 1})" if told.total > 1 else ""
            subject = "".join(told.mistakes[:1]) + more
        case _:
            pass
    return EventView(
        id=row["id"],
        device=row["device"],
        machine_name=machine_name,
        time_ms=row["time_ms"],
        late=row["hist"],
        tone=tone,
        words=words,
        part=part,
        subject=subject,
        port=port,
        minutes=minutes,
    )
