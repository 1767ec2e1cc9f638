"""Frames of the SDT protocol, which the security module (SAM) of every resident-card reader speaks.

    request : AA AA AA 96 69 | length | command parameter [data] | check
    reply   : AA AA AA 96 69 | length | SW1 SW2 SW3 [data]       | check

Length: two bytes, big-endian, counts what follows it, the check byte included. Check: XOR of all
bytes from the length to the last byte of data. A reply does not say which command it answers;
its status and the length of its data do.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce
from operator import xor

PREAMBLE = bytes.fromhex("AAAAAA9669")
HEAD_BYTES = len(PREAMBLE) + 2
MIN_LENGTH = 4
"""Three status bytes and the check byte."""
MAX_LENGTH = 0x090A
"""Text, photo and fingerprint: the longest reply there is."""
TEXT_BYTES = 256
MAX_PHOTO_BYTES = 1024


class Status(IntEnum):
    """SW3 of a reply."""

    CHECKSUM = 0x10
    LENGTH = 0x11
    COMMAND = 0x21
    NOT_PERMITTED = 0x23
    UNKNOWN = 0x24
    CARD_REFUSED_SAM = 0x31
    SAM_REFUSED_CARD = 0x32
    VERIFICATION = 0x33
    CARD_TYPE = 0x40
    READ_FAILED = 0x41
    RANDOM_FAILED = 0x47
    SELF_TEST = 0x60
    NOT_AUTHORISED = 0x66
    NO_CARD = 0x80
    SELECT_FAILED = 0x81
    OK = 0x90
    NOT_ON_CARD = 0x91
    FOUND = 0x9F


@dataclass(frozen=True, slots=True)
class Reply:
    """One frame whose length and check byte hold."""

    status: int
    data: bytes = field(default=b"", repr=False)
    """May be a person's; never shown."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is asked, and what its answers look like."""

    name: str
    code: bytes
    success: Status
    data_bytes: range
    """How many bytes the data of a success has."""
    refusals: frozenset[Status] = frozenset()
    """Statuses that only this command gives, beside those that every command may give."""
    repeatable: bool = False
    """A question: asking it twice changes nothing."""

    @property
    def request(self) -> bytes:
        return frame(self.code)

    def is_answered_by(self, reply: Reply) -> bool:
        """True if the reply can be meant for this command; otherwise it came late or twice."""
        if reply.status == self.success:
            return len(reply.data) in self.data_bytes
        return reply.status in self.refusals or reply.status in _ANY_COMMAND


_ANY_COMMAND = frozenset(
    {
        Status.CHECKSUM,
        Status.LENGTH,
        Status.COMMAND,
        Status.NOT_PERMITTED,
        Status.UNKNOWN,
        Status.SELF_TEST,
        Status.NOT_AUTHORISED,
    }
)
_CARD_TALK = frozenset(
    {
        Status.CARD_REFUSED_SAM,
        Status.SAM_REFUSED_CARD,
        Status.VERIFICATION,
        Status.CARD_TYPE,
        Status.READ_FAILED,
        Status.RANDOM_FAILED,
    }
)
_ZERO_SW1_SW2 = frozenset({Status.OK, Status.FOUND})
_MAX_APPENDED_BYTES = 320


def _exactly(count: int) -> range:
    return range(count, count + 1)


SAM_STATUS = Command("status", b"\x11\xff", Status.OK, _exactly(0), repeatable=True)
SAM_ID = Command("sam_id", b"\x12\xff", Status.OK, _exactly(16), repeatable=True)
FIND = Command(
    "find", b"\x20\x01", Status.FOUND, _exactly(4), frozenset({Status.NO_CARD}), repeatable=True
)
SELECT = Command("select", b"\x20\x02", Status.OK, _exactly(8), _CARD_TALK | {Status.SELECT_FAILED})
READ = Command(
    "read",
    b"\x30\x01",
    Status.OK,
    range(4 + TEXT_BYTES, 4 + TEXT_BYTES + MAX_PHOTO_BYTES + 1),
    _CARD_TALK,
)
APPENDED = Command(
    "appended",
    b"\x30\x03",
    Status.OK,
    range(_MAX_APPENDED_BYTES + 1),
    _CARD_TALK | {Status.NOT_ON_CARD, Status.NO_CARD, Status.SELECT_FAILED},
    repeatable=True,
)
"""The appended address; its answer also tells a card that was read and still lies there."""


