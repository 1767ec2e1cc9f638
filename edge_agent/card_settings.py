"""How long the card reader's process may be silent, and away."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hallkit.runtime.config import Section


class CardReaderSection(Section):
    """Deadlines between the agent and the card reader's process."""

    beat_s: Annotated[float, Field(ge=0.05, le=5)] = 0.5
    """The process says so often that its loop goes round."""
    silence_limit_s: Annotated[float, Field(ge=0.5, le=60)] = 2.5
    """One that says nothing for so long is killed and replaced; several beats fit into it."""
    call_limit_s: Annotated[float, Field(ge=5, le=120)] = 15.0
    """No call to the reader lasts so long: a look (8 s) behind a probe (4 s) is the longest. While
    one does, the process says nothing."""
    away_s: Annotated[float, Field(ge=1, le=60)] = 5.0
    """Without a process for so long the reader is told as `starting`. A replacement takes a
    fraction of it; a process started cold, and a reader's probe, still fit."""
