"""Rows of the queue: what every part of it does to them, inside a transaction of its caller."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from affairs.problems import ProblemCode, Refused
from affairs.store import counters, tickets
from hallkit.model.ticket import MAY_BECOME, Ticket, TicketState

Row = sa.Row[*tuple[Any, ...]]


def next_sequences(connection: sa.Connection, service: str, day: dt.date, count: int) -> range:
    """So many numbers of a service's day, which nobody else gets."""
    mine = (counters.c.service == service, counters.c.day == day)
    grown = connection.execute(counters.update().where(*mine).values(last=counters.c.last + count))
    if grown.rowcount == 0:
        connection.execute(counters.insert().values(service=service, day=day, last=count))
    last = int(connection.execute(sa.select(counters.c.last).where(*mine)).scalar_one())
    return range(last - count + 1, last + 1)


def ticket_row(connection: sa.Connection, ticket_id: str) -> Row:
    """`Refused` if there is none."""
    row = connection.execute(sa.select(tickets).where(tickets.c.id == ticket_id)).one_or_none()
    if row is None:
        raise Refused(ProblemCode.TICKET_UNKNOWN)
    return row


def in_call_order(
    day: dt.date, services: Iterable[str], *columns: sa.ColumnElement[Any]
) -> sa.Select[Any]:
    """Those who wait for any of these services on a day, the next one first."""
    return (
        sa.select(*(columns or tuple(tickets.c)))
        .where(
            tickets.c.day == day,
            tickets.c.state == TicketState.WAITING.value,
            tickets.c.queue.in_(tuple(services)),
        )
        .order_by(tickets.c.place_ms, tickets.c.id)
    )


def count_ahead(
    connection: sa.Connection, service: str, day: dt.date, *, place_ms: int, ticket_id: str
) -> int:
    """How many of the same service will be called earlier."""
    earlier = sa.or_(
        tickets.c.place_ms < place_ms,
        sa.and_(tickets.c.place_ms == place_ms, tickets.c.id < ticket_id),
    )
    return connection.execute(
        sa.select(sa.func.count()).where(
            tickets.c.queue == service,
            tickets.c.day == day,
            tickets.c.state == TicketState.WAITING.value,
            earlier,
        )
    ).scalar_one()


def move(
    connection: sa.Connection, row: Row, state: TicketState, *, at_ms: int, **values: Any
) -> None:
    """Bring a ticket from the state that `row` shows into another one.

    `Refused` where there is no way, or where somebody else moved it meanwhile.
    """
    if state not in MAY_BECOME[TicketState(row.state)]:
        raise Refused(ProblemCode.TICKET_NOT_SO)
    moved = connection.execute(
        tickets.update()
        .where(tickets.c.id == row.id, tickets.c.state == row.state)
        .values(state=state.value, state_at_ms=at_ms, **values)
    )
    if moved.rowcount == 0:
        raise Refused(ProblemCode.TICKET_NOT_SO)


def printed(connection: sa.Connection, ticket_id: str) -> Ticket:
    """The ticket as its paper says it, so that a repeated answer prints the same paper; one that
    was passed on says where it waits now.
    """
    row = ticket_row(connection, ticket_id)
    return ticket_of(row, waiting_ahead=row.waiting_ahead)


def ticket_of(row: Row, *, waiting_ahead: int) -> Ticket:
    return Ticket(
        id=row.id,
        number=row.number,
        service=row.queue,
        service_name=row.service_name,
        windows=row.windows,
        issued_at_ms=row.issued_at_ms,
        waiting_ahead=waiting_ahead,
        code=row.code,
        state=TicketState(row.state),
    )
