"""What tests of e-licences share: a holder, and somebody else."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.licences.register import Register
from affairs.licences.tables import permits, refusals
from affairs.store import Store
from hallkit.model.ids import new_id
from hallkit.wire.cases_api import CaseApplicant, CaseContent
from hallkit.wire.licences_api import PermitRequest

HOLDER = "510682194001010012"
OTHER = "510682199001010015"
"""Made up, with the right check digits."""
NAME = "诸葛什邡"
VISIT = "visit-0001"
SENIOR = "senior_card"


def content(number: str = HOLDER, name: str = NAME, **values: object) -> CaseContent:
    return CaseContent.model_validate(
        {
            "item": "senior-card",
            "applicant": CaseApplicant(name=name, number=number, read="card"),
            "values": values,
        }
    )


async def issued(
    store: Store, register: Register, number: str = HOLDER, kind: str = SENIOR, **values: object
) -> str:
    """A licence for a case of its own; its id."""
    case = new_id()
    said = content(number, **values)
    made = await store.transaction(lambda connection: register.issue(connection, kind, said, case))
    assert made is not None
    return made


async def rows(store: Store, table: sa.Table = permits) -> list[sa.Row[*tuple[object, ...]]]:
    return await store.transaction(
        lambda connection: list(connection.execute(sa.select(table).order_by(table.c.id)))
    )


async def refused_for(store: Store) -> list[str]:
    """Why somebody was refused, the first first."""
    found = await rows(store, refusals)
    return [str(row.why) for row in sorted(found, key=lambda row: (row.at_ms, row.id))]


def wanted(licence: str, number: str = HOLDER, visit: str = VISIT) -> PermitRequest:
    return PermitRequest(number=number, visit=visit, licence=licence)
