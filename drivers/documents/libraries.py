"""numpy and OpenCV, loaded when something is first asked of them.

They come with the extra `camera`. Other machines have this folder too and import it, and importing
OpenCV changes the environment of the process.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["Floats", "Picture", "Plane", "cv2", "np"]

if TYPE_CHECKING:
    import cv2
    import numpy as np

    Picture = np.ndarray[Any, np.dtype[np.uint8]]
    """Rows of points, blue, green and red, or of one channel."""
    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Plane = np.ndarray[Any, Any]
    """Numbers of another kind: light, colour, yes and no."""
else:

    class _Late:
        """Stands for a module until its first use."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    cv2, np = _Late("cv2"), _Late("numpy")
    Picture = Floats = Plane = Any
