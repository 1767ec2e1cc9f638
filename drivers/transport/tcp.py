"""Bytes over TCP: network printers and serial-to-Ethernet boxes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason

DRAIN_LIMIT_BYTES = 1 << 16
"""A device that never stops talking must not hold `drain_input` for ever."""


_LONGEST_LABEL = 63


def host_of(told: str) -> str:
    """The same, if it is an IP address or has labels of 1 to 63 characters; else `ValueError`."""
    try:
        ip_address(told)
    except ValueError:
        labels = told.removesuffix(".").split(".")
        if not all(1 <= len(label) <= _LONGEST_LABEL for label in labels):
            raise ValueError("neither an IP address nor the name of a host") from None
    return told


class TcpPort(BaseModel):
    """Where a device listens: `transport = { kind = "tcp", host = "…", port = 9100 }`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["tcp"] = "tcp"
    host: Annotated[
        str,
        Field(min_length=1, max_length=253, examples=["192.168.1.50"]),
        AfterValidator(host_of),
    ]
    port: Annotated[int, Field(ge=1, le=65535, examples=[9100])]

    def __str__(self) -> str:
        return f"tcp:{self.host}:{self.port}"


class TcpTransport:
    """A `Transport` over one TCP connection, without Nagle's delay."""

    def __init__(self, device_id: str, port: TcpPort) -> None:
        self._device_id = device_id
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        return self._writer is not None and not self._writer.is_closing()

    async def open(self, *, timeout_s: float) -> None:
        if self.is_open:
            return
        await self.close()
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(self._port.host, self._port.port)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "no connection") from exc
        except ConnectionRefusedError as exc:
            raise DeviceUnavailable(self._device_id, Reason.REFUSED) from exc
        except OSError as exc:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, type(exc).__name__) from exc
        except UnicodeError as exc:
            # A name that IDNA cannot write.
            detail = "no name of a host"
            raise DeviceUnavailable(self._device_id, Reason.CONFIGURATION, detail) from exc
        wire: socket.socket = writer.get_extra_info("socket")
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # With no room in our own buffer, `drain` returns when the kernel has the last byte.
        writer.transport.set_write_buffer_limits(high=0)
        self._reader, self._writer = reader, writer

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        _, writer = self._streams()
        try:
            writer.write(data)
            async with asyncio.timeout(timeout_s):
                await writer.drain()
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT, "does not take data") from exc
        except OSError as exc:
            raise await self._gone(exc) from exc

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        reader, _ = self._streams()
        try:
            async with asyncio.timeout(timeout_s):
                data = await reader.read(limit)
        except TimeoutError as exc:
            raise DeviceTimeout(self._device_id, Reason.SILENT) from exc
        except OSError as exc:
            raise await self._gone(exc) from exc
        if not data:
            raise await self._gone(None)
        return data

    async def drain_input(self) -> int:
        thrown = 0
        while self.is_open and self._reader is not None and thrown < DRAIN_LIMIT_BYTES:
            # Two turns of the loop: one to poll the socket, one to take its bytes in.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            try:
                # A read that finds bytes returns before a deadline of 0 can strike.
                async with asyncio.timeout(0):
                    data = await self._reader.read(DRAIN_LIMIT_BYTES)
            except (TimeoutError, OSError):
                break
            if not data:
                break
            thrown += len(data)
        return thrown

    async def close(self) -> None:
        writer, self._writer, self._reader = self._writer, None, None
        if writer is None:
            return
        if writer.transport.get_write_buffer_size():
            # A peer that takes no data would keep a polite close waiting for ever.
            writer.transport.abort()
        else:
            writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _streams(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            raise DeviceUnavailable(self._device_id, Reason.PORT_GONE, "not open")
        return self._reader, self._writer

    async def _gone(self, cause: OSError | None) -> DeviceUnavailable:
        await self.close()
        detail = type(cause).__name__ if cause else "closed by the device"
        return DeviceUnavailable(self._device_id, Reason.PORT_GONE, detail)
