"""What the terminal's own programs read of the site's and the machine's files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated

from pydantic import Field

from hallkit.runtime.config import Section, Stack, read
from hallkit.runtime.settings import AffairsSection, DeviceSection, SiteSection


class KioskSection(Section):
    """The terminal's own settings."""

    idle_ask_s: Annotated[float, Field(ge=10, le=3600)] = 60.0
    """Nobody taps for so long: the screen asks."""
    idle_end_s: Annotated[float, Field(ge=10, le=600)] = 30.0
    """And ends the visit after so long."""
    popular: Annotated[tuple[str, ...], Field(max_length=5)] = ()
    """基本编码 of items on the first screen, at most five."""
    px_per_mm: Annotated[float, Field(ge=1, le=20)] = 3.2
    """Pixels per millimetre of the panel; physical sizes follow from it."""


class KioskSettings(Section):
    """Sections that the service and the screen's keeper read."""

    site: SiteSection
    device: DeviceSection
    affairs: AffairsSection = AffairsSection()
    kiosk: KioskSection = KioskSection()


def read_files(files: Sequence[Path]) -> Stack:
    """The packaged defaults, then the files."""
    with resources.as_file(resources.files("kiosk") / "defaults.toml") as defaults:
        return read([defaults, *files])


def parse(stack: Stack) -> KioskSettings:
    """`ConfigError` lists every mistake."""
    return stack.settled(KioskSettings)
