"""Reconnection delays: exponential with full jitter, so that a fleet does not come back at once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays in seconds: uniform between 0 and base·2ⁿ, at most cap (AWS "full jitter")."""

    base_s: float = 0.5
    cap_s: float = 300.0
    _attempt: int = field(default=0, init=False)
    _random: random.Random = field(default_factory=random.SystemRandom, repr=False)

    def next_s(self) -> float:
        ceiling = min(self.cap_s, self.base_s * 2 ** min(self._attempt, 32))
        self._attempt += 1
        return self._random.uniform(0, ceiling)

    def reset(self) -> None:
        self._attempt = 0
