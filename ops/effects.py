"""What was heard becomes the centre's state: each effect once.

`settle` brings a batch into effect inside one transaction and returns what may be acknowledged
after it. Dedupe is by (device, boot, seq) in the transaction of the effect; order is by (boot,
seq), never by wall time.
"""

from __future__ import annotations

import datetime as dt
import json
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
from hallkit.wire.mqtt import Info, Presence, Report
from ops import store
from ops.inbound import LARGEST, Heard, Refused

HALL_TIME = dt.timezone(dt.timedelta(hours=8))
"""China has one time zone; a day of the hall ends at its midnight."""

PRESENCE_EVENT = "machine.presence.v1"
"""Kept by the centre itself when a machine comes or goes; never sent by one."""

VISITS = "visits"
TICKETS = "tickets"
REFUSED = "refused."
"""Counters: `refused.malformed`, one a reason."""

OLDEST_MS = 400 * 24 * 3_600_000
"""No outbox keeps anything so long; an older time is a clock that was never set."""


@dataclass(slots=True)
class Settled:
    """What a transaction came to."""

    acks: dict[DeviceId, dict[str, int]] = field(default_factory=dict)
    """Per device and boot: everything up to here is committed once the transaction is."""
    refused: list[Refused] = field(default_factory=list)


def settle(
    connection: sa.Connection, site: SiteId, batch: Iterable[Heard | Refused], now_ms: int
) -> Settled:
    """Bring a batch into effect; the caller commits, then acknowledges."""
    settled = Settled()
    for item in batch:
        match item:
            case Refused():
                settled.refused.append(item)
            case Heard(device=device, body=Presence() as presence):
                _presence(connection, device, presence, now_ms, settled)
            case Heard(device=device, body=Info() as info):
                _info(connection, device, info, now_ms)
            case Heard(device=device, body=Report() as told):
                useless, ack = _report(connection, site, device, told, now_ms=now_ms)
                settled.refused += useless
                if ack is not None:
                    settled.acks.setdefault(device, {})[told.boot] = ack
    for refused in settled.refused:
        count(connection, refused.device, hall_day(now_ms), REFUSED + refused.what)
    return settled


def hall_day(wall_ms: int) -> dt.date:
    return utc(wall_ms).astimezone(HALL_TIME).date()


def count(connection: sa.Connection, device: DeviceId, day: dt.date, name: str) -> None:
    """Add one to a counter."""
    row = upsert_of_sqlite(store.counter).values(device=device, day=day, name=name, value=1)
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["device", "day", "name"],
            set_={"value": store.counter.c.value + 1},
        )
    )


# ── Presence and inventory ────────────────────────────────────────────────────────────────────


def _machine(connection: sa.Connection, device: DeviceId, now_ms: int) -> tuple[int, str]:
    """Epoch and boot of a machine, which is entered if it is new; it was heard now."""
    table = store.machine
    row = upsert_of_sqlite(table).values(
        device=device,
        name="",
        role="",
        agent="",
        presence="",
        presence_since_ms=now_ms,
        epoch=-1,
        boot="",
        seen_ms=now_ms,
        health_boot="",
        health_seq=0,
    )
    connection.execute(
        row.on_conflict_do_update(index_elements=["device"], set_={"seen_ms": now_ms})
    )
    kept = connection.execute(
        sa.select(table.c.epoch, table.c.boot).where(table.c.device == device)
    ).one()
    return kept.epoch, kept.boot


