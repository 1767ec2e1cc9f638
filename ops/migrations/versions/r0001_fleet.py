"""Fleet: machines, their peripherals, the streams of reports, events, counters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "machine",
        sa.Column("device", sa.String(48), nullable=False),
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
        sa.PrimaryKeyConstraint("device", name="pk_machine"),
    )
    op.create_table(
        "peripheral",
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("id", sa.String(48), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("boot", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", "id", name="pk_peripheral"),
    )
    op.create_table(
        "stream",
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("boot", sa.String(32), nullable=False),
        sa.Column("upto", sa.BigInteger, nullable=False),
        sa.Column("seen_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", "boot", name="pk_stream"),
        comment="Everything up to `upto` is settled and acknowledged",
    )
    op.create_table(
        "report",
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("boot", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", "boot", "seq", name="pk_report"),
        comment="Reports whose effects are kept though an earlier one is still missing",
    )
    op.create_table(
        "event",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("boot", sa.String(32), nullable=True),
        sa.Column("seq", sa.BigInteger, nullable=True),
        sa.Column("position", sa.Integer, nullable=True),
        sa.Column("type", sa.String(48), nullable=False),
        sa.Column("time_ms", sa.BigInteger, nullable=False),
        sa.Column("received_ms", sa.BigInteger, nullable=False),
        sa.Column("hist", sa.Boolean, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        sa.UniqueConstraint(
            "device", "boot", "seq", "position", name="uq_event_device_boot_seq_position"
        ),
    )
    op.create_index("ix_event_time_ms", "event", ["time_ms"])
    op.create_table(
        "counter",
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("name", sa.String(48), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", "day", "name", name="pk_counter"),
    )
