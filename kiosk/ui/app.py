"""The screen process: one window, one connection, nothing that imports slowly.

    python -m kiosk.ui.app --socket PATH            draws what the service at PATH sends
    python -m kiosk.ui.app --socket PATH --standby  is ready, hidden, until a line `go` arrives

It prints `warm` when a spare is ready and `interactive` after the first frame of a view; it ends
with 0 when the session is over, with 3 when the font is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSocketNotifier, QTimer, QUrl
from PySide6.QtGui import QFont, QFontInfo, QGuiApplication
from PySide6.QtQml import QQmlApplicationEngine, QQmlComponent
from PySide6.QtQuick import QQuickWindow

from hallkit.runtime.parent import end_with_parent
from hallkit.screens.bus import BusClient
from hallkit.screens.engine import new_engine
from kiosk.ui.state import KioskView, ScreenWords

FONT = "Noto Sans CJK SC"
EXIT_NO_FONT = 3
EXIT_NO_WINDOW = 4
BEAT_INTERVAL_MS = 2000
PORTRAIT = (1080, 1920)

HERE = Path(__file__).parent


def run(
    socket_path: str,
    *,
    px_per_mm: float | None = None,
    fullscreen: bool = False,
    reduced_motion: bool = False,
    size: tuple[int, int] = PORTRAIT,
    recovering_title: str = "",
    recovering_text: str = "",
    earlier: str = "",
    later: str = "",
    standby_fd: int | None = None,
) -> int:
    """Show the service's views until the session is over.

    `recovering_*` is what stands on the screen while the service is away; `earlier` and `later`
    are the words of the buttons that step a page which is taller than the panel.
    """
    application = start_gui()
    if not has_font():
        print(f"font {FONT!r} is not installed", file=sys.stderr, flush=True)  # noqa: T201
        return EXIT_NO_FONT
    bus = BusClient(socket_path)
    words = ScreenWords(recovering_title, recovering_text, earlier, later)
    view = KioskView(bus.request, words)
    engine = new_engine(px_per_mm, reduced_motion=reduced_motion)
    window = load_window(engine, view, size=size)
    if window is None:
        return EXIT_NO_WINDOW
    process = _Process(bus, view, window, fullscreen=fullscreen)
    if standby_fd is None:
        process.begin()
        QTimer.singleShot(0, engine, lambda: preload(engine))
    else:
        preload(engine)
        process.stand_by(standby_fd)
    code = application.exec()
    bus.stop()
    window.close()
    close(engine)
    return code


def start_gui() -> QCoreApplication:
    """The application, on the software renderer unless the environment says otherwise."""
    os.environ.setdefault("QT_QUICK_BACKEND", "software")
    return QGuiApplication.instance() or QGuiApplication(sys.argv[:1])


def has_font() -> bool:
    """Without it every Han character would be an empty box, and nothing would fail."""
    return QFontInfo(QFont(FONT)).exactMatch()


def load_window(
    engine: QQmlApplicationEngine,
    view: KioskView,
    *,
    size: tuple[int, int] = PORTRAIT,
) -> QQuickWindow | None:
    """The window of `Main.qml`, still hidden."""
    engine.setInitialProperties({"view": view, "width": size[0], "height": size[1]})
    engine.load(QUrl.fromLocalFile(str(HERE / "Main.qml")))
    roots = engine.rootObjects()
    return roots[0] if roots and isinstance(roots[0], QQuickWindow) else None


def close(engine: QQmlApplicationEngine) -> None:
    """End the engine while the view that its bindings read still lives."""
    engine.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)


def preload(engine: QQmlApplicationEngine) -> list[QQmlComponent]:
    """Compile every screen, so that none is compiled under a finger."""
    return [
        QQmlComponent(engine, QUrl.fromLocalFile(str(file)), engine)
        for file in sorted((HERE / "screens").glob("*Screen.qml"))
    ]


class _Process(QObject):
    """Joins the bus, the view and the window for the life of the process."""

    def __init__(
        self, bus: BusClient, view: KioskView, window: QQuickWindow, *, fullscreen: bool
    ) -> None:
        super().__init__()
        self._bus = bus
        self._view = view
        self._window = window
        self._fullscreen = fullscreen
        self._announced = False
        self._begun = False
        self._notifier: QSocketNotifier | None = None
        self._standby_line = b""
        bus.snapshot_received.connect(self._take_snapshot)
        bus.event_received.connect(self._take_event)
        bus.connected_changed.connect(view.set_connected)
        window.frameSwapped.connect(self._frame)
        self._beat = QTimer(self)
        self._beat.timeout.connect(_say_alive)
        self._watchdog = QTimer(self)
        self._start_watchdog()

    def begin(self) -> None:
        """Show the window and connect."""
        self._begun = True
        if self._fullscreen:
            self._window.showFullScreen()
        else:
            self._window.show()
        self._bus.start()

    def stand_by(self, descriptor: int) -> None:
        """Wait, warm and hidden, for the line `go`; end when its sender ends, then or later."""
        end_with_parent()
        self._notifier = QSocketNotifier(descriptor, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._read_standby)
        _say("warm")

    def _read_standby(self) -> None:
        notifier = self._notifier
        if notifier is None:
            return
        received = os.read(int(notifier.socket()), 256)
        if not received:
            notifier.setEnabled(False)
            QCoreApplication.exit(0)
        self._standby_line += received
        if not self._begun and b"go\n" in self._standby_line:
            self.begin()
            # From the thread that draws: when it stands still, the keeper hears it.
            self._beat.start(BEAT_INTERVAL_MS)

    def _take_snapshot(self, data: Mapping[str, Any]) -> None:
        self._show(data.get("view"))

    def _take_event(self, name: str, data: Mapping[str, Any]) -> None:
        if name == "session_over":
            QCoreApplication.exit(0)
        elif name == "view":
            self._show(data.get("view", data))

    def _show(self, view: object) -> None:
        if isinstance(view, dict):
            self._view.show(view)
            self._window.update()

    def _frame(self) -> None:
        if self._view.frame_shown() and not self._announced:
            self._announced = True
            _say("interactive")
            _notify("READY=1")

    def _start_watchdog(self) -> None:
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        if microseconds.isdigit():
            self._watchdog.timeout.connect(_notify_alive)
            self._watchdog.start(int(microseconds) // 2_000)


def _say_alive() -> None:
    _say("alive")


def _notify_alive() -> None:
    _notify("WATCHDOG=1")


def _notify(message: str) -> None:
    """Tell the service manager, if there is one."""
    if "NOTIFY_SOCKET" in os.environ:
        from hallkit.runtime.notify import notify  # noqa: PLC0415 (only under a service manager)

        notify(message)


def _say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 (the line that the starter waits for)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of the screen process."""
    parser = argparse.ArgumentParser(prog="kiosk.ui.app", description="The terminal's screen.")
    parser.add_argument("--socket", required=True, help="local bus socket of kiosk.service")
    parser.add_argument("--width", type=int, default=PORTRAIT[0])
    parser.add_argument("--height", type=int, default=PORTRAIT[1])
    parser.add_argument("--px-per-mm", type=float, help="pixels of a millimetre of the panel")
    parser.add_argument("--fullscreen", action="store_true")
    parser.add_argument("--reduced-motion", action="store_true", help="pages don't slide")
    parser.add_argument("--standby", action="store_true", help="wait hidden for `go` on stdin")
    parser.add_argument("--recovering-title", default="")
    parser.add_argument("--recovering-text", default="")
    parser.add_argument("--earlier", default="", help="word of the button that steps a page back")
    parser.add_argument("--later", default="", help="word of the button that steps a page on")
    options = parser.parse_args(argv)
    return run(
        options.socket,
        px_per_mm=options.px_per_mm,
        fullscreen=options.fullscreen,
        reduced_motion=options.reduced_motion,
        size=(options.width, options.height),
        recovering_title=options.recovering_title,
        recovering_text=options.recovering_text,
        earlier=options.earlier,
        later=options.later,
        standby_fd=sys.stdin.fileno() if options.standby else None,
    )


if __name__ == "__main__":
    sys.exit(main())
