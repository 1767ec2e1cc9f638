"""A citizen at the virtual panel: sees what assistive technology sees, touches with a finger.

What stands on the screen is read over AT-SPI (the tree a screen reader gets), so a control without
an accessible name cannot be found; touches are real touch events of the X server (`touch.py`).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ImageGrab

from launcher.display import VirtualPanel
from launcher.touch import TouchPanel

SEE_TIMEOUT_S = 15.0
LOOK_INTERVAL_S = 0.05
DECIDE_S = 0.4
"""So long a person takes from one button to the next; two taps closer together are a double tap."""

STEADY_LOOKS = 3
"""So often at the same place: it has stopped sliding, and the list under it has settled."""


class NotSeen(Exception):  # what happened to the visitor, not a program's error
    """Something did not come to stand on the screen in time; the message says what did."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing on the screen: its role, what a screen reader says, its place in pixels."""

    role: str
    name: str
    x: float
    y: float
    width: float
    height: float


class Visitor:
    """One pair of eyes and one finger."""

    def __init__(self, panel: VirtualPanel, pictures: Path) -> None:
        self._panel = panel
        self._pictures = pictures
        pictures.mkdir(parents=True, exist_ok=True)
        # xa11y and the X client library read the environment of this process.
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = panel.bus
        os.environ["DISPLAY"] = panel.display
        self._finger = TouchPanel(panel.touch, width=panel.width, height=panel.height)
        self.taps = 0
        self._touched_s = 0.0

    def close(self) -> None:
        self._finger.close()

    async def sees(self, words: str, *, timeout_s: float = SEE_TIMEOUT_S) -> Seen:
        """Wait until something on the screen holds these words."""
        return await self._wait(lambda seen: words in seen.name, words, timeout_s)

    async def tap(self, words: str, *, timeout_s: float = SEE_TIMEOUT_S) -> Seen:
        """Wait for a button with these words (the first one) and touch its middle."""
        button = await self._wait(
            lambda seen: seen.role == "button" and words in seen.name, words, timeout_s
        )
        await asyncio.sleep(max(0.0, self._touched_s + DECIDE_S - time.monotonic()))
        await self.touch(button)
        return button

    async def press_key(self, letter: str) -> None:
        """Touch one key of the screen's own keyboard."""
        key = await self._wait(
            lambda seen: seen.role == "button" and seen.name.lower() == letter.lower(),
            f"key {letter}",
            SEE_TIMEOUT_S,
        )
        await self.touch(key)

    async def screen(self) -> list[Seen]:
        """Everything that stands on the screen now."""
        return await asyncio.to_thread(_look)

    async def words(self) -> list[str]:
        """The texts on the screen, top to bottom."""
        seen = await self.screen()
        return [one.name for one in sorted(seen, key=lambda one: (one.y, one.x))]

    async def picture(self, name: str) -> str:
        """Keep what the panel shows as `<name>.png`; the file's name."""
        path = self._pictures / f"{name}.png"
        await asyncio.to_thread(self._grab, path)
        return path.name

    def _grab(self, path: Path) -> None:
        ImageGrab.grab(xdisplay=self._panel.display).save(path)

    async def touch(self, seen: Seen) -> None:
        """Touch the middle of something seen."""
        self.taps += 1
        self._touched_s = time.monotonic()
        await asyncio.to_thread(self._finger.tap, seen.x + seen.width / 2, seen.y + seen.height / 2)

    async def _wait(self, wanted: Callable[[Seen], bool], what: str, timeout_s: float) -> Seen:
        deadline = time.monotonic() + timeout_s
        place: Seen | None = None
        looks = 0
        while time.monotonic() < deadline:
            found = next((seen for seen in await self.screen() if wanted(seen)), None)
            looks = looks + 1 if found is not None and found == place else 1
            if found is not None and looks == STEADY_LOOKS:
                return found
            place = found
            await asyncio.sleep(LOOK_INTERVAL_S)
        stands = " | ".join(await self.words())
        raise NotSeen(f"waited for {what!r}; the screen shows: {stands[:600]}")


def _look() -> list[Seen]:
    import xa11y  # noqa: PLC0415  # reads the environment when it is imported

    seen: list[Seen] = []
    try:
        applications: list[Any] = xa11y.App.list()  # xa11y's stubs shadow `list`
        for application in applications:
            for window in application.children():
                _collect(window, seen)
    except xa11y.XA11yError:
        return []  # a process went away between two questions
    return seen


def _collect(element: Any, seen: list[Seen]) -> None:
    bounds, name = element.bounds, element.name
    if name and bounds is not None and element.visible:
        spoken = " ".join(text for text in (name, element.description) if text)
        seen.append(Seen(element.role, spoken, bounds.x, bounds.y, bounds.width, bounds.height))
    for child in element.children():
        _collect(child, seen)
