"""Every screen, on every panel, in both sizes of type: what is drawn, and what a finger does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QAccessible, QGuiApplication
from PySide6.QtQuick import QQuickItem
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from hallkit.screens.engine import new_engine
from kiosk.ui.state import DOUBLE_TAP_S
from tests.ui.panel import (
    LANDSCAPE,
    PORTRAIT,
    PX_PER_MM,
    SETTLE_MS,
    GetFinger,
    OpenScreen,
    Screen,
    place,
    sample,
    sample_names,
)

PANELS = {"portrait": PORTRAIT, "landscape": LANDSCAPE}

types = pytest.mark.parametrize("large", [False, True], ids=["normal", "large"])


class LaidOut(NamedTuple):
    """A sample on a panel, in one size of type."""

    name: str
    size: tuple[int, int]
    large: bool
    screen: Screen


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((name, panel, large), id=f"{name}-{panel}-{'large' if large else 'normal'}")
        for name in sample_names()
        for panel in PANELS
        for large in (False, True)
    ],
)
def laid_out(request: pytest.FixtureRequest, qapp: QGuiApplication) -> Iterator[LaidOut]:
    name, panel, large = request.param
    engine = new_engine(PX_PER_MM, reduced_motion=True)
    screen = Screen(engine, PANELS[panel], settle_ms=50)
    screen.show(sample(name, large=large))
    yield LaidOut(name, PANELS[panel], large, screen)
    screen.close(engine)


MODAL = {"action.stay", "action.leave"}


def is_text(item: QQuickItem) -> bool:
    return item.property("contentWidth") is not None and item.property("lineCount") is not None


def control_of(item: QQuickItem) -> QQuickItem | None:
    holder = item.parentItem()
    while holder is not None:
        if holder.objectName().startswith(("action.", "choice.", "key.", "step.")):
            return holder
        holder = holder.parentItem()
    return None


def whole(item: QQuickItem) -> QRectF:
    return item.mapRectToScene(QRectF(0, 0, item.width(), item.height()))


def drawn(item: QQuickItem) -> QRectF:
    """Where the letters of a text stand."""
    width, height = item.property("contentWidth"), item.property("contentHeight")
    return item.mapRectToScene(QRectF(0, 0, width, height))


def test_no_text_overflows(laid_out: LaidOut) -> None:
    screen, size = laid_out.screen, laid_out.size
    texts = [item for item in screen.items() if is_text(item) and item.property("text")]
    assert len(texts) > 4
    for item in texts:
        text = item.property("text")
        assert not item.property("truncated"), text
        assert item.property("contentWidth") <= item.width() + 1, text
        assert item.property("contentHeight") <= item.height() + 1, text
        on_window = place(item)
        assert on_window.left() >= 0, text
        assert on_window.right() <= size[0], text
        assert on_window.bottom() <= size[1], text
        control = control_of(item)
        if control is not None:
            inside = whole(control)
            letters = whole(item)
            assert inside.adjusted(-1, -1, 1, 1).contains(letters), text


def test_no_text_covers_another(laid_out: LaidOut) -> None:
    screen = laid_out.screen
    if laid_out.name == "countdown":
        pytest.skip("the question stands before its page")
    texts = [item for item in screen.items() if is_text(item) and item.property("text")]
    for one, other in itertools.combinations(texts, 2):
        common = (
            drawn(one).intersected(place(one)).intersected(drawn(other).intersected(place(other)))
        )
        assert common.height() < 2 or common.width() < 2, (
            one.property("text"),
            other.property("text"),
        )


def test_targets_are_large_and_apart(laid_out: LaidOut) -> None:
    screen, large = laid_out.screen, laid_out.large
    controls = screen.controls()
    if laid_out.name == "countdown":
        controls = [item for item in controls if item.objectName() in MODAL]
    closed = laid_out.name.startswith("closed")  # there nothing can be tapped
    assert bool(controls) is not closed
    for item in controls:
        key = item.objectName().startswith("key.")
        least = 25 if large and not key else 20
        rect = whole(item)
        assert rect.width() >= least * PX_PER_MM - 1, item.objectName()
        assert rect.height() >= least * PX_PER_MM - 1, item.objectName()
    for one, other in itertools.combinations(controls, 2):
        a, b = place(one), place(other)
        if a.isEmpty() or b.isEmpty():  # stepped out of a list's window
            continue
        across = max(a.left(), b.left()) - min(a.right(), b.right())
        down = max(a.top(), b.top()) - min(a.bottom(), b.bottom())
        assert max(across, down) >= 3 * PX_PER_MM - 0.5, (one.objectName(), other.objectName())


def test_controls_say_what_they_are(laid_out: LaidOut) -> None:
    for item in laid_out.screen.controls():
        interface = QAccessible.queryAccessibleInterface(item)
        assert interface is not None, item.objectName()
        assert interface.role() is QAccessible.Role.Button
        label = item.property("label")
        assert label
        assert interface.text(QAccessible.Text.Name) == label


def test_texts_can_be_read_aloud(open_screen: OpenScreen) -> None:
    screen = open_screen(sample("ticket"))
    spoken = set()
    for item in screen.items():
        if is_text(item):
            interface = QAccessible.queryAccessibleInterface(item)
            if interface is not None:
                spoken.add(interface.text(QAccessible.Text.Name))
    view = sample("ticket")
    assert {view["title"], view["why"], view["big_text"], view["notice"]["text"]} <= spoken
    assert {row["value"] for row in view["rows"]} <= spoken


def actions_of(view: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("primary", "secondary", "back", "none_of_these")
    found = [view[name] for name in names if name in view]
    return [action for action in (*found, *view["chrome"]["help"]) if action.get("enabled", True)]


@pytest.mark.parametrize("name", [n for n in sample_names() if n != "countdown"])
@types
def test_a_tap_sends_what_the_view_says(
    open_screen: OpenScreen, finger: GetFinger, name: str, large: bool
) -> None:
    view = sample(name, large=large)
    screen = open_screen(view)
    hand = finger(screen)
    expected = []
    for action in actions_of(view):
        hand.tap(screen.item(f"action.{action['id']}"))
        expected.append(
            {"action": action["id"], "value": action.get("value", ""), "seq": view["seq"]}
        )
    for choice in view.get("choices", ()):
        hand.tap(screen.item(f"choice.{choice['value']}"))
        if choice.get("enabled", True):
            expected.append({"action": "choose", "value": choice["value"], "seq": view["seq"]})
    assert screen.taps == expected


def test_the_pager_sends_its_page(open_screen: OpenScreen, finger: GetFinger) -> None:
    screen = open_screen(sample("materials"))
    finger(screen).tap(screen.item("action.page.1"))
    finger(screen).tap(screen.item("action.page.0"))  # the first page has none before it
    assert screen.taps == [{"action": "page", "value": "1", "seq": 4}]


def test_one_page_has_no_pager(open_screen: OpenScreen) -> None:
    screen = open_screen({**sample("materials"), "pages": 1})
    assert not [item for item in screen.controls() if item.objectName().startswith("action.page")]


def test_while_asked_whether_one_is_there_only_the_answer_counts(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    screen = open_screen(sample("countdown"))
    hand = finger(screen)
    hand.tap(screen.item("action.take_ticket"))
    hand.tap(screen.item("action.call_staff"))
    assert screen.taps == []
    hand.tap(screen.item("action.stay"))
    assert [tap["action"] for tap in screen.taps] == ["stay"]


def test_a_drag_is_no_tap(open_screen: OpenScreen, finger: GetFinger) -> None:
    screen = open_screen(sample("question"))
    card, hand = screen.item("choice.packed"), finger(screen)
    hand.press(card)
    hand.move(60, 0)  # still on the card
    assert not card.property("down")
    hand.release()
    hand.press(card)
    hand.move(0, 100)  # off the card
    hand.release()
    hand.press(card)
    hand.move(40, 0)  # away and back
    hand.move(-40, 0)
    hand.release()
    assert screen.taps == []


def test_a_trembling_finger_taps(open_screen: OpenScreen, finger: GetFinger) -> None:
    screen = open_screen(sample("question"))
    hand = finger(screen)
    hand.press(screen.item("choice.packed"))
    hand.move(4, 3)
    hand.move(-2, -5)
    hand.release()
    assert [tap["value"] for tap in screen.taps] == ["packed"]


def test_a_long_press_is_a_tap(open_screen: OpenScreen, finger: GetFinger) -> None:
    screen = open_screen(sample("question"))
    hand = finger(screen)
    hand.press(screen.item("choice.packed"))
    QTest.qWait(1_500)
    hand.release()
    assert [tap["value"] for tap in screen.taps] == ["packed"]


def test_a_finger_that_lands_beside_still_means_the_card(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    screen = open_screen(sample("question"))
    below = place(screen.item("choice.packed"))
    hand = finger(screen)
    hand.press_at(QPointF(below.center().x(), below.bottom() + 1.0 * PX_PER_MM))
    hand.release()
    assert [tap["value"] for tap in screen.taps] == ["packed"]


def test_a_press_shows_within_a_frame(
    open_screen: OpenScreen, finger: GetFinger, qtbot: QtBot
) -> None:
    screen = open_screen(sample("question"))
    card, hand = screen.item("choice.packed"), finger(screen)
    spot = (place(card).topLeft() + QPointF(20, 20)).toPoint()
    delays = []
    for _ in range(10):
        before = screen.window.grabWindow().pixelColor(spot)
        frames = []
        connection = screen.window.frameSwapped.connect(lambda f=frames: f.append(time.monotonic()))
        start = time.monotonic()
        hand.press(card)
        qtbot.waitUntil(lambda f=frames: bool(f), timeout=1_000)
        delays.append(frames[0] - start)
        assert screen.window.grabWindow().pixelColor(spot) != before
        screen.window.disconnect(connection)
        hand.release()
        QTest.qWait(30)
    assert sorted(delays)[5] < 0.05
    assert max(delays) < 0.1


def test_a_ticking_clock_leaves_the_pressed_card_alone(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    view = sample("question")
    screen = open_screen(view)
    card, hand = screen.item("choice.packed"), finger(screen)
    hand.press(card)
    later = {**sample("question"), "seq": view["seq"] + 1}
    later["chrome"]["time_text"] = "周二 10:25"
    screen.show(later)
    assert screen.item("choice.packed") is card
    assert card.property("down")
    hand.release()
    assert [tap["value"] for tap in screen.taps] == ["packed"]
    assert "10:25" in screen.item("timeText").property("words")


def test_a_second_tap_does_not_hit_what_slid_under_it(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    screen = open_screen(sample("card"))
    hand = finger(screen)
    hand.tap(screen.item("action.back"))
    spot = place(screen.item("action.back")).center()
    screen.view.show(sample("find"))  # its way back stands where the finger is
    QTest.qWait(20)
    hand.press_at(spot)
    hand.release()
    assert len(screen.taps) == 1
    QTest.qWait(round(DOUBLE_TAP_S * 1000) + 50)
    hand.tap(screen.item("action.back"))
    assert len(screen.taps) == 2


@pytest.mark.parametrize("moves", [True, False], ids=["sliding", "reduced motion"])
def test_a_double_tap_on_an_answer_answers_one_question(
    qapp: QGuiApplication, finger: GetFinger, *, moves: bool
) -> None:
    engine = new_engine(PX_PER_MM, reduced_motion=not moves)
    screen = Screen(engine)
    try:
        screen.show(sample("question"))
        hand, answer = finger(screen), place(screen.item("choice.packed")).center()
        another = {**sample("question"), "title": "第二个问题", "seq": 8}
        hand.press_at(answer)
        hand.release()
        screen.view.show(another)  # before the finger comes down again
        QTest.qWait(150)
        for _ in range(2):  # an unsteady hand taps three times
            hand.press_at(answer)
            hand.release()
        assert len(screen.taps) == 1
        QTest.qWait(round(DOUBLE_TAP_S * 1000) + 50)
        hand.press_at(answer)
        hand.release()
        assert [tap["seq"] for tap in screen.taps] == [sample("question")["seq"], 8]
    finally:
        screen.close(engine)


def test_fast_letters_are_never_taken_for_a_double_tap(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    view = sample("find-empty")
    screen = open_screen(view)
    hand = finger(screen)
    letters = "kfdkkfddkf"
    for typed, letter in enumerate(letters, start=1):
        hand.tap(screen.item(f"key.{letter}"))
        # The service is two letters behind, as a slow one is.
        screen.view.show({**view, "seq": 10 + typed, "query": letters[: max(0, typed - 2)]})
    assert screen.texts == [letters[:end] for end in range(1, 11)]
    assert screen.item("query").property("words") == letters


def test_what_is_closed_looks_closed_and_sends_nothing(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    """While a number is on its way: the service would ignore it, so nobody is invited."""

    def confirm(*, ways_out: bool) -> dict[str, Any]:
        view = sample("confirm")
        home = {"id": "home", "label": "回首页", "icon": "home", "enabled": ways_out}
        view["chrome"]["help"].insert(0, home)
        view["back"]["enabled"] = ways_out
        return view

    screen = open_screen(confirm(ways_out=True))
    names = ("action.back", "action.home")
    opened = {name: ink_of(screen, name) for name in names}
    screen.show(confirm(ways_out=False))
    for name in names:
        item = screen.item(name)
        assert not item.property("enabled")
        assert ink_of(screen, name) != opened[name]
        finger(screen).tap(item)
    assert screen.taps == []


def ink_of(screen: Screen, name: str) -> str:
    """The colour of the words on a button."""
    return str(screen.item(name).property("inkColor").name())


def test_typing_stands_at_once_and_is_sent(open_screen: OpenScreen, finger: GetFinger) -> None:
    view = sample("find-empty")
    screen = open_screen(view)
    hand = finger(screen)
    for letter in "jz":
        hand.tap(screen.item(f"key.{letter}"))
    assert screen.item("query").property("words") == "jz"
    screen.show({**view, "seq": 10, "query": "j"})  # an older answer
    hand.tap(screen.item("key.z"))
    assert screen.item("query").property("words") == "jzz"
    screen.show({**view, "seq": 11, "query": "jz"})
    assert screen.item("query").property("words") == "jzz"
    screen.show({**view, "seq": 12, "query": "jzz"})
    screen.show({**view, "seq": 13, "query": "jzz8"})  # caught up: the service leads again
    assert screen.item("query").property("words") == "jzz8"
    hand.tap(screen.item("key.delete"))
    hand.tap(screen.item("key.clear"))
    assert screen.texts == ["j", "jz", "jzz", "jzz", ""]


def test_typing_of_the_last_visit_is_gone(open_screen: OpenScreen, finger: GetFinger) -> None:
    screen = open_screen(sample("find-empty"))
    finger(screen).tap(screen.item("key.j"))
    screen.show(sample("home"))
    screen.show(sample("find-empty"))
    assert screen.view.property("typed") == ""


def test_large_type_is_live(open_screen: OpenScreen) -> None:
    screen = open_screen(sample("question"))
    before = screen.item("why").property("size")
    screen.show({**sample("question", large=True), "seq": 20})
    assert screen.item("step").property("size") == round(9 * 1.45 * PX_PER_MM)
    screen.show({**sample("question"), "seq": 21})
    assert screen.item("why").property("size") == before


def test_a_page_taller_than_the_panel_steps_by_buttons(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    screen = open_screen(sample("materials", large=True))
    area, hand = screen.item("overflow"), finger(screen)
    assert not screen.item("step.up").isEnabled()
    hand.tap(screen.item("step.down"))
    QTest.qWait(SETTLE_MS)
    assert area.property("contentY") > 0
    for _ in range(4):
        hand.tap(screen.item("step.down"))
        QTest.qWait(SETTLE_MS)
    assert area.property("atYEnd")
    assert not screen.item("step.down").isEnabled()
    assert screen.taps == []


def test_dragging_a_long_page_scrolls_and_chooses_nothing(
    open_screen: OpenScreen, finger: GetFinger
) -> None:
    view = sample("question", large=True)
    view["choices"] = [
        {"value": str(n), "title": "从事食品生产加工活动的", "detail": "在本市有固定场所" * 3}
        for n in range(6)
    ]
    screen = open_screen(view)
    area, hand = screen.item("overflow"), finger(screen)
    assert area.property("interactive")
    hand.press(screen.item("choice.1"))
    hand.move(0, -30)
    hand.release()
    QTest.qWait(SETTLE_MS)
    assert area.property("contentY") > 0
    assert screen.taps == []


def test_keys_press_what_has_the_focus(open_screen: OpenScreen) -> None:
    screen = open_screen(sample("question"))
    screen.window.requestActivate()
    card = screen.item("choice.canteen")
    card.forceActiveFocus()
    QTest.keyClick(screen.window, Qt.Key.Key_Space)
    QTest.keyClick(screen.window, Qt.Key.Key_Return)
    assert [tap["value"] for tap in screen.taps] == ["canteen", "canteen"]


def test_the_first_frame_of_a_view_is_reported_once(open_screen: OpenScreen) -> None:
    screen = open_screen(sample("home"))
    assert screen.view.frame_shown()
    assert not screen.view.frame_shown()
    screen.show({**sample("home"), "seq": 2})
    assert screen.view.frame_shown()
    names = [(name, args.get("seq")) for name, args in screen.asked]
    assert names == [("shown", 1), ("shown", 2)]
    assert all(args["ms"] >= 0 for _, args in screen.asked)
