"""The hall map: one GeoJSON FeatureCollection (RFC 7946) in the terms of IMDF (OGC 20-094).

Robot, signage, terminals and console read the same one, so that a window that moves is moved once.
IMDF's features have IMDF's categories and property names. Ours are `zone`, `window`, `machine`,
`dock`, `route_node` and `route_edge`. Ids are words (`window-12`) where IMDF wants UUIDs: they
stand in topics and logs. Coordinates are degrees; `HallMap.frame` gives the metres back.
"""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from hallkit.model.base import Value
from hallkit.model.plane import Frame, Metres, Position

FeatureId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Heading = Annotated[float, Field(ge=0, lt=360)]
"""Degrees clockwise from the frame's y."""


def _on_the_globe(position: Position) -> Position:
    longitude, latitude = position
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        raise ValueError("is not longitude, latitude in degrees")
    return position


def _closed(ring: tuple[Position, ...]) -> tuple[Position, ...]:
    if ring[0] != ring[-1]:
        raise ValueError("a ring ends where it begins")
    if sum(a[0] * b[1] - b[0] * a[1] for a, b in _from_first(ring)) <= 0:
        raise ValueError("an outer ring runs counter-clockwise")
    return ring


def _from_first(ring: tuple[Position, ...]) -> list[tuple[Position, Position]]:
    """Sides as seen from the first corner: degrees are large and their differences small."""
    x0, y0 = ring[0]
    moved = [(x - x0, y - y0) for x, y in ring]
    return list(pairwise(moved))


GlobePosition = Annotated[Position, AfterValidator(_on_the_globe)]
Ring = Annotated[
    tuple[GlobePosition, ...], Field(min_length=4, max_length=128), AfterValidator(_closed)
]


class Point(Value):
    type: Literal["Point"] = "Point"
    coordinates: GlobePosition


class Line(Value):
    type: Literal["LineString"] = "LineString"
    coordinates: Annotated[tuple[GlobePosition, ...], Field(min_length=2)]


class Polygon(Value):
    """One ring; holes are shapes of their own."""

    type: Literal["Polygon"] = "Polygon"
    coordinates: tuple[Ring]


class Labels(Value):
    """A name by language tag (BCP 47)."""

    zh: str
    en: str = ""


class Feature(Value):
    """What all features share; each kind says its `feature_type`, geometry and properties."""

    type: Literal["Feature"] = "Feature"
    id: FeatureId


F = TypeVar("F", bound=Feature)
_Kind = type[F]  # a field of the map is named `type`

# ── IMDF ──────────────────────────────────────────────────────────────────────────────────────


class VenueProperties(Value):
    category: Literal["governmentfacility"] = "governmentfacility"
    name: Labels
    display_point: Point
    sample: bool
    """示例数据: an invented hall at an invented place."""


class Venue(Feature):
    feature_type: Literal["venue"] = "venue"
    geometry: Polygon
    properties: VenueProperties


class BuildingProperties(Value):
    category: Literal["unspecified"] = "unspecified"
    name: Labels
    display_point: Point


class Building(Feature):
    feature_type: Literal["building"] = "building"
    geometry: None = None
    properties: BuildingProperties


class FootprintProperties(Value):
    category: Literal["ground"] = "ground"
    name: Labels | None = None
    building_ids: tuple[FeatureId, ...]


class Footprint(Feature):
    feature_type: Literal["footprint"] = "footprint"
    geometry: Polygon
    properties: FootprintProperties


class LevelProperties(Value):
    category: Literal["unspecified"] = "unspecified"
    ordinal: int
    """0 is the ground floor."""
    outdoor: bool = False
    name: Labels
    short_name: Labels
    building_ids: tuple[FeatureId, ...]
    display_point: Point


class Level(Feature):
    feature_type: Literal["level"] = "level"
    geometry: Polygon
    properties: LevelProperties


UnitCategory = Literal[
    "conferenceroom",
    "elevator",
    "escalator",
    "firstaid",
    "foodservice",
    "library",
    "lobby",
    "lounge",
    "mothersroom",
    "nonpublic",
    "office",
    "opentobelow",
    "ramp",
    "restroom",
    "restroom.family",
    "restroom.female",
    "restroom.male",
    "restroom.unisex",
    "restroom.wheelchair",
    "room",
    "stairs",
    "steps",
    "storage",
    "structure",
    "terrace",
    "unenclosedarea",
    "vegetation",
    "waitingroom",
    "walkway",
]
"""IMDF's words, as far as a hall has such a thing."""

WALKABLE: frozenset[str] = frozenset(
    {"lobby", "lounge", "ramp", "room", "steps", "terrace", "unenclosedarea"}
    | {"waitingroom", "walkway"}
)
"""Units that a way may lead through; at the others it ends at the door."""


class UnitProperties(Value):
    category: UnitCategory
    restriction: Literal["employeesonly", "restricted"] | None = None
    accessibility: tuple[Literal["wheelchair", "tactilepaving"], ...] | None = None
    name: Labels | None
    level_id: FeatureId
    display_point: Point


