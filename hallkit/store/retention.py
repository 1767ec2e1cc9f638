"""Nothing is kept for ever: old rows go in small batches, and what went is not left in the file.

A program lists its steps; the janitor runs them now and then. Between two batches everybody else
has their turn at the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import sqlalchemy as sa

from hallkit.errors import StoreError
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger
from hallkit.store.database import Database

DAY_MS = 24 * 3_600_000

BATCH_ROWS = 50
"""Rows that a batch looks at or deletes: about a millisecond, and one wait for the disk."""

FIRST_AFTER_S = 600.0
EVERY_S = 6 * 3600.0
PAUSE_S = 0.02
"""Between two batches."""

JUMP_LIMIT_MS = 3_600_000
"""A wall clock that is ahead by more than this since the last look has jumped: nothing is deleted
by its word until the look after that."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch came to."""

    gone: int
    next: Any = None
    """Where the next one goes on; None: through."""

    @classmethod
    def of(cls, gone: int) -> Self:
        """A batch of rows that are gone: a full one is not the last."""
        return cls(gone, next=True if gone == BATCH_ROWS else None)


Step = Callable[[sa.Connection, int, Any], Batch]
"""One batch: connection, the wall clock in milliseconds, and `next` of the batch before or None."""


class Janitor:
    """Runs a program's steps; `run` it in a task."""

    def __init__(self, kept_in: Database, clock: Clock, steps: Mapping[str, Step]) -> None:
        self._store = kept_in
        self._clock = clock
        self._steps = steps
        self._to_erase = True  # whoever was killed may have left old pages in the log
        self._log = get_logger()

    async def run(self) -> None:
        """Sweep now and then, until cancelled."""
        delay_s = FIRST_AFTER_S
        while True:
            before_ms, before_s = self._clock.wall_ms(), self._clock.mono_s()
            await self._clock.sleep(delay_s)
            delay_s = EVERY_S
            passed_ms = (self._clock.mono_s() - before_s) * 1000
            ahead_ms = self._clock.wall_ms() - before_ms - passed_ms
            if ahead_ms > JUMP_LIMIT_MS:
                self._log.error("retention.clock_jumped", ahead_s=round(ahead_ms / 1000))
                continue
            try:
                gone = await self.sweep()
            except StoreError as fault:
                self._log.error("retention.failed", detail=str(fault))  # expected
            else:
                if any(gone.values()):
                    self._log.info("retention.swept", **gone)

    async def sweep(self) -> dict[str, int]:
        """Run every step to its end; rows gone by step.

        When it returns, neither the file nor its log holds what is gone.
        """
        gone = {name: await self._run(step) for name, step in self._steps.items()}
        self._to_erase = self._to_erase or any(gone.values())
        if self._to_erase:
            self._to_erase = not await self._store.truncate_log()
        return gone

    async def _run(self, step: Step) -> int:
        now_ms = self._clock.wall_ms()
        gone, position = 0, None
        while True:
            done = await self._batch(step, now_ms, position)
            gone += done.gone
            if done.next is None:
                return gone
            position = done.next
            await self._clock.sleep(PAUSE_S)

    async def _batch(self, step: Step, now_ms: int, position: Any) -> Batch:
        return await self._store.transaction(lambda connection: step(connection, now_ms, position))
