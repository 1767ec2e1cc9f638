"""How long each queue takes now: what the windows and the tickets of today say, played through.

What a window takes for one is learned anew every few seconds; the rest is read when it is asked.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import sqlalchemy as sa

from affairs.queue import rows
from affairs.queue.forecast import Desk, Ended, Waiting, length_s, observed_s, waits_s
from affairs.queue.services import Service
from affairs.store import tickets, windows
from hallkit.model.ticket import WindowState
from hallkit.runtime.clock import Clock, local

WindowServices = Callable[[], Mapping[int, AbstractSet[str]]]
"""Which services each window of the hall serves, by its number."""

_LEARN_EVERY_S = 5.0
_SILENT_MS = 15 * 60_000
"""Windows of which nothing is heard for so long, while people wait, are not believed any more."""


@dataclass(frozen=True, slots=True)
class ServiceWaits:
    """One queue as it is now."""

    waiting: int
    open_windows: int
    as_of_ms: int
    """Now; where nothing is told any more, when the windows were heard last."""
    stale: bool
    next_wait_s: float | None
    """Of somebody who comes now; None: nobody can tell, or not today any more."""
    waits: Mapping[str, float] = field(default_factory=dict)

    def wait_of(self, ticket_id: str) -> float | None:
        """Of somebody who waits; None: nobody can tell."""
        return None if self.stale else self.waits.get(ticket_id)


_UNKNOWN = ServiceWaits(waiting=0, open_windows=0, as_of_ms=0, stale=True, next_wait_s=None)
"""Of a service that the hall has no more."""


class Waits:
    def __init__(
        self,
        *,
        services: Mapping[str, Service],
        window_services: WindowServices,
        clock: Clock,
    ) -> None:
        self._services = services
        self._window_services = window_services
        self._clock = clock
        self._opening = {key: service.opening for key, service in services.items()}
        self._lengths: Mapping[str, float] = {}
        self._learned: tuple[dt.date, float] | None = None

    def of_service(self, connection: sa.Connection, service: str, day: dt.date) -> ServiceWaits:
        """One queue on a day."""
        return self.of_all(connection, day).get(service, _UNKNOWN)

    def of_all(self, connection: sa.Connection, day: dt.date) -> dict[str, ServiceWaits]:
        """Every queue on a day."""
        now_ms = self._clock.wall_ms()
        lengths = self._lengths_s(connection, day)
        hall = _Hall.read(connection, self._services, self._window_services(), now_ms)
        queue = [
            Waiting(row.id, row.queue)
            for row in connection.execute(
                rows.in_call_order(day, self._services, tickets.c.id, tickets.c.queue)
            )
        ]
        # Somebody more for each service, to tell whoever comes now.
        comers = [Waiting(f"+{key}", key) for key in self._services]
        open_s = waits_s([*queue, *comers], hall.desks, lengths)
        now = local(now_ms)
        waits = {
            one.ticket: wait_s
            for one in (*queue, *comers)
            if one.ticket in open_s
            and (wait_s := self._opening[one.service].wait_s(now, open_s[one.ticket])) is not None
        }
        of: dict[str, dict[str, float]] = defaultdict(dict)
        for one in queue:
            if one.ticket in waits:
                of[one.service][one.ticket] = waits[one.ticket]
        counts = Counter(one.service for one in queue)
        return {
            key: ServiceWaits(
                waiting=counts[key],
                open_windows=hall.open_windows[key],
                as_of_ms=silent_since_ms or now_ms,
                stale=silent_since_ms is not None,
                next_wait_s=None if silent_since_ms else waits.get(f"+{key}"),
                waits=of[key],
            )
            for key in self._services
            for silent_since_ms in (hall.silent_since_ms(key, counts[key], now_ms),)
        }

    def _lengths_s(self, connection: sa.Connection, day: dt.date) -> Mapping[str, float]:
        now_s = self._clock.mono_s()
        if self._learned is None or self._learned[0] != day or now_s >= self._learned[1]:
            observed = observed_s(_ended(connection, day))
            self._lengths = {
                key: length_s(service.usual_minutes * 60, observed.get(key, ()))
                for key, service in self._services.items()
            }
            self._learned = (day, now_s + _LEARN_EVERY_S)
        return self._lengths


def _ended(connection: sa.Connection, day: dt.date) -> list[Ended]:
    found = connection.execute(
        sa.select(
            tickets.c.called_for, tickets.c.window, tickets.c.called_at_ms, tickets.c.ended_at_ms
        ).where(
            tickets.c.day == day,
            tickets.c.ended_at_ms.is_not(None),
            tickets.c.called_at_ms.is_not(None),
        )
    )
    return [
        Ended(row.called_for, row.window, row.called_at_ms / 1000, row.ended_at_ms / 1000)
        for row in found
    ]


@dataclass(frozen=True, slots=True)
class _Hall:
    """The windows as they are."""

    desks: list[Desk]
    open_windows: Mapping[str, int]
    heard_ms: Mapping[str, int]
    """When something was heard of a service's windows; absent: never."""
    closed: frozenset[str]
    """Services out of their hours: nothing need be heard of their windows."""

    def silent_since_ms(self, service: str, waiting: int, now_ms: int) -> int | None:
        """When its windows were heard last, if people wait and that is too long ago."""
        heard_ms = self.heard_ms.get(service, now_ms)
        is_silent = now_ms - heard_ms > _SILENT_MS
        return heard_ms if waiting and is_silent and service not in self.closed else None

    @staticmethod
    def read(
        connection: sa.Connection,
        services: Mapping[str, Service],
        served: Mapping[int, AbstractSet[str]],
        now_ms: int,
    ) -> _Hall:
        found = connection.execute(
            sa.select(
                windows.c.number,
                windows.c.state,
                windows.c.changed_at_ms,
                tickets.c.queue,
                tickets.c.called_at_ms,
            ).select_from(windows.outerjoin(tickets, windows.c.ticket_id == tickets.c.id))
        ).all()
        desks: list[Desk] = []
        open_windows: dict[str, int] = dict.fromkeys(services, 0)
        heard_ms: dict[str, int] = {}
        for row in found:
            mine = frozenset(served.get(row.number, ()))
            for key in mine & services.keys():
                heard_ms[key] = max(heard_ms.get(key, 0), row.changed_at_ms)
            is_open = row.state == WindowState.OPEN
            for key in mine & services.keys() if is_open else ():
                open_windows[key] += 1
            if is_open:
                busy_s = (now_ms - row.called_at_ms) / 1000 if row.queue else 0.0
                desks.append(Desk(mine, row.queue or "", max(busy_s, 0.0)))
        now = local(now_ms)
        for key, service in services.items():
            if key not in heard_ms:
                # Its windows have never said anything: what the file says is all there is.
                open_windows[key] = service.open_windows
            # The same is all there is before they open.
            if key not in heard_ms or not (open_windows[key] or service.opening.is_open(now)):
                desks += [Desk(frozenset({key}))] * service.open_windows
        closed = {key for key, one in services.items() if not one.opening.is_open(now)}
        return _Hall(desks, open_windows, heard_ms, frozenset(closed))
