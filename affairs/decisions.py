"""Instant approval: asks other systems, decides, signs, keeps, and decides again.

    async with HttpUpstreams(addresses, clock) as upstreams:
        decisions = Decisions(upstreams, store, sealer, signing_key, clock)
        decided = await decisions.decide(application, decision_id=new_id())

A decision is kept, sealed, before anybody hears of it; asked for again under its id, it is the one
that was kept. `push` tells the other systems afterwards, under keys of the decision's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from affairs.sealing import Sealer
from affairs.upstreams.port import Heard, Upstreams, ask_all
from hallkit.errors import StoreError, TrustError
from hallkit.guide import deciding
from hallkit.guide.deciding import Difference
from hallkit.model.conditions import Facts, FactValue
from hallkit.model.decision import Decision, Evidence, RuleOutcome, RuleStatus, Source, Verdict
from hallkit.model.item import Item
from hallkit.model.receipt import Receipt, Record, receipt_of, sign, verify
from hallkit.model.rules import RulePack
from hallkit.runtime.clock import Clock, local_date

_NOT_THE_APPLICANTS = ("upstream.", "today.")
"""Facts that only the systems, and the clock, tell."""


@dataclass(frozen=True, slots=True)
class Application:
    """What somebody applies for, and what is known of them."""

    case: str
    item: Item
    pack: RulePack
    facts: Facts = field(repr=False)
    sources: Mapping[str, Source] = field(default_factory=dict)
    """Where a fact came from, if that is not what its name says."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision as a store has it. Whoever reads the store learns nothing about the person."""

    id: str
    case: str
    at_ms: int
    item: str
    verdict: Verdict
    sealed_record: bytes
    """`Record.to_bytes`, sealed for the row `id`."""
    receipt: bytes
    """`Receipt.to_bytes`: signed and masked."""


class DecisionStore(Protocol):
    """Where decisions are kept for good."""

    async def keep(self, kept: Kept) -> Kept:
        """Durable when it returns. What is already kept under this id stands, and is returned."""
        ...

    async def load(self, case: str) -> tuple[Kept, ...]:
        """Decisions of a case, the oldest first; empty if there are none."""
        ...


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision that is kept."""

    record: Record
    receipt: Receipt

    @property
    def decision(self) -> Decision:
        return self.record.decision


@dataclass(frozen=True, slots=True)
class Prechecked:
    """条件预检: how the rules stand that need no form."""

    rules: tuple[RuleOutcome, ...]

    @property
    def failed(self) -> tuple[RuleOutcome, ...]:
        """Why there is no use in filling in the form; empty if there is."""
        return tuple(rule for rule in self.rules if rule.status is RuleStatus.FAILED)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A kept decision, decided again."""

    id: str
    differences: tuple[Difference, ...]
    signed: bool
    """The receipt is signed by this hall."""


