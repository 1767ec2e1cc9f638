"""Twins that lie (tests/mutants.toml): whether the suite of the driver's port finds them out."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from drivers.registry import DriverSpec, discover
from launcher.commands.test import PRELOAD
from launcher.installation import CHECKOUT

FILE = CHECKOUT / "tests" / "mutants.toml"
_CACHES = shutil.ignore_patterns("__pycache__")
_LIMIT_S = 60
"""A suite that has not ended by then hangs, and shows nothing: it is run once more."""
_TESTS_FAILED = 1
"""Of pytest's exit codes."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change in a simulator's source."""

    driver: str
    lie: str
    file: str
    was: str
    now: str

    def lay(self, folder: Path) -> None:
        """Copy our drivers to a folder, with the change. `ValueError` if it does not fit."""
        shutil.copytree(CHECKOUT / "drivers", folder / "drivers", ignore=_CACHES)
        path = folder / self.file
        source = path.read_text(encoding="utf-8")
        if source.count(self.was) != 1:
            raise ValueError(f"{self.file}: {self.was!r} stands there {source.count(self.was)}×")
        path.write_text(source.replace(self.was, self.now), encoding="utf-8")


def mutants() -> tuple[Mutant, ...]:
    """All of them, in the file's order."""
    raw = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return tuple(Mutant(**one) for one in raw["mutant"])


def told_apart(mutant: Mutant, folder: Path) -> bool:
    """Run the suite of the driver's port against the mutant: True if a test failed.

    Only the twins' processes are of the mutant; the driver and the suite are ours. `RuntimeError`
    if the suite did not run, or its twin did not come up: that shows nothing.
    """
    mutant.lay(folder)
    return _suite_fails(discover()[mutant.driver], folder)


def honest_twins_pass(driver: str, folder: Path) -> bool:
    """The control: the same with an unchanged copy."""
    shutil.copytree(CHECKOUT / "drivers", folder / "drivers", ignore=_CACHES)
    return not _suite_fails(discover()[driver], folder)


def _suite_fails(spec: DriverSpec, folder: Path, *, tries: int = 2) -> bool:
    told = folder / "tests.xml"
    suite = CHECKOUT / "tests" / "contract" / f"test_{spec.port}.py"
    options = ["--driver", spec.key, "--twins", str(folder), "-x", f"--junitxml={told}"]
    options += ["-q", "-p", "no:cacheprovider"]
    running = subprocess.Popen(
        [sys.executable, "-P", "-m", "pytest", str(suite), *options],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONSAFEPATH": "1", "LD_PRELOAD": PRELOAD},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its twins too can be ended with it
    )
    try:
        said, errors = running.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        if tries > 1:
            return _suite_fails(spec, folder, tries=tries - 1)
        raise RuntimeError(f"{spec.key}: the suite did not end in {_LIMIT_S} s") from None
    cases = list(ET.parse(told).iter("testcase")) if told.exists() else []  # noqa: S314 - ours
    has_failed = any(case.find("failure") is not None for case in cases)
    code = running.returncode
    if code not in (0, _TESTS_FAILED) or (code and not has_failed):
        raise RuntimeError(f"{spec.key}: {said[-800:]}{errors}")
    return has_failed
