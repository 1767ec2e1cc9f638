"""How long the node keeps what: personal fields for days, tickets without them for longer.

Counters are never deleted: a number that was given on a day is never given again on it, whatever
becomes of the tickets and of the clock.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Self

import sqlalchemy as sa
from pydantic import Field, model_validator

from affairs.cases.tables import (
    case_steps,
    cases,
    continuations,
    decisions,
    holdings,
    pushes,
)
from affairs.licences.permits import Permits
from affairs.licences.tables import licences, permits, refusals, visits
from affairs.store import SEALED, appointments, calls, reserved, slots, tickets, writes
from hallkit.model.case import CaseState
from hallkit.runtime.clock import local_date
from hallkit.runtime.config import Section
from hallkit.store.retention import BATCH_ROWS, DAY_MS, Batch, Step

_OFFLINE_DAYS = 7
"""A machine that was away longer than this has nothing to tell of its numbers."""

Days = Annotated[int, Field(ge=1, le=36_500)]


class Retention(Section):
    """`[affairs.retention]`: days after the day of the ticket or of the write."""

    personal_days: Annotated[int, Field(ge=1, le=365)] = 3
    """Name, ID number and answers of an applicant, and what finds them."""
    keys_days: Days = 30
    """Idempotency keys: a machine that asks again after that gets another number."""
    tickets_days: Days = 400
    """Tickets and appointments without anything personal, and calls."""
    audit_days: Days = 1095
    """Who did what; a signed checkpoint stands for what goes."""

    drafts_days: Annotated[int, Field(ge=1, le=90)] = 2
    """Cases that were begun and never submitted."""
    cases_days: Days = 1095
    """Cases with their decisions, and what was kept of persons to be used again, after the last
    step. The office's archive keeps what the law wants kept longer."""

    @model_validator(mode="after")
    def _tickets_outlive_their_keys(self) -> Self:
        if self.tickets_days < max(self.keys_days, self.personal_days):
            raise ValueError("tickets_days: must not be shorter than the others")
        return self


def steps(kept: Retention) -> Mapping[str, Step]:
    """What the janitor does."""
    return {
        "personal": partial(_drop_personal, kept.personal_days),
        "keys": partial(_delete_keys, kept.keys_days),
        "tickets": partial(_delete_tickets, kept.tickets_days),
        "appointments": partial(_drop_personal_of_appointments, kept.personal_days),
        "old appointments": partial(_delete_appointments, kept.tickets_days),
        "calls": partial(_delete_calls, kept.tickets_days),
        "slots": _delete_slots,
        "reserved": _delete_reserved,
        "drafts": partial(_delete_cases, kept.drafts_days, drafts=True),
        "cases": partial(_delete_cases, kept.cases_days, drafts=False),
        "continuations": _delete_continuations,
        "holdings": partial(_delete_holdings, kept.cases_days),
        "print files": _drop_print_files,
        "permits": partial(_delete_permits, kept.tickets_days),
        "print refusals": partial(_delete_print_refusals, kept.tickets_days),
        "visits": _delete_visits,
        "licences": partial(_delete_licences, kept.cases_days),
    }


