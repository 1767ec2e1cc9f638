"""Blocks of sound for whoever listens; nobody waits for one who is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from hallkit.errors import DeviceError
from hallkit.model.sound import SoundBlock


class Listening:
    """One who listens, and what waits for them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: deque[SoundBlock] = deque()
        self._fault: DeviceError | None = None
        self._there = asyncio.Event()

    def give(self, block: SoundBlock) -> int:
        """One more; how many were dropped for it."""
        dropped = 0
        while len(self._held) >= self._limit:
            self._held.popleft()
            dropped += 1
        self._held.append(block)
        self._there.set()
        return dropped

    def fail(self, fault: DeviceError) -> None:
        """No more will come."""
        self._fault = fault
        self._there.set()

    async def take(self) -> SoundBlock:
        """The oldest that waits; raises the fault when there is none left."""
        while not self._held:
            if self._fault is not None:
                raise self._fault
            self._there.clear()
            await self._there.wait()
        return self._held.popleft()


class FanOut:
    """All who listen."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._listening: set[Listening] = set()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._listening)

    def give(self, block: SoundBlock) -> None:
        """To each of them."""
        for one in self._listening:
            self.dropped += one.give(block)

    def fail(self, fault: DeviceError) -> None:
        """Everybody hears of it, after what they have not taken yet."""
        for one in self._listening:
            one.fail(fault)

    async def listen(self) -> AsyncGenerator[SoundBlock, None]:
        """What is given from now on."""
        one = Listening(self._limit)
        self._listening.add(one)
        try:
            while True:
                yield await one.take()
        finally:
            self._listening.discard(one)
