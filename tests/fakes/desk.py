"""Cameras that show rendered desks (`drivers/sim/desk.py`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from drivers.documents.libraries import Picture


@dataclass(frozen=True)
class Shot:
    """A picture as a camera's port hands it over."""

    width: int
    height: int
    bgr: bytes = field(repr=False)


class DeskCamera:
    """Shows these pictures one after the other, the last one for ever."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._pictures: Iterator[Picture] = iter(pictures)
        self._last: Picture | None = None

    async def latest_frame(self) -> Shot:
        self._last = next(self._pictures, self._last)
        assert self._last is not None
        height, width = self._last.shape[:2]
        return Shot(width, height, self._last.tobytes())
