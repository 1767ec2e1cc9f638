"""Asking over HTTP: again under the same key, within the deadline, nobody's data in the open."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from affairs.upstreams.http import ANSWER_LIMIT, ATTEMPTS, HttpUpstreams, _fields
from affairs.upstreams.port import HealthState, Question, UpstreamError
from hallkit.errors import ConfigError
from hallkit.model.canonical import canonical
from hallkit.model.decision import Evidence, NoAnswer
from tests.fakes.clock import FakeClock, HastyClock
from tests.fakes.rule_pack import ID_NUMBER

QUESTION = Question(
    system="population",
    item="senior-card",
    want=("alive", "state"),
    key="01JGK0000000000000000000AA-population",
    facts={"applicant.id_number": ID_NUMBER},
)
WELL = httpx.Response(200, json={"answers": {"alive": True, "state": "in_force", "age": 84}})
Script = Iterator[httpx.Response | Exception]


class Body(httpx.AsyncByteStream):
    """Comes in pieces, as from a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._content), 4096):
            yield self._content[start : start + 4096]


class Wire:
    """Answers what a script says, and keeps what was asked."""

    def __init__(self, *script: httpx.Response | Exception) -> None:
        self._script = iter(script)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        said = next(self._script, WELL)
        if isinstance(said, Exception):
            raise said
        return httpx.Response(said.status_code, headers=said.headers, stream=Body(said.content))


def upstreams(answer: Callable[[httpx.Request], Any], **more: Any) -> HttpUpstreams:
    clock = more.pop("clock", None) or HastyClock()
    return HttpUpstreams(
        {"population": "https://gateway.test/population"},
        clock,
        transport=httpx.MockTransport(answer),
        **more,
    )


async def reason(ours: HttpUpstreams, question: Question = QUESTION) -> NoAnswer:
    with pytest.raises(UpstreamError) as caught:
        await ours.ask(question, deadline_s=3.0)
    assert ID_NUMBER not in str(caught.value)
    return caught.value.reason


async def test_it_keeps_what_was_wanted() -> None:
    async with upstreams(Wire()) as ours:
        answer = await ours.ask(QUESTION, deadline_s=3.0)
    assert answer.fields == {"alive": True, "state": "in_force"}


async def test_what_a_system_does_not_know_is_not_there() -> None:
    wire = Wire(httpx.Response(200, json={"answers": {"alive": None}}))
    async with upstreams(wire) as ours:
        assert (await ours.ask(QUESTION, deadline_s=3.0)).fields == {}


async def test_personal_data_is_in_the_body_alone() -> None:
    wire = Wire(httpx.Response(500), WELL)
    with structlog.testing.capture_logs() as logged:
        async with upstreams(wire) as ours:
            await ours.ask(QUESTION, deadline_s=3.0)
    for request in wire.requests:
        assert ID_NUMBER not in str(request.url)
        assert ID_NUMBER not in str(request.headers)
        assert json.loads(request.content) == {
            "item": "senior-card",
            "purpose": "check",
            "want": ["alive", "state"],
            "facts": {"applicant.id_number": ID_NUMBER},
        }
    assert ID_NUMBER not in str(logged)
    assert ID_NUMBER not in repr(QUESTION)


@pytest.mark.parametrize(
    "bad",
    [
        httpx.ConnectError("refused"),
        httpx.RemoteProtocolError("cut off"),
        httpx.Response(503),
        httpx.Response(429),
        httpx.Response(200, content=b'{"answers": {"ali'),
    ],
    ids=str,
)
async def test_what_may_pass_is_asked_again_under_the_same_key(
    bad: httpx.Response | Exception,
) -> None:
    wire = Wire(bad, bad, WELL)
    async with upstreams(wire) as ours:
        await ours.ask(QUESTION, deadline_s=3.0)
    keys = [request.headers["Idempotency-Key"] for request in wire.requests]
    assert keys == [QUESTION.key] * 3


@pytest.mark.parametrize(
    ("said", "why", "times"),
    [
        (httpx.ConnectError("refused"), NoAnswer.DOWN, ATTEMPTS),
        (httpx.Response(500), NoAnswer.DOWN, ATTEMPTS),
        (httpx.Response(403), NoAnswer.REJECTED, 1),
        (httpx.Response(302, headers={"Location": "/elsewhere"}), NoAnswer.GARBLED, ATTEMPTS),
        *(
            (httpx.Response(200, content=content), NoAnswer.GARBLED, ATTEMPTS)
            for content in (
                b"",
                b"\xff\xfe",
                b"[]",
                b'{"answers": []}',
                b'{"answers": {"alive": {"value": true}}}',
                b'{"answers": {"alive": NaN}}',
                b'{"answers": {"alive": [1]}}',
                b'{"answers": {"alive": "\\ud800"}}',
                b'{"answers": {"alive": ["\\ud800"]}}',
                b'{"answers": {"alive": 1' + b"0" * 400 + b"}}",
                b"[" * 100_000,
                b" " * (ANSWER_LIMIT + 1),
                gzip.compress(b'{"answers": {}}'),
            )
        ),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_each_fault_has_its_reason(
    said: httpx.Response | Exception, why: NoAnswer, times: int
) -> None:
    wire = Wire(*[said] * 10)
    async with upstreams(wire) as ours:
        assert await reason(ours) is why
    assert len(wire.requests) == times


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part) | st.dictionaries(st.sampled_from(["answers", "alive"]), part),
)


