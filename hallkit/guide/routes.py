"""Ways through the hall: the quickest one, in legs that a person, a screen or a robot can follow.

    ways = Routes(hall)
    route = ways.route("terminal-01", "window-12", step_free=True)
    for line in directions(hall, route, words("zh_CN")): ...

Of two equally quick ways the one with fewer turns is taken. Pure: a map in, values out.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Literal

from hallkit.lexicon.words import Words
from hallkit.model.base import Value
from hallkit.model.hall_map import (
    Amenity,
    Anchor,
    Dock,
    EdgeKind,
    HallMap,
    Labels,
    Machine,
    Opening,
    Place,
    RouteEdge,
    Window,
)
from hallkit.model.plane import Metres, heading_deg

STRAIGHT_DEG = 30.0
"""A bend below this is no turn."""
LAST_STEP_M = 5.0
"""A place this near to the corridor is on one side of it; nobody is told to turn for it."""
LANDMARK_M = 6.0
"""How near a turn a place is to be named with it."""

Turn = Literal["ahead", "left", "right", "back"]


class Step(Value):
    """One edge, walked in one direction."""

    edge_id: str
    from_id: str
    to_id: str
    kind: EdgeKind
    metres: float
    seconds: float


class Leg(Value):
    """What is done in one go: straight on to the next turn, or from storey to storey."""

    kind: EdgeKind
    turn: Turn
    """How it is begun; the first one with one's back to the place."""
    metres: float
    seconds: float
    from_level: str
    to_level: str
    points: tuple[Metres, ...]
    """Local metres, for drawing and for driving."""
    landmark: str = ""
    """Id of the place at which it begins; empty if none is near."""
    told: bool = True
    """False for the few steps between a corridor and stairs or lift: nobody has to be told."""


class Route(Value):
    """A whole way."""

    from_id: str
    to_id: str
    step_free: bool
    """It was asked for without stairs and escalators."""
    steps: tuple[Step, ...]
    legs: tuple[Leg, ...]
    side: Turn
    """Where the goal is at the end."""

    @property
    def metres(self) -> float:
        return round(sum(step.metres for step in self.steps), 3)

    @property
    def seconds(self) -> float:
        return round(sum(step.seconds for step in self.steps), 2)

    @property
    def changes_level(self) -> bool:
        return any(leg.from_level != leg.to_level for leg in self.legs)


