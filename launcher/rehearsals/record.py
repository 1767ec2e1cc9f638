"""What a rehearsal is to do, and what it has seen."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from launcher.report import commit, machine

HISTORY_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The same seed gives the same order of events; time decides how many of them there are."""

    name: str
    seed: int
    minutes: float
    root: Path
    """An empty folder for the hall, on the disk."""
    machines: int = 200
    """Simulated machines, where a rehearsal has many."""
    requests: int = 100_000
    """Where a rehearsal counts requests and not minutes."""
    only: str = ""
    """Parts whose names hold this, where a rehearsal has parts; empty: all."""

    def random(self, part: str = "") -> random.Random:
        """Numbers of their own for each part, so that one part's timing can't shift another's."""
        return random.Random(f"{self.seed}:{part}")  # noqa: S311  # to be repeated, not secret


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that has to hold, whatever happens."""

    what: str
    holds: bool
    evidence: dict[str, Any]


@dataclass(slots=True)
class Record:
    """Counts, invariants and what was done, in order."""

    plan: Plan
    counts: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Any] = field(default_factory=dict)
    invariants: dict[str, Invariant] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def ok(self) -> bool:
        return bool(self.invariants) and all(one.holds for one in self.invariants.values())

    def note(self, what: str) -> None:
        """Write down what was done now."""
        if len(self.history) < HISTORY_LIMIT:
            self.history.append(f"{self.seconds:8.2f} {what}")

    def expect(self, what: str, holds: bool, **evidence: Any) -> None:
        """Check an invariant; once broken it stays so, with the first evidence."""
        known = self.invariants.get(what)
        if known is None or known.holds:
            self.invariants[what] = Invariant(what, holds, evidence)
            if not holds:
                self.note(f"BROKEN: {what}")

    def write(self, path: Path) -> None:
        """Everything as JSON."""
        plan = self.plan
        document = {
            "name": plan.name,
            "seed": plan.seed,
            "minutes": plan.minutes,
            "date": f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            "commit": commit(),
            "machine": machine(),
            "ok": self.ok,
            "seconds": round(self.seconds, 1),
            "counts": dict(sorted(self.counts.items())),
            "figures": self.figures,
            "invariants": [asdict(one) for one in self.invariants.values()],
            "history": self.history,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, ensure_ascii=False, indent=1)
        path.write_text(f"{text}\n", encoding="utf-8")
