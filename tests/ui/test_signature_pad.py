"""The field to sign in: what a finger writes is seen, kept in order, and gone once cleared."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPoint, QPointF, QRectF, Qt, QUrl
from PySide6.QtGui import QGuiApplication, QImage, QPainter, QPointingDevice
from PySide6.QtQuick import QQuickItem, QQuickWindow
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtTest import QTest

from hallkit.guide.signing import Verdict, ink_mm, judge, of_pad, svg
from hallkit.lexicon.words import words
from hallkit.model.signature import MOST_MS, MOST_POINTS, MOST_STROKES, Signature
from hallkit.screens.engine import new_engine
from kiosk.ui import app
from tests.ui.panel import PX_PER_MM, Finger, place, visible_items

say = words("zh_CN")
BODY = f"""
    import QtQuick
    import hallkit.screens.controls
    Window {{
        width: 1080; height: 640; color: "#FAFAF7"; visible: true
        SignaturePad {{
            objectName: "pad"
            property string given
            x: 40; y: 40; width: 1000; height: 560
            fieldLabel: "{say("signature.field")}"
            againLabel: "{say("signature.again")}"
            doneLabel: "{say("signature.done")}"
            onFinished: (strokes, wide, high) => given = JSON.stringify([strokes, wide, high])
        }}
    }}
"""
KING = ((20, 12, 80, 0), (28, 44, 64, 0), (60, 12, 0, 64), (12, 76, 96, 0))
"""王: each stroke's beginning and way, in millimetres of the field."""


class Pad:
    """The control on a window, and a finger."""

    def __init__(self, window: QQuickWindow, device: QPointingDevice) -> None:
        self.window = window
        self.device = device
        self.finger = Finger(window, device)

    def item(self, name: str) -> QQuickItem:
        [found] = [i for i in visible_items(self.window.contentItem()) if i.objectName() == name]
        return found

    def at(self, x_mm: float, y_mm: float) -> QPointF:
        return place(self.item("field")).topLeft() + QPointF(x_mm, y_mm) * PX_PER_MM

    def write(self, *strokes: tuple[float, float, float, float]) -> None:
        for x, y, dx, dy in strokes:
            self.finger.press_at(self.at(x, y))
            self.finger.move(dx, dy)
            self.finger.release()
        QTest.qWait(50)

    def tap(self, name: str) -> None:
        self.finger.tap(self.item(name))
        QTest.qWait(50)

    def image(self) -> QImage:
        field = place(self.item("field")).toRect().adjusted(4, 4, -4, -4)
        return self.window.grabWindow().copy(field)

    def given(self) -> Signature:
        return of_pad(*json.loads(self.item("pad").property("given")))


@pytest.fixture
def pad(qapp: QGuiApplication, touch_panel: QPointingDevice) -> Iterator[Pad]:
    engine = new_engine(PX_PER_MM, reduced_motion=True)
    engine.loadData(BODY.encode(), QUrl.fromLocalFile("/piece.qml"))
    window = engine.rootObjects()[0]
    assert isinstance(window, QQuickWindow)
    QTest.qWait(50)
    yield Pad(window, touch_panel)
    window.close()
    app.close(engine)


def dark(image: QImage) -> list[tuple[int, int]]:
    """Where there is ink; the baseline is too light to count."""
    return [
        (x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).lightness() < 120
    ]


