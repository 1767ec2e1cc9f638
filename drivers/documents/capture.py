"""The document camera: a camera's pictures become pages, or a word about what is wrong."""

from __future__ import annotations

import asyncio

from drivers.documents import quality
from drivers.documents.libraries import Picture, np
from drivers.documents.page_finding import Quad, find_page
from drivers.documents.rectify import straightened
from hallkit.ports.document_camera import (
    CaptureOutcome,
    Frame,
    FrameSource,
    NotCaptured,
    Page,
    PageCaptured,
    Sheet,
    Trouble,
)


class SheetCamera:
    """A `DocumentCamera` over any camera. Keeps no picture when `capture` is over."""

    def __init__(self, camera: FrameSource) -> None:
        self._camera = camera

    async def capture(self, sheet: Sheet = Sheet.ANY) -> CaptureOutcome:
        """Two pictures, one after the other: a sheet that moves is asked to be left alone."""
        before = await self._camera.latest_frame()
        now = await self._camera.latest_frame(newer_than=before.sequence)
        return await asyncio.to_thread(_captured, before, now, sheet)


def picture_of(page: Page) -> Picture:
    """A page's bytes as rows of points; nothing is copied."""
    return np.frombuffer(page.bgr, np.uint8).reshape(page.height, page.width, 3)


def _seen(frame: Frame) -> Picture:
    """A frame's bytes as rows of points; what fills its lines up is left out."""
    lines = np.frombuffer(frame.data, np.uint8).reshape(frame.height, frame.stride)
    return lines[:, : 3 * frame.width].reshape(frame.height, frame.width, 3)


def _captured(before: Frame, now: Frame, sheet: Sheet) -> CaptureOutcome:
    picture = _seen(now)
    if quality.moved(_seen(before), picture):
        return NotCaptured(Trouble.MOVING)
    return page_of(picture, sheet)


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
