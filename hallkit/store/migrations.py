"""What the `env.py` of a program's migrations does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context


def run(metadata: sa.MetaData) -> None:
    """Run the scripts over the connection of `database.migrate`, already in a transaction."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        # A kill in the middle leaves the old version, never half of the new.
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
