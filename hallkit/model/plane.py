"""The hall's plane: metres on the floor, and degrees on the globe for GeoJSON.

A local point is (x, y) in metres; y points to the hall's back wall, x to the right of it. The plane
is tangent to the WGS 84 ellipsoid at the frame's anchor, so both ways are linear and exact to less
than a millimetre over a hall.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field

from hallkit.model.base import Value

Metres = tuple[float, float]
Position = tuple[float, float]
"""Longitude, latitude in degrees, as RFC 7946 orders them."""

DEGREE_DIGITS = 9
"""A unit of the last digit is a tenth of a millimetre."""
METRE_DIGITS = 3
TOUCH_M = 0.01
"""Shapes that overlap by less than this touch."""

_EQUATOR_M = 6_378_137.0
_FLATTENING = 1 / 298.257223563
_ECCENTRICITY_2 = _FLATTENING * (2 - _FLATTENING)


class Frame(Value):
    """Where the local metres lie on the globe."""

    longitude: Annotated[float, Field(ge=-180, le=180)]
    latitude: Annotated[float, Field(ge=-80, le=80)]
    bearing_deg: Annotated[float, Field(ge=0, lt=360)] = 0.0
    """Where y points: degrees clockwise from north."""

    def from_local(self, point: Metres) -> Position:
        """Degrees of a local point."""
        east, north = _turned(point, self.bearing_deg)
        east_m, north_m = self._metres_a_degree()
        return (
            round(self.longitude + east / east_m, DEGREE_DIGITS),
            round(self.latitude + north / north_m, DEGREE_DIGITS),
        )

    def to_local(self, position: Position) -> Metres:
        """Metres of a point on the globe, to the millimetre."""
        east_m, north_m = self._metres_a_degree()
        east = (position[0] - self.longitude) * east_m
        north = (position[1] - self.latitude) * north_m
        x, y = _turned((east, north), -self.bearing_deg)
        return round(x, METRE_DIGITS) + 0.0, round(y, METRE_DIGITS) + 0.0

    def _metres_a_degree(self) -> tuple[float, float]:
        """Eastward and northward, on the ellipsoid at the anchor."""
        latitude = math.radians(self.latitude)
        bend = 1 - _ECCENTRICITY_2 * math.sin(latitude) ** 2
        east = _EQUATOR_M / math.sqrt(bend) * math.cos(latitude)
        north = _EQUATOR_M * (1 - _ECCENTRICITY_2) / bend**1.5
        return math.radians(east), math.radians(north)


def _turned(point: Metres, clockwise_deg: float) -> Metres:
    angle = math.radians(clockwise_deg)
    x, y = point
    return (
        x * math.cos(angle) + y * math.sin(angle),
        y * math.cos(angle) - x * math.sin(angle),
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """Something on the floor: a convex ring, or a line of two points."""

    name: str
    ring: tuple[Metres, ...]
    left: float
    right: float
    low: float
    high: float

    @classmethod
    def of(cls, name: str, ring: Sequence[Metres]) -> Self:
        xs, ys = [x for x, _ in ring], [y for _, y in ring]
        return cls(name, tuple(ring), min(xs), max(xs), min(ys), max(ys))

    def overlaps(self, other: Shape) -> bool:
        """True if they do more than touch."""
        apart = (
            self.right - other.left <= TOUCH_M
            or other.right - self.left <= TOUCH_M
            or self.high - other.low <= TOUCH_M
            or other.high - self.low <= TOUCH_M
        )
        if len(self.ring) == 2 or len(other.ring) == 2:  # a line has no width to compare
            apart = (
                self.right <= other.left
                or other.right <= self.left
                or self.high <= other.low
                or other.high <= self.low
            )
        return not apart and overlap_m(self.ring, other.ring) > TOUCH_M

    def holds(self, point: Metres) -> bool:
        """True if the point lies in it and not just on its border."""
        x, y = point
        if not (self.left < x < self.right and self.low < y < self.high):
            return False
        return inside(point, self.ring) and all(
            distance_to(point, a, b) > TOUCH_M for a, b in _sides(self.ring)
        )


def heading_deg(start: Metres, end: Metres) -> float:
    """Where one goes from start to end: degrees clockwise from y."""
    return math.degrees(math.atan2(end[0] - start[0], end[1] - start[1])) % 360


def ahead(point: Metres, heading: float, metres: float) -> Metres:
    """The point so far ahead of this one."""
    angle = math.radians(heading)
    return (
        round(point[0] + metres * math.sin(angle), METRE_DIGITS) + 0.0,
        round(point[1] + metres * math.cos(angle), METRE_DIGITS) + 0.0,
    )


def middle(points: Sequence[Metres]) -> Metres:
    """The mean of the points."""
    return (
        sum(x for x, _ in points) / len(points),
        sum(y for _, y in points) / len(points),
    )


def area(ring: Sequence[Metres]) -> float:
    """Square metres inside an open ring; negative if it runs clockwise."""
    return sum(_cross(a, b) for a, b in _sides(ring)) / 2


def is_convex(ring: Sequence[Metres]) -> bool:
    """True if the open ring has no dent and does not cross itself."""
    turns = [
        _cross((b[0] - a[0], b[1] - a[1]), (c[0] - b[0], c[1] - b[1]))
        for a, b, c in zip(ring, [*ring[1:], ring[0]], [*ring[2:], *ring[:2]], strict=True)
    ]
    turned = sum(
        (heading_deg(b, c) - heading_deg(a, b) + 180) % 360 - 180
        for a, b, c in zip(ring, [*ring[1:], ring[0]], [*ring[2:], *ring[:2]], strict=True)
    )
    same = all(turn > -1e-6 for turn in turns) or all(turn < 1e-6 for turn in turns)
    return same and math.isclose(abs(turned), 360, abs_tol=1e-6)


def inside(point: Metres, ring: Sequence[Metres]) -> bool:
    """True if the point lies in the open ring or on its border."""
    x, y = point
    odd = False
    for a, b in _sides(ring):
        if distance_to(point, a, b) <= TOUCH_M:
            return True
        if (a[1] > y) != (b[1] > y) and x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0]):
            odd = not odd
    return odd


def overlap_m(one: Sequence[Metres], other: Sequence[Metres]) -> float:
    """How deep two convex shapes lie in each other; 0 if they don't. A line is a shape, too."""
    depth = math.inf
    for a, b in (*_sides(one), *_sides(other)):
        length = math.dist(a, b)
        if length == 0:
            continue
        normal = ((b[1] - a[1]) / length, (a[0] - b[0]) / length)
        one_low, one_high = _shadow(one, normal)
        other_low, other_high = _shadow(other, normal)
        depth = min(depth, one_high - other_low, other_high - one_low)
    return max(0.0, depth)


