"""What was heard becomes the centre's state: each effect once.

`settle` brings a batch into effect inside one transaction and returns what may be acknowledged
after it. Dedupe is by (device, boot, seq) in the transaction of the effect; order is by (boot,
seq), never by wall time. What a batch reads of a machine or a stream it reads once, and what adds
up it writes once; the statements are built when the module is loaded, because building one costs
more than running it.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert_of_sqlite

from hallkit.errors import WireError
from hallkit.model.device import DeviceReport
from hallkit.model.ids import DeviceId, SiteId, is_name
from hallkit.model.printing import PrintJobState
from hallkit.runtime.clock import utc
from hallkit.wire.events import (
    EVENTS,
    CloudEvent,
    DeviceStateChanged,
    EventData,
    Health,
    TicketPrinted,
    VisitStarted,
)
from hallkit.wire.mqtt import Info, Presence, Report, Reported
from ops import store
from ops.inbound import LARGEST, Heard, Refused

HALL_TIME = dt.timezone(dt.timedelta(hours=8))
"""China has one time zone; a day of the hall ends at its midnight."""

SUSPECT = "suspect"
"""Presence of a machine whose will was published: lost, unless it is back soon (`ops.view`)."""

PRESENCE_EVENT = "machine.presence.v1"
"""Kept by the centre itself when a machine comes or goes; never sent by one."""

VISITS = "visits"
TICKETS = "tickets"
REFUSED = "refused."
"""Counters: `refused.malformed`, one a reason."""

OLDEST_MS = 400 * 24 * 3_600_000
"""No outbox keeps anything so long; an older time is a clock that was never set."""

AHEAD_LIMIT = 10_000
"""Reports of one boot that are kept ahead of a gap; what is beyond has to be sent again."""


@dataclass(slots=True)
class Settled:
    """What a transaction came to."""

    acks: dict[DeviceId, dict[str, int]] = field(default_factory=dict)
    """Per device and boot: everything up to here is committed once the transaction is."""
    refused: list[Refused] = field(default_factory=list)


# ── Statements ────────────────────────────────────────────────────────────────────────────────

_machine, _peripheral, _stream = store.machine.c, store.peripheral.c, store.stream.c


def _heard_machine() -> sa.Executable:
    row = upsert_of_sqlite(store.machine).values(
        name="",
        role="",
        agent="",
        presence="",
        epoch=-1,
        boot="",
        health_boot="",
        health_seq=0,
        device=sa.bindparam("device"),
        presence_since_ms=sa.bindparam("seen_ms"),
        seen_ms=sa.bindparam("seen_ms"),
    )
    return row.on_conflict_do_update(
        index_elements=["device"], set_={"seen_ms": row.excluded.seen_ms}
    ).returning(
        _machine.epoch,
        _machine.boot,
        _machine.presence,
        _machine.event_ms,
        _machine.health_boot,
        _machine.health_seq,
    )


def _heard_stream() -> sa.Executable:
    row = upsert_of_sqlite(store.stream).values(
        upto=0,
        device=sa.bindparam("device"),
        boot=sa.bindparam("boot"),
        seen_ms=sa.bindparam("seen_ms"),
    )
    return row.on_conflict_do_update(
        index_elements=["device", "boot"], set_={"seen_ms": row.excluded.seen_ms}
    ).returning(_stream.upto)


def _added_up() -> sa.Insert:
    row = upsert_of_sqlite(store.counter)
    return row.on_conflict_do_update(
        index_elements=["device", "day", "name"],
        set_={"value": store.counter.c.value + row.excluded.value},
    )


def _of_boot(table: sa.Table) -> sa.ColumnElement[bool]:
    return (table.c.device == sa.bindparam("of_device")) & (table.c.boot == sa.bindparam("of_boot"))


_OF_DEVICE = _machine.device == sa.bindparam("of_device")
_OF_PART = (_peripheral.device == sa.bindparam("of_device")) & (
    _peripheral.id == sa.bindparam("of_id")
)

_HEARD_MACHINE = _heard_machine()
_HEARD_STREAM = _heard_stream()
_ADDED_UP = _added_up()
_KNOWN_STREAM = sa.select(sa.literal(1)).where(_of_boot(store.stream))
_AHEAD = sa.select(store.report.c.seq).where(
    _of_boot(store.report), store.report.c.seq > sa.bindparam("upto")
)
_KEEP_AHEAD = store.report.insert()
_FORGET_AHEAD = store.report.delete().where(
    _of_boot(store.report), store.report.c.seq <= sa.bindparam("upto")
)
_ADVANCE = store.stream.update().where(_of_boot(store.stream)).values(upto=sa.bindparam("to"))
_EVENT = store.event.insert()
_LAST_EVENT = store.machine.update().where(_OF_DEVICE).values(event_ms=sa.bindparam("time"))
_HEALTH = (
    store.machine.update()
    .where(_OF_DEVICE)
    .values(
        outbox_rows=sa.bindparam("rows"),
        health_ms=sa.bindparam("time"),
        health_boot=sa.bindparam("told_boot"),
        health_seq=sa.bindparam("told_seq"),
    )
)
_PART = sa.select(_peripheral.boot, _peripheral.seq).where(_OF_PART)
_PART_TOLD = (
    store.peripheral.update()
    .where(_OF_PART)
    .values(
        state=sa.bindparam("told"), boot=sa.bindparam("told_boot"), seq=sa.bindparam("told_seq")
    )
)
_NEXT_PLACE = sa.select(sa.func.coalesce(sa.func.max(_peripheral.place) + 1, 0)).where(
    _peripheral.device == sa.bindparam("of_device")
)


# ── A batch ───────────────────────────────────────────────────────────────────────────────────


def settle(
    connection: sa.Connection, site: SiteId, batch: Iterable[Heard | Refused], now_ms: int
) -> Settled:
    """Bring a batch into effect; the caller commits, then acknowledges."""
    work = _Batch(connection, site, now_ms)
    for item in batch:
        match item:
            case Refused():
                work.settled.refused.append(item)
            case Heard(device=device, body=Presence() as presence):
                _presence(work, device, presence)
            case Heard(device=device, body=Info() as info):
                _info(work, device, info)
            case Heard(device=device, body=Report() as told):
                _report(work, device, told)
            case Heard(device=device, body=Reported() as told_state):
                _reported(work, device, told_state)
    for refused in work.settled.refused:
        work.count(refused.device, hall_day(now_ms), REFUSED + refused.what)
    work.write()
    return work.settled


def hall_day(wall_ms: int) -> dt.date:
    return utc(wall_ms).astimezone(HALL_TIME).date()


@dataclass(slots=True)
class _Machine:
    """A machine as this batch knows it."""

    epoch: int
    boot: str
    presence: str
    event_ms: int | None
    health_boot: str
    health_seq: int
    event_is_new: bool = False


@dataclass(slots=True)
class _Stream:
    """Reports of one boot: settled up to a number, and some ahead of a gap."""

    upto: int
    ahead: set[int]
    kept: frozenset[int]
    """Those ahead that the database has."""
    before: int

    def enter(self, seq: int, first: int) -> bool:
        """Take a report's number; False if it was there, or is too far ahead to be kept.

        What the machine does not keep any more will never come: it is no gap.
        """
        is_new = seq > self.upto and seq not in self.ahead
        if is_new and seq > max(self.upto, first - 1) + 1 and len(self.ahead) >= AHEAD_LIMIT:
            return False
        if is_new:
            self.ahead.add(seq)
        reached = max(self.upto, first - 1)
        if reached > self.upto:
            self.ahead = {one for one in self.ahead if one > reached}
        while reached + 1 in self.ahead:
            reached += 1
            self.ahead.discard(reached)
        self.upto = reached
        return is_new


class _Batch:
    """What a transaction has read, and what it will have added up at its end."""

    def __init__(self, connection: sa.Connection, site: SiteId, now_ms: int) -> None:
        self.connection = connection
        self.site = site
        self.now_ms = now_ms
        self.settled = Settled()
        self._machines: dict[DeviceId, _Machine] = {}
        self._streams: dict[tuple[DeviceId, str], _Stream] = {}
        self._counts: Counter[tuple[DeviceId, dt.date, str]] = Counter()
        self._events: list[dict[str, object]] = []

    def machine(self, device: DeviceId) -> _Machine:
        """A machine, which is entered if it is new; it was heard now."""
        found = self._machines.get(device)
        if found is None:
            values = {"device": device, "seen_ms": self.now_ms}
            row = self.connection.execute(_HEARD_MACHINE, values).one()
            found = self._machines[device] = _Machine(*row)
        return found

    def stream(self, device: DeviceId, boot: str) -> _Stream:
        """A boot's stream of reports, which is entered if it is new."""
        found = self._streams.get((device, boot))
        if found is None:
            values = {"device": device, "boot": boot, "seen_ms": self.now_ms}
            upto: int = self.connection.execute(_HEARD_STREAM, values).scalar_one()
            of_boot = {"of_device": device, "of_boot": boot, "upto": upto}
            ahead = frozenset(self.connection.execute(_AHEAD, of_boot).scalars())
            found = self._streams[device, boot] = _Stream(upto, set(ahead), ahead, upto)
        return found

    def count(self, device: DeviceId, day: dt.date, name: str) -> None:
        """Add one to a counter."""
        self._counts[device, day, name] += 1

    def remember(
        self,
        device: DeviceId,
        kind: str,
        data: str,
        time_ms: int,
        *,
        told: Report | None = None,
        position: int | None = None,
    ) -> None:
        """Keep an event."""
        self._events.append(
            {
                "device": device,
                "boot": told.boot if told else None,
                "seq": told.seq if told else None,
                "position": position,
                "type": kind,
                "time_ms": time_ms,
                "received_ms": self.now_ms,
                "hist": told.hist if told else False,
                "data": data,
            }
        )

    def write(self) -> None:
        """Write what was added up, each table once."""
        for (device, boot), stream in self._streams.items():
            self._write_stream({"of_device": device, "of_boot": boot}, stream)
        counts = [
            {"device": device, "day": day, "name": name, "value": value}
            for (device, day, name), value in self._counts.items()
        ]
        last = [
            {"of_device": device, "time": machine.event_ms}
            for device, machine in self._machines.items()
            if machine.event_is_new
        ]
        for statement, rows in ((_EVENT, self._events), (_ADDED_UP, counts), (_LAST_EVENT, last)):
            if rows:
                self.connection.execute(statement, rows)

    def _write_stream(self, of_boot: dict[str, object], stream: _Stream) -> None:
        if stream.upto > stream.before:
            self.connection.execute(_ADVANCE, of_boot | {"to": stream.upto})
            if stream.kept:
                self.connection.execute(_FORGET_AHEAD, of_boot | {"upto": stream.upto})
        new = [
            {"device": of_boot["of_device"], "boot": of_boot["of_boot"], "seq": seq}
            for seq in sorted(stream.ahead - stream.kept)
        ]
        if new:
            self.connection.execute(_KEEP_AHEAD, new)


