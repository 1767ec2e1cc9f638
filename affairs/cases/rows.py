"""Rows of cases: what every part of the room does to them, inside a transaction of its caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from affairs.cases.tables import case_steps, cases
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from hallkit.model.case import CASE_MAY_BECOME, CaseState
from hallkit.wire.cases_api import CaseContent, CaseStep

Row = sa.Row[*tuple[Any, ...]]
Work = Callable[[sa.Connection], str]
"""Does something in a transaction and says to which case."""


def case_row(connection: sa.Connection, case_id: str) -> Row:
    """`Refused` if there is none."""
    row = connection.execute(sa.select(cases).where(cases.c.id == case_id)).one_or_none()
    if row is None:
        raise Refused(ProblemCode.CASE_UNKNOWN)
    return row


def content_of(row: Row, sealer: Sealer) -> CaseContent:
    """`Refused` where its time is over and it was emptied."""
    if not row.content:
        raise Refused(ProblemCode.CASE_UNKNOWN)
    return CaseContent.model_validate_json(sealer.open(row.id, row.content))


def sealed(case_id: str, content: CaseContent, sealer: Sealer) -> dict[str, Any]:
    """What is personal, as columns."""
    number = content.applicant.number if content.applicant is not None else None
    return {
        "content": sealer.seal(case_id, content.model_dump_json().encode()),
        "applicant_mac": sealer.lookup(number) if number else None,
    }


def move(  # a step is all of this
    connection: sa.Connection,
    row: Row,
    state: CaseState,
    *,
    at_ms: int,
    by: str,
    sealer: Sealer,
    words: str = "",
    **values: Any,
) -> None:
    """Bring a case from the state that `row` shows into another one, and remember the step.

    `Refused` where there is no way, or where somebody else moved it meanwhile.
    """
    if state not in CASE_MAY_BECOME[CaseState(row.state)]:
        raise Refused(ProblemCode.CASE_NOT_SO)
    moved = connection.execute(
        cases.update()
        .where(cases.c.id == row.id, cases.c.state == row.state)
        .values(state=state.value, state_at_ms=at_ms, **values)
    )
    if moved.rowcount == 0:
        raise Refused(ProblemCode.CASE_NOT_SO)
    add_step(connection, row.id, state, at_ms=at_ms, by=by, sealer=sealer, words=words)


def add_step(
    connection: sa.Connection,
    case_id: str,
    state: CaseState,
    *,
    at_ms: int,
    by: str,
    sealer: Sealer,
    words: str = "",
) -> None:
    last = connection.execute(
        sa.select(sa.func.max(case_steps.c.step)).where(case_steps.c.case_id == case_id)
    ).scalar_one()
    step = (last or 0) + 1
    connection.execute(
        case_steps.insert().values(
            case_id=case_id,
            step=step,
            state=state.value,
            at_ms=at_ms,
            by=by,
            words=sealer.seal(f"{case_id}/{step}", words.encode()) if words else b"",
        )
    )


def steps_of(connection: sa.Connection, case_id: str) -> tuple[CaseStep, ...]:
    """What happened, the first first."""
    found = connection.execute(
        sa.select(case_steps.c.state, case_steps.c.at_ms)
        .where(case_steps.c.case_id == case_id)
        .order_by(case_steps.c.step)
    )
    return tuple(CaseStep(state=CaseState(row.state), at_ms=row.at_ms) for row in found)


def last_words(connection: sa.Connection, case_id: str, state: CaseState, sealer: Sealer) -> str:
    """What was said to the applicant when the case came into this state last; empty if nothing."""
    row = connection.execute(
        sa.select(case_steps.c.step, case_steps.c.words)
        .where(case_steps.c.case_id == case_id, case_steps.c.state == state.value)
        .order_by(case_steps.c.step.desc())
        .limit(1)
    ).one_or_none()
    if row is None or not row.words:
        return ""
    return sealer.open(f"{case_id}/{row.step}", row.words).decode()
