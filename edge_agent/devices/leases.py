"""Who has a device for a while, so that two never speak to it at once.

A lease belongs to one connection and ends with it, with its time, or when it is given back. What is
under way on the device is not cut off by any of these: the device is free when that has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from hallkit.errors import DeviceBusy, NotPermitted, NotSupported, Reason
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

LOOK_S = 0.2
"""How often it is looked whether a lease has ended, while there is one."""


class Holder(Protocol):
    """What is used of `hallkit.runtime.bus.Connection`."""

    closed: asyncio.Event


@dataclass(slots=True)
class _Lease:
    holder: Holder
    role: str
    until_s: float
    calls: int = 0
    """Under way on the device, by its holder."""


class Leases:
    """The leases of a machine's devices. All calls are of one event loop and never wait."""

    def __init__(
        self,
        clock: Clock,
        *,
        devices: Callable[[], tuple[str, ...]],
        used_by: Callable[[str], str],
        changed: Callable[[str, bool], None],
    ) -> None:
        """`used_by`: whose call is under way on a device without a lease, or "".

        `changed` hears of each device that is taken (True) or free again (False).
        """
        self._clock = clock
        self._devices = devices
        self._used_by = used_by
        self._changed = changed
        self._leases: dict[str, _Lease] = {}
        self._any = asyncio.Event()
        self._log = get_logger()

    def take(self, device: str, holder: Holder, *, role: str, seconds: float) -> int:
        """Until when (wall time) it is the holder's; taking it again renews it.

        Errors: `DeviceBusy` if somebody else has it, `NotSupported` if there is no such device.
        """
        self.drop_ended()
        if device not in self._devices():
            raise NotSupported(device, Reason.UNSUPPORTED, "this machine has none")
        lease = self._leases.get(device)
        if lease is not None and lease.holder is not holder:
            raise self._busy(device, lease)
        if lease is None:
            if role_at_it := self._used_by(device):
                raise DeviceBusy(device, Reason.OCCUPIED, holder=role_at_it)
            lease = self._leases[device] = _Lease(holder, role, 0.0)
            self._any.set()
            self._log.info("lease.taken", device=device, role=role)
            self._changed(device, True)  # the callback's contract
        lease.until_s = self._clock.mono_s() + seconds
        return self._until_ms(lease)

    def renew(self, device: str, holder: Holder, *, seconds: float) -> int:
        """Begin its time anew. Errors: those of `using`."""
        self._of(device, holder).until_s = self._clock.mono_s() + seconds
        return self._until_ms(self._leases[device])

    def release(self, device: str, holder: Holder) -> None:
        """Give it back; what another holds, or nobody, stays as it is."""
        lease = self._leases.get(device)
        if lease is not None and lease.holder is holder:
            lease.until_s = self._clock.mono_s()
        self.drop_ended()

    @contextmanager
    def using(self, device: str, holder: Holder) -> Iterator[None]:
        """Around a call to the device. `DeviceBusy` or `NotPermitted` without a lease of it."""
        lease = self._of(device, holder)
        lease.calls += 1
        try:
            yield
        finally:
            lease.calls -= 1
            self.drop_ended()

    @property
    def in_use(self) -> bool:
        """A call is under way on a device that somebody has."""
        return any(lease.calls for lease in self._leases.values())

    def any_of(self, role: str) -> bool:
        """Somebody of this role has a device."""
        self.drop_ended()
        return any(lease.role == role for lease in self._leases.values())

    async def run(self) -> None:
        """Notice leases that have ended, until cancelled."""
        while True:
            await self._any.wait()
            self.drop_ended()
            await self._clock.sleep(LOOK_S)

    def drop_ended(self) -> None:
        """Free what is nobody's any more."""
        now_s = self._clock.mono_s()
        for device, lease in list(self._leases.items()):
            if lease.calls or (lease.until_s > now_s and not lease.holder.closed.is_set()):
                continue
            del self._leases[device]
            self._log.info("lease.ended", device=device, role=lease.role)
            self._changed(device, False)  # the callback's contract
        if not self._leases:
            self._any.clear()

    def _of(self, device: str, holder: Holder) -> _Lease:
        self.drop_ended()
        lease = self._leases.get(device)
        if lease is None:
            raise NotPermitted(f"{device} without a lease")
        if lease.holder is not holder:
            raise self._busy(device, lease)
        return lease

    def _busy(self, device: str, lease: _Lease) -> DeviceBusy:
        return DeviceBusy(
            device, Reason.OCCUPIED, holder=lease.role, until_ms=self._until_ms(lease)
        )

    def _until_ms(self, lease: _Lease) -> int:
        left_s = lease.until_s - self._clock.mono_s()
        return self._clock.wall_ms() + round(max(0.0, left_s) * 1000)
