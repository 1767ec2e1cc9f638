"""The suite of a driver's port on one device, and the report that a vendor can send.

The suite is `tests/contract/test_<port>.py`, the one that every driver passes with its twin. Each
test has one of three outcomes: it holds, it does not hold, it was not tried (nobody at the device,
or no hand can do it), with the reason.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree as ET

from drivers.registry import DriverSpec
from hallkit import __version__
from launcher.commands.test import PRELOAD
from launcher.device_url import without_secrets
from launcher.installation import CHECKOUT
from launcher.report import commit, machine

Outcome = Literal["holds", "does not hold", "not tried"]
Verdict = Literal["conforms", "conforms in what was tried", "does not conform"]
SIMULATOR = "sim"
"""In place of an address: the driver's own twins."""
_WHY_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Tried:
    """One test of the suite."""

    test: str
    outcome: Outcome
    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Conformance:
    """What one run of the suite says of a device."""

    driver: str
    port: str
    device: str
    model: str
    serial: str
    attended: bool
    tests: tuple[Tried, ...]
    diagnostics: dict[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        outcomes = Counter(one.outcome for one in self.tests)
        if outcomes["does not hold"] or not outcomes["holds"]:
            return "does not conform"
        return "conforms in what was tried" if outcomes["not tried"] else "conforms"

    def write(self, path: Path) -> None:
        """As JSON, and as a page to read beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.facts(), ensure_ascii=False, indent=2) + "\n", "utf-8")
        path.with_suffix(".md").write_text(self.page(), "utf-8")

    def facts(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "verdict": self.verdict,
            "hallkit": __version__,
            "commit": commit(),
            "machine": machine(),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }

    def page(self) -> str:
        """Markdown."""
        facts = self.facts()
        told = ("model", "serial", "port", "attended", "when", "hallkit", "commit", "machine")
        counts = Counter(one.outcome for one in self.tests)
        lines = [f"# {self.driver} on {self.device}: {self.verdict}", ""]
        lines += [f"- {name}: {facts[name]}" for name in told if facts[name] != ""]
        lines += ["", ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) + "."]
        lines += ["", "| test | outcome | s | why |", "|---|---|---|---|"]
        for one in self.tests:
            why = one.why.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {one.test} | {one.outcome} | {one.seconds:.1f} | {why} |")
        if self.diagnostics:
            lines += ["", "| diagnostics | |", "|---|---|"]
            lines += [f"| {name} | {value} |" for name, value in self.diagnostics.items()]
        return "\n".join(lines) + "\n"


def check(
    spec: DriverSpec,
    device: str,
    *,
    settings: Sequence[str] = (),
    entry: Path | None = None,
    attended: bool = False,
    hands: str | None = None,
    language: str = "zh_CN",
) -> Conformance:
    """Run the suite. `device` is an address (launcher/device_url.py) or `sim`.

    `settings` and `entry`: the rest of the device's configuration (launcher/device_url.py).
    `attended`: somebody at the terminal does what is asked; `hands`: a program does
    (tests/contract/kit.py). With neither, what needs hands is not tried.
    """
    with tempfile.TemporaryDirectory(prefix="hall-check-") as folder:
        told = Path(folder) / "tests.xml"
        options = ["--driver", spec.key]
        if device != SIMULATOR:
            has_hands = attended or hands is not None
            # A person, and a rig, take their time. Plain assertions: a report quotes no value.
            options += ["--timeout", "0" if has_hands else "120", "--assert=plain"]
            options += ["--device", device]
            options += [word for one in settings for word in ("--set", one)]
            options += ["--entry", str(entry)] if entry is not None else []
            options += ["--attended"] if attended else []
            options += ["--hands", hands] if hands else []
        _run(spec, [*options, "--language", language, f"--junitxml={told}"], attended=attended)
        return _read(told, spec, device, attended=attended or hands is not None)


def _run(spec: DriverSpec, options: Sequence[str], *, attended: bool) -> None:
    suite = CHECKOUT / "tests" / "contract" / f"test_{spec.port}.py"
    # What the person is asked stands on standard error, alone.
    subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-s", "-q", str(suite), *options],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONSAFEPATH": "1", "LD_PRELOAD": PRELOAD},
        stdin=None if attended else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=None if attended else subprocess.DEVNULL,
        check=False,
    )


def _read(told: Path, spec: DriverSpec, device: str, *, attended: bool) -> Conformance:
    """The report of what pytest wrote; a run that ended before its first test holds nothing."""
    # Our own pytest wrote it a moment ago.
    cases = list(ET.parse(told).iter("testcase")) if told.exists() else []  # noqa: S314
    tests = tuple(_tried(case) for case in cases)
    properties = {
        str(one.get("name")): str(one.get("value"))
        for case in cases
        for one in case.iter("property")
    }
    prefix = "diagnostics."
    return Conformance(
        driver=spec.key,
        port=spec.port,
        device="its twin" if device == SIMULATOR else without_secrets(device),
        model=properties.get("model", ""),
        serial=properties.get("serial", ""),
        attended=attended,
        tests=tests or (Tried("the suite", "does not hold", 0.0, "no test was run"),),
        diagnostics={
            name.removeprefix(prefix): value
            for name, value in properties.items()
            if name.startswith(prefix)
        },
    )


def _tried(case: ET.Element) -> Tried:
    name = str(case.get("name")).removeprefix("test_")
    test, _, parameters = name.partition("[")
    rest = [word for word in parameters.rstrip("]").split("-") if word not in ("device", "")]
    sentence = " ".join([test.replace("_", " "), *(f"({word})" for word in rest)])
    seconds = float(case.get("time") or 0.0)
    for tag in ("failure", "error"):
        if (found := case.find(tag)) is not None:
            return Tried(sentence, "does not hold", seconds, _where(found))
    if (found := case.find("skipped")) is not None:
        return Tried(sentence, "not tried", seconds, _why(found))
    return Tried(sentence, "holds", seconds)


def _where(found: ET.Element) -> str:
    """What kind of exception, and where. Its text is left out: it may hold what a card says."""
    kind = str(found.get("message") or "").partition("\n")[0].partition(":")[0].strip()
    places = re.findall(r"^(\S+\.py:\d+):", found.text or "", flags=re.MULTILINE)
    return " at ".join(filter(None, (kind[:_WHY_LIMIT], places[-1] if places else "")))


def _why(found: ET.Element) -> str:
    told = str(found.get("message") or "").removeprefix("Skipped: ")
    return told[:_WHY_LIMIT]