def around(spots: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    across, down = [x for x, _ in spots], [y for _, y in spots]
    return min(across), min(down), max(across), max(down)


def test_an_empty_field_has_a_baseline_and_big_keys_that_wait(pad: Pad) -> None:
    assert dark(pad.image()) == []
    baseline = place(pad.item("baseline"))
    assert place(pad.item("field")).contains(baseline)
    for name in ("action.again", "action.done"):
        key = place(pad.item(name))
        assert min(key.width(), key.height()) >= 20 * PX_PER_MM
        assert not pad.item(name).isEnabled()
        assert not key.intersects(place(pad.item("field")))
    pad.tap("action.done")
    assert pad.item("pad").property("given") == ""


def test_what_is_written_is_seen_where_the_finger_was(pad: Pad) -> None:
    pad.write(*KING)
    left, top, right, bottom = around(dark(pad.image()))
    edge = 4  # what `image` leaves out
    assert left + edge == pytest.approx(12 * PX_PER_MM, abs=4)
    assert top + edge == pytest.approx(12 * PX_PER_MM, abs=4)
    assert right + edge == pytest.approx(108 * PX_PER_MM, abs=4)
    assert bottom + edge == pytest.approx(76 * PX_PER_MM, abs=4)


def test_the_line_is_drawn_while_the_finger_is_still_down(pad: Pad) -> None:
    pad.finger.press_at(pad.at(20, 20))
    pad.finger.move(60, 20)
    QTest.qWait(50)
    seen = len(dark(pad.image()))
    assert seen > 100
    pad.finger.move(40, 0)
    QTest.qWait(50)
    assert len(dark(pad.image())) > seen
    pad.finger.release()


def test_the_strokes_are_given_in_millimetres_and_in_order(pad: Pad) -> None:
    pad.write(*KING)
    pad.tap("action.done")
    given = pad.given()
    assert ink_mm(given) == pytest.approx(80 + 64 + 64 + 96, abs=2)
    assert (given.width_mm, given.height_mm) == pytest.approx(
        (1000 / PX_PER_MM, place(pad.item("field")).height() / PX_PER_MM), abs=0.01
    )
    for stroke, (x, y, dx, dy) in zip(given.strokes, KING, strict=True):
        first, last = stroke.points[0], stroke.points[-1]
        assert (first.x_mm, first.y_mm) == pytest.approx((x, y), abs=0.5)
        assert (last.x_mm, last.y_mm) == pytest.approx((x + dx, y + dy), abs=0.5)
    assert given.strokes[0].points[0].t_ms == 0
    assert dark(pad.image()), "it stands there until it is cleared"


def test_the_drawing_looks_as_it_was_written(pad: Pad) -> None:
    pad.write(*KING)
    pad.tap("action.done")
    field = place(pad.item("field"))
    image = QImage(field.size().toSize(), QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.white)
    painter = QPainter(image)
    QSvgRenderer(svg(pad.given()).encode()).render(painter, QRectF(image.rect()))
    painter.end()
    seen = around(dark(pad.image()))
    assert around(dark(image)) == pytest.approx([place + 4 for place in seen], abs=4)


def test_again_takes_everything_back(pad: Pad) -> None:
    pad.write(*KING)
    pad.tap("action.again")
    assert dark(pad.image()) == []
    assert not pad.item("action.done").isEnabled()
    pad.write(KING[0])
    pad.tap("action.done")
    [stroke] = pad.given().strokes
    assert stroke.points[0].t_ms == 0


def test_a_dot_is_seen(pad: Pad) -> None:
    pad.finger.press_at(pad.at(50, 30))
    pad.finger.release()
    QTest.qWait(50)
    assert 1 <= len(dark(pad.image())) < 60
    pad.tap("action.done")
    assert judge(pad.given()) is Verdict.TOO_SHORT


def test_a_mouse_does_not_write(pad: Pad) -> None:
    start = pad.at(30, 30).toPoint()
    QTest.mousePress(pad.window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, start)
    QTest.mouseMove(pad.window, start + QPoint(200, 50))
    QTest.mouseRelease(pad.window, Qt.MouseButton.LeftButton)
    QTest.qWait(50)
    assert dark(pad.image()) == []
    assert not pad.item("action.done").isEnabled()


def test_the_hand_beside_the_finger_does_not_write(pad: Pad) -> None:
    pen, hand = pad.at(30, 20), pad.at(100, 60)

    def both(event: str, right: float) -> None:
        touch = QTest.touchEvent(pad.window, pad.device)
        way = QPointF(right, 0) * PX_PER_MM
        touch.move(0, (pen + way).toPoint(), pad.window)
        getattr(touch, event)(1, (hand + way).toPoint(), pad.window).commit()
        QTest.qWait(5)

    pad.finger.press_at(pen)
    both("press", 0)
    for step in range(1, 6):
        both("move", 6 * step)
    both("release", 30)
    pad.finger.release()
    QTest.qWait(50)
    pad.tap("action.done")
    [stroke] = pad.given().strokes
    assert {round(point.y_mm) for point in stroke.points} == {20}
    assert max(point.x_mm for point in stroke.points) == pytest.approx(60, abs=0.5)


def test_beside_the_field_the_line_ends_and_begins_anew(pad: Pad) -> None:
    pad.finger.press_at(pad.at(20, 20))
    pad.finger.move(0, -40)
    pad.finger.move(20, 0)
    pad.finger.move(0, 40)
    pad.finger.release()
    QTest.qWait(50)
    pad.tap("action.done")
    down, up = pad.given().strokes
    assert {round(point.x_mm) for point in down.points} == {20}
    assert {round(point.x_mm) for point in up.points} == {40}


def test_another_size_draws_it_anew(pad: Pad) -> None:
    pad.write(*KING)
    before = around(dark(pad.image()))
    pad.item("pad").setHeight(500)
    QTest.qWait(80)
    assert around(dark(pad.image())) == before


def test_it_takes_no_more_than_a_signature_may_hold(pad: Pad) -> None:
    control = pad.item("pad")
    assert control.property("mostPoints") <= MOST_POINTS
    assert control.property("mostStrokes") <= MOST_STROKES
    assert control.property("mostMs") <= MOST_MS


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize("verdict", [one for one in Verdict if one is not Verdict.SIGNATURE])
def test_each_refusal_has_its_words(language: str, verdict: Verdict) -> None:
    assert words(language).has(f"signature.{verdict.value}")  # type: ignore[arg-type]  # one of both
