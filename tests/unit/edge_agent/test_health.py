"""The machine's condition is read from the kernel, in the units that the console shows."""

from pathlib import Path

from edge_agent import health


def test_the_condition_is_plausible(tmp_path: Path) -> None:
    told = health.measure(tmp_path, outbox_rows=7, refused_messages=2, reports_dropped=3)
    assert told.uptime_s > 0
    assert told.load_1m >= 0
    assert 0 < told.memory_used_mb < told.memory_total_mb
    assert told.disk_free_mb > 0
    assert (told.outbox_rows, told.refused_messages, told.reports_dropped) == (7, 2, 3)


def test_meminfo_is_read_in_kibibytes_with_and_without_a_unit() -> None:
    text = "MemTotal:       16303428 kB\nMemAvailable:    9000000 kB\nHugePages_Total:       0\n"
    assert health._meminfo(text) == {
        "MemTotal": 16303428,
        "MemAvailable": 9000000,
        "HugePages_Total": 0,
    }
