"""Pages that were read: lines, seals, fields. Personal data: in memory, for one session."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hallkit.model.base import Value

Share = Annotated[float, Field(ge=0, le=1)]


class Box(Value):
    """A place on an upright page, in shares of its width and height."""

    left: Share
    top: Share
    right: Share
    bottom: Share

    @property
    def height(self) -> float:
        return self.bottom - self.top


class PrintedLine(Value):
    """One run of text as it was recognised."""

    text: Annotated[str, Field(repr=False)]
    box: Box


class PageText(Value):
    """What was read on a page."""

    lines: tuple[PrintedLine, ...] = Field(repr=False)
    turn: Literal[0, 1, 2, 3] = 0
    """Quarter turns clockwise that set the picture upright; the boxes are of the upright one."""


FieldState = Literal["checked", "read", "failed"]
"""`checked`: a check digit or another field agrees. `read`: nothing to check it by. `failed`: the
check says that it was misread, or that it is wrong on the paper."""


class DocumentField(Value):
    """One field of a document."""

    key: str
    value: Annotated[str, Field(repr=False)]
    """Normalised: NFKC, no blanks, dates as 2026-01-31, `long_term` for 长期."""
    state: FieldState


class RecognisedPage(Value):
    """One page as the pre-review takes it."""

    kind: str = ""
    """Key of `hallkit/lexicon/documents.toml`; empty if no kind is certain."""
    side: str = ""
    """Which side or part of such a document, where it has several."""
    fields: tuple[DocumentField, ...] = Field(default=(), repr=False)
    stamps: tuple[Box, ...] = ()
    page: int | None = None
    """第几页, where the page says so."""
    pages: int | None = None
    """共几页."""
    letters: int = 0
    """How many characters were read: a page with next to none was not read."""

    def field(self, key: str) -> DocumentField | None:
        return next((one for one in self.fields if one.key == key), None)
