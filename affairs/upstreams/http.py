"""Systems that speak JSON over HTTP: what the stand-ins speak, and what a gateway would.

    POST <address>/ask      {"item", "purpose", "want", "facts"}  →  {"answers": {field: value}}
    GET  <address>/health   2xx

Each system has a pool and a circuit of its own, so that a silent one takes nothing from the others.
A question is asked again under its key while time is left. `watch` looks after every system, so
that one that is down is known before anybody needs it.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self
from urllib.parse import urlsplit

import httpx

from affairs.upstreams.breaker import Breaker, Circuit, Leave
from affairs.upstreams.port import Answer, HealthState, Question, SystemHealth, UpstreamError
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.model.conditions import FactValue
from hallkit.model.decision import NoAnswer
from hallkit.runtime.backoff import Backoff
from hallkit.runtime.clock import Clock
from hallkit.runtime.log import get_logger

ATTEMPTS = 4
CONNECTIONS = 32
"""To one system at once; who comes later waits within the deadline."""
ANSWER_LIMIT = 256 * 1024
TEXT_LIMIT = 2000
PROBE_DEADLINE_S = 2.0
WATCH_EVERY_S = 10.0
DOUBT_PAUSE_S = 0.5
"""Between two looks at a system that has just failed one."""
_HALF = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can write and UTF-8 can't."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_WHOLE = 2**53
"""Up to here whole numbers mean the same to everybody who reads JSON."""
_CANNOT_NOW = frozenset({408, 425, 429})


@dataclass(slots=True)
class _System:
    name: str
    http: httpx.AsyncClient
    breaker: Breaker
    health: SystemHealth
    reason: NoAnswer = field(default=NoAnswer.DOWN)
    """Why it failed last."""


class HttpUpstreams:
    """Implements `Upstreams`; use it as a context manager."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        clock: Clock,
        *,
        context: ssl.SSLContext | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        limit: int = 3,
        rest_s: float = 2.0,
    ) -> None:
        """`addresses`: system → the URL before `/ask`, plain HTTP on this computer only."""
        _refuse_addresses(addresses)
        shared = context or ssl.create_default_context()
        self._clock = clock
        self._log = get_logger()
        self._listeners: set[asyncio.Queue[SystemHealth]] = set()
        self._exit = AsyncExitStack()
        self._systems = {
            name: _System(
                name,
                httpx.AsyncClient(
                    base_url=address.rstrip("/"),
                    verify=shared,
                    transport=transport,
                    timeout=None,  # noqa: S113  # each question has its own deadline around it
                    limits=httpx.Limits(max_connections=CONNECTIONS),
                    follow_redirects=False,
                    trust_env=False,  # a proxy of the environment must not see citizens' data
                ),
                Breaker(limit=limit, rest_s=rest_s),
                SystemHealth(name, HealthState.UNKNOWN, since_ms=clock.wall_ms()),
            )
            for name, address in addresses.items()
        }

    async def __aenter__(self) -> Self:
        for system in self._systems.values():
            await self._exit.enter_async_context(system.http)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

    # ── Asking ───────────────────────────────────────────────────────────────────────────────

    async def ask(self, question: Question, *, deadline_s: float) -> Answer:
        """The answer, or `UpstreamError` within the deadline."""
        system = self._systems.get(question.system)
        if system is None:
            raise UpstreamError(question.system, NoAnswer.DOWN, "no address is configured")
        leave = self._admit(system)
        try:
            answer = await self._within(system, question, deadline_s)
        except UpstreamError as exc:
            if exc.reason is NoAnswer.REJECTED:  # it lives, and says no
                self._succeeded(system, leave)
            else:
                self._failed(system, leave, exc.reason)
            raise
        except BaseException:  # cancelled, or our own fault: the system has no part in it
            system.breaker.withdrawn(leave)
            raise
        self._succeeded(system, leave)
        return answer

    async def _within(self, system: _System, question: Question, deadline_s: float) -> Answer:
        last: UpstreamError | None = None
        give_up_at_s = self._clock.mono_s() + deadline_s
        backoff = Backoff(base_s=0.05, cap_s=1.0)
        try:
            async with asyncio.timeout(deadline_s):
                for _ in range(ATTEMPTS):
                    try:
                        return await self._once(system, question)
                    except UpstreamError as exc:
                        last = exc
                        pause_s = backoff.next_s()
                        if not exc.retryable or self._clock.mono_s() + pause_s >= give_up_at_s:
                            raise
                        await self._clock.sleep(pause_s)
        except TimeoutError:
            if last is None:
                why = f"nothing within {deadline_s:g} s"
                raise UpstreamError(system.name, NoAnswer.LATE, why) from None
        if last is None:  # unreachable: every attempt ends in an answer or a fault
            raise UpstreamError(system.name, NoAnswer.DOWN)
        raise last

    async def _once(self, system: _System, question: Question) -> Answer:
        body = {
            "item": question.item,
            "purpose": question.purpose,
            "want": list(question.want),
            "facts": dict(question.facts),
        }
        headers = {"Idempotency-Key": question.key, "Content-Type": "application/json"}
        headers["Accept-Encoding"] = "identity"
        content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        try:
            async with system.http.stream(
                "POST", "/ask", content=content, headers=headers
            ) as response:
                _refuse_status(system.name, response.status_code)
                said = await _read(system.name, response)
        except httpx.HTTPError as exc:
            raise UpstreamError(system.name, NoAnswer.DOWN, type(exc).__name__) from exc
        return Answer(_fields(system.name, said, question.want), self._clock.wall_ms())

    # ── Health ───────────────────────────────────────────────────────────────────────────────

    def health(self) -> Mapping[str, SystemHealth]:
        """How each system is now."""
        return {name: system.health for name, system in self._systems.items()}

    @contextmanager
    def changes(self) -> Iterator[AsyncIterator[SystemHealth]]:
        """Each change of a system's health from now on, while the block runs."""
        queue: asyncio.Queue[SystemHealth] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            yield _each(queue)
        finally:
            self._listeners.discard(queue)

    async def watch(self, every_s: float = WATCH_EVERY_S) -> None:
        """Look after every system until cancelled; ends at once where there is none."""
        async with asyncio.TaskGroup() as tasks:
            for system in self._systems.values():
                tasks.create_task(self._watch(system, every_s), name=f"watch[{system.name}]")

    async def look(self) -> None:
        """Ask every system once how it is."""
        async with asyncio.TaskGroup() as tasks:
            for system in self._systems.values():
                tasks.create_task(self._probe(system), name=f"look[{system.name}]")

    async def _watch(self, system: _System, every_s: float) -> NoReturn:
        while True:
            await self._probe(system)
            if system.breaker.circuit is Circuit.OPEN:
                pause_s = system.breaker.rest_left_s(self._clock.mono_s())
            else:
                pause_s = DOUBT_PAUSE_S if system.breaker.doubted else every_s
            await self._clock.sleep(max(pause_s, 0.01))

    async def _probe(self, system: _System) -> None:
        leave = system.breaker.admit(self._clock.mono_s())
        if leave is None:
            return
        try:
            async with asyncio.timeout(PROBE_DEADLINE_S):
                response = await system.http.get("/health")
                _refuse_status(system.name, response.status_code)
        except TimeoutError:
            self._failed(system, leave, NoAnswer.LATE)
        except httpx.HTTPError:
            self._failed(system, leave, NoAnswer.DOWN)
        except UpstreamError as exc:
            if exc.reason is NoAnswer.REJECTED:  # whoever says no is alive
                self._succeeded(system, leave, sign_of_life=True)
            else:
                self._failed(system, leave, exc.reason)
        except BaseException:  # cancelled, or our own fault: the system has no part in it
            system.breaker.withdrawn(leave)
            raise
        else:
            self._succeeded(system, leave, sign_of_life=True)

    def _admit(self, system: _System) -> Leave:
        leave = system.breaker.admit(self._clock.mono_s())
        if leave is None:
            raise UpstreamError(system.name, NoAnswer.SHUT_OFF, f"after {system.reason}")
        return leave

    def _succeeded(self, system: _System, leave: Leave, *, sign_of_life: bool = False) -> None:
        system.breaker.succeeded(leave, sign_of_life=sign_of_life)
        if system.breaker.circuit is Circuit.CLOSED:
            self._tell(system, HealthState.UP, None)

    def _failed(self, system: _System, leave: Leave, reason: NoAnswer) -> None:
        system.breaker.failed(leave, self._clock.mono_s())
        system.reason = reason
        if system.breaker.circuit is Circuit.OPEN:
            self._tell(system, HealthState.DOWN, reason)

    def _tell(self, system: _System, state: HealthState, reason: NoAnswer | None) -> None:
        """Once a change."""
        before = system.health.state
        if before is state:
            return
        system.health = SystemHealth(system.name, state, reason, self._clock.wall_ms())
        if state is HealthState.DOWN:
            self._log.warning("upstream.down", system=system.name, reason=reason)
        elif before is HealthState.DOWN:
            self._log.info("upstream.up", system=system.name)
        for queue in self._listeners:
            queue.put_nowait(system.health)