@given(st.binary() | ANYTHING.map(lambda said: json.dumps({"answers": {"alive": said}}).encode()))
def test_whatever_comes_is_a_value_that_can_be_kept_or_garbled(content: bytes) -> None:
    try:
        fields = _fields("population", content, ("alive", "answers"))
    except UpstreamError:
        return
    facts = {f"upstream.population.{name}": value for name, value in fields.items()}
    kept = canonical(Evidence(facts=facts))
    assert canonical(Evidence.model_validate_json(kept)) == kept


async def test_no_try_begins_after_the_deadline() -> None:
    clock = HastyClock()

    def slow(request: httpx.Request) -> httpx.Response:
        clock.advance(3.0)
        return httpx.Response(503)

    wire = Wire()
    async with upstreams(lambda request: (wire(request), slow(request))[1], clock=clock) as ours:
        assert await reason(ours) is NoAnswer.DOWN
    assert len(wire.requests) == 1


async def test_silence_ends_at_the_deadline() -> None:
    async def silent(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return WELL

    async with upstreams(silent) as ours:
        with pytest.raises(UpstreamError) as caught:
            await ours.ask(QUESTION, deadline_s=0.01)
    assert caught.value.reason is NoAnswer.LATE


async def test_a_system_without_an_address_is_down() -> None:
    async with HttpUpstreams({}, HastyClock()) as ours:
        assert await reason(ours) is NoAnswer.DOWN


@pytest.mark.parametrize("address", ["http://gateway.test", "ftp://127.0.0.1", "gateway", ""])
def test_nobodys_data_goes_over_a_network_in_clear(address: str) -> None:
    with pytest.raises(ConfigError, match="population"):
        HttpUpstreams({"population": address}, FakeClock())


# ── The circuit, and health ──────────────────────────────────────────────────────────────────


async def test_a_system_that_keeps_failing_is_not_asked_until_it_has_rested() -> None:
    clock = FakeClock()
    wire = Wire(*[httpx.Response(403)] * 3, *[httpx.ConnectError("refused")] * 3)
    quick = Question("population", "i", (), "k", {})
    async with upstreams(wire, clock=clock) as ours:
        for _ in range(3):
            assert await reason(ours, quick) is NoAnswer.REJECTED
        for _ in range(3):
            with pytest.raises(UpstreamError):
                await ours.ask(quick, deadline_s=0.0)  # no time for a second try
        asked = len(wire.requests)
        assert await reason(ours, quick) is NoAnswer.SHUT_OFF
        assert len(wire.requests) == asked
        clock.advance(2.0)
        await ours.ask(quick, deadline_s=3.0)


async def test_whoever_tries_for_all_and_is_cancelled_leaves_it_to_the_next() -> None:
    clock, answered = FakeClock(), asyncio.Event()
    wire = Wire(*[httpx.Response(500)] * 3)

    async def answer(request: httpx.Request) -> httpx.Response:
        if len(wire.requests) == 3:
            await answered.wait()
        return wire(request)

    async with upstreams(answer, clock=clock) as ours:
        for _ in range(3):
            await ours.look()
        clock.advance(2.0)
        trial = asyncio.create_task(ours.ask(QUESTION, deadline_s=3.0))
        await asyncio.sleep(0)
        assert await reason(ours) is NoAnswer.SHUT_OFF
        trial.cancel()
        await asyncio.gather(trial, return_exceptions=True)
        answered.set()
        assert (await ours.ask(QUESTION, deadline_s=3.0)).fields


async def test_each_change_of_health_is_told_and_logged_once() -> None:
    clock = FakeClock()
    wire = Wire(*[httpx.ConnectError("refused")] * 4)
    with structlog.testing.capture_logs() as logged:
        async with upstreams(wire, clock=clock) as ours:
            with ours.changes() as changes:
                assert ours.health()["population"].state is HealthState.UNKNOWN
                for _ in range(3):
                    await ours.look()
                down = await anext(changes)
                assert (down.state, down.reason) == (HealthState.DOWN, NoAnswer.DOWN)
                clock.advance(2.0)
                await ours.look()  # the fourth failure changes nothing
                clock.advance(4.0)
                await ours.look()
                up = await anext(changes)
    assert (up.state, up.reason) == (HealthState.UP, None)
    assert up.since_ms == clock.wall_ms()
    assert ours.health()["population"] == up
    assert [entry["event"] for entry in logged] == ["upstream.down", "upstream.up"]


@pytest.fixture
async def watched() -> AsyncIterator[tuple[FakeClock, Wire, HttpUpstreams]]:
    clock, wire = FakeClock(), Wire()
    async with upstreams(wire, clock=clock) as ours:
        task = asyncio.create_task(ours.watch(10.0))
        yield clock, wire, ours
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_whoever_watches_looks_again_and_sooner_where_there_is_doubt(
    watched: tuple[FakeClock, Wire, HttpUpstreams],
) -> None:
    clock, wire, ours = watched
    await clock.until_sleeping()
    assert ours.health()["population"].state is HealthState.UP
    wire._script = iter([httpx.Response(500)] * 3)
    for pause_s, state in (
        (10.0, HealthState.UP),
        (0.5, HealthState.UP),
        (0.5, HealthState.DOWN),
        (2.0, HealthState.UP),
    ):
        clock.advance(pause_s)
        await asyncio.sleep(0)
        await clock.until_sleeping()
        assert ours.health()["population"].state is state


async def test_a_system_that_was_well_from_the_start_is_no_news_for_the_log() -> None:
    with structlog.testing.capture_logs() as logged:
        async with upstreams(Wire()) as ours:
            with ours.changes() as changes:
                await ours.look()
                assert (await anext(changes)).state is HealthState.UP
    assert logged == []


async def test_nothing_to_watch_is_no_fault() -> None:
    async with HttpUpstreams({}, FakeClock()) as ours:
        await ours.watch()
