"""What is wrong with a hall map, all at once, by the id of the feature."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from hallkit.guide.mistakes import Mistake, warning
from hallkit.guide.routes import Routes
from hallkit.model.hall_map import (
    STEPPED,
    WALKABLE,
    AnyFeature,
    Dock,
    Fixture,
    HallMap,
    Machine,
    RouteEdge,
    Unit,
    Window,
    Zone,
)
from hallkit.model.plane import TOUCH_M, Metres, Shape, inside, is_convex

NARROWEST_M = 0.9
"""A wheelchair needs this much on a step-free edge (GB 50763)."""
_SHOWN = 6
"""So many machines are named where more are missing."""


def verify(hall: HallMap, devices: Iterable[str] | None = None) -> list[Mistake]:
    """Everything that would send somebody to the wrong place or to none. Empty for a sound map.

    With `devices`, what the configuration calls its machines, a warning for those that are on one
    side only.
    """
    return [
        *_ids(hall),
        *_references(hall),
        *_numbers(hall),
        *_names(hall),
        *_shapes(hall),
        *_places(hall),
        *_edges(hall),
        *_reach(hall),
        *(() if devices is None else _devices(hall, frozenset(devices))),
    ]


def blocked_shapes(hall: HallMap) -> dict[str, list[Shape]]:
    """By level what nobody walks through: closed rooms, counters, machines, furniture."""
    found: dict[str, list[Shape]] = {level.id: [] for level in hall.levels}
    for feature in hall.features:
        if not isinstance(feature, Unit | Window | Machine | Dock | Fixture):
            continue
        if isinstance(feature, Unit) and feature.properties.category in WALKABLE:
            continue
        shape = Shape.of(feature.id, hall.metres(feature.geometry))
        found.setdefault(feature.properties.level_id, []).append(shape)
    return found


def _ids(hall: HallMap) -> Iterator[Mistake]:
    for feature_id, times in Counter(feature.id for feature in hall.features).items():
        if times > 1:
            yield Mistake(feature_id, "stands twice on the map")


_KINDS = {
    "level_id": "level",
    "zone_id": "zone",
    "department_id": "occupant",
    "anchor_id": "anchor",
    "node_id": "route_node",
    "from_id": "route_node",
    "to_id": "route_node",
    "unit_id": "unit",
    "unit_ids": "unit",
    "building_ids": "building",
}


def _references(hall: HallMap) -> Iterator[Mistake]:
    """What names another feature names one that is there."""
    for feature in hall.features:
        told = feature.properties
        for field, kind in _KINDS.items():
            value = getattr(told, field, None)
            named = value if isinstance(value, tuple) else () if value is None else (value,)
            for other_id in named:
                other = hall.by_id.get(other_id)
                if other is None or other.feature_type != kind:
                    yield Mistake(feature.id, f"{field}: there is no {kind} {other_id!r}")


def _numbers(hall: HallMap) -> Iterator[Mistake]:
    numbers = Counter(window.properties.number for window in hall.windows)
    for window in hall.windows:
        if numbers[window.properties.number] > 1:
            yield Mistake(window.id, f"two windows have the number {window.properties.number}")
    missing = sorted(set(range(1, max(numbers, default=0) + 1)) - numbers.keys())
    if missing:
        yield Mistake("windows", f"no window has the number {', '.join(map(str, missing))}")
    devices = Counter(
        feature.properties.device
        for feature in hall.features
        if isinstance(feature, Machine | Dock)
    )
    for device, times in devices.items():
        if times > 1:
            yield Mistake(device, "stands at two places")
    ordinals = Counter(level.properties.ordinal for level in hall.levels)
    for level in hall.levels:
        if ordinals[level.properties.ordinal] > 1:
            yield Mistake(level.id, "shares its ordinal with another level")


def _names(hall: HallMap) -> Iterator[Mistake]:
    """Nothing that people are sent to is without a name, and no name stands for two departments."""
    for feature in hall.features:
        for field in ("name", "short_name", "business"):
            labels = getattr(feature.properties, field, None)
            if labels is not None and not labels.zh.strip():
                yield Mistake(feature.id, f"{field} is empty")
    names = Counter(department.properties.name.zh for department in hall.departments)
    for department in hall.departments:
        if names[department.properties.name.zh] > 1:
            yield Mistake(department.id, "another department has this name")


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────


def _shapes(hall: HallMap) -> Iterator[Mistake]:
    """Nothing stands in something else. A hall's floor may hold things, not another floor."""
    groups: dict[tuple[str, str], list[Shape]] = {}
    for feature in hall.features:
        if not isinstance(feature, Unit | Window | Machine | Dock | Fixture | Zone):
            continue
        shape = Shape.of(feature.id, hall.metres(feature.geometry))
        if is_convex(shape.ring):
            yield from _within_level(hall, feature, shape.ring)
            groups.setdefault((_group(feature), feature.properties.level_id), []).append(shape)
        else:
            yield Mistake(feature.id, "has a dent: make it of two shapes")
    for shapes in groups.values():
        yield from _overlaps(shapes)
    for window in hall.windows:
        yield from _in_its_zone(hall, window)


