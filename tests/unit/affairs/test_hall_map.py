"""The demo hall as authored: complete, sound, GeoJSON; and what an author's edit does to it."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import affairs
from affairs.hall_map import MAP, check_hall_map, check_queues, known_ports, load_hall_map
from affairs.queue.services import load_services
from drivers.registry import PORT_FOLDERS
from hallkit.errors import ConfigError
from hallkit.guide.map_check import verify
from hallkit.guide.routes import Routes
from hallkit.lexicon.words import words
from hallkit.model.hall_map import HallMap, Window
from hallkit.model.plane import area

SAY = words("zh_CN")
HALL = load_hall_map()

_POSITION = {
    "type": "array",
    "prefixItems": [
        {"type": "number", "minimum": -180, "maximum": 180},
        {"type": "number", "minimum": -90, "maximum": 90},
    ],
    "minItems": 2,
    "maxItems": 3,
    "items": {"type": "number"},
}
_GEOMETRIES = [
    {
        "type": "object",
        "required": ["type", "coordinates"],
        "properties": {"type": {"const": kind}, "coordinates": coordinates},
        "not": {"anyOf": [{"required": ["geometry"]}, {"required": ["features"]}]},
    }
    for kind, coordinates in (
        ("Point", _POSITION),
        ("LineString", {"type": "array", "minItems": 2, "items": _POSITION}),
        (
            "Polygon",
            {"type": "array", "items": {"type": "array", "minItems": 4, "items": _POSITION}},
        ),
    )
]
RFC_7946 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "id": {"type": ["string", "number"]},
                    "geometry": {"oneOf": [{"type": "null"}, *_GEOMETRIES]},
                    "properties": {"type": ["object", "null"]},
                },
                # A Feature is no collection and no geometry (section 7.1).
                "not": {"anyOf": [{"required": ["coordinates"]}, {"required": ["features"]}]},
            },
        },
    },
    "not": {
        "anyOf": [{"required": [word]} for word in ("coordinates", "geometry", "properties", "crs")]
    },
}
"""What RFC 7946 says of the geometries that the map has."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MAP, tmp_path / "hall"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_hall_map(folder)
    for problem in caught.value.problems:
        assert (problem.line is None) == (problem.file == folder.name), "an author wants the line"
    return [str(replace(problem, line=None)) for problem in caught.value.problems]


# ── What it holds ─────────────────────────────────────────────────────────────────────────────


def test_it_has_two_storeys_156_windows_28_departments_45_machines_and_a_dock() -> None:
    assert [level.properties.name.zh for level in HALL.levels] == ["一楼", "二楼"]
    assert [level.properties.ordinal for level in HALL.levels] == [0, 1]
    assert [window.properties.number for window in HALL.windows] == list(range(1, 157))
    assert len({one.properties.name.zh for one in HALL.departments}) == 28
    kinds = Counter(machine.properties.kind for machine in HALL.machines)
    assert kinds == {"terminal": 18, "form": 27}
    devices = {machine.properties.device for machine in HALL.machines}
    assert devices == {f"terminal-{n:02}" for n in range(1, 19)} | {
        f"form-{n:02}" for n in range(1, 28)
    }
    assert [dock.properties.device for dock in HALL.docks] == ["robot-01"]


def test_every_department_has_a_window_and_every_kind_of_window_is_there() -> None:
    served = {window.properties.department_id for window in HALL.windows}
    assert served == {department.id for department in HALL.departments}
    kinds = {window.properties.kind for window in HALL.windows}
    assert kinds == {"general", "sorted", "department"}
    assert {HALL.window(number).properties.kind for number in range(1, 5)} == {"general"}


@pytest.mark.parametrize(
    "category", ["restroom.male", "restroom.female", "restroom.wheelchair", "elevator", "stairs"]
)
def test_both_storeys_have_what_people_need(category: str) -> None:
    levels = {
        one.properties.level_id for one in HALL.amenities if one.properties.category == category
    }
    assert levels == {level.id for level in HALL.levels}