def nearest_on(point: Metres, a: Metres, b: Metres) -> Metres:
    """The point of the line from a to b that is nearest."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length_2 = dx * dx + dy * dy
    if length_2 == 0:
        return a
    share = ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / length_2
    share = min(1.0, max(0.0, share))
    return (
        round(a[0] + share * dx, METRE_DIGITS) + 0.0,
        round(a[1] + share * dy, METRE_DIGITS) + 0.0,
    )


def distance_to(point: Metres, a: Metres, b: Metres) -> float:
    """Metres from the point to the line from a to b."""
    return math.dist(point, nearest_on(point, a, b))


def crossing(a: Metres, b: Metres, c: Metres, d: Metres) -> Metres | None:
    """Where the lines a–b and c–d meet, their ends included; None if they don't or are parallel."""
    ab, cd = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1])
    spread = _cross(ab, cd)
    if abs(spread) < 1e-9:
        return None
    ac = (c[0] - a[0], c[1] - a[1])
    along, across = _cross(ac, cd) / spread, _cross(ac, ab) / spread
    if not (-1e-9 <= along <= 1 + 1e-9 and -1e-9 <= across <= 1 + 1e-9):
        return None
    return (
        round(a[0] + along * ab[0], METRE_DIGITS) + 0.0,
        round(a[1] + along * ab[1], METRE_DIGITS) + 0.0,
    )


def _sides(ring: Sequence[Metres]) -> Iterator[tuple[Metres, Metres]]:
    return zip(ring, [*ring[1:], ring[0]], strict=True)


def _cross(a: Metres, b: Metres) -> float:
    return a[0] * b[1] - a[1] * b[0]


def _shadow(ring: Sequence[Metres], normal: Metres) -> tuple[float, float]:
    reach = [x * normal[0] + y * normal[1] for x, y in ring]
    return min(reach), max(reach)