def _group(feature: AnyFeature) -> str:
    if isinstance(feature, Zone):
        return "zone"
    walkable = isinstance(feature, Unit) and feature.properties.category in WALKABLE
    return "floor" if walkable else "solid"


def _in_its_zone(hall: HallMap, window: Window) -> Iterator[Mistake]:
    told = window.properties
    zone = hall.by_id.get(told.zone_id)
    if not isinstance(zone, Zone):
        return
    ring = hall.metres(zone.geometry)
    if zone.properties.level_id != told.level_id:
        yield Mistake(window.id, f"is on {told.level_id}, its zone {zone.id} is not")
    elif not all(inside(corner, ring) for corner in hall.metres(window.geometry)):
        yield Mistake(window.id, f"stands outside its zone {zone.id}")


def _within_level(hall: HallMap, feature: AnyFeature, ring: Sequence[Metres]) -> Iterator[Mistake]:
    level = hall.by_id.get(getattr(feature.properties, "level_id", ""))
    if level is None or level.feature_type != "level":
        return
    floor = hall.metres(level.geometry)
    if not all(inside(corner, floor) for corner in ring):
        yield Mistake(feature.id, f"stands outside {level.id}")


def _overlaps(shapes: Sequence[Shape]) -> Iterator[Mistake]:
    """Pairs that lie in each other, from left to right so that few are compared."""
    ordered = sorted(shapes, key=lambda shape: shape.left)
    for number, shape in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other.left >= shape.right:
                break
            if shape.overlaps(other):
                one, two = sorted((shape.name, other.name), key=_important)
                yield Mistake(one, f"overlaps {two}")


def _important(feature_id: str) -> tuple[bool, str]:
    """Windows first: their authors look for them."""
    return not feature_id.startswith("window-"), feature_id


# ── Ways ──────────────────────────────────────────────────────────────────────────────────────


def _places(hall: HallMap) -> Iterator[Mistake]:
    """One stands on the place's own storey, on the floor and not in something."""
    blocked = blocked_shapes(hall)
    floors = {level.id: hall.metres(level.geometry) for level in hall.levels}
    levels = {node.id: node.properties.level_id for node in hall.nodes}
    for place in hall.places.values():
        told = place.properties
        if told.node_id in levels and levels[told.node_id] != told.level_id:
            yield Mistake(place.id, f"people stand on {levels[told.node_id]}, not {told.level_id}")
    for node in hall.nodes:
        (point,) = hall.metres(node.geometry)
        level = node.properties.level_id
        if level in floors and not inside(point, floors[level]):
            yield Mistake(node.id, f"lies outside {level}")
        for shape in blocked.get(level, ()):
            if shape.holds(point):
                yield Mistake(node.id, f"lies in {shape.name}")


