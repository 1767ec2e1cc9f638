"""Appointments: a slot for a service, kept until its holder checks in and gets a number."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue import rows
from affairs.queue.issuing import Desk, NewTicket
from affairs.queue.order import Order, place_with_appointment_ms, priority_of
from affairs.queue.services import Service
from affairs.sealing import Sealer
from affairs.store import Store, appointments, slots
from hallkit.model.ids import new_id
from hallkit.model.ticket import AppointmentState
from hallkit.runtime.clock import HALL_ZONE, Clock, local_date
from hallkit.wire.affairs_api import (
    Appointment,
    AppointmentRequest,
    Appointments,
    CheckIn,
    Slot,
    Slots,
    TicketIssued,
    TicketRequest,
)

DAYS_AHEAD = 14
_MINUTE_MS = 60_000


class Booking:
    def __init__(
        self,
        store: Store,
        *,
        desk: Desk,
        once: Once,
        order: Order,
        sealer: Sealer,
        clock: Clock,
    ) -> None:
        self._store = store
        self._desk = desk
        self._once = once
        self._order = order
        self._sealer = sealer
        self._clock = clock

    async def slots(self, item: str, day: dt.date) -> Slots:
        """The slots of an item's service on a day that can still be booked, and how many places.

        `Refused` for an unknown item, or a day too far away.
        """
        service = self._desk.service_of(item)
        now_ms = self._clock.wall_ms()
        today = local_date(now_ms)
        if not today <= day <= today + dt.timedelta(days=DAYS_AHEAD):
            raise Refused(ProblemCode.SLOT_UNKNOWN)
        starts = [start for start in starts_ms(service, day) if start > now_ms]

        def work(connection: sa.Connection) -> dict[int, int]:
            found = connection.execute(
                sa.select(slots.c.start_ms, slots.c.taken).where(
                    slots.c.service == service.key, slots.c.start_ms.in_(starts)
                )
            )
            return {row.start_ms: row.taken for row in found}

        taken = await self._store.transaction(work)
        return Slots(
            service=service.key,
            service_name=service.name,
            windows=service.windows,
            slots=tuple(
                Slot(
                    start_ms=start,
                    end_ms=start + service.slot_minutes * _MINUTE_MS,
                    places=max(0, service.slot_places - taken.get(start, 0)),
                )
                for start in starts
            ),
        )

    async def book(self, request: AppointmentRequest, *, device: str, key: str) -> Appointment:
        """Keep a place. `Refused` if the slot is full, over, or none."""
        service = self._desk.service_of(request.ticket.item)
        if request.ticket.applicant is None:
            raise Refused(ProblemCode.REQUEST_INVALID)  # nobody could check in for it
        content = canonical(request.ticket)

        def insert(connection: sa.Connection) -> str:
            now_ms = self._clock.wall_ms()
            day = local_date(request.start_ms)
            is_slot = request.start_ms in starts_ms(service, day)
            last = local_date(now_ms) + dt.timedelta(days=DAYS_AHEAD)
            if not is_slot or request.start_ms <= now_ms or day > last:
                raise Refused(ProblemCode.SLOT_UNKNOWN)
            number = request.ticket.applicant.number if request.ticket.applicant else ""
            self._must_be_the_only_one(connection, service, day, number)
            self._occupy(connection, service, request.start_ms)
            appointment_id = new_id()
            connection.execute(
                appointments.insert().values(
                    id=appointment_id,
                    service=service.key,
                    day=day,
                    start_ms=request.start_ms,
                    item=request.ticket.item,
                    device=device,
                    state=AppointmentState.BOOKED.value,
                    state_at_ms=now_ms,
                    **self._desk.seal(appointment_id, content, number),
                )
            )
            return appointment_id

        def work(connection: sa.Connection) -> Appointment:
            done = self._once.do(
                connection,
                device=device,
                key=key,
                kind="appointment",
                content=canonical(request),
                work=lambda: insert(connection),
            )
            return self._told(self._row(connection, done.subject))

        return await self._store.transaction(work)

    async def of_person(self, id_number: str) -> Appointments:
        """What somebody has booked from today on; found by the number on their card."""
        today = local_date(self._clock.wall_ms())

        def work(connection: sa.Connection) -> Appointments:
            found = connection.execute(
                sa.select(appointments)
                .where(
                    appointments.c.applicant_mac == self._sealer.lookup(id_number),
                    appointments.c.day >= today,
                )
                .order_by(appointments.c.start_ms)
            )
            known = (row for row in found if row.service in self._desk.services)
            return Appointments(appointments=tuple(self._told(row) for row in known))

        return await self._store.transaction(work)

    async def check_in(self, request: CheckIn, *, device: str, key: str) -> TicketIssued:
        """A number for somebody who is there, on the day of the slot.

        `Refused` if the appointment is another person's, of another day, or not open any more.
        """

        def number(connection: sa.Connection) -> str:
            row = self._own(connection, request)
            now_ms = self._clock.wall_ms()
            if row.day != local_date(now_ms):
                raise Refused(ProblemCode.APPOINTMENT_NOT_SO)
            service = self._desk.services[row.service]
            content = self._desk.open(row.id, row.request)
            said = TicketRequest.model_validate_json(content)
            (sequence,) = rows.next_sequences(connection, service.key, row.day, 1)
            priority = priority_of(said.priority, request.number, row.day, self._order)
            new = NewTicket(
                id=new_id(),
                service=service,
                day=row.day,
                sequence=sequence,
                item=row.item,
                device=device,
                content=content,
                id_number=request.number,
                priority=priority,
                came_ms=now_ms,
                place_ms=place_with_appointment_ms(
                    now_ms,
                    row.start_ms,
                    row.start_ms + service.slot_minutes * _MINUTE_MS,
                    priority,
                    self._order,
                ),
            )
            self._desk.write(connection, new, issued_ms=now_ms)
            self._move(connection, row, AppointmentState.CHECKED_IN, ticket_id=new.id)
            return new.id

        def work(connection: sa.Connection) -> TicketIssued:
            done = self._once.do(
                connection,
                device=device,
                key=key,
                kind="check-in",
                content=canonical(request),
                work=lambda: number(connection),
            )
            return TicketIssued(ticket=rows.printed(connection, done.subject), again=done.again)

        return await self._store.transaction(work)

    async def cancel(self, request: CheckIn, *, device: str, key: str) -> Appointment:
        """Give the place back. `Refused` as for a check-in."""

        def give_back(connection: sa.Connection) -> str:
            row = self._own(connection, request)
            self._move(connection, row, AppointmentState.CANCELLED)
            mine = (slots.c.service == row.service, slots.c.start_ms == row.start_ms)
            connection.execute(slots.update().where(*mine).values(taken=slots.c.taken - 1))
            return str(row.id)

        def work(connection: sa.Connection) -> Appointment:
            done = self._once.do(
                connection,
                device=device,
                key=key,
                kind="cancel",
                content=canonical(request),
                work=lambda: give_back(connection),
            )
            return self._told(self._row(connection, done.subject))

        return await self._store.transaction(work)

    async def end_earlier_days(self) -> int:
        """Who did not come has missed it. How many there were."""
        now_ms = self._clock.wall_ms()

        def work(connection: sa.Connection) -> int:
            missed = connection.execute(
                appointments.update()
                .where(
                    appointments.c.day < local_date(now_ms),
                    appointments.c.state == AppointmentState.BOOKED.value,
                )
                .values(state=AppointmentState.MISSED.value, state_at_ms=now_ms)
            )
            return missed.rowcount

        return await self._store.transaction(work)

    def _must_be_the_only_one(
        self, connection: sa.Connection, service: Service, day: dt.date, id_number: str
    ) -> None:
        """Nobody takes a day's places for themselves."""
        booked = connection.execute(
            sa.select(appointments.c.id).where(
                appointments.c.applicant_mac == self._sealer.lookup(id_number),
                appointments.c.service == service.key,
                appointments.c.day == day,
                appointments.c.state == AppointmentState.BOOKED.value,
            )
        ).first()
        if booked is not None:
            raise Refused(ProblemCode.APPOINTMENT_EXISTS)

    def _occupy(self, connection: sa.Connection, service: Service, start_ms: int) -> None:
        mine = (slots.c.service == service.key, slots.c.start_ms == start_ms)
        taken = connection.execute(
            slots.update()
            .where(*mine, slots.c.taken < service.slot_places)
            .values(taken=slots.c.taken + 1)
        )
        if taken.rowcount:
            return
        if connection.execute(sa.select(slots.c.taken).where(*mine)).first() is not None:
            raise Refused(ProblemCode.SLOT_FULL)
        if service.slot_places == 0:
            raise Refused(ProblemCode.SLOT_FULL)
        connection.execute(slots.insert().values(service=service.key, start_ms=start_ms, taken=1))

    def _row(self, connection: sa.Connection, appointment_id: str) -> rows.Row:
        row = connection.execute(
            sa.select(appointments).where(appointments.c.id == appointment_id)
        ).one_or_none()
        if row is None:
            raise Refused(ProblemCode.APPOINTMENT_UNKNOWN)
        return row

    def _own(self, connection: sa.Connection, request: CheckIn) -> rows.Row:
        """Unknown and another person's look alike: nobody learns by asking."""
        row = self._row(connection, request.appointment)
        is_theirs = row.applicant_mac == self._sealer.lookup(request.number)
        if not is_theirs or row.service not in self._desk.services:
            raise Refused(ProblemCode.APPOINTMENT_UNKNOWN)
        return row

    def _move(
        self,
        connection: sa.Connection,
        row: rows.Row,
        state: AppointmentState,
        *,
        ticket_id: str | None = None,
    ) -> None:
        moved = connection.execute(
            appointments.update()
            .where(
                appointments.c.id == row.id,
                appointments.c.state == AppointmentState.BOOKED.value,
            )
            .values(state=state.value, state_at_ms=self._clock.wall_ms(), ticket_id=ticket_id)
        )
        if moved.rowcount == 0:
            raise Refused(ProblemCode.APPOINTMENT_NOT_SO)

    def _told(self, row: rows.Row) -> Appointment:
        service = self._desk.services[row.service]
        return Appointment(
            appointment=row.id,
            item=row.item,
            service=service.key,
            service_name=service.name,
            windows=service.windows,
            start_ms=row.start_ms,
            end_ms=row.start_ms + service.slot_minutes * _MINUTE_MS,
            state=AppointmentState(row.state),
            ticket=row.ticket_id or "",
        )


def starts_ms(service: Service, day: dt.date) -> list[int]:
    """When a service's slots begin on a day; none on a day on which it is closed."""
    hours = service.opening
    if day.weekday() not in hours.weekdays:
        return []
    midnight = dt.datetime.combine(day, dt.time(), HALL_ZONE)
    length_s = service.slot_minutes * 60
    return [
        round(midnight.timestamp() + second) * 1000
        for start, end in hours.spans
        for second in range(start, end - length_s + 1, length_s)
    ]
