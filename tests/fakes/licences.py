"""E-licences in memory, for cases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa

from affairs.cases.facts import HeldLicence
from hallkit.model.ids import new_id
from hallkit.wire.cases_api import CaseContent


class FakeLicences:
    """Implements `affairs.cases.room.Licences`."""

    def __init__(self) -> None:
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
        return self.issued.setdefault(case, (kind, new_id()))[1]
