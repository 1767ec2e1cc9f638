"""Decisions in memory."""

from __future__ import annotations

from affairs.decisions import Kept


class FakeDecisionStore:
    """Implements `DecisionStore`."""

    def __init__(self) -> None:
        self.rows: dict[str, Kept] = {}

    async def keep(self, kept: Kept) -> Kept:
        return self.rows.setdefault(kept.id, kept)

    async def load(self, case: str) -> tuple[Kept, ...]:
        found = [kept for kept in self.rows.values() if kept.case == case]
        return tuple(sorted(found, key=lambda kept: (kept.at_ms, kept.id)))
