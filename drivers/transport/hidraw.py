"""Bytes in the reports of a HID device: a stream cut into pieces of one size, padded with zeros.

The kernel shows such a device as /dev/hidrawN, and N changes with every plug: it is found by its
ids. What a report holds behind the bytes that are meant, nobody can tell from them: the padding is
handed on, and a protocol with frames skips it.

A write waits in the kernel until the device has taken the report, up to 5 s and whatever
O_NONBLOCK says (drivers/hid/usbhid of Linux), so it runs on the transport's thread.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from drivers.transport.descriptor import StreamTransport
from drivers.transport.udev import Udev
from drivers.transport.usb import ID_PATTERN, PORT_PATTERN
from hallkit.errors import DeviceTimeout

REPORT_BYTES = 64
_NO_REPORT_ID = b"\0"
"""Stands before what is written to a device whose reports have no numbers."""


class HidrawPort(BaseModel):
    """A HID device: `transport = { kind = "hidraw", vendor = "2b8b", product = "2721" }`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["hidraw"]
    vendor: str = Field(pattern=ID_PATTERN, examples=["2b8b"])
    product: str = Field(pattern=ID_PATTERN, examples=["2721"])
    port: str = Field(default="", pattern=PORT_PATTERN, examples=["1-1.2"])
    """Where it is plugged in, as the kernel names it, to tell two alike apart."""

    def __str__(self) -> str:
        return ":".join(filter(None, ("hidraw", self.vendor, self.product, self.port)))


class _Node:
    """An open hidraw node, locked against those who take the same lock, as our programs do."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def fileno(self) -> int:
        return self._descriptor

    def close(self) -> None:
        os.close(self._descriptor)


class HidrawTransport(StreamTransport[_Node]):
    """A HID device that carries a byte stream in reports of 64 bytes."""

    def __init__(self, device_id: str, port: HidrawPort) -> None:
        super().__init__(device_id, "HID")
        self._config = port
        self._udev = Udev()
        self._left = b""
        """Of a report that a reader with a smaller limit has begun."""

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        """Hand all bytes to the device, in whole reports."""
        reports = (
            data[start : start + REPORT_BYTES].ljust(REPORT_BYTES, b"\0")
            for start in range(0, len(data), REPORT_BYTES)
        )
        end_s = time.monotonic() + timeout_s
        try:
            for report in reports:
                left_s = max(0.0, end_s - time.monotonic())
                await super().write(_NO_REPORT_ID + report, timeout_s=left_s)
        except (DeviceTimeout, asyncio.CancelledError):
            # It may still be under way, and nothing may go out behind it.
            await self.close()
            raise

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        """At least one and at most `limit` bytes, as soon as there are any."""
        # A report that is read in part is lost for the rest.
        report = self._left or await super().read(timeout_s=timeout_s, limit=REPORT_BYTES)
        self._left = report[limit:]
        return report[:limit]

    async def drain_input(self) -> int:
        """Throw away what was received and not read; the number of bytes."""
        left, self._left = self._left, b""
        return len(left) + await super().drain_input()

    async def close(self) -> None:
        """Close the node; never raises."""
        self._left = b""
        await super().close()

    async def _hand_over(self, descriptor: int, data: memoryview) -> int:
        return await self._aside(lambda: os.write(descriptor, data))

    def _open_port(self) -> _Node:
        return _Node(self._find())

    def _find(self) -> str:
        """The node of the device that is meant; `OSError` if it is not plugged in."""
        with self._udev.held() as udev:
            for device in udev.list_devices(subsystem="hidraw"):
                owner = device.find_parent("usb", "usb_device")
                if owner is not None and _is_meant(self._config, owner) and device.device_node:
                    node: str = device.device_node
                    return node
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def _close_port(self, port: _Node) -> None:
        with suppress(OSError):
            port.close()

    def _number_of(self, port: _Node) -> int:
        return port.fileno()


def _is_meant(config: HidrawPort, owner: Any) -> bool:
    ids = (owner.attributes.get("idVendor"), owner.attributes.get("idProduct"))
    meant = (config.vendor.encode(), config.product.encode())
    return ids == meant and config.port in {"", owner.sys_name}
