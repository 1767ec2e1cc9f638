"""Calls: places in the queue, windows, appointments, numbers that machines hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _tickets()
    op.create_table(
        "windows",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ticket_id", sa.String(26), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_windows"),
        comment="Windows that have said how they are",
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("ticket_id", sa.String(26), nullable=False),
        sa.Column("number", sa.String(8), nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("window", sa.Integer, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_calls"),
        comment="Every call, in order: what boards show and loudspeakers say",
    )
    op.create_index("ix_calls_at_ms", "calls", ["at_ms"])
    op.create_table(
        "slots",
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("service", "start_ms", name="pk_slots"),
        comment="How many appointments a slot holds",
    )
    op.create_table(
        "appointments",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("start_ms", sa.BigInteger, nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ticket_id", sa.String(26), nullable=True),
        sa.Column("applicant_mac", sa.String(64), nullable=True),
        sa.Column("request", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
        sa.PrimaryKeyConstraint("id", name="pk_appointments"),
    )
    op.create_index("ix_appointments_applicant_mac", "appointments", ["applicant_mac"])
    op.create_index(
        "ix_appointments_sealed",
        "appointments",
        ["day"],
        sqlite_where=sa.text("length(request) > 0"),
    )
    op.create_index("ix_slots_start_ms", "slots", ["start_ms"])
    op.create_index("ix_appointments_day_state", "appointments", ["day", "state"])
    op.create_table(
        "reserved",
        sa.Column("ticket_id", sa.String(26), nullable=False),
        sa.Column("service", sa.String(32), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("code", sa.String(160), nullable=False),
        sa.Column("leased_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("ticket_id", name="pk_reserved"),
        sa.UniqueConstraint("service", "day", "sequence", name="uq_reserved_service_day_sequence"),
        comment="Numbers that a machine may give while the node is away, and has not given yet",
    )
    op.create_index("ix_reserved_day", "reserved", ["day"])
    op.create_index("ix_reserved_device_day_service", "reserved", ["device", "day", "service"])


def _tickets() -> None:
    for column in (
        sa.Column("queue", sa.String(32), nullable=False, server_default=""),
        sa.Column("priority", sa.String(16), nullable=False, server_default="none"),
        sa.Column("came_at_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("place_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("state_at_ms", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("window", sa.Integer, nullable=True),
        sa.Column("calls", sa.Integer, nullable=False, server_default="0"),
        sa.Column("called_at_ms", sa.BigInteger, nullable=True),
        sa.Column("called_for", sa.String(32), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
        sa.Column("uncertainty_ms", sa.BigInteger, nullable=False, server_default="0"),
    ):
        op.add_column("tickets", column)
    op.execute(
        "update tickets set queue = service, came_at_ms = issued_at_ms, place_ms = issued_at_ms, "
        "state_at_ms = issued_at_ms"
    )
    op.drop_index("ix_tickets_service_day_state", "tickets")
    op.create_index("ix_tickets_queue_day_state", "tickets", ["queue", "day", "state"])
    op.create_index("ix_tickets_day_state_place_ms", "tickets", ["day", "state", "place_ms"])
