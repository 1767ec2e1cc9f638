"""A finger on the virtual touch panel: real touch events through the X server.

Speaks the protocol of Xorg's `inputtest` driver (inputtestdrv(4), version 1.1 of its header
xf86-input-inputtest-protocol.h): little records over a Unix socket, which the server turns into
XInput2 touches. What the terminal's window gets is what a real panel sends; nothing in it knows
about tests.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

_CLIENT_VERSION, _WAIT_FOR_SYNC, _TOUCH = 0, 1, 6
_SERVER_VERSION, _SYNC_FINISHED = 0, 1
_TOUCH_BEGIN, _TOUCH_UPDATE, _TOUCH_END = 18, 19, 20
"""XI_TouchBegin, XI_TouchUpdate, XI_TouchEnd of XI2.h."""

_HEADER = struct.Struct("=II")
_VALUATORS = 64
_TOUCH_BODY = struct.Struct(f"=III8s4x{_VALUATORS}d{_VALUATORS}d")
"""touch id, type, then the valuator record: has_unaccelerated, pad to 8, mask, values."""

AXIS_MAX = 0xFFFF
"""The driver's touch axes run from 0 to this over the whole screen."""


class TouchPanel:
    """The panel of a screen of `width` x `height` pixels."""

    def __init__(self, path: Path, *, width: int, height: int) -> None:
        self._width = width
        self._height = height
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._link.settimeout(5.0)
        self._link.connect(str(path))
        self._send(_CLIENT_VERSION, struct.pack("=HH", 1, 1))
        self._expect(_SERVER_VERSION)
        self._touch = 0

    def tap(self, x: float, y: float) -> None:
        """Touch and lift at a pixel; returns when the server has delivered both."""
        self._touch = (self._touch + 1) % 5
        self._point(_TOUCH_BEGIN, x, y)
        self._point(_TOUCH_END, x, y)
        self._send(_WAIT_FOR_SYNC, b"")
        self._expect(_SYNC_FINISHED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the finger away."""
        self._link.close()

    def _point(self, kind: int, x: float, y: float) -> None:
        values = [0.0] * _VALUATORS
        values[0] = x * AXIS_MAX / self._width
        values[1] = y * AXIS_MAX / self._height
        mask = bytes([0b11]) + bytes(7)
        self._send(_TOUCH, _TOUCH_BODY.pack(self._touch, kind, 0, mask, *values, *values))

    def _send(self, kind: int, body: bytes) -> None:
        self._link.sendall(_HEADER.pack(_HEADER.size + len(body), kind) + body)

    def _expect(self, kind: int) -> None:
        head = self._link.recv(_HEADER.size, socket.MSG_WAITALL)
        length, got = _HEADER.unpack(head)
        self._link.recv(length - _HEADER.size, socket.MSG_WAITALL)
        if got != kind:
            raise RuntimeError(f"touch panel: answer {got}, expected {kind}")
