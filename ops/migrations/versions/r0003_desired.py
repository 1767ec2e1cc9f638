"""What the hub wants on the machines, and what they report to have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wanted",
        sa.Column("part", sa.String(32), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
    )
    op.create_table(
        "reported",
        sa.Column("device", sa.String(48), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("told_ms", sa.BigInteger, nullable=False),
    )
