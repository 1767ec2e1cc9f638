"""Tables of the room: licences, visits, permits to print, and what was refused."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.store import metadata

licences = sa.Table(
    "licences",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("case_id", sa.String(26), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("identifier", sa.String(128), nullable=False, unique=True),
    sa.Column("serial", sa.String(32), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("holder_mac", sa.String(64), nullable=False, index=True),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
    sa.Column("token_mac", sa.String(64), nullable=False, unique=True),
    sa.Column("issued_at_ms", sa.BigInteger, nullable=False),
    sa.Column("issued_on", sa.Date, nullable=False),
    sa.Column("valid_from", sa.Date, nullable=False),
    sa.Column("valid_until", sa.Date, nullable=True, comment="Its last day; none: no end"),
    sa.Column("revoked_on", sa.Date, nullable=True),
    sa.Column("ends_on", sa.Date, nullable=True, index=True, comment="The earlier of both"),
    sa.Column("prints", sa.Integer, nullable=False),
    sa.Column("printed_at_ms", sa.BigInteger, nullable=True),
    sa.UniqueConstraint("case_id", "kind"),
)

visits = sa.Table(
    "visits",
    metadata,
    sa.Column("device", sa.String(48), primary_key=True),
    sa.Column("visit", sa.String(40), primary_key=True),
    sa.Column("holder_mac", sa.String(64), nullable=True, comment="The one person of this visit"),
    sa.Column("began_at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
    comment="Visits in which somebody asked for licences",
)

permits = sa.Table(
    "permits",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("licence_id", sa.String(26), nullable=False),
    sa.Column("holder_mac", sa.String(64), nullable=True, comment="None once it is over"),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("visit", sa.String(40), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, comment="Of the file as it was made"),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("file", sa.LargeBinary, nullable=False, comment="Sealed; empty once it is destroyed"),
    sa.Column("copy", sa.Integer, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, comment="How often the machine was told yes"),
    sa.Column("made_at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
    sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
    sa.Column("why", sa.String(16), nullable=False, comment="It was destroyed"),
    sa.Index(None, "licence_id", "state"),
    sa.Index(None, "device", "visit"),
    comment="Permissions to print one file once",
)

refusals = sa.Table(
    "print_refusals",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("device", sa.String(48), nullable=False),
    sa.Column("visit", sa.String(40), nullable=False),
    sa.Column("permit_id", sa.String(26), nullable=True),
    sa.Column("why", sa.String(16), nullable=False),
    comment="Who asked for a print that was not theirs",
)

HOLDS_FILE = sa.text("length(file) > 0")

sa.Index("ix_permits_file", permits.c.expires_at_ms, sqlite_where=HOLDS_FILE)
