"""Tables of the staff pages and of the audit log."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.store import metadata

accounts = sa.Table(
    "staff_accounts",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("name", sa.String(48), nullable=False, unique=True),
    sa.Column("display_name", sa.String(64), nullable=False),
    sa.Column("roles", sa.String(120), nullable=False, comment="With commas"),
    sa.Column("windows", sa.String(1024), nullable=False, comment="Numbers with commas, or all"),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("password", sa.String(256), nullable=False, comment="Argon2id, with parameters"),
    sa.Column("must_change", sa.Boolean, nullable=False),
    sa.Column("created_at_ms", sa.BigInteger, nullable=False),
    sa.Column("changed_at_ms", sa.BigInteger, nullable=False),
    comment="People who may log in",
)

sessions = sa.Table(
    "staff_sessions",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("account_id", sa.String(26), nullable=False, index=True),
    sa.Column("started_at_ms", sa.BigInteger, nullable=False),
    sa.Column("seen_at_ms", sa.BigInteger, nullable=False, index=True),
    comment="Who is logged in",
)

attempts = sa.Table(
    "staff_attempts",
    metadata,
    sa.Column("whose", sa.String(64), primary_key=True, comment="Keyed: a name or an address"),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("last_at_ms", sa.BigInteger, nullable=False, index=True),
    comment="Logins that did not succeed, so far",
)

seats = sa.Table(
    "staff_seats",
    metadata,
    sa.Column("window", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("account_id", sa.String(26), nullable=False, unique=True),
    sa.Column("since_ms", sa.BigInteger, nullable=False),
    comment="Who stands at which window: one each",
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("actor", sa.String(64), nullable=False, comment="Account, or a program"),
    sa.Column("subject", sa.String(64), nullable=False, comment="An id or a keyed mac"),
    sa.Column("detail", sa.String(512), nullable=False, comment="Canonical JSON"),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    comment="Append only: each row's hash covers the row before",
)

audit_heads = sa.Table(
    "audit_heads",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("kind", sa.String(10), primary_key=True, comment="head or checkpoint"),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("signature", sa.String(100), nullable=False),
    comment="Signed: how far the audit log went, and what stands for rows that were dropped",
)
