"""What somebody wrote with a rating, and how to reach them: sealed, each for its row."""

from __future__ import annotations

from pydantic import Field

from affairs.sealing import Sealer
from hallkit.wire.base import Message


class Said(Message):
    words: str = Field(default="", repr=False)
    contact: str = Field(default="", repr=False)


def sealed(sealer: Sealer, rating_id: str, said: Said) -> bytes:
    """Nothing for nothing."""
    if said == Said():
        return b""
    return sealer.seal(rating_id, said.to_bytes())


def opened(sealer: Sealer, rating_id: str, content: bytes) -> Said:
    """Empty also where retention has emptied it."""
    return Said.model_validate_json(sealer.open(rating_id, content)) if content else Said()