class Unit(Feature):
    feature_type: Literal["unit"] = "unit"
    geometry: Polygon
    properties: UnitProperties


class Door(Value):
    type: Literal["door", "open", "swinging", "sliding", "revolving"] = "door"
    automatic: bool = False


class OpeningProperties(Value):
    category: Literal["pedestrian", "pedestrian.principal", "emergencyexit"]
    accessibility: tuple[Literal["wheelchair", "tactilepaving"], ...] | None = None
    door: Door | None = None
    name: Labels
    level_id: FeatureId
    faces_deg: Heading
    """Where one goes when leaving the hall through it."""
    node_id: FeatureId
    display_point: Point

    @property
    def is_entrance(self) -> bool:
        return self.category != "emergencyexit"


class Opening(Feature):
    feature_type: Literal["opening"] = "opening"
    geometry: Line
    properties: OpeningProperties


AmenityCategory = Literal[
    "drinkingfountain",
    "elevator",
    "entry",
    "escalator",
    "firstaid",
    "information",
    "mothersroom",
    "restroom",
    "restroom.family",
    "restroom.female",
    "restroom.male",
    "restroom.unisex",
    "restroom.wheelchair",
    "seating",
    "service",
    "stairs",
]


class AmenityProperties(Value):
    category: AmenityCategory
    accessibility: tuple[Literal["wheelchair", "tactilepaving"], ...] | None = None
    name: Labels
    unit_ids: tuple[FeatureId, ...] = ()
    level_id: FeatureId
    node_id: FeatureId


class Amenity(Feature):
    feature_type: Literal["amenity"] = "amenity"
    geometry: Point
    properties: AmenityProperties


class AnchorProperties(Value):
    unit_id: FeatureId | None
    level_id: FeatureId
    node_id: FeatureId


class Anchor(Feature):
    """Where an occupant is: in front of the middle one of its windows."""

    feature_type: Literal["anchor"] = "anchor"
    geometry: Point
    properties: AnchorProperties


class OccupantProperties(Value):
    category: Literal["unspecified"] = "unspecified"
    name: Labels
    short_name: Labels
    anchor_id: FeatureId


class Occupant(Feature):
    """A department (部门) that has windows here."""

    feature_type: Literal["occupant"] = "occupant"
    geometry: None = None
    properties: OccupantProperties


class FixtureProperties(Value):
    category: Literal["desk", "equipment", "furniture", "obstruction", "vegetation", "wall"]
    name: Labels | None
    level_id: FeatureId
    display_point: Point


class Fixture(Feature):
    feature_type: Literal["fixture"] = "fixture"
    geometry: Polygon
    properties: FixtureProperties


# ── Ours ──────────────────────────────────────────────────────────────────────────────────────


class ZoneProperties(Value):
    name: Labels
    label: str
    """As addresses say it (`A区`); empty where they name the storey only."""
    level_id: FeatureId
    display_point: Point


class Zone(Feature):
    """A part of a storey that signs name; its windows stand in it."""

    feature_type: Literal["zone"] = "zone"
    geometry: Polygon
    properties: ZoneProperties


class WindowProperties(Value):
    number: Annotated[int, Field(ge=1)]
    kind: Literal["general", "sorted", "department"]
    """综窗 takes everything, 分类综窗 one field of several departments, the rest one department."""
    business: Labels
    department_id: FeatureId
    services: tuple[str, ...] = ()
    """Queue services that are called here."""
    zone_id: FeatureId
    level_id: FeatureId
    faces_deg: Heading
    """From the window to the citizen."""
    node_id: FeatureId
    """Where the citizen stands."""
    display_point: Point


class Window(Feature):
    feature_type: Literal["window"] = "window"
    geometry: Polygon
    properties: WindowProperties


class MachineProperties(Value):
    device: str
    """As the configuration calls it."""
    kind: Literal["terminal", "form"]
    """自助终端 or 电子样表机."""
    name: Labels
    peripherals: tuple[str, ...] = ()
    """Ports of its peripherals: `ticket_printer`, `id_card_reader`."""
    level_id: FeatureId
    faces_deg: Heading
    """From the machine to the citizen."""
    node_id: FeatureId
    display_point: Point


class Machine(Feature):
    feature_type: Literal["machine"] = "machine"
    geometry: Polygon
    properties: MachineProperties


class DockProperties(Value):
    device: str
    """The robot that charges here."""
    name: Labels
    level_id: FeatureId
    faces_deg: Heading
    """Where the robot drives out."""
    node_id: FeatureId
    display_point: Point


class Dock(Feature):
    feature_type: Literal["dock"] = "dock"
    geometry: Polygon
    properties: DockProperties


class NodeProperties(Value):
    level_id: FeatureId


class RouteNode(Feature):
    feature_type: Literal["route_node"] = "route_node"
    geometry: Point
    properties: NodeProperties


