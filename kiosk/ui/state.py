"""The view as QML sees it: one property per field, changed one by one.

A clock that ticks must not rebuild the card under a finger: a field tells of a change only when
its value differs. What the person types is theirs: it stands at once, and the service's echo is
taken over only when it has caught up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from PySide6.QtCore import Property, QObject, Signal, Slot
from PySide6.QtQml import QmlElement

QML_IMPORT_NAME = "kiosk.ui"
QML_IMPORT_MAJOR_VERSION = 1

# PySide takes a C++ type by its name; its stubs only know classes.
QVariantMap = cast("type", "QVariantMap")
QVariantList = cast("type", "QVariantList")

Ask = Callable[[str, Mapping[str, Any]], bool]
"""Sends a request to the service; False when nobody is there."""

ECHO_PATIENCE_S = 2.0
"""After this long without typing the service's text is taken, whatever was typed."""
TYPED_LIMIT = 40

DOUBLE_TAP_S = 0.35
"""A tap so soon after another was meant for the page that the other one was made on."""


class ScreenWords(NamedTuple):
    """The few words that stand on the screen when the service can't say any."""

    recovering_title: str = ""
    recovering_text: str = ""
    earlier: str = ""
    later: str = ""


NO_WORDS = ScreenWords()

_BACKWARD = frozenset({"back", "home", "previous", "restart"})


