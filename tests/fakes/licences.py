"""E-licences in memory, for cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from affairs.cases.facts import HeldLicence
from affairs.sealing import Sealer
from hallkit.model.ids import new_id
from hallkit.wire.cases_api import CaseContent, Holding

KINDS = ("senior_card",)


class FakeLicences:
    """Implements `affairs.cases.room.Licences`; with a sealer, what it issues is held."""

    def __init__(self, sealer: Sealer | None = None) -> None:
        self._sealer = sealer
        self.held: dict[str, list[HeldLicence]] = {}
        """By the applicant's mac."""
        self.issued: dict[str, tuple[str, str]] = {}
        """Case → kind and id."""

    def of_person(
        self, _connection: sa.Connection, applicant_mac: str, today: dt.date
    ) -> Sequence[HeldLicence]:
        return [
            one
            for one in self.held.get(applicant_mac, [])
            if one.holding.valid_until is None or one.holding.valid_until >= today
        ]

    def issue(
        self, _connection: sa.Connection, kind: str, content: CaseContent, case: str
    ) -> str | None:
        assert content.applicant is not None
        if kind not in KINDS:
            return None
        if case not in self.issued:
            self.issued[case] = (kind, new_id())
            self._hold(kind, content, self.issued[case][1])
        return self.issued[case][1]

    def _hold(self, kind: str, content: CaseContent, licence: str) -> None:
        if self._sealer is None or content.applicant is None:
            return
        holding = Holding(
            holding=licence, kind=kind, title=kind, origin="licence", source="hall", at_ms=0
        )
        mac = self._sealer.lookup(content.applicant.number)
        one = HeldLicence(holding, {"name": content.applicant.name})
        self.held.setdefault(mac, []).append(one)
