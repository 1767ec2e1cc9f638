"""Input devices that speak by keys and switches (evdev). Base of their drivers.

All events are followed, wanted or not, so that it stays known which keys are down.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque

from drivers.listener import Listener, Said
from drivers.transport.evdev import LOST, EvdevPort, EvdevTransport, EventWire, Packet, Packets
from hallkit.errors import DeviceTimeout, DeviceUnavailable
from hallkit.runtime.clock import Clock


class KeyListener(Listener[Said]):
    """Packets of events become what the device says."""

    _again_s = 0.0
    """Who asks again within so long also gets what was said behind the last, while he still waited.

    Later it was meant for somebody else.
    """

    def __init__(
        self,
        device_id: str,
        *,
        port: str,
        key: str,
        clock: Clock,
        transport: EvdevPort,
        wire: EventWire | None,
        open_timeout_s: float,
        gap_s: float,
    ) -> None:
        """`wire` stands for the machine's own device where it is given."""
        self._events: EventWire = wire or EvdevTransport(device_id, transport)
        super().__init__(
            device_id,
            port=port,
            key=key,
            clock=clock,
            wire=self._events,
            open_timeout_s=open_timeout_s,
            gap_s=gap_s,
        )
        self._transport = transport
        self._packets = Packets()
        self._said: deque[Said] = deque()
        self._kept_until_s = 0.0
        self._asks_state = True
        """Of keys and switches nothing is known: opened anew, or events were lost."""

    @abstractmethod
    def _happened(self, packet: Packet) -> list[Said]:
        """What it says with these events."""

    @abstractmethod
    def _events_were_lost(self) -> None:
        """Nobody knows which keys are down now, or what was typed."""

    def _switches_are(self, switches: dict[int, bool]) -> list[Said]:  # noqa: ARG002  # for those that have some
        """How its switches stand, after opening and after a loss; what it says with that."""
        return []

    def _facts(self, *names: str) -> dict[str, str | int | float]:
        shared = ("lost_events", "unasked_events", "connections")
        counts = {name: self._counts[name] for name in (*names, *shared)}
        return {"wire": str(self._transport), **counts}

    async def _next(self) -> Said:
        said = await super()._next()
        self._kept_until_s = self._clock.mono_s() + self._again_s
        return said

    def _take(self) -> Said | None:
        return self._said.popleft() if self._said else None

    async def _hear(self, *, timeout_s: float) -> None:
        self._follow(await self._events.read(timeout_s=timeout_s))
        await self._ask_state()

    async def _throw_away(self) -> None:
        kept = tuple(self._said) if self._clock.mono_s() < self._kept_until_s else ()
        self._counts["unasked_events"] += self._follow(await self._events.pending())
        self._said.clear()
        self._said.extend(kept)
        await self._ask_state()

    def _follow(self, data: bytes) -> int:
        """Take events in; how many there were."""
        events = 0
        for packet in self._packets.feed(data):
            if packet == LOST:
                self._counts["lost_events"] += 1
                self._asks_state = True
                self._events_were_lost()
            else:
                events += len(packet)
                self._said += self._happened(packet)
        return events

    async def _ask_state(self) -> None:
        if not self._asks_state:
            return
        try:
            switches = await self._events.switches(timeout_s=self._open_timeout_s)
        except DeviceTimeout as exc:
            # Not the silence of a device that has nothing to say.
            raise DeviceUnavailable(exc.device_id, exc.reason, exc.detail) from exc
        self._asks_state = False
        self._update(model=self._events.name)
        self._said += self._switches_are(switches)

    async def _drop(self) -> None:
        await super()._drop()
        self._packets.forget()
        self._said.clear()
        self._asks_state = True
