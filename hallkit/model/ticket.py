"""Queue tickets, appointments and windows. States follow the practice of 政务大厅 queue systems."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from hallkit.model.base import Value


class TicketState(StrEnum):
    """Where somebody with a number stands. `MAY_BECOME` has the ways from one to the next."""

    WAITING = "waiting"
    CALLED = "called"
    """At a window; called again (重呼) it stays so, and the call is counted."""
    SERVING = "serving"
    SKIPPED = "skipped"
    """过号: called, and nobody came."""
    VOID = "void"
    SERVED = "served"
    RATED = "rated"


MAY_BECOME: Mapping[TicketState, frozenset[TicketState]] = {
    TicketState.WAITING: frozenset({TicketState.CALLED, TicketState.VOID}),
    TicketState.CALLED: frozenset(
        {TicketState.SERVING, TicketState.SKIPPED, TicketState.WAITING, TicketState.VOID}
    ),
    # Back to waiting: transferred to another service.
    TicketState.SERVING: frozenset({TicketState.SERVED, TicketState.WAITING}),
    # Back to waiting: they came after all; called: a window takes them at once.
    TicketState.SKIPPED: frozenset({TicketState.CALLED, TicketState.WAITING, TicketState.VOID}),
    TicketState.VOID: frozenset(),
    TicketState.SERVED: frozenset({TicketState.RATED}),
    TicketState.RATED: frozenset(),
}


class AppointmentState(StrEnum):
    """预约: a slot instead of a number; the number comes with the check-in."""

    BOOKED = "booked"
    CHECKED_IN = "checked_in"
    CANCELLED = "cancelled"
    MISSED = "missed"


class Priority(StrEnum):
    """Who is served earlier (优先服务)."""

    NONE = "none"
    ELDERLY = "elderly"
    DISABLED = "disabled"
    SERVICEMAN = "serviceman"
    """军人、退役军人."""


class WindowState(StrEnum):
    OPEN = "open"
    PAUSED = "paused"
    """Back in a moment; whoever is there is served to the end."""
    CLOSED = "closed"


class Ticket(Value):
    """A place in a queue. Says nothing about the person who holds it."""

    id: str
    number: str
    """What is called: a service letter and three digits or more, for example `A007`."""
    service: str
    """Key of the queue's service."""
    service_name: str
    windows: str
    """Where it will be called, in words: `2楼 A区 12-15号窗口`."""
    issued_at_ms: int
    waiting_ahead: int | None
    """None: given while the node was away, and nobody knew."""
    code: str
    """Signed text of the QR: `HK1.T.<id>.<day>.<number>.<signature>`."""
    state: TicketState = TicketState.WAITING
