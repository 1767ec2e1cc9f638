"""What a code scanner read: data, whatever it says."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hallkit.model.base import Value

LONGEST = 4_296
"""Characters that the largest QR (version 40, level L) holds."""


class ScannedCode(Value):
    """The text of a code. May name a person: never logged, never in a topic."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST, repr=False)]