def _refuse_addresses(addresses: Mapping[str, str]) -> None:
    """Nobody's data goes over a network in clear."""
    problems = []
    for name, address in addresses.items():
        parts = urlsplit(address)
        near = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (near or parts.scheme == "https"):
            told = f"{address!r} is no https address"
            problems.append(ConfigProblem("upstreams", name, told, "http is for 127.0.0.1 only"))
    if problems:
        raise ConfigError(problems)


async def _each(queue: asyncio.Queue[SystemHealth]) -> AsyncIterator[SystemHealth]:
    while True:
        yield await queue.get()


def _refuse_status(system: str, status: int) -> None:
    if 200 <= status < 300:
        return
    told = f"status {status}"
    if status >= 500 or status in _CANNOT_NOW:
        raise UpstreamError(system, NoAnswer.DOWN, told)
    if status >= 400:
        raise UpstreamError(system, NoAnswer.REJECTED, told)
    raise UpstreamError(system, NoAnswer.GARBLED, told)


async def _read(system: str, response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():  # a small answer that unpacks to a huge one is none
        content += chunk
        if len(content) > ANSWER_LIMIT:
            raise UpstreamError(system, NoAnswer.GARBLED, "the answer does not end")
    return bytes(content)


def _fields(system: str, content: bytes, want: tuple[str, ...]) -> dict[str, FactValue]:
    """The wanted fields that it knows; what is no value of a fact makes the whole answer none."""
    try:
        told: Any = json.loads(content)
        answers = told["answers"]
        found = {name: answers[name] for name in want if answers.get(name) is not None}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UpstreamError(system, NoAnswer.GARBLED, "no answers in it") from None
    values: dict[str, FactValue] = {}
    for name, value in found.items():
        if not _is_value(value):
            raise UpstreamError(system, NoAnswer.GARBLED, f"{name} is a {type(value).__name__}")
        values[name] = tuple(value) if isinstance(value, list) else value
    return values


def _is_value(value: object) -> bool:
    match value:
        case bool():
            return True
        case int():
            return abs(value) <= _WHOLE
        case float():
            return math.isfinite(value)
        case str():
            return len(value) <= TEXT_LIMIT and _HALF.search(value) is None
        case list():
            return all(isinstance(word, str) and _is_value(word) for word in value)
        case _:
            return False
