"""The machine's own condition, one aggregate a minute. Source: /proc (proc(5))."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hallkit.wire.events import Health

INTERVAL_S = 60.0
_MIB = 1024 * 1024


def measure(
    state: Path, *, outbox_rows: int, refused_messages: int, reports_dropped: int = 0
) -> Health:
    """Read load, memory and disk now. `state` is the folder whose disk counts."""
    memory = _meminfo(Path("/proc/meminfo").read_text(encoding="ascii"))
    uptime = Path("/proc/uptime").read_text(encoding="ascii").split()[0]
    return Health(
        uptime_s=int(float(uptime)),
        load_1m=os.getloadavg()[0],
        memory_used_mb=(memory["MemTotal"] - memory["MemAvailable"]) // 1024,
        memory_total_mb=memory["MemTotal"] // 1024,
        disk_free_mb=shutil.disk_usage(state).free // _MIB,
        outbox_rows=outbox_rows,
        refused_messages=refused_messages,
        reports_dropped=reports_dropped,
    )


def _meminfo(text: str) -> dict[str, int]:
    """Kibibytes by name."""
    rows = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {name: int(rest.split()[0]) for name, rest in rows}
