"""Whether the work of a process goes on: a call to a device that never ends is found by its age."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from hallkit.runtime.clock import Clock


class Pulse:
    """Knows the calls under way. Every driver has deadlines of its own; this is for one that fails
    to keep them.
    """

    def __init__(self, clock: Clock, *, limit_s: float = math.inf) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._begun_s: dict[object, float] = {}

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around one call to a device."""
        mark = object()
        self._begun_s[mark] = self._clock.mono_s()
        try:
            yield
        finally:
            del self._begun_s[mark]

    def is_well(self) -> bool:
        """False while a call lasts longer than any may."""
        now_s = self._clock.mono_s()
        return all(now_s - begun_s <= self._limit_s for begun_s in self._begun_s.values())
