"""The hall map: check it, draw it, write it as GeoJSON, or find a way through it.

./hall map                                     what is on it, or every mistake in its source
./hall map hall.png                            a picture of every storey
./hall map --geojson hall.geojson
./hall map --route terminal-01 12 --step-free  and with a PNG, drawn into the picture
./hall map --route terminal-01 restroom        to the nearest one
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from dataclasses import asdict
from pathlib import Path

from affairs.hall_content import MAP_FOLDER, has_map
from affairs.hall_map import MAP, load_hall_map
from hallkit.errors import ConfigError
from hallkit.guide.routes import Route, Routes, amenities_of, directions, machines_with, name_of
from hallkit.lexicon.words import Language, words
from hallkit.model.hall_map import HallMap, Place
from launcher.floor_plan import save

HELP = "the hall map: verify, draw, GeoJSON, ways"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("png", nargs="?", type=Path, metavar="PNG", help="draw all storeys")
    parser.add_argument("--geojson", type=Path, metavar="OUT", help="write the map as GeoJSON")
    parser.add_argument("--schema", type=Path, metavar="OUT", help="write its JSON Schema")
    parser.add_argument(
        "--route",
        nargs=2,
        metavar=("FROM", "TO"),
        help="ids, window numbers or names; TO may be a kind: restroom, elevator, ticket_printer",
    )
    parser.add_argument("--step-free", action="store_true", help="no stairs, no escalator")
    parser.add_argument(
        "--content", type=Path, default=MAP, help="the map's folder, or that of its catalogue"
    )
    parser.add_argument("--language", choices=("zh_CN", "en"), default="zh_CN")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """0 done, 1 mistakes in the source or no way, 2 wrong use."""
    folder: Path = args.content / MAP_FOLDER if has_map(args.content) else args.content
    try:
        hall = load_hall_map(folder)
    except ConfigError as exc:
        for problem in exc.problems:
            line = json.dumps(asdict(problem), ensure_ascii=False) if args.json else str(problem)
            print(line)
        return 1
    route: Route | None = None
    try:
        if args.route:
            route = _route(hall, *args.route, step_free=args.step_free)
            if route is None:
                print(f"no way from {args.route[0]} to {args.route[1]}", file=sys.stderr)
                return 1
        if args.geojson:
            args.geojson.write_text(hall.model_dump_json() + "\n", encoding="utf-8")
        if args.schema:
            schema = HallMap.model_json_schema(mode="serialization")
            text = json.dumps(schema, ensure_ascii=False, indent=1)
            args.schema.write_text(text + "\n", encoding="utf-8")
        if args.png:
            save(hall, args.png, route)
    except (ValueError, OSError) as exc:
        print(exc, file=sys.stderr)
        return 2
    if route is not None:
        _tell(hall, route, args.language, as_json=args.json)
    else:
        _count(hall, as_json=args.json)
    return 0


def _route(hall: HallMap, start: str, goal: str, *, step_free: bool) -> Route | None:
    """`ValueError` names a place that the map lacks."""
    ways = Routes(hall)
    begin = _find(hall, start)
    several: list[Place] = [*amenities_of(hall, goal), *machines_with(hall, goal)]
    if several:
        return ways.nearest(begin, several, step_free=step_free)
    return ways.route(begin, _find(hall, goal), step_free=step_free)


def _find(hall: HallMap, wanted: str) -> str:
    """The id of a place by its id, window number or name."""
    say = words("zh_CN")
    names = {place: place for place in hall.places}
    names |= {department.id: department.id for department in hall.departments}
    for place in hall.places:
        names.setdefault(name_of(hall, place, say), place)
    for department in hall.departments:
        names.setdefault(department.properties.name.zh, department.id)
        names.setdefault(department.properties.short_name.zh, department.id)
    names |= {str(window.properties.number): window.id for window in hall.windows}
    if wanted in names:
        return names[wanted]
    close = difflib.get_close_matches(wanted, names, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    raise ValueError(f"no place {wanted!r} on the map{hint}")


def _tell(hall: HallMap, route: Route, language: Language, *, as_json: bool) -> None:
    lines = directions(hall, route, words(language))
    if as_json:
        told = {
            "from": route.from_id,
            "to": route.to_id,
            "step_free": route.step_free,
            "metres": route.metres,
            "seconds": route.seconds,
            "directions": lines,
            "legs": [leg.model_dump(mode="json") for leg in route.legs],
        }
        print(json.dumps(told, ensure_ascii=False))
        return
    for number, line in enumerate(lines, start=1):
        print(f"{number:2} {line}")
    print(f"{route.metres:.0f} m, {route.seconds:.0f} s")


def _count(hall: HallMap, *, as_json: bool) -> None:
    told = {
        "levels": len(hall.levels),
        "departments": len(hall.departments),
        "windows": len(hall.windows),
        "machines": len(hall.machines),
        "docks": len(hall.docks),
        "nodes": len(hall.nodes),
        "edges": len(hall.edges),
    }
    counts = ", ".join(f"{number} {what}" for what, number in told.items())
    print(json.dumps(told) if as_json else f"{counts}: sound")
