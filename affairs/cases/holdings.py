"""本地信息库: what the hall has of a person already and may use again, while they let it.

Papers that a window has looked at, and the hall's own e-licences. Without consent nothing is kept
and nothing is used; who takes it back has everything deleted that was kept for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import sqlalchemy as sa

from affairs.cases.facts import HeldLicence
from affairs.cases.tables import consents, holdings
from affairs.once import Once, canonical
from affairs.problems import ProblemCode, Refused
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.model.ids import new_id
from hallkit.model.item import Item
from hallkit.runtime.clock import Clock
from hallkit.wire.cases_api import (
    Holding,
    Holdings,
    HoldingsConsent,
    HoldingsForget,
    SeenMaterial,
)


class Shelf:
    """What is kept of people to be used again."""

    def __init__(self, store: Store, *, once: Once, sealer: Sealer, clock: Clock) -> None:
        self._store = store
        self._once = once
        self._sealer = sealer
        self._clock = clock

    async def of_person(self, number: str) -> Holdings:
        """Whether they consent, and what is kept of them."""
        mac = self._sealer.lookup(number)
        return await self._store.transaction(lambda connection: self._told(connection, mac))

    async def consent(self, said: HoldingsConsent, *, device: str, key: str) -> Holdings:
        """Remember a yes; a no deletes everything that was kept."""
        mac = self._sealer.lookup(said.number)

        def change(connection: sa.Connection) -> str:
            if not said.consent:
                connection.execute(consents.delete().where(consents.c.applicant_mac == mac))
                connection.execute(holdings.delete().where(holdings.c.applicant_mac == mac))
            elif self._consent_ms(connection, mac) is None:
                connection.execute(
                    consents.insert().values(
                        applicant_mac=mac, given_at_ms=self._clock.wall_ms(), device=device
                    )
                )
            return "-"

        def work(connection: sa.Connection) -> Holdings:
            self._once.do(
                connection,
                device=device,
                key=key,
                kind="consent",
                content=canonical(said),
                work=lambda: change(connection),
            )
            return self._told(connection, mac)

        return await self._store.transaction(work)

    async def forget(self, wanted: HoldingsForget, *, device: str, key: str) -> Holdings:
        """Delete some. `Refused` if one of them is not this person's."""
        mac = self._sealer.lookup(wanted.number)

        def change(connection: sa.Connection) -> str:
            mine = (holdings.c.applicant_mac == mac, holdings.c.id.in_(wanted.holdings))
            gone = connection.execute(holdings.delete().where(*mine))
            if gone.rowcount < len(set(wanted.holdings)):
                raise Refused(ProblemCode.HOLDING_UNKNOWN)
            return "-"

        def work(connection: sa.Connection) -> Holdings:
            self._once.do(
                connection,
                device=device,
                key=key,
                kind="forget",
                content=canonical(wanted),
                work=lambda: change(connection),
            )
            return self._told(connection, mac)

        return await self._store.transaction(work)

    def usable(
        self,
        connection: sa.Connection,
        mac: str,
        licences: Iterable[HeldLicence],
        today: dt.date,
    ) -> tuple[Holding, ...]:
        """What may stand for a material now: in date, and with the person's consent."""
        if self._consent_ms(connection, mac) is None:
            return ()
        seen = self._kept(connection, mac)
        own = tuple(licence.holding for licence in licences)
        return tuple(
            one for one in (*own, *seen) if one.valid_until is None or one.valid_until >= today
        )

    def remember(
        self,
        connection: sa.Connection,
        mac: str,
        item: Item,
        seen: Iterable[SeenMaterial],
        *,
        window: int,
        case: str,
    ) -> None:
        """Papers that a window has looked at; nothing without consent. What is newer stands."""
        if self._consent_ms(connection, mac) is None:
            return
        materials = {material.key: material for material in item.materials}
        for one in seen:
            material = materials.get(one.key)
            if material is None or not material.held_as:
                continue  # nothing asks for it under a name that others would know
            mine = (holdings.c.applicant_mac == mac, holdings.c.kind == material.held_as)
            connection.execute(holdings.delete().where(*mine))
            connection.execute(
                holdings.insert().values(
                    id=new_id(),
                    applicant_mac=mac,
                    kind=material.held_as,
                    title=material.plain_name or material.material_name,
                    source=str(window),
                    case_id=case,
                    at_ms=self._clock.wall_ms(),
                    valid_until=one.valid_until,
                )
            )

    def _told(self, connection: sa.Connection, mac: str) -> Holdings:
        given_ms = self._consent_ms(connection, mac)
        return Holdings(
            consent=given_ms is not None,
            consent_at_ms=given_ms,
            holdings=self._kept(connection, mac),
        )

    def _kept(self, connection: sa.Connection, mac: str) -> tuple[Holding, ...]:
        found = connection.execute(
            sa.select(holdings)
            .where(holdings.c.applicant_mac == mac)
            .order_by(holdings.c.at_ms, holdings.c.id)
        )
        return tuple(
            Holding(
                holding=row.id,
                kind=row.kind,
                title=row.title,
                origin="window",
                source=row.source,
                at_ms=row.at_ms,
                valid_until=row.valid_until,
            )
            for row in found
        )

    def _consent_ms(self, connection: sa.Connection, mac: str) -> int | None:
        found: int | None = connection.execute(
            sa.select(consents.c.given_at_ms).where(consents.c.applicant_mac == mac)
        ).scalar_one_or_none()
        return found