def _drop_personal(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Empty what is sealed and what finds it; the ticket stays."""
    old = (
        sa.select(tickets.c.id)
        .where(tickets.c.day < _day(now_ms, days), SEALED)
        .order_by(tickets.c.day)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(
        tickets.update().where(tickets.c.id.in_(old)).values(request=b"", applicant_mac=None)
    )
    return _batch(done.rowcount)


def _delete_keys(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    key = (writes.c.device, writes.c.key_mac)
    old = (
        sa.select(*key)
        .where(writes.c.written_at_ms < now_ms - days * DAY_MS)
        .order_by(writes.c.written_at_ms)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(writes.delete().where(sa.tuple_(*key).in_(old))).rowcount)


def _delete_tickets(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(tickets.c.id)
        .where(tickets.c.day < _day(now_ms, days))
        .order_by(tickets.c.day)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(tickets.delete().where(tickets.c.id.in_(old))).rowcount)


def _drop_personal_of_appointments(
    days: int, connection: sa.Connection, now_ms: int, _after: Any
) -> Batch:
    old = (
        sa.select(appointments.c.id)
        .where(
            appointments.c.day < _day(now_ms, days),
            SEALED,
        )
        .order_by(appointments.c.day)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(
        appointments.update()
        .where(appointments.c.id.in_(old))
        .values(request=b"", applicant_mac=None)
    )
    return _batch(done.rowcount)


def _delete_appointments(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(appointments.c.id)
        .where(appointments.c.day < _day(now_ms, days))
        .order_by(appointments.c.day)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(appointments.delete().where(appointments.c.id.in_(old)))
    return _batch(done.rowcount)


def _delete_calls(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(calls.c.id)
        .where(calls.c.at_ms < now_ms - days * DAY_MS)
        .order_by(calls.c.at_ms)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(calls.delete().where(calls.c.id.in_(old))).rowcount)


def _delete_slots(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Slots that are over."""
    key = (slots.c.service, slots.c.start_ms)
    old = sa.select(*key).where(slots.c.start_ms < now_ms - DAY_MS).limit(BATCH_ROWS)
    return _batch(connection.execute(slots.delete().where(sa.tuple_(*key).in_(old))).rowcount)


def _delete_reserved(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Numbers of days that are over and that no machine has told of for a week."""
    old = (
        sa.select(reserved.c.ticket_id)
        .where(reserved.c.day < _day(now_ms, _OFFLINE_DAYS))
        .limit(BATCH_ROWS)
    )
    done = connection.execute(reserved.delete().where(reserved.c.ticket_id.in_(old)))
    return _batch(done.rowcount)


def _delete_cases(
    days: int, connection: sa.Connection, now_ms: int, _after: Any, *, drafts: bool
) -> Batch:
    """With their steps and decisions: what is not whole proves nothing."""
    states = [state.value for state in CaseState if (state is CaseState.DRAFT) is drafts]
    old = (
        connection.execute(
            sa.select(cases.c.id)
            .where(cases.c.state.in_(states), cases.c.state_at_ms < now_ms - days * DAY_MS)
            .limit(BATCH_ROWS)
        )
        .scalars()
        .all()
    )
    if not old:
        return _batch(0)
    connection.execute(tickets.update().where(tickets.c.case_id.in_(old)).values(case_id=None))
    for table, column in (
        (case_steps, case_steps.c.case_id),
        (decisions, decisions.c.case_id),
        (pushes, pushes.c.case_id),
        (continuations, continuations.c.case_id),
        (cases, cases.c.id),
    ):
        connection.execute(table.delete().where(column.in_(old)))
    return _batch(len(old))


def _delete_continuations(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(continuations.c.code_mac)
        .where(continuations.c.expires_at_ms < now_ms - DAY_MS)
        .limit(BATCH_ROWS)
    )
    done = connection.execute(continuations.delete().where(continuations.c.code_mac.in_(old)))
    return _batch(done.rowcount)


def _delete_holdings(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(holdings.c.id).where(holdings.c.at_ms < now_ms - days * DAY_MS).limit(BATCH_ROWS)
    )
    done = connection.execute(holdings.delete().where(holdings.c.id.in_(old)))
    return _batch(done.rowcount)


def _drop_print_files(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Files that nobody came for; the node's own loop does it within seconds."""
    return Batch(Permits(connection, now_ms).expire())


def _delete_permits(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(permits.c.id)
        .where(permits.c.made_at_ms < now_ms - days * DAY_MS)
        .order_by(permits.c.made_at_ms)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(permits.delete().where(permits.c.id.in_(old))).rowcount)


def _delete_print_refusals(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    old = (
        sa.select(refusals.c.id)
        .where(refusals.c.at_ms < now_ms - days * DAY_MS)
        .order_by(refusals.c.at_ms)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(refusals.delete().where(refusals.c.id.in_(old))).rowcount)


def _delete_visits(connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Visits of yesterday and before: none lasts a day."""
    key = (visits.c.device, visits.c.visit)
    old = (
        sa.select(*key)
        .where(visits.c.began_at_ms < now_ms - DAY_MS)
        .order_by(visits.c.began_at_ms)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(visits.delete().where(sa.tuple_(*key).in_(old))).rowcount)


def _delete_licences(days: int, connection: sa.Connection, now_ms: int, _after: Any) -> Batch:
    """Licences that ended so long ago; what has no end stays until it is revoked."""
    old = (
        sa.select(licences.c.id)
        .where(licences.c.ends_on < _day(now_ms, days))
        .order_by(licences.c.ends_on)
        .limit(BATCH_ROWS)
    )
    return _batch(connection.execute(licences.delete().where(licences.c.id.in_(old))).rowcount)


def _day(now_ms: int, days: int) -> dt.date:
    return local_date(now_ms) - dt.timedelta(days=days)


def _batch(gone: int) -> Batch:
    return Batch.of(gone)
