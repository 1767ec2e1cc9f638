"""Modbus on the wire: requests, and the one answer that fits a request (docs/drivers/modbus.md).

    RTU   unit | function | data | CRC-16, low byte first
    TCP   transaction (2) | 0 0 | length (2) | unit | function | data

MODBUS Application Protocol V1.1b3, MODBUS over Serial Line V1.02, MODBUS Messaging on TCP/IP V1.0b.
An answer is taken only if it is whole, of the unit that was asked, of the function that was asked,
and as long as the question makes it; docs/decisions/0014 says why pymodbus does not read it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol

LONGEST_PDU = 253
_EXCEPTION = 0x80
_MBAP_BYTES = 7


class Table(StrEnum):
    """The four tables of a unit."""

    COIL = "coil"
    DISCRETE = "discrete"
    HOLDING = "holding"
    INPUT = "input"

    @property
    def is_bits(self) -> bool:
        return self in (Table.COIL, Table.DISCRETE)

    @property
    def most(self) -> int:
        """How many one request may ask for at most."""
        return 2000 if self.is_bits else 125


_READ = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}


class WriteFunction(IntEnum):
    COIL = 5
    REGISTER = 6
    COILS = 15
    REGISTERS = 16


@dataclass(frozen=True, slots=True)
class Request:
    """A question, and how its answer must begin and how long it is."""

    pdu: bytes
    head: bytes
    """What the answer begins with: the function, and what is known of the rest."""
    answer_bytes: int


def read(table: Table, start: int, count: int) -> Request:
    """Ask for neighbouring bits or registers."""
    if not (1 <= count <= table.most and 0 <= start <= 0x10000 - count):
        raise ValueError(f"{count} from {start}")
    function = _READ[table]
    size = (count + 7) // 8 if table.is_bits else 2 * count
    return Request(
        struct.pack(">BHH", function, start, count), bytes((function, size)), answer_bytes=2 + size
    )


def write(function: WriteFunction, address: int, values: Sequence[int]) -> Request:
    """Write one or more; a coil takes FF00 for on, or what its maker has made of the rest."""
    head = struct.pack(">BH", function, address)
    match function:
        case WriteFunction.COIL | WriteFunction.REGISTER:
            (value,) = values
            pdu = head + struct.pack(">H", value)
            return Request(pdu, pdu, answer_bytes=len(pdu))
        case WriteFunction.COILS:
            bits = sum(1 << place for place, value in enumerate(values) if value)
            data = bits.to_bytes((len(values) + 7) // 8, "little")
        case WriteFunction.REGISTERS:
            data = struct.pack(f">{len(values)}H", *values)
    confirmed = head + struct.pack(">H", len(values))
    pdu = confirmed + bytes((len(data),)) + data
    return Request(pdu, confirmed, answer_bytes=len(confirmed))


ON, OFF = 0xFF00, 0x0000
"""What function 5 writes."""


class Refused(Exception):
    """The unit answered with an exception code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code:02X}")


class Broken(Exception):
    """What came can be no answer, and nothing behind it will be."""


class Framing(Protocol):
    """How requests and answers stand on a wire."""

    is_numbered: bool
    """An answer says to which request it belongs."""

    def frame(self, unit: int, request: Request) -> bytes:
        """The bytes of a request."""
        ...

    def find(self, received: bytes, unit: int, request: Request) -> bytes | None:
        """The data of the answer, without function and byte count; None while there is none.

        Raises `Refused`, or `Broken` where waiting is of no use.
        """
        ...


def _content(pdu: bytes, request: Request) -> bytes | None:
    """What an answer of the right unit says; None if it is no answer to this."""
    if pdu[:1] == bytes((request.pdu[0] | _EXCEPTION,)) and len(pdu) == 2:
        raise Refused(pdu[1])
    fits = len(pdu) == request.answer_bytes and pdu.startswith(request.head)
    return pdu[len(request.head) :] if fits else None


class Rtu:
    """On a serial line, or on a serial server that passes bytes on as they are."""

    is_numbered = False

    def frame(self, unit: int, request: Request) -> bytes:
        body = bytes((unit,)) + request.pdu
        return body + crc(body)

    def find(self, received: bytes, unit: int, request: Request) -> bytes | None:
        """Bytes around it are passed over: a line that changes its direction makes some."""
        function = request.pdu[0]
        for start in range(len(received) - 4):
            if received[start] != unit:
                continue
            if received[start + 1] == function | _EXCEPTION:
                end = start + 3
            elif received.startswith(request.head, start + 1):
                end = start + 1 + request.answer_bytes
            else:
                continue
            body = received[start:end]
            if len(body) == end - start and received[end : end + 2] == crc(body):
                return _content(body[1:], request)
        return None


class Tcp:
    """MBAP; each request has a number, by which late answers are told."""

    is_numbered = True

    def __init__(self) -> None:
        self._number = 0

    def frame(self, unit: int, request: Request) -> bytes:
        self._number = self._number % 0xFFFF + 1
        return struct.pack(">HHHB", self._number, 0, len(request.pdu) + 1, unit) + request.pdu

    def find(self, received: bytes, unit: int, request: Request) -> bytes | None:
        rest = received
        while len(rest) >= _MBAP_BYTES:
            number, protocol, length, told = struct.unpack_from(">HHHB", rest)
            if protocol or not 3 <= length <= LONGEST_PDU + 1:
                raise Broken("no Modbus header")
            end = 6 + length
            if len(rest) < end:
                return None
            if number == self._number:
                if told != unit:
                    raise Broken("an answer of another unit")
                answer = _content(rest[_MBAP_BYTES:end], request)
                if answer is None:
                    raise Broken("an answer to something else")
                return answer
            rest = rest[end:]
        return None


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS as it is sent."""
    value = 0xFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ value >> 8
    return value.to_bytes(2, "little")


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value


_CRC = tuple(_crc_of_byte(byte) for byte in range(256))


def bits_of(data: bytes, count: int) -> tuple[int, ...]:
    """The bits of an answer, in the order of their addresses."""
    whole = int.from_bytes(data, "little")
    return tuple(whole >> place & 1 for place in range(count))


def registers_of(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(data) // 2}H", data)
