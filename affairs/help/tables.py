"""Tables of the calls for help."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.store import metadata

HOLDS_SESSION = sa.text("length(session) > 0")

help_calls = sa.Table(
    "help_calls",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("open_for", sa.String(96), nullable=True, unique=True, comment="Machine and visit"),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("visit", sa.String(40), nullable=False),
    sa.Column("reason", sa.String(24), nullable=False, comment="Of the latest press"),
    sa.Column("place", sa.String(64), nullable=False, comment="On the hall map; empty: unknown"),
    sa.Column("place_name", sa.String(64), nullable=False),
    sa.Column("level_id", sa.String(64), nullable=False, comment="Storey on the hall map"),
    sa.Column("presses", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("state_at_ms", sa.BigInteger, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("level_at_ms", sa.BigInteger, nullable=False),
    sa.Column("next_at_ms", sa.BigInteger, nullable=True, comment="The next level begins then"),
    sa.Column("called_at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("helper", sa.String(48), nullable=True, comment="Account of who comes"),
    sa.Column("shown", sa.LargeBinary, nullable=False, comment="What they are called, sealed"),
    sa.Column("there_at_ms", sa.BigInteger, nullable=True),
    sa.Column("outcome", sa.String(24), nullable=True),
    sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
    sa.Column("session", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
    sa.Index(None, "state", "called_at_ms"),
    comment="Somebody at a machine asks for a person",
)

sa.Index("ix_help_calls_session", help_calls.c.ended_at_ms, sqlite_where=HOLDS_SESSION)
