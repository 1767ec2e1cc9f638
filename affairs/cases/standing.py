"""What a rating asks of a case (`affairs.ratings.giving.CaseStates`)."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from affairs.cases.tables import cases
from affairs.ratings.giving import CaseStanding
from hallkit.model.case import CaseState

_OVER = frozenset({CaseState.DECIDED, CaseState.DELIVERED})


class Standings:
    """Says of a case whether it may be rated, and for which queue that counts."""

    def __init__(self, service_of_item: Callable[[str], str | None]) -> None:
        self._service_of_item = service_of_item

    def standing(self, connection: sa.Connection, case_id: str) -> CaseStanding | None:
        """None if there is no such case."""
        row = connection.execute(
            sa.select(cases.c.state, cases.c.item, cases.c.applicant_mac).where(
                cases.c.id == case_id
            )
        ).one_or_none()
        if row is None:
            return None
        return CaseStanding(
            is_decided=row.state in _OVER,
            service=self._service_of_item(row.item) or "",
            is_known=row.applicant_mac is not None,
        )
