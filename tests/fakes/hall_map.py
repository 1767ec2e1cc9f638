"""Small halls for tests: nodes and edges as given, one door, nothing else unless added."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from hallkit.model import hall_map as model
from hallkit.model.hall_map import HallMap, Labels
from hallkit.model.plane import Frame, Metres

FRAME = Frame(longitude=104.16, latitude=31.13, bearing_deg=12.0)
Edge = tuple[str, str, dict[str, Any]]


def hall(
    nodes: dict[str, tuple[int, Metres]], edges: Iterable[Edge], *more: model.AnyFeature
) -> HallMap:
    """Nodes by id as storey and point; the first is where the one entrance is."""
    first, (storey, point) = next(iter(nodes.items()))
    features: list[model.AnyFeature] = [
        model.Venue(
            id="venue",
            geometry=polygon(((-200, -200), (200, -200), (200, 200), (-200, 200))),
            properties=model.VenueProperties(
                name=Labels(zh="小厅"), display_point=at((0, 0)), sample=True
            ),
        ),
        *(
            model.Level(
                id=f"level-{number}",
                geometry=polygon(((-100, -100), (100, -100), (100, 100), (-100, 100))),
                properties=model.LevelProperties(
                    ordinal=number - 1,
                    name=Labels(zh=f"第{number}层"),
                    short_name=Labels(zh=f"{number}楼"),
                    building_ids=("house",),
                    display_point=at((0, 0)),
                ),
            )
            for number in sorted({where for where, _ in nodes.values()})
        ),
        model.Building(
            id="house",
            properties=model.BuildingProperties(name=Labels(zh="小厅"), display_point=at((0, 0))),
        ),
        model.Opening(
            id="door",
            geometry=line(((point[0] - 1, point[1]), (point[0] + 1, point[1]))),
            properties=model.OpeningProperties(
                category="pedestrian.principal",
                name=Labels(zh="门"),
                level_id=f"level-{storey}",
                faces_deg=180,
                node_id=first,
                display_point=at(point),
            ),
        ),
        *more,
    ]
    features += [
        model.RouteNode(
            id=node,
            geometry=at(where),
            properties=model.NodeProperties(level_id=f"level-{level}"),
        )
        for node, (level, where) in nodes.items()
    ]
    features += [edge(nodes, *each) for each in edges]
    return HallMap(frame=FRAME, features=tuple(features))


def edge(
    nodes: dict[str, tuple[int, Metres]], a: str, b: str, told: dict[str, Any]
) -> model.RouteEdge:
    straight = math.dist(nodes[a][1], nodes[b][1])
    metres = told.get("metres", math.ceil(straight * 1000) / 1000)
    kind = told.get("kind", "walk")
    return model.RouteEdge(
        id=f"edge-{a}-{b}",
        geometry=line((nodes[a][1], nodes[b][1])),
        properties=model.EdgeProperties(
            from_id=a,
            to_id=b,
            metres=metres,
            seconds=told.get("seconds", round(metres, 2)),
            kind=kind,
            step_free=told.get("step_free", kind not in model.STEPPED),
            width_m=told.get("width_m", 2.0),
            one_way=told.get("one_way", False),
        ),
    )


def at(point: Metres) -> model.Point:
    return model.Point(coordinates=FRAME.from_local(point))


def line(points: Sequence[Metres]) -> model.Line:
    return model.Line(coordinates=tuple(map(FRAME.from_local, points)))


def polygon(ring: Sequence[Metres], frame: Frame = FRAME) -> model.Polygon:
    around = tuple(map(frame.from_local, ring))
    return model.Polygon(coordinates=((*around, around[0]),))
