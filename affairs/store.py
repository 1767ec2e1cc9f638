"""The node's database: tickets, numbers, windows, appointments, used idempotency keys."""

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
    sa.Column("service", sa.String(32), nullable=False, comment="That gave the number"),
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
    sa.Column("queue", sa.String(32), nullable=False, server_default="", comment="Waits there"),
    sa.Column("priority", sa.String(16), nullable=False, server_default="none"),
    sa.Column("came_at_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("place_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("state_at_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("window", sa.Integer, nullable=True, comment="That called it last"),
    sa.Column("calls", sa.Integer, nullable=False, server_default="0"),
    sa.Column("called_at_ms", sa.BigInteger, nullable=True, comment="To this window, first"),
    sa.Column("called_for", sa.String(32), nullable=True, comment="Service of that call"),
    sa.Column("ended_at_ms", sa.BigInteger, nullable=True, comment="Served, skipped or moved on"),
    sa.Column("uncertainty_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("case_id", sa.String(26), nullable=True, comment="For which its holder comes"),
    sa.UniqueConstraint("service", "day", "sequence"),
    sa.UniqueConstraint("day", "number"),
    sa.Index(None, "case_id"),
    sa.Index(None, "queue", "day", "state"),
    sa.Index(None, "day", "state", "place_ms"),
)

windows = sa.Table(
    "windows",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
    sa.Column("ticket_id", sa.String(26), nullable=True, comment="Who is called or served there"),
    comment="Windows that have said how they are",
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("ticket_id", sa.String(26), nullable=False),
    sa.Column("number", sa.String(8), nullable=False),
    sa.Column("service", sa.String(32), nullable=False),
    sa.Column("window", sa.Integer, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    comment="Every call, in order: what boards show and loudspeakers say",
)

slots = sa.Table(
    "slots",
    metadata,
    sa.Column("service", sa.String(32), primary_key=True),
    sa.Column("start_ms", sa.BigInteger, primary_key=True),
    sa.Column("taken", sa.Integer, nullable=False),
    sa.Index(None, "start_ms"),
    comment="How many appointments a slot holds",
)

appointments = sa.Table(
    "appointments",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("service", sa.String(32), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("start_ms", sa.BigInteger, nullable=False),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("state_at_ms", sa.BigInteger, nullable=False),
    sa.Column("ticket_id", sa.String(26), nullable=True),
    sa.Column("applicant_mac", sa.String(64), nullable=True, index=True),
    sa.Column("request", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
    sa.Index(None, "day", "state"),
)

reserved = sa.Table(
    "reserved",
    metadata,
    sa.Column("ticket_id", sa.String(26), primary_key=True),
    sa.Column("service", sa.String(32), nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    sa.Column("sequence", sa.Integer, nullable=False),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("code", sa.String(160), nullable=False),
    sa.Column("leased_at_ms", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("service", "day", "sequence"),
    sa.Index(None, "device", "day", "service"),
    sa.Index(None, "day"),
    comment="Numbers that a machine may give while the node is away, and has not given yet",
)

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


SEALED = sa.text("length(request) > 0")
"""A row that still holds something personal; retention empties it."""

sa.Index("ix_tickets_sealed", tickets.c.day, sqlite_where=SEALED)
sa.Index("ix_appointments_sealed", appointments.c.day, sqlite_where=SEALED)


class Store(database.Database):
    """The database file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, migrations=MIGRATIONS)


def migrate(connection: sa.Connection) -> None:
    """Bring the schema to the newest version, all steps in the transaction of `connection`."""
    database.migrate(connection, MIGRATIONS)
