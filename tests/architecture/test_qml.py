"""Every QML file lints without a warning, against the types that Python gives to QML."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import PySide6
import pytest

import hallkit

ROOT = Path(hallkit.__file__).parent.parent
TOOLS = Path(sys.executable).parent
METATYPES = Path(PySide6.__file__).parent / "Qt" / "metatypes"
TYPE_SOURCES = {"kiosk.ui": ROOT / "kiosk" / "ui" / "state.py"}
"""URI of a QML module whose types are Python classes, and the file they stand in."""
ROOMS = ("hallkit/screens", "kiosk/ui", "robot", "signage")
QML = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.qml"))


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(part) for part in (TOOLS / tool, *arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)


def mark_constants(types: Path) -> None:
    """pyside6-metaobjectdump forgets `constant=True`; what never notifies is constant here."""
    described = json.loads(types.read_text())
    for declared in described:
        for cls in declared["classes"]:
            for prop in cls.get("properties", []):
                prop["constant"] = "notify" not in prop
    types.write_text(json.dumps(described))


@pytest.fixture(scope="session")
def type_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An import path with the descriptions of our Python types."""
    root = tmp_path_factory.mktemp("qmltypes")
    for uri, source in TYPE_SOURCES.items():
        folder = root.joinpath(*uri.split("."))
        folder.mkdir(parents=True)
        types = folder / "types.json"
        dumped = run("pyside6-metaobjectdump", source, "-o", types)
        assert dumped.returncode == 0, dumped.stderr
        mark_constants(types)
        registered = run(
            "pyside6-qmltyperegistrar",
            *("--generate-qmltypes", folder / "types.qmltypes"),
            *("--import-name", uri, "--major-version", "1"),
            *("--foreign-types", METATYPES / "qt6core_metatypes.json"),
            *("-o", folder / "unused.cpp", types),
        )
        assert registered.returncode == 0, registered.stderr
        (folder / "qmldir").write_text(f"module {uri}\ntypeinfo types.qmltypes\n")
    return root


def lint(type_path: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    return run("pyside6-qmllint", "-W", "0", "-I", type_path, "-I", ROOT, *files)


def test_every_file_lints_without_a_warning(type_path: Path) -> None:
    assert len(QML) > 20
    done = lint(type_path, *QML)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("page.view.progressText", "page.view.progresText"),
        ("ScreenMetrics.title", "ScreenMetrics.titel"),
        ("moving:", "mowing:"),
    ],
)
def test_the_linter_sees_a_misspelling(
    type_path: Path, tmp_path: Path, right: str, wrong: str
) -> None:
    """A guard of the guard: without the type descriptions these would pass."""
    screens = ROOT / "kiosk" / "ui" / "screens"
    for file in screens.glob("*.qml"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    card = tmp_path / "CardScreen.qml"
    text = card.read_text(encoding="utf-8")
    assert right in text
    assert lint(type_path, card).returncode == 0
    card.write_text(text.replace(right, wrong), encoding="utf-8")
    assert lint(type_path, card).returncode != 0


@pytest.mark.parametrize("file", QML, ids=lambda file: file.name)
def test_no_file_switches_the_linter_off(file: Path) -> None:
    assert "qmllint disable" not in file.read_text(encoding="utf-8")
