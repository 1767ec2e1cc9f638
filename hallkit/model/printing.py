"""Slips and pages: what is printed, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from hallkit.errors import Reason
from hallkit.model.base import Value

Align = Literal["left", "center", "right"]


class TextLine(Value):
    """One paragraph. Characters that the printer's font lacks are drawn, never replaced by `?`."""

    kind: Literal["text"] = "text"
    text: Annotated[str, Field(max_length=400)]
    scale: Annotated[int, Field(ge=1, le=4)] = 1
    """Multiple of the printer's normal character, in both directions."""
    bold: bool = False
    align: Align = "left"


class QrLine(Value):
    kind: Literal["qr"] = "qr"
    text: Annotated[str, Field(max_length=400)]
    module_dots: Annotated[int, Field(ge=3, le=12)] = 6


class RuleLine(Value):
    """A line across the paper."""

    kind: Literal["rule"] = "rule"


class FeedLine(Value):
    kind: Literal["feed"] = "feed"
    lines: Annotated[int, Field(ge=1, le=20)] = 1


SlipLine = Annotated[TextLine | QrLine | RuleLine | FeedLine, Field(discriminator="kind")]


class Slip(Value):
    """A document for a ticket printer. Holds no personal data: it is journalled before printing."""

    lines: Annotated[tuple[SlipLine, ...], Field(max_length=80)]
    reprint_mark: str = ""
    """Printed on top of every copy but the first, for example 补打."""


class PrintResult(StrEnum):
    """The three outcomes of printing; after a crash too."""

    COMPLETED = "completed"
    """The printer confirmed that it processed the last byte."""
    NOT_STARTED = "not_started"
    """Nothing reached the paper."""
    UNKNOWN = "unknown"
    """Some of it may be on paper."""


class PrintOutcome(Value):
    """What one attempt came to."""

    result: PrintResult
    reason: Reason | None = None


class Sides(StrEnum):
    """On which sides of a sheet, in IPP's words (RFC 8011, `sides`)."""

    ONE = "one-sided"
    LONG_EDGE = "two-sided-long-edge"
    """As a book of upright pages."""
    SHORT_EDGE = "two-sided-short-edge"


class PageOutcome(PrintOutcome):
    """What printing a document came to."""

    impressions: Annotated[int, Field(ge=0)] | None = None
    """Printed sides as the printer counted them; None where it does not count."""


class PrintJobState(StrEnum):
    """Life of a job in the machine's journal."""

    QUEUED = "queued"
    PRINTING = "printing"
    WAITING = "waiting"
    """The printer needs a person (paper, cover); the job goes on by itself afterwards."""
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    """Nobody wants it any more; the number on it stays valid or was never given."""


class PrintJob(Value):
    """A promise to put a slip on paper."""

    id: str
    state: PrintJobState
    attempts: int = 0
    copies_marked: int = 0
    """How many attempts carried the reprint mark."""
    reason: Reason | None = None
