"""Tables of cases and decisions."""

from __future__ import annotations

import sqlalchemy as sa

from affairs.store import metadata

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("number", sa.String(24), nullable=False, unique=True),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("item_name", sa.String(200), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("state_at_ms", sa.BigInteger, nullable=False),
    sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.String(48), nullable=False, comment="Machine that may change it"),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("applicant_mac", sa.String(64), nullable=True),
    sa.Column("content", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
    sa.Column("decision", sa.String(26), nullable=True, comment="Of the last submission"),
    sa.Column("is_owed", sa.Boolean, nullable=False, comment="Submitted, and not yet settled"),
    sa.Column("verdict", sa.String(16), nullable=True),
    sa.Column("ticket_id", sa.String(26), nullable=True),
    sa.Column("licence", sa.String(64), nullable=True),
    sa.Column("promised_by", sa.Date, nullable=True),
    sa.Column("wrong_tails", sa.Integer, nullable=False, comment="Wrong look-ups in a row"),
    sa.Column("wrong_at_ms", sa.BigInteger, nullable=False),
    sa.Index(None, "applicant_mac", "item"),
    sa.Index(None, "is_owed", "state_at_ms"),
    sa.Index(None, "state", "state_at_ms"),
)

case_steps = sa.Table(
    "case_steps",
    metadata,
    sa.Column("case_id", sa.String(26), primary_key=True),
    sa.Column("step", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("by", sa.String(48), nullable=False, comment="Machine or window's device"),
    sa.Column("words", sa.LargeBinary, nullable=False, comment="Sealed; empty if none"),
    comment="What happened to a case, in order",
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("case_id", sa.String(26), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("item", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("sealed_record", sa.LargeBinary, nullable=False),
    sa.Column("receipt", sa.LargeBinary, nullable=False, comment="Signed and masked"),
    sa.Index(None, "case_id", "at_ms"),
)

pushes = sa.Table(
    "pushes",
    metadata,
    sa.Column("decision", sa.String(26), primary_key=True),
    sa.Column("case_id", sa.String(26), nullable=False, index=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("next_at_ms", sa.BigInteger, nullable=False, index=True),
    comment="Approvals of which other systems are still to be told",
)

continuations = sa.Table(
    "continuations",
    metadata,
    sa.Column("code_mac", sa.String(64), primary_key=True),
    sa.Column("case_id", sa.String(26), nullable=False, index=True),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("used_by", sa.String(48), nullable=True),
    comment="Codes that open a case at another machine, once",
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column("applicant_mac", sa.String(64), primary_key=True),
    sa.Column("given_at_ms", sa.BigInteger, nullable=False),
    sa.Column("device", sa.String(48), nullable=False),
    comment="Persons who let what is kept of them be used again",
)

holdings = sa.Table(
    "holdings",
    metadata,
    sa.Column("id", sa.String(26), primary_key=True),
    sa.Column("applicant_mac", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("case_id", sa.String(26), nullable=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
    sa.Column("valid_until", sa.Date, nullable=True),
    sa.UniqueConstraint("applicant_mac", "kind"),
    comment="Papers that a window has seen, of those who consent",
)