class Decisions:
    """Decides applications of instant items."""

    def __init__(
        self,
        upstreams: Upstreams,
        store: DecisionStore,
        sealer: Sealer,
        signing_key: Ed25519PrivateKey,
        clock: Clock,
        *,
        former_keys: Collection[Ed25519PublicKey] = (),
    ) -> None:
        """`former_keys` signed receipts before this one did."""
        self._upstreams = upstreams
        self._store = store
        self._sealer = sealer
        self._signing_key = signing_key
        self._clock = clock
        self._trusted = (signing_key.public_key(), *former_keys)

    async def precheck(self, application: Application, *, key: str, ask: bool = True) -> Prechecked:
        """Before the form. Unknown is no reason to stop: the form may tell, or the window.

        Without `ask` no system hears of the person.
        """
        pack = application.pack
        facts = self._known(application)
        kinds = ("precheck",) if ask else ()
        heard = await ask_all(self._upstreams, pack, facts, self._clock, key=key, kinds=kinds)
        return Prechecked(deciding.prechecks(pack, _evidence(application, facts, heard)))

    async def decide(self, application: Application, *, decision_id: str) -> Decided:
        """Ask, decide, sign and keep. Never raises for a system that fails.

        `StoreError` where it can't be kept: then nothing was decided. Asked for again under its id
        it is what was kept, whatever is known by then.
        """
        kept = await self._kept(application.case, decision_id)
        if kept is not None:
            return self._opened(kept)
        pack = application.pack
        facts = self._known(application)
        heard = await ask_all(self._upstreams, pack, facts, self._clock, key=decision_id)
        evidence = _evidence(application, facts, heard)
        record = record_of(
            application, evidence, decision_id=decision_id, at_ms=self._clock.wall_ms()
        )
        receipt = sign(receipt_of(record), self._signing_key)
        stands = await self._store.keep(
            Kept(
                id=record.id,
                case=record.case,
                at_ms=record.at_ms,
                item=record.decision.item,
                verdict=record.decision.verdict,
                sealed_record=self._sealer.seal(record.id, record.to_bytes()),
                receipt=receipt.to_bytes(),
            )
        )
        if stands.case != application.case:
            raise StoreError("the id of this decision is that of another case's")
        return self._opened(stands)

    async def push(self, decided: Decided) -> tuple[RuleOutcome, ...]:
        """推送: tell the systems of an approval, and how the rules of kind push stand then.

        May be repeated until all have passed: the keys are the decision's, so nobody is told twice.
        Another verdict is pushed nowhere.
        """
        record = decided.record
        if record.decision.verdict is not Verdict.APPROVED:
            return ()
        heard = await ask_all(
            self._upstreams,
            record.pack,
            record.evidence.facts,
            self._clock,
            key=f"{record.id}-push",
            kinds=("push",),
            purpose="push",
        )
        before = record.evidence
        asked = {one.system: one for one in (*before.asked, *heard.asked)}
        after = before.model_copy(
            update={"facts": {**before.facts, **heard.facts}, "asked": tuple(asked.values())}
        )
        pushes = [rule for rule in record.pack.rules if rule.kind == "push"]
        return tuple(deciding.outcome(rule, after) for rule in pushes)

    async def find(self, case: str, decision_id: str) -> Decided | None:
        """A decision that was kept; None if it was not made yet."""
        kept = await self._kept(case, decision_id)
        return self._opened(kept) if kept is not None else None

    async def replay(self, case: str) -> tuple[Replayed, ...]:
        """Every decision of a case, decided again from what was kept.

        `TrustError` if a record was sealed under another key or changed.
        """
        return tuple(self._replayed(kept) for kept in await self._store.load(case))

    def _replayed(self, kept: Kept) -> Replayed:
        decided = self._opened(kept)
        differences = deciding.replay(decided.record, decided.receipt)
        try:
            verify(decided.receipt, self._trusted)
        except TrustError:
            return Replayed(kept.id, differences, signed=False)
        return Replayed(kept.id, differences, signed=True)

    def _opened(self, kept: Kept) -> Decided:
        record = Record.from_bytes(self._sealer.open(kept.id, kept.sealed_record))
        if (record.id, record.case) != (kept.id, kept.case):
            raise TrustError("a decision was moved to another case")
        return Decided(record, Receipt.from_bytes(kept.receipt))

    async def _kept(self, case: str, decision_id: str) -> Kept | None:
        found = await self._store.load(case)
        return next((one for one in found if one.id == decision_id), None)

    def _known(self, application: Application) -> dict[str, FactValue]:
        """What is known before anybody is asked."""
        today = local_date(self._clock.wall_ms())
        own = {
            name: value
            for name, value in application.facts.items()
            if not name.startswith(_NOT_THE_APPLICANTS)
        }
        return own | {"today.date": today.isoformat(), "today.year": today.year}


def record_of(
    application: Application, evidence: Evidence, *, decision_id: str, at_ms: int
) -> Record:
    """The application decided, with all that it was decided from."""
    way = deciding.way_of(application.item, evidence.facts)
    return Record(
        format="hall-decision/1",
        id=decision_id,
        case=application.case,
        item_name=application.item.plain_name,
        at_ms=at_ms,
        pack=application.pack,
        evidence=evidence,
        way=way,
        decision=deciding.decide(application.pack, evidence, way),
    )


def _evidence(application: Application, facts: Facts, heard: Heard) -> Evidence:
    known = {**facts, **heard.facts}
    sources = {name: one for name, one in application.sources.items() if name in known}
    return Evidence(facts=known, sources=sources, asked=heard.asked)
