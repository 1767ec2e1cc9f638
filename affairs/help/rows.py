"""Rows of the calls for help: what every part does to them, inside a transaction of its caller."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from affairs.help.tables import help_calls
from affairs.problems import ProblemCode, Refused
from hallkit.model.help import HelpState

Row = sa.Row[*tuple[Any, ...]]

OPEN = tuple(state.value for state in HelpState if state.is_open)


def call_row(connection: sa.Connection, call: str) -> Row:
    """`Refused` if there is none."""
    row = connection.execute(sa.select(help_calls).where(help_calls.c.id == call)).one_or_none()
    if row is None:
        raise Refused(ProblemCode.HELP_UNKNOWN)
    return row


def open_rows(connection: sa.Connection, *states: HelpState) -> list[Row]:
    """Calls of these states, else all that are open; the oldest first."""
    wanted = [state.value for state in states] or OPEN
    return list(
        connection.execute(
            sa.select(help_calls)
            .where(help_calls.c.state.in_(wanted))
            .order_by(help_calls.c.called_at_ms, help_calls.c.id)
        )
    )


def move(
    connection: sa.Connection, row: Row, state: HelpState, *, at_ms: int, **values: Any
) -> None:
    """From the state that `row` shows; `Refused` where somebody else was quicker."""
    if not state.is_open:
        values |= {"ended_at_ms": at_ms, "open_for": None}
    moved = connection.execute(
        help_calls.update()
        .where(help_calls.c.id == row.id, help_calls.c.state == row.state)
        .values(**{"state": state.value, "state_at_ms": at_ms, "next_at_ms": None, **values})
    )
    if moved.rowcount == 0:
        raise Refused(ProblemCode.HELP_NOT_SO)


def shown_of(call: str) -> str:
    """What the helper's name is sealed for."""
    return f"{call}.shown"
