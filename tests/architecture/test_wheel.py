"""The wheel holds our rooms, whole, and nothing else; each role runs from its lock alone."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.architecture.test_names import ROOMS

DATA_SUFFIXES = {".qml", ".toml", ".html", ".css", ".js", ".svg", ".json", ".py", ".typ", ""}
SHARED = ("systemd", "config", "locks")
"""Folders that land in <venv>/share/hall."""

ROLES = {
    "terminal": ("kiosk", "hallkit.screens"),
    "agent": ("edge_agent", "drivers"),
    "central": ("affairs", "ops", "hallkit.store", "hallkit.web"),
}
"""Rooms of each role of a machine."""

IMPORT_ALL = """
import importlib, pkgutil, sys
count = 0
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for info in pkgutil.walk_packages(package.__path__, name + "."):
        if not info.name.endswith(".migrations.env"):
            importlib.import_module(info.name)
            count += 1
roles = {"hallkit", *(name.split(".")[0] for name in sys.argv[1:])}
others = {"kiosk", "edge_agent", "drivers", "affairs", "ops", "launcher"} - roles
print(count, *(sorted(others & sys.modules.keys())))
"""


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_its_top_levels_are_ours(contents: set[str]) -> None:
    assert {name.split("/")[0] for name in contents if ".dist-info/" not in name} == {
        *ROOMS,
        "hallkit-0.1.0.data",
    }


def test_it_holds_every_file_of_our_rooms(
    contents: set[str], tracked: list[Path], checkout: Path
) -> None:
    names = {path.relative_to(checkout).as_posix() for path in tracked}
    in_rooms = {name for name in names if name.split("/")[0] in ROOMS}
    assert {name for name in contents if name.split("/")[0] in ROOMS} == in_rooms
    shared = {
        f"hallkit-0.1.0.data/data/share/hall/{name}"
        for name in names
        if name.split("/")[0] in SHARED
    }
    assert {name for name in contents if ".data/" in name} == shared


def test_it_holds_code_and_data_only(contents: set[str]) -> None:
    for name in contents:
        if name.split("/")[0] in ROOMS:
            path = Path(name)
            assert path.suffix in DATA_SUFFIXES, name
            assert path.suffix or path.name in {"qmldir", "LICENSE"}, name


def test_it_carries_its_licence_and_its_commands(wheel: Path, contents: set[str]) -> None:
    information = "hallkit-0.1.0.dist-info"
    assert f"{information}/licenses/LICENSE" in contents
    assert f"{information}/licenses/THIRD_PARTY_NOTICES.md" in contents
    with zipfile.ZipFile(wheel) as archive:
        scripts = ConfigParser()
        scripts.read_string(archive.read(f"{information}/entry_points.txt").decode())
    assert set(scripts["console_scripts"]) == {"hallkit", "hall-agent", "hall-affairs", "hall-ops"}


@dataclass(frozen=True, slots=True)
class Environment:
    """A fresh virtual environment."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def install(self, *arguments: str) -> None:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--python", self.python, "install", "-q"),
                *("--no-deps", "--disable-pip-version-check", "--no-compile", *arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.integration
@pytest.mark.timeout(180)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_runs_from_its_lock_alone(
    role: str, wheel: Path, checkout: Path, tmp_path: Path
) -> None:
    fresh = Environment(tmp_path / "venv")
    venv.create(fresh.folder, with_pip=False)
    fresh.install("--require-hashes", "-r", str(checkout / "locks" / f"{role}.lock"))
    fresh.install(str(wheel))
    done = subprocess.run(
        [fresh.python, "-P", "-B", "-c", IMPORT_ALL, *ROLES[role]],
        cwd=tmp_path,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, *others = done.stdout.split()
    assert int(count) > 5
    assert others == [], "it imported rooms of other roles"
