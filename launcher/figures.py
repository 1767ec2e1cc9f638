"""Figures of `hall bench`: each stands beside its limit or a peer measured in the same run."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Measure = Callable[[Path], Awaitable[list["Figure"]]]
"""Measures in an empty folder of its own; a module of `benchmarks` lists them in `MEASURES`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number and what it is to be compared with."""

    name: str
    value: float
    unit: str
    peer: str = ""
    """What was measured beside it, in words; what the peer lost stands here too."""
    peer_value: float | None = None
    limit: float | None = None
    """The most that the value may be."""

    @property
    def ratio(self) -> float | None:
        """The value in terms of the peer's."""
        return round(self.value / self.peer_value, 3) if self.peer_value else None

    @property
    def holds(self) -> bool:
        """False if the value is over its limit."""
        return self.limit is None or self.value <= self.limit

    def line(self, machine: str) -> dict[str, Any]:
        """The figure as `--json` tells it."""
        return {
            "name": self.name,
            "value": round(self.value, 1),
            "unit": self.unit,
            "peer": self.peer,
            "peer_value": None if self.peer_value is None else round(self.peer_value, 1),
            "ratio": self.ratio,
            "limit": self.limit,
            "machine": machine,
        }


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__trunc__() - 1)]


# ── Processes as /proc (proc(5)) shows them ───────────────────────────────────────────────────


def pss_mb(pid: int) -> float:
    """Proportional set size in MB: shared pages count by their share."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no PSS of process {pid}")


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  # names are enough


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208  # names are enough


def cpu_ticks(pid: int) -> int:
    """User and system time used so far."""
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12])


def children(pid: int) -> list[int]:
    """Processes that this one started and that still run, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = _stat(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two looks
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append((int(fields[19]), int(entry.name)))
    return [child for _, child in sorted(found)]


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on (the third)."""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return text.rpartition(")")[2].split()
