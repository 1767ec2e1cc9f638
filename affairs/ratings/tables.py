"""Tables of the ratings."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.store import SEALED, metadata

ratings = sa.Table(
    "ratings",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("subject_kind", sa.String(8), nullable=False),
    sa.Column("subject_id", sa.String(26), nullable=False),
    sa.Column("level", sa.String(24), nullable=False),
    sa.Column("tags", sa.String(160), nullable=False, comment="Keys, with commas between"),
    sa.Column("channel", sa.String(16), nullable=False),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("service", sa.String(32), nullable=False, comment="Empty: without a number"),
    sa.Column("window", sa.Integer, nullable=True),
    sa.Column("day", sa.Date, nullable=False, index=True),
    sa.Column("rated_at_ms", sa.BigInteger, nullable=False),
    sa.Column("received_at_ms", sa.BigInteger, nullable=False),
    sa.Column("request", sa.LargeBinary, nullable=False, comment="Words and telephone, sealed"),
    sa.Column("free_at_ms", sa.BigInteger, nullable=True, comment="Nobody needs them from then on"),
    sa.UniqueConstraint("subject_kind", "subject_id"),
    comment="One for each ticket, case or visit",
)

sa.Index("ix_ratings_sealed", ratings.c.free_at_ms, sqlite_where=SEALED)

call_backs = sa.Table(
    "call_backs",
    metadata,
    sa.Column("rating_id", sa.String(26), primary_key=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("state_at_ms", sa.BigInteger, nullable=False),
    sa.Column("due_at_ms", sa.BigInteger, nullable=False),
    sa.Column("overdue_at_ms", sa.BigInteger, nullable=True, comment="Seen then; it stays so"),
    sa.Column("taken_by", sa.String(48), nullable=True),
    sa.Column("result", sa.String(16), nullable=True),
    sa.Column("report", sa.LargeBinary, nullable=False, comment="What was found, sealed"),
    sa.Index(None, "state", "due_at_ms"),
    comment="What bad ratings ask for",
)

HAS_REPORT = sa.text("length(report) > 0")

sa.Index("ix_call_backs_report", call_backs.c.state_at_ms, sqlite_where=HAS_REPORT)
