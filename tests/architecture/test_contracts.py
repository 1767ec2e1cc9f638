"""The import contracts hold, and each of them fails when somebody breaks it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")

PLANTED = [
    ("rooms", "affairs/queue/issuing.py", "import kiosk.flow.state"),
    ("rooms", "drivers/registry.py", "import launcher.report"),
    ("rooms", "hallkit/runtime/clock.py", "import affairs.sealing"),
    ("shared", "hallkit/model/item.py", "import hallkit.wire.base"),
    ("shared", "hallkit/helpers.py", "NEW = 1"),
    ("pure", "kiosk/flow/visit.py", "import socket"),
    ("pure", "hallkit/guide/questions.py", "import threading"),
    ("qt", "kiosk/service.py", "import PySide6.QtCore"),
    ("mqtt", "edge_agent/link.py", "import paho.mqtt.client"),
    ("web", "launcher/hall.py", "import fastapi"),
    ("web", "hallkit/runtime/health.py", "import starlette.requests"),
    ("databases", "edge_agent/link.py", "import sqlalchemy"),
    ("databases", "launcher/centre.py", "import alembic.command"),
    ("store", "edge_agent/link.py", "import hallkit.store.database"),
    ("store", "launcher/centre.py", "import hallkit.store.database"),
    ("composition", "kiosk/service.py", "import drivers.registry"),
    ("simulators", "launcher/hall.py", "import drivers.sim.escpos"),
    ("simulators", "edge_agent/devices/host.py", "import drivers.sim.control"),
]


def lint(folder: Path) -> tuple[int, Mapping[str, str], str]:
    """Exit code, verdict by the contract's name, and all that was said."""
    done = subprocess.run(
        [LINT_IMPORTS, "--no-cache"],
        cwd=folder,
        env={**os.environ, "COLUMNS": "400", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    verdicts = re.findall(r"^(.+?) (KEPT|BROKEN)\b", said, flags=re.MULTILINE)
    return done.returncode, dict(verdicts), said


def names(folder: Path) -> dict[str, str]:
    configuration = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    return {contract["id"]: contract["name"] for contract in contracts}


@pytest.fixture(scope="module")
def twin(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, where a test may plant what it likes and takes it out again."""
    folder = tmp_path_factory.mktemp("twin")
    configuration = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    for room in configuration["tool"]["importlinter"]["root_packages"]:
        shutil.copytree(checkout / room, folder / room, ignore=_not_code)
    shutil.copy(checkout / "pyproject.toml", folder)
    return folder


def _not_code(folder: str, entries: list[str]) -> set[str]:
    return {
        entry
        for entry in entries
        if not entry.endswith(".py") and not (Path(folder) / entry).is_dir()
    } | {"__pycache__"}


def test_every_contract_holds(checkout: Path) -> None:
    code, verdicts, said = lint(checkout)
    assert code == 0, said
    assert verdicts == dict.fromkeys(names(checkout).values(), "KEPT"), said


def test_every_contract_has_a_planted_violation(checkout: Path) -> None:
    assert {contract for contract, _, _ in PLANTED} == set(names(checkout))


@pytest.mark.parametrize(("contract", "file", "line"), PLANTED)
def test_a_planted_violation_breaks_its_contract_alone(
    twin: Path, contract: str, file: str, line: str
) -> None:
    path = twin / file
    before = path.read_text(encoding="utf-8") if path.exists() else None
    path.write_text(f"{before or ''}\n{line}\n", encoding="utf-8")
    try:
        code, verdicts, said = lint(twin)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before, encoding="utf-8")
    broken = {name for name, verdict in verdicts.items() if verdict == "BROKEN"}
    assert code == 1, said
    assert broken == {names(twin)[contract]}, said
