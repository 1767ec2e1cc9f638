"""Run every check and test, saying what runs: lint, types, contracts, then the tests by layer.

`--quick` runs the unit layer alone, in seconds. Other arguments go to pytest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from launcher.installation import CHECKOUT

HELP = "run lint, types, contracts and all tests; --quick for the unit layer"

BIN = Path(sys.executable).parent

CHECKS: dict[str, tuple[str, ...]] = {
    "format": (str(BIN / "ruff"), "format", "--check", "."),
    "lint": (str(BIN / "ruff"), "check", "."),
    "types": (str(BIN / "mypy"),),
    # Modules that are loaded by their path: mypy takes packages or files, not both at once.
    "types of benchmarks": (str(BIN / "mypy"), "benchmarks"),
    "import contracts": (str(BIN / "lint-imports"),),
    "shell": ("shellcheck", "hall", ".ci/run"),
}

PRELOAD = "libumockdev-preload.so.0"
"""Lets the tests' own process see the devices of drivers/sim/testbed.py."""

LAYERS = ("unit", "contract", "ui", "architecture", "wire", "integration", "journeys")
"""Folders of `tests/` in the order in which they run; what is missing is skipped."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="the unit layer only")
    parser.add_argument("pytest_args", nargs=argparse.REMAINDER, help="passed on to pytest")


def run(args: argparse.Namespace) -> int:
    """Exit 0 if everything holds, 1 if something does not."""
    failed: list[str] = []
    began = time.monotonic()
    if args.pytest_args:
        return _do("pytest", _pytest(args.pytest_args))
    if args.quick:
        return _do("tests: unit", _pytest(["-q", "tests/unit"]))
    for name, command in CHECKS.items():
        if _do(name, command):
            failed.append(name)
    folders = [f"tests/{layer}" for layer in LAYERS if (CHECKOUT / "tests" / layer).is_dir()]
    # One run of pytest, so that its closing line counts everything. Of its two workers one takes
    # what runs whole halls (tests/conftest.py), one after the other; the other one the rest.
    together = ["-n", "2"]
    if _do("tests: " + ", ".join(folders), _pytest(["-v", "--durations=15", *together, *folders])):
        failed.append("tests")
    minutes = (time.monotonic() - began) / 60
    print(
        f"hall test: {'failed: ' + ', '.join(failed) if failed else 'all holds'}, {minutes:.1f} min"
    )
    return 1 if failed else 0


def _pytest(arguments: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-P", "-m", "pytest", *arguments)


def _do(name: str, command: Sequence[str]) -> int:
    print(f"── {name}", flush=True)
    environment = os.environ | {"PYTHONSAFEPATH": "1"}
    if "pytest" in command:
        # Without UMOCKDEV_DIR it changes nothing; tests/conftest.py keeps it from children.
        environment["LD_PRELOAD"] = PRELOAD
    return subprocess.run(command, cwd=CHECKOUT, env=environment, check=False).returncode