def rest_bytes(head: bytes) -> int:
    """How many bytes follow the head of a frame; 0 for what is no head."""
    return int.from_bytes(head[-2:], "big") if head.startswith(PREAMBLE) else 0


def check_byte(body: bytes) -> int:
    """XOR of the bytes from the length on."""
    return reduce(xor, body, 0)


def frame(content: bytes) -> bytes:
    """A frame around command, parameter and data."""
    body = struct.pack(">H", len(content) + 1) + content
    return PREAMBLE + body + bytes([check_byte(body)])


class ReplyStream:
    """Finds replies in whatever the wire delivers; holds at most one frame's worth of bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.skipped_bytes = 0
        """Bytes that belonged to no frame."""
        self.bad_frames = 0
        """Frames whose length, check byte or status bytes did not hold."""

    @property
    def pending(self) -> int:
        """Bytes received that may still become a frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Reply]:
        """Take bytes in; gives the replies that are complete now, in order.

        After a frame that does not hold, the search goes on right behind its first byte: noise
        that looks like a head must not swallow the reply that follows it.
        """
        replies: list[Reply] = []
        view = memoryview(data)
        while view:
            room = HEAD_BYTES + MAX_LENGTH - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            while (reply := self._next()) is not None:
                replies.append(reply)
        return replies

    def _next(self) -> Reply | None:
        while True:
            self._seek_preamble()
            if len(self._buffer) < HEAD_BYTES:
                return None
            (length,) = struct.unpack_from(">H", self._buffer, len(PREAMBLE))
            if not MIN_LENGTH <= length <= MAX_LENGTH:
                self._refuse()
                continue
            end = HEAD_BYTES + length
            if len(self._buffer) < end:
                return None
            reply = _parse(bytes(self._buffer[len(PREAMBLE) : end]))
            if reply is None:
                self._refuse()
                continue
            del self._buffer[:end]
            return reply

    def _seek_preamble(self) -> None:
        start = self._buffer.find(PREAMBLE)
        if start < 0:
            # The end may be the beginning of a preamble.
            keep = next(
                size
                for size in range(len(PREAMBLE) - 1, -1, -1)
                if self._buffer.endswith(PREAMBLE[:size])
            )
            start = len(self._buffer) - keep
        self._skip(start)

    def _refuse(self) -> None:
        self.bad_frames += 1
        self._skip(1)

    def _skip(self, count: int) -> None:
        self.skipped_bytes += count
        del self._buffer[:count]


def _parse(body: bytes) -> Reply | None:
    """A reply of its bytes from the length to the check byte; None if it does not hold."""
    if check_byte(body[:-1]) != body[-1]:
        return None
    sw1, sw2, sw3 = body[2:5]
    # On several refusals SW1 and SW2 are undefined.
    if sw3 in _ZERO_SW1_SW2 and (sw1 or sw2):
        return None
    return Reply(sw3, body[5:-1])


def split_read(data: bytes) -> tuple[bytes, bytes] | None:
    """Text and photo of the answer to `READ`; None if its lengths do not add up."""
    text_bytes, photo_bytes = struct.unpack_from(">HH", data)
    if text_bytes != TEXT_BYTES or len(data) != 4 + text_bytes + photo_bytes:
        return None
    return data[4 : 4 + text_bytes], data[4 + text_bytes :]


def sam_id_text(data: bytes) -> str:
    """The security module's number, `05.01-20101129-0001228293-0296863149`, as its label has it."""
    kind, maker, made, number, check = struct.unpack("<HHIII", data)
    return f"{kind:02d}.{maker:02d}-{made:08d}-{number:010d}-{check:010d}"
