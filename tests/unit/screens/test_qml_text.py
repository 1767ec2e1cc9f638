"""QML holds no words, no colours and no pixels: they stand in the view and in the tokens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hallkit

ROOT = Path(hallkit.__file__).parent.parent
GENERATED = {"Tokens.qml", "IconSet.qml"}
QML = [
    file
    for room in ("hallkit/screens", "kiosk/ui")
    for file in sorted((ROOT / room).rglob("*.qml"))
    if file.name not in GENERATED
]

HAN = re.compile(r"[\u3000-\u303f\u3400-\u9fff\uff00-\uffef]")
WORDS = re.compile(r"""\b(?:text|words|label|detail|Accessible\.name): ["'][^"']""")
COLOUR = re.compile(
    r'#[0-9A-Fa-f]{3,8}\b|Qt\.(?:rgba|hsla|lighter|darker)\(|olor: "(?!transparent)'
)
GEOMETRY = re.compile(
    r"^\s*(?:anchors\.\w*[mM]argins?|border\.width|font\.(?:pixelSize|letterSpacing)|height|width"
    r"|x|y|implicitHeight|implicitWidth|padding|radius|size|spacing|thickness): (.+)$",
    re.MULTILINE,
)
FACTOR = re.compile(r"[*/] [\d.]+|[\d.]+ [*/]")
"""A share or a multiple of something is no pixel size."""
NUMBER = re.compile(r"(?<![\w.])(?:[2-9]|\d\d+)(?:\.\d+)?(?![\w.])")
GRID = {"CardOnReader.qml"}
"""A drawing on a grid of its own; each of its numbers is multiplied by `unit`."""

files = pytest.mark.parametrize("file", QML, ids=lambda file: file.name)


@files
def test_no_words(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not HAN.search(text)
    assert "qsTr" not in text
    assert not WORDS.search(text)


@files
def test_no_colours(file: Path) -> None:
    assert not COLOUR.search(file.read_text(encoding="utf-8"))


@files
def test_no_pixels(file: Path) -> None:
    if file.name in GRID or file.name == "ScreenMetrics.qml":
        return
    for value in GEOMETRY.findall(file.read_text(encoding="utf-8")):
        assert not NUMBER.search(FACTOR.sub("", value)), value


@files
def test_nothing_that_the_software_renderer_drops(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for dropped in ("ShaderEffect", "MultiEffect", "Gradient", "DropShadow", "layer.enabled"):
        assert dropped not in text


def test_every_screen_of_the_contract_has_its_file() -> None:
    from typing import get_args

    from kiosk.flow.view import ScreenName

    expected = {f"{name.capitalize()}Screen.qml" for name in get_args(ScreenName)}
    assert expected == {file.name for file in QML if file.name.endswith("Screen.qml")}
