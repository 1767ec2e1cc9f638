"""`hall map`: counts, mistakes, a picture, GeoJSON, ways; exit codes say how it went."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from affairs.hall_map import MAP, load_hall_map
from hallkit.model.hall_map import HallMap
from launcher.cli import main


def test_it_tells_what_is_on_the_map(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["levels"], told["windows"], told["departments"]) == (2, 156, 28)
    assert (told["machines"], told["docks"]) == (45, 1)


def test_every_mistake_is_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path(shutil.copytree(MAP, tmp_path / "hall"))
    path = folder / "windows.toml"
    text = path.read_text(encoding="utf-8")
    wrong = text.replace('1 = { row = "Z1", slot = 1', '1 = { row = "Z9", slot = 1')
    path.write_text(wrong, encoding="utf-8")
    assert main(["map", "--content", str(folder), "--json"]) == 1
    (told,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (told["file"], told["key"]) == ("windows.toml", "windows.1.row")
    assert wrong.splitlines()[told["line"] - 1].startswith('1 = { row = "Z9"')
    assert main(["map", "--content", str(tmp_path), "--json"]) == 1, "its catalogue's folder"
    assert json.loads(capsys.readouterr().out) == told


def test_the_map_is_written_as_geojson(tmp_path: Path) -> None:
    out = tmp_path / "hall.geojson"
    assert main(["map", "--geojson", str(out)]) == 0
    assert HallMap.model_validate_json(out.read_bytes()) == load_hall_map()


def test_both_storeys_are_drawn_and_the_way_with_them(tmp_path: Path) -> None:
    plain, way = tmp_path / "plain.png", tmp_path / "way.png"
    assert main(["map", str(plain)]) == 0
    assert main(["map", str(way), "--route", "terminal-01", "12", "--step-free"]) == 0
    with Image.open(plain) as one, Image.open(way) as other:
        assert one.size == other.size
        assert one.height > one.width > 1000
        assert one.convert("RGB").tobytes() != other.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("start", "goal", "end"),
    [
        ("terminal-01", "12", "window-12"),
        ("西门", "什邡市税务局", None),
        ("西门", "税务", "department-tax"),
        ("30号窗口", "restroom.female", "toilet-women-west-1"),
        ("form-20", "ticket_printer", "terminal-18"),
        ("robot", "12", None),
    ],
)
def test_a_way_is_found_between_ids_numbers_names_and_kinds(
    start: str, goal: str, end: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["map", "--route", start, goal, "--step-free", "--json"])
    told = capsys.readouterr()
    assert code == (0 if end else 2)
    if end is None:
        assert "no place" in told.err
        return
    way = json.loads(told.out)
    assert (way["to"], way["step_free"]) == (end, True)
    assert way["metres"] > 0
    assert way["directions"][-1].startswith("到了")


def test_a_way_is_told_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "--route", "terminal-01", "window-12", "--language", "en"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == " 1 With your back to Terminal 1, go right about 6 m"
    assert lines[-1].endswith(" s")
