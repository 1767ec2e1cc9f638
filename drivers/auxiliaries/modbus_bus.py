"""A Modbus line: one question at a time, each with its deadline, each fault with its name."""

from __future__ import annotations

import socket
import struct
from collections import Counter

from drivers.auxiliaries.modbus_frames import Broken, Framing, Refused, Request
from drivers.transport.tcp import TcpTransport
from drivers.transport.transport import Transport
from hallkit.errors import (
    DeviceBusy,
    DeviceError,
    DeviceTimeout,
    DeviceUnavailable,
    NotSupported,
    ProtocolError,
    Reason,
)
from hallkit.runtime.clock import Clock

_MOST_BYTES = 1024
"""Four times the longest answer: whoever says more says nothing."""
_BITS = 11
"""Of a byte on a serial line: start, 8 of data, parity, stop."""
_AROUND_BYTES = 3
"""Of an answer on a serial line: the unit before it, the check sum behind."""
_SILENT_BYTES = 3.5
"""So long a pause ends a frame; from 19200 baud on it is 1.75 ms."""
_SHORTEST_PAUSE_S = 0.00175

_MEANING: dict[int, tuple[type[DeviceError], Reason]] = {
    0x01: (NotSupported, Reason.UNSUPPORTED),
    0x02: (DeviceUnavailable, Reason.CONFIGURATION),
    0x03: (DeviceUnavailable, Reason.CONFIGURATION),
    0x04: (DeviceUnavailable, Reason.UNRECOVERABLE),
    0x05: (DeviceBusy, Reason.OCCUPIED),
    0x06: (DeviceBusy, Reason.OCCUPIED),
    0x08: (DeviceUnavailable, Reason.UNRECOVERABLE),
    # What a gateway says of the line behind it, and of a unit that is silent there.
    0x0A: (DeviceUnavailable, Reason.PORT_GONE),
    0x0B: (DeviceTimeout, Reason.SILENT),
}
"""Exception codes of the application protocol, section 7."""


