"""Queue tickets. States and words follow docs of the national 政务服务 queue practice."""

from __future__ import annotations

from enum import StrEnum

from hallkit.model.base import Value


class TicketState(StrEnum):
    """waiting → called → serving → served, or skipped → called again, or void."""

    WAITING = "waiting"
    CALLED = "called"
    SERVING = "serving"
    SKIPPED = "skipped"
    VOID = "void"
    SERVED = "served"


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
    waiting_ahead: int
    code: str
    """Signed text of the QR: `HK1.T.<id>.<day>.<number>.<signature>`."""
    state: TicketState = TicketState.WAITING
