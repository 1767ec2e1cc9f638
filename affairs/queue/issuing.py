"""Numbers that are issued once, tickets, and how long it will take.

A number belongs to a service and a business day. Counter, ticket and idempotency key are written
in one transaction before anybody hears of the ticket, so that neither many machines at once nor
a power cut can issue a number twice.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue import rows
from affairs.queue.order import Order, place_ms, priority_of
from affairs.queue.services import Service, spoken_number
from affairs.queue.waits import Waits
from affairs.sealing import Sealer
from affairs.store import Store, tickets
from hallkit.model.ids import new_id
from hallkit.model.ticket import Priority, Ticket, TicketState
from hallkit.runtime.clock import Clock, local_date
from hallkit.wire.affairs_api import (
    QueueServices,
    ServiceWait,
    TicketIssued,
    TicketProgress,
    TicketRequest,
)
from hallkit.wire.ticket_code import TicketCode, sign_code


@dataclass(frozen=True, slots=True)
class NewTicket:
    """What makes a ticket, wherever its holder came from."""

    id: str
    service: Service
    day: dt.date
    sequence: int
    item: str
    device: str
    content: bytes
    """The request in clear: sealed before it is kept."""
    id_number: str | None
    priority: Priority
    came_ms: int
    place_ms: int
    uncertainty_ms: int = 0
    case: str | None = None
    """For which its holder comes."""


class CaseOf(Protocol):
    """For which case somebody takes a number."""

    def __call__(
        self, connection: sa.Connection, request: TicketRequest, device: str
    ) -> str | None:
        """None for none; `Refused` where the one that is named is not this machine's."""
        ...


class Desk:
    """Writes tickets, for whoever gives numbers out."""

    def __init__(
        self,
        *,
        services: Mapping[str, Service],
        service_of_item: Callable[[str], str | None],
        sealer: Sealer,
        signing_key: Ed25519PrivateKey,
    ) -> None:
        self.services = services
        self._service_of_item = service_of_item
        self._sealer = sealer
        self._signing_key = signing_key

    def service_of(self, item: str) -> Service:
        """`Refused` for an item that has no queue here."""
        service = self.services.get(self._service_of_item(item) or "")
        if service is None:
            raise Refused(ProblemCode.ITEM_UNKNOWN)
        return service

    def code(self, ticket_id: str, service: Service, day: dt.date, sequence: int) -> str:
        """The signed text of the QR."""
        number = spoken_number(service.letter, sequence)
        return sign_code(TicketCode(ticket_id, day, number), self._signing_key)

    def seal(self, row_id: str, content: bytes, id_number: str | None) -> dict[str, object]:
        """What is personal, as columns."""
        return {
            "applicant_mac": self._sealer.lookup(id_number) if id_number else None,
            "request": self._sealer.seal(row_id, content),
        }

    def open(self, row_id: str, sealed: bytes) -> bytes:
        return self._sealer.open(row_id, sealed)

    def give(
        self,
        connection: sa.Connection,
        request: TicketRequest,
        service: Service,
        *,
        order: Order,
        device: str,
        now_ms: int,
        case: str | None,
    ) -> str:
        """The next number of a service for somebody who is there now; the ticket's id."""
        day = local_date(now_ms)
        (sequence,) = rows.next_sequences(connection, service.key, day, 1)
        id_number = request.applicant.number if request.applicant else None
        priority = priority_of(request.priority, id_number, day, order)
        new = NewTicket(
            id=new_id(),
            service=service,
            day=day,
            sequence=sequence,
            item=request.item,
            device=device,
            content=canonical(request),
            id_number=id_number,
            priority=priority,
            came_ms=now_ms,
            place_ms=place_ms(now_ms, priority, order),
            case=case,
        )
        self.write(connection, new, issued_ms=now_ms)
        return new.id

    def write(self, connection: sa.Connection, new: NewTicket, *, issued_ms: int) -> None:
        """Put somebody into a queue."""
        ahead = rows.count_ahead(
            connection, new.service.key, new.day, place_ms=new.place_ms, ticket_id=new.id
        )
        connection.execute(
            tickets.insert().values(
                id=new.id,
                service=new.service.key,
                queue=new.service.key,
                service_name=new.service.name,
                windows=new.service.windows,
                day=new.day,
                sequence=new.sequence,
                number=spoken_number(new.service.letter, new.sequence),
                code=self.code(new.id, new.service, new.day, new.sequence),
                item=new.item,
                device=new.device,
                state=TicketState.WAITING.value,
                issued_at_ms=issued_ms,
                waiting_ahead=ahead,
                priority=new.priority.value,
                came_at_ms=new.came_ms,
                place_ms=new.place_ms,
                state_at_ms=issued_ms,
                uncertainty_ms=new.uncertainty_ms,
                case_id=new.case,
                **self.seal(new.id, new.content, new.id_number),
            )
        )


