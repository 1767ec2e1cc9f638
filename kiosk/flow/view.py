"""What the service tells the screen to draw: words and states, nothing to decide.

The UI process gets it as JSON: in the snapshot as `view`, later as event `view`. It answers with
requests `tap {action, value, seq}` (of the view that was tapped on), `text {value}` (the field on
the screen as it stands now) and `shown {seq}`. QML holds no words: every text on the screen stands
here, spoken-ready.
"""

from __future__ import annotations

from typing import Literal

from hallkit.wire.base import Message

SERVER = "kiosk.service"
TAP = "tap"
TEXT = "text"
SHOWN = "shown"
VIEW = "view"
SESSION_OVER = "session_over"
"""Event: nothing of this visit is wanted any more; the screen process ends itself."""

Tone = Literal["plain", "done", "attention", "fault"]
ScreenName = Literal[
    "home",
    "find",
    "question",
    "materials",
    "card",
    "identity",
    "confirm",
    "ticket",
    "message",
]


class Action(Message):
    """A button. `id` is what the tap sends."""

    id: str
    label: str
    value: str = ""
    icon: str = ""
    """Name of an icon of the set in `hallkit/screens/icons`."""
    enabled: bool = True


class Choice(Message):
    """A whole card to tap; the tap sends action `choose` with `value`."""

    value: str
    title: str
    detail: str = ""
    icon: str = ""
    badge: str = ""
    """A short word at the edge, for example 秒批 or 约等10分钟."""
    badge_tone: Tone = "plain"
    enabled: bool = True
    toggles: bool = False
    """Tapping it ticks it and stays on the page."""
    picked: bool = False
    """Ticked."""


class Row(Message):
    """A line of a list or of a summary."""

    label: str
    value: str = ""
    detail: str = ""
    mark: str = ""
    """A short word at the edge: 免提交, 原件."""
    tone: Tone = "plain"


class Notice(Message):
    """What a person should know now; shape, word and colour say the same."""

    tone: Tone
    text: str
    detail: str = ""


class Countdown(Message):
    """The question whether somebody is still there."""

    text: str
    seconds_left: int
    stay: Action
    leave: Action


class Chrome(Message):
    """The bands that stand on every screen."""

    hall_name: str
    time_text: str
    waits_text: str = ""
    """Live waits with their age, for example `现在共 12 人等候 · 1分钟前`."""
    machine_notice: Notice | None = None
    """What this machine can't do right now."""
    help: tuple[Action, ...] = ()
    """Same place on every screen: 大字, 语音, English, 呼叫帮办 (only what works)."""
    large_type: bool = False


class View(Message):
    """One screen. Each QML screen uses the fields that its anatomy has."""

    seq: int = 0
    screen: ScreenName
    chrome: Chrome
    step_text: str = ""
    """Where am I: `第 2 步,共 4 步`."""
    title: str
    why: str = ""
    """One sentence of why, or what to do."""
    choices: tuple[Choice, ...] = ()
    """At most six."""
    rows: tuple[Row, ...] = ()
    notice: Notice | None = None
    primary: Action | None = None
    secondary: Action | None = None
    back: Action | None = None
    page: int = 0
    pages: int = 1
    """Lists page; the pager's taps send `page` with the page number."""
    pager_text: str = ""
    previous: Action | None = None
    next: Action | None = None
    # find
    query: str = ""
    placeholder: str = ""
    keys: tuple[tuple[str, ...], ...] = ()
    """Rows of letter keys of the keyboard."""
    key_delete: str = ""
    key_clear: str = ""
    none_of_these: Action | None = None
    # card
    progress_text: str = ""
    # ticket
    big_text: str = ""
    """The number, drawn as large as fits."""
    countdown: Countdown | None = None
