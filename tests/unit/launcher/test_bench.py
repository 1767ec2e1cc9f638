"""The document of figures: a row that was measured again replaces its former self."""

from __future__ import annotations

from launcher.commands.bench import _document, _renewed
from launcher.figures import Figure


def test_only_the_rows_that_were_measured_are_written_again() -> None:
    slow, other = Figure("events", 10, "1/s", "peer", 100), Figure("bus", 5, "µs", limit=9)
    before = _document([slow, other], "a machine", 0.1)
    after = _renewed(before, [Figure("events", 50, "1/s", "peer", 100), Figure("new", 1, "s")], 0.2)
    rows = [line for line in after.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `events` | 50.0 1/s | – | peer | 100.0 | 0.500 |",
        "| `bus` | 5.0 µs | 9 | – | – | – |",
        "| `new` | 1.0 s | – | – | – | – |",
    ]
    assert [line for line in before.splitlines() if line not in after] == [
        "| `events` | 10.0 1/s | – | peer | 100.0 | 0.100 |"
    ]
    [again] = [line for line in after.splitlines() if line.startswith("- Measured again")]
    assert again.endswith("load 0.20: `events`, `new`")
