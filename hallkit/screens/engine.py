"""A QML engine that knows the hall's controls, its icons and the panel's size."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QSize, Qt
from PySide6.QtGui import QImage, QPainter
from PySide6.QtQml import QQmlApplicationEngine, QQmlImageProviderBase
from PySide6.QtQuick import QQuickImageProvider
from PySide6.QtSvg import QSvgRenderer

from hallkit.screens.metrics import px_per_mm

CONTROLS = "hallkit.screens.controls"
HERE = Path(__file__).parent
IMPORT_PATH = HERE.parent.parent
ICONS = HERE / "icons"

_DRAWN_WEIGHT = b'stroke-width="2"'
_DRAWN_COLOUR = b"currentColor"


class IconProvider(QQuickImageProvider):
    """Draws `image://icons/<name>/<rrggbb>/<weight>` from the set's SVG files.

    Images, not shapes: the software renderer does not clip shapes at a list's edge, and copies an
    image faster than it strokes a path.
    """

    def __init__(self) -> None:
        super().__init__(QQmlImageProviderBase.ImageType.Image)

    def requestImage(  # noqa: N802 (Qt's name)
        self,
        id: str,  # noqa: A002
        size: QSize,  # noqa: ARG002
        requestedSize: QSize,  # noqa: N803
    ) -> QImage:
        """The icon in the colour, size and weight; an empty image for an unknown name."""
        name, colour, weight = id.split("/")
        if requestedSize.isEmpty():
            return QImage(1, 1, QImage.Format.Format_ARGB32_Premultiplied)
        image = QImage(requestedSize, QImage.Format.Format_ARGB32_Premultiplied)
        image.fill(Qt.GlobalColor.transparent)
        file = ICONS / f"{name}.svg"
        if file.is_file():
            drawing = file.read_bytes().replace(_DRAWN_COLOUR, f"#{colour}".encode())
            stroke = f'stroke-width="{float(weight)}"'.encode()
            painter = QPainter(image)
            QSvgRenderer(drawing.replace(_DRAWN_WEIGHT, stroke)).render(painter)
            painter.end()
        return image


def new_engine(
    configured_px_per_mm: float | None = None, *, reduced_motion: bool = False
) -> QQmlApplicationEngine:
    """An engine, ready to load a window that imports `hallkit.screens.controls`."""
    engine = QQmlApplicationEngine()
    engine.addImportPath(str(IMPORT_PATH))
    engine.addImageProvider("icons", IconProvider())
    metrics = engine.singletonInstance(CONTROLS, "ScreenMetrics")
    if not isinstance(metrics, QObject):
        message = f"{CONTROLS} does not load"
        raise TypeError(message)
    metrics.setProperty("pxPerMm", px_per_mm(configured_px_per_mm))
    metrics.setProperty("reducedMotion", reduced_motion)
    return engine
