"""Identifiers. Opaque to people, safe in topics and logs: never made from personal data."""

from __future__ import annotations

import re
import secrets
import time
from typing import NewType

SiteId = NewType("SiteId", str)
DeviceId = NewType("DeviceId", str)
"""A machine of the hall, for example `terminal-01`."""
PeripheralId = NewType("PeripheralId", str)
"""A peripheral of one machine, for example `ticket-printer`."""
EventId = NewType("EventId", str)
VisitId = NewType("VisitId", str)
JobId = NewType("JobId", str)
TicketId = NewType("TicketId", str)
ItemCode = NewType("ItemCode", str)
"""基本编码 of an item in the catalogue."""

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,47}$"
"""Sites, devices and peripherals: they stand in topics, certificates and file names."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_NAME = re.compile(NAME_PATTERN)


def is_name(text: str) -> bool:
    """True if the text may name a site, device or peripheral."""
    return _NAME.fullmatch(text) is not None


def new_id() -> str:
    """A ULID (github.com/ulid/spec): 48 bits of milliseconds, 80 random bits, 26 characters.

    Sorts by time within a machine and says nothing about a person.
    """
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
