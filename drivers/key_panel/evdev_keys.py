"""Driver `evdev_keys`: key panels that pose as a keyboard (docs/drivers/evdev_keys.md).

Which key means what is configuration. The keyboard is taken away from everybody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from drivers.key_listener import KeyListener
from drivers.registry import DriverSpec, PeripheralConfig
from drivers.transport.evdev import (
    EV_KEY,
    EV_SW,
    PRESSED,
    RELEASED,
    SW_HEADPHONE_INSERT,
    EvdevPort,
    EventWire,
    InputEvent,
    Packet,
)
from hallkit.model.key_panel import PanelAction
from hallkit.runtime.clock import Clock

KEY = "evdev_keys"

KeyCode = Annotated[int, Field(ge=1, le=0x2FF)]
"""A number of linux/input-event-codes.h, as `evtest` shows it."""

USUAL: Mapping[PanelAction, tuple[int, ...]] = {
    PanelAction.UP: (103,),
    PanelAction.DOWN: (108,),
    PanelAction.LEFT: (105,),
    PanelAction.RIGHT: (106,),
    PanelAction.CONFIRM: (28, 96, 0x160, 0x161),  # Enter, of the keypad too; OK, Select
    PanelAction.BACK: (1, 158),  # Esc, Back
    PanelAction.HELP: (59, 138),  # F1, Help
    PanelAction.REPEAT: (60, 129),  # F2, Again
    PanelAction.VOLUME_UP: (115,),
    PanelAction.VOLUME_DOWN: (114,),
    PanelAction.DIGIT_0: (11, 82),  # of the row, of the keypad
    PanelAction.DIGIT_1: (2, 79),
    PanelAction.DIGIT_2: (3, 80),
    PanelAction.DIGIT_3: (4, 81),
    PanelAction.DIGIT_4: (5, 75),
    PanelAction.DIGIT_5: (6, 76),
    PanelAction.DIGIT_6: (7, 77),
    PanelAction.DIGIT_7: (8, 71),
    PanelAction.DIGIT_8: (9, 72),
    PanelAction.DIGIT_9: (10, 73),
}
_AGAIN_S = 1.0
_JACK = {True: PanelAction.HEADPHONES_IN, False: PanelAction.HEADPHONES_OUT}


class EvdevKeysConfig(PeripheralConfig):
    """`[[peripherals]]` entry of a key panel."""

    driver: Literal["evdev_keys"]
    transport: EvdevPort
    keys: dict[PanelAction, tuple[KeyCode, ...]] = {}
    """Action → its keys, in place of the usual ones; none for an action that the panel lacks."""
    bounce_s: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The same key again so soon after it was let go is the same press."""
    repeat_s: Annotated[float, Field(gt=0, le=5)] = 0.25
    """Held down, a key is given no more often than this."""
    open_timeout_s: Annotated[float, Field(gt=0, le=30)] = 1.0

    @model_validator(mode="after")
    def _each_key_means_one_thing(self) -> EvdevKeysConfig:
        told = Counter(key for keys in self.all_keys.values() for key in keys)
        if twice := sorted(key for key, times in told.items() if times > 1):
            raise ValueError(f"key {twice[0]} means two things")
        return self

    @property
    def all_keys(self) -> Mapping[PanelAction, tuple[int, ...]]:
        return {**USUAL, **self.keys}