# ── Presence and inventory ────────────────────────────────────────────────────────────────────


def _presence(work: _Batch, device: DeviceId, told: Presence) -> None:
    machine = work.machine(device)
    if told.epoch < machine.epoch and not _starts_over(work, device, told):
        # The will of a connection that a newer one has replaced.
        work.settled.refused.append(Refused(device, "stale"))
        return
    work.stream(device, told.boot)
    by_will = told.state == "offline" and not told.orderly
    presence = SUSPECT if by_will else told.state
    changed = machine.presence != presence
    restarted = told.state == "online" and machine.boot not in ("", told.boot)
    changes: dict[str, object] = {"epoch": told.epoch, "boot": told.boot}
    if told.agent:
        changes["agent"] = told.agent
    if changed:
        changes |= {"presence": presence, "presence_since_ms": work.now_ms}
    table = store.machine
    work.connection.execute(table.update().where(table.c.device == device).values(changes))
    machine.epoch, machine.boot, machine.presence = told.epoch, told.boot, presence
    if changed or restarted:
        data = {"state": told.state, "restarted": restarted}
        work.remember(device, PRESENCE_EVENT, json.dumps(data), work.now_ms)


def _starts_over(work: _Batch, device: DeviceId, told: Presence) -> bool:
    """True if the machine lost its disk: it is there, in a boot that nobody has heard of."""
    of_boot = {"of_device": device, "of_boot": told.boot}
    known = work.connection.execute(_KNOWN_STREAM, of_boot).first()
    return told.state != "offline" and known is None


