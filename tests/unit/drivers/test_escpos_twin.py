"""The emulated printer, where an independent one found it wrong (docs/drivers/escpos.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from drivers.sim.escpos_machine import Machine
from drivers.sim.escpos_paper import MARGIN_DOTS

RULE = b"\x1dv0\x00\x48\x00\x01\x00" + b"\xff" * 72
CUT = b"\x1bJ\x96\x1dV\x00"


def slip(folder: Path, data: bytes) -> Image.Image:
    """What is printed by these bytes, without its margins."""
    machine = Machine(folder, answer=lambda _: None, changed=lambda: None, fault_due=lambda _: None)
    machine.receive(data + CUT)
    assert machine.slips == 1
    assert machine.unknown_commands == []
    with Image.open(folder / "slip-0001.png") as png:
        return png.crop((MARGIN_DOTS, 0, png.width - MARGIN_DOTS, png.height))


@pytest.mark.parametrize(
    ("data", "dots"),
    [
        (b"A\x1bd\x01", 30),
        (b"A\x1bd\x03", 90),
        (b"A\x1bJ\x28", 40),
        (b"A\x1bJ\x05", 24),  # not less than the characters are high
        (b"\x1bd\x03", 90),
        (b"\x1b3\x10\n", 16),
        (b"\x1b3\x10A\n", 24),
    ],
)
def test_a_feed_prints_what_waits_on_its_way(tmp_path: Path, data: bytes, dots: int) -> None:
    """It moves the paper by what it says, not by a line more."""
    picture = slip(tmp_path, RULE + data + RULE)
    rows = [y for y in range(picture.height) if picture.getpixel((picture.width - 1, y)) == 0]
    assert rows[1] - rows[0] == 1 + dots


@pytest.mark.parametrize(("size", "left"), [(b"\x00", 96), (b"\x11", 96), (b"\x77", 192)])
def test_a_tab_goes_to_a_place_on_the_paper(tmp_path: Path, size: bytes, left: int) -> None:
    """Every 96 dots, however wide the characters before it are."""
    picture = slip(tmp_path, b"\x1d!" + size + b" \x1d!\x00\tH\n")
    ink = picture.point(lambda grey: 255 - grey).getbbox()
    assert ink is not None
    assert left <= ink[0] < left + 6


def test_alignment_waits_for_the_next_line(tmp_path: Path) -> None:
    picture = slip(tmp_path, b"H\x1ba\x02H\n\x1ba\x02H\n")
    first, second = (
        picture.crop((0, top, picture.width, top + 30)).point(lambda grey: 255 - grey).getbbox()
        for top in _tops(picture)
    )
    assert first is not None
    assert second is not None
    assert (first[0] < 12, first[2] < 24, second[0] > 560) == (True, True, True)


def _tops(picture: Image.Image) -> list[int]:
    ink = picture.point(lambda grey: 255 - grey).getbbox()
    assert ink is not None
    return [ink[1], ink[1] + 30]
