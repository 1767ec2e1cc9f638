"""The node's database: tickets, counters, used idempotency keys."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from hallkit.store import database

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = database.new_metadata()

counters = sa.Table(
    "counters",
    metadata,
    sa.Column("service", sa.String(32), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("last", sa.Integer, nullable=False),
    comment="The last number of a service on a business day; it only grows",
)

tickets = sa.Table(
    "tickets",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("service", sa.String(32), nullable=False),
    sa.Column("service_name", sa.String(64), nullable=False),
    sa.Column("windows", sa.String(128), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("number", sa.String(8), nullable=False),
    sa.Column("code", sa.String(160), nullable=False),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("issued_at_ms", sa.BigInteger, nullable=False),
    sa.Column("waiting_ahead", sa.Integer, nullable=False),
    sa.Column("applicant_mac", sa.String(64), nullable=True, index=True),
    sa.Column("request", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
    sa.UniqueConstraint("service", "day", "sequence"),
    sa.UniqueConstraint("day", "number"),
    sa.Index(None, "service", "day", "state"),
)

SEALED = sa.text("length(request) > 0")
"""A ticket that still holds something personal; retention empties it."""

sa.Index("ix_tickets_sealed", tickets.c.day, sqlite_where=SEALED)

writes = sa.Table(
    "writes",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("key_mac", sa.String(64), primary_key=True),
    sa.Column("request_mac", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(26), nullable=False),
    sa.Column("written_at_ms", sa.BigInteger, nullable=False, index=True),
    comment="Idempotency keys that were used, and what they made",
)


class Store(database.Database):
    """The database file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, migrations=MIGRATIONS)


def migrate(connection: sa.Connection) -> None:
    """Bring the schema to the newest version, all steps in the transaction of `connection`."""
    database.migrate(connection, MIGRATIONS)
