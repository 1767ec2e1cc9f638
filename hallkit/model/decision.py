"""What an instant decision (秒批) is made of: what is known and from where, and what follows.

`hallkit.guide.deciding` decides, `hallkit.model.receipt` keeps and signs.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, Self

from pydantic import model_validator

from hallkit.model.base import Value
from hallkit.model.conditions import FactValue


class RuleStatus(StrEnum):
    """How a rule stands."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """What is known decides it neither way; never a pass."""
    NOT_APPLICABLE = "not_applicable"
    """Does not concern this person."""


class Verdict(StrEnum):
    """What becomes of an application."""

    APPROVED = "approved"
    REFUSED = "refused"
    """A rule failed; a person at the window hears whoever disagrees."""
    TO_WINDOW = "to_window"
    """Nobody can tell without a person."""


class NoAnswer(StrEnum):
    """Why another system is not known to say anything."""

    NOT_ASKED = "not_asked"
    """What it would be asked with is not known."""
    DOWN = "down"
    """Refuses connections, drops them, or says that it can't work now."""
    LATE = "late"
    """Nothing before the deadline."""
    GARBLED = "garbled"
    """An answer that makes no sense."""
    REJECTED = "rejected"
    """It says that it may not, or will not, answer."""
    SHUT_OFF = "shut_off"
    """Failed again and again just now: left alone for a while, and not asked."""


class SourceKind(StrEnum):
    """Where a value came from."""

    CARD = "card"
    SAID = "said"
    """The person said so, and nobody checked."""
    FORM = "form"
    ANSWER = "answer"
    """An answer to a question of the guidance."""
    HELD = "held"
    LICENCE = "licence"
    UPSTREAM = "upstream"
    CLOCK = "clock"


class Source(Value):
    """Where a value came from, and when."""

    kind: SourceKind
    detail: str = ""
    """The system, or the kind of licence."""
    at_ms: int | None = None


class Asked(Value):
    """A system that was asked, and what became of it."""

    system: str
    facts: tuple[str, ...] = ()
    """Names of what it was asked with."""
    no_answer: NoAnswer | None = None
    at_ms: int | None = None
    """When it answered, or was given up."""


class Evidence(Value):
    """Everything a decision looks at. Personal data: its representation shows none."""

    facts: dict[str, FactValue] = {}
    sources: dict[str, Source] = {}
    """Where a fact came from, if that is not what its name says."""
    asked: tuple[Asked, ...] = ()

    @property
    def silent(self) -> dict[str, NoAnswer]:
        """Systems that gave no answer."""
        return {one.system: one.no_answer for one in self.asked if one.no_answer is not None}

    @property
    def answered(self) -> frozenset[str]:
        """Systems that gave one."""
        return frozenset(one.system for one in self.asked if one.no_answer is None)

    def source(self, fact: str) -> Source:
        """Where a fact came from; of another system's, when it answered."""
        found = self.sources.get(fact) or _named(fact)
        if found.kind is not SourceKind.UPSTREAM or found.at_ms is not None:
            return found
        at_ms = next((one.at_ms for one in self.asked if one.system == found.detail), None)
        return found.model_copy(update={"at_ms": at_ms})

    def __repr__(self) -> str:
        return f"Evidence({len(self.facts)} facts, masked)"

    __str__ = __repr__


class Way(Value):
    """Where a person goes who needs a person."""

    service: str
    """The queue in which they take a number."""
    transact_addr: str = ""
    windows: tuple[str, ...] = ()


class PackName(Value):
    """Exactly which rules."""

    code: str
    version: str
    digest: str
    """Of the whole pack (`hallkit.model.canonical`)."""


class RuleOutcome(Value):
    """One rule on one person. Holds names of facts, no values."""

    key: str
    kind: Literal["precheck", "decision", "push"]
    status: RuleStatus
    text: str
    """What was checked, in plain words."""
    said: str = ""
    """The pack's own words for how it ended; empty while unknown, and where it does not apply."""
    what_to_do: str = ""
    """Only where it failed."""
    by_law: str = ""
    compared: tuple[str, ...] = ()
    """Facts that it looks at."""
    lacking: tuple[str, ...] = ()
    """Those for want of which it is unknown."""
    systems: tuple[str, ...] = ()
    """Systems that owe one of these an answer."""


class Decision(Value):
    """A verdict and every rule of its pack, in the pack's order."""

    item: str
    """`catalog_code`."""
    pack: PackName
    verdict: Verdict
    rules: tuple[RuleOutcome, ...]
    way: Way | None = None
    """None only where it is approved: nobody is left standing."""

    @model_validator(mode="after")
    def _leads_on(self) -> Self:
        if self.verdict is not Verdict.APPROVED and self.way is None:
            raise ValueError("no verdict but approved goes without a way to the window")
        return self

    @property
    def reasons(self) -> tuple[RuleOutcome, ...]:
        """Why it is not approved: what failed, then what nobody knows."""
        binding = [rule for rule in self.rules if rule.kind != "push"]
        return tuple(
            rule
            for status in (RuleStatus.FAILED, RuleStatus.UNKNOWN)
            for rule in binding
            if rule.status is status
        )


_BY_NAME = {
    "applicant": SourceKind.CARD,
    "form": SourceKind.FORM,
    "answer": SourceKind.ANSWER,
    "held": SourceKind.HELD,
    "licence": SourceKind.LICENCE,
    "upstream": SourceKind.UPSTREAM,
    "today": SourceKind.CLOCK,
}


def _named(fact: str) -> Source:
    source, _, rest = fact.partition(".")
    kind = _BY_NAME.get(source, SourceKind.SAID)
    has_detail = kind in (SourceKind.LICENCE, SourceKind.UPSTREAM)
    return Source(kind=kind, detail=rest.partition(".")[0] if has_detail else "")
