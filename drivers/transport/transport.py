"""The seam between a driver's protocol and the wire."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """A byte stream to one device. Not for use by two tasks at once.

    Errors: `DeviceUnavailable` when the port cannot be opened or is gone (the transport is closed
    then), `DeviceTimeout` when the deadline passes. No other exception leaves a transport.
    """

    @property
    def is_open(self) -> bool: ...

    async def open(self, *, timeout_s: float) -> None:
        """Open the port; does nothing if it is open."""
        ...

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        """Hand all bytes to the wire."""
        ...

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        """At least one and at most `limit` bytes, as soon as there are any."""
        ...

    async def drain_input(self) -> int:
        """Throw away what was received and not read; the number of bytes."""
        ...

    async def close(self) -> None:
        """Close the port; never raises."""
        ...
