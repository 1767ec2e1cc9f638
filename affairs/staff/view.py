"""The whole hall as the staff pages show it, read in one transaction for all who look.

Numbers and words of the hall; of persons only who of the staff stands where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from affairs.cases.tables import cases
from affairs.queue.services import Service
from affairs.queue.waits import Waits, WindowServices
from affairs.staff.seats import Seat, Seats
from affairs.staff.sessions import Sessions
from affairs.staff.site import Tone
from affairs.store import Store, calls, tickets, windows
from hallkit.model.ticket import Priority, TicketState, WindowState
from hallkit.runtime.clock import Clock, local_date

CALLS_SHOWN = 8
_PRESENT = (TicketState.WAITING, TicketState.CALLED, TicketState.SERVING, TicketState.SKIPPED)


@dataclass(frozen=True, slots=True)
class TicketView:
    """A number of today that is not done with."""

    id: str
    number: str
    service: str
    item: str
    priority: Priority
    state: TicketState
    came_at_ms: int
    state_at_ms: int
    called_at_ms: int | None
    calls: int
    case_as: str
    """Which case belongs to it, and how it stands: another text when that changed; may be empty."""


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window as it is now."""

    number: int
    services: frozenset[str]
    state: WindowState
    changed_at_ms: int | None
    """None: nothing was ever heard of it."""
    seat: Seat | None
    ticket: TicketView | None


@dataclass(frozen=True, slots=True)
class QueueView:
    """One queue as it is now."""

    key: str
    name: str
    places: str
    waiting: int
    open_windows: int
    """That said so themselves; the forecast supposes some where nothing was ever heard."""
    wait_s: float | None
    stale: bool
    as_of_ms: int
    oldest_ms: int | None
    """When whoever waits longest came."""


@dataclass(frozen=True, slots=True)
class CallView:
    number: str
    window: int
    times: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class PanelLine:
    """Something that somebody in the hall is to see, from another part of the node."""

    id: str
    text: str
    at_ms: int | None
    """None: of no moment."""
    tone: Tone = "plain"


class Panel(Protocol):
    """What other parts show on the supervisor's page: ratings, calls for help."""

    @property
    def key(self) -> str:
        """The title is `staff.panel.<key>` of the words."""
        ...

    @property
    def path(self) -> str:
        """Page on which one can do something about it; may be empty."""
        ...

    def lines(self, connection: sa.Connection) -> Sequence[PanelLine]:
        """The most urgent first. Nothing personal."""
        ...


@dataclass(frozen=True, slots=True)
class HallView:
    """Everything at one moment."""

    now_ms: int
    queues: tuple[QueueView, ...]
    windows: Mapping[int, WindowView]
    waiting: tuple[TicketView, ...]
    """In the order in which they are called."""
    skipped: tuple[TicketView, ...]
    calls: tuple[CallView, ...]
    panels: Mapping[str, tuple[PanelLine, ...]]
    sessions: frozenset[str]
    """Logins that stand: a page whose login does not ends."""

    def waiting_for(self, services: AbstractSet[str]) -> list[TicketView]:
        return [one for one in self.waiting if one.service in services]

    def skipped_of(self, services: AbstractSet[str]) -> list[TicketView]:
        return [one for one in self.skipped if one.service in services]


