"""What somebody does on the accessible key panel of a terminal."""

from __future__ import annotations

from enum import StrEnum


class PanelAction(StrEnum):
    """A press by its meaning, not by its key; and headphones plugged in or out."""

    UP = "up"
    DOWN = "down"
    LEFT = "left"
    RIGHT = "right"
    CONFIRM = "confirm"
    BACK = "back"
    HELP = "help"
    """A person is wanted, or says how this works."""
    REPEAT = "repeat"
    """Say that again."""
    VOLUME_UP = "volume_up"
    VOLUME_DOWN = "volume_down"
    HEADPHONES_IN = "headphones_in"
    """From now on what is said is for one ear only."""
    HEADPHONES_OUT = "headphones_out"
    DIGIT_0 = "digit_0"
    DIGIT_1 = "digit_1"
    DIGIT_2 = "digit_2"
    DIGIT_3 = "digit_3"
    DIGIT_4 = "digit_4"
    DIGIT_5 = "digit_5"
    DIGIT_6 = "digit_6"
    DIGIT_7 = "digit_7"
    DIGIT_8 = "digit_8"
    DIGIT_9 = "digit_9"

    @property
    def goes_on(self) -> bool:
        """Held down, it is done again and again."""
        return self in _GO_ON


_GO_ON = frozenset(
    {
        PanelAction.UP,
        PanelAction.DOWN,
        PanelAction.LEFT,
        PanelAction.RIGHT,
        PanelAction.VOLUME_UP,
        PanelAction.VOLUME_DOWN,
    }
)
