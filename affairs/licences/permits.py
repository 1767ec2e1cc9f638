"""Permits in the database: made, looked at, destroyed; inside a transaction of the caller.

A permit binds machine, visit, person, licence and the hash of one exact file. Whoever asks with
anything else is refused, the file is destroyed, and the refusal is written down: so what has been
asked for wrongly once can't be printed by anybody any more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from affairs.licences.tables import HOLDS_FILE, licences, permits, refusals, visits
from affairs.problems import ProblemCode
from hallkit.model.ids import new_id
from hallkit.model.licence import PermitState
from hallkit.runtime.log import get_logger

Row = sa.Row[*tuple[Any, ...]]

PENDING = (PermitState.REDEEMED.value, PermitState.UNKNOWN.value)
"""Of whose paper nobody knows yet."""
_WITHOUT_FILE = (permits.c.id, permits.c.licence_id, permits.c.state, permits.c.expires_at_ms)


class Why(StrEnum):
    """Why a permit was destroyed, or somebody refused."""

    OTHER_DEVICE = "other_device"
    OTHER_VISIT = "other_visit"
    OTHER_PERSON = "other_person"
    OTHER_FILE = "other_file"
    NOT_THEIRS = "not_theirs"
    """A licence of somebody else, or of nobody."""
    USED = "used"
    OVER = "over"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    VISIT_OVER = "visit_over"
    LICENCE = "licence"
    """It expired or was revoked meanwhile."""
    NOT_PRINTED = "not_printed"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a print."""

    device: str
    visit: str
    mac: str | None = field(default=None, repr=False)
    """Of the person whose card lies there; none where no card is asked for."""


