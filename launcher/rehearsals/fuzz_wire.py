"""The wire of a fuzzed driver: time passes only while it is silent, nothing waits in truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason


class WireClock:
    """Time that passes only while a wire is silent."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def mono_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += max(seconds, 0.001)


class Wire:
    """A transport whose other end answers what `answer` says, in pieces; None hangs up."""

    def __init__(self, clock: WireClock, answer: Callable[[bytes], list[bytes | None]]) -> None:
        self._clock = clock
        self._answer = answer
        self._arriving: deque[bytes | None] = deque()
        self.delivered = bytearray()
        self.written = bytearray()
        self.is_open = False

    async def open(self, *, timeout_s: float) -> None:  # noqa: ARG002  # the port's shape
        self.is_open = True

    async def write(self, data: bytes, *, timeout_s: float) -> None:  # noqa: ARG002
        self._must_be_open()
        self.written += data
        self._arriving.extend(self._answer(data))

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        self._must_be_open()
        if not self._arriving:
            self._clock.now_s += timeout_s
            raise DeviceTimeout("fuzz", Reason.SILENT)
        self._clock.now_s += 0.002
        data = self._arriving.popleft()
        if data is None:
            self.is_open = False
            raise DeviceUnavailable("fuzz", Reason.PORT_GONE)
        if len(data) > limit:
            self._arriving.appendleft(data[limit:])
        self.delivered += data[:limit]
        return data[:limit]

    async def drain_input(self) -> int:
        thrown = sum(len(data or b"") for data in self._arriving)
        self._arriving.clear()
        return thrown

    async def close(self) -> None:
        self.is_open = False
        self._arriving.clear()

    def _must_be_open(self) -> None:
        if not self.is_open:
            raise DeviceUnavailable("fuzz", Reason.PORT_GONE)


class SpokenWire(Wire):
    """Its other end says these pieces by itself, and hangs up behind them."""

    def __init__(self, clock: WireClock, pieces: list[bytes | None]) -> None:
        super().__init__(clock, lambda _data: [])
        self._pieces = pieces

    async def drain_input(self) -> int:
        """Nothing was said before somebody listened; from now on it speaks."""
        self._arriving.extend([*self._pieces, None])
        self._pieces = []
        return 0


def in_pieces(random: Random, data: bytes) -> list[bytes | None]:
    """As a wire delivers, never cut off."""
    pieces: list[bytes | None] = []
    while data:
        size = random.randrange(1, len(data) + 1)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def delivered(random: Random, data: bytes) -> list[bytes | None]:
    """As a wire delivers: in pieces, or cut off by a hang-up."""
    pieces = in_pieces(random, data)
    if random.random() < 0.02:
        pieces.insert(random.randrange(len(pieces) + 1), None)
    return pieces
