"""Devices that speak without being asked: scanners, buttons. Base of their drivers.

Whether such a device still lives only its port tells: a probe opens the port and looks whether it
is there. Whoever waits gets what was sent afterwards.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from typing import Generic, TypeVar

from drivers.driver import Driver
from drivers.transport.transport import Transport
from hallkit.errors import DeviceError, DeviceTimeout
from hallkit.model.device import DeviceReport, DeviceStatus
from hallkit.runtime.clock import Clock

_LISTEN_S = 3600.0
"""A read without bytes ends then and begins anew; nobody notices."""

Said = TypeVar("Said")


class Listener(Driver, Generic[Said]):
    """One waits for what the device says; a probe never takes any of it from them."""

    def __init__(
        self,
        device_id: str,
        *,
        port: str,
        key: str,
        clock: Clock,
        wire: Transport,
        open_timeout_s: float,
        gap_s: float,
    ) -> None:
        """`gap_s`: what is not whole after a pause of so long was cut."""
        super().__init__(device_id, port=port, key=key, clock=clock)
        self._wire = wire
        self._open_timeout_s = open_timeout_s
        self._gap_s = gap_s
        self._waiting = asyncio.Lock()
        self._opening = asyncio.Lock()
        self._held = bytearray()
        """What was received and is not whole yet."""
        self._counts: Counter[str] = Counter()

    async def probe(self) -> DeviceReport:
        """Whether the port is there. While nobody waits, what was sent is thrown away."""
        return await self._guard(self._look)

    async def _next(self) -> Said:
        """What is sent from now on, the first whole one."""
        async with self._waiting:
            try:
                await self._open()
                await self._throw_away()
                return await self._listen()
            except DeviceError as fault:
                await self._drop()
                self._fault(fault)
                raise

    @abstractmethod
    def _take(self) -> Said | None:
        """The first whole one of `_held`, taken out of it; None while there is none."""

    async def _listen(self) -> Said:
        while True:
            if (said := self._take()) is not None:
                return said
            try:
                await self._hear(timeout_s=self._gap_s if self._has_part else _LISTEN_S)
            except DeviceTimeout:
                self._counts["cut"] += self._has_part
                self._forget()

    async def _hear(self, *, timeout_s: float) -> None:
        """Wait for what it says, and keep that for `_take`."""
        self._held += await self._wire.read(timeout_s=timeout_s)

    async def _throw_away(self) -> None:
        """What was said until now nobody waited for. It also finds a port that is gone."""
        self._counts["unasked_bytes"] += await self._wire.drain_input()
        self._forget()

    @property
    def _has_part(self) -> bool:
        """Something was received that is not whole yet."""
        return bool(self._held)

    def _forget(self) -> None:
        """Its rest does not come."""
        self._held.clear()

    async def _look(self) -> DeviceReport:
        await self._open()
        if not self._waiting.locked():
            await self._throw_away()
        return self._works()

    async def _open(self) -> None:
        async with self._opening:
            if not self._wire.is_open:
                await self._wire.open(timeout_s=self._open_timeout_s)
                self._counts["connections"] += 1
                self._works()

    def _works(self) -> DeviceReport:
        return self._update(status=DeviceStatus.ONLINE, reason=None, action=None)

    async def _drop(self) -> None:
        await self._wire.close()
        self._forget()