class _Front:
    """What a search has come to, the cheapest first."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, int, Step]] = []
        self._best: dict[str, tuple[int, int]] = {}
        self._before: dict[str, Step] = {}
        self._offers = itertools.count()

    def offer(self, step: Step, milliseconds: int, turns: int, last: Step | None) -> None:
        key = _key(step)
        if key in self._best and self._best[key] <= (milliseconds, turns):
            return
        self._best[key] = (milliseconds, turns)
        if last is not None:
            self._before[key] = last
        heapq.heappush(self._waiting, (milliseconds, turns, next(self._offers), step))

    def take(self) -> tuple[int, int, Step] | None:
        while self._waiting:
            milliseconds, turns, _, step = heapq.heappop(self._waiting)
            if (milliseconds, turns) == self._best[_key(step)]:
                return milliseconds, turns, step
        return None

    def way_to(self, last: Step) -> list[Step]:
        way = [last]
        while (step := self._before.get(_key(way[-1]))) is not None:
            way.append(step)
        return way[::-1]


class Routes:
    """The graph of a map, made once. A map with mistakes gives the ways that it has."""

    def __init__(self, hall: HallMap) -> None:
        self._hall = hall
        self._points = {node.id: hall.metres(node.geometry)[0] for node in hall.nodes}
        self._levels = {node.id: node.properties.level_id for node in hall.nodes}
        self._leaving: dict[str, list[Step]] = {node.id: [] for node in hall.nodes}
        self._arriving: dict[str, list[Step]] = {node.id: [] for node in hall.nodes}
        self._landmarks = self._named_places()
        self._edges = {edge.id: edge for edge in hall.edges}
        for edge in hall.edges:
            for step in _steps(edge):
                if step.from_id in self._points and step.to_id in self._points:
                    self._leaving[step.from_id].append(step)
                    self._arriving[step.to_id].append(step)

    def route(self, start: str, goal: str, *, step_free: bool = False) -> Route | None:
        """The quickest way between two places, None if there is none.

        Places are ids of the map: a window, machine, dock, amenity, door, department or node.
        `KeyError` for an unknown one.
        """
        goal_node = self.node(goal)
        found = self._search(self.node(start), step_free, lambda node: node == goal_node)
        return None if found is None else self._route(start, goal, found[1], step_free=step_free)

    def nearest(
        self, start: str, places: Iterable[Place], *, step_free: bool = False
    ) -> Route | None:
        """The way to the one of these places that is reached first; None if none is."""
        by_node: dict[str, str] = {}
        for place in places:
            by_node.setdefault(place.properties.node_id, place.id)
        found = self._search(self.node(start), step_free, by_node.__contains__)
        if found is None:
            return None
        return self._route(start, by_node[found[0]], found[1], step_free=step_free)

    def reachable(
        self, *starts: str, step_free: bool = False, back: bool = False
    ) -> frozenset[str]:
        """Every node that one comes to from these places; with `back` from which one comes here."""
        on = self._arriving if back else self._leaving
        seen = {self.node(start) for start in starts}
        waiting = [*seen]
        while waiting:
            for step in on.get(waiting.pop(), ()):
                node = step.from_id if back else step.to_id
                if node not in seen and self._allowed(step, step_free):
                    seen.add(node)
                    waiting.append(node)
        return frozenset(seen)

    def node(self, place: str) -> str:
        """The node where one stands at a place; `KeyError` if the map has no such place."""
        if place in self._points:
            return place
        if place in self._hall.places:
            return self._hall.places[place].properties.node_id
        for department in self._hall.departments:
            if department.id == place:
                return self._hall.places[department.properties.anchor_id].properties.node_id
        raise KeyError(place)

    def _ways_on(self, node: str, step_free: bool) -> Iterator[Step]:
        for step in self._leaving.get(node, ()):
            if self._allowed(step, step_free):
                yield step

    def _allowed(self, step: Step, step_free: bool) -> bool:
        return not step_free or self._edges[step.edge_id].properties.step_free

    def _search(
        self, start: str, step_free: bool, is_goal: Callable[[str], bool]
    ) -> tuple[str, list[Step]] | None:
        """Dijkstra over edges, so that turns count: milliseconds first, then turns."""
        if is_goal(start):
            return start, []
        front = _Front()
        for step in self._ways_on(start, step_free):
            front.offer(step, _milliseconds(step), 0, None)
        while (taken := front.take()) is not None:
            milliseconds, turns, last = taken
            if is_goal(last.to_id):
                return last.to_id, front.way_to(last)
            for step in self._ways_on(last.to_id, step_free):
                if step.to_id not in (last.from_id, start):
                    turned = turns + (self._turn(last, step) != "ahead")
                    front.offer(step, milliseconds + _milliseconds(step), turned, last)
        return None

    def _turn(self, before: Step, after: Step) -> Turn:
        if "lift" in (before.kind, after.kind) or self._changes(before) or self._changes(after):
            return "ahead"
        return turn(self._heading(before), self._heading(after))

    def _heading(self, step: Step) -> float:
        return heading_deg(self._points[step.from_id], self._points[step.to_id])

    def _changes(self, step: Step) -> bool:
        return self._levels[step.from_id] != self._levels[step.to_id]

    # ── Legs ──────────────────────────────────────────────────────────────────────────────────

    def _route(self, start: str, goal: str, steps: list[Step], *, step_free: bool) -> Route:
        walked = list(steps)
        first = walked.pop(0) if len(walked) > 1 and self._is_last_step(walked[0], start) else None
        last = walked.pop() if len(walked) > 1 and self._is_last_step(walked[-1], goal) else None
        legs: list[Leg] = []
        facing = self._faces(start)
        if facing is None and first is not None:
            facing = self._heading(first)
        runs = list(self._runs(walked))
        for number, run in enumerate(runs):
            if self._changes(run[0]):
                begun: Turn = "ahead"
                after = None
            else:
                begun = "ahead" if facing is None else turn(facing, self._heading(run[0]))
                after = self._heading(run[-1])
            beside = runs[max(0, number - 1) : number] + runs[number + 1 : number + 2]
            joins = (
                0 < number < len(runs) - 1
                and run[0].kind == "walk"
                and sum(step.metres for step in run) <= LAST_STEP_M
                and any(self._changes(other[0]) for other in beside)
            )
            legs.append(self._leg(run, begun, told=not joins))
            facing = after
        if legs and first is not None:
            legs[0] = _longer(legs[0], first, self._points[first.from_id], at_start=True)
        if legs and last is not None:
            legs[-1] = _longer(legs[-1], last, self._points[last.to_id], at_start=False)
        side: Turn = "ahead"
        if last is not None and facing is not None:
            side = turn(facing, self._heading(last))
        return Route(
            from_id=start,
            to_id=goal,
            step_free=step_free,
            steps=tuple(steps),
            legs=tuple(legs),
            side=side,
        )

    def _runs(self, steps: Sequence[Step]) -> Iterator[list[Step]]:
        """Steps in groups without a turn or a change of kind."""
        number = 0
        numbers = [0] * len(steps)
        for at, (before, after) in enumerate(pairwise(steps), start=1):
            level = self._changes(before) or self._changes(after)
            if level or before.kind != after.kind or self._turn(before, after) != "ahead":
                number += 1
            numbers[at] = number
        for _, group in groupby(zip(numbers, steps, strict=True), key=lambda pair: pair[0]):
            yield [step for _, step in group]

    def _leg(self, run: Sequence[Step], begun: Turn, *, told: bool) -> Leg:
        return Leg(
            kind=run[0].kind,
            turn=begun,
            metres=round(sum(step.metres for step in run), 3),
            seconds=round(sum(step.seconds for step in run), 2),
            from_level=self._levels[run[0].from_id],
            to_level=self._levels[run[-1].to_id],
            points=(self._points[run[0].from_id], *(self._points[step.to_id] for step in run)),
            landmark=self._landmark(run[0].from_id),
            told=told,
        )

    def _is_last_step(self, step: Step, place: str) -> bool:
        """True if it only joins a place to the corridor."""
        node = self.node(place)
        return (
            step.kind == "walk"
            and step.metres <= LAST_STEP_M
            and node in (step.from_id, step.to_id)
            and len(self._leaving.get(node, ())) == 1
        )

    def _faces(self, place: str) -> float | None:
        """Where one looks with one's back to the place; at a door, when one comes in."""
        found = self._hall.places.get(place)
        if found is None or isinstance(found, Amenity | Anchor):
            return None
        if found.feature_type == "opening":
            return (found.properties.faces_deg + 180) % 360
        return found.properties.faces_deg

    def _named_places(self) -> list[tuple[Metres, str, str]]:
        """What people see from afar, as point, storey and id."""
        return [
            (self._hall.metres(place.geometry)[0], place.properties.level_id, place.id)
            for place in self._hall.amenities
            if place.properties.category in ("information", "elevator", "escalator", "stairs")
        ]

    def _landmark(self, node: str) -> str:
        point, level = self._points[node], self._levels[node]
        near = [
            (math.dist(point, at), place)
            for at, where, place in self._landmarks
            if where == level and math.dist(point, at) <= LANDMARK_M
        ]
        return min(near)[1] if near else ""


