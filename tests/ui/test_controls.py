"""The controls one by one, and what the whole rests on: signals that don't lose references."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QGuiApplication, QImage, QPointingDevice
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtQuick import QQuickItem, QQuickWindow
from PySide6.QtTest import QTest

from hallkit.screens.engine import new_engine
from hallkit.screens.tokens import icons
from kiosk.ui import app
from tests.ui.panel import PX_PER_MM, Finger, place, visible_items

LETTERS = '[["q","w","e","r","t","y","u","i","o","p"],["a","s","d"],["z","x","c","v","b","n","m"]]'

Make = Callable[[str], QQuickWindow]


@pytest.fixture
def make(qapp: QGuiApplication) -> Iterator[Make]:
    """Puts a piece of QML on a white window of 337 by 200 millimetres."""
    kept: list[tuple[QQuickWindow, QQmlApplicationEngine]] = []

    def build(body: str) -> QQuickWindow:
        engine = new_engine(PX_PER_MM, reduced_motion=True)
        text = (
            "import QtQuick\nimport hallkit.screens.controls\n"
            'Window { width: 1080; height: 640; color: "white"; visible: true\n' + body + "}"
        )
        engine.loadData(text.encode(), QUrl.fromLocalFile("/piece.qml"))
        window = engine.rootObjects()[0]
        assert isinstance(window, QQuickWindow)
        kept.append((window, engine))
        QTest.qWait(20)
        return window

    yield build
    for window, engine in kept:
        window.close()
        app.close(engine)


def named(window: QQuickWindow, name: str) -> QQuickItem:
    found = [i for i in visible_items(window.contentItem()) if i.objectName() == name]
    assert len(found) == 1, f"{name}: {len(found)}"
    return found[0]


def ink(image: QImage) -> int:
    """How many pixels are not white."""
    step = 2
    return sum(
        image.pixelColor(x, y).lightness() < 200
        for x in range(0, image.width(), step)
        for y in range(0, image.height(), step)
    )


def test_every_icon_draws(make: Make) -> None:
    names = ",".join(f'"{name}"' for name in icons())
    window = make(
        f"Grid {{ columns: 12; spacing: 10; Repeater {{ model: [{names}];"
        "Icon { required property string modelData; name: modelData; size: 64 } } }"
    )
    image = window.grabWindow()
    for index, name in enumerate(icons()):
        column, row = index % 12, index // 12
        assert ink(image.copy(column * 74, row * 74, 64, 64)) > 20, name


def test_an_unknown_icon_draws_nothing_and_warns_of_nothing(make: Make) -> None:
    window = make('Icon { objectName: "it"; name: "../../secret"; size: 64 }')
    assert ink(window.grabWindow()) == 0


def test_an_icon_takes_its_colour(make: Make) -> None:
    window = make('Icon { name: "check"; color: "#A3211A"; size: 200 }')
    image = window.grabWindow()
    colours = {image.pixelColor(x, y).name() for x in range(200) for y in range(0, 200, 4)}
    assert "#a3211a" in colours


def test_ten_keys_fill_the_row_evenly(make: Make) -> None:
    window = make(
        f"KeyPad {{ id: pad; width: 1000; height: implicitHeight; keys: {LETTERS};"
        ' deleteLabel: "删除"; clearLabel: "清空" }'
    )
    row = [place(named(window, f"key.{letter}")) for letter in "qwertyuiop"]
    assert row[0].left() == 0
    assert row[-1].right() == pytest.approx(1000, abs=0.01)
    assert len({round(key.width(), 3) for key in row}) == 1
    assert row[0].width() >= 20 * PX_PER_MM
    for left, right in itertools.pairwise(row):
        assert right.left() - left.right() >= 3 * PX_PER_MM
    last = [place(named(window, f"key.{name}")) for name in (*"zxcvbnm", "clear", "delete")]
    assert len({key.top() for key in last}) == 1
    for one, other in itertools.combinations(last, 2):
        assert not one.intersects(other)


def test_edit_keys_get_their_own_row_where_the_last_one_is_full(make: Make) -> None:
    window = make(
        'KeyPad { width: 1000; height: implicitHeight; keys: [["a","b","c"],["d","e","f"]];'
        ' deleteLabel: "删除"; clearLabel: "清空" }'
    )
    assert place(named(window, "key.clear")).top() > place(named(window, "key.d")).bottom()


@pytest.mark.parametrize(
    ("words", "first_line"),
    [
        ("号码会显示在屏幕上，也可以到隔壁机器打印。", "号码会显示在屏幕上，"),
        ("请到 12 号窗口办理，前面还有 3 人", "请到 12 号窗口办理，"),
        ("房屋租赁合同或者产权证明原件和复印件", None),
    ],
)
def test_text_wraps_at_phrases(make: Make, words: str, first_line: str | None) -> None:
    window = make(f'HallText {{ objectName: "it"; width: 400; words: "{words}" }}')
    text = named(window, "it")
    assert text.property("lineCount") == 2
    assert text.property("contentWidth") <= 400
    if first_line is not None:
        alone = make(f'HallText {{ objectName: "one"; words: "{first_line}" }}')
        assert named(alone, "one").property("implicitWidth") == pytest.approx(
            text.property("contentWidth"), abs=40
        )


def test_a_disabled_button_takes_no_tap(make: Make, touch_panel: QPointingDevice) -> None:
    window = make(
        'HallButton { objectName: "it"; property int taps: 0; enabled: false; label: "取号";'
        " width: 300; height: 80; onActivated: taps += 1 }"
    )
    button = named(window, "it")
    Finger(window, touch_panel).tap(button)
    assert button.property("taps") == 0


def test_the_focus_ring_stands_outside(make: Make) -> None:
    window = make(
        'HallButton { objectName: "it"; label: "取号"; x: 100; y: 100; width: 300; height: 80;'
        " focus: true }"
    )
    window.requestActivate()
    button = named(window, "it")
    button.forceActiveFocus()
    QTest.qWait(30)
    image = window.grabWindow()
    beside = {image.pixelColor(x, 140).name() for x in range(92, 100)}
    assert "#ffb000" in beside


@pytest.mark.parametrize("tone", ["plain", "done", "attention", "fault"])
def test_a_notice_has_shape_word_and_colour(make: Make, tone: str) -> None:
    window = make(
        f'NoticeBar {{ objectName: "it"; tone: "{tone}"; text: "缺纸"; width: 900;'
        " height: implicitHeight }"
    )
    shapes = [
        i.property("name") for i in visible_items(window.contentItem()) if i.property("drawn")
    ]
    assert shapes == [{"plain": "info"}.get(tone, tone)]
    assert named(window, "notice").property("words") == "缺纸"


def test_an_odd_last_card_leaves_no_hole(make: Make) -> None:
    choices = ",".join(f'{{value:"{n}",title:"事项"}}' for n in range(3))
    window = make(f"ChoiceGrid {{ width: 1000; height: 500; columns: 2; choices: [{choices}] }}")
    assert place(named(window, "choice.2")).width() == 1000


def test_signals_keep_their_references(qapp: QGuiApplication) -> None:
    """PySide6 6.12.0 on Python 3.11 loses one reference to True and None an emit and aborts."""

    class Emitter(QObject):
        changed = Signal(int)

    emitter = Emitter()
    seen = []
    emitter.changed.connect(seen.append)
    before = sys.getrefcount(True), sys.getrefcount(None)
    for number in range(100_000):
        emitter.changed.emit(number)
    after = sys.getrefcount(True), sys.getrefcount(None)
    assert len(seen) == 100_000
    assert after[0] >= before[0] - 100
    assert after[1] >= before[1] - 100
