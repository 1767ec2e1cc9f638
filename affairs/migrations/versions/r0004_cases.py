"""Cases, decisions and what follows them; tickets say of which case they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tickets", sa.Column("case_id", sa.String(26), nullable=True))
    op.create_index("ix_tickets_case_id", "tickets", ["case_id"])
    _cases()
    _decisions()
    op.create_table(
        "continuations",
        sa.Column("code_mac", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(26), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("used_by", sa.String(48), nullable=True),
        sa.PrimaryKeyConstraint("code_mac", name="pk_continuations"),
        comment="Codes that open a case at another machine, once",
    )
    op.create_index("ix_continuations_expires_at_ms", "continuations", ["expires_at_ms"])
    op.create_index("ix_continuations_case_id", "continuations", ["case_id"])
    op.create_table(
        "consents",
        sa.Column("applicant_mac", sa.String(64), nullable=False),
        sa.Column("given_at_ms", sa.BigInteger, nullable=False),
        sa.Column("device", sa.String(48), nullable=False),
        sa.PrimaryKeyConstraint("applicant_mac", name="pk_consents"),
        comment="Persons who let what is kept of them be used again",
    )
    op.create_table(
        "holdings",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("applicant_mac", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("case_id", sa.String(26), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("valid_until", sa.Date, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_holdings"),
        sa.UniqueConstraint("applicant_mac", "kind", name="uq_holdings_applicant_mac_kind"),
        comment="Papers that a window has seen, of those who consent",
    )
    op.create_index("ix_holdings_at_ms", "holdings", ["at_ms"])


def _cases() -> None:
    op.create_table(
        "cases",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("number", sa.String(24), nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("item_name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_at_ms", sa.BigInteger, nullable=False),
        sa.Column("opened_at_ms", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(48), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("applicant_mac", sa.String(64), nullable=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("decision", sa.String(26), nullable=True),
        sa.Column("is_owed", sa.Boolean, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=True),
        sa.Column("ticket_id", sa.String(26), nullable=True),
        sa.Column("licence", sa.String(64), nullable=True),
        sa.Column("promised_by", sa.Date, nullable=True),
        sa.Column("wrong_tails", sa.Integer, nullable=False),
        sa.Column("wrong_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cases"),
        sa.UniqueConstraint("number", name="uq_cases_number"),
    )
    op.create_index("ix_cases_applicant_mac_item", "cases", ["applicant_mac", "item"])
    op.create_index("ix_cases_is_owed_state_at_ms", "cases", ["is_owed", "state_at_ms"])
    op.create_index("ix_cases_state_state_at_ms", "cases", ["state", "state_at_ms"])
    op.create_table(
        "case_steps",
        sa.Column("case_id", sa.String(26), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("by", sa.String(48), nullable=False),
        sa.Column("words", sa.LargeBinary, nullable=False, comment="Sealed; empty if none"),
        sa.PrimaryKeyConstraint("case_id", "step", name="pk_case_steps"),
        comment="What happened to a case, in order",
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("case_id", sa.String(26), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("sealed_record", sa.LargeBinary, nullable=False),
        sa.Column("receipt", sa.LargeBinary, nullable=False, comment="Signed and masked"),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_case_id_at_ms", "decisions", ["case_id", "at_ms"])
    op.create_table(
        "pushes",
        sa.Column("decision", sa.String(26), nullable=False),
        sa.Column("case_id", sa.String(26), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("next_at_ms", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("decision", name="pk_pushes"),
        comment="Approvals of which other systems are still to be told",
    )
    op.create_index("ix_pushes_next_at_ms", "pushes", ["next_at_ms"])
    op.create_index("ix_pushes_case_id", "pushes", ["case_id"])
