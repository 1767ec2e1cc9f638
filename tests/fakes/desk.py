"""Cameras that show rendered desks (`drivers/sim/desk.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from drivers.documents.libraries import Picture
from hallkit.ports.camera import Frame


class DeskCamera:
    """Shows these pictures one after the other, the last one for ever.

    One a second. `fill` bytes stand behind each line, as some cameras have them.
    """

    def __init__(self, pictures: Iterable[Picture], *, fill: int = 0) -> None:
        self._pictures: Iterator[Picture] = iter(pictures)
        self._last: Picture | None = None
        self._fill = fill
        self._sequence = 0

    async def latest_frame(self, *, newer_than: int | None = None) -> Frame:
        if newer_than is None or self._sequence <= newer_than:
            self._last = next(self._pictures, self._last)
            self._sequence += 1
        assert self._last is not None
        height, width = self._last.shape[:2]
        lines = np.pad(self._last.reshape(height, 3 * width), ((0, 0), (0, self._fill)))
        return Frame(
            width=width,
            height=height,
            stride=3 * width + self._fill,
            data=memoryview(lines.tobytes()),
            sequence=self._sequence,
            mono_s=float(self._sequence),
        )
