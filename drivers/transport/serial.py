"""Bytes over a serial port, or over anything that looks like one (USB adapter, pty)."""

from __future__ import annotations

import termios
from contextlib import suppress
from typing import Literal

import serial
from pydantic import BaseModel, ConfigDict, Field

from drivers.transport.descriptor import StreamTransport


class SerialPort(BaseModel):
    """A serial port of the machine; 8 data bits, no flow control."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["serial"]
    path: str = Field(min_length=1, examples=["/dev/serial/by-id/usb-reader"])
    """Already absolute: the agent resolves paths against its runtime directory."""
    baud: int = Field(default=115200, ge=300, le=4_000_000)
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1

    def __str__(self) -> str:
        usual = (self.parity, self.stop_bits) == ("none", 1)
        frame = "" if usual else f",8{self.parity[0].upper()}{self.stop_bits}"
        return f"serial:{self.path}@{self.baud}{frame}"


class SerialTransport(StreamTransport[serial.Serial]):
    """One serial port, held exclusively while open."""

    def __init__(self, device_id: str, port: SerialPort) -> None:
        super().__init__(device_id, "serial")
        self._config = port

    def _open_port(self) -> serial.Serial:
        config = self._config
        return serial.Serial(
            config.path,
            config.baud,
            parity=config.parity[0].upper(),
            stopbits=config.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )

    def _close_port(self, port: serial.Serial) -> None:
        # Unsent bytes would let the kernel hold the close for up to half a minute.
        with suppress(OSError, termios.error):
            port.reset_output_buffer()
        with suppress(OSError, termios.error):
            port.close()

    def _number_of(self, port: serial.Serial) -> int:
        number: int = port.fileno()
        return number
