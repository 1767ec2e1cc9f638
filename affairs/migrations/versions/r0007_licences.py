"""E-licences, visits, permits to print them, and refusals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _licences()
    _permits()
    op.create_table(
        "visits",
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("visit", sa.String(40), nullable=False),
        sa.Column("holder_mac", sa.String(64), nullable=True),
        sa.Column("began_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("device", "visit", name="pk_visits"),
        comment="Visits in which somebody asked for licences",
    )
    op.create_index("ix_visits_began_at_ms", "visits", ["began_at_ms"])
    op.create_table(
        "print_refusals",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("visit", sa.String(40), nullable=False),
        sa.Column("permit_id", sa.String(26), nullable=True),
        sa.Column("why", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_print_refusals"),
        comment="Who asked for a print that was not theirs",
    )
    op.create_index("ix_print_refusals_at_ms", "print_refusals", ["at_ms"])


def _licences() -> None:
    op.create_table(
        "licences",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("case_id", sa.String(26), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("identifier", sa.String(128), nullable=False),
        sa.Column("serial", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("holder_mac", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False, comment="Sealed; the row id binds it"),
        sa.Column("token_mac", sa.String(64), nullable=False),
        sa.Column("issued_at_ms", sa.BigInteger, nullable=False),
        sa.Column("issued_on", sa.Date, nullable=False),
        sa.Column("valid_from", sa.Date, nullable=False),
        sa.Column("valid_until", sa.Date, nullable=True),
        sa.Column("revoked_on", sa.Date, nullable=True),
        sa.Column("ends_on", sa.Date, nullable=True),
        sa.Column("prints", sa.Integer, nullable=False),
        sa.Column("printed_at_ms", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_licences"),
        sa.UniqueConstraint("identifier", name="uq_licences_identifier"),
        sa.UniqueConstraint("token_mac", name="uq_licences_token_mac"),
        sa.UniqueConstraint("case_id", "kind", name="uq_licences_case_id_kind"),
    )
    op.create_index("ix_licences_holder_mac", "licences", ["holder_mac"])
    op.create_index("ix_licences_ends_on", "licences", ["ends_on"])


def _permits() -> None:
    op.create_table(
        "permits",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("licence_id", sa.String(26), nullable=False),
        sa.Column("holder_mac", sa.String(64), nullable=True),
        sa.Column("device", sa.String(48), nullable=False),
        sa.Column("visit", sa.String(40), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("file", sa.LargeBinary, nullable=False),
        sa.Column("copy", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("made_at_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
        sa.Column("ended_at_ms", sa.BigInteger, nullable=True),
        sa.Column("why", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_permits"),
        comment="Permissions to print one file once",
    )
    op.create_index("ix_permits_licence_id_state", "permits", ["licence_id", "state"])
    op.create_index("ix_permits_device_visit", "permits", ["device", "visit"])
    op.create_index("ix_permits_made_at_ms", "permits", ["made_at_ms"])
    op.create_index(
        "ix_permits_file", "permits", ["expires_at_ms"], sqlite_where=sa.text("length(file) > 0")
    )