def test_it_says_that_it_is_a_sample() -> None:
    assert HALL.venue.properties.sample
    assert "示例数据" in HALL.venue.properties.name.zh


def test_items_and_queues_send_people_where_the_windows_are() -> None:
    services = load_services()
    told = check_queues(HALL, services.values(), SAY)
    assert [str(one) for one in told] == []


def test_a_queue_that_is_elsewhere_is_told() -> None:
    services = load_services()
    moved = [
        services["market"].model_copy(update={"windows": "2楼A区 12-16号窗口"}),
        services["social"].model_copy(update={"key": "pets"}),
    ]
    assert [one.key for one in check_queues(HALL, moved, SAY)] == ["market.windows", "pets.key"]


# ── GeoJSON ───────────────────────────────────────────────────────────────────────────────────


def test_its_json_is_geojson_and_comes_back_the_same() -> None:
    text = HALL.model_dump_json()
    jsonschema.Draft202012Validator(RFC_7946).validate(json.loads(text))
    again = HallMap.model_validate_json(text)
    assert again == HALL
    assert again.model_dump_json() == text


def test_rings_are_closed_and_run_counter_clockwise() -> None:
    for feature in HALL.features:
        if feature.geometry is not None and feature.geometry.type == "Polygon":
            assert area(HALL.metres(feature.geometry)) > 0
    broken = json.loads(HALL.model_dump_json())
    ring = next(one for one in broken["features"] if one["id"] == "window-1")["geometry"]
    ring["coordinates"][0].reverse()
    with pytest.raises(ValueError, match="counter-clockwise"):
        HallMap.model_validate(broken)
    ring["coordinates"][0].reverse()
    ring["coordinates"][0].pop()
    with pytest.raises(ValueError, match="ends where it begins"):
        HallMap.model_validate(broken)


def test_the_metres_of_the_source_are_those_of_the_map() -> None:
    assert HALL.metres(HALL.machine("terminal-01").properties.display_point) == ((24.0, 1.6),)
    assert set(HALL.metres(HALL.window(1).geometry)) == {
        (46.0, 16.0), (48.0, 16.0), (48.0, 17.2), (46.0, 17.2),
    }  # fmt: skip


def test_the_same_source_gives_the_same_bytes() -> None:
    assert load_hall_map().model_dump_json() == HALL.model_dump_json()


def test_the_published_schema_is_that_of_the_model() -> None:
    path = Path(affairs.__file__).parents[1] / "docs" / "hall-map.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema == HallMap.model_json_schema(mode="serialization"), "hall map --schema writes it"
    some = json.loads(HALL.model_dump_json())
    some["features"] = some["features"][::20]  # the validator takes seconds for all of them
    assert {"window", "route_node", "unit"} <= {one["feature_type"] for one in some["features"]}
    jsonschema.Draft202012Validator(schema).validate(some)


# ── What an edit does ─────────────────────────────────────────────────────────────────────────


def test_moving_a_window_is_editing_its_line(source: Path) -> None:
    """Window 20 swaps floors; its place, its zone and the way to it follow, nothing else moves."""
    edit(source, "windows.toml", '20 = { row = "A1", slot = 9', '20 = { row = "Z1", slot = 5')
    edit(source, "windows.toml", "box = [44, 12.8, 12, 6.4]", "box = [44, 12.8, 14, 6.4]")
    moved = load_hall_map(source)
    assert moved.window(20).properties.level_id == "level-1"
    assert moved.window(20).properties.zone_id == "zone-z"
    for window in HALL.windows:
        if window.properties.number != 20:
            assert moved.window(window.properties.number) == window
    before = Routes(HALL).route("south-door", "window-20", step_free=True)
    after = Routes(moved).route("south-door", "window-20", step_free=True)
    assert before is not None
    assert after is not None
    assert before.changes_level
    assert not after.changes_level
    assert after.metres < before.metres / 2


