"""Whether a technician has the machine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "machine",
        sa.Column("maintenance", sa.String(16), nullable=False, server_default="inactive"),
    )
