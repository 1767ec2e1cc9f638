"""A rehearsal's report: steps with `name`, `ok`, `ms`, `evidence`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from launcher.installation import CHECKOUT


@dataclass(slots=True)
class Step:
    """One thing that was done and seen."""

    name: str
    ok: bool = False
    ms: int = 0
    evidence: dict[str, Any] = field(default_factory=dict)

    def expect(self, what: str, holds: bool, **evidence: Any) -> None:
        """Note what was seen; `Unmet` ends the step if it does not hold."""
        self.evidence.update(evidence)
        if not holds:
            raise Unmet(what)


class Unmet(Exception):  # an outcome of a rehearsal
    """Something that should hold does not."""


class Report:
    """The steps so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step. A fault makes it not ok, stands in its evidence, and ends the rehearsal."""
        step = Step(name)
        self.steps.append(step)
        began = time.monotonic()
        print(f"  … {name}", flush=True)
        try:
            yield step
        except Exception as fault:
            step.evidence["fault"] = f"{type(fault).__name__}: {fault}"
            raise
        else:
            step.ok = True
        finally:
            step.ms = round((time.monotonic() - began) * 1000)
            mark = "✓" if step.ok else "✗"
            print(f"  {mark} {name}  {step.ms} ms", flush=True)

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    def write(self, path: Path, **more: Any) -> None:
        """The report as JSON, with the commit and the machine beside it."""
        document = {
            "ok": self.ok,
            "commit": commit(),
            "machine": machine(),
            **more,
            "steps": [asdict(step) for step in self.steps],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(document, ensure_ascii=False, indent=1)
        path.write_text(f"{text}\n", encoding="utf-8")


def commit() -> str:
    """The checkout's commit, with `+` if files are changed; empty outside git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = "+" if _git("status", "--porcelain") else ""
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{head}{changed}"


def machine() -> str:
    """The machine in a few words."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_kib = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1])
    return (
        f"{os.cpu_count()} cores {model or platform.machine()}, {memory_kib // 1024**2} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(CHECKOUT), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()
