"""Pictures as RTP packets: JPEG (RFC 2435) and H.264 (RFC 6184), both at 90 kHz."""

from __future__ import annotations

import struct
from collections.abc import Iterator

CLOCK_HZ = 90_000
JPEG_TYPE, H264_TYPE = 26, 96
_SOURCE = 0x48414C4C
_LARGEST = 1_000
"""Bytes of a picture in one packet."""
_DQT, _SOF0, _SOS = 0xDB, 0xC0, 0xDA
_420 = 1
"""RFC 2435, section 4.1: type 1, colour at half the width and height."""
_TABLES_FOLLOW = 255
_FU_A = 28


class Packets:
    """The packets of one stream, numbered one after another."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._sequence = 0

    def of_jpeg(self, picture: bytes, *, timestamp: int) -> Iterator[bytes]:
        """RFC 2435: the scan without its headers, the tables before the first piece of it."""
        width, height, tables, scan = _parts(picture)
        for offset in range(0, len(scan), _LARGEST):
            piece = scan[offset : offset + _LARGEST]
            quantiser = struct.pack("!BBH", 0, 0, len(tables)) + tables if not offset else b""
            where = struct.pack("!B", 0) + offset.to_bytes(3, "big")
            what = struct.pack("!BBBB", _420, _TABLES_FOLLOW, width // 8, height // 8)
            last = offset + _LARGEST >= len(scan)
            yield self._packet(where + what + quantiser + piece, timestamp, last=last)

    def of_h264(self, units: tuple[bytes, ...], *, timestamp: int) -> Iterator[bytes]:
        """RFC 6184: small units as they are, large ones in fragments (FU-A)."""
        for index, unit in enumerate(units):
            last_unit = index == len(units) - 1
            if len(unit) <= _LARGEST:
                yield self._packet(unit, timestamp, last=last_unit)
                continue
            head, body = unit[0], unit[1:]
            for offset in range(0, len(body), _LARGEST):
                first, last = not offset, offset + _LARGEST >= len(body)
                marks = first << 7 | last << 6 | head & 0x1F
                piece = bytes((head & 0xE0 | _FU_A, marks)) + body[offset : offset + _LARGEST]
                yield self._packet(piece, timestamp, last=last and last_unit)

    def _packet(self, payload: bytes, timestamp: int, *, last: bool) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFFFF
        kind = last << 7 | self._kind
        stamp = timestamp & 0xFFFFFFFF
        return struct.pack("!BBHII", 0x80, kind, self._sequence, stamp, _SOURCE) + payload


def _parts(picture: bytes) -> tuple[int, int, bytes, bytes]:
    """Width, height, quantiser tables and scan of a baseline JPEG."""
    place, tables, width, height = 2, b"", 0, 0
    while True:
        marker = picture[place + 1]
        (length,) = struct.unpack_from("!H", picture, place + 2)
        body = picture[place + 4 : place + 2 + length]
        if marker == _DQT:
            # One segment may hold several tables, each behind a byte that names it.
            tables += b"".join(body[at + 1 : at + 65] for at in range(0, len(body), 65))
        elif marker == _SOF0:
            height, width = struct.unpack_from("!HH", body, 1)
        elif marker == _SOS:
            return width, height, tables, picture[place + 2 + length : -2]
        place += 2 + length