class Permits:
    """What all of it has in common: the instant of the transaction, and what is written down."""

    def __init__(self, connection: sa.Connection, now_ms: int) -> None:
        self._connection = connection
        self._now_ms = now_ms

    # ── Visits ───────────────────────────────────────────────────────────────────────────────

    def enter(self, asker: Asker) -> ProblemCode | None:
        """The visit belongs to the first person who asks in it; whoever comes second ends it."""
        mine = (visits.c.device == asker.device, visits.c.visit == asker.visit)
        row = self._connection.execute(sa.select(visits).where(*mine)).one_or_none()
        if row is None:
            self._connection.execute(
                visits.insert().values(
                    device=asker.device,
                    visit=asker.visit,
                    holder_mac=asker.mac,
                    began_at_ms=self._now_ms,
                )
            )
            return None
        if row.ended_at_ms is not None:
            self.refuse(asker, Why.VISIT_OVER)
            return ProblemCode.VISIT_OVER
        if row.holder_mac != asker.mac:
            self.refuse(asker, Why.OTHER_PERSON)
            self.end_visit(asker, Why.OTHER_PERSON)
            return ProblemCode.VISIT_OTHER_PERSON
        return None

    def end_visit(self, asker: Asker, why: Why) -> int:
        """Destroy what is left of it; how many files there were."""
        mine = (visits.c.device == asker.device, visits.c.visit == asker.visit)
        ended = self._connection.execute(
            visits.update()
            .where(*mine)
            .values(ended_at_ms=sa.func.coalesce(visits.c.ended_at_ms, self._now_ms))
        )
        if ended.rowcount == 0:
            self._connection.execute(
                visits.insert().values(
                    device=asker.device,
                    visit=asker.visit,
                    began_at_ms=self._now_ms,
                    ended_at_ms=self._now_ms,
                )
            )
        left = self._connection.execute(
            sa.select(*_WITHOUT_FILE).where(
                permits.c.device == asker.device, permits.c.visit == asker.visit, HOLDS_FILE
            )
        ).all()
        for row in left:
            self.destroy(row, why)
        return len(left)

    # ── Permits ──────────────────────────────────────────────────────────────────────────────

    def row(self, permit_id: str) -> Row | None:
        return self._connection.execute(
            sa.select(permits).where(permits.c.id == permit_id)
        ).one_or_none()

    def checked(self, permit_id: str, asker: Asker, sha256: str | None = None) -> Row | ProblemCode:
        """The permit, if it is what this asker may use; anything else destroys it."""
        row = self.row(permit_id)
        if row is None:
            self.refuse(asker, Why.NOT_THEIRS, permit_id)
            return ProblemCode.PERMIT_UNKNOWN
        if row.holder_mac is None:
            self.refuse(asker, Why.OVER, permit_id)
            return ProblemCode.PERMIT_OVER
        why = _mismatch(row, asker, sha256)
        if why is not None:
            self.refuse(asker, why, permit_id)
            self.destroy(row, why)
            return ProblemCode.PERMIT_REFUSED
        return row

    def destroy(self, row: Row, why: Why) -> None:
        """The file is gone. A print that goes on meanwhile is still to be told of."""
        values: dict[str, Any] = {"file": b"", "why": why.value}
        if row.state == PermitState.OPEN:
            values |= self._ended(PermitState.DESTROYED)
        self._connection.execute(permits.update().where(permits.c.id == row.id).values(**values))

    def redeem(self, row: Row) -> int | None:
        """Say yes once more; which time it is. None if somebody was told yes already."""
        said = self._connection.execute(
            permits.update()
            .where(permits.c.id == row.id, permits.c.state == PermitState.OPEN.value)
            .values(state=PermitState.REDEEMED.value, attempt=permits.c.attempt + 1)
        )
        return row.attempt + 1 if said.rowcount else None

    def reopen(self, row: Row) -> None:
        """Surely nothing is on paper: one more, as long as the file is there."""
        self._connection.execute(
            permits.update().where(permits.c.id == row.id).values(state=PermitState.OPEN.value)
        )

    def end(self, row: Row, state: PermitState, why: str = "") -> None:
        """It is over, with its file; `completed` counts as a print."""
        values = {"file": b"", "why": why, **self._ended(state)}
        self._connection.execute(permits.update().where(permits.c.id == row.id).values(**values))
        if state is PermitState.COMPLETED:
            self._connection.execute(
                licences.update()
                .where(licences.c.id == row.licence_id)
                .values(prints=licences.c.prints + 1, printed_at_ms=self._now_ms)
            )

    def supersede(self, licence_id: str) -> None:
        """One file of a licence at a time: a new one takes the place of what waits."""
        for row in self._in_state(licence_id, PermitState.OPEN.value):
            self.destroy(row, Why.SUPERSEDED)

    def is_unsettled(self, licence_id: str) -> bool:
        return bool(self._in_state(licence_id, *PENDING))

    def unsettled(self, licence_id: str) -> tuple[Row, ...]:
        """For staff: the machine doesn't know, or has not said anything in time."""
        return tuple(
            row
            for row in self._in_state(licence_id, *PENDING)
            if row.state == PermitState.UNKNOWN or row.expires_at_ms <= self._now_ms
        )

    def expire(self) -> int:
        """Destroy files whose time is over."""
        late = self._connection.execute(
            sa.select(*_WITHOUT_FILE).where(permits.c.expires_at_ms <= self._now_ms, HOLDS_FILE)
        ).all()
        for row in late:
            self.destroy(row, Why.EXPIRED)
        return len(late)

    def refuse(self, asker: Asker, why: Why, permit_id: str | None = None) -> None:
        """Write down that somebody asked for what is not theirs."""
        get_logger().warning(
            "print.refused", device=asker.device, why=why.value, permit=permit_id or ""
        )
        self._connection.execute(
            refusals.insert().values(
                id=new_id(),
                at_ms=self._now_ms,
                device=asker.device,
                visit=asker.visit,
                permit_id=permit_id,
                why=why.value,
            )
        )

    def _in_state(self, licence_id: str, *states: str) -> tuple[Row, ...]:
        return tuple(
            self._connection.execute(
                sa.select(*_WITHOUT_FILE).where(
                    permits.c.licence_id == licence_id, permits.c.state.in_(states)
                )
            )
        )

    def _ended(self, state: PermitState) -> dict[str, Any]:
        return {"state": state.value, "ended_at_ms": self._now_ms, "holder_mac": None}


def _mismatch(row: Row, asker: Asker, sha256: str | None) -> Why | None:
    if row.device != asker.device:
        return Why.OTHER_DEVICE
    if row.visit != asker.visit:
        return Why.OTHER_VISIT
    if asker.mac is not None and row.holder_mac != asker.mac:
        return Why.OTHER_PERSON
    if sha256 is not None and row.sha256 != sha256:
        return Why.OTHER_FILE
    return None
