"""The screen as a process: first frame, the end of a session, the warm spare."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QProcess, QProcessEnvironment
from PySide6.QtGui import QGuiApplication
from pytestqt.qtbot import QtBot

from kiosk.ui import app, shot
from tests.ui.panel import SAMPLES, FakeService, sample

START_LIMIT_MS = 10_000

Start = Callable[..., QProcess]


@pytest.fixture
def start(qapp: QGuiApplication, service: FakeService) -> Iterator[Start]:
    started: list[QProcess] = []

    def start_with(*options: str) -> QProcess:
        process = QProcess()
        environment = QProcessEnvironment.systemEnvironment()
        environment.insert("QT_QPA_PLATFORM", "offscreen")
        process.setProcessEnvironment(environment)
        arguments = ["-P", "-m", "kiosk.ui.app", "--socket", service.path, *options]
        process.start(sys.executable, arguments)
        started.append(process)
        return process

    yield start_with
    for process in started:
        if process.state() is not QProcess.ProcessState.NotRunning:
            process.kill()
            process.waitForFinished(3_000)


def wait_line(qtbot: QtBot, process: QProcess) -> str:
    qtbot.waitUntil(process.canReadLine, timeout=START_LIMIT_MS)
    return process.readLine().data().decode().strip()


def wait_end(qtbot: QtBot, process: QProcess) -> int:
    qtbot.waitUntil(
        lambda: process.state() is QProcess.ProcessState.NotRunning, timeout=START_LIMIT_MS
    )
    assert process.readAllStandardError().data().decode() == ""
    assert process.exitStatus() is QProcess.ExitStatus.NormalExit
    return process.exitCode()


def test_it_says_when_it_can_be_used_and_ends_with_the_session(
    start: Start, service: FakeService, qtbot: QtBot
) -> None:
    process = start()
    assert wait_line(qtbot, process) == "interactive"
    qtbot.waitUntil(lambda: bool(service.asked("shown")))
    assert service.asked("shown")[0]["seq"] == 1
    service.show({**sample("find"), "seq": 2})
    qtbot.waitUntil(lambda: [shown["seq"] for shown in service.asked("shown")] == [1, 2])
    service.publish("session_over", {})
    assert wait_end(qtbot, process) == 0


def test_a_spare_waits_unconnected_until_it_is_told(
    start: Start, service: FakeService, qtbot: QtBot
) -> None:
    process = start("--standby")
    assert wait_line(qtbot, process) == "warm"
    qtbot.wait(150)
    assert service.accepted == 0
    process.write(b"go\n")
    assert wait_line(qtbot, process) == "interactive"
    assert service.accepted == 1
    process.closeWriteChannel()  # its keeper is gone
    assert wait_end(qtbot, process) == 0


def test_a_spare_whose_keeper_is_gone_ends(start: Start, qtbot: QtBot) -> None:
    process = start("--standby")
    assert wait_line(qtbot, process) == "warm"
    process.closeWriteChannel()
    assert wait_end(qtbot, process) == 0


def test_without_the_font_it_refuses(
    qapp: QGuiApplication, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "FONT", "No Such Font At All")
    assert app.run("/nowhere.sock") == app.EXIT_NO_FONT
    assert "No Such Font At All" in capsys.readouterr().err


def test_a_view_becomes_a_picture(qapp: QGuiApplication) -> None:
    image = shot.render(sample("ticket"), size=(540, 960), px_per_mm=1.6)
    assert (image.width(), image.height()) == (540, 960)
    assert image.pixelColor(20, 4).name() == "#0b4f9c"


def test_the_command_writes_pictures(
    qapp: QGuiApplication, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = tmp_path_factory.mktemp("shots") / "home.png"
    options = ["--width", "540", "--height", "960", "--px-per-mm", "1.6"]
    assert shot.main([str(SAMPLES / "home.json"), str(target), *options]) == 0
    assert target.stat().st_size > 5_000


def test_samples_are_views_of_the_contract() -> None:
    from kiosk.flow.view import View

    for file in SAMPLES.glob("*.json"):
        View.model_validate_json(file.read_bytes())


def test_the_process_imports_nothing_slow() -> None:
    import subprocess

    code = "import sys, kiosk.ui.app; print('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"pydantic", "asyncio", "httpx", "structlog", "PySide6.QtWidgets"}