class HallReader:
    def __init__(
        self,
        store: Store,
        *,
        services: Mapping[str, Service],
        window_services: WindowServices,
        waits: Waits,
        seats: Seats,
        sessions: Sessions,
        panels: Sequence[Panel] = (),
        clock: Clock,
    ) -> None:
        self._store = store
        self._services = services
        self._window_services = window_services
        self._waits = waits
        self._seats = seats
        self._sessions = sessions
        self._panels = panels
        self._clock = clock

    async def read(self) -> HallView:
        """The hall now."""
        return await self._store.transaction(self._read)

    def has_window(self, number: int) -> bool:
        """The map knows it."""
        return number in self._window_services()

    def _read(self, connection: sa.Connection) -> HallView:
        now_ms = self._clock.wall_ms()
        day = local_date(now_ms)
        present = {
            row.id: _ticket(row)
            for row in connection.execute(
                sa.select(*_TICKET)
                .join_from(tickets, cases, tickets.c.case_id == cases.c.id, isouter=True)
                .where(
                    tickets.c.day == day,
                    tickets.c.state.in_([state.value for state in _PRESENT]),
                )
                .order_by(tickets.c.place_ms, tickets.c.id)
            )
        }
        waiting = tuple(one for one in present.values() if one.state is TicketState.WAITING)
        skipped = sorted(
            (one for one in present.values() if one.state is TicketState.SKIPPED),
            key=lambda one: -one.state_at_ms,
        )
        told = self._waits.of_all(connection, day)
        at_windows = self._windows(connection, present)
        oldest: dict[str, int] = {}
        for one in waiting:
            oldest[one.service] = min(oldest.get(one.service, one.came_at_ms), one.came_at_ms)
        return HallView(
            now_ms=now_ms,
            queues=tuple(
                QueueView(
                    key=key,
                    name=service.name,
                    places=service.windows,
                    waiting=told[key].waiting,
                    open_windows=sum(
                        one.state is WindowState.OPEN and key in one.services
                        for one in at_windows.values()
                    ),
                    wait_s=told[key].next_wait_s,
                    stale=told[key].stale,
                    as_of_ms=told[key].as_of_ms,
                    oldest_ms=oldest.get(key),
                )
                for key, service in self._services.items()
            ),
            windows=at_windows,
            waiting=waiting,
            skipped=tuple(skipped),
            calls=_calls(connection, now_ms),
            panels={one.key: tuple(one.lines(connection)) for one in self._panels},
            sessions=self._sessions.standing(connection),
        )

    def _windows(
        self, connection: sa.Connection, present: Mapping[str, TicketView]
    ) -> Mapping[int, WindowView]:
        said = {row.number: row for row in connection.execute(sa.select(windows))}
        seats = self._seats.all(connection)
        return {
            number: WindowView(
                number=number,
                services=frozenset(services),
                state=WindowState(said[number].state) if number in said else WindowState.CLOSED,
                changed_at_ms=said[number].changed_at_ms if number in said else None,
                seat=seats.get(number),
                ticket=present.get(said[number].ticket_id) if number in said else None,
            )
            for number, services in sorted(self._window_services().items())
        }


_TICKET = (
    tickets.c.id,
    tickets.c.number,
    tickets.c.queue,
    tickets.c.item,
    tickets.c.priority,
    tickets.c.state,
    tickets.c.came_at_ms,
    tickets.c.state_at_ms,
    tickets.c.called_at_ms,
    tickets.c.calls,
    tickets.c.case_id,
    cases.c.revision,
    cases.c.state.label("case_state"),
    cases.c.is_owed,
)
"""Without what is sealed."""


def _ticket(row: Any) -> TicketView:
    return TicketView(
        id=row.id,
        number=row.number,
        service=row.queue,
        item=row.item,
        priority=Priority(row.priority),
        state=TicketState(row.state),
        came_at_ms=row.came_at_ms,
        state_at_ms=row.state_at_ms,
        called_at_ms=row.called_at_ms,
        calls=row.calls,
        case_as=f"{row.case_id} {row.case_state} {row.revision} {row.is_owed}"
        if row.case_id is not None
        else "",
    )


def _calls(connection: sa.Connection, now_ms: int) -> tuple[CallView, ...]:
    found = connection.execute(
        sa.select(calls)
        .where(calls.c.at_ms > now_ms - 12 * 3_600_000)
        .order_by(calls.c.id.desc())
        .limit(CALLS_SHOWN)
    )
    return tuple(CallView(row.number, row.window, row.times, row.at_ms) for row in found)