def _presence(
    connection: sa.Connection, device: DeviceId, told: Presence, now_ms: int, settled: Settled
) -> None:
    epoch, _ = _machine(connection, device, now_ms)
    if told.epoch < epoch and not _starts_over(connection, device, told):
        # The will of a connection that a newer one has replaced.
        settled.refused.append(Refused(device, "stale"))
        return
    _stream(connection, device, told.boot, now_ms)
    table = store.machine
    before = connection.execute(
        sa.select(table.c.presence, table.c.boot).where(table.c.device == device)
    ).one()
    changes: dict[str, object] = {"epoch": told.epoch, "boot": told.boot}
    if told.agent:
        changes["agent"] = told.agent
    if before.presence != told.state:
        changes |= {"presence": told.state, "presence_since_ms": now_ms}
    connection.execute(table.update().where(table.c.device == device).values(changes))
    restarted = told.state == "online" and before.boot not in ("", told.boot)
    if before.presence != told.state or restarted:
        data = {"state": told.state, "restarted": restarted}
        connection.execute(
            store.event.insert().values(
                device=device,
                type=PRESENCE_EVENT,
                time_ms=now_ms,
                received_ms=now_ms,
                hist=False,
                data=json.dumps(data),
            )
        )


def _starts_over(connection: sa.Connection, device: DeviceId, told: Presence) -> bool:
    """True if the machine lost its disk: it is there, in a boot that nobody has heard of."""
    table = store.stream
    known = connection.execute(
        sa.select(sa.literal(1)).where(table.c.device == device, table.c.boot == told.boot)
    ).first()
    return told.state != "offline" and known is None