def _info(work: _Batch, device: DeviceId, told: Info) -> None:
    work.machine(device)
    connection = work.connection
    connection.execute(
        store.machine.update()
        .where(store.machine.c.device == device)
        .values(
            name=told.name, role=told.role, agent=told.agent, maintenance=told.maintenance.value
        )
    )
    table = store.peripheral
    connection.execute(
        table.delete().where(
            table.c.device == device, table.c.id.not_in([one.id for one in told.peripherals])
        )
    )
    for place, one in enumerate(told.peripherals):
        row = upsert_of_sqlite(table).values(
            device=device, id=one.id, place=place, state=one.model_dump_json(), boot="", seq=0
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["device", "id"],
                set_={"place": place, "state": one.model_dump_json()},
            )
        )


def _reported(work: _Batch, device: DeviceId, told: Reported) -> None:
    """What the machine has: the last word counts."""
    work.machine(device)
    row = {"document": told.model_dump_json(), "told_ms": work.now_ms}
    work.connection.execute(
        upsert_of_sqlite(store.reported)
        .values(device=device, **row)
        .on_conflict_do_update(index_elements=["device"], set_=row)
    )


# ── Reports ───────────────────────────────────────────────────────────────────────────────────


def _report(work: _Batch, device: DeviceId, told: Report) -> None:
    """Bring a report into effect unless it was before; say up to where its boot is settled."""
    machine = work.machine(device)
    stream = work.stream(device, told.boot)
    upto_before = stream.upto
    is_new = stream.enter(told.seq, told.first)
    if is_new:
        for position, record in enumerate(told.records):
            effect = _Effect(work, device, machine, told, position)
            try:
                effect.apply(_typed(record, f"hallkit/{work.site}/{device}"), record)
            except WireError as fault:
                work.settled.refused.append(Refused(device, fault.what))
    # Ahead of a gap there is nothing to say: silence makes the machine send the gap again.
    if stream.upto > upto_before or not is_new:
        work.settled.acks.setdefault(device, {})[told.boot] = stream.upto