def _edges(hall: HallMap) -> Iterator[Mistake]:
    blocked = blocked_shapes(hall)
    nodes = {
        node.id: (hall.metres(node.geometry)[0], node.properties.level_id) for node in hall.nodes
    }
    joined = Counter(
        frozenset((edge.properties.from_id, edge.properties.to_id)) for edge in hall.edges
    )
    for edge in hall.edges:
        told = edge.properties
        yield from _edge_alone(edge)
        if joined[frozenset((told.from_id, told.to_id))] > 1:
            yield Mistake(edge.id, "another edge joins the same nodes")
        if told.from_id not in nodes or told.to_id not in nodes:
            continue
        (a, level), (b, other) = nodes[told.from_id], nodes[told.to_id]
        line = hall.metres(edge.geometry)
        if math.dist(a, line[0]) > TOUCH_M or math.dist(b, line[-1]) > TOUCH_M:
            yield Mistake(edge.id, "is drawn away from its nodes")
        if told.kind != "lift" and told.metres + TOUCH_M < math.dist(a, b):
            straight = f"{math.dist(a, b):.2f} m"
            yield Mistake(edge.id, f"{told.metres} m is shorter than straight on, {straight}")
        yield from _between_levels(edge, same=level == other)
        if level == other:
            way = Shape.of(edge.id, (a, b))
            for shape in blocked.get(level, ()):
                if way.overlaps(shape):
                    yield Mistake(edge.id, f"leads through {shape.name}")


def _edge_alone(edge: RouteEdge) -> Iterator[Mistake]:
    told = edge.properties
    if told.from_id == told.to_id:
        yield Mistake(edge.id, "leads to where it begins")
    if told.metres > 0 and told.seconds <= 0:
        yield Mistake(edge.id, "takes no time")
    if told.step_free and told.kind in STEPPED:
        yield Mistake(edge.id, f"{told.kind} are not step-free")
    if told.step_free and told.width_m < NARROWEST_M:
        yield Mistake(edge.id, f"{told.width_m} m is too narrow for a wheelchair")


def _between_levels(edge: RouteEdge, *, same: bool) -> Iterator[Mistake]:
    kind = edge.properties.kind
    if same and kind in ("lift", "escalator"):
        yield Mistake(edge.id, f"{kind} that stays on its storey")
    if not same and kind == "walk":
        yield Mistake(edge.id, "nobody walks to another storey: stairs, lift, escalator, ramp")


def _reach(hall: HallMap) -> Iterator[Mistake]:
    """From each entrance every place is reached without a step; every node somehow, and back."""
    known = {node.id for node in hall.nodes}
    entrances = [
        opening
        for opening in hall.openings
        if opening.properties.is_entrance and opening.properties.node_id in known
    ]
    if not entrances:
        yield Mistake("openings", "there is no entrance")
        return
    ways = Routes(hall)
    for node_id in sorted(known - ways.reachable(entrances[0].id)):
        yield Mistake(node_id, f"no way leads here from {entrances[0].id}")
    places = [place for place in hall.places.values() if place.properties.node_id in known]
    for entrance in entrances:
        reached = ways.reachable(entrance.id)
        step_free = ways.reachable(entrance.id, step_free=True)
        for place in places:
            if place.properties.node_id not in reached:
                yield Mistake(place.id, f"no way leads here from {entrance.id}")
            elif place.properties.node_id not in step_free:
                yield Mistake(place.id, f"no step-free way leads here from {entrance.id}")
    leaving = ways.reachable(*(entrance.id for entrance in entrances), step_free=True, back=True)
    for place in places:
        if place.properties.node_id not in leaving:
            yield Mistake(place.id, "no step-free way leads out from here")


def _devices(hall: HallMap, devices: frozenset[str]) -> Iterator[Mistake]:
    """Warnings: a machine is set up before or after its line on the map, and the hall goes on."""
    placed = {
        feature.properties.device
        for feature in hall.features
        if isinstance(feature, Machine | Dock)
    }
    for device in sorted(devices - placed):
        yield warning(device, "is in the configuration and not on the map: it shows no ways")
    if absent := sorted(placed - devices):
        rest = f" … {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
        told = f"on the map and not in the configuration: {', '.join(absent[:_SHOWN])}{rest}"
        yield warning("machines", told)
