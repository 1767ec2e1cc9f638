"""Metres and degrees are the same places; shapes touch or overlap as they look."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.model.plane import (
    Frame,
    Metres,
    Shape,
    ahead,
    area,
    crossing,
    heading_deg,
    inside,
    is_convex,
    nearest_on,
)

metres = st.floats(-500, 500)
points = st.tuples(metres, metres)
frames = st.builds(
    Frame,
    longitude=st.floats(-179, 179),
    latitude=st.floats(-70, 70),
    bearing_deg=st.floats(0, 359.9),
)
boxes = st.tuples(
    st.integers(-20, 20), st.integers(-20, 20), st.integers(1, 12), st.integers(1, 12)
)


def ring(box: tuple[int, int, int, int]) -> tuple[Metres, ...]:
    x, y, width, depth = box
    return ((x, y), (x + width, y), (x + width, y + depth), (x, y + depth))


@given(frames, points)
def test_a_point_comes_back_within_a_millimetre(frame: Frame, point: Metres) -> None:
    assert math.dist(frame.to_local(frame.from_local(point)), point) < 0.001


@given(st.integers(-100_000, 100_000), st.integers(-100_000, 100_000), st.floats(0, 359.9))
def test_whole_millimetres_come_back_exactly(x: int, y: int, bearing: float) -> None:
    frame = Frame(longitude=104.16, latitude=31.13, bearing_deg=bearing)
    point = (x / 1000, y / 1000)
    assert frame.to_local(frame.from_local(point)) == point


def test_metres_are_metres_on_the_globe() -> None:
    """Against the length of a degree at 31.13° N (WGS 84): 110,863 m north, 95,383 m east."""
    frame = Frame(longitude=104.16, latitude=31.13)
    longitude, latitude = frame.from_local((1000.0, 1000.0))
    assert (longitude - 104.16) * 95_383 == pytest.approx(1000, rel=2e-4)
    assert (latitude - 31.13) * 110_863 == pytest.approx(1000, rel=2e-4)


def test_y_points_where_the_frame_says() -> None:
    frame = Frame(longitude=104.16, latitude=31.13, bearing_deg=90)
    longitude, latitude = frame.from_local((0.0, 100.0))
    assert longitude > 104.16
    assert latitude == pytest.approx(31.13, abs=1e-9)


@given(points, st.floats(0, 359), st.floats(0.5, 100))
def test_ahead_is_in_the_direction_of_its_heading(
    point: Metres, heading: float, far: float
) -> None:
    there = ahead(point, heading, far)
    assert math.dist(point, there) == pytest.approx(far, abs=0.01)
    turned = (heading_deg(point, there) - heading + 180) % 360 - 180
    assert abs(turned) < 1


@given(boxes, boxes)
def test_boxes_overlap_when_they_share_a_square(
    one: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> None:
    def squares(box: tuple[int, int, int, int]) -> set[tuple[int, int]]:
        x, y, width, depth = box
        return {(x + i, y + j) for i in range(width) for j in range(depth)}

    shared = bool(squares(one) & squares(other))
    assert Shape.of("a", ring(one)).overlaps(Shape.of("b", ring(other))) is shared
    assert Shape.of("b", ring(other)).overlaps(Shape.of("a", ring(one))) is shared


@pytest.mark.parametrize(
    ("line", "through"),
    [
        (((-1, 2), (5, 2)), True),
        (((2, 2), (3, 3)), True),  # wholly inside
        (((-1, 0), (5, 0)), False),  # along a side
        (((-1, -1), (5, -1)), False),
        (((-2, 2), (0, 2)), False),  # up to the wall
        (((-1, 3.5), (1, 5.5)), False),  # past the corner
        (((-1, 2.5), (2, 5.5)), True),  # across the corner
    ],
)
def test_a_way_leads_through_or_past_a_shape(line: tuple[Metres, Metres], through: bool) -> None:
    box = Shape.of("box", ring((0, 0, 4, 4)))
    assert Shape.of("way", line).overlaps(box) is through
    assert box.overlaps(Shape.of("way", line[::-1])) is through


def test_a_dent_is_seen() -> None:
    assert is_convex(ring((0, 0, 3, 2)))
    assert not is_convex(((0, 0), (4, 0), (4, 4), (2, 1), (0, 4)))
    assert not is_convex(((0, 0), (4, 4), (4, 0), (0, 4)))  # crosses itself


@given(boxes, st.integers(-40, 40), st.integers(-40, 40))
def test_inside_counts_the_border(box: tuple[int, int, int, int], x: int, y: int) -> None:
    left, low, width, depth = box
    within = left <= x <= left + width and low <= y <= low + depth
    assert inside((x, y), ring(box)) is within
    strictly = left < x < left + width and low < y < low + depth
    assert Shape.of("box", ring(box)).holds((x, y)) is strictly


def test_lines_meet_where_they_cross() -> None:
    assert crossing((0, 0), (4, 0), (2, -1), (2, 3)) == (2, 0)
    assert crossing((0, 0), (4, 0), (4, 0), (4, 5)) == (4, 0)
    assert crossing((0, 0), (4, 0), (2, 1), (2, 3)) is None
    assert crossing((0, 0), (4, 0), (0, 1), (4, 1)) is None
    assert nearest_on((5, 3), (0, 0), (4, 0)) == (4, 0)
    assert nearest_on((1, 3), (0, 0), (4, 0)) == (1, 0)
    assert area(ring((0, 0, 3, 2))) == 6