def _info(connection: sa.Connection, device: DeviceId, told: Info, now_ms: int) -> None:
    _machine(connection, device, now_ms)
    connection.execute(
        store.machine.update()
        .where(store.machine.c.device == device)
        .values(name=told.name, role=told.role, agent=told.agent)
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


# ── Reports ───────────────────────────────────────────────────────────────────────────────────


def _report(
    connection: sa.Connection, site: SiteId, device: DeviceId, told: Report, *, now_ms: int
) -> tuple[list[Refused], int | None]:
    """Records that were refused, and up to where the boot's reports may be acknowledged."""
    _, current_boot = _machine(connection, device, now_ms)
    upto_before = _stream(connection, device, told.boot, now_ms)
    is_new = told.seq > upto_before and _keep(connection, device, told)
    refused = []
    if is_new:
        for position, record in enumerate(told.records):
            effect = _Effect(connection, device, told, position, current_boot, now_ms)
            try:
                effect.apply(_typed(record, f"hallkit/{site}/{device}"), record)
            except WireError as fault:
                refused.append(Refused(device, fault.what))
    upto = _advance(connection, device, told, upto_before)
    # Ahead of a gap there is nothing to say: silence makes the machine send the gap again.
    return refused, upto if upto > upto_before or not is_new else None


def _stream(connection: sa.Connection, device: DeviceId, boot: str, now_ms: int) -> int:
    """Up to where a boot's reports are settled; entered if it is new."""
    table = store.stream
    row = upsert_of_sqlite(table).values(device=device, boot=boot, upto=0, seen_ms=now_ms)
    kept = connection.execute(
        row.on_conflict_do_update(
            index_elements=["device", "boot"], set_={"seen_ms": now_ms}
        ).returning(table.c.upto)
    )
    upto: int = kept.scalar_one()
    return upto


def _keep(connection: sa.Connection, device: DeviceId, told: Report) -> bool:
    """Enter a report's number; False if it was there."""
    row = upsert_of_sqlite(store.report).values(device=device, boot=told.boot, seq=told.seq)
    return connection.execute(row.on_conflict_do_nothing()).rowcount == 1


def _advance(connection: sa.Connection, device: DeviceId, told: Report, upto: int) -> int:
    """Move `upto` over all that is there without a gap, and forget the numbers below it.

    What the machine does not keep any more will never come: it is no gap.
    """
    table = store.report
    of_boot = (table.c.device == device, table.c.boot == told.boot)
    reached = max(upto, told.first - 1)
    ahead = connection.execute(
        sa.select(table.c.seq).where(*of_boot, table.c.seq > reached).order_by(table.c.seq)
    )
    for seq in ahead.scalars():
        if seq != reached + 1:
            break
        reached = seq
    if reached == upto:
        return upto
    connection.execute(table.delete().where(*of_boot, table.c.seq <= reached))
    stream = store.stream
    connection.execute(
        stream.update()
        .where(stream.c.device == device, stream.c.boot == told.boot)
        .values(upto=reached)
    )
    return reached


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

    connection: sa.Connection
    device: DeviceId
    told: Report
    position: int
    current_boot: str
    now_ms: int

    def apply(self, data: EventData, record: CloudEvent) -> None:
        time_ms = self._time_ms(record.time)
        day = hall_day(time_ms)
        match data:
            case Health():
                self._health(data)
                return  # once a minute: its numbers stand at the machine
            case DeviceStateChanged():
                self._device_state(data.device)
            case VisitStarted():
                count(self.connection, self.device, day, VISITS)
            case TicketPrinted(state=PrintJobState.COMPLETED):
                count(self.connection, self.device, day, TICKETS)
            case _:
                pass
        self._remember(data, time_ms)

    def _time_ms(self, told: dt.datetime) -> int:
        """When it happened; now, if the machine's clock cannot be right."""
        aware = told if told.tzinfo is not None else told.replace(tzinfo=dt.UTC)
        time_ms = round(aware.timestamp() * 1000)
        return time_ms if self.now_ms - OLDEST_MS <= time_ms <= self.now_ms else self.now_ms

    def _remember(self, data: EventData, time_ms: int) -> None:
        self.connection.execute(
            store.event.insert().values(
                device=self.device,
                boot=self.told.boot,
                seq=self.told.seq,
                position=self.position,
                type=data.EVENT_TYPE,
                time_ms=time_ms,
                received_ms=self.now_ms,
                hist=self.told.hist,
                data=data.model_dump_json(exclude_none=True),
            )
        )
        table = store.machine
        self.connection.execute(
            table.update()
            .where(
                table.c.device == self.device,
                sa.func.coalesce(table.c.event_ms, 0) < time_ms,
            )
            .values(event_ms=time_ms)
        )

    def _health(self, data: Health) -> None:
        if not 0 <= data.outbox_rows <= LARGEST:
            raise WireError("malformed", "outbox_rows")
        table = store.machine
        kept = self.connection.execute(
            sa.select(table.c.health_boot, table.c.health_seq).where(table.c.device == self.device)
        ).one()
        if self._is_newer(kept.health_boot, kept.health_seq):
            self.connection.execute(
                table.update()
                .where(table.c.device == self.device)
                .values(
                    outbox_rows=data.outbox_rows,
                    health_ms=self.now_ms,
                    health_boot=self.told.boot,
                    health_seq=self.told.seq,
                )
            )

    def _device_state(self, state: DeviceReport) -> None:
        if not is_name(state.id):
            raise WireError("malformed", "peripheral")
        table = store.peripheral
        where = (table.c.device == self.device, table.c.id == state.id)
        kept = self.connection.execute(sa.select(table.c.boot, table.c.seq).where(*where)).first()
        if kept is not None and not self._is_newer(kept.boot, kept.seq):
            return
        if self.told.hist:
            return
        values = {
            "state": state.model_dump_json(),
            "boot": self.told.boot,
            "seq": self.told.seq,
        }
        if kept is not None:
            self.connection.execute(table.update().where(*where).values(values))
            return
        places = sa.select(sa.func.coalesce(sa.func.max(table.c.place) + 1, 0)).where(
            table.c.device == self.device
        )
        place = self.connection.execute(places).scalar_one()
        self.connection.execute(
            table.insert().values(device=self.device, id=state.id, place=place, **values)
        )

    def _is_newer(self, boot: str, seq: int) -> bool:
        """True if this report is live and comes after the one that last told the same thing."""
        if self.told.hist:
            return False
        if self.told.boot == boot:
            return self.told.seq > seq
        return not boot or self.told.boot == self.current_boot or boot != self.current_boot
