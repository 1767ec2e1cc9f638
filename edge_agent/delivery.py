"""What was promised to people without the business node is told to it until it has it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from hallkit.errors import HallError, Rejected
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock, sleep_until_woken
from hallkit.runtime.log import get_logger

_EVERY_S = 600.0
"""So often it is looked after, and at once when something new is there."""
_RETRY_S, _RETRY_CAP_S = 2.0, 60.0
_TOLD_AT_ONCE = 8
"""Their sealed contents together are within what the node reads at once."""

One = TypeVar("One")


class Receipt(Protocol):
    """The node's word on each."""

    @property
    def taken(self) -> tuple[str, ...]: ...

    @property
    def refused(self) -> dict[str, str]: ...


class Delivery(Generic[One]):
    """Tells, the first first, and forgets what the node has."""

    def __init__(
        self,
        name: str,
        *,
        kept: Callable[[], Awaitable[Sequence[One]]],
        id_of: Callable[[One], str],
        tell: Callable[[tuple[One, ...]], Awaitable[Receipt]],
        forget: Callable[[Sequence[str]], Awaitable[None]],
        last_words: frozenset[str] = frozenset(),
    ) -> None:
        """`name` is what the log calls it. `last_words`: problems that no mending takes away; what
        is refused so is forgotten too.
        """
        self._name = name
        self._kept = kept
        self._id_of = id_of
        self._tell = tell
        self._forget = forget
        self._last_words = last_words
        self._log = get_logger()

    async def tell_all(self) -> None:
        """Tell the node until it knows of all.

        A node that takes no batch is told one at a time: a single one must not hold up the others.
        What it refuses is left out this time, and kept: what is wrong may be mended at the node.
        """
        left_out: set[str] = set()
        at_once = _TOLD_AT_ONCE
        while batch := await self._next(left_out, at_once):
            try:
                receipt = await self._tell(batch)
            except Rejected as fault:
                if len(batch) == 1:
                    self._log.error(f"{self._name}.refused", problems=[fault.problem_code])
                    left_out.add(self._id_of(batch[0]))
                at_once = 1
                continue
            if receipt.refused:
                problems = sorted(set(receipt.refused.values()))
                self._log.error(f"{self._name}.refused", problems=problems)
            left_out |= set(receipt.refused)
            ours = {self._id_of(one) for one in batch}
            settled = [
                *receipt.taken,
                *(one for one, why in receipt.refused.items() if why in self._last_words),
            ]
            if not ours & {*receipt.taken, *receipt.refused}:
                return  # it said nothing of what it was told
            await self._forget(settled)
            self._log.info(f"{self._name}.told", count=len(receipt.taken))

    async def _next(self, left_out: set[str], count: int) -> tuple[One, ...]:
        kept = [one for one in await self._kept() if self._id_of(one) not in left_out]
        return tuple(kept[:count])


class Rounds:
    """Does something now and then, at once when woken, and again soon after a fault."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._wake = asyncio.Event()
        self._log = get_logger()

    def wake(self) -> None:
        self._wake.set()

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Until cancelled. A fault is logged when it is another than before."""
        failing = ""
        backoff = Backoff(base_s=_RETRY_S, cap_s=_RETRY_CAP_S)
        while True:
            self._wake.clear()
            try:
                await work()
            except HallError as fault:
                if failing != fault.code:
                    self._log.warning(f"{self._name}.held_up", fault=fault.code, why=str(fault))
                failing = fault.code
                delay_s = backoff.next_s()
            else:
                failing = ""
                backoff.reset()
                delay_s = _EVERY_S
            await sleep_until_woken(self._clock, delay_s, self._wake)
