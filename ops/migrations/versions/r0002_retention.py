"""Retention: an index by which old counters are found without reading the others."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_counter_day", "counter", ["day"])
