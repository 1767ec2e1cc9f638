"""Port `document_camera`: a sheet lies under the camera, and becomes a page.

    match await camera.capture(Sheet.A4):
        case PageCaptured(page): ...
        case NotCaptured(why): say(words(f"paper.{why.value}"))

What is wrong with a sheet is a value, in words that say what to do; only a camera that fails raises
`DeviceError`. A page holds what a person brought: it lives in memory, is never logged, and goes
with the session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Frame(Protocol):
    """One picture as a camera's port hands it over: BGR, 8 bits, line by line."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def stride(self) -> int:
        """Bytes from one line to the next."""
        ...

    @property
    def data(self) -> memoryview: ...

    @property
    def sequence(self) -> int:
        """Grows from picture to picture."""
        ...


class FrameSource(Protocol):
    """What a document camera needs of a camera."""

    async def latest_frame(self, *, newer_than: int | None = None) -> Frame:
        """The newest picture, with `newer_than` one of a greater `sequence`; raises `DeviceError`
        if none comes.
        """
        ...


class Sheet(StrEnum):
    """What is laid down. Its proportion makes the page's true; `ANY` takes it from the corners."""

    A4 = "a4"
    CARD = "card"
    """ID-1: identity cards, bank cards (ISO/IEC 7810)."""
    ANY = "any"


class Trouble(StrEnum):
    """Why a picture is no page; words for it are `paper.<value>`."""

    NO_PAGE = "no_page"
    CUT = "cut"
    """A part of it lies outside the picture."""
    TOO_SMALL = "too_small"
    """Too few points for the letters: too far away, or the wrong way to lay it."""
    OTHER_SHAPE = "other_shape"
    """Not the proportion of what was asked for."""
    TOO_DARK = "too_dark"
    GLARE = "glare"
    """A reflection lies on it."""
    BLURRED = "blurred"
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class Page:
    """A page cut out and made straight. Not turned upright yet: reading does that."""

    width: int
    height: int
    bgr: bytes = field(repr=False)
    dpi: int
    """Points an inch, as far as the size of the sheet is known."""
    sheet: Sheet = Sheet.ANY


@dataclass(frozen=True, slots=True)
class PageCaptured:
    page: Page


@dataclass(frozen=True, slots=True)
class NotCaptured:
    """Nothing usable; `trouble` says what the citizen can do about it."""

    trouble: Trouble


CaptureOutcome = PageCaptured | NotCaptured


class DocumentCamera(Protocol):
    async def capture(self, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
        """Look at what lies there now. Raises `DeviceError` only if the camera itself fails."""
        ...