def turn(before: float, after: float) -> Turn:
    """How one turns from one heading to the other."""
    change = (after - before + 180) % 360 - 180
    if abs(change) <= STRAIGHT_DEG:
        return "ahead"
    if abs(change) >= 180 - STRAIGHT_DEG:
        return "back"
    return "right" if change > 0 else "left"


def machines_with(hall: HallMap, *peripherals: str, kind: str = "") -> list[Machine]:
    """Machines that have all of these peripherals."""
    return [
        machine
        for machine in hall.machines
        if set(peripherals) <= set(machine.properties.peripherals)
        and kind in ("", machine.properties.kind)
    ]


def amenities_of(hall: HallMap, category: str, *, wheelchair: bool = False) -> list[Amenity]:
    """Amenities of a category or a narrower one: `restroom` finds `restroom.male`."""
    return [
        amenity
        for amenity in hall.amenities
        if f"{amenity.properties.category}.".startswith(f"{category}.")
        and (not wheelchair or "wheelchair" in (amenity.properties.accessibility or ()))
    ]


# ── In words ──────────────────────────────────────────────────────────────────────────────────


def directions(hall: HallMap, route: Route, say: Words) -> list[str]:
    """The way in sentences, to be shown and read aloud."""
    lines: list[str] = []
    came_out = False
    for number, leg in enumerate(route.legs):
        landmark = name_of(hall, leg.landmark, say) if leg.landmark else ""
        metres = _said(leg.metres)
        if leg.from_level != leg.to_level:
            up = _ordinal(hall, leg.to_level) > _ordinal(hall, leg.from_level)
            storey = _label(hall.level(leg.to_level).properties.name, say)
            key = f"route.{leg.kind}_{'up' if up else 'down'}"
            lines.append(say(key, level=storey, place=landmark or say(f"route.a_{leg.kind}")))
            came_out = True
            continue
        if not leg.told:
            continue
        if leg.kind != "walk":
            lines.append(say(f"route.{leg.kind}", metres=metres))
        elif number == 0:
            lines.append(_first(hall, route, leg, say))
        elif came_out:
            lines.append(say(f"route.out_{leg.turn}", metres=metres))
        elif landmark and leg.turn != "ahead":
            lines.append(say(f"route.{leg.turn}_at", place=landmark, metres=metres))
        else:
            lines.append(say(f"route.{leg.turn}", metres=metres))
        came_out = False
    goal = name_of(hall, route.to_id, say)
    lines.append(say(f"route.arrived_{route.side}" if lines else "route.here", place=goal))
    return lines


