"""What is plugged in and out, as udev tells it.

A driver needs none of this: its probe finds a device again by itself. It only need not wait for the
next second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyudev

from hallkit.runtime.log import get_logger

KINDS = frozenset({"hidraw", "input", "tty", "usb", "video4linux"})


@dataclass(frozen=True, slots=True)
class Plug:
    """A device's node came or went."""

    kind: str
    """The kernel's subsystem, one of `KINDS`."""
    is_there: bool
    node: str


async def follow(told: Callable[[Plug], None]) -> None:
    """Tell of every plug until cancelled; returns at once where udev cannot be heard."""
    try:
        monitor = pyudev.Monitor.from_netlink(pyudev.Context())
        monitor.start()
    except (OSError, ImportError) as exc:
        get_logger().warning("plugs.unheard", detail=type(exc).__name__)
        return
    loop = asyncio.get_running_loop()
    loop.add_reader(monitor.fileno(), _hear, monitor, told)
    try:
        await asyncio.Event().wait()
    finally:
        loop.remove_reader(monitor.fileno())


def _hear(monitor: Any, told: Callable[[Plug], None]) -> None:
    while True:
        try:
            device = monitor.poll(timeout=0)
        except OSError:
            return  # more came than fits: what was missed is found by the next probes
        if device is None:
            return
        if device.subsystem in KINDS and device.device_node and device.action in {"add", "remove"}:
            told(Plug(device.subsystem, device.action == "add", device.device_node))
