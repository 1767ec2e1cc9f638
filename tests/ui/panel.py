"""What the tests of the screen hold: a window, a finger, and a service that does as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QPointF, QRectF
from PySide6.QtGui import QPointingDevice
from PySide6.QtNetwork import QLocalServer, QLocalSocket
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtQuick import QQuickItem, QQuickWindow
from PySide6.QtTest import QTest

from kiosk.ui import app
from kiosk.ui.state import Ask, KioskView, ScreenWords

SAMPLES = Path(app.__file__).parent / "samples"
PX_PER_MM = 3.2
SETTLE_MS = 260
PORTRAIT, LANDSCAPE = (1080, 1920), (1920, 1080)
WORDS = ScreenWords("正在恢复，请稍等", "您做到哪一步还记着。", "往上看", "往下看")


def sample(name: str, *, large: bool = False) -> dict[str, Any]:
    view: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    view["chrome"]["large_type"] = large
    return view


def sample_names() -> list[str]:
    return sorted(file.stem for file in SAMPLES.glob("*.json"))


class Screen:
    """The kiosk's window around a view, with everything asked of the service kept."""

    def __init__(
        self,
        engine: QQmlApplicationEngine,
        size: tuple[int, int] = PORTRAIT,
        settle_ms: int = SETTLE_MS,
        ask: Ask | None = None,
    ) -> None:
        self._settle_ms = settle_ms
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.view = KioskView(ask or self._ask, WORDS)
        window = app.load_window(engine, self.view, size=size)
        assert window is not None
        self.window: QQuickWindow = window
        self.view.set_connected(ask is None)
        self.window.show()

    def _ask(self, name: str, args: Mapping[str, Any]) -> bool:
        self.asked.append((name, dict(args)))
        return True

    def show(self, view: Mapping[str, Any]) -> None:
        self.view.show(view)
        QTest.qWait(self._settle_ms)

    def close(self, engine: QQmlApplicationEngine) -> None:
        """The window first, then the engine, then the view that both of them read."""
        self.window.close()
        app.close(engine)

    @property
    def taps(self) -> list[dict[str, Any]]:
        return [args for name, args in self.asked if name == "tap"]

    @property
    def texts(self) -> list[str]:
        return [args["value"] for name, args in self.asked if name == "text"]

    def items(self) -> list[QQuickItem]:
        """All items that a person could see."""
        return list(visible_items(self.window.contentItem()))

    def item(self, name: str) -> QQuickItem:
        found = [item for item in self.items() if item.objectName() == name]
        assert len(found) == 1, f"{name}: {len(found)} on the screen"
        return found[0]

    def controls(self) -> list[QQuickItem]:
        kinds = ("action.", "choice.", "key.", "step.")
        return [item for item in self.items() if item.objectName().startswith(kinds)]


def visible_items(parent: QQuickItem) -> Iterator[QQuickItem]:
    for child in parent.childItems():
        if child.isVisible() and child.opacity() > 0:
            yield child
            yield from visible_items(child)


def place(item: QQuickItem) -> QRectF:
    """Where on the window an item stands, as far as a list shows it."""
    rect = item.mapRectToScene(QRectF(0, 0, item.width(), item.height()))
    holder = item.parentItem()
    while holder is not None:
        if holder.clip():
            around = holder.mapRectToScene(QRectF(0, 0, holder.width(), holder.height()))
            rect = rect.intersected(around)
        holder = holder.parentItem()
    return rect


class Finger:
    """One finger on the panel."""

    def __init__(self, window: QQuickWindow, device: QPointingDevice) -> None:
        self._window = window
        self._device = device
        self._at = QPointF()

    def press(self, item: QQuickItem, dx_mm: float = 0, dy_mm: float = 0) -> None:
        self.press_at(place(item).center() + QPointF(dx_mm, dy_mm) * PX_PER_MM)

    def press_at(self, point: QPointF) -> None:
        self._at = point
        QTest.touchEvent(self._window, self._device).press(
            0, point.toPoint(), self._window
        ).commit()

    def move(self, dx_mm: float, dy_mm: float, steps: int = 8) -> None:
        step = QPointF(dx_mm, dy_mm) * PX_PER_MM / steps
        for _ in range(steps):
            self._at += step
            event = QTest.touchEvent(self._window, self._device)
            event.move(0, self._at.toPoint(), self._window).commit()
            QTest.qWait(2)

    def release(self) -> None:
        event = QTest.touchEvent(self._window, self._device)
        event.release(0, self._at.toPoint(), self._window).commit()

    def tap(self, item: QQuickItem, dx_mm: float = 0, dy_mm: float = 0) -> None:
        self.press(item, dx_mm, dy_mm)
        self.release()


class FakeService(QObject):
    """The other end of the local bus, in this thread: one client, lines as they come."""

    def __init__(self, path: Path, view: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.path = str(path)
        self.requests: list[dict[str, Any]] = []
        self.accepted = 0
        self.hello: bytes = b'{"kind":"hello","version":1,"server":"kiosk.service"}\n'
        self.view = view
        self.answers = True
        self._seq = 0
        self._client: QLocalSocket | None = None
        self._server = QLocalServer(self)
        self._server.newConnection.connect(self._accept)
        self.listen()

    def listen(self) -> None:
        QLocalServer.removeServer(self.path)
        assert self._server.listen(self.path), self._server.errorString()

    def close(self) -> None:
        """The service dies: nobody listens, the client is cut off."""
        self._server.close()
        self.drop()

    def drop(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            client.abort()

    def send(self, line: Mapping[str, Any] | bytes) -> None:
        assert self._client is not None
        raw = line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n"
        self._client.write(raw)
        self._client.flush()

    def show(self, view: Mapping[str, Any]) -> None:
        self.view = view
        self.publish("view", view)

    def publish(self, name: str, data: Mapping[str, Any]) -> None:
        self._seq += 1
        self.send({"kind": "event", "seq": self._seq, "name": name, "data": data})

    def asked(self, name: str) -> list[dict[str, Any]]:
        return [request["args"] for request in self.requests if request["name"] == name]

    def _accept(self) -> None:
        client = self._server.nextPendingConnection()
        self.accepted += 1
        self._client = client
        client.readyRead.connect(self._read)
        self.send(self.hello)
        if self.view is not None:
            self.send({"kind": "snapshot", "seq": self._seq, "data": {"view": self.view}})

    def _read(self) -> None:
        while self._client is not None and self._client.canReadLine():
            request = json.loads(self._client.readLine().data())
            assert request["kind"] == "request"
            self.requests.append(request)
            if self.answers:
                self.send({"kind": "reply", "id": request["id"], "result": {}})


OpenScreen = Callable[..., Screen]
GetFinger = Callable[[Screen], Finger]