class Queue:
    """Issues tickets and knows who waits."""

    def __init__(
        self,
        store: Store,
        *,
        desk: Desk,
        waits: Waits,
        once: Once,
        order: Order,
        clock: Clock,
        case_of: CaseOf,
    ) -> None:
        self._store = store
        self._desk = desk
        self._case_of = case_of
        self._waits = waits
        self._once = once
        self._order = order
        self._clock = clock

    async def issue(self, request: TicketRequest, *, device: str, key: str) -> TicketIssued:
        """Give a number, or the ticket that this key was given before.

        `Refused` if the item is unknown or the key stands for another request.
        """
        content = canonical(request)

        def work(connection: sa.Connection) -> TicketIssued:
            done = self._once.do(
                connection,
                device=device,
                key=key,
                kind="ticket",
                content=content,
                work=lambda: self._insert(connection, request, device),
            )
            return TicketIssued(ticket=rows.printed(connection, done.subject), again=done.again)

        return await self._store.transaction(work)

    async def ticket(self, ticket_id: str) -> Ticket:
        """A ticket as it stands now; `Refused` if there is none."""

        def work(connection: sa.Connection) -> Ticket:
            row = rows.ticket_row(connection, ticket_id)
            return rows.ticket_of(row, waiting_ahead=_ahead(connection, row))

        return await self._store.transaction(work)

    async def progress(self, ticket_id: str) -> TicketProgress:
        """Where its holder stands, and when they will be called; `Refused` if there is none."""

        def work(connection: sa.Connection) -> TicketProgress:
            row = rows.ticket_row(connection, ticket_id)
            told = self._waits.of_service(connection, row.queue, row.day)
            waits = row.state == TicketState.WAITING
            return TicketProgress(
                ticket=row.id,
                number=row.number,
                state=TicketState(row.state),
                priority=Priority(row.priority),
                waiting_ahead=_ahead(connection, row),
                window=row.window if not waits else None,
                calls=row.calls,
                expected_wait_s=told.wait_of(row.id) if waits else None,
                as_of_ms=told.as_of_ms,
                stale=told.stale,
            )

        return await self._store.transaction(work)

    async def waiting(self) -> QueueServices:
        """Every queue of the hall and how many wait in it today."""
        day = local_date(self._clock.wall_ms())

        def work(connection: sa.Connection) -> QueueServices:
            told = self._waits.of_all(connection, day)
            return QueueServices(
                services=tuple(
                    ServiceWait(
                        service=service.key,
                        service_name=service.name,
                        windows=service.windows,
                        waiting=told[service.key].waiting,
                        open_windows=told[service.key].open_windows,
                        expected_wait_s=told[service.key].next_wait_s,
                        stale=told[service.key].stale,
                        as_of_ms=told[service.key].as_of_ms,
                    )
                    for service in self._desk.services.values()
                )
            )

        return await self._store.transaction(work)

    def _insert(self, connection: sa.Connection, request: TicketRequest, device: str) -> str:
        return self._desk.give(
            connection,
            request,
            self._desk.service_of(request.item),
            order=self._order,
            device=device,
            now_ms=self._clock.wall_ms(),
            case=self._case_of(connection, request, device),
        )


def _ahead(connection: sa.Connection, row: rows.Row) -> int:
    if row.state != TicketState.WAITING:
        return 0
    return rows.count_ahead(connection, row.queue, row.day, place_ms=row.place_ms, ticket_id=row.id)
