"""Alembic's entry."""

from __future__ import annotations

from hallkit.store.migrations import run
from ops.store import metadata

run(metadata)