def test_handing_a_window_over_is_editing_its_line(source: Path) -> None:
    edit(source, "windows.toml", '16 = { row = "A1", slot = 5, desk = "food" }',
         '16 = { row = "A1", slot = 5, desk = "company" }')  # fmt: skip
    told = check_queues(
        load_hall_map(source),
        [load_services()["market"]],
        SAY,
    )
    assert "2楼A区 12-16号窗口" in told[0].message


@settings(max_examples=8, deadline=None)
@given(
    st.integers(1, 156),
    st.sampled_from(["A1", "C1", "E1", "F2", "K2", "Z1", "G1"]),
    st.integers(1, 24),
)
def test_a_window_moved_anywhere_is_well_or_told(
    tmp_path_factory: pytest.TempPathFactory, number: int, row: str, slot: int
) -> None:
    folder = Path(shutil.copytree(MAP, tmp_path_factory.mktemp("moved") / "hall"))
    path = folder / "windows.toml"
    text = path.read_text(encoding="utf-8")
    line = re.compile(rf'^{number} = {{ row = "\w+", slot = \d+,', re.MULTILINE)
    fresh = f'{number} = {{ row = "{row}", slot = {slot},'
    path.write_text(line.sub(fresh, text, count=1), encoding="utf-8")
    taken = {(one.group(2), int(one.group(3))): int(one.group(1)) for one in _LINES.finditer(text)}
    other = taken.get((row, slot))
    try:
        hall = load_hall_map(folder)
    except ConfigError as fault:
        told = [str(problem) for problem in fault.problems]
        about = (f"windows.{number}:", f"windows.{number}.slot", f"is window {number}'s")
        assert any(word in line for line in told for word in about)
        assert other != number
    else:
        assert other in (None, number)
        assert verify(hall) == []
        found = Routes(hall).route("west-door", f"window-{number}", step_free=True)
        assert found is not None


_LINES = re.compile(r'^(\d+) = { row = "(\w+)", slot = (\d+),', re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            "windows.toml",
            '13 = { row = "A1", slot = 2',
            '13 = { row = "A1", slot = 1',
            "windows.toml: windows.13.slot: A1 1 is window 12's",
        ),
        (
            "windows.toml",
            '13 = { row = "A1"',
            '13 = { row = "A2"',
            "windows.toml: windows.13.row: unknown 'A2'",
        ),
        (
            "windows.toml",
            'slot = 2, desk = "company"',
            'slot = 2, desk = "compny"',
            "windows.toml: windows.13.desk: unknown 'compny' (did you mean 'company'?)",
        ),
        (
            "windows.toml",
            '156 = { row = "L2"',
            '157 = { row = "L2"',
            "windows: no window has the number 156",
        ),
        (
            "windows.toml",
            'slot = 9, desk = "seal"',
            'slot = 20, desk = "seal"',
            "windows.toml: windows.20: stands outside its zone zone-a",
        ),
        (
            "windows.toml",
            'C1 = { zone = "C", start = [14, 51]',
            'C1 = { zone = "C", start = [14, 53]',
            "windows.toml: windows.21: overlaps unit-office-north-west",
        ),
        (
            "windows.toml",
            "tobacco = { name",
            "tabacco = { name",
            "windows.toml: desks.tobacco.department: unknown 'tobacco'",
        ),
        (
            "machines.toml",
            "terminal-03 = { level = 1, at = [28, 1.6]",
            "terminal-03 = { level = 1, at = [26.4, 1.6]",
            "machines.toml: machines.terminal-02: overlaps terminal-03",
        ),
        (
            "machines.toml",
            "terminal-03 = {",
            "kiosk-03 = {",
            "machines.toml: machines.kiosk-03: unknown 'kiosk'",
        ),
        (
            "machines.toml",
            "form-27 = { level = 2, at = [75.4, 24.8]",
            "form-27 = { level = 3, at = [75.4, 24.8]",
            "machines.toml: machines.form-27.level: unknown 3",
        ),
        (
            "building.toml",
            "self-service-west-1 = { level = 1, width_m = 2.4, points = [[29, 12], [29, 4]] }",
            "",
            "machines.toml: machines.terminal-01: no way leads here from south-door",
        ),
        (
            "building.toml",
            "north-2 = { level = 2, width_m = 3, points = [[11.5, 48.8], [88.5, 48.8]] }",
            "",
            "windows.toml: windows.104: no corridor can be reached from here",
        ),
        (
            "building.toml",
            'points = [[60.5, -6], [60.5, -2]], kind = "ramp"',
            'points = [[60.5, -6], [60.5, -2]], kind = "stairs"',
            "building.toml: amenities.forecourt: no step-free way leads here from south-door",
        ),
        (
            "building.toml",
            "middle-1 = { level = 1, width_m = 3, points = [[11.5, 39], [88.5, 39]] }",
            "middle-1 = { level = 1, width_m = 3, points = [[11.5, 34], [88.5, 34]] }",
            "building.toml: corridors.middle-1: leads through unit-staff-f",
        ),
        (
            "building.toml",
            'name = { zh = "咨询台", en = "Information desk" }',
            'name = { zh = "", en = "Information desk" }',
            "building.toml: amenities.information-desk: name is empty",
        ),
        (
            "building.toml",
            'kind = "lift", from = [1, 80, 9], to = [2, 80, 9], metres = 4.5',
            'kind = "stairs", from = [1, 80, 9], to = [2, 88, 9], metres = 4.5',
            "building.toml: links.lift-east: 4.5 m is shorter than straight on, 8.00 m",
        ),
        (
            "building.toml",
            "bearing_deg = 12.0",
            "bearing = 12.0",
            "building.toml: frame.bearing: unknown key",
        ),
        ("building.toml", "[venue]", "[venue", "building.toml: -: is not TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_file_and_key(
    source: Path, file: str, old: str, new: str, told: str
) -> None:
    edit(source, file, old, new)
    assert any(told in line for line in problems(source))


