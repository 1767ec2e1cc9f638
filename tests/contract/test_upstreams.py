"""What every connector to other systems does; the one over HTTP against the stand-in process."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from affairs.upstreams.http import HttpUpstreams
from affairs.upstreams.port import (
    HealthState,
    Question,
    SystemHealth,
    UpstreamError,
    Upstreams,
)
from drivers.sim.control import order
from hallkit.model.decision import NoAnswer
from hallkit.runtime.clock import SystemClock
from tests.fakes.rule_pack import ID_NUMBER
from tests.fakes.upstreams import FakeUpstreams
from tests.twins import tell

PATIENCE_S = 10.0
KNOWN = {"alive": True, "days_left": 30, "state": "in_force", "kinds": ["a", "b"]}
QUESTION = Question(
    system="population",
    item="nothing-of-the-catalogue",
    want=("alive", "days_left", "state", "kinds", "unheard_of"),
    key="01JGK0000000000000000000AA-population",
    facts={"applicant.id_number": ID_NUMBER},
)


class Bench(ABC):
    """Two systems, and who looks after them."""

    upstreams: Upstreams

    @abstractmethod
    async def break_(self, why: NoAnswer) -> None:
        """`population` fails so from now on."""

    @abstractmethod
    async def mend(self) -> None: ...

    @abstractmethod
    async def look(self) -> None:
        """As whoever watches would, until a change would be known."""


class FakeBench(Bench):
    def __init__(self) -> None:
        answers: Any = {**KNOWN, "kinds": ("a", "b"), "unwanted": 1}
        self.fake = FakeUpstreams(SystemClock(), population=answers, tax={})
        self.upstreams = self.fake

    async def break_(self, why: NoAnswer) -> None:
        self.fake.fail("population", why)

    async def mend(self) -> None:
        self.fake.mend("population")

    async def look(self) -> None:
        await asyncio.sleep(0)


class HttpBench(Bench):
    FAULTS = {
        NoAnswer.DOWN: "down",
        NoAnswer.LATE: "silent",
        NoAnswer.GARBLED: "garbled",
        NoAnswer.REJECTED: "refuse",
    }

    def __init__(self, http: HttpUpstreams, control: Path) -> None:
        self.upstreams = self.http = http
        self._control = control

    async def break_(self, why: NoAnswer) -> None:
        await order(self._control, "fault.set", system="population", fault=self.FAULTS[why])

    async def mend(self) -> None:
        await order(self._control, "fault.clear", system="population")

    async def look(self) -> None:
        for _ in range(3):
            await self.http.look()


@pytest.fixture(params=["fake", pytest.param("http", marks=pytest.mark.wire)])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    control: Path = request.getfixturevalue("upstream_twin")
    tell(control, "answers.set", system="population", who=ID_NUMBER, answers=KNOWN)
    port = tell(control, "state")["state"]["port"]
    addresses = {name: f"http://127.0.0.1:{port}/systems/{name}" for name in ("population", "tax")}
    async with HttpUpstreams(addresses, SystemClock(), rest_s=0.001) as http:
        yield HttpBench(http, control)


async def test_it_answers_what_was_wanted_and_known(bench: Bench) -> None:
    answer = await bench.upstreams.ask(QUESTION, deadline_s=PATIENCE_S)
    assert answer.fields == {**KNOWN, "kinds": ("a", "b")}


@pytest.mark.parametrize(
    ("why", "deadline_s"),
    [
        (NoAnswer.DOWN, PATIENCE_S),
        (NoAnswer.LATE, 0.05),
        (NoAnswer.GARBLED, PATIENCE_S),
        (NoAnswer.REJECTED, PATIENCE_S),
    ],
)
async def test_each_fault_has_its_reason_and_hurts_no_other_system(
    bench: Bench, why: NoAnswer, deadline_s: float
) -> None:
    await bench.break_(why)
    with pytest.raises(UpstreamError) as caught:
        await bench.upstreams.ask(QUESTION, deadline_s=deadline_s)
    assert (caught.value.system, caught.value.reason) == ("population", why)
    assert ID_NUMBER not in str(caught.value)
    other = Question("tax", "i", (), "k", {})
    assert (await bench.upstreams.ask(other, deadline_s=PATIENCE_S)).fields == {}


async def test_it_answers_again_once_it_is_mended(bench: Bench) -> None:
    await bench.break_(NoAnswer.GARBLED)
    with pytest.raises(UpstreamError):
        await bench.upstreams.ask(QUESTION, deadline_s=PATIENCE_S)
    await bench.mend()
    assert (await bench.upstreams.ask(QUESTION, deadline_s=PATIENCE_S)).fields


async def test_a_system_that_goes_down_is_known_before_anybody_asks_it(bench: Bench) -> None:
    with bench.upstreams.changes() as changes:
        await bench.break_(NoAnswer.DOWN)
        await bench.look()
        down = await _next(changes, HealthState.DOWN)
        assert down.reason is NoAnswer.DOWN
        assert bench.upstreams.health()["population"] == down
        await bench.mend()
        async with asyncio.timeout(PATIENCE_S):
            while bench.upstreams.health()["population"].state is HealthState.DOWN:
                await bench.look()
        assert (await _next(changes, HealthState.UP)).reason is None


async def _next(changes: AsyncIterator[SystemHealth], state: HealthState) -> SystemHealth:
    """The next change of `population` to this state."""
    async with asyncio.timeout(PATIENCE_S):
        async for change in changes:
            if (change.system, change.state) == ("population", state):
                return change
    raise AssertionError("there are no more changes")