@QmlElement
class KioskView(QObject):
    """What the service says, what the finger does."""

    bands_changed = Signal()
    help_changed = Signal()
    page_changed = Signal()
    choices_changed = Signal()
    rows_changed = Signal()
    keys_changed = Signal()
    actions_changed = Signal()
    countdown_changed = Signal()
    typed_changed = Signal()
    connected_changed = Signal()
    place_changed = Signal()

    def __init__(
        self,
        ask: Ask,
        words: ScreenWords = NO_WORDS,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._ask = ask
        self._words = words
        self._view: dict[str, Any] = {}
        self._chrome: dict[str, Any] = {}
        self._connected = False
        self._direction = 1
        self._turning = False
        self._typed = ""
        self._unechoed_since: float | None = None
        self._pressed_at: float | None = None
        self._tapped_at = -DOUBLE_TAP_S
        self._tapped_on: tuple[str, ...] = ()
        self._unshown_since: float | None = None

    # What the service says

    def show(self, view: Mapping[str, Any]) -> None:
        """Take over a view; only what differs tells of its change."""
        old, old_chrome = self._view, self._chrome
        self._view = dict(view)
        self._chrome = self._view.get("chrome") or {}
        self._follow_typing(moved=old.get("screen") != self._view.get("screen"))
        if _place(old) != _place(self._view):
            self._direction = -1 if self._turning else 1
            self._turning = False
            self.place_changed.emit()
        if _differ(old_chrome, self._chrome, "help"):
            self.help_changed.emit()
        if old_chrome != self._chrome:
            self.bands_changed.emit()
        for name, signal in (
            ("choices", self.choices_changed),
            ("rows", self.rows_changed),
            ("keys", self.keys_changed),
            ("countdown", self.countdown_changed),
        ):
            if _differ(old, self._view, name):
                signal.emit()
        if any(_differ(old, self._view, name) for name in _ACTIONS):
            self.actions_changed.emit()
        if any(_differ(old, self._view, name) for name in _PLAIN):
            self.page_changed.emit()
        if old.get("seq") != self._view.get("seq"):
            self._unshown_since = time.monotonic()

    def set_connected(self, value: bool) -> None:
        if value is not self._connected:
            self._connected = value
            self.connected_changed.emit()

    def frame_shown(self) -> bool:
        """A frame is on the panel: report the first one of each view. True if it was one."""
        if self._unshown_since is None:
            return False
        since = self._unshown_since if self._pressed_at is None else self._pressed_at
        self._unshown_since = self._pressed_at = None
        milliseconds = round((time.monotonic() - since) * 1000, 1)
        self._ask("shown", {"seq": self._seq(), "ms": milliseconds})
        return True

    # What the finger does

    @Slot(QVariantMap)
    def tap(self, action: Mapping[str, Any]) -> None:
        """A button was tapped; `action` is the view's own."""
        self._tap(str(action["id"]), str(action.get("value", "")))

    @Slot(str)
    def choose(self, value: str) -> None:
        self._tap("choose", value)

    @Slot(str)
    def type(self, letter: str) -> None:
        if len(self._typed) < TYPED_LIMIT:
            self._edit(self._typed + letter)

    @Slot()
    def erase(self) -> None:
        self._edit(self._typed[:-1])

    @Slot()
    def clear(self) -> None:
        self._edit("")

    def _tap(self, action: str, value: str) -> None:
        now, page = time.monotonic(), _place(self._view)
        doubled = now - self._tapped_at < DOUBLE_TAP_S and page != self._tapped_on
        self._tapped_at = now
        if doubled:
            return
        self._tapped_on = page
        previous = self._view.get("previous") or {}
        self._turning = action in _BACKWARD or (
            bool(previous)
            and (action, value) == (previous.get("id"), str(previous.get("value", "")))
        )
        self._pressed_at = now
        self._ask("tap", {"action": action, "value": value, "seq": self._seq()})

    def _edit(self, text: str) -> None:
        if text == self._typed:
            return
        self._typed = text
        self._unechoed_since = self._pressed_at = time.monotonic()
        self.typed_changed.emit()
        self._ask("text", {"value": text})

    def _follow_typing(self, *, moved: bool) -> None:
        """Take the service's text, unless the person is ahead of it."""
        echoed = str(self._view.get("query", ""))
        since = self._unechoed_since
        ahead = since is not None and time.monotonic() - since < ECHO_PATIENCE_S
        if echoed != self._typed and ahead and not moved:
            return
        self._unechoed_since = None
        if echoed != self._typed:
            self._typed = echoed
            self.typed_changed.emit()

    def _paged(self) -> bool:
        return int(self._view.get("pages", 1)) > 1

    def _seq(self) -> int:
        return int(self._view.get("seq", 0))

    def _text(self, name: str) -> str:
        return str(self._view.get(name) or "")

    def _map(self, name: str) -> dict[str, Any]:
        return cast("dict[str, Any]", self._view.get(name) or {})

    def _list(self, name: str) -> list[Any]:
        return cast("list[Any]", self._view.get(name) or [])

    # Bands

    @Property(str, notify=bands_changed)
    def hallName(self) -> str:  # noqa: N802 (a QML name, as are those below)
        return str(self._chrome.get("hall_name", ""))

    @Property(str, notify=bands_changed)
    def timeText(self) -> str:  # noqa: N802
        return str(self._chrome.get("time_text", ""))

    @Property(str, notify=bands_changed)
    def waitsText(self) -> str:  # noqa: N802
        return str(self._chrome.get("waits_text", ""))

    @Property(QVariantMap, notify=bands_changed)
    def machineNotice(self) -> dict[str, Any]:  # noqa: N802
        return cast("dict[str, Any]", self._chrome.get("machine_notice") or {})

    @Property(bool, notify=bands_changed)
    def largeType(self) -> bool:  # noqa: N802
        return bool(self._chrome.get("large_type", False))

    @Property(QVariantList, notify=help_changed)
    def help(self) -> list[Any]:
        return cast("list[Any]", self._chrome.get("help") or [])

    # The page

    @Property(str, notify=place_changed)
    def screen(self) -> str:
        return self._text("screen")

    @Property(str, notify=place_changed)
    def place(self) -> str:
        """Differs where a person would say: this is another page."""
        return "|".join(_place(self._view))

    @Property(int, notify=place_changed)
    def direction(self) -> int:
        """1 when the visit went on to this page, -1 when it came back to it."""
        return self._direction

    @Property(str, notify=page_changed)
    def stepText(self) -> str:  # noqa: N802
        return self._text("step_text")

    @Property(str, notify=page_changed)
    def title(self) -> str:
        return self._text("title")

    @Property(str, notify=page_changed)
    def why(self) -> str:
        return self._text("why")

    @Property(QVariantMap, notify=page_changed)
    def notice(self) -> dict[str, Any]:
        return self._map("notice")

    @Property(str, notify=page_changed)
    def pagerText(self) -> str:  # noqa: N802
        return self._text("pager_text")

    @Property(str, notify=page_changed)
    def placeholder(self) -> str:
        return self._text("placeholder")

    @Property(str, notify=page_changed)
    def keyDelete(self) -> str:  # noqa: N802
        return self._text("key_delete")

    @Property(str, notify=page_changed)
    def keyClear(self) -> str:  # noqa: N802
        return self._text("key_clear")

    @Property(str, notify=page_changed)
    def progressText(self) -> str:  # noqa: N802
        return self._text("progress_text")

    @Property(str, notify=page_changed)
    def bigText(self) -> str:  # noqa: N802
        return self._text("big_text")

    @Property(QVariantList, notify=choices_changed)
    def choices(self) -> list[Any]:
        return self._list("choices")

    @Property(QVariantList, notify=rows_changed)
    def rows(self) -> list[Any]:
        return self._list("rows")

    @Property(QVariantList, notify=keys_changed)
    def keys(self) -> list[Any]:
        return self._list("keys")

    # Actions

    @Property(QVariantMap, notify=actions_changed)
    def primary(self) -> dict[str, Any]:
        return self._map("primary")

    @Property(QVariantMap, notify=actions_changed)
    def secondary(self) -> dict[str, Any]:
        return self._map("secondary")

    @Property(QVariantMap, notify=actions_changed)
    def back(self) -> dict[str, Any]:
        return self._map("back")

    @Property(QVariantMap, notify=actions_changed)
    def previous(self) -> dict[str, Any]:
        return self._map("previous") if self._paged() else {}

    @Property(QVariantMap, notify=actions_changed)
    def next(self) -> dict[str, Any]:
        return self._map("next") if self._paged() else {}

    @Property(QVariantMap, notify=actions_changed)
    def noneOfThese(self) -> dict[str, Any]:  # noqa: N802
        return self._map("none_of_these")

    @Property(QVariantMap, notify=countdown_changed)
    def countdown(self) -> dict[str, Any]:
        return self._map("countdown")

    # The screen's own state

    @Property(str, notify=typed_changed)
    def typed(self) -> str:
        """The field on the screen as the person left it."""
        return self._typed

    @Property(bool, notify=connected_changed)
    def connected(self) -> bool:
        return self._connected

    @Property(str, constant=True)
    def recoveringTitle(self) -> str:  # noqa: N802
        return self._words.recovering_title

    @Property(str, constant=True)
    def recoveringText(self) -> str:  # noqa: N802
        return self._words.recovering_text

    @Property(str, constant=True)
    def earlier(self) -> str:
        """The word on the button that steps an overlong page back."""
        return self._words.earlier

    @Property(str, constant=True)
    def later(self) -> str:
        return self._words.later


_ACTIONS = ("primary", "secondary", "back", "previous", "next", "pages", "none_of_these")
_PLAIN = (
    "step_text",
    "title",
    "why",
    "notice",
    "pager_text",
    "placeholder",
    "key_delete",
    "key_clear",
    "progress_text",
    "big_text",
)


def _place(view: Mapping[str, Any]) -> tuple[str, ...]:
    """Two views of one place are one page to a person."""
    return tuple(str(view.get(name, "")) for name in ("screen", "step_text", "title", "page"))


def _differ(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> bool:
    return (old.get(name) or None) != (new.get(name) or None)
