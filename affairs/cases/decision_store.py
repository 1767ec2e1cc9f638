"""Decisions in the node's database: sealed records, signed receipts."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from affairs.cases.rows import Row
from affairs.cases.tables import cases, decisions
from affairs.decisions import Kept
from affairs.sealing import Sealer
from affairs.store import Store
from hallkit.errors import StoreError
from hallkit.model.decision import Verdict
from hallkit.model.receipt import Receipt, Record


class DatabaseDecisions:
    """Implements `affairs.decisions.DecisionStore`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, kept: Kept) -> Kept:
        """Durable when it returns. What is already kept under this id stands, and is returned."""

        def work(connection: sa.Connection) -> Kept:
            found = connection.execute(
                sa.select(decisions).where(decisions.c.id == kept.id)
            ).one_or_none()
            if found is not None:
                return _kept(found)
            connection.execute(
                decisions.insert().values(
                    id=kept.id,
                    case_id=kept.case,
                    at_ms=kept.at_ms,
                    item=kept.item,
                    verdict=kept.verdict.value,
                    sealed_record=kept.sealed_record,
                    receipt=kept.receipt,
                )
            )
            return kept

        return await self._store.transaction(work)

    async def load(self, case: str) -> tuple[Kept, ...]:
        """Decisions of a case, the oldest first; empty if there are none."""

        def work(connection: sa.Connection) -> tuple[Kept, ...]:
            found = connection.execute(
                sa.select(decisions)
                .where(decisions.c.case_id == case)
                .order_by(decisions.c.at_ms, decisions.c.id)
            )
            return tuple(_kept(row) for row in found)

        return await self._store.transaction(work)


def decisions_of(database: Path, case: str, sealer: Sealer) -> tuple[tuple[Record, Receipt], ...]:
    """Every decision of a case, read from a node's file beside the running node.

    `case` is its number or its id. `StoreError` for a file that is none or a case without any,
    `TrustError` if a record was sealed under another key or changed.
    """
    engine = sa.create_engine(f"sqlite+pysqlite:///file:{database}?mode=ro&uri=true")
    wanted = (
        sa.select(decisions)
        .join(cases, cases.c.id == decisions.c.case_id)
        .where(sa.or_(cases.c.id == case, cases.c.number == case))
        .order_by(decisions.c.at_ms, decisions.c.id)
    )
    try:
        with engine.connect() as connection:
            found = [_kept(row) for row in connection.execute(wanted)]
    except sa.exc.SQLAlchemyError as exc:
        raise StoreError(f"{database.name}: {type(exc).__name__}") from None
    finally:
        engine.dispose()
    if not found:
        raise StoreError(f"{database.name}: no decision of such a case")
    return tuple(
        (
            Record.from_bytes(sealer.open(one.id, one.sealed_record)),
            Receipt.from_bytes(one.receipt),
        )
        for one in found
    )


def _kept(row: Row) -> Kept:
    return Kept(
        id=row.id,
        case=row.case_id,
        at_ms=row.at_ms,
        item=row.item,
        verdict=Verdict(row.verdict),
        sealed_record=row.sealed_record,
        receipt=row.receipt,
    )
