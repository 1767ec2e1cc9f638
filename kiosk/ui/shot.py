"""A view as a picture, without a panel: `python -m kiosk.ui.shot VIEW.json OUT.png`.

`-` reads many views from standard input, one JSON object a line, and writes OUT as a pattern with
`{}` for the line's number; it answers one line of JSON each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QImage

from hallkit.screens.engine import new_engine
from kiosk.ui import app
from kiosk.ui.state import NO_WORDS, KioskView, ScreenWords

SETTLE_MS = 260
"""Longer than the longest transition."""


def render(
    view: Mapping[str, Any],
    *,
    size: tuple[int, int] = app.PORTRAIT,
    px_per_mm: float | None = None,
    words: ScreenWords = NO_WORDS,
    connected: bool = True,
) -> QImage:
    """The frame that this view draws, transitions over."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app.start_gui()
    if not app.has_font():
        message = f"font {app.FONT!r} is not installed"
        raise RuntimeError(message)
    state = KioskView(_nobody, words)
    engine = new_engine(px_per_mm)
    window = app.load_window(engine, state, size=size)
    if window is None:
        message = "Main.qml does not load"
        raise RuntimeError(message)
    state.set_connected(connected)
    state.show(view)
    window.show()
    loop = QEventLoop()
    QTimer.singleShot(SETTLE_MS if connected else 2 * SETTLE_MS, loop.quit)
    loop.exec()
    image = window.grabWindow()
    window.close()
    app.close(engine)
    return image


def _nobody(_name: str, _args: Mapping[str, Any]) -> bool:
    return False


def main(argv: Sequence[str] | None = None) -> int:
    """The command line: a view or many, a picture each."""
    parser = argparse.ArgumentParser(prog="kiosk.ui.shot", description="Draw a view to a PNG.")
    parser.add_argument("view", help="JSON file of a view, or - for one a line on stdin")
    parser.add_argument("picture", help="PNG to write; with -, a pattern holding {}")
    parser.add_argument("--width", type=int, default=app.PORTRAIT[0])
    parser.add_argument("--height", type=int, default=app.PORTRAIT[1])
    parser.add_argument("--px-per-mm", type=float)
    options = parser.parse_args(argv)
    size = (options.width, options.height)
    many = options.view == "-"
    lines = sys.stdin if many else [Path(options.view).read_text(encoding="utf-8")]
    for number, line in enumerate(lines, start=1):
        target = options.picture.format(number) if many else options.picture
        image = render(json.loads(line), size=size, px_per_mm=options.px_per_mm)
        if not image.save(target):
            print(f"{target}: not written", file=sys.stderr)  # noqa: T201
            return 1
        if many:
            print(json.dumps({"input": number, "picture": target}), flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
