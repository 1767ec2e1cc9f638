"""Instant approval: what a decision takes beside what its systems take.

The systems are the stand-in's process over loopback HTTP, each answering after 100 ms. A decision
is everything between the application and the kept receipt: asking, deciding, signing, sealing; the
store is one in memory. The peer fetches the same answers with a bare httpx client, in parallel. A
share of the decisions is made many at once, as on a busy morning. The evaluator is measured alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.catalogue_source import load
from affairs.decisions import Application, Decisions, Kept, record_of
from affairs.sealing import KEY_BYTES, Sealer
from affairs.upstream import load_upstream
from affairs.upstreams.http import HttpUpstreams
from affairs.upstreams.port import ask_all
from drivers.sim.control import order
from hallkit.guide.deciding import decide, replay, system_of, wanted_of, way_of
from hallkit.guide.forms import rule_facts
from hallkit.guide.rule_cases import approving, evidence_of
from hallkit.model.decision import Evidence, Verdict
from hallkit.model.ids import new_id
from hallkit.runtime.clock import SystemClock
from launcher.figures import Figure, Measure, percentile

ITEM = "childcare-subsidy"
"""Asks two systems and has six rules."""
LATENCY_MS = 100
ROUNDS = 100
AT_ONCE = 16
PURE_ROUNDS = 2_000
LIMIT_MS = 300.0


class _Memory:
    """A store that is as quick as can be."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Kept]] = {}

    async def keep(self, kept: Kept) -> Kept:
        self.rows.setdefault(kept.case, []).append(kept)
        return kept

    async def load(self, case: str) -> tuple[Kept, ...]:
        return tuple(self.rows.get(case, ()))


def _application() -> Application:
    content = load()
    item = next(item for item in content.items if item.catalog_code == ITEM)
    pack = next(pack for pack in content.rule_packs if pack.item == ITEM)
    form = next(form for form in content.forms if form.code == item.form)
    facts = approving(pack, rule_facts([one.system for one in pack.upstream], item, form)) or {}
    own = {name: value for name, value in facts.items() if not system_of(name)}
    return Application("case", item, pack, own)


async def instant(_: Path) -> list[Figure]:
    """Decisions one after the other and many at once, beside the bare fetch."""
    application = _application()
    async with _stand_in() as base:
        addresses = {name: f"{base}/systems/{name}" for name in load_upstream()}
        async with (
            HttpUpstreams(addresses, SystemClock()) as upstreams,
            httpx.AsyncClient(trust_env=False) as bare,
        ):
            decisions = Decisions(
                upstreams,
                _Memory(),
                Sealer(b"k" * KEY_BYTES),
                Ed25519PrivateKey.generate(),
                SystemClock(),
            )

            async def ours() -> None:
                one = Application(new_id(), application.item, application.pack, application.facts)
                decided = await decisions.decide(one, decision_id=new_id())
                if decided.decision.verdict is not Verdict.APPROVED:
                    raise RuntimeError(f"not approved: {decided.decision.reasons}")

            async def peer() -> None:
                await _fetch(bare, base, application)

            await _timed(ours, AT_ONCE, AT_ONCE)  # connections are made
            await _timed(peer, AT_ONCE, AT_ONCE)
            figures = []
            for name, together in (("", 1), (f".{AT_ONCE}", AT_ONCE)):
                own = await _timed(ours, ROUNDS, together)
                theirs = await _timed(peer, ROUNDS, together)
                told = f"bare httpx, the same two answers at once, {LATENCY_MS} ms each"
                figures += [
                    Figure(
                        f"decisions.instant{name}.p{percent}",
                        percentile(own, percent),
                        "ms",
                        told,
                        percentile(theirs, percent),
                        LIMIT_MS if percent == 95 else None,
                    )
                    for percent in (50, 95)
                ]
    return figures


async def pure(_: Path) -> list[Figure]:
    """The evaluator alone, and a record decided again."""
    application = _application()
    content = load()
    facts = approving(application.pack) or {}
    evidence = evidence_of(application.pack, facts)
    way = way_of(application.item, facts)
    took = []
    for _round in range(PURE_ROUNDS):
        start = time.perf_counter()
        decide(application.pack, evidence, way)
        took.append(1e6 * (time.perf_counter() - start))
    record = record_of(application, evidence, decision_id=new_id(), at_ms=0)
    again = []
    for _round in range(PURE_ROUNDS // 10):
        start = time.perf_counter()
        if replay(record):
            raise RuntimeError("a record that differs from itself")
        again.append(1e6 * (time.perf_counter() - start))
    told = f"{len(application.pack.rules)} rules; {len(content.rule_packs)} packs are authored"
    return [
        Figure("decisions.pure.p50", percentile(took, 50), "µs", told),
        Figure("decisions.pure.p95", percentile(took, 95), "µs", told),
        Figure("decisions.replay.p50", percentile(again, 50), "µs"),
    ]


async def silent(folder: Path) -> list[Figure]:
    """Decisions while one of the two systems never answers: how many wait for it in vain."""
    application = _application()
    pack = application.pack
    control = folder / "control"
    async with _stand_in("--control", str(control)) as base:
        await order(control, "fault.set", system=pack.upstream[0].system, fault="silent")
        addresses = {name: f"{base}/systems/{name}" for name in load_upstream()}
        async with HttpUpstreams(addresses, SystemClock()) as upstreams:
            took = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                await ask_all(upstreams, pack, application.facts, SystemClock(), key=new_id())
                took.append(1000 * (time.perf_counter() - start))
    deadline_ms = pack.upstream[0].deadline_ms
    told = f"of {ROUNDS} one after the other, {deadline_ms} ms each; the circuit opens after three"
    waited = sum(one >= deadline_ms for one in took)
    return [
        Figure("decisions.silent.waited", waited, "", told),
        Figure("decisions.silent.p50", percentile(took, 50), "ms", limit=LIMIT_MS),
    ]


async def _timed(what: Callable[[], Awaitable[None]], rounds: int, together: int) -> list[float]:
    """Milliseconds of each, so many at once."""
    took: list[float] = []

    async def one() -> None:
        start = time.perf_counter()
        await what()
        took.append(1000 * (time.perf_counter() - start))

    for _ in range(0, rounds, together):
        await asyncio.gather(*(one() for _ in range(together)))
    return took


async def _fetch(http: httpx.AsyncClient, base: str, application: Application) -> None:
    known = Evidence(facts=dict(application.facts))
    wanted = wanted_of(application.pack, known, ("precheck", "decision"))

    async def one(system: str, names: tuple[str, ...]) -> None:
        body = {
            "item": application.pack.item,
            "purpose": "check",
            "want": wanted[system],
            "facts": {name: application.facts[name] for name in names},
        }
        headers = {"Idempotency-Key": new_id()}
        answer = await http.post(f"{base}/systems/{system}/ask", json=body, headers=headers)
        json.loads(answer.raise_for_status().content)

    await asyncio.gather(*(one(check.system, check.ask) for check in application.pack.upstream))


@asynccontextmanager
async def _stand_in(*options: str) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "launcher.standins.upstream"),
        *("--latency-ms", str(LATENCY_MS), *options),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("no standard output")
        ready, port = (await process.stdout.readline()).split()
        if ready != b"ready":
            raise RuntimeError("the stand-in does not come up")
        yield f"http://127.0.0.1:{port.decode()}"
    finally:
        process.terminate()
        await process.communicate()


MEASURES: dict[str, Measure] = {
    "decisions.instant": instant,
    "decisions.silent": silent,
    "decisions.pure": pure,
}
