"""Other authorities' systems: all of affairs/upstream.toml on one port, as a process of its own.

    python -m launcher.standins.upstream --control SOCKET [--port PORT] [--latency-ms N]
        [--seed N] [--refuse PERCENT] [--catalogue DIR]

Prints `ready PORT`. A system listens at http://127.0.0.1:PORT/systems/<key> and speaks what
affairs/upstreams/http.py says. It knows the rule packs of the catalogue and answers what they want
to hear, for `--refuse` percent of the people something that fails a rule, the same for the same
person and seed; nobody in it is anybody. Orders on the control socket (drivers/sim/control.py):

    answers.set {system, who, answers}    who: a value that it is asked with, or *
    answers.clear
    fault.set {system, fault, seconds, times}       system: a key or *; times: only the next so many
        down         drops the connection          silent       never answers
        slow         answers after `seconds`       error        status 500
        garbled      JSON that breaks off          wrong_types  objects in place of values
        wrong_kinds  texts in place of values      refuse       status 403
    fault.clear {system}
    latency {ms}
    state                                 port, what came and how often, by system
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11

from affairs.catalogue_source import CONTENT, load
from affairs.upstream import load_upstream
from drivers.sim.control import control_socket
from hallkit.guide.deciding import compared, system_of
from hallkit.guide.forms import rule_facts
from hallkit.guide.rule_cases import approving, failing
from hallkit.model.conditions import FactValue
from hallkit.model.content import Content
from hallkit.model.rules import RulePack

FAULTS = frozenset(
    {"down", "silent", "slow", "garbled", "wrong_types", "wrong_kinds", "error", "refuse"}
)
EVERY = "*"
_REMEMBERED = 10_000
"""Answers kept for a key that comes again."""

Fields = dict[str, FactValue]


@dataclass(slots=True)
class Fault:
    """What a system does wrong."""

    kind: str
    seconds: float = 0.0
    times: int = 0
    """How often still; 0 until cleared."""


@dataclass(slots=True)
class System:
    """What came to one system."""

    asked: int = 0
    pushed: int = 0
    repeated: int = 0
    health: int = 0
    faults: int = 0
    given: dict[str, Fields] = field(default_factory=dict)
    """Answers by whom they are about."""
    kept: dict[str, bytes] = field(default_factory=dict)
    """Answers by the question's key."""
    fault: Fault | None = None


class Dropped(Exception):
    """The connection is cut."""


class StandIn:
    """All systems."""

    def __init__(self, knows: Mapping[str, Knowledge], *, seed: int, refuse: int) -> None:
        self._knows = knows
        self._seed = seed
        self._refuse = refuse
        self.latency_s = 0.0
        self.port = 0
        self.targets: Counter[str] = Counter()
        self.systems = {name: System() for name in load_upstream()}

    async def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Status and content; `Dropped` where the connection is to be cut."""
        self.targets[target] += 1
        _, place, name, what = (*target.split("/"), "", "", "", "")[:4]
        system = self.systems.get(name)
        if place != "systems" or system is None:
            return 404, b"{}"
        fault = self._fault(system)
        await asyncio.sleep(self.latency_s + (fault.seconds if fault else 0.0))
        if fault is not None and (told := await _broken(fault)) is not None:
            return told
        if (method, what) == ("GET", "health"):
            system.health += 1
            return 200, b"{}"
        if (method, what) != ("POST", "ask"):
            return 405, b"{}"
        try:
            return 200, self._asked(name, system, headers, json.loads(body), fault)
        except (ValueError, KeyError, TypeError, AttributeError):
            return 400, b"{}"

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "answers.set":
                given = self.systems[order["system"]].given
                given.setdefault(str(order["who"]), {}).update(order["answers"])
            case "answers.clear":
                for system in self.systems.values():
                    system.given.clear()
                    system.kept.clear()
            case "fault.set" | "fault.clear":
                self._set_fault(order, is_set=do == "fault.set")
            case "latency":
                self.latency_s = float(order["ms"]) / 1000
            case "state":
                return {"state": self._state()}
            case _:
                raise KeyError(do)
        return None

    def _set_fault(self, order: Mapping[str, Any], *, is_set: bool) -> None:
        if is_set and order["fault"] not in FAULTS:
            raise ValueError(f"no such fault: {order['fault']}")
        for system in self._meant(order):
            seconds, times = float(order.get("seconds", 0)), int(order.get("times", 0))
            system.fault = Fault(order["fault"], seconds, times) if is_set else None

    def _meant(self, order: Mapping[str, Any]) -> list[System]:
        name = order.get("system", EVERY)
        return list(self.systems.values()) if name == EVERY else [self.systems[name]]

    def _state(self) -> dict[str, Any]:
        counted = ("asked", "pushed", "repeated", "health", "faults")
        return {
            "port": self.port,
            "targets": dict(self.targets),
            "systems": {
                name: {what: getattr(system, what) for what in counted}
                for name, system in self.systems.items()
            },
        }

    def _fault(self, system: System) -> Fault | None:
        fault = system.fault
        if fault is not None:
            system.faults += 1
            fault.times -= 1
            if fault.times == 0:
                system.fault = None
        return fault

    def _asked(
        self,
        name: str,
        system: System,
        headers: Mapping[str, str],
        question: Mapping[str, Any],
        fault: Fault | None,
    ) -> bytes:
        key = headers["idempotency-key"]
        if fault is None and key in system.kept:
            system.repeated += 1
            return system.kept[key]
        system.asked += 1
        system.pushed += question["purpose"] == "push"
        who = {str(value) for value in question["facts"].values()}
        answers = self._made_up(name, str(question["item"]), sorted(who))
        for known, given in system.given.items():
            if known == EVERY or known in who:
                answers |= given
        told: dict[str, Any] = {one: answers[one] for one in question["want"] if one in answers}
        if fault is not None and fault.kind == "wrong_types":
            told = {one: {"value": value} for one, value in told.items()}
        elif fault is not None and fault.kind == "wrong_kinds":
            told = {one: str(value) for one, value in told.items()}
        content = json.dumps({"answers": told}, ensure_ascii=False).encode()
        if fault is not None and fault.kind == "garbled":
            return content[: len(content) // 2]
        if len(system.kept) < _REMEMBERED:
            system.kept[key] = content
        return content

    def _made_up(self, name: str, item: str, who: list[str]) -> Fields:
        knows = self._knows.get(item)
        if knows is None:
            return {}
        lot = hashlib.sha256("\n".join((str(self._seed), name, item, *who)).encode()).digest()
        refusals = knows.refusals.get(name, ())
        answers = dict(knows.approval.get(name, {}))
        if refusals and lot[0] * 100 // 256 < self._refuse:
            answers |= refusals[lot[1] % len(refusals)]
        return answers


async def _broken(fault: Fault) -> tuple[int, bytes] | None:
    """What a fault answers before anything is looked at; None where it spoils the answer."""
    match fault.kind:
        case "down":
            raise Dropped
        case "silent":
            await asyncio.Event().wait()
        case "error":
            return 500, b"Internal Server Error"
        case "refuse":
            return 403, b"{}"
    return None


# ── What the packs want to hear ──────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Answers of each system that approve an item, and those that fail one rule of it."""

    approval: Mapping[str, Fields]
    refusals: Mapping[str, tuple[Fields, ...]]


