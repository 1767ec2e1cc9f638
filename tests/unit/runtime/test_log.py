"""What a process writes about its work."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from hallkit.runtime.log import configure_logging, get_logger


class Writes(io.StringIO):
    """A stream that keeps each write by itself, as an unbuffered file would."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[str] = []

    def write(self, text: str) -> int:
        self.kept.append(text)
        return len(text)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    stream = Writes()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging("info", process="edge_agent")
    yield stream.kept
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_one_write_so_that_processes_can_share_a_file(writes: list[str]) -> None:
    get_logger().info("process.ready", words="好了")
    [line] = writes
    assert line.endswith("\n")
    assert json.loads(line)["words"] == "好了"


def test_a_persons_number_is_dropped(writes: list[str]) -> None:
    get_logger().info("card.read", id_number="510682195603120029")
    assert json.loads(writes[0])["id_number"] == "[dropped]"
