"""Pictures that cameras' twins show by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def scene_of(order: Mapping[str, Any], scenes: Mapping[str, bytes]) -> list[str]:
    """The names of an order `scene`; `ValueError` for one that there is not."""
    names = [str(name) for name in order.get("names", [])]
    if not names or any(name not in scenes for name in names):
        raise ValueError(f"scenes are {', '.join(scenes)}")
    return names


def scenes_in(folder: Path) -> dict[str, bytes]:
    """The pictures NAME.jpg of a folder, in the order of their names; 2 stands before 10."""
    files = sorted(folder.glob("*.jpg"), key=lambda path: (len(path.stem), path.stem))
    return {path.stem: path.read_bytes() for path in files}
