"""Other authorities' systems that say what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager

from affairs.upstreams.port import Answer, HealthState, Question, SystemHealth, UpstreamError
from hallkit.model.conditions import FactValue
from hallkit.model.decision import NoAnswer
from hallkit.runtime.clock import Clock


class FakeUpstreams:
    """Implements `Upstreams`; remembers what it was asked."""

    def __init__(self, clock: Clock, **answers: Mapping[str, FactValue]) -> None:
        self._clock = clock
        self._answers = dict(answers)
        self._faults: dict[str, NoAnswer] = {}
        self._health = {
            name: SystemHealth(name, HealthState.UP, since_ms=clock.wall_ms()) for name in answers
        }
        self._listeners: set[asyncio.Queue[SystemHealth]] = set()
        self.asked: list[Question] = []
        self.gate: asyncio.Event | None = None
        """While there is one and it is not set, nobody is answered."""
        self.forgets_deadlines = False

    def fail(self, system: str, why: NoAnswer) -> None:
        self._faults[system] = why
        self._tell(SystemHealth(system, HealthState.DOWN, why, self._clock.wall_ms()))

    def mend(self, system: str) -> None:
        self._faults.pop(system, None)
        self._tell(SystemHealth(system, HealthState.UP, None, self._clock.wall_ms()))

    async def ask(self, question: Question, *, deadline_s: float) -> Answer:
        self.asked.append(question)
        if self.gate is not None:
            await self.gate.wait()
        if self.forgets_deadlines:
            await asyncio.Event().wait()
        why = self._faults.get(question.system)
        if why is None and question.system not in self._answers:
            why = NoAnswer.DOWN
        if why is not None:
            raise UpstreamError(question.system, why)
        told = self._answers[question.system]
        fields = {name: told[name] for name in question.want if name in told}
        return Answer(fields, self._clock.wall_ms())

    def health(self) -> Mapping[str, SystemHealth]:
        return dict(self._health)

    @contextmanager
    def changes(self) -> Iterator[AsyncIterator[SystemHealth]]:
        queue: asyncio.Queue[SystemHealth] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield _each(queue)
        finally:
            self._listeners.discard(queue)

    def _tell(self, health: SystemHealth) -> None:
        if self._health.get(health.system, health).state is not health.state:
            for queue in self._listeners:
                queue.put_nowait(health)
        self._health[health.system] = health


async def _each(queue: asyncio.Queue[SystemHealth]) -> AsyncIterator[SystemHealth]:
    while True:
        yield await queue.get()
