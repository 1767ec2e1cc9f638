"""When a system that fails is left alone: closed → open → half open → closed. Pure.

    leave = breaker.admit(now_s)      None: don't ask
    breaker.succeeded(leave) · breaker.failed(leave, now_s) · breaker.withdrawn(leave)

After `limit` failures in a row it opens for a rest; then one caller tries for all, and everybody
else is told no until that one is back. Each rest is twice as long as the last, until a question is
answered: a sign of life alone closes it but does not shorten the next rest. What comes back from
before a change is not heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Circuit(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Leave:
    """That one call may go out."""

    age: int
    """Changes of the circuit before it."""


@dataclass(slots=True)
class Breaker:
    """The circuit of one system. Times are seconds that only go forward."""

    limit: int = 3
    rest_s: float = 2.0
    rest_cap_s: float = 60.0
    _circuit: Circuit = field(default=Circuit.CLOSED, init=False)
    _age: int = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _rests: int = field(default=0, init=False)
    _until_s: float = field(default=0.0, init=False)
    _tried: bool = field(default=False, init=False)

    @property
    def circuit(self) -> Circuit:
        return self._circuit

    @property
    def doubted(self) -> bool:
        """Closed, and failed last."""
        return self._circuit is Circuit.CLOSED and self._failures > 0

    def rest_left_s(self, now_s: float) -> float:
        """How long until somebody may try; 0 if now."""
        return max(0.0, self._until_s - now_s) if self._circuit is Circuit.OPEN else 0.0

    def admit(self, now_s: float) -> Leave | None:
        """Leave to call, or None."""
        if self._circuit is Circuit.OPEN and now_s >= self._until_s:
            self._change(Circuit.HALF_OPEN)
        if self._circuit is Circuit.CLOSED:
            return Leave(self._age)
        if self._circuit is Circuit.OPEN or self._tried:
            return None
        self._tried = True
        return Leave(self._age)

    def succeeded(self, leave: Leave, *, sign_of_life: bool = False) -> None:
        """It answered; `sign_of_life`: it said that it is well, and was asked nothing else."""
        if leave.age != self._age:
            return
        if self._circuit is Circuit.HALF_OPEN:
            self._change(Circuit.CLOSED)
        if not sign_of_life:
            self._failures = self._rests = 0

    def failed(self, leave: Leave, now_s: float) -> None:
        if leave.age != self._age:
            return
        self._failures += 1
        if self._circuit is Circuit.HALF_OPEN or self._failures >= self.limit:
            self._until_s = now_s + min(self.rest_cap_s, self.rest_s * 2 ** min(self._rests, 16))
            self._rests += 1
            self._change(Circuit.OPEN)

    def withdrawn(self, leave: Leave) -> None:
        """The caller went away before it knew: somebody else may try."""
        if leave.age == self._age:
            self._tried = False

    def _change(self, circuit: Circuit) -> None:
        self._circuit = circuit
        self._age += 1
        self._failures = 0
        self._tried = False
