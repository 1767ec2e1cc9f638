"""Planted mistakes are found, by the feature that has them; a sound map has none."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affairs.hall_map import load_hall_map
from hallkit.guide.map_check import verify
from hallkit.model.hall_map import AnyFeature, HallMap, Polygon, RouteEdge, Window
from hallkit.model.plane import Metres, Shape
from tests.fakes.hall_map import hall, polygon

DEMO = load_hall_map()


def changed(feature_id: str, **properties: Any) -> HallMap:
    """The demo's map with other properties of one feature."""

    def change(feature: AnyFeature) -> AnyFeature:
        told = feature.properties.model_copy(update=properties)
        return feature.model_copy(update={"properties": told})

    return replaced(feature_id, change)


def replaced(feature_id: str, change: Callable[[AnyFeature], AnyFeature]) -> HallMap:
    features = [change(one) if one.id == feature_id else one for one in DEMO.features]
    assert features != list(DEMO.features)
    return HallMap(frame=DEMO.frame, features=tuple(features))


def moved(window: Window, by: Metres) -> tuple[HallMap, tuple[Metres, ...]]:
    ring = tuple((x + by[0], y + by[1]) for x, y in DEMO.metres(window.geometry))
    geometry: Polygon = polygon(ring, DEMO.frame)
    return replaced(window.id, lambda one: one.model_copy(update={"geometry": geometry})), ring


def told(hall_map: HallMap) -> list[str]:
    return [str(mistake) for mistake in verify(hall_map)]


def some_edge(kind: str = "walk", *, longer_than: float = 3) -> RouteEdge:
    return next(
        edge
        for edge in DEMO.edges
        if edge.properties.kind == kind and edge.properties.metres > longer_than
    )


def test_the_demo_is_sound() -> None:
    assert verify(DEMO) == []


@pytest.mark.parametrize(
    ("feature", "properties", "message"),
    [
        ("window-12", {"number": 13}, "two windows have the number 13"),
        ("window-12", {"zone_id": "zone-d"}, "its zone zone-d is not"),
        ("window-12", {"zone_id": "zone-b"}, "stands outside its zone zone-b"),
        ("window-12", {"zone_id": "zone-x"}, "there is no zone 'zone-x'"),
        ("window-12", {"department_id": "venue"}, "there is no occupant 'venue'"),
        ("window-12", {"level_id": "level-1"}, "people stand on level-2, not level-1"),
        ("terminal-02", {"device": "terminal-01"}, "terminal-01: stands at two places"),
        ("terminal-02", {"node_id": "node-none"}, "there is no route_node 'node-none'"),
        ("lift-east-1", {"name": DEMO.levels[0].properties.name.model_copy(update={"zh": " "})},
         "name is empty"),
        ("level-2", {"ordinal": 0}, "shares its ordinal"),
    ],
)  # fmt: skip
def test_a_wrong_property_is_told(feature: str, properties: dict[str, Any], message: str) -> None:
    assert any(message in line for line in told(changed(feature, **properties)))


def test_a_number_too_many_leaves_a_gap() -> None:
    lines = told(changed("window-12", number=157))
    assert lines == ["windows: no window has the number 12"]


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"metres": 0.5}, "is shorter than straight on"),
        ({"seconds": 0.0}, "takes no time"),
        ({"width_m": 0.7}, "too narrow for a wheelchair"),
        ({"kind": "stairs"}, "stairs are not step-free"),
        ({"kind": "lift"}, "lift that stays on its storey"),
        ({"to_id": "node-none"}, "there is no route_node"),
    ],
)
def test_an_edge_that_lies_is_told(properties: dict[str, Any], message: str) -> None:
    edge = some_edge()
    lines = told(changed(edge.id, **properties))
    assert any(line.startswith(edge.id) and message in line for line in lines)


def test_a_cut_way_leaves_places_that_nobody_reaches() -> None:
    window = DEMO.window(12)
    features = [
        one
        for one in DEMO.features
        if not isinstance(one, RouteEdge)
        or window.properties.node_id not in (one.properties.from_id, one.properties.to_id)
    ]
    lines = told(HallMap(frame=DEMO.frame, features=tuple(features)))
    assert any(line.startswith("window-12: no way leads here") for line in lines)
    assert any(line.startswith(window.properties.node_id) for line in lines)


