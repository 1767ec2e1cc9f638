"""Ratings, what bad ones ask for, and calls for help."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _ratings()
    _help()


def _ratings() -> None:
    op.create_table(
        "ratings",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("subject_kind", sa.String(8), nullable=False),
        sa.Column("subject_id", sa.String(26), nullable=False),
        sa.Column("level", sa.String(24), nullable=False),
        sa.Column("tags", sa.String(160), nullable=False, comment="Keys, with commas between"),
        sa.Column("channel", sa.String(16), nullable=False),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("service", sa.String(32), nullable=False, comment="Empty: without a number"),
        sa.Column("window", sa.Integer, nullable=True),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("rated_at_ms", sa.BigInteger, nullable=False),
        sa.Column("received_at_ms", sa.BigInteger, nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False, comment="Words and telephone, sealed"),
        sa.Column(
            "free_at_ms", sa.BigInteger, nullable=True, comment="Nobody needs them from then on"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_ratings"),
        sa.UniqueConstraint(
            "subject_kind", "subject_id", name="uq_ratings_subject_kind_subject_id"
        ),
        comment="One for each ticket, case or visit",
    )
    op.create_index("ix_ratings_day", "ratings", ["day"])
    op.create_index(
        "ix_ratings_sealed",
        "ratings",
        ["free_at_ms"],
        sqlite_where=sa.text("length(request) > 0"),
    )
    op.create_table(
        "call_backs",
        sa.Column("rating_id", sa.String(26), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("state_at_ms", sa.BigInteger, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("overdue_at_ms", sa.BigInteger, nullable=True, comment="Seen then; it stays so"),
        sa.Column("taken_by", sa.String(48), nullable=True),
        sa.Column("result", sa.String(16), nullable=True),
        sa.Column("report", sa.LargeBinary, nullable=False, comment="What was found, sealed"),
        sa.PrimaryKeyConstraint("rating_id", name="pk_call_backs"),
        comment="What bad ratings ask for",
    )
    op.create_index("ix_call_backs_state_due_at_ms", "call_backs", ["state", "due_at_ms"])
    op.create_index(
        "ix_call_backs_report",
        "call_backs",
        ["state_at_ms"],
        sqlite_where=sa.text("length(report) > 0"),
    )


def _help() -> None:
    op.create_table(
        "help_calls",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("open_for", sa.String(96), nullable=True, comment="Machine and visit"),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("visit", sa.String(40), nullable=False),
        sa.Column("reason", sa.String(24), nullable=False, comment="Of the latest press"),
        sa.Column(
            "place", sa.String(64), nullable=False, comment="On the hall map; empty: unknown"
        ),
        sa.Column("place_name", sa.String(64), nullable=False),
        sa.Column("level_id", sa.String(64), nullable=False, comment="Storey on the hall map"),
        sa.Column("presses", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_at_ms", sa.BigInteger, nullable=False),
        sa.Column("level", sa.Integer, nullable=False),
        sa.Column("level_at_ms", sa.BigInteger, nullable=False),
        sa.Column("next_at_ms", sa.BigInteger, nullable=True, comment="The next level begins then"),
        sa.Column("called_at_ms", sa.BigInteger, nullable=False),
        sa.Column("helper", sa.String(48), nullable=True, comment="Account of who comes"),
        sa.Column("shown", sa.LargeBinary, nullable=False, comment="What they are called, sealed"),
        sa.Column("there_at_ms", sa.BigInteger, nullable=True),
        sa.Column("outcome", sa.String(24), nullable=True),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
        sa.Column("session", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
        sa.PrimaryKeyConstraint("id", name="pk_help_calls"),
        sa.UniqueConstraint("open_for", name="uq_help_calls_open_for"),
        comment="Somebody at a machine asks for a person",
    )
    op.create_index("ix_help_calls_called_at_ms", "help_calls", ["called_at_ms"])
    op.create_index("ix_help_calls_state_called_at_ms", "help_calls", ["state", "called_at_ms"])
    op.create_index(
        "ix_help_calls_session",
        "help_calls",
        ["ended_at_ms"],
        sqlite_where=sa.text("length(session) > 0"),
    )