class EvdevKeys(KeyListener[PanelAction]):
    """A key panel on the input system."""

    _again_s = _AGAIN_S

    def __init__(
        self, config: EvdevKeysConfig, clock: Clock, *, transport: EventWire | None = None
    ) -> None:
        super().__init__(
            config.id,
            port="key_panel",
            key=KEY,
            clock=clock,
            transport=config.transport,
            wire=transport,
            open_timeout_s=config.open_timeout_s,
            gap_s=1.0,  # nothing is ever half said
        )
        self._config = config
        self._actions = {key: action for action, keys in config.all_keys.items() for key in keys}
        self._headphones: bool | None = None
        self._told: bool | None = None
        """How the jack stood when that was last given, or was found at first."""
        self._down: dict[int, float] = {}
        """Keys whose press was taken and that are held, and when each was given last."""
        self._let_go: dict[int, float] = {}

    @property
    def headphones(self) -> bool | None:
        """See `hallkit.ports.key_panel.KeyPanel.headphones`."""
        return self._headphones

    async def next_press(self) -> PanelAction:
        """See `hallkit.ports.key_panel.KeyPanel.next_press`."""
        return await self._next()

    def diagnostics(self) -> Mapping[str, str | int | float]:
        """Counters since start and how the jack stands; never which key."""
        jack = {True: "in", False: "out", None: "unknown"}[self._headphones]
        return {**self._facts("presses", "bounces", "unknown_keys"), "headphones": jack}

    async def _next(self) -> PanelAction:
        action = await super()._next()
        self._counts["presses"] += 1
        return action

    def _take(self) -> PanelAction | None:
        while (action := super()._take()) is not None:
            if action not in _JACK.values():
                return action
            if (is_in := action is PanelAction.HEADPHONES_IN) is not self._told:
                self._told = is_in
                return action
        # Moved while nobody waited: late, for what is said aloud depends on it.
        if self._headphones is None or self._headphones is self._told:
            return None
        self._told = self._headphones
        return _JACK[self._headphones]

    async def _throw_away(self) -> None:
        given = set(self._down)
        await super()._throw_away()
        # A key that was pressed for nobody goes on for nobody.
        self._down = {key: at_s for key, at_s in self._down.items() if key in given}

    def _happened(self, packet: Packet) -> list[PanelAction]:
        actions: list[PanelAction] = []
        for event in packet:
            if event.kind == EV_KEY:
                actions += self._key(event)
            elif (event.kind, event.code) == (EV_SW, SW_HEADPHONE_INSERT):
                actions += self._jack_is(is_in=bool(event.value))
        return actions

    def _events_were_lost(self) -> None:
        self._down.clear()
        self._let_go.clear()

    def _switches_are(self, switches: dict[int, bool]) -> list[PanelAction]:
        if SW_HEADPHONE_INSERT not in switches:
            return []
        is_in = switches[SW_HEADPHONE_INSERT]
        if self._told is None:
            self._told = is_in
        return self._jack_is(is_in=is_in)

    async def _drop(self) -> None:
        await super()._drop()
        self._events_were_lost()
        self._headphones = None

    def _key(self, event: InputEvent) -> list[PanelAction]:
        key, at_s = event.code, event.at_s
        action = self._actions.get(key)
        if action is None:
            self._counts["unknown_keys"] += event.value == PRESSED
            return []
        if event.value == RELEASED:
            self._down.pop(key, None)
            self._let_go[key] = at_s
            return []
        if event.value == PRESSED:
            bounces = 0 <= at_s - self._let_go.get(key, float("-inf")) < self._config.bounce_s
            self._down[key] = at_s
            self._counts["bounces"] += bounces
            return [] if bounces else self._pressed(action)
        is_due = key in self._down and at_s - self._down[key] >= self._config.repeat_s
        if not (action.goes_on and is_due):
            return []
        self._down[key] = at_s
        return [action]

    def _pressed(self, action: PanelAction) -> list[PanelAction]:
        """Some panels tell of their jack by a key."""
        if action in _JACK.values():
            return self._jack_is(is_in=action is PanelAction.HEADPHONES_IN)
        return [action]

    def _jack_is(self, *, is_in: bool) -> list[PanelAction]:
        """News of the jack, or nothing where that was known."""
        before, self._headphones = self._headphones, is_in
        return [_JACK[is_in]] if before is not is_in else []


SPEC = DriverSpec(
    key=KEY,
    port="key_panel",
    config=EvdevKeysConfig,
    open=EvdevKeys,
    simulator="drivers.sim.evdev",
    family="accessible key panels that pose as a keyboard",
    transports=("evdev",),
    quality="silver",
    rules={
        "contract": "done",
        "config": "done",
        "simulator": "done",
        "log_once": "done",
        "reconnect": "done",
        "timeouts": "done",
        "attention": "done",
        "diagnostics": "done",
        "hardware": "exempt: not yet run against a panel; its keys are read off it and configured",
        "guidance": "done",
    },
)
