"""The centre's database; no personal data."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from hallkit.store import database

MIGRATIONS = Path(__file__).parent / "migrations"

metadata = database.new_metadata()

machine = sa.Table(
    "machine",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("name", sa.String(120), nullable=False),
    sa.Column("role", sa.String(48), nullable=False),
    sa.Column("agent", sa.String(48), nullable=False),
    sa.Column("presence", sa.String(16), nullable=False),
    sa.Column("presence_since_ms", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("boot", sa.String(32), nullable=False),
    sa.Column("seen_ms", sa.BigInteger, nullable=False),
    sa.Column("event_ms", sa.BigInteger, nullable=True),
    sa.Column("outbox_rows", sa.Integer, nullable=True),
    sa.Column("health_ms", sa.BigInteger, nullable=True),
    sa.Column("health_boot", sa.String(32), nullable=False),
    sa.Column("health_seq", sa.BigInteger, nullable=False),
    sa.Column("maintenance", sa.String(16), nullable=False, server_default="inactive"),
)

peripheral = sa.Table(
    "peripheral",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("id", sa.String(48), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("boot", sa.String(32), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
)

stream = sa.Table(
    "stream",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("boot", sa.String(32), primary_key=True),
    sa.Column("upto", sa.BigInteger, nullable=False),
    sa.Column("seen_ms", sa.BigInteger, nullable=False),
    comment="Everything up to `upto` is settled and acknowledged",
)

report = sa.Table(
    "report",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("boot", sa.String(32), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True),
    comment="Reports whose effects are kept though an earlier one is still missing",
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("boot", sa.String(32), nullable=True),
    sa.Column("seq", sa.BigInteger, nullable=True),
    sa.Column("position", sa.Integer, nullable=True),
    sa.Column("type", sa.String(48), nullable=False),
    sa.Column("time_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("received_ms", sa.BigInteger, nullable=False),
    sa.Column("hist", sa.Boolean, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.UniqueConstraint("device", "boot", "seq", "position"),
)

counter = sa.Table(
    "counter",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True, index=True),
    sa.Column("name", sa.String(48), primary_key=True),
    sa.Column("value", sa.BigInteger, nullable=False),
)

wanted = sa.Table(
    "wanted",
    metadata,
    sa.Column("part", sa.String(32), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    comment="What the hub wants on the machines, part by part",
)

reported = sa.Table(
    "reported",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("told_ms", sa.BigInteger, nullable=False),
    comment="What a machine says it has",
)


class Store(database.Database):
    """The database file; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, migrations=MIGRATIONS)


def migrate(connection: sa.Connection) -> None:
    """Bring the schema to the newest version, all steps in the transaction of `connection`."""
    database.migrate(connection, MIGRATIONS)
