"""Numbers that machines hold for the time when the node cannot be reached.

A machine leases a few numbers of each service for the day, with their signed codes. Without us it
prints them; back again, it tells who got which, sealed to our key, and they stand in the queue by
the time when they were given. A leased number is counted as given: nobody else ever gets it.
"""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from affairs.offline import take_each, unsealed
from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue import rows
from affairs.queue.issuing import Desk, NewTicket
from affairs.queue.order import Order, place_ms, priority_of
from affairs.queue.services import spoken_number
from affairs.store import Store, reserved, tickets
from hallkit.model.ids import new_id
from hallkit.model.ticket import TicketState
from hallkit.runtime.clock import Clock, local_date
from hallkit.wire.affairs_api import (
    Lease,
    LeaseRequest,
    OfflineTicket,
    OfflineTickets,
    OfflineTicketsTaken,
    ReservedNumber,
    TicketRequest,
)

_LEASED = "-"


class Blocks:
    def __init__(
        self,
        store: Store,
        *,
        desk: Desk,
        once: Once,
        order: Order,
        submissions_key: X25519PrivateKey,
        clock: Clock,
    ) -> None:
        self._store = store
        self._desk = desk
        self._once = once
        self._order = order
        self._key = submissions_key
        self._clock = clock

    async def lease(self, request: LeaseRequest, *, device: str, key: str) -> Lease:
        """Fill up what the machine holds for today to so many of each service; all it holds.

        `Refused` for a service that there is not.
        """
        now_ms = self._clock.wall_ms()
        day = local_date(now_ms)
        wanted = request.services or tuple(self._desk.services)
        if any(service not in self._desk.services for service in wanted):
            raise Refused(ProblemCode.SERVICE_UNKNOWN)

        def fill(connection: sa.Connection) -> str:
            held = self._held(connection, device, day)
            for key_of_service in wanted:
                has = sum(one.service == key_of_service for one in held)
                if has < request.size:
                    count = request.size - has
                    self._reserve(
                        connection, key_of_service, day, count=count, device=device, now_ms=now_ms
                    )
            return _LEASED

        def work(connection: sa.Connection) -> Lease:
            self._once.do(
                connection,
                device=device,
                key=key,
                kind="lease",
                content=canonical(request),
                work=lambda: fill(connection),
            )
            numbers = tuple(self._number(row) for row in self._held(connection, device, day))
            return Lease(day=day, numbers=numbers, as_of_ms=now_ms)

        return await self._store.transaction(work)

    async def take(self, given: OfflineTickets, *, device: str) -> OfflineTicketsTaken:
        """Put into the queue who got a number from the machine. To tell it twice changes nothing.

        Each is taken or refused for itself: one that cannot be read must not hold up the others.
        """

        def work(connection: sa.Connection) -> OfflineTicketsTaken:
            taken, refused = take_each(
                given.tickets,
                name=lambda one: one.ticket,
                take=lambda one: self._take(connection, one, device),
            )
            return OfflineTicketsTaken(taken=taken, refused=refused)

        return await self._store.transaction(work)

    def _take(self, connection: sa.Connection, one: OfflineTicket, device: str) -> None:
        known = connection.execute(
            sa.select(tickets.c.device).where(tickets.c.id == one.ticket)
        ).scalar_one_or_none()
        if known is not None:
            if known != device:
                raise Refused(ProblemCode.TICKET_UNKNOWN)
            return
        mine = (reserved.c.ticket_id == one.ticket, reserved.c.device == device)
        held = connection.execute(sa.select(reserved).where(*mine)).one_or_none()
        if held is None:
            raise Refused(ProblemCode.TICKET_UNKNOWN)
        service = self._desk.services.get(held.service)
        if service is None:
            raise Refused(ProblemCode.SERVICE_UNKNOWN)
        request, content = self._said(one)
        now_ms = self._clock.wall_ms()
        # A machine's clock may be wrong: nobody came before the lease or after now.
        came_ms = min(max(one.issued_at_ms, held.leased_at_ms), now_ms)
        id_number = request.applicant.number if request.applicant else None
        priority = priority_of(request.priority, id_number, held.day, self._order)
        new = NewTicket(
            id=one.ticket,
            service=service,
            day=held.day,
            sequence=held.sequence,
            item=request.item,
            device=device,
            content=content,
            id_number=id_number,
            priority=priority,
            came_ms=came_ms,
            place_ms=place_ms(came_ms, priority, self._order),
            uncertainty_ms=one.uncertainty_ms,
        )
        self._desk.write(connection, new, issued_ms=came_ms)
        connection.execute(reserved.delete().where(*mine))
        if one.key:
            self._void_twin(connection, one, device, now_ms)
            self._once.is_of(
                connection, one.ticket, device=device, key=one.key, kind="ticket", content=content
            )

    def _void_twin(
        self, connection: sa.Connection, one: OfflineTicket, device: str, now_ms: int
    ) -> None:
        """One attempt, two numbers: the answer with the other one was lost.

        The citizen holds the machine's: it gives one only after it has given up waiting for ours,
        and asks us no more for an attempt that has one. By clocks it could not be told: an answer
        that is given up may still be on its way to the disk.
        """
        twin_id = self._once.subject(connection, device=device, key=one.key)
        if twin_id is None or twin_id == one.ticket:
            return
        twin = rows.ticket_row(connection, twin_id)
        if twin.state == TicketState.WAITING:
            rows.move(connection, twin, TicketState.VOID, at_ms=now_ms)

    def _said(self, one: OfflineTicket) -> tuple[TicketRequest, bytes]:
        request = unsealed(TicketRequest, one.sealed, self._key, subject=one.ticket)
        return request, canonical(request)

    def _reserve(
        self,
        connection: sa.Connection,
        service_key: str,
        day: dt.date,
        *,
        count: int,
        device: str,
        now_ms: int,
    ) -> None:
        service = self._desk.services[service_key]
        for sequence in rows.next_sequences(connection, service_key, day, count):
            ticket_id = new_id()
            connection.execute(
                reserved.insert().values(
                    ticket_id=ticket_id,
                    service=service_key,
                    day=day,
                    sequence=sequence,
                    device=device,
                    code=self._desk.code(ticket_id, service, day, sequence),
                    leased_at_ms=now_ms,
                )
            )

    def _held(self, connection: sa.Connection, device: str, day: dt.date) -> list[rows.Row]:
        return list(
            connection.execute(
                sa.select(reserved)
                .where(
                    reserved.c.device == device,
                    reserved.c.day == day,
                    reserved.c.service.in_(tuple(self._desk.services)),
                )
                .order_by(reserved.c.service, reserved.c.sequence)
            )
        )

    def _number(self, row: rows.Row) -> ReservedNumber:
        service = self._desk.services[row.service]
        return ReservedNumber(
            ticket=row.ticket_id,
            number=spoken_number(service.letter, row.sequence),
            service=service.key,
            service_name=service.name,
            windows=service.windows,
            code=row.code,
        )