class TcpLine(TcpTransport):
    """A TCP connection that can be ended at once."""

    def abort(self) -> None:
        """End it; what was written and has not left yet never will."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is None:
            return
        wire: socket.socket = writer.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


class Bus:
    """A wire with one or more units. Not for use by two tasks at once."""

    def __init__(
        self,
        device_id: str,
        wire: Transport,
        framing: Framing,
        clock: Clock,
        *,
        connect_timeout_s: float,
        answer_timeout_s: float,
        late_s: float,
        baud: int | None,
    ) -> None:
        """`late_s`: an answer that was given up may still come so long. `baud`: None where bytes
        take no time that counts.
        """
        self._device_id = device_id
        self._wire = wire
        self._framing = framing
        self._clock = clock
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._late_s = late_s
        self._byte_s = _BITS / baud if baud else 0.0
        self._pause_s = max(_SILENT_BYTES * self._byte_s, _SHORTEST_PAUSE_S) if baud else 0.0
        self._quiet_at_s = 0.0
        """Before then the line is not asked again."""
        self._late_until_s: dict[int, float] = {}
        """Until when a unit may still answer what it was asked before. On a serial line answers
        have no number: one that comes late would be taken for the answer to the next question."""
        self._came_whole = False
        """What was no answer was as long as one: nothing more is to come."""
        self._proven = False
        """Something has answered since it was opened."""
        self._hung_up = False
        """It was ended here, not by the other side."""
        self.counts: Counter[str] = Counter()

    @property
    def is_open(self) -> bool:
        return self._wire.is_open

    @property
    def is_lost(self) -> bool:
        """The wire itself has ended or does not open, for all units."""
        return not self._wire.is_open and not self._hung_up

    async def open(self) -> None:
        """Does nothing if it is open."""
        if self._wire.is_open:
            return
        await self.close()
        await self._wire.open(timeout_s=self._connect_timeout_s)
        self.counts["connections"] += 1

    async def close(self) -> None:
        self._proven = False
        self._hung_up = False
        await self._wire.close()

    async def _hang_up(self) -> None:
        if isinstance(self._wire, TcpLine):
            self._wire.abort()
        await self.close()
        self._hung_up = True

    async def ask(self, unit: int, request: Request, *, again: bool = True) -> bytes:
        """What the unit answers, without function and byte count.

        With `again` an answer that came spoilt is asked for once more, and so is one that a
        connection took along which had worked before: peers hang up on whoever is idle. Silence is
        told at once, and its unit left alone until a late answer has passed.

        Without `again` nothing of it goes out any more behind the error, as far as that is in the
        hands of this machine: a TCP connection is aborted.
        """
        try:
            return await self._exchange(unit, request, again=again)
        except ProtocolError:
            if not (again and (self._came_whole or not self.is_open)):
                raise
        except DeviceUnavailable:
            if not (again and self._proven) or self.is_open:
                raise
        self.counts["repeated"] += 1
        await self.open()
        return await self._exchange(unit, request, again=again)

    async def _exchange(self, unit: int, request: Request, *, again: bool) -> bytes:
        quiet_at_s = max(self._quiet_at_s, self._late_until_s.get(unit, 0.0))
        if (wait_s := quiet_at_s - self._clock.mono_s()) > 0:
            await self._clock.sleep(wait_s)
        self._late_until_s.pop(unit, None)
        self._came_whole = False
        self.counts["unasked_bytes"] += await self._wire.drain_input()
        sent = self._framing.frame(unit, request)
        on_wire_s = (len(sent) + request.answer_bytes + _AROUND_BYTES) * self._byte_s
        deadline_s = self._clock.mono_s() + self._answer_timeout_s + on_wire_s
        self.counts["requests"] += 1
        is_due = True
        try:
            await self._wire.write(sent, timeout_s=self._answer_timeout_s + on_wire_s)
            answer = await self._answer(unit, request, deadline_s)
            is_due = False
        except Refused as refusal:
            is_due = False
            self._proven = True
            self.counts["refusals"] += 1
            fault, reason = _MEANING.get(refusal.code, (ProtocolError, Reason.GARBLED))
            raise fault(self._device_id, reason, str(refusal)) from refusal
        finally:
            now_s = self._clock.mono_s()
            self._quiet_at_s = now_s + self._pause_s
            if is_due and not self._came_whole and not self._framing.is_numbered:
                self._late_until_s[unit] = now_s + self._late_s
            if is_due and not again and isinstance(self._wire, TcpLine) and self._wire.is_open:
                await self._hang_up()
        self._proven = True
        return answer

    async def _answer(self, unit: int, request: Request, deadline_s: float) -> bytes:
        received = bytearray()
        while True:
            left_s = deadline_s - self._clock.mono_s()
            if left_s <= 0:
                raise self._unheard(received, request)
            try:
                received += await self._wire.read(timeout_s=left_s)
            except DeviceTimeout:
                raise self._unheard(received, request) from None
            try:
                answer = self._framing.find(bytes(received), unit, request)
            except Broken as broken:
                # Where the next frame begins nobody knows.
                await self._hang_up()
                raise self._garbled(str(broken)) from broken
            if answer is not None:
                return answer
            if len(received) > _MOST_BYTES:
                await self._hang_up()
                raise self._garbled(f"more than {_MOST_BYTES} bytes")

    def _unheard(self, received: bytearray, request: Request) -> DeviceError:
        if received:
            self._came_whole = len(received) >= request.answer_bytes + _AROUND_BYTES
            return self._garbled(f"{len(received)} bytes that are no answer")
        self.counts["silences"] += 1
        return DeviceTimeout(self._device_id, Reason.SILENT)

    def _garbled(self, detail: str) -> ProtocolError:
        self.counts["garbled"] += 1
        return ProtocolError(self._device_id, Reason.GARBLED, detail)
