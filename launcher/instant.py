"""`hall affairs decide` and `replay`: instant approval without a node or a database."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from affairs.cases.decision_store import decisions_of
from affairs.catalogue_source import load
from affairs.decisions import Application, record_of
from affairs.sealing import Sealer
from affairs.upstream import load_upstream
from affairs.upstreams.http import HttpUpstreams
from affairs.upstreams.port import ask_all
from hallkit.errors import ConfigError, HallError, TrustError
from hallkit.guide.conditions import fact_type
from hallkit.guide.deciding import Difference, Reason, reasons, replay, system_of, wanted_of
from hallkit.guide.forms import rule_facts
from hallkit.guide.mistakes import suggest
from hallkit.lexicon.words import words
from hallkit.model.conditions import FactValue
from hallkit.model.content import Content
from hallkit.model.decision import Asked, Evidence, NoAnswer, RuleStatus, Verdict
from hallkit.model.ids import new_id
from hallkit.model.item import Item
from hallkit.model.receipt import Receipt, Record, receipt_of, sign, verify
from hallkit.model.rules import RulePack
from hallkit.runtime.clock import Clock, SystemClock, local_date
from hallkit.runtime.keys import load_private, load_publics
from hallkit.runtime.log import configure_logging

_FACTS = TypeAdapter(dict[str, FactValue])
_MARKS = {
    RuleStatus.PASSED: "✓",
    RuleStatus.FAILED: "✗",
    RuleStatus.UNKNOWN: "?",
    RuleStatus.NOT_APPLICABLE: "–",
}


@dataclass(frozen=True, slots=True)
class _Done:
    record: Record
    receipt: Receipt

    @property
    def reasons(self) -> tuple[Reason, ...]:
        record = self.record
        return reasons(record.decision, record.evidence, record.pack, words())


# ── decide ───────────────────────────────────────────────────────────────────────────────────


def decide(args: argparse.Namespace) -> int:
    """0 approved, 1 not, 2 wrong use; of several the highest."""
    configure_logging("error", process="decide")
    clock = SystemClock()
    if args.item != "-" and args.facts is None:
        return _wrong(ValueError("--facts FILE is missing"))
    try:
        content = load(args.catalogue)
        key = load_private(args.key) if args.key else None
    except (HallError, ValueError) as exc:
        return _wrong(exc)
    worst = 0
    for text, code, facts in _inputs(args):
        try:
            application = _application(content, code, facts, today=args.today, clock=clock)
            done = asyncio.run(_decided(application, args.upstream, key, clock))
            _write(args, done)
        except (ConfigError, OSError, ValueError) as exc:
            if args.json:
                told = {"input": text, "verdict": None, "error": str(exc)}
                print(json.dumps(told, ensure_ascii=False), flush=True)
            worst = _wrong(exc, text if args.item == "-" else "")
            continue
        if args.json:
            print(json.dumps({"input": text, **_told(done)}, ensure_ascii=False), flush=True)
        elif args.item == "-":
            keys = " ".join(rule.key for rule in done.record.decision.reasons)
            print(f"{text}\t{done.record.decision.verdict}\t{keys or '-'}", flush=True)
        else:
            _print(done)
        worst = max(worst, int(done.record.decision.verdict is not Verdict.APPROVED))
    return worst


def _inputs(args: argparse.Namespace) -> Iterator[tuple[str, str, Path]]:
    """As given, item, its facts. A line of standard input is `ITEM FILE`."""
    if args.item != "-":
        yield args.item, args.item, args.facts
        return
    for line in sys.stdin:
        text = line.rstrip("\n")
        code, _, facts = text.partition(" ")
        yield text, code, Path(facts.strip()) if facts.strip() else (args.facts or Path())


def _application(
    content: Content, code: str, path: Path, *, today: dt.date | None, clock: Clock
) -> Application:
    item, pack = _item(content, code)
    form = next((form for form in content.forms if form.code == item.form), None)
    scope = rule_facts([one.system for one in pack.upstream], item, form)
    facts = _facts(path)
    for name in facts:
        if fact_type(name, scope) is None:
            raise ValueError(f"{path.name}: unknown fact {name!r} ({suggest(name, scope)})")
    day = today or local_date(clock.wall_ms())
    facts |= {"today.date": day.isoformat(), "today.year": day.year}
    return Application(f"case-{new_id()}", item, pack, facts)


def _item(content: Content, code: str) -> tuple[Item, RulePack]:
    packs = {pack.code: pack for pack in content.rule_packs}
    for item in content.items:
        if code in (item.catalog_code, item.plain_name, item.task_name):
            if item.rule_pack not in packs:
                raise ValueError(f"{code!r} has no rule pack: it is decided at the window")
            return item, packs[item.rule_pack]
    known = [item.catalog_code for item in content.items if item.rule_pack]
    raise ValueError(f"no item {code!r} ({suggest(code, known)})")


def _facts(path: Path) -> dict[str, FactValue]:
    """`ValueError` names the file and never what stands in it."""
    try:
        return _FACTS.validate_json(path.read_bytes())
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = str(first["loc"][0]) if first["loc"] else "-"
        raise ValueError(f"{path.name}: {where}: {first['msg']}") from None


async def _decided(
    application: Application, upstream: str | None, key: Ed25519PrivateKey | None, clock: Clock
) -> _Done:
    given = {name for name in application.facts if system_of(name)}
    if upstream is None:
        evidence = Evidence(facts=dict(application.facts), asked=_as_given(application, given))
    else:
        if given:
            raise ValueError(f"{min(given)} is the systems' to answer: leave it out")
        evidence = await _asked(application, upstream, clock)
    record = record_of(application, evidence, decision_id=new_id(), at_ms=clock.wall_ms())
    receipt = receipt_of(record)
    return _Done(record, sign(receipt, key) if key is not None else receipt)


def _as_given(application: Application, given: Iterable[str]) -> tuple[Asked, ...]:
    """A system of which the file says anything has answered; of the others nobody knows."""
    answered = {system_of(name) for name in given}
    pack = application.pack
    waited = wanted_of(pack, Evidence(facts=dict(application.facts)), ("precheck", "decision"))
    return tuple(
        Asked(system=one.system, no_answer=None if one.system in answered else NoAnswer.NOT_ASKED)
        for one in pack.upstream
        if one.system in answered or one.system in waited
    )


async def _asked(application: Application, upstream: str, clock: Clock) -> Evidence:
    addresses = {name: f"{upstream.rstrip('/')}/systems/{name}" for name in load_upstream()}
    async with HttpUpstreams(addresses, clock) as upstreams:
        heard = await ask_all(upstreams, application.pack, application.facts, clock, key=new_id())
    return Evidence(facts={**application.facts, **heard.facts}, asked=heard.asked)


def _write(args: argparse.Namespace, done: _Done) -> None:
    for path, content in (
        (args.record, done.record.to_bytes()),
        (args.receipt, done.receipt.to_bytes()),
    ):
        if path is not None:
            path.unlink(missing_ok=True)  # an old one may be open to others
            path.touch(mode=0o600)
            path.write_bytes(content)


def _told(done: _Done) -> dict[str, Any]:
    decision = done.record.decision
    return {
        "item": decision.item,
        "verdict": decision.verdict.value,
        "error": None,
        "reasons": [reason.model_dump(mode="json") for reason in done.reasons],
        "way": decision.way.model_dump(mode="json") if decision.way is not None else None,
        "receipt": done.receipt.model_dump(mode="json"),
    }


def _print(done: _Done) -> None:
    say, record = words(), done.record
    print(f"{record.item_name}：{say(f'deciding.{record.decision.verdict}')}")
    for rule in record.decision.rules:
        later = rule.kind == "push" and rule.status is RuleStatus.UNKNOWN
        told = say("deciding.later") if later else rule.said or say(f"deciding.{rule.status}")
        print(f"  {_MARKS[rule.status]} {rule.text}：{told}")
    for reason in done.reasons:
        print(f"{reason.checked}：{reason.said}\n  → {reason.what_to_do}")
    if record.decision.way is not None:
        print(say("deciding.way", place=record.decision.way.transact_addr))


# ── replay ───────────────────────────────────────────────────────────────────────────────────


def replay_records(args: argparse.Namespace) -> int:
    """0 the same decision and a receipt that holds, 1 not, 2 wrong use; of several the highest."""
    try:
        keys = load_publics(args.key) if args.key else None
        receipt = Receipt.from_bytes(args.receipt.read_bytes()) if args.receipt else None
        sealer = Sealer.from_file(args.data_key) if args.data_key else None
    except (HallError, OSError) as exc:
        return _wrong(exc)
    if keys is not None and receipt is None and args.state is None:
        return _wrong(ValueError("--key says who may have signed: --receipt is missing"))
    if args.state is not None and sealer is None:
        return _wrong(ValueError("--state: what stands there is sealed, --data-key is missing"))
    worst = 0
    for text in _lines(args.record):
        try:
            if args.state is not None and sealer is not None:
                kept: tuple[tuple[Record, Receipt | None], ...] = decisions_of(
                    args.state / "affairs.sqlite", text, sealer
                )
            else:
                kept = ((_record(Path(text), sealer, args.id), receipt),)
        except (HallError, OSError) as exc:
            if args.json:
                print(json.dumps({"input": text, "same": None, "error": str(exc)}), flush=True)
            worst = _wrong(exc, text)
            continue
        for record, its in kept:
            worst = max(worst, _replay(text, record, its, keys, as_json=args.json))
    return worst


def _replay(
    text: str,
    record: Record,
    receipt: Receipt | None,
    keys: tuple[Ed25519PublicKey, ...] | None,
    *,
    as_json: bool,
) -> int:
    found = replay(record, receipt)
    signed = None if keys is None or receipt is None else _signed(receipt, keys)
    if as_json:
        print(json.dumps(_replayed(text, record, found, signed), ensure_ascii=False), flush=True)
    else:
        _print_replay(record, found, signed)
    return int(bool(found) or signed is False)


def _lines(record: str) -> Iterator[str]:
    yield from (line.rstrip("\n") for line in sys.stdin) if record == "-" else (record,)


def _record(path: Path, sealer: Sealer | None, row: str) -> Record:
    content = path.read_bytes()
    return Record.from_bytes(sealer.open(row or path.stem, content) if sealer else content)


def _signed(receipt: Receipt, keys: tuple[Ed25519PublicKey, ...]) -> bool:
    try:
        verify(receipt, keys)
    except TrustError:
        return False
    return True


def _replayed(
    text: str, record: Record, found: tuple[Difference, ...], signed: bool | None
) -> Mapping[str, Any]:
    return {
        "input": text,
        "id": record.id,
        "item": record.decision.item,
        "verdict": record.decision.verdict.value,
        "same": not found,
        "signed": signed,
        "error": None,
        "differences": [one.model_dump(mode="json") for one in found],
    }


def _print_replay(record: Record, found: tuple[Difference, ...], signed: bool | None) -> None:
    say = words()
    told = say("deciding.different", count=len(found)) if found else say("deciding.same")
    print(f"{record.id}  {record.item_name}：{say(f'deciding.{record.decision.verdict}')}。{told}")
    for one in found:
        print(f"  {one.where}: {one.was or '–'} → {one.now or '–'}")
    if signed is False:
        print(say("deciding.forged"))


def _wrong(exc: Exception, where: str = "") -> int:
    print(": ".join(filter(None, ("hall affairs", where, str(exc)))), file=sys.stderr)
    return 2