def _first(hall: HallMap, route: Route, leg: Leg, say: Words) -> str:
    place, metres = name_of(hall, route.from_id, say), _said(leg.metres)
    feature = hall.by_id[route.from_id]
    if isinstance(feature, Window | Machine | Dock):
        return say(f"route.start_{leg.turn}", place=place, metres=metres)
    if isinstance(feature, Opening) and leg.turn == "ahead":
        return say("route.start_in", place=place, metres=metres)
    return say("route.start_from", place=place, metres=metres)


def _said(metres: float) -> int:
    """As people say it: above twenty in fives."""
    return max(1, round(metres)) if metres < 20 else round(metres / 5) * 5


def name_of(hall: HallMap, place_id: str, say: Words) -> str:
    """What people call a place; `KeyError` if the map has no such place."""
    feature = hall.by_id[place_id]
    if isinstance(feature, Window):
        return say("route.window", number=feature.properties.number)
    if feature.feature_type in ("route_node", "route_edge", "footprint", "anchor"):
        return say("route.spot")
    label: Labels | None = getattr(feature.properties, "name", None)
    return say("route.spot") if label is None else _label(label, say)


def addresses(hall: HallMap, say: Words) -> dict[str, str]:
    """Where each queue service is called, as tickets say it."""
    serving: dict[str, list[Window]] = {}
    for window in hall.windows:
        for service in window.properties.services:
            serving.setdefault(service, []).append(window)
    return {service: address(hall, windows, say) for service, windows in serving.items()}


def address(hall: HallMap, windows: Iterable[Window], say: Words) -> str:
    """Where these windows are, in words."""
    parts: dict[tuple[str, str], list[int]] = {}
    for window in windows:
        where = (window.properties.level_id, window.properties.zone_id)
        parts.setdefault(where, []).append(window.properties.number)
    zones = {zone.id: zone.properties.label for zone in hall.zones}
    return say("route.and").join(
        say(
            "route.windows",
            level=_label(hall.level(level).properties.short_name, say),
            zone=zones.get(zone, ""),
            numbers=say("route.and").join(_ranges(numbers)),
        )
        for (level, zone), numbers in sorted(parts.items())
    )


def _ranges(numbers: Iterable[int]) -> Iterator[str]:
    ordered = sorted(numbers)
    for _, run in groupby(enumerate(ordered), key=lambda pair: pair[1] - pair[0]):
        together = [number for _, number in run]
        first, last = together[0], together[-1]
        yield str(first) if first == last else f"{first}-{last}"


def _label(labels: Labels, say: Words) -> str:
    return labels.en if say.language == "en" and labels.en else labels.zh


def _ordinal(hall: HallMap, level_id: str) -> int:
    return hall.level(level_id).properties.ordinal


def _steps(edge: RouteEdge) -> Iterator[Step]:
    told = edge.properties
    ways = [(told.from_id, told.to_id)]
    if not told.one_way:
        ways.append((told.to_id, told.from_id))
    for from_id, to_id in ways:
        yield Step(
            edge_id=edge.id,
            from_id=from_id,
            to_id=to_id,
            kind=told.kind,
            metres=told.metres,
            seconds=told.seconds,
        )


def _milliseconds(step: Step) -> int:
    """Whole, so that equally quick ways are equal."""
    return round(step.seconds * 1000)


def _key(step: Step) -> str:
    """An edge in one direction."""
    return f"{step.edge_id}>{step.to_id}"


def _longer(leg: Leg, step: Step, point: Metres, *, at_start: bool) -> Leg:
    """The leg with the step between a place and the corridor."""
    points = (point, *leg.points) if at_start else (*leg.points, point)
    return leg.model_copy(
        update={
            "metres": round(leg.metres + step.metres, 3),
            "seconds": round(leg.seconds + step.seconds, 2),
            "points": points,
        }
    )
