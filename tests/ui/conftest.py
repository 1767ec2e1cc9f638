"""Offscreen and in software, before Qt is imported; the fixtures of the screen's tests."""

from __future__ import annotations

import os

os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_QUICK_BACKEND"] = "software"

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QGuiApplication, QPointingDevice
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtTest import QTest

from hallkit.screens.engine import new_engine
from tests.ui.panel import (
    PORTRAIT,
    PX_PER_MM,
    FakeService,
    Finger,
    GetFinger,
    OpenScreen,
    Screen,
    sample,
)


@pytest.fixture(scope="session")
def qapp_cls() -> type[QGuiApplication]:
    return QGuiApplication


@pytest.fixture(scope="session")
def touch_panel(qapp: QGuiApplication) -> QPointingDevice:
    return QTest.createTouchDevice()


@pytest.fixture
def open_screen(qapp: QGuiApplication) -> Iterator[OpenScreen]:
    """Opens the window at a size; it shows a view and is closed after the test."""
    opened: list[tuple[Screen, QQmlApplicationEngine]] = []

    def open_at(view: Mapping[str, Any], size: tuple[int, int] = PORTRAIT) -> Screen:
        engine = new_engine(PX_PER_MM)
        screen = Screen(engine, size)
        opened.append((screen, engine))
        screen.show(view)
        screen.asked.clear()
        return screen

    yield open_at
    for screen, engine in opened:
        screen.close(engine)


@pytest.fixture
def finger(touch_panel: QPointingDevice) -> GetFinger:
    return lambda screen: Finger(screen.window, touch_panel)


@pytest.fixture
def service(qapp: QGuiApplication, tmp_path: Path) -> Iterator[FakeService]:
    fake = FakeService(tmp_path / "kiosk.sock", sample("home"))
    yield fake
    fake.close()
