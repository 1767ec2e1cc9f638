"""The local bus as a screen process sees it: a client in the UI thread, without asyncio.

The protocol is `hallkit.wire.bus`; it is spoken here without pydantic, which would double the
time to the first frame. The server is a process of this machine and validates what it sends; here
a line that is no JSON object ends the connection, and the next snapshot mends everything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtNetwork import QLocalSocket

PROTOCOL_VERSION = 1
LINE_LIMIT = 256 * 1024

FIRST_RETRY_MS = 50
LAST_RETRY_MS = 2_000
GREETING_LIMIT_MS = 3_000
"""A server that accepts but does not send its snapshot in this time is hung up on."""

OnReply = Callable[[bool], None]
"""Told once whether the server did what was asked; False too when the connection is lost."""


class BusClient(QObject):
    """Connected means: the snapshot is here. Reconnects by itself until `stop`."""

    snapshot_received = Signal(object)
    event_received = Signal(str, object)
    connected_changed = Signal(bool)

    def __init__(self, path: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._path = path
        self._connected = False
        self._wanted = False
        self._buffer = bytearray()
        self._asked = 0
        self._waiting: dict[str, OnReply | None] = {}
        self._delay_ms = FIRST_RETRY_MS
        self._socket = QLocalSocket(self)
        self._socket.connected.connect(self._greet)
        self._socket.disconnected.connect(self._lost)
        self._socket.errorOccurred.connect(self._lost)
        self._socket.readyRead.connect(self._read)
        self._retry = QTimer(self, singleShot=True)
        self._retry.timeout.connect(self._open)
        self._greeting = QTimer(self, singleShot=True, interval=GREETING_LIMIT_MS)
        self._greeting.timeout.connect(self._socket.abort)

    @property
    def connected(self) -> bool:
        return self._connected

    def start(self) -> None:
        self._wanted = True
        self._open()

    def stop(self) -> None:
        self._wanted = False
        self._retry.stop()
        self._socket.abort()

    def request(self, name: str, args: Mapping[str, Any], on_reply: OnReply | None = None) -> bool:
        """Ask the server; False when there is no connection (then nothing is sent or kept)."""
        if not self._connected:
            return False
        self._asked += 1
        key = str(self._asked)
        self._waiting[key] = on_reply
        line = {"kind": "request", "id": key, "name": name, "args": dict(args)}
        self._socket.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._socket.flush()
        return True

    @Slot()
    def _open(self) -> None:
        if self._wanted and self._socket.state() is QLocalSocket.LocalSocketState.UnconnectedState:
            self._buffer.clear()
            self._socket.connectToServer(self._path)

    @Slot()
    def _greet(self) -> None:
        self._greeting.start()

    @Slot()
    def _lost(self) -> None:
        self._greeting.stop()
        waiting, self._waiting = self._waiting, {}
        self._set_connected(value=False)
        for on_reply in waiting.values():
            if on_reply is not None:
                on_reply(False)
        if self._wanted and not self._retry.isActive():
            jitter = random.uniform(0.8, 1.2)  # noqa: S311 (spreads load, keeps no secret)
            self._retry.start(round(self._delay_ms * jitter))
            self._delay_ms = min(LAST_RETRY_MS, self._delay_ms * 2)

    @Slot()
    def _read(self) -> None:
        self._buffer += self._socket.readAll().data()
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if len(rest) > LINE_LIMIT:
            self._socket.abort()
            return
        for line in lines:
            if line and not self._take(bytes(line)):
                self._socket.abort()
                return

    def _take(self, line: bytes) -> bool:
        """One line of the server; False if it is none of the protocol."""
        try:
            message = json.loads(line)
        except ValueError:
            return False
        if not isinstance(message, dict):
            return False
        data = message.get("data")
        match message.get("kind"):
            case "hello":
                return message.get("version") == PROTOCOL_VERSION
            case "snapshot" if isinstance(data, dict):
                self._greeting.stop()
                self._delay_ms = FIRST_RETRY_MS
                self.snapshot_received.emit(data)
                self._set_connected(value=True)
            case "event" if isinstance(data, dict):
                self.event_received.emit(str(message.get("name", "")), data)
            case "reply":
                on_reply = self._waiting.pop(str(message.get("id", "")), None)
                if on_reply is not None:
                    on_reply(message.get("error") is None)
            case _:  # `refused`, and what a newer server may add
                pass
        return True

    def _set_connected(self, *, value: bool) -> None:
        if self._connected is not value:
            self._connected = value
            self.connected_changed.emit(value)
