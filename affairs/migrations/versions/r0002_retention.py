"""Retention: indexes by which old rows are found without reading the others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_tickets_sealed", "tickets", ["day"], sqlite_where=sa.text("length(request) > 0")
    )
    op.create_index("ix_writes_written_at_ms", "writes", ["written_at_ms"])
