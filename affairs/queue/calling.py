"""Windows call, serve, skip, pass on. One window has one ticket at a time, and a ticket one window.

Each order is one transaction: window, ticket and call change together or not at all, and a call
that was announced stands on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.queue import rows
from affairs.queue.issuing import Desk
from affairs.queue.order import Order, place_ms
from affairs.queue.services import Service
from affairs.queue.waits import WindowServices
from affairs.store import Store, calls, tickets, windows
from hallkit.model.ticket import Priority, TicketState, WindowState
from hallkit.runtime.clock import Clock, local, local_date
from hallkit.wire.affairs_api import (
    Call,
    Calls,
    TicketCase,
    TicketRequest,
    WindowOrder,
    WindowStatus,
    WindowTicket,
)

_NOBODY = "-"
"""What an order made that made no call."""
CALLS_SHOWN = 50
Also = Callable[[sa.Connection, str], None]
"""Done with something, in its transaction; told the ticket, or an empty text."""
_CALLS = frozenset({"next", "call", "again"})
_STATE_OF = {"open": WindowState.OPEN, "pause": WindowState.PAUSED, "close": WindowState.CLOSED}


class Windows:
    """What happens at the counters."""

    def __init__(
        self,
        store: Store,
        *,
        desk: Desk,
        window_services: WindowServices,
        once: Once,
        order: Order,
        clock: Clock,
    ) -> None:
        self._store = store
        self._desk = desk
        self._window_services = window_services
        self._once = once
        self._order = order
        self._clock = clock
        self._day = local_date(clock.wall_ms())
        self.called = asyncio.Event()
        """Set when a call stands on the disk, and when a day is over; whoever waits clears it."""

    async def status(self, number: int) -> WindowStatus:
        """`Refused` if the hall has no such window."""
        self._served(number)
        return await self._store.transaction(lambda connection: self._status(connection, number))

    async def do(
        self, number: int, order: WindowOrder, *, device: str, key: str, also: Also | None = None
    ) -> WindowStatus:
        """Carry an order out once per key; the window as it is then.

        `also` is done with it, in its transaction, and is told the ticket it was about; what it
        raises undoes the order. `Refused` where the hall has no such window, ticket or service, or
        it is not so now.
        """
        self._served(number)

        def carry_out(connection: sa.Connection) -> str:
            made = self._carry_out(connection, number, order)
            if also is not None:
                also(connection, "" if made == _NOBODY else made)
            return made

        def work(connection: sa.Connection) -> WindowStatus:
            self._once.do(
                connection,
                device=device,
                key=key,
                kind=f"window {number}",
                content=canonical(order),
                work=lambda: carry_out(connection),
            )
            return self._status(connection, number)

        status = await self._store.transaction(work)
        if order.do in _CALLS:
            self.called.set()
        return status

    async def case(self, number: int, *, also: Also | None = None) -> TicketCase:
        """What whoever is at the window has said so far; `also` as in `do`. `Refused` if nobody is
        there.
        """

        def work(connection: sa.Connection) -> TicketCase:
            at = self._window(connection, number)
            if at is None or at.ticket_id is None:
                raise Refused(ProblemCode.WINDOW_NOT_SO)
            row = rows.ticket_row(connection, at.ticket_id)
            if also is not None:
                also(connection, row.id)
            said = self._desk.open(row.id, row.request)
            return TicketCase(ticket=row.id, request=TicketRequest.model_validate_json(said))

        self._served(number)
        return await self._store.transaction(work)

    async def calls(self) -> Calls:
        """The latest calls of today, for boards and loudspeakers."""
        now_ms = self._clock.wall_ms()

        def work(connection: sa.Connection) -> Calls:
            found = connection.execute(
                sa.select(calls)
                .where(calls.c.at_ms >= _midnight_ms(now_ms))
                .order_by(calls.c.id.desc())
                .limit(CALLS_SHOWN)
            )
            told = tuple(
                Call(
                    id=row.id,
                    number=row.number,
                    service=row.service,
                    window=row.window,
                    times=row.times,
                    at_ms=row.at_ms,
                )
                for row in found
            )
            return Calls(calls=told, as_of_ms=now_ms)

        return await self._store.transaction(work)

    async def end_earlier_days(self) -> int:
        """Nobody waits for a call of yesterday: those tickets are void. How many there were."""
        now_ms = self._clock.wall_ms()
        open_ = (TicketState.WAITING, TicketState.CALLED, TicketState.SKIPPED)

        def work(connection: sa.Connection) -> int:
            earlier = tickets.c.day < local_date(now_ms)
            ended = connection.execute(
                tickets.update()
                .where(earlier, tickets.c.state.in_([state.value for state in open_]))
                .values(state=TicketState.VOID.value, state_at_ms=now_ms)
            )
            served = connection.execute(
                tickets.update()
                .where(earlier, tickets.c.state == TicketState.SERVING.value)
                .values(state=TicketState.SERVED.value, state_at_ms=now_ms)
            )
            connection.execute(
                windows.update()
                .where(
                    windows.c.changed_at_ms < _midnight_ms(now_ms),
                    windows.c.state != WindowState.CLOSED.value,
                )
                .values(ticket_id=None, state=WindowState.CLOSED.value, changed_at_ms=now_ms)
            )
            return ended.rowcount + served.rowcount

        count = await self._store.transaction(work)
        today = local_date(now_ms)
        if count or today != self._day:
            self.called.set()
        self._day = today
        return count

    # ── Orders ───────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, connection: sa.Connection, number: int, order: WindowOrder) -> str:
        now_ms = self._clock.wall_ms()
        match order.do:
            case "open" | "pause" | "close":
                self._set_state(connection, number, _STATE_OF[order.do], now_ms)
            case "next":
                return self._next(connection, number, now_ms)
            case "call":
                row = rows.ticket_row(connection, order.ticket)
                self._call(connection, number, row, now_ms)
            case "again":
                self._again(connection, number, order.ticket, now_ms)
            case "serve":
                row = self._here(connection, number, order.ticket)
                rows.move(connection, row, TicketState.SERVING, at_ms=now_ms)
                self._changed(connection, number, now_ms, ticket_id=row.id)
            case "skip" | "finish":
                state = TicketState.SKIPPED if order.do == "skip" else TicketState.SERVED
                row = self._here(connection, number, order.ticket)
                rows.move(connection, row, state, at_ms=now_ms, ended_at_ms=now_ms)
                self._changed(connection, number, now_ms, ticket_id=None)
            case "transfer":
                self._transfer(connection, number, order, now_ms)
            case "return":
                self._return(connection, number, order.ticket, now_ms)
        return order.ticket or _NOBODY

    def _set_state(
        self, connection: sa.Connection, number: int, state: WindowState, now_ms: int
    ) -> None:
        at = self._window(connection, number)
        if at is None:
            connection.execute(
                windows.insert().values(number=number, state=state.value, changed_at_ms=now_ms)
            )
            return
        if state is WindowState.CLOSED and at.ticket_id is not None:
            raise Refused(ProblemCode.WINDOW_NOT_SO)
        self._changed(connection, number, now_ms, state=state.value)

    def _next(self, connection: sa.Connection, number: int, now_ms: int) -> str:
        day, services = local_date(now_ms), self._served(number)
        self._must_be_free(connection, number)
        while True:
            row = connection.execute(rows.in_call_order(day, services).limit(1)).one_or_none()
            if row is None:
                return _NOBODY
            try:
                self._call(connection, number, row, now_ms)
            except Refused:
                # Another window was quicker: where transactions run beside each other it may be.
                continue
            return str(row.id)

    def _call(self, connection: sa.Connection, number: int, row: rows.Row, now_ms: int) -> None:
        self._must_be_free(connection, number)
        self._must_be_ours(number, row, now_ms)
        rows.move(
            connection,
            row,
            TicketState.CALLED,
            at_ms=now_ms,
            window=number,
            calls=row.calls + 1,
            called_at_ms=now_ms,
            called_for=row.queue,
            ended_at_ms=None,
        )
        self._announce(connection, number, row, times=row.calls + 1, now_ms=now_ms)
        self._changed(connection, number, now_ms, ticket_id=row.id)

    def _again(self, connection: sa.Connection, number: int, ticket_id: str, now_ms: int) -> None:
        row = self._here(connection, number, ticket_id)
        if row.state != TicketState.CALLED:
            raise Refused(ProblemCode.TICKET_NOT_SO)
        connection.execute(
            tickets.update().where(tickets.c.id == row.id).values(calls=tickets.c.calls + 1)
        )
        self._announce(connection, number, row, times=row.calls + 1, now_ms=now_ms)
        self._changed(connection, number, now_ms, ticket_id=row.id)

    def _transfer(
        self, connection: sa.Connection, number: int, order: WindowOrder, now_ms: int
    ) -> None:
        """To another service. The place stays, so that nobody waits twice for one errand."""
        service = self._service(order.service)
        row = self._here(connection, number, order.ticket)
        rows.move(
            connection,
            row,
            TicketState.WAITING,
            at_ms=now_ms,
            queue=service.key,
            service_name=service.name,
            windows=service.windows,
            ended_at_ms=now_ms,
        )
        self._changed(connection, number, now_ms, ticket_id=None)

    def _return(self, connection: sa.Connection, number: int, ticket_id: str, now_ms: int) -> None:
        row = rows.ticket_row(connection, ticket_id)
        self._must_be_ours(number, row, now_ms)
        if row.state != TicketState.SKIPPED:
            raise Refused(ProblemCode.TICKET_NOT_SO)
        place = place_ms(now_ms, Priority(row.priority), self._order)
        rows.move(connection, row, TicketState.WAITING, at_ms=now_ms, place_ms=place)

    # ── What is there ────────────────────────────────────────────────────────────────────────

    def _served(self, number: int) -> frozenset[str]:
        services = self._window_services().get(number)
        if services is None:
            raise Refused(ProblemCode.WINDOW_UNKNOWN)
        return frozenset(services)

    def _service(self, key: str) -> Service:
        services: Mapping[str, Service] = self._desk.services
        if key not in services:
            raise Refused(ProblemCode.SERVICE_UNKNOWN)
        return services[key]

    def _window(self, connection: sa.Connection, number: int) -> sa.Row[Any] | None:
        return connection.execute(
            sa.select(windows).where(windows.c.number == number)
        ).one_or_none()

    def _must_be_free(self, connection: sa.Connection, number: int) -> None:
        at = self._window(connection, number)
        if at is None or at.state != WindowState.OPEN or at.ticket_id is not None:
            raise Refused(ProblemCode.WINDOW_NOT_SO)

    def _must_be_ours(self, number: int, row: rows.Row, now_ms: int) -> None:
        """A window has to do with today's tickets of its own services, and no others."""
        if row.day != local_date(now_ms) or row.queue not in self._served(number):
            raise Refused(ProblemCode.TICKET_NOT_SO)

    def _here(self, connection: sa.Connection, number: int, ticket_id: str) -> rows.Row:
        """Who is at the window. An order that comes late must not be carried out on the next."""
        at = self._window(connection, number)
        if at is None or at.ticket_id is None or at.ticket_id != ticket_id:
            raise Refused(ProblemCode.WINDOW_NOT_SO)
        return rows.ticket_row(connection, at.ticket_id)

    def _changed(self, connection: sa.Connection, number: int, now_ms: int, **values: Any) -> None:
        connection.execute(
            windows.update()
            .where(windows.c.number == number)
            .values(changed_at_ms=now_ms, **values)
        )

    def _announce(
        self, connection: sa.Connection, number: int, row: rows.Row, *, times: int, now_ms: int
    ) -> None:
        connection.execute(
            calls.insert().values(
                at_ms=now_ms,
                ticket_id=row.id,
                number=row.number,
                service=row.queue,
                window=number,
                times=times,
            )
        )

    def _status(self, connection: sa.Connection, number: int) -> WindowStatus:
        now_ms = self._clock.wall_ms()
        services = self._served(number)
        at = self._window(connection, number)
        waiting = rows.in_call_order(local_date(now_ms), services, tickets.c.id).subquery()
        return WindowStatus(
            window=number,
            state=WindowState(at.state) if at is not None else WindowState.CLOSED,
            services=tuple(sorted(services)),
            waiting=connection.execute(
                sa.select(sa.func.count()).select_from(waiting)
            ).scalar_one(),
            ticket=self._ticket(connection, at.ticket_id) if at and at.ticket_id else None,
            changed_at_ms=at.changed_at_ms if at is not None else now_ms,
        )

    def _ticket(self, connection: sa.Connection, ticket_id: str) -> WindowTicket:
        row = rows.ticket_row(connection, ticket_id)
        return WindowTicket(
            ticket=row.id,
            number=row.number,
            service=row.queue,
            service_name=row.service_name,
            item=row.item,
            priority=Priority(row.priority),
            state=TicketState(row.state),
            calls=row.calls,
            came_at_ms=row.came_at_ms,
            called_at_ms=row.called_at_ms,
        )


def _midnight_ms(now_ms: int) -> int:
    """When the hall's day began."""
    midnight = local(now_ms).replace(hour=0, minute=0, second=0, microsecond=0)
    return int(midnight.timestamp() * 1000)
