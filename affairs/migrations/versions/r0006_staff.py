"""Staff: accounts, sessions, failed logins, who stands at windows, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _people()
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False, comment="Account, or a program"),
        sa.Column("subject", sa.String(64), nullable=False, comment="An id or a keyed mac"),
        sa.Column("detail", sa.String(512), nullable=False, comment="Canonical JSON"),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        comment="Append only: each row's hash covers the row before",
    )
    op.create_table(
        "audit_heads",
        sa.Column("seq", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False, comment="head or checkpoint"),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("signature", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("seq", "kind", name="pk_audit_heads"),
        comment="Signed: how far the audit log went, and what stands for rows that were dropped",
    )


def _people() -> None:
    op.create_table(
        "staff_accounts",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(48), nullable=False),
        sa.Column("display_name", sa.String(64), nullable=False),
        sa.Column("roles", sa.String(120), nullable=False, comment="With commas"),
        sa.Column(
            "windows", sa.String(1024), nullable=False, comment="Numbers with commas, or all"
        ),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("password", sa.String(256), nullable=False, comment="Argon2id, with parameters"),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_staff_accounts"),
        sa.UniqueConstraint("name", name="uq_staff_accounts_name"),
        comment="People who may log in",
    )
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("started_at_ms", sa.BigInteger, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_staff_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_staff_sessions_token_hash"),
        comment="Who is logged in",
    )
    op.create_index("ix_staff_sessions_account_id", "staff_sessions", ["account_id"])
    op.create_index("ix_staff_sessions_seen_at_ms", "staff_sessions", ["seen_at_ms"])
    op.create_table(
        "staff_attempts",
        sa.Column("whose", sa.String(64), nullable=False, comment="Keyed: a name or an address"),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("whose", name="pk_staff_attempts"),
        comment="Logins that did not succeed, so far",
    )
    op.create_index("ix_staff_attempts_last_at_ms", "staff_attempts", ["last_at_ms"])
    op.create_table(
        "staff_seats",
        sa.Column("window", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("account_id", sa.String(26), nullable=False),
        sa.Column("since_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("window", name="pk_staff_seats"),
        sa.UniqueConstraint("account_id", name="uq_staff_seats_account_id"),
        comment="Who stands at which window: one each",
    )