def test_a_storey_without_a_lift_is_no_storey_for_a_wheelchair() -> None:
    features = [
        one
        for one in DEMO.features
        if not isinstance(one, RouteEdge) or one.properties.kind != "lift"
    ]
    lines = told(HallMap(frame=DEMO.frame, features=tuple(features)))
    unreached = {line.split(":")[0] for line in lines if "no step-free way leads here" in line}
    upstairs = {one.id for one in DEMO.windows if one.properties.level_id == "level-2"}
    assert upstairs <= unreached
    assert "window-1" not in unreached


def test_a_way_in_that_is_no_way_out_is_told() -> None:
    nodes: dict[str, tuple[int, Metres]] = {"a": (1, (0, 0)), "b": (1, (5, 0)), "c": (1, (9, 0))}
    one_way = hall(nodes, [("a", "b", {}), ("b", "c", {"one_way": True})])
    assert verify(one_way) == []  # nothing stands at c
    door = next(one for one in one_way.features if one.id == "door")
    moved_door = door.model_copy(
        update={"id": "exit", "properties": door.properties.model_copy(
            update={"node_id": "c", "category": "emergencyexit"})}
    )  # fmt: skip
    found = verify(hall(nodes, [("a", "b", {}), ("b", "c", {"one_way": True})], moved_door))
    assert [str(each) for each in found] == ["exit: no step-free way leads out from here"]


def test_a_way_through_a_counter_is_told() -> None:
    lines = told(moved(DEMO.window(1), (0, -1.2))[0])
    assert any("leads through window-1" in line for line in lines)


def test_machines_are_those_of_the_configuration() -> None:
    devices = [one.properties.device for one in (*DEMO.machines, *DEMO.docks)]
    assert verify(DEMO, devices) == []
    found = verify(DEMO, [*(one for one in devices if one != "form-27"), "terminal-19"])
    assert [str(each) for each in found] == [
        "terminal-19: is in the configuration and not on the map: it shows no ways",
        "machines: on the map and not in the configuration: form-27",
    ]
    assert {each.level for each in found} == {"warning"}
    (told,) = verify(DEMO, [])
    assert told.message.endswith("form-06 … 40 more")


STEP = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 4.0, 7.0, 23.0])
WAY = st.tuples(STEP, STEP, st.sampled_from([-1, 1]), st.sampled_from([-1, 1]))


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(DEMO.windows), WAY)
def test_a_window_pushed_anywhere_is_told_when_it_stands_wrong(
    window: Window, way: tuple[float, float, int, int]
) -> None:
    """Against decimetres on the floor, which know nothing of how shapes are compared."""
    by = (way[0] * way[2], way[1] * way[3])
    if by == (0, 0):
        return
    pushed, ring = moved(window, by)
    taken = squares(ring)
    others = [
        one
        for one in (*DEMO.windows, *DEMO.machines, *DEMO.docks, *DEMO.fixtures)
        if one.id != window.id and one.properties.level_id == window.properties.level_id
    ]
    hit = {one.id for one in others if taken & squares(DEMO.metres(one.geometry))}
    zone = squares(DEMO.metres(DEMO.by_id[window.properties.zone_id].geometry), whole=False)
    lines = told(pushed)
    for other in hit:
        pair = {window.id, other}
        assert any(
            "overlaps" in line and pair <= set(line.replace(":", "").split()) for line in lines
        )
    if not taken <= zone:
        assert f"{window.id}: stands outside its zone {window.properties.zone_id}" in lines


def squares(ring: tuple[Metres, ...], *, whole: bool = True) -> set[tuple[int, int]]:
    """Decimetres of an upright box: those that lie wholly in it, or all that it touches."""
    shape = Shape.of("", ring)

    def span(low: float, high: float) -> range:
        if whole:
            return range(math.ceil(low * 10 - 1e-6), math.floor(high * 10 + 1e-6))
        return range(math.floor(low * 10 + 1e-6), math.ceil(high * 10 - 1e-6))

    across, along = span(shape.left, shape.right), span(shape.low, shape.high)
    return {(x, y) for x in across for y in along}
