"""Queue: tickets, counters and used idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("service", "day", name="pk_counters"),
        comment="The last number of a service on a business day; it only grows",
    )
    op.create_table(
        "tickets",
        sa.Column("id", sa.String(26), nullable=False),
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
        sa.Column("applicant_mac", sa.String(64), nullable=True),
        sa.Column("request", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
        sa.UniqueConstraint("service", "day", "sequence", name="uq_tickets_service_day_sequence"),
        sa.UniqueConstraint("day", "number", name="uq_tickets_day_number"),
    )
    op.create_index("ix_tickets_applicant_mac", "tickets", ["applicant_mac"])
    op.create_index("ix_tickets_service_day_state", "tickets", ["service", "day", "state"])
    op.create_table(
        "writes",
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("key_mac", sa.String(64), nullable=False),
        sa.Column("request_mac", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(26), nullable=False),
        sa.Column("written_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("device", "key_mac", name="pk_writes"),
        comment="Idempotency keys that were used, and what they made",
    )
