"""Alembic's entry: the connection comes from `ops.store`, already in a transaction."""

from __future__ import annotations

from alembic import context

from ops.store import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # a kill in the middle leaves the old version, never half of the new
)
with context.begin_transaction():
    context.run_migrations()