def _typed(record: CloudEvent, source: str) -> EventData:
    if record.source != source:
        raise WireError("source", "speaks for another machine")
    kind = EVENTS.get(record.type)
    if kind is None:
        raise WireError("unknown_event", record.type)
    return record.unwrap(kind)


@dataclass(frozen=True, slots=True)
class _Effect:
    """One record of a report, brought into effect."""

    work: _Batch
    device: DeviceId
    machine: _Machine
    told: Report
    position: int

    def apply(self, data: EventData, record: CloudEvent) -> None:
        time_ms = self._time_ms(record.time)
        match data:
            case Health():
                self._health(data)
                return  # once a minute: its numbers stand at the machine
            case DeviceStateChanged():
                self._device_state(data.device)
            case VisitStarted():
                self.work.count(self.device, hall_day(time_ms), VISITS)
            case TicketPrinted(state=PrintJobState.COMPLETED):
                self.work.count(self.device, hall_day(time_ms), TICKETS)
            case _:
                pass
        self.work.remember(
            self.device,
            data.EVENT_TYPE,
            data.model_dump_json(exclude_none=True),
            time_ms,
            told=self.told,
            position=self.position,
        )
        if (self.machine.event_ms or 0) < time_ms:
            self.machine.event_ms = time_ms
            self.machine.event_is_new = True

    def _time_ms(self, told: dt.datetime) -> int:
        """When it happened; now, if the machine's clock cannot be right."""
        now_ms = self.work.now_ms
        aware = told if told.tzinfo is not None else told.replace(tzinfo=dt.UTC)
        time_ms = round(aware.timestamp() * 1000)
        return time_ms if now_ms - OLDEST_MS <= time_ms <= now_ms else now_ms

    def _health(self, data: Health) -> None:
        if not 0 <= data.outbox_rows <= LARGEST:
            raise WireError("malformed", "outbox_rows")
        machine, told = self.machine, self.told
        if not self._is_newer(machine.health_boot, machine.health_seq):
            return
        machine.health_boot, machine.health_seq = told.boot, told.seq
        self.work.connection.execute(
            _HEALTH,
            {
                "of_device": self.device,
                "rows": data.outbox_rows,
                "time": self.work.now_ms,
                "told_boot": told.boot,
                "told_seq": told.seq,
            },
        )

    def _device_state(self, state: DeviceReport) -> None:
        if not is_name(state.id):
            raise WireError("malformed", "peripheral")
        if self.told.hist:
            return
        connection = self.work.connection
        of_part = {"of_device": self.device, "of_id": state.id}
        kept = connection.execute(_PART, of_part).first()
        if kept is not None and not self._is_newer(kept.boot, kept.seq):
            return
        told = {"told_boot": self.told.boot, "told_seq": self.told.seq}
        if kept is not None:
            connection.execute(_PART_TOLD, of_part | told | {"told": state.model_dump_json()})
            return
        connection.execute(
            store.peripheral.insert().values(
                device=self.device,
                id=state.id,
                place=connection.execute(_NEXT_PLACE, {"of_device": self.device}).scalar_one(),
                state=state.model_dump_json(),
                boot=self.told.boot,
                seq=self.told.seq,
            )
        )

    def _is_newer(self, boot: str, seq: int) -> bool:
        """True if this report is live and comes after the one that last told the same thing."""
        if self.told.hist:
            return False
        if self.told.boot == boot:
            return self.told.seq > seq
        current = self.machine.boot
        return not boot or self.told.boot == current or boot != current
