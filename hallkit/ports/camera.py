"""Port `camera`: the newest picture of a camera.

A media port: the process that works on the pictures opens it, and pictures never leave that
process. They show people, so they are never logged, written to a disk, or told in diagnostics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from hallkit.ports.peripheral import Peripheral


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture. Its buffer is read-only and shared by all who were given it."""

    width: int
    height: int
    stride: int
    """Bytes from one line to the next."""
    data: memoryview = field(repr=False)
    sequence: int
    """Counts what the camera sent since it was opened first; what is missing was dropped."""
    mono_s: float
    """When it was captured, by the clock's `mono_s`, as well as this side can know."""
    format: Literal["bgr24"] = "bgr24"


class Camera(Peripheral, Protocol):
    async def latest_frame(self, *, newer_than: int | None = None) -> Frame:
        """The newest picture, and never one that lay in a queue.

        With `newer_than` one whose `sequence` is greater; waits for it where there is none yet.
        Many may ask at once. Raises `DeviceError` when the camera is lost or none comes before
        the driver's deadline. Cancelling it is safe.
        """
        ...
