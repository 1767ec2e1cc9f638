"""Port `upstreams`: what other authorities' systems know, asked one question at a time.

    answer = await upstreams.ask(question, deadline_s=3.0)

Whatever goes wrong is an `UpstreamError` with its reason. Nobody's data stands in a question's
representation, in a fault, in a log or in a URL.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from hallkit.errors import LinkError
from hallkit.guide.deciding import wanted_of
from hallkit.model.conditions import Facts, FactValue
from hallkit.model.decision import Asked, Evidence, NoAnswer
from hallkit.model.item import Item
from hallkit.model.rules import RulePack, UpstreamCheck
from hallkit.runtime.clock import Clock

GRACE_S = 0.25
"""How long after its deadline a port that forgot it is waited for."""

Purpose = Literal["check", "push"]
"""`check` asks before the decision, `push` tells of an approval and hears what came of it."""


class UpstreamError(LinkError):
    """A system gave no answer; `reason` says why."""

    code = "upstream"

    def __init__(self, system: str, reason: NoAnswer, detail: str = "") -> None:
        self.system = system
        self.reason = reason
        self.retryable = reason not in (NoAnswer.REJECTED, NoAnswer.NOT_ASKED)
        text = f"{system}: {reason}"
        super().__init__(f"{text}: {detail}" if detail else text)


@dataclass(frozen=True, slots=True)
class Question:
    """What one system is asked for one application."""

    system: str
    item: str
    want: tuple[str, ...]
    """Fields, and no others, that it is to answer with."""
    key: str
    """Of the question: asked again under the same key, it is the same question."""
    facts: Mapping[str, FactValue] = field(repr=False)
    purpose: Purpose = "check"


@dataclass(frozen=True, slots=True)
class Answer:
    """What it knows; a field that it does not know is not there."""

    fields: Mapping[str, FactValue] = field(repr=False)
    at_ms: int


class HealthState(StrEnum):
    """How a system is."""

    UNKNOWN = "unknown"
    """Nobody asked yet."""
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class SystemHealth:
    """How a system is, why, and since when."""

    system: str
    state: HealthState
    reason: NoAnswer | None = None
    since_ms: int = 0


class Upstreams(Protocol):
    """Every system that the hall may ask."""

    async def ask(self, question: Question, *, deadline_s: float) -> Answer:
        """The answer, or `UpstreamError` within the deadline."""
        ...

    def health(self) -> Mapping[str, SystemHealth]:
        """How each system is now."""
        ...

    def changes(self) -> AbstractContextManager[AsyncIterator[SystemHealth]]:
        """Each change of a system's health from now on, while the block runs."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of asking several systems."""

    asked: tuple[Asked, ...]
    facts: Mapping[str, FactValue] = field(repr=False)
    """`upstream.<system>.<field>`."""


async def ask_all(
    upstreams: Upstreams,
    pack: RulePack,
    facts: Facts,
    clock: Clock,
    *,
    key: str,
    kinds: Iterable[str] = ("precheck", "decision"),
    purpose: Purpose = "check",
) -> Heard:
    """Ask every system that rules of these kinds wait for, at once, each within its own deadline.

    A system is asked for what is not decided without it, and with all that its check names or not
    at all: half of it might be somebody else's. Never raises for a system; what it did not say is
    `no_answer`.
    """
    wanted = wanted_of(pack, Evidence(facts=dict(facts)), kinds)

    async def one(check: UpstreamCheck) -> tuple[Asked, Mapping[str, FactValue]]:
        sent = {name: facts[name] for name in check.ask if facts.get(name) not in (None, "", ())}
        if len(sent) < len(check.ask):
            return Asked(system=check.system, no_answer=NoAnswer.NOT_ASKED), {}
        question = Question(
            system=check.system,
            item=pack.item,
            want=tuple(wanted[check.system]),
            key=f"{key}-{check.system}",
            facts=sent,
            purpose=purpose,
        )
        asked = Asked(system=check.system, facts=tuple(sent))
        deadline_s = check.deadline_ms / 1000
        try:
            async with asyncio.timeout(deadline_s + GRACE_S):
                answer = await upstreams.ask(question, deadline_s=deadline_s)
        except (UpstreamError, TimeoutError) as exc:
            why = exc.reason if isinstance(exc, UpstreamError) else NoAnswer.LATE
            return asked.model_copy(update={"no_answer": why, "at_ms": clock.wall_ms()}), {}
        told = {
            f"upstream.{check.system}.{name}": answer.fields[name]
            for name in question.want
            if name in answer.fields
        }
        return asked.model_copy(update={"at_ms": answer.at_ms}), told

    async with asyncio.TaskGroup() as tasks:
        started = [
            tasks.create_task(one(check), name=f"ask[{check.system}]")
            for check in pack.upstream
            if check.system in wanted
        ]
    done = [task.result() for task in started]
    return Heard(
        asked=tuple(asked for asked, _ in done),
        facts={name: value for _, told in done for name, value in told.items()},
    )


def waiting_for(
    items: Iterable[Item], health: Mapping[str, SystemHealth]
) -> dict[str, Sequence[str]]:
    """Items that can't be decided at once now, and the systems for which they wait."""
    down = {name for name, one in health.items() if one.state is HealthState.DOWN}
    found = {
        item.catalog_code: [system for system in item.upstream if system in down]
        for item in items
        if item.is_instant
    }
    return {code: systems for code, systems in found.items() if systems}
