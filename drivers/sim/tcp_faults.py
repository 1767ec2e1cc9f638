"""A wire that can be told to misbehave, before a real server: what the server answers is spoilt.

For twins whose device is a real program (upsd, a printer's server): the program itself stays as
it is, and only the way to it has faults.

    drop     nothing of an answer arrives        cut      half of it, then a hang-up
    half     half of it, then silence            garble   its high bits are turned over
    delay    it comes {seconds} later            flood    junk without end before it
    hang_up  the connection ends before it       deaf     connections are taken, nothing is read
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

FAULTS = frozenset({"drop", "cut", "half", "garble", "delay", "flood", "hang_up", "deaf"})
_FLOOD_BYTES = 1 << 20


@dataclass(slots=True)
class _Fault:
    name: str
    times: int
    """0: until cleared."""
    seconds: float
    after: int
    """So many answers pass before it strikes."""


class FaultyWire:
    """Listens on loopback and passes everything on to `target`, but for the faults."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._fault: _Fault | None = None
        self.port = 0
        """Stays the same over `unplug` and `plug`."""
        self.met = 0
        """How often somebody connected."""

    @property
    def plugged(self) -> bool:
        return self._server is not None

    async def plug(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Refuse everybody, and hang up on those who are there."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in tuple(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def set_fault(self, order: dict[str, Any]) -> None:
        """`{fault, times: 1 (0: until cleared), seconds: 1, after: 0}`.

        `ValueError` for an unknown fault.
        """
        name = str(order.get("fault"))
        if name not in FAULTS:
            raise ValueError(f"no such fault: {name}")
        self._fault = _Fault(
            name,
            times=int(order.get("times", 1)),
            seconds=float(order.get("seconds", 1.0)),
            after=int(order.get("after", 0)),
        )

    def clear_fault(self) -> None:
        self._fault = None

    def _next_fault(self) -> str:
        fault = self._fault
        if fault is None:
            return ""
        if fault.after:
            fault.after -= 1
            return ""
        if fault.times:
            fault.times -= 1
            if not fault.times:
                self._fault = None
        return fault.name

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        self.met += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, far_writer))
                    both.create_task(self._spoil(far_reader, writer))
            finally:
                far_writer.close()
        except* (OSError, _Over, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, far: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self._fault is not None and self._fault.name == "deaf":
                await asyncio.Event().wait()
            far.write(data)
            await far.drain()
        raise _Over

    async def _spoil(self, far: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await far.read(1 << 16):
            seconds = self._fault.seconds if self._fault else 0.0
            half = data[: max(1, len(data) // 2)]
            match self._next_fault():
                case "drop":
                    continue
                case "hang_up":
                    raise _Over
                case "cut":
                    writer.write(half)
                    await writer.drain()
                    raise _Over
                case "half":
                    writer.write(half)
                case "garble":
                    writer.write(bytes(byte ^ 0x80 for byte in data))
                case "delay":
                    await asyncio.sleep(seconds)
                    writer.write(data)
                case "flood":
                    writer.write(b"7" * _FLOOD_BYTES + data)
                case _:
                    writer.write(data)
            with contextlib.suppress(OSError):
                await writer.drain()
        raise _Over


class _Over(Exception):
    """One end has hung up: how a connection ends, not an error."""
