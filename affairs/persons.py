"""What the node keeps of a person: told to them, and deleted when they ask (个人信息保护法 45, 47).

Each room that keeps something says so by a `Keeper`; whoever adds a table with a person in it adds
one here. Found by the keyed digest of the ID number, so that nobody but the node can look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from affairs.cases import rows as case_rows
from affairs.cases.tables import (
    case_steps,
    cases,
    consents,
    continuations,
    decisions,
    holdings,
    pushes,
)
from affairs.licences.filling import LicenceContent
from affairs.licences.tables import licences
from affairs.sealing import Sealer
from affairs.store import appointments, tickets
from hallkit.model.case import CaseState
from hallkit.model.receipt import Receipt
from hallkit.wire.affairs_api import TicketRequest

ENDED = frozenset({CaseState.DRAFT, CaseState.RETURNED})
"""Cases that the office has not taken on; the others are its records, and stay as long as the law
wants them. What was withdrawn holds nobody any more."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What went, and what stays and why not."""

    gone: Mapping[str, int]
    kept: Mapping[str, int]


class Keeper(Protocol):
    """Something in which rows of persons are kept."""

    name: str

    def told(self, connection: sa.Connection, mac: str) -> Sequence[Mapping[str, Any]]:
        """Every row of the person, in clear."""
        ...

    def erase(self, connection: sa.Connection, mac: str) -> tuple[int, int]:
        """Delete what may go: how many went, how many stay."""
        ...


class Persons:
    """All keepers, asked at once."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._keepers: tuple[Keeper, ...] = (
            _Requests("tickets", tickets, sealer),
            _Requests("appointments", appointments, sealer),
            _Cases(sealer),
            _Holdings(),
            _Licences(sealer),
        )

    def export(self, connection: sa.Connection, number: str) -> dict[str, list[Mapping[str, Any]]]:
        """Everything that is kept of whoever has this ID number."""
        mac = self._sealer.lookup(number)
        return {one.name: list(one.told(connection, mac)) for one in self._keepers}

    def erase(self, connection: sa.Connection, number: str) -> Erased:
        """Delete it, but for the office's own records."""
        mac = self._sealer.lookup(number)
        gone, kept = {}, {}
        for one in self._keepers:
            gone[one.name], kept[one.name] = one.erase(connection, mac)
        return Erased(gone, kept)


class _Requests:
    """Tickets and appointments: the row stays, without the person."""

    def __init__(self, name: str, table: sa.Table, sealer: Sealer) -> None:
        self.name = name
        self._table = table
        self._sealer = sealer

    def told(self, connection: sa.Connection, mac: str) -> Sequence[Mapping[str, Any]]:
        table = self._table
        found = connection.execute(
            sa.select(table.c.id, table.c.day, table.c.state, table.c.request).where(
                table.c.applicant_mac == mac
            )
        )
        return [
            {
                "id": row.id,
                "day": row.day.isoformat(),
                "state": row.state,
                "request": TicketRequest.model_validate_json(
                    self._sealer.open(row.id, row.request)
                ).model_dump(mode="json"),
            }
            for row in found
        ]

    def erase(self, connection: sa.Connection, mac: str) -> tuple[int, int]:
        mine = self._table.c.applicant_mac == mac
        done = connection.execute(
            self._table.update().where(mine).values(request=b"", applicant_mac=None)
        )
        return done.rowcount, 0


class _Cases:
    """Cases with their steps and decisions."""

    name = "cases"

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def told(self, connection: sa.Connection, mac: str) -> Sequence[Mapping[str, Any]]:
        found = connection.execute(sa.select(cases).where(cases.c.applicant_mac == mac)).all()
        return [self._case(connection, row) for row in found]

    def erase(self, connection: sa.Connection, mac: str) -> tuple[int, int]:
        found = connection.execute(
            sa.select(cases.c.id, cases.c.state).where(cases.c.applicant_mac == mac)
        ).all()
        ended = [row.id for row in found if row.state in ENDED]
        for table, column in (
            (case_steps, case_steps.c.case_id),
            (decisions, decisions.c.case_id),
            (continuations, continuations.c.case_id),
            (pushes, pushes.c.case_id),
            (cases, cases.c.id),
        ):
            connection.execute(table.delete().where(column.in_(ended)))
        return len(ended), len(found) - len(ended)

    def _case(self, connection: sa.Connection, row: case_rows.Row) -> Mapping[str, Any]:
        steps = case_rows.steps_of(connection, row.id)
        receipts = connection.execute(
            sa.select(decisions.c.receipt).where(decisions.c.case_id == row.id)
        ).scalars()
        return {
            "case": row.id,
            "number": row.number,
            "state": row.state,
            "content": case_rows.content_of(row, self._sealer).model_dump(mode="json"),
            "steps": [one.model_dump(mode="json") for one in steps],
            "receipts": [Receipt.from_bytes(one).model_dump(mode="json") for one in receipts],
        }


class _Licences:
    """E-licences: records of the office that issued them, with their prints."""

    name = "licences"

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def told(self, connection: sa.Connection, mac: str) -> Sequence[Mapping[str, Any]]:
        found = connection.execute(
            sa.select(licences).where(licences.c.holder_mac == mac).order_by(licences.c.id)
        )
        return [
            {
                "licence": row.id,
                "kind": row.kind,
                "identifier": row.identifier,
                "issued_on": row.issued_on.isoformat(),
                "prints": row.prints,
                "content": LicenceContent.model_validate_json(
                    self._sealer.open(row.id, row.content)
                ).model_dump(mode="json"),
            }
            for row in found
        ]

    def erase(self, connection: sa.Connection, mac: str) -> tuple[int, int]:
        kept = connection.execute(
            sa.select(sa.func.count()).where(licences.c.holder_mac == mac)
        ).scalar_one()
        return 0, int(kept)


class _Holdings:
    """本地信息库, and the consent to it."""

    name = "holdings"

    def told(self, connection: sa.Connection, mac: str) -> Sequence[Mapping[str, Any]]:
        consent = connection.execute(
            sa.select(consents.c.given_at_ms, consents.c.device).where(
                consents.c.applicant_mac == mac
            )
        )
        kept = connection.execute(
            sa.select(
                holdings.c.id,
                holdings.c.kind,
                holdings.c.title,
                holdings.c.source,
                holdings.c.at_ms,
            ).where(holdings.c.applicant_mac == mac)
        )
        return [dict(row) for row in (*consent.mappings(), *kept.mappings())]

    def erase(self, connection: sa.Connection, mac: str) -> tuple[int, int]:
        gone = 0
        for table in (holdings, consents):
            mine = table.c.applicant_mac == mac
            gone += connection.execute(table.delete().where(mine)).rowcount
        return gone, 0
