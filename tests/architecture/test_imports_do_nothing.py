"""Importing a module of ours runs nothing: no files, sockets, threads, processes, environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.test_names import ROOMS

MUST_RUN = ("affairs/migrations/env.py", "ops/migrations/env.py")
"""Alembic executes these instead of importing them."""

PROBE = """
import importlib, os, pathlib, pkgutil, sys, threading

ours = tuple(sys.argv[1].split(","))
root = sys.argv[2]
sys.path.insert(0, root)  # whatever PYTHONSAFEPATH says
skipped = set(sys.argv[3].split(","))
library = os.path.realpath(os.path.dirname(os.__file__)) + os.sep
DEEDS = ("open", "socket.bind", "socket.connect", "socket.__new__", "subprocess.Popen",
         "_thread.start_new_thread", "sqlite3.connect", "os.mkdir", "os.remove", "os.listdir")
seen = []

def whose(frame):
    # The innermost frame that is neither the library's nor the import machinery's.
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith("<frozen importlib"):
            return None
        if not file.startswith(("<", "/")):
            return None  # shiboken's, out of an archive
        if file.startswith("/"):
            file = os.path.realpath(file)
            if "site-packages" in file:
                return None
            if file.startswith(root):
                return f"{os.path.relpath(file, root)}:{frame.f_lineno}"
            if not file.startswith(library):
                return None
        frame = frame.f_back
    return None

def watch(event, arguments):
    if event in DEEDS:
        place = whose(sys._getframe(1))
        if place is not None:
            seen.append(f"{place} {event} {arguments[:2]!r}")

def walk():
    for name in ours:
        yield name
        package = importlib.import_module(name)
        for info in pkgutil.walk_packages(package.__path__, f"{name}."):
            if info.name.replace(".", "/") + ".py" not in skipped:
                yield info.name

sys.addaudithook(watch)
count = 0
for name in walk():
    before = dict(os.environ)
    importlib.import_module(name)
    count += 1
    if dict(os.environ) != before:
        seen.append(f"{name} changed the environment")
    if threading.active_count() != 1:
        seen.append(f"{name} started {threading.enumerate()[1:]}")
        break
print(*seen, sep="\\n")
print(f"imported {count}")
sys.exit(bool(seen))
"""


def probe(folder: Path, *rooms: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-B", "-c", PROBE, ",".join(rooms), str(folder), ",".join(MUST_RUN)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.timeout(120)
def test_importing_every_module_does_nothing(checkout: Path) -> None:
    done = probe(checkout, *ROOMS)
    assert done.returncode == 0, done.stdout + done.stderr
    count = int(done.stdout.rpartition("imported ")[2])
    assert count > 100, "the walk found our modules"


@pytest.mark.parametrize(
    "deed",
    [
        "open(__file__).read()",
        "import socket; socket.socket()",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import sqlite3; sqlite3.connect(':memory:')",
        "import os; os.environ['PLANTED'] = '1'",
    ],
)
def test_a_planted_deed_is_seen(tmp_path: Path, deed: str) -> None:
    package = tmp_path / "planted"
    package.mkdir()
    (package / "__init__.py").write_text("")
    assert probe(tmp_path, "planted").returncode == 0
    (package / "module.py").write_text(deed + "\n")
    done = probe(tmp_path, "planted")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "planted" in done.stdout


def test_no_module_reads_the_environment_or_the_clock_on_import(tracked: list[Path]) -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in tracked
        if path.suffix == ".py"
        for node in _on_import(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv"), ("time", "time")}
        and "tests" not in path.parts
    ]
    assert not found


def _on_import(tree: ast.AST) -> list[ast.AST]:
    """The nodes that run when the module is imported: everything outside functions."""
    found: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        found += [node, *_on_import(node)]
    return found
