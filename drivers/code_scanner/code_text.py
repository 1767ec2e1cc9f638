"""What a scanner's text must be to count as a code, whatever wire it came over."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from drivers.registry import PeripheralConfig
from hallkit.model.scanning import LONGEST, ScannedCode


class ScannerConfig(PeripheralConfig):
    """What every scanner's entry may say."""

    prefix: Annotated[str, Field(max_length=16)] = ""
    suffix: Annotated[str, Field(min_length=1, max_length=16)] = "\r"
    """What ends a code: as set in the scanner. `\\n` behind it is passed over."""
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 1.0

    @field_validator("prefix", "suffix")
    @classmethod
    def _is_ascii(cls, text: str) -> str:
        if not text.isascii():
            raise ValueError("ASCII characters only")
        return text


def code_of(text: str) -> ScannedCode | None:
    """The code; None for an empty one, one too long or with control characters.

    GS (1D) stays: it parts the fields of GS1 codes.
    """
    plain = text.replace("\x1d", "").replace("\t", "").replace("\n", "").replace("\r", "")
    if not text or len(text) > LONGEST or not plain.isprintable():
        return None
    return ScannedCode(text=text)