def knowledge(content: Content) -> dict[str, Knowledge]:
    """By `catalog_code`, of every item with a rule pack."""
    forms = {form.code: form for form in content.forms}
    items = {item.catalog_code: item for item in content.items}
    found = {}
    for pack in content.rule_packs:
        item = items.get(pack.item)
        form = forms.get(item.form) if item is not None else None
        scope = rule_facts([check.system for check in pack.upstream], item, form)
        refusals: dict[str, list[Fields]] = {check.system: [] for check in pack.upstream}
        for rule in pack.rules:
            systems = {system_of(fact) for fact in compared(rule)}
            if rule.kind != "push" and len(systems) == 1 and systems != {""}:
                system = systems.pop()
                told = _told(pack, failing(pack, rule, scope) or {})[system]
                refusals[system].append(told)
        found[pack.item] = Knowledge(
            _told(pack, approving(pack, scope) or {}),
            {system: tuple(told) for system, told in refusals.items()},
        )
    return found


def _told(pack: RulePack, facts: Mapping[str, FactValue]) -> dict[str, Fields]:
    told: dict[str, Fields] = {check.system: {} for check in pack.upstream}
    for fact, value in facts.items():
        if system := system_of(fact):
            told[system][fact.rpartition(".")[2]] = value
    return told


# ── Process ──────────────────────────────────────────────────────────────────────────────────


async def _serve(
    stand_in: StandIn, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """HTTP/1.1 with kept connections."""
    line = h11.Connection(h11.SERVER)
    request: h11.Request | None = None
    body = bytearray()
    try:
        while True:
            event = line.next_event()
            if event is h11.NEED_DATA:
                line.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Request):
                request = event
                body.clear()
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                status, content = await stand_in.answer(
                    request.method.decode(),
                    request.target.decode(),
                    {name.decode(): value.decode() for name, value in request.headers},
                    bytes(body),
                )
                headers = [
                    ("content-type", "application/json"),
                    ("content-length", str(len(content))),
                ]
                answer = h11.Response(status_code=status, headers=headers)
                parts = (answer, h11.Data(data=content), h11.EndOfMessage())
                writer.write(b"".join(line.send(part) or b"" for part in parts))
                await writer.drain()
                line.start_next_cycle()
            else:
                return
    except Dropped:
        writer.transport.abort()
    except (h11.ProtocolError, OSError, asyncio.CancelledError):
        return
    finally:
        writer.close()


async def run(args: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    stand_in = StandIn(knowledge(load(args.catalogue)), seed=args.seed, refuse=args.refuse)
    stand_in.latency_s = args.latency_ms / 1000
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(stand_in, reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", args.port)
    stand_in.port = server.sockets[0].getsockname()[1]
    async with control_socket(args.control, stand_in.order) if args.control else _nothing():
        print(f"ready {stand_in.port}", flush=True)
        await over.wait()
    server.close()


@contextlib.asynccontextmanager
async def _nothing() -> Any:
    yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--control", type=Path, metavar="SOCKET")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--refuse", type=int, default=0, metavar="PERCENT")
    parser.add_argument("--catalogue", type=Path, default=CONTENT, metavar="DIR")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
