"""Port `document_camera`: a sheet lies under the camera, and becomes a page.

    match await camera.capture(Sheet.A4):
        case PageCaptured(page): ...
        case NotCaptured(why): say(words(f"paper.{why.value}"))

What is wrong with a sheet is a value, in words that say what to do; only a camera that fails raises
`DeviceError`. `latest_frame` is the live picture, in which people see how their sheet lies.
A media port like `camera`: a page holds what a person brought, so it lives in the memory of the
process that works on it, is never logged, and goes with the session.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hallkit.ports.camera import Camera


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


class DocumentCamera(Camera, Protocol):
    async def capture(self, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
        """Look at what lies there now, and only at that: a sheet that is being changed is
        `MOVING`. Anything but `NO_PAGE` and `TOO_DARK` means that something lies there, which
        nobody should forget. Raises `DeviceError` only if the camera itself fails. Cancelling it
        is safe.
        """
        ...