EdgeKind = Literal["walk", "ramp", "stairs", "lift", "escalator"]
STEPPED: frozenset[str] = frozenset({"stairs", "escalator"})
"""Kinds that are never step-free."""


class EdgeProperties(Value):
    from_id: FeatureId
    to_id: FeatureId
    kind: EdgeKind
    metres: Annotated[float, Field(ge=0)]
    seconds: Annotated[float, Field(ge=0)]
    """What it takes at the pace of the slowest, waiting included."""
    step_free: bool
    width_m: Annotated[float, Field(gt=0)]
    one_way: bool = False
    """Only from `from_id` to `to_id`."""


class RouteEdge(Feature):
    feature_type: Literal["route_edge"] = "route_edge"
    geometry: Line
    properties: EdgeProperties


AnyFeature = Annotated[
    Venue
    | Building
    | Footprint
    | Level
    | Unit
    | Opening
    | Amenity
    | Anchor
    | Occupant
    | Fixture
    | Zone
    | Window
    | Machine
    | Dock
    | RouteNode
    | RouteEdge,
    Field(discriminator="feature_type"),
]
Place = Window | Machine | Dock | Amenity | Opening | Anchor
"""What one can go to: each has a `node_id`."""


class HallMap(Value):
    """The whole map. Its JSON is the GeoJSON file; `hallkit.guide.map_check` finds its mistakes."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    format: Literal[1] = 1
    """Layout of the map. A reader refuses another one."""
    frame: Frame
    features: tuple[AnyFeature, ...]

    @model_validator(mode="after")
    def _has_a_hall(self) -> Self:
        if sum(isinstance(feature, Venue) for feature in self.features) != 1:
            raise ValueError("a map has one venue")
        if not self.levels:
            raise ValueError("a map has a level")
        return self

    @cached_property
    def by_id(self) -> MappingProxyType[str, AnyFeature]:
        """Features by id; of two that share one the later."""
        return MappingProxyType({feature.id: feature for feature in self.features})

    @property
    def venue(self) -> Venue:
        return self._all(Venue)[0]

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Storeys from the ground up."""
        return tuple(sorted(self._all(Level), key=lambda level: level.properties.ordinal))

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        return self._all(Unit)

    @cached_property
    def openings(self) -> tuple[Opening, ...]:
        return self._all(Opening)

    @cached_property
    def amenities(self) -> tuple[Amenity, ...]:
        return self._all(Amenity)

    @cached_property
    def fixtures(self) -> tuple[Fixture, ...]:
        return self._all(Fixture)

    @cached_property
    def departments(self) -> tuple[Occupant, ...]:
        return self._all(Occupant)

    @cached_property
    def zones(self) -> tuple[Zone, ...]:
        return self._all(Zone)

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """Windows by number."""
        return tuple(sorted(self._all(Window), key=lambda window: window.properties.number))

    @cached_property
    def machines(self) -> tuple[Machine, ...]:
        return self._all(Machine)

    @cached_property
    def docks(self) -> tuple[Dock, ...]:
        return self._all(Dock)

    @cached_property
    def nodes(self) -> tuple[RouteNode, ...]:
        return self._all(RouteNode)

    @cached_property
    def edges(self) -> tuple[RouteEdge, ...]:
        return self._all(RouteEdge)

    @cached_property
    def places(self) -> MappingProxyType[str, Place]:
        """What one can go to, by id."""
        return MappingProxyType(
            {
                feature.id: feature
                for feature in self.features
                if isinstance(feature, Window | Machine | Dock | Amenity | Opening | Anchor)
            }
        )

    def level(self, level_id: str) -> Level:
        """`KeyError` if there is none."""
        for level in self.levels:
            if level.id == level_id:
                return level
        raise KeyError(level_id)

    def window(self, number: int) -> Window:
        """The window of this number; `KeyError` if there is none."""
        for window in self.windows:
            if window.properties.number == number:
                return window
        raise KeyError(number)

    def machine(self, device: str) -> Machine:
        """The machine that the configuration calls so; `KeyError` if it is not on the map."""
        for machine in self.machines:
            if machine.properties.device == device:
                return machine
        raise KeyError(device)

    def metres(self, geometry: Point | Line | Polygon) -> tuple[Metres, ...]:
        """Local points of a geometry; a polygon's ring without its repeated first point."""
        return tuple(self.frame.to_local(position) for position in positions(geometry))

    def _all(self, kind: _Kind[F]) -> tuple[F, ...]:
        found: list[F] = []
        for feature in self.features:
            if isinstance(feature, kind):
                found.append(feature)  # noqa: PERF401 - mypy narrows a type variable here only
        return tuple(found)


def positions(geometry: Point | Line | Polygon) -> tuple[Position, ...]:
    """Corners of a geometry, each once."""
    if isinstance(geometry, Point):
        return (geometry.coordinates,)
    if isinstance(geometry, Line):
        return geometry.coordinates
    return geometry.coordinates[0][:-1]
