"""Alembic's entry."""

from __future__ import annotations

from affairs.store import metadata
from hallkit.store.migrations import run

run(metadata)
