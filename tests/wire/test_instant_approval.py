"""Deciding with other systems on a wire: the stand-in process, slow, wrong, silent, down."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from affairs.catalogue_source import load
from affairs.decisions import Application, Decided, Decisions
from affairs.sealing import KEY_BYTES, Sealer
from affairs.upstream import load_upstream
from affairs.upstreams.http import HttpUpstreams
from affairs.upstreams.port import HealthState
from hallkit.guide.deciding import reasons, system_of
from hallkit.guide.forms import rule_facts
from hallkit.guide.rule_cases import approving
from hallkit.lexicon.words import words
from hallkit.model.decision import NoAnswer, Verdict
from hallkit.model.ids import new_id
from hallkit.runtime.clock import SystemClock
from launcher.cli import main
from tests.fakes.decision_store import FakeDecisionStore
from tests.fakes.rule_pack import ID_NUMBER
from tests.twins import running, tell

pytestmark = pytest.mark.wire

CONTENT = load()
ITEMS = {item.catalog_code: item for item in CONTENT.items}
FORMS = {form.code: form for form in CONTENT.forms}
PACKS = {pack.item: pack for pack in CONTENT.rule_packs}
DEADLINE_MS = 400
PATIENT_MS = 10_000
PATIENCE_S = 20.0


def application(item: str, *, deadline_ms: int = PATIENT_MS) -> Application:
    """Somebody whom the pack approves if the systems say what it wants to hear."""
    pack = PACKS[item]
    upstream = tuple(one.model_copy(update={"deadline_ms": deadline_ms}) for one in pack.upstream)
    scope = rule_facts([one.system for one in upstream], ITEMS[item], FORMS.get(ITEMS[item].form))
    facts = approving(pack, scope) or {}
    own = {name: value for name, value in facts.items() if not system_of(name)}
    own |= {"applicant.id_number": ID_NUMBER}
    return Application(
        f"case-{item}", ITEMS[item], pack.model_copy(update={"upstream": upstream}), own
    )


class Hall:
    def __init__(self, upstreams: HttpUpstreams, control: Path) -> None:
        self.upstreams = upstreams
        self.control = control
        self.decisions = Decisions(
            upstreams,
            FakeDecisionStore(),
            Sealer(b"k" * KEY_BYTES),
            Ed25519PrivateKey.generate(),
            SystemClock(),
        )

    async def decide(self, item: str, *, deadline_ms: int = PATIENT_MS) -> Decided:
        applied = application(item, deadline_ms=deadline_ms)
        return await self.decisions.decide(applied, decision_id=new_id())

    def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return tell(self.control, do, **arguments)


@pytest.fixture
async def hall(upstream_twin: Path) -> AsyncIterator[Hall]:
    port = tell(upstream_twin, "state")["state"]["port"]
    addresses = {name: f"http://127.0.0.1:{port}/systems/{name}" for name in load_upstream()}
    async with HttpUpstreams(addresses, SystemClock()) as upstreams:
        yield Hall(upstreams, upstream_twin)


@pytest.mark.parametrize("item", sorted(PACKS))
async def test_every_authored_pack_is_approved_over_the_wire_and_pushed(
    hall: Hall, item: str
) -> None:
    decided = await hall.decide(item)
    assert decided.decision.verdict is Verdict.APPROVED, decided.decision.reasons
    pushes = await hall.decisions.push(decided)
    assert {one.status.value for one in pushes} <= {"passed"}
    (replayed,) = await hall.decisions.replay(f"case-{item}")
    assert (replayed.differences, replayed.signed) == ((), True)


WANTED = {pack.item: {check.system for check in pack.upstream} for pack in PACKS.values()}
WANTED["birth-plan-register"] = {"family_planning"}  # the card says that the person lives here


@pytest.mark.parametrize("down", [*sorted(set().union(*WANTED.values())), "*"])
async def test_a_system_that_is_down_touches_its_own_items_and_no_others(
    hall: Hall, down: str
) -> None:
    hall.tell("fault.set", system=down, fault="down")
    every = await asyncio.gather(*(hall.decide(item) for item in WANTED))
    for (item, systems), decided in zip(WANTED.items(), every, strict=True):
        touched = systems if down == "*" else systems & {down}
        silent = decided.record.evidence.silent
        assert silent.keys() == touched, item
        assert set(silent.values()) <= {NoAnswer.DOWN, NoAnswer.SHUT_OFF}
        wanted = Verdict.TO_WINDOW if touched else Verdict.APPROVED
        assert decided.decision.verdict is wanted, item
        told = reasons(decided.decision, decided.record.evidence, PACKS[item], words())
        assert bool(told) is bool(touched)
        assert all(one.said and one.what_to_do for one in told)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("silent", NoAnswer.LATE),
        ("garbled", NoAnswer.GARBLED),
        ("wrong_types", NoAnswer.GARBLED),
        ("error", NoAnswer.DOWN),
        ("refuse", NoAnswer.REJECTED),
    ],
)
async def test_whatever_a_system_does_wrong_leads_to_the_window(
    hall: Hall, fault: str, why: NoAnswer
) -> None:
    hall.tell("fault.set", system="civil_affairs", fault=fault)
    deadline_ms = DEADLINE_MS if fault == "silent" else PATIENT_MS
    decided = await hall.decide("age-allowance", deadline_ms=deadline_ms)
    assert decided.decision.verdict is Verdict.TO_WINDOW
    assert decided.record.evidence.silent == {"civil_affairs": why}


async def test_values_of_another_kind_decide_nothing(hall: Hall) -> None:
    hall.tell("fault.set", system="civil_affairs", fault="wrong_kinds")
    decided = await hall.decide("age-allowance")
    assert decided.decision.verdict is Verdict.TO_WINDOW
    assert decided.record.evidence.silent == {}


async def test_one_that_is_slow_within_its_deadline_is_waited_for(hall: Hall) -> None:
    hall.tell("fault.set", system="civil_affairs", fault="slow", seconds=0.2)
    assert (await hall.decide("age-allowance")).decision.verdict is Verdict.APPROVED


async def test_one_that_fails_once_is_asked_again_and_has_one_question(hall: Hall) -> None:
    before = hall.tell("state")["state"]["systems"]["civil_affairs"]
    hall.tell("fault.set", system="civil_affairs", fault="error", times=1)
    assert (await hall.decide("age-allowance")).decision.verdict is Verdict.APPROVED
    after = hall.tell("state")["state"]["systems"]["civil_affairs"]
    assert (after["asked"] - before["asked"], after["faults"] - before["faults"]) == (1, 1)


async def test_what_is_known_of_one_person_decides_for_that_person(hall: Hall) -> None:
    hall.tell(
        "answers.set",
        system="civil_affairs",
        who=ID_NUMBER,
        answers={"receives_age_allowance": True},
    )
    decided = await hall.decide("age-allowance")
    assert decided.decision.verdict is Verdict.REFUSED
    assert [rule.key for rule in decided.decision.reasons] == ["not-receiving"]


async def test_nobodys_number_stands_in_a_url(hall: Hall) -> None:
    await hall.decide("age-allowance")
    targets = hall.tell("state")["state"]["targets"]
    assert targets
    assert not any(ID_NUMBER in target for target in targets)


async def test_a_system_whose_process_dies_is_known_before_anybody_asks_it(tmp_path: Path) -> None:
    module, control = "launcher.standins.upstream", tmp_path / "control"
    with contextlib.ExitStack() as processes:
        port = processes.enter_context(running(module, control, set()))
        address = {"tax": f"http://127.0.0.1:{port}/systems/tax"}
        async with HttpUpstreams(address, SystemClock(), rest_s=0.05) as upstreams:
            with upstreams.changes() as changes:
                watching = asyncio.create_task(upstreams.watch(0.02))
                async with asyncio.timeout(PATIENCE_S):
                    assert (await anext(changes)).state is HealthState.UP
                    processes.close()
                    down = await anext(changes)
                    assert (down.state, down.reason) == (HealthState.DOWN, NoAnswer.DOWN)
                    processes.enter_context(running(module, control, set(), "--port", port))
                    assert (await anext(changes)).state is HealthState.UP
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)


def test_the_command_asks_the_systems(
    upstream_twin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tell(upstream_twin, "state")["state"]["port"]
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(dict(application("age-allowance").facts)), encoding="utf-8")
    words_ = ["decide", "age-allowance", "--facts", str(facts), "--json"]
    words_ += ["--upstream", f"http://127.0.0.1:{port}"]
    assert main(["affairs", *words_]) == 0
    told = json.loads(capsys.readouterr().out)
    (system,) = told["receipt"]["systems"]
    assert (system["system"], system["no_answer"]) == ("civil_affairs", None)
    tell(upstream_twin, "fault.set", system="civil_affairs", fault="down")
    assert main(["affairs", *words_]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["way"]["service"]) == ("to_window", "general")
