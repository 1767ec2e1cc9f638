"""Bytes over a serial port, or over anything that looks like one (USB adapter, pty)."""

from __future__ import annotations

import termios
from contextlib import suppress
from typing import Literal

import serial
from pydantic import BaseModel, ConfigDict, Field

from drivers.transport.descriptor import DescriptorTransport, OpenPort


class SerialPort(BaseModel):
    """A serial port of the machine; 8 data bits, no parity, 1 stop bit, no flow control."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["serial"]
    path: str = Field(min_length=1, examples=["/dev/serial/by-id/usb-reader"])
    """Already absolute: the agent resolves paths against its runtime directory."""
    baud: int = Field(default=115200, ge=300, le=4_000_000)

    def __str__(self) -> str:
        return f"serial:{self.path}@{self.baud}"


class SerialTransport(DescriptorTransport):
    """One serial port."""

    def __init__(self, device_id: str, port: SerialPort) -> None:
        super().__init__(device_id)
        self._config = port

    def _open_port(self) -> serial.Serial:
        return serial.Serial(
            self._config.path, self._config.baud, timeout=0, write_timeout=0, exclusive=True
        )

    def _close_port(self, port: OpenPort) -> None:
        # Unsent bytes would let the kernel hold the close for up to half a minute.
        with suppress(OSError, termios.error):
            termios.tcflush(port.fileno(), termios.TCOFLUSH)
        super()._close_port(port)
