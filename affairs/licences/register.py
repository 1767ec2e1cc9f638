"""The register: licences are issued in the transaction of the decision that grants them.

Implements `affairs.cases.room.Licences`. What stands on a licence is sealed; its holder is found by
the keyed hash of their ID number, and whoever scans its code by the keyed hash of a token.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from affairs.cases.facts import HeldLicence
from affairs.licences.filling import LicenceContent, filled, new_number, number_said
from affairs.licences.kinds import load_kinds
from affairs.licences.tables import licences
from affairs.queue.rows import next_sequences
from affairs.sealing import Sealer
from hallkit.model.conditions import FactValue
from hallkit.model.ids import new_id
from hallkit.model.licence import (
    LicenceKind,
    LicenceState,
    identifier,
    serial_number,
    state_of,
)
from hallkit.runtime.clock import Clock, local_date
from hallkit.runtime.log import get_logger
from hallkit.wire.cases_api import CaseContent, Holding

Row = sa.Row[*tuple[Any, ...]]

_COUNTER = "@licences"
"""Beside the queues' counters, under a name that no service can have; one a year."""
_TOKEN_BYTES = 20


class Register:
    """Licences of this hall."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self.kinds = load_kinds()
        self._sealer = sealer
        self._clock = clock
        self._log = get_logger()

    # ── For cases ────────────────────────────────────────────────────────────────────────────

    def of_person(
        self, connection: sa.Connection, applicant_mac: str, today: dt.date
    ) -> Sequence[HeldLicence]:
        """Those that hold on this day, the oldest first."""
        return [
            self._held(row)
            for row in self.rows_of(connection, applicant_mac)
            if state_of_row(row, today) is LicenceState.VALID
        ]

    def issue(
        self, connection: sa.Connection, kind: str, content: CaseContent, case: str
    ) -> str | None:
        """Issue one for a case and kind, once; its id.

        None where this hall issues none of the kind, or where neither the case nor the licence
        that it renews says what must stand on it: then the window that decided sees to it.
        """
        given: str | None = connection.execute(
            sa.select(licences.c.id).where(licences.c.case_id == case, licences.c.kind == kind)
        ).scalar_one_or_none()
        known = self.kinds.get(kind)
        if given is not None or known is None or content.applicant is None:
            return given
        mac = self._sealer.lookup(content.applicant.number)
        former = self._former(connection, known, content, mac)
        before = self.content_of(former) if former is not None else None
        found = filled(known, content, before.fields if before is not None else None)
        if found.missing:
            self._log.error("licence.not_issued", kind=kind, case=case, missing=found.missing)
            return None
        return self._insert(connection, known, content, found.fields, case=case, former=former)

    def _insert(
        self,
        connection: sa.Connection,
        kind: LicenceKind,
        content: CaseContent,
        fields: Mapping[str, FactValue],
        *,
        case: str,
        former: Row | None,
    ) -> str:
        if content.applicant is None:
            raise ValueError("a licence has a holder")
        now_ms = self._clock.wall_ms()
        today = local_date(now_ms)
        (sequence,) = next_sequences(connection, _COUNTER, dt.date(today.year, 1, 1), 1)
        serial = former.serial if former is not None else serial_number(today.year, sequence)
        version = former.version + 1 if former is not None else 1
        valid_from, valid_until = _period(kind, content, former, today)
        number = number_said(kind, content) or new_number(kind, sequence)
        licence_id = new_id()
        sealed = LicenceContent(number=number, fields=dict(fields)).model_dump_json().encode()
        if former is not None:
            self.revoke(connection, former.id)
        connection.execute(
            licences.insert().values(
                id=licence_id,
                case_id=case,
                kind=kind.key,
                identifier=identifier(
                    kind=kind.code, issuer=kind.issuer_code, serial=serial, version=version
                ),
                serial=serial,
                version=version,
                holder_mac=self._sealer.lookup(content.applicant.number),
                content=self._sealer.seal(licence_id, sealed),
                token_mac=self.token_mac(self.token(licence_id)),
                issued_at_ms=now_ms,
                issued_on=today,
                valid_from=valid_from,
                valid_until=valid_until,
                ends_on=valid_until,
                prints=0,
            )
        )
        return licence_id

    def _former(
        self, connection: sa.Connection, kind: LicenceKind, content: CaseContent, mac: str
    ) -> Row | None:
        """The licence that is renewed or replaced: the holder's own, of the number they name."""
        number = number_said(kind, content)
        if not number:
            return None
        own = [
            row
            for row in self.rows_of(connection, mac)
            if row.kind == kind.key
            and row.revoked_on is None
            and self.content_of(row).number == number
        ]
        return own[-1] if own else None

    # ── For the rest of the room ─────────────────────────────────────────────────────────────

    def revoke(self, connection: sa.Connection, licence_id: str) -> None:
        """Take a licence back: from now on it opens nothing and is not printed."""
        today = local_date(self._clock.wall_ms())
        ends = sa.case(
            (licences.c.valid_until < today, licences.c.valid_until), else_=sa.literal(today)
        )
        connection.execute(
            licences.update()
            .where(licences.c.id == licence_id, licences.c.revoked_on.is_(None))
            .values(revoked_on=today, ends_on=ends)
        )

    def rows_of(self, connection: sa.Connection, mac: str) -> Sequence[Row]:
        """All licences of a person, whatever their state, the oldest first."""
        return connection.execute(
            sa.select(licences)
            .where(licences.c.holder_mac == mac, licences.c.kind.in_(self.kinds))
            .order_by(licences.c.issued_at_ms, licences.c.id)
        ).all()

    def by_token(self, connection: sa.Connection, token: str) -> Row | None:
        return connection.execute(
            sa.select(licences).where(licences.c.token_mac == self.token_mac(token))
        ).one_or_none()

    def content_of(self, row: Row) -> LicenceContent:
        return LicenceContent.model_validate_json(self._sealer.open(row.id, row.content))

    def token(self, licence_id: str) -> str:
        """What stands in the code on paper: made of the data key, so the disk tells it nobody."""
        digest = self._sealer.fingerprint(b"licence token", licence_id.encode())
        return base64.b32encode(bytes.fromhex(digest)[:_TOKEN_BYTES]).decode().lower()

    def token_mac(self, token: str) -> str:
        return self._sealer.fingerprint(b"licence scanned", token.encode())

    def _held(self, row: Row) -> HeldLicence:
        kind, content = self.kinds[row.kind], self.content_of(row)
        fields: dict[str, FactValue] = {**content.fields, "number": content.number}
        fields[kind.number_key] = content.number
        if row.valid_until is not None:
            fields["expires_on"] = row.valid_until.isoformat()
        holding = Holding(
            holding=row.id,
            kind=kind.key,
            title=kind.title,
            origin="licence",
            source=kind.issuer,
            at_ms=row.issued_at_ms,
            valid_until=row.valid_until,
        )
        return HeldLicence(holding, fields)


def state_of_row(row: Row, today: dt.date) -> LicenceState:
    return state_of(valid_until=row.valid_until, revoked=row.revoked_on is not None, today=today)


def _period(
    kind: LicenceKind, content: CaseContent, former: Row | None, today: dt.date
) -> tuple[dt.date, dt.date | None]:
    """What is replaced keeps its days; what is new or renewed holds from today."""
    if former is not None and kind.renewed_by not in content.values:
        return former.valid_from, former.valid_until
    return today, kind.valid_until(today)
