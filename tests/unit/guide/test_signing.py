"""A signature is judged, drawn and carried; nothing of it shows in a repr."""

from __future__ import annotations

import itertools
import json
import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hallkit.guide.signing import Verdict, bounds_mm, from_text, ink_mm, judge, of_pad, svg, to_text
from hallkit.model.signature import MOST_POINTS, Point, Signature, Stroke

WIDTH, HEIGHT = 180.0, 70.0


def drawn(*strokes: list[tuple[float, float]], apart_ms: int = 20) -> Signature:
    """Points as a panel without force gives them."""
    ticks = itertools.count(0, apart_ms)
    rows = [[[x, y, next(ticks), 1.0] for x, y in places] for places in strokes]
    return of_pad(rows, WIDTH, HEIGHT)


def line(x: float, y: float, to_x: float, to_y: float, points: int = 10) -> list[Any]:
    parts = [n / (points - 1) for n in range(points)]
    return [(x + (to_x - x) * part, y + (to_y - y) * part) for part in parts]


KING = (
    line(20, 10, 60, 10),
    line(24, 28, 56, 28),
    line(40, 10, 40, 48),
    line(16, 48, 64, 48),
)
"""王."""


@st.composite
def signatures(draw: st.DrawFn) -> Signature:
    feels = draw(st.booleans())
    force = st.integers(0, 1000).map(lambda n: n / 1000) if feels else st.none()
    place = st.tuples(st.integers(0, 18_000), st.integers(0, 7_000), st.integers(0, 500), force)
    t, strokes = 0, []
    for row in draw(st.lists(st.lists(place, min_size=1, max_size=8), max_size=5)):
        points = []
        for x, y, later, f in row:
            t += later
            points.append(Point(x_mm=x / 100, y_mm=y / 100, t_ms=t, force=f))
        strokes.append(Stroke(points=tuple(points)))
    return Signature(width_mm=WIDTH, height_mm=HEIGHT, strokes=tuple(strokes))


def test_a_name_is_a_signature() -> None:
    king = drawn(*KING)
    assert bounds_mm(king) == (16, 10, 64, 48)
    assert ink_mm(king) == pytest.approx(40 + 32 + 38 + 48, abs=0.1)
    assert judge(king) is Verdict.SIGNATURE


@pytest.mark.parametrize(
    ("one", "verdict"),
    [
        (drawn(), Verdict.EMPTY),
        (drawn([(90, 30)]), Verdict.TOO_SHORT),
        (drawn([(90, 30)], [(20, 60)], [(150, 10)]), Verdict.TOO_SHORT),
        (drawn(line(90, 30, 100, 40)), Verdict.TOO_SHORT),
        (drawn(line(20, 30, 120, 32)), Verdict.TOO_FLAT),
        (drawn(line(30, 5, 31, 65)), Verdict.TOO_FLAT),
        (drawn(line(20, 10, 120, 60), apart_ms=5), Verdict.TOO_FAST),
    ],
)
def test_a_touch_is_none(one: Signature, verdict: Verdict) -> None:
    assert judge(one) is verdict


def test_a_panel_that_feels_no_force_gives_none() -> None:
    assert {p.force for s in drawn(*KING).strokes for p in s.points} == {None}
    pressed = of_pad([[[1, 1, 0, 0.25], [2, 2, 5, 0.75]]], WIDTH, HEIGHT)
    assert [point.force for point in pressed.strokes[0].points] == [0.25, 0.75]


@pytest.mark.parametrize(
    "strokes",
    [
        [[]],
        [[[1, 2, 3]]],
        [[["a", 2, 3, 1]]],
        [[[1, 2, None, 1]]],
        [[[math.nan, 2, 3, 1]]],
        [[[1, 2, math.inf, 1]]],
        [[[-1, 2, 3, 1]]],
        [[[WIDTH + 1, 2, 3, 1]]],
        [[[1, 2, 9, 1], [1, 2, 3, 1]]],
        [[[1, 2, 3, 0.1], [1, 2, 3, 2.0]]],
        [7],
    ],
)
def test_what_no_pad_gives_is_refused(strokes: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        of_pad(strokes, WIDTH, HEIGHT)


def test_more_than_anybody_writes_is_refused() -> None:
    half = [[1, 2, 3, 1]] * (MOST_POINTS // 2 + 1)
    with pytest.raises(ValidationError, match="more points"):
        of_pad([half, half], WIDTH, HEIGHT)


def test_nothing_of_it_stands_in_a_repr() -> None:
    king = drawn(*KING)
    for value in (king, king.strokes[0], king.strokes[0].points[0]):
        assert not any(number in repr(value) for number in ("16", "48", "40", "points=", "x_mm"))


@given(signatures())
def test_it_comes_back_as_it_went(one: Signature) -> None:
    assert from_text(to_text(one)) == one
    assert Signature.model_validate_json(one.model_dump_json()) == one


def test_the_channels_are_those_of_the_standard() -> None:
    document = json.loads(to_text(of_pad([[[1, 2, 0, 0.1], [1.5, 2, 8, 0.2]]], WIDTH, HEIGHT)))
    assert document == {
        "format": "hall-signature/1",
        "size": [18_000, 7_000],
        "X": [100, 150, 150],
        "Y": [200, 200, 200],
        "T": [0, 8, 8],
        "F": [100, 200, 200],
        "S": [1, 1, 0],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"format": "hall-signature/2"},
        {"X": [1]},
        {"X": "abc"},
        {"X": [1, 2, 2.5]},
        {"X": [1, 2, True]},
        {"X": [1, 2, -2]},
        {"Y": None},
        {"S": [1, 1, 1]},
        {"S": [1, 0, 0]},
        {"S": [0, 1, 0]},
        {"S": [1, 7, 0]},
        {"T": [8, 0, 0]},
        {"size": [1, 1]},
        {"size": [0, 0]},
        {"size": [1]},
        {"F": [1]},
        {"more": []},
    ],
)
def test_another_text_is_refused(change: dict[str, Any]) -> None:
    document = json.loads(to_text(of_pad([[[1, 2, 0, 0.1], [1.5, 2, 8, 0.2]]], WIDTH, HEIGHT)))
    with pytest.raises(ValueError, match=r"."):
        from_text(json.dumps(document | change))


@given(st.text(max_size=80) | st.sampled_from(["[" * 100_000, "{}", "[]", "null", "1"]))
def test_no_text_breaks_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_text(text)


@given(signatures())
def test_the_drawing_is_a_drawing_with_a_path_a_stroke(one: Signature) -> None:
    root = ET.fromstring(svg(one))  # noqa: S314  # our own
    assert root.get("viewBox") == "0 0 180 70"
    paths = root.findall(".//{http://www.w3.org/2000/svg}path")
    assert len(paths) == len(one.strokes)
    for path, stroke in zip(paths, one.strokes, strict=True):
        assert str(path.get("d")).count("Q") == max(0, len(stroke.points) - 2)


def test_the_drawing_goes_through_the_first_and_the_last_point() -> None:
    path = svg(drawn([(1, 2), (3, 4), (5, 2.25)])).partition('d="')[2].partition('"')[0]
    assert path == "M1 2Q3 4 4 3.125L5 2.25"
    assert "M9 9h0" in svg(drawn([(9, 9)]))