def test_a_number_that_stands_twice_is_told(source: Path) -> None:
    path = source / "more.toml"
    path.write_text('[windows]\n12 = { row = "Z1", slot = 6, desk = "general" }\n')
    assert problems(source) == ["windows.toml: windows.12: is also in more.toml"]


def test_an_empty_folder_holds_no_map(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"^{tmp_path.name}: -: holds no map$"):
        load_hall_map(tmp_path)


def test_machines_are_compared_with_the_configuration() -> None:
    devices = [one.properties.device for one in (*HALL.machines, *HALL.docks)]
    assert check_hall_map(devices=devices) == (HALL, [])
    hall, found = check_hall_map(devices=[*devices[1:], "terminal-99"])
    assert hall == HALL, "the hall goes on"
    assert [(problem.level, problem.key) for problem in found] == [
        ("warning", "terminal-99"),
        ("warning", "machines"),
    ]
    assert devices[0] in found[1].message
    assert found[1].file == "machines.toml"


def test_a_peripheral_that_no_driver_serves_is_told(source: Path) -> None:
    edit(source, "machines.toml", '["id_card_reader", "ticket_printer"]', '["ticket_prnter"]')
    assert problems(source) == [
        "machines.toml: machine_kinds.terminal.peripherals: unknown 'ticket_prnter' "
        "(did you mean 'ticket_printer'?)"
    ]


def test_the_ports_are_those_of_the_registry_of_drivers() -> None:
    assert known_ports() == set(PORT_FOLDERS)


def test_windows_of_a_row_stand_from_left_to_right_as_the_citizen_sees_them() -> None:
    """Facing the counter, the next number is a step to the right, whichever way the row faces."""

    def step(one: Window, two: Window) -> tuple[float, float]:
        (x1, y1), (x2, y2) = (HALL.metres(each.properties.display_point)[0] for each in (one, two))
        return round(x2 - x1, 3), round(y2 - y1, 3)

    to_the_right: dict[float, tuple[float, float]] = {
        180: (2, 0), 90: (0, 2), 270: (0, -2), 0: (-2, 0),
    }  # fmt: skip
    for number in (97, 12, 85, 153):
        one, two = HALL.window(number), HALL.window(number + 1)
        assert step(one, two) == to_the_right[one.properties.faces_deg]
