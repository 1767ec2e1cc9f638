"""What a stranger sees who types `./hall demo`."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

HALL = (sys.executable, "-P", "-m", "launcher.cli", "demo", "--headless")
NEEDED = ("/usr/sbin/mosquitto", "/usr/lib/xorg/Xorg", "/usr/bin/chromium")

pytestmark = pytest.mark.journey


@pytest.fixture(scope="module", autouse=True)
def debian_packages() -> None:
    """This is the proof of the whole: without its programs it fails, it is not skipped."""
    missing = [program for program in NEEDED if not Path(program).exists()]
    assert not missing, f"install the Debian packages of locks/debian.txt: {missing} are missing"


@pytest.fixture(scope="module")
def visit(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of one whole visit, and the folder it lies in."""
    folder = tmp_path_factory.mktemp("visit")
    report = folder / "report" / "report.json"
    done = subprocess.run(
        [*HALL, "--once", "--free-ports", "--root", str(folder), "--report", str(report)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert report.exists(), done.stderr[-4000:]
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    found["folder"] = report.parent
    found["exit"] = done.returncode
    return found


@pytest.mark.timeout(280)
def test_one_visit_runs_through_every_room_and_every_fault(visit: dict[str, Any]) -> None:
    failed = [step for step in visit["steps"] if not step["ok"]]
    assert not failed
    assert (visit["ok"], visit["exit"]) == (True, 0)
    assert len(visit["steps"]) == 13


@pytest.mark.timeout(280)
def test_every_step_has_its_time_and_evidence(visit: dict[str, Any]) -> None:
    for step in visit["steps"]:
        assert set(step) == {"name", "ok", "ms", "evidence"}
        assert step["evidence"]


@pytest.mark.timeout(280)
def test_pictures_that_the_evidence_names_lie_beside_the_report(visit: dict[str, Any]) -> None:
    named = [
        value
        for step in visit["steps"]
        for key, value in step["evidence"].items()
        if key in ("picture", "after", "slip")
    ]
    assert len(named) > 12
    for name in named:
        assert (visit["folder"] / name).stat().st_size > 1000


@pytest.mark.timeout(280)
def test_the_report_itself_holds_no_identity(visit: dict[str, Any]) -> None:
    text = json.dumps(visit["steps"], ensure_ascii=False)
    assert "11010519491231002X" not in text
    assert "张三" not in text


@contextmanager
def demo(root: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*HALL, "--root", str(root), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(120)
def test_it_opens_stops_on_ctrl_c_and_opens_again(tmp_path: Path) -> None:
    for _ in range(2):
        with demo(tmp_path, "--free-ports") as process:
            assert process.stdout is not None
            assert "Console: http://127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=40) == 0
    left = [path for path in (tmp_path / "pki").rglob("*") if path.stat().st_mode & 0o077]
    assert not left, "keys and certificates are their owner's alone"


@pytest.mark.timeout(60)
def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # in use by somebody else already: just as good
            other.bind(("127.0.0.1", 18443))
            other.listen()
        with demo(tmp_path) as process:
            _, complaint = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "port 18443 of affairs is in use" in complaint


@pytest.mark.timeout(90)
def test_two_halls_cannot_share_a_folder(tmp_path: Path) -> None:
    with demo(tmp_path, "--free-ports") as first:
        assert first.stdout is not None
        first.stdout.readline()
        with demo(tmp_path, "--free-ports") as second:
            _, complaint = second.communicate(timeout=30)
        assert second.returncode == 2
        assert "a hall runs here already" in complaint
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=40) == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [(), ("--once",)])
def test_ctrl_c_stops_it_at_any_time(tmp_path: Path, options: tuple[str, ...]) -> None:
    log = tmp_path / "logs" / "affairs.log"
    with demo(tmp_path, "--free-ports", *options) as process:
        while process.poll() is None and not (log.exists() and "ready" in log.read_text()):
            select.select([], [], [], 0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=40) == len(options)
        assert process.stdout is not None
        assert "Console:" not in process.stdout.read()


@pytest.mark.timeout(60)
def test_a_program_that_cannot_run_is_named_at_once_with_its_reason(tmp_path: Path) -> None:
    with demo(tmp_path, "--free-ports") as process:
        # The lock is taken first, the identities are made next: spoil one before it is used.
        key = tmp_path / "pki" / "affairs" / "data.key"
        while process.poll() is None and not key.exists():
            select.select([], [], [], 0.01)
        key.write_text("spoilt")
        _, complaint = process.communicate(timeout=50)
    assert process.returncode == 2
    assert "affairs ended at once" in complaint
    assert "data.key" in complaint
