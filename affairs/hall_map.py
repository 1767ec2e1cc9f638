"""The hall map from its authored source: `content/hall/*.toml`, compiled to one GeoJSON map.

The source says where walls, rows of counters, windows, machines and corridors are; from it follow
shapes, the places where people stand, and the graph of ways. The same source gives the same map.
Moving a window is editing its one line: the way to it is found anew.
"""

from __future__ import annotations

import math
import pkgutil
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Field, ValidationError

from affairs.catalogue_source import SourceProblem
from affairs.queue.services import SERVICES_FILE, Service, line_of_service
from hallkit import ports
from hallkit.errors import ConfigError, ConfigProblem
from hallkit.guide.map_check import blocked_shapes, verify
from hallkit.guide.mistakes import Level
from hallkit.guide.routes import addresses
from hallkit.lexicon.words import Words
from hallkit.model import hall_map as model
from hallkit.model.base import Value
from hallkit.model.hall_map import HallMap, Labels
from hallkit.model.plane import (
    TOUCH_M,
    Frame,
    Metres,
    Shape,
    ahead,
    crossing,
    distance_to,
    middle,
    nearest_on,
)
from hallkit.runtime.config import hint
from hallkit.runtime.toml_lines import line_of_fault, lines_of, parent

MAP = Path(__file__).parent / "content" / "hall"

STAND_M = 1.0
"""From a counter to the citizen; from a machine it is a little less."""
STAND_AT_MACHINE_M = 0.8
JOIN_WIDTH_M = 1.2
JOIN_M = 8.0
"""A place that is farther from every corridor has none."""
_EVERY_PORT = "peripheral"
"""The module of what all ports have in common."""

