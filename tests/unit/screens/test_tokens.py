"""The tokens: readable, and the same in every technology."""

from __future__ import annotations

import re

import pytest

from hallkit.screens import tokens

COLOURS = {str(name): str(value) for name, value in tokens.tokens()["colour"].items()}
BODY = 7.0
LARGE = 4.5
EDGE = 3.0

PAIRS = [
    *(("ink", ground, BODY) for ground in ("paper", "surface", "primary_tint")),
    *(("ink", f"{tone}_tint", BODY) for tone in ("done", "attention", "fault")),
    *(("muted", ground, BODY) for ground in ("paper", "surface")),
    *(("primary", ground, BODY) for ground in ("paper", "surface")),
    ("inverse", "primary", BODY),
    ("inverse", "primary_pressed", BODY),
    ("inverse_muted", "primary", 6.0),
    ("primary", "primary_tint", 6.0),
    *((tone, f"{tone}_tint", LARGE) for tone in ("done", "attention", "fault")),
    *(("edge", ground, EDGE) for ground in ("paper", "surface")),
    ("focus", "ink", EDGE),
]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("front", "ground", "least"), PAIRS)
def test_what_stands_on_what_can_be_read(front: str, ground: str, least: float) -> None:
    assert contrast(COLOURS[front], COLOURS[ground]) >= least


def test_tones_differ_in_more_than_hue() -> None:
    """The shapes of the three tones are icons of their own."""
    assert {"done", "attention", "fault", "info"} <= set(tokens.icons())


def test_the_qml_is_the_data() -> None:
    assert tokens.TOKENS_QML.read_text(encoding="utf-8") == tokens.tokens_qml()
    assert tokens.ICONS_QML.read_text(encoding="utf-8") == tokens.icons_qml()


def test_the_css_is_the_data() -> None:
    properties = dict(re.findall(r"--hk-([a-z-]+): (.+);", tokens.css()))
    expected = {
        f"{group}-{name}".replace("_", "-")
        for group, values in tokens.tokens().items()
        for name in values
    }
    assert set(properties) == expected
    assert properties["colour-primary"] == "#0B4F9C"
    assert properties["colour-scrim"] == "#14213DB3"  # CSS writes alpha last
    assert properties["type-body"] == "9mm"
    assert properties["type-large-factor"] == "1.45"
    assert properties["space-target"] == "20mm"
    assert properties["motion-slide"] == "180ms"
    assert properties["font-family"] == '"Noto Sans CJK SC"'


def test_sizes_that_the_law_sets() -> None:
    kind, space = tokens.tokens()["type"], tokens.tokens()["space"]
    assert float(kind["body"]) >= 9
    assert float(kind["body"]) * float(kind["large_factor"]) >= 13
    assert float(space["target"]) >= 20
    assert float(space["target_large"]) >= 25
    assert float(space["gap"]) - 2 * 0.5 >= 3  # rounding to pixels never eats the gap


@pytest.mark.parametrize("name", tokens.icons())
def test_an_icon_is_a_plain_stroke(name: str) -> None:
    drawing = (tokens.HERE / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    assert 'viewBox="0 0 24 24"' in drawing
    assert 'stroke="currentColor"' in drawing
    assert 'stroke-width="2"' in drawing
    assert set(re.findall(r"<(\w+)", drawing)) == {"svg", "path"}
