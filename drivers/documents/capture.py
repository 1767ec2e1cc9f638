"""A camera's pictures become pages, or a word about what is wrong with them."""

from __future__ import annotations

import asyncio
from typing import Protocol

from drivers.documents import quality
from drivers.documents.libraries import Picture, np
from drivers.documents.page_finding import Quad, find_page
from drivers.documents.rectify import straightened
from hallkit.ports.camera import Frame
from hallkit.ports.document_camera import (
    CaptureOutcome,
    NotCaptured,
    Page,
    PageCaptured,
    Sheet,
    Trouble,
)


class FrameSource(Protocol):
    """What is needed of a camera."""

    async def latest_frame(self, *, newer_than: int | None = None) -> Frame:
        """See `hallkit.ports.camera.Camera.latest_frame`."""
        ...


async def capture(camera: FrameSource, sheet: Sheet, *, still_for_s: float) -> CaptureOutcome:
    """The page that lies there now. Over so long it must not move from one picture to the next.

    No picture is kept.
    """
    first = last = await camera.latest_frame()
    while last is first or last.mono_s - first.mono_s < still_for_s:
        frame = await camera.latest_frame(newer_than=last.sequence)
        if await asyncio.to_thread(quality.moved, _seen(last), _seen(frame)):
            return NotCaptured(Trouble.MOVING)
        last = frame
    return await asyncio.to_thread(page_of, _seen(last), sheet)


def picture_of(page: Page) -> Picture:
    """A page's bytes as rows of points; nothing is copied."""
    return np.frombuffer(page.bgr, np.uint8).reshape(page.height, page.width, 3)


def _seen(frame: Frame) -> Picture:
    """A frame's bytes as rows of points; what fills its lines up is left out."""
    lines = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.stride)
    return lines[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)


def page_of(picture: Picture, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
    """The page in one picture."""
    found = find_page(picture)
    if not isinstance(found, Quad):
        # In the dark nothing is found, and light is what helps.
        return NotCaptured(Trouble.TOO_DARK if quality.is_dark(picture) else found)
    made = straightened(picture, found, sheet)
    if isinstance(made, Trouble):
        return NotCaptured(made)
    page, known, dpi = made
    wrong = quality.trouble_of(page)
    if wrong is not None:
        return NotCaptured(wrong)
    height, width = page.shape[:2]
    return PageCaptured(Page(width, height, page.tobytes(), dpi, known))