Storey = Annotated[int, Field(ge=1, le=9)]
Box = tuple[float, float, Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
Side = Literal["north", "east", "south", "west"]
_HEADINGS: Mapping[Side, float] = {"north": 0.0, "east": 90.0, "south": 180.0, "west": 270.0}
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$")]


class _Venue(Value):
    name: Labels
    outline: tuple[Metres, ...]
    house: tuple[Metres, ...]
    sample: bool = True


class _Pace(Value):
    """Metres a second."""

    walk: Annotated[float, Field(gt=0)]
    ramp: Annotated[float, Field(gt=0)]
    stairs: Annotated[float, Field(gt=0)]
    escalator: Annotated[float, Field(gt=0)]

    def seconds(self, kind: model.EdgeKind, metres: float) -> float:
        pace = {
            "walk": self.walk,
            "ramp": self.ramp,
            "stairs": self.stairs,
            "escalator": self.escalator,
            "lift": self.walk,
        }
        return round(metres / pace[kind], 2)


class _Level(Value):
    ordinal: int
    name: Labels
    short: Labels
    outline: tuple[Metres, ...]


class _Door(Value):
    level: Storey
    category: Literal["pedestrian", "pedestrian.principal", "emergencyexit"]
    line: tuple[Metres, Metres]
    faces: Side
    automatic: bool = False
    wheelchair: bool = True
    name: Labels


class _Room(Value):
    levels: Annotated[tuple[Storey, ...], Field(min_length=1)]
    category: model.UnitCategory
    box: Box
    door: Metres | None = None
    doors: dict[Storey, Metres] = {}
    wheelchair: bool = False
    staff: bool = False
    name: Labels | None = None


class _Amenity(Value):
    level: Storey
    category: model.AmenityCategory
    at: Metres
    wheelchair: bool = False
    name: Labels


class _Fixture(Value):
    level: Storey
    category: Literal["desk", "equipment", "furniture", "obstruction", "vegetation", "wall"]
    box: Box
    name: Labels | None = None


class _Corridor(Value):
    level: Storey
    points: Annotated[tuple[Metres, ...], Field(min_length=2)]
    kind: Literal["walk", "ramp", "stairs"] = "walk"
    width_m: Annotated[float, Field(gt=0)]
    one_way: bool = False


class _Link(Value):
    kind: Literal["lift", "stairs", "escalator", "ramp"]
    start: Annotated[tuple[Storey, float, float], Field(alias="from")]
    end: Annotated[tuple[Storey, float, float], Field(alias="to")]
    metres: Annotated[float, Field(gt=0)]
    seconds: float | None = None
    width_m: Annotated[float, Field(gt=0)]
    one_way: bool = False


class _Zone(Value):
    level: Storey
    label: str
    box: Box
    name: Labels


class _Row(Value):
    zone: str
    start: Metres
    faces: Side
    pitch_m: Annotated[float, Field(gt=0.5)]
    depth_m: Annotated[float, Field(gt=0.1)]


class _Department(Value):
    name: Labels
    short: Labels


class _Desk(Value):
    department: str
    kind: Literal["general", "sorted", "department"]
    business: Labels
    services: tuple[str, ...] = ()


class _Window(Value):
    row: str
    slot: Annotated[int, Field(ge=1)]
    desk: str


class _MachineKind(Value):
    size: tuple[float, float]
    name: Labels
    peripherals: tuple[str, ...] = ()


class _Machine(Value):
    level: Storey
    at: Metres
    faces: Side
    peripherals: tuple[str, ...] | None = None
    """If they differ from its kind's."""


class _Dock(Value):
    level: Storey
    at: Metres
    faces: Side
    size: tuple[float, float] = (0.9, 0.8)
    name: Labels


class _Source(Value):
    """Everything the files say."""

    frame: Frame
    venue: _Venue
    pace: _Pace
    levels: dict[Storey, _Level]
    doors: dict[Key, _Door] = {}
    rooms: dict[Key, _Room] = {}
    amenities: dict[Key, _Amenity] = {}
    fixtures: dict[Key, _Fixture] = {}
    corridors: dict[Key, _Corridor] = {}
    links: dict[Key, _Link] = {}
    zones: dict[Key, _Zone] = {}
    rows: dict[Key, _Row] = {}
    departments: dict[Key, _Department] = {}
    desks: dict[Key, _Desk] = {}
    windows: dict[Annotated[int, Field(ge=1)], _Window] = {}
    machine_kinds: dict[Literal["terminal", "form"], _MachineKind] = {}
    machines: dict[Key, _Machine] = {}
    docks: dict[Key, _Dock] = {}


def load_hall_map(folder: Path = MAP) -> HallMap:
    """The map of the folder's files. `ConfigError` lists all mistakes, by file, line and key."""
    hall, problems = check_hall_map(folder)
    if hall is None:
        raise ConfigError(list(problems))
    return hall


def check_hall_map(
    folder: Path = MAP, devices: Iterable[str] | None = None
) -> tuple[HallMap | None, list[SourceProblem]]:
    """The map, None if something is wrong with it; and what is wrong, or only a warning.

    With `devices`, what the configuration calls its machines, a warning for those that are on one
    side only.
    """
    try:
        content, written = _read(folder)
        source = _Source.model_validate(content)
    except ConfigError as exc:
        return None, [SourceProblem(**asdict(problem)) for problem in exc.problems]
    except ValidationError as exc:
        return None, [
            written.problem(
                ".".join(map(str, error["loc"])),
                "unknown key" if error["type"] == "extra_forbidden" else error["msg"],
            )
            for error in exc.errors(include_url=False, include_input=False)
        ]
    compiler = _Compiler(source)
    compiler.check_names()
    problems = [written.problem(*told) for told in compiler.problems]
    if problems:
        return None, problems
    hall = compiler.compile()
    cut_off = {key for key, *_ in compiler.problems}
    problems = [written.problem(*told) for told in compiler.problems]
    for mistake in verify(hall, devices):
        key = compiler.origin.get(mistake.key, mistake.key)
        if not (key in cut_off and "route_node" in mistake.message):
            problems.append(
                written.problem(key, mistake.message, mistake.suggestion, mistake.level)
            )
    sound = all(problem.level == "warning" for problem in problems)
    return (hall if sound else None), problems


def known_ports() -> frozenset[str]:
    """Ports for which there can be a driver."""
    return frozenset(one.name for one in pkgutil.iter_modules(ports.__path__)) - {_EVERY_PORT}


def check_queues(hall: HallMap, services: Iterable[Service], say: Words) -> list[SourceProblem]:
    """Queues that send people to windows which the map has elsewhere or not at all."""
    known = addresses(hall, say)
    problems = []
    for service in services:
        if service.key not in known:
            field_, told = "key", "no window serves it"
        elif service.windows != known[service.key]:
            told = f"is at {known[service.key]!r} on the map, not {service.windows!r}"
            field_ = "windows"
        else:
            continue
        line = line_of_service(service.key, field_)
        key = f"{service.key}.{field_}"
        problems.append(SourceProblem(SERVICES_FILE.name, key, told, line=line))
    return problems


@dataclass(frozen=True, slots=True)
class _Written:
    """Where the author wrote what: by table, and by table and key."""

    files: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def problem(
        self, key: str, message: str, suggestion: str = "", level: Level = "error"
    ) -> SourceProblem:
        """A mistake at the key, or at the nearest table around it."""
        table, *rest = key.split(".")
        entry = ".".join((table, *rest[:1]))
        file = self.files.get(entry, self.files.get(table, "-"))
        place = key
        while place and place not in self.lines:
            place = parent(place)
        return SourceProblem(file, key, message, suggestion, self.lines.get(place), level)


def _read(folder: Path) -> tuple[dict[str, Any], _Written]:
    """All tables together, and where each of them was written."""
    content: dict[str, Any] = {}
    written = _Written()
    problems: list[ConfigProblem] = []
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        problems.append(ConfigProblem(folder.name, "-", "holds no map"))
    for path in paths:
        text = ""
        try:
            text = path.read_text(encoding="utf-8")
            tables = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            line = line_of_fault(exc, text) if isinstance(exc, tomllib.TOMLDecodeError) else None
            problems.append(ConfigProblem(path.name, "-", f"is not TOML: {exc}", line=line))
            continue
        lines = lines_of(text)
        for name, table in tables.items():
            written.files.setdefault(name, path.name)
            if not isinstance(table, dict):
                wrong = ConfigProblem(path.name, name, "is no table", line=lines.get(name))
                problems.append(wrong)
                continue
            into = content.setdefault(name, {})
            for key, value in table.items():
                where = f"{name}.{key}"
                if key in into:
                    told = f"is also in {written.files[where]}"
                    problems.append(ConfigProblem(path.name, where, told, line=lines.get(where)))
                into[key] = value
                written.files[where] = path.name
        written.lines.update((key, line) for key, line in lines.items() if key not in written.lines)
    if problems:
        raise ConfigError(problems)
    return content, written


def _storeys(source: _Source) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Every key that names storeys."""
    for table in ("doors", "amenities", "fixtures", "corridors", "zones", "machines", "docks"):
        for key, entry in getattr(source, table).items():
            yield f"{table}.{key}.level", (entry.level,)
    for key, room in source.rooms.items():
        yield f"rooms.{key}.levels", (*room.levels, *room.doors)
    for key, link in source.links.items():
        yield f"links.{key}", (link.start[0], link.end[0])


class _Compiler:
    """One map from one source. `problems` are key, message, suggestion; `origin` is id → key."""

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.problems: list[tuple[str, str, str]] = []
        self.origin: dict[str, str] = {}
        self._features: list[model.AnyFeature] = []
        self._stands: list[tuple[str, int, Metres]] = []
        """Key, storey and point of every place that is joined to the corridors."""

    def check_names(self) -> None:
        """Every name that one table uses stands in another."""
        source = self.source
        for key, storeys in _storeys(source):
            for storey in storeys:
                self._known(key, storey, source.levels)
        for key, row in source.rows.items():
            self._known(f"rows.{key}.zone", row.zone, source.zones)
        for key, desk in source.desks.items():
            self._known(f"desks.{key}.department", desk.department, source.departments)
        for device in source.machines:
            self._known(f"machines.{device}", _kind_of(device), source.machine_kinds)
        self._check_windows()
        self._check_ports()

    def _check_windows(self) -> None:
        source = self.source
        taken: dict[tuple[str, int], int] = {}
        for number, window in source.windows.items():
            self._known(f"windows.{number}.row", window.row, source.rows)
            self._known(f"windows.{number}.desk", window.desk, source.desks)
            other = taken.setdefault((window.row, window.slot), number)
            if other != number:
                told = f"{window.row} {window.slot} is window {other}'s"
                self.problems.append((f"windows.{number}.slot", told, ""))
        desks = {window.desk for window in source.windows.values()}
        served = {desk.department for key, desk in source.desks.items() if key in desks}
        for department in source.departments.keys() - served:
            self.problems.append((f"departments.{department}", "has no window", ""))

    def _check_ports(self) -> None:
        source, known = self.source, sorted(known_ports())
        for kind, described in source.machine_kinds.items():
            for port in described.peripherals:
                self._known(f"machine_kinds.{kind}.peripherals", port, known)
        for device, machine in source.machines.items():
            for port in machine.peripherals or ():
                self._known(f"machines.{device}.peripherals", port, known)

    def compile(self) -> HallMap:
        """The map; places that no corridor reaches are in `problems`."""
        source = self.source
        self._shell()
        self._rooms()
        self._counters()
        self._machines()
        hall = HallMap(frame=source.frame, features=tuple(self._features))
        self._ways(hall)
        return HallMap(frame=source.frame, features=tuple(self._features))

    def _known(self, key: str, word: str | int, known: Iterable[str | int]) -> None:
        words = [str(each) for each in known]
        if str(word) not in words:
            self.problems.append((key, f"unknown {word!r}", hint(str(word), words)))

    # ── Shapes ────────────────────────────────────────────────────────────────────────────────

    def _shell(self) -> None:
        source = self.source
        venue = source.venue
        centre = self._point(middle(venue.house))
        self._add(
            "venue",
            model.Venue(
                id="venue",
                geometry=self._polygon(venue.outline),
                properties=model.VenueProperties(
                    name=venue.name, display_point=centre, sample=venue.sample
                ),
            ),
            model.Building(
                id="house",
                properties=model.BuildingProperties(name=venue.name, display_point=centre),
            ),
            model.Footprint(
                id="footprint",
                geometry=self._polygon(venue.house),
                properties=model.FootprintProperties(building_ids=("house",)),
            ),
        )
        for storey, level in source.levels.items():
            self._add(
                f"levels.{storey}",
                model.Level(
                    id=_level(storey),
                    geometry=self._polygon(level.outline),
                    properties=model.LevelProperties(
                        ordinal=level.ordinal,
                        name=level.name,
                        short_name=level.short,
                        building_ids=("house",),
                        display_point=centre,
                    ),
                ),
            )
        for key, door in source.doors.items():
            at = middle(door.line)
            self._add(
                f"doors.{key}",
                model.Opening(
                    id=key,
                    geometry=self._line(door.line),
                    properties=model.OpeningProperties(
                        category=door.category,
                        accessibility=_wheelchair(door.wheelchair),
                        door=model.Door(
                            type="sliding" if door.automatic else "swinging",
                            automatic=door.automatic,
                        ),
                        name=door.name,
                        level_id=_level(door.level),
                        faces_deg=_HEADINGS[door.faces],
                        node_id=self._stand(f"doors.{key}", door.level, at),
                        display_point=self._point(at),
                    ),
                ),
            )

    def _rooms(self) -> None:
        for key, room in self.source.rooms.items():
            for storey in room.levels:
                several = len(room.levels) > 1
                self._room(key, f"{key}-{storey}" if several else key, room, storey)
        for key, amenity in self.source.amenities.items():
            self._amenity(
                f"amenities.{key}",
                key,
                category=amenity.category,
                storey=amenity.level,
                at=amenity.at,
                name=amenity.name,
                wheelchair=amenity.wheelchair,
            )
        for key, fixture in self.source.fixtures.items():
            self._add(
                f"fixtures.{key}",
                model.Fixture(
                    id=f"fixture-{key}",
                    geometry=self._polygon(_corners(fixture.box)),
                    properties=model.FixtureProperties(
                        category=fixture.category,
                        name=fixture.name,
                        level_id=_level(fixture.level),
                        display_point=self._point(middle(_corners(fixture.box))),
                    ),
                ),
            )

    def _room(self, key: str, feature_id: str, room: _Room, storey: Storey) -> None:
        self._add(
            f"rooms.{key}",
            model.Unit(
                id=f"unit-{feature_id}",
                geometry=self._polygon(_corners(room.box)),
                properties=model.UnitProperties(
                    category=room.category,
                    restriction="employeesonly" if room.staff else None,
                    accessibility=_wheelchair(room.wheelchair),
                    name=room.name,
                    level_id=_level(storey),
                    display_point=self._point(middle(_corners(room.box))),
                ),
            ),
        )
        door = room.doors.get(storey, room.door)
        if door is None:
            return
        if room.name is None:
            self.problems.append((f"rooms.{key}.name", "a room to go to has a name", ""))
            return
        known = get_args(model.AmenityCategory)
        self._amenity(
            f"rooms.{key}",
            feature_id,
            category=cast(model.AmenityCategory, room.category)
            if room.category in known
            else "service",
            storey=storey,
            at=door,
            name=room.name,
            unit=f"unit-{feature_id}",
            wheelchair=room.wheelchair,
        )

    def _amenity(
        self,
        key: str,
        feature_id: str,
        *,
        category: model.AmenityCategory,
        storey: Storey,
        at: Metres,
        name: Labels,
        wheelchair: bool,
        unit: str = "",
    ) -> None:
        self._add(
            key,
            model.Amenity(
                id=feature_id,
                geometry=self._point(at),
                properties=model.AmenityProperties(
                    category=category,
                    accessibility=_wheelchair(wheelchair),
                    name=name,
                    unit_ids=(unit,) if unit else (),
                    level_id=_level(storey),
                    node_id=self._stand(key, storey, at),
                ),
            ),
        )

    def _counters(self) -> None:
        source = self.source
        for key, zone in source.zones.items():
            self._add(
                f"zones.{key}",
                model.Zone(
                    id=_zone(key),
                    geometry=self._polygon(_corners(zone.box)),
                    properties=model.ZoneProperties(
                        name=zone.name,
                        label=zone.label,
                        level_id=_level(zone.level),
                        display_point=self._point(middle(_corners(zone.box))),
                    ),
                ),
            )
        stands: dict[str, list[tuple[Storey, Metres]]] = {key: [] for key in source.departments}
        for number, window in sorted(source.windows.items()):
            desk, row = source.desks[window.desk], source.rows[window.row]
            storey = source.zones[row.zone].level
            facing = _HEADINGS[row.faces]
            left = ahead(row.start, facing - 90, (window.slot - 1) * row.pitch_m)
            right = ahead(left, facing - 90, row.pitch_m)
            ring = (
                left,
                right,
                ahead(right, facing, -row.depth_m),
                ahead(left, facing, -row.depth_m),
            )
            stand = ahead(middle((left, right)), facing, STAND_M)
            stands[desk.department].append((storey, stand))
            self._add(
                f"windows.{number}",
                model.Window(
                    id=f"window-{number}",
                    geometry=self._polygon(ring),
                    properties=model.WindowProperties(
                        number=number,
                        kind=desk.kind,
                        business=desk.business,
                        department_id=_department(desk.department),
                        services=desk.services,
                        zone_id=_zone(row.zone),
                        level_id=_level(storey),
                        faces_deg=facing,
                        node_id=self._stand(f"windows.{number}", storey, stand),
                        display_point=self._point(middle(ring)),
                    ),
                ),
            )
        for key, department in source.departments.items():
            if not stands[key]:
                continue
            storey, stand = stands[key][len(stands[key]) // 2]
            self._add(
                f"departments.{key}",
                model.Anchor(
                    id=f"at-{_department(key)}",
                    geometry=self._point(stand),
                    properties=model.AnchorProperties(
                        unit_id=None, level_id=_level(storey), node_id=_node(storey, stand)
                    ),
                ),
                model.Occupant(
                    id=_department(key),
                    properties=model.OccupantProperties(
                        name=department.name,
                        short_name=department.short,
                        anchor_id=f"at-{_department(key)}",
                    ),
                ),
            )

    def _machines(self) -> None:
        source = self.source
        for device, machine in source.machines.items():
            kind = _kind_of(device)
            described = source.machine_kinds[kind]
            number = int((re.findall(r"\d+", device) or ["0"])[-1])
            ring = _turned_box(machine.at, described.size, machine.faces)
            stand = ahead(machine.at, _HEADINGS[machine.faces], described.size[1] / 2)
            stand = ahead(stand, _HEADINGS[machine.faces], STAND_AT_MACHINE_M)
            self._add(
                f"machines.{device}",
                model.Machine(
                    id=device,
                    geometry=self._polygon(ring),
                    properties=model.MachineProperties(
                        device=device,
                        kind=kind,
                        name=Labels(
                            zh=described.name.zh.format(number=number),
                            en=described.name.en.format(number=number),
                        ),
                        peripherals=(
                            described.peripherals
                            if machine.peripherals is None
                            else machine.peripherals
                        ),
                        level_id=_level(machine.level),
                        faces_deg=_HEADINGS[machine.faces],
                        node_id=self._stand(f"machines.{device}", machine.level, stand),
                        display_point=self._point(machine.at),
                    ),
                ),
            )
        for device, dock in source.docks.items():
            stand = ahead(dock.at, _HEADINGS[dock.faces], dock.size[1] / 2 + STAND_AT_MACHINE_M)
            self._add(
                f"docks.{device}",
                model.Dock(
                    id=f"dock-{device}",
                    geometry=self._polygon(_turned_box(dock.at, dock.size, dock.faces)),
                    properties=model.DockProperties(
                        device=device,
                        name=dock.name,
                        level_id=_level(dock.level),
                        faces_deg=_HEADINGS[dock.faces],
                        node_id=self._stand(f"docks.{device}", dock.level, stand),
                        display_point=self._point(dock.at),
                    ),
                ),
            )

    # ── Ways ──────────────────────────────────────────────────────────────────────────────────

    def _ways(self, hall: HallMap) -> None:
        """Corridors cut where they meet and where places join them; nodes and edges from that."""
        source = self.source
        graph = _Graph(source)
        segments = [
            _Segment(f"corridors.{key}", corridor, start, end)
            for key, corridor in source.corridors.items()
            for start, end in pairwise(corridor.points)
        ]
        for one, other in combinations(segments, 2):
            if one.corridor.level == other.corridor.level:
                one.meet(other)
        joins = [*self._stands]
        for key, link in source.links.items():
            joins += [(f"links.{key}", end[0], (end[1], end[2])) for end in (link.start, link.end)]
        blocked = blocked_shapes(hall)
        for key, storey, stand in dict.fromkeys(joins):
            there = [segment for segment in segments if segment.corridor.level == storey]
            joint = _joint(stand, there, blocked.get(_level(storey), ()))
            if joint is None:
                told = "no corridor can be reached from here"
                self.problems.append((key, told, "lead a corridor past it"))
            else:
                segment, point = joint
                segment.cut_at(point)
                graph.join(key, storey, (stand, point))
        for segment in segments:
            for line in segment.pieces():
                graph.corridor(segment.key, segment.corridor, line)
        for key, link in source.links.items():
            graph.link(f"links.{key}", link)
        self.origin.update(graph.origin)
        self._features += [*graph.nodes(), *graph.edges()]

    def _stand(self, key: str, storey: Storey, point: Metres) -> str:
        self._stands.append((key, storey, point))
        return _node(storey, point)

    def _add(self, key: str, *features: model.AnyFeature) -> None:
        self._features += features
        for feature in features:
            self.origin.setdefault(feature.id, key)

    def _point(self, point: Metres) -> model.Point:
        return model.Point(coordinates=self.source.frame.from_local(point))

    def _line(self, points: Iterable[Metres]) -> model.Line:
        return model.Line(coordinates=tuple(map(self.source.frame.from_local, points)))

    def _polygon(self, ring: Sequence[Metres]) -> model.Polygon:
        """Counter-clockwise, whichever way it was written."""
        around = tuple(map(self.source.frame.from_local, ring))
        if sum(_cross(ring[0], a, b) for a, b in pairwise(ring)) < 0:
            around = around[::-1]
        return model.Polygon(coordinates=((*around, around[0]),))


class _Graph:
    """Nodes and edges, each once, in the order of their ids. `origin` is id → key."""

    def __init__(self, source: _Source) -> None:
        self.origin: dict[str, str] = {}
        self._source = source
        self._nodes: dict[str, tuple[int, Metres]] = {}
        self._edges: dict[frozenset[str], model.RouteEdge] = {}

    def join(self, key: str, storey: int, line: tuple[Metres, Metres]) -> None:
        """From where somebody stands at a place to the corridor."""
        a, b = self._node(key, storey, line[0]), self._node(key, storey, line[1])
        if a != b:
            width_m = JOIN_WIDTH_M
            self._add(key, line, from_id=a, to_id=b, kind="walk", width_m=width_m, one_way=False)

    def corridor(self, key: str, corridor: _Corridor, line: tuple[Metres, Metres]) -> None:
        self._add(
            key,
            line,
            from_id=self._node(key, corridor.level, line[0]),
            to_id=self._node(key, corridor.level, line[1]),
            kind=corridor.kind,
            width_m=corridor.width_m,
            one_way=corridor.one_way,
        )

    def link(self, key: str, link: _Link) -> None:
        start, end = link.start[1:], link.end[1:]
        self._add(
            key,
            (start, end),
            from_id=self._node(key, link.start[0], start),
            to_id=self._node(key, link.end[0], end),
            kind=link.kind,
            width_m=link.width_m,
            one_way=link.one_way,
            metres=link.metres,
            seconds=link.seconds,
        )

    def nodes(self) -> Iterator[model.RouteNode]:
        for node_id, (storey, point) in sorted(self._nodes.items()):
            yield model.RouteNode(
                id=node_id,
                geometry=model.Point(coordinates=self._source.frame.from_local(point)),
                properties=model.NodeProperties(level_id=_level(storey)),
            )

    def edges(self) -> list[model.RouteEdge]:
        return sorted(self._edges.values(), key=lambda edge: edge.id)

    def _node(self, key: str, storey: int, point: Metres) -> str:
        node_id = _node(storey, point)
        self._nodes.setdefault(node_id, (storey, point))
        self.origin.setdefault(node_id, key)
        return node_id

    def _add(
        self,
        key: str,
        line: tuple[Metres, Metres],
        *,
        from_id: str,
        to_id: str,
        kind: model.EdgeKind,
        width_m: float,
        one_way: bool,
        metres: float | None = None,
        seconds: float | None = None,
    ) -> None:
        pair = frozenset((from_id, to_id))
        if pair in self._edges:
            return
        if metres is None:
            metres = math.ceil(math.dist(*line) * 1000 - 1e-6) / 1000
        name = "-".join(node.removeprefix("node-") for node in (from_id, to_id))
        self._edges[pair] = model.RouteEdge(
            id=f"edge-{name}",
            geometry=model.Line(coordinates=tuple(map(self._source.frame.from_local, line))),
            properties=model.EdgeProperties(
                from_id=from_id,
                to_id=to_id,
                kind=kind,
                metres=metres,
                seconds=self._source.pace.seconds(kind, metres) if seconds is None else seconds,
                step_free=kind not in model.STEPPED,
                width_m=width_m,
                one_way=one_way,
            ),
        )
        self.origin[f"edge-{name}"] = key


class _Segment:
    """A straight piece of a corridor and the points at which it is cut."""

    def __init__(self, key: str, corridor: _Corridor, start: Metres, end: Metres) -> None:
        self.key, self.corridor = key, corridor
        self.start, self.end = start, end
        self._cuts = {start, end}

    def meet(self, other: _Segment) -> None:
        point = crossing(self.start, self.end, other.start, other.end)
        if point is not None:
            self.cut_at(point)
            other.cut_at(point)
            return
        for one, two in ((self, other), (other, self)):
            for end in (two.start, two.end):
                if distance_to(end, one.start, one.end) < TOUCH_M:
                    one.cut_at(end)

    def cut_at(self, point: Metres) -> None:
        self._cuts.add(point)

    def pieces(self) -> Iterator[tuple[Metres, Metres]]:
        ordered = sorted(self._cuts, key=lambda point: math.dist(self.start, point))
        yield from pairwise(ordered)


def _joint(
    stand: Metres, segments: Sequence[_Segment], blocked: Iterable[Shape]
) -> tuple[_Segment, Metres] | None:
    """The nearest point of a corridor to which nothing stands in the way."""
    nearest = [nearest_on(stand, segment.start, segment.end) for segment in segments]
    for number in sorted(range(len(segments)), key=lambda each: math.dist(stand, nearest[each])):
        way = Shape.of("", (stand, nearest[number]))
        if math.dist(*way.ring) > JOIN_M:
            return None
        if not any(way.overlaps(shape) for shape in blocked):
            return segments[number], nearest[number]
    return None


def _corners(box: Box) -> tuple[Metres, ...]:
    x, y, width, depth = box
    right, back = round(x + width, 3), round(y + depth, 3)
    return ((x, y), (right, y), (right, back), (x, back))


def _turned_box(at: Metres, size: tuple[float, float], faces: Side) -> tuple[Metres, ...]:
    width, depth = size if faces in ("north", "south") else size[::-1]
    return _corners((round(at[0] - width / 2, 3), round(at[1] - depth / 2, 3), width, depth))


def _cross(a: Metres, b: Metres, c: Metres) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])


def _kind_of(device: str) -> Any:
    return device.rsplit("-", 1)[0]


def _wheelchair(wheelchair: bool) -> tuple[Literal["wheelchair"], ...] | None:
    return ("wheelchair",) if wheelchair else None


def _level(storey: int) -> str:
    return f"level-{storey}"


def _zone(key: str) -> str:
    return f"zone-{key.lower()}"


def _department(key: str) -> str:
    return f"department-{key.replace('_', '-').lower()}"


def _node(storey: int, point: Metres) -> str:
    """Its place in centimetres, so that a node keeps its id while others come and go."""
    x, y = (f"{'m' if metres < 0 else ''}{abs(round(metres * 100))}" for metres in point)
    return f"node-{storey}-{x}-{y}"
