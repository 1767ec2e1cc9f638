"""Who is called next: whoever came first, with a head start for those who are to wait less.

A place in the queue is a time: when somebody came, less their head start. The smallest is called
first, whichever of its services a window serves. So nobody is ever overtaken by somebody who came
later by more than the longest head start: priority shortens a wait and starves no one. Pure.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field

from hallkit.model.ticket import Priority
from hallkit.runtime.config import Section

_MINUTE_MS = 60_000


class Order(Section):
    """`[affairs.queue]`."""

    elderly_age: Annotated[int, Field(ge=50, le=120)] = 60
    """《老年人权益保障法》 §2."""
    head_start_minutes: Annotated[float, Field(ge=0, le=240)] = 10.0
    """What priority is worth."""
    appointment_head_start_minutes: Annotated[float, Field(ge=0, le=240)] = 15.0
    """What an appointment is worth, from the beginning of its slot on."""
    late_after_minutes: Annotated[float, Field(ge=0, le=240)] = 10.0
    """Who checks in so long after the end of the slot has no head start."""

    @property
    def longest_head_start_ms(self) -> int:
        """By so much later somebody may come and still be called earlier."""
        return round(max(self.head_start_minutes, self.appointment_head_start_minutes) * _MINUTE_MS)


def priority_of(
    declared: Priority, id_number: str | None, today: dt.date, order: Order
) -> Priority:
    """What was declared, or what an ID number shows (GB 11643: the birth date)."""
    if declared is not Priority.NONE or id_number is None or len(id_number) != 18:
        return declared
    try:
        birth = dt.datetime.strptime(id_number[6:14], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except ValueError:
        return declared
    had_birthday = (today.month, today.day) >= (birth.month, birth.day)
    age = today.year - birth.year - (not had_birthday)
    return Priority.ELDERLY if age >= order.elderly_age else declared


def place_ms(came_ms: int, priority: Priority, order: Order) -> int:
    """The place of somebody who came without an appointment."""
    head_start = order.head_start_minutes if priority is not Priority.NONE else 0.0
    return came_ms - round(head_start * _MINUTE_MS)


def place_with_appointment_ms(
    came_ms: int, slot_start_ms: int, slot_end_ms: int, priority: Priority, order: Order
) -> int:
    """The place of somebody who checks in for a slot.

    Early, they have their slot's place and not a better one; too late, that of whoever came just
    now.
    """
    if came_ms > slot_end_ms + order.late_after_minutes * _MINUTE_MS:
        return place_ms(came_ms, priority, order)
    head_start = max(
        order.appointment_head_start_minutes,
        order.head_start_minutes if priority is not Priority.NONE else 0.0,
    )
    return max(came_ms, slot_start_ms) - round(head_start * _MINUTE_MS)
