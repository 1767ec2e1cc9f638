"""A panel's keys become actions; which, is configuration."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.key_panel.evdev_keys import USUAL, EvdevKeys, EvdevKeysConfig
from drivers.transport.evdev import whole
from hallkit.errors import DeviceUnavailable, Reason
from hallkit.model.key_panel import PanelAction
from tests.fakes.clock import FakeClock


def settings(**changes: Any) -> EvdevKeysConfig:
    told = {
        "id": "panel",
        "driver": "evdev_keys",
        "transport": {"kind": "evdev", "path": "/dev/none"},
    }
    return EvdevKeysConfig.model_validate(told | changes)


class Wire:
    """The driver fed by hand: kind, code, value."""

    def __init__(self, **changes: Any) -> None:
        self.panel = EvdevKeys(settings(**changes), FakeClock())

    def hears(self, *events: tuple[int, int, int], at_s: float = 100.0) -> list[PanelAction]:
        at = (int(at_s), int(at_s % 1 * 1e6))
        packed = [struct.pack("@llHHi", *at, *event) for event in (*events, (0, 0, 0))]
        self.panel._follow(whole(b"".join(packed)))
        found = []
        while (action := self.panel._take()) is not None:
            found.append(action)
        return found


def test_every_action_but_the_jack_has_a_usual_key() -> None:
    jack = {PanelAction.HEADPHONES_IN, PanelAction.HEADPHONES_OUT}
    assert set(PanelAction) - set(USUAL) == jack


@pytest.mark.parametrize(("action", "keys"), list(USUAL.items()))
def test_each_of_its_keys_gives_an_action(action: PanelAction, keys: tuple[int, ...]) -> None:
    wire = Wire()
    for key in keys:
        assert wire.hears((1, key, 1)) == [action]
        assert wire.hears((1, key, 0)) == []


def test_keys_that_are_configured_stand_in_place_of_the_usual_ones() -> None:
    wire = Wire(keys={"confirm": [63], "digit_1": []})
    assert wire.hears((1, 63, 1)) == [PanelAction.CONFIRM]
    assert wire.hears((1, 28, 1)) == [], "Enter was confirm"
    assert wire.hears((1, 2, 1)) == []
    assert wire.hears((1, 103, 1)) == [PanelAction.UP]
    assert wire.panel.diagnostics()["unknown_keys"] == 2


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"help": [28]}, "key 28 means two things"),
        ({"help": [63, 63]}, "key 63 means two things"),
        ({"jump": [63]}, "jump"),
        ({"help": [0]}, "greater than or equal"),
    ],
)
def test_keys_that_cannot_be_told_apart_are_refused(keys: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        settings(keys=keys)


def test_two_keys_at_once_are_two_presses() -> None:
    assert Wire().hears((1, 103, 1), (1, 28, 1)) == [PanelAction.UP, PanelAction.CONFIRM]


def test_bounces_are_told_by_when_the_key_was_let_go() -> None:
    wire = Wire(bounce_s=0.05)
    assert wire.hears((1, 28, 1), at_s=1.0) == [PanelAction.CONFIRM]
    wire.hears((1, 28, 0), at_s=9.0)
    assert wire.hears((1, 28, 1), at_s=9.04) == []
    wire.hears((1, 28, 0), at_s=9.05)
    assert wire.hears((1, 103, 1), at_s=9.06) == [PanelAction.UP], "another key is no bounce"
    assert wire.hears((1, 28, 1), at_s=9.2) == [PanelAction.CONFIRM]
    assert wire.panel.diagnostics()["bounces"] == 1


def test_repeats_go_on_for_ways_and_loudness_only() -> None:
    for action, keys in USUAL.items():
        wire = Wire(repeat_s=0.25)
        wire.hears((1, keys[0], 1), at_s=1.0)
        found = [wire.hears((1, keys[0], 2), at_s=1 + n / 10) for n in range(1, 11)]
        assert sum(map(len, found)) == (3 if action.goes_on else 0), action
    assert Wire().hears((1, 103, 2)) == [], "its press was never seen"


def test_the_jack_is_news_once() -> None:
    wire = Wire()
    assert wire.hears((5, 2, 1)) == [PanelAction.HEADPHONES_IN]
    assert wire.hears((5, 2, 1)) == []
    assert wire.hears((5, 2, 0)) == [PanelAction.HEADPHONES_OUT]
    assert wire.hears((5, 4, 1)) == [], "another switch"


def test_a_panel_without_a_jack_never_knows() -> None:
    wire = Wire()
    assert wire.panel._switches_are({}) == []
    assert wire.panel.headphones is None
    assert wire.panel.diagnostics()["headphones"] == "unknown"


@given(st.lists(st.binary(max_size=240), max_size=20))
def test_no_bytes_break_the_driver(reads: list[bytes]) -> None:
    panel = EvdevKeys(settings(), FakeClock())
    for read in reads:
        panel._follow(whole(read))
        while (action := panel._take()) is not None:
            assert action in PanelAction


class Told:
    """A panel with a jack; what it sends comes in one read, once somebody waits."""

    name = "panel"

    def __init__(self) -> None:
        self.is_open = False
        self.sends = b""

    async def open(self, *, timeout_s: float) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def write(self, data: bytes, *, timeout_s: float) -> None: ...

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        read, self.sends = self.sends, b""
        if not read:
            raise DeviceUnavailable("panel", Reason.PORT_GONE)
        return read

    async def pending(self) -> bytes:
        return b""

    async def drain_input(self) -> int:
        return 0

    async def switches(self, *, timeout_s: float) -> dict[int, bool]:
        return {2: False}


async def test_what_came_behind_a_press_is_not_kept_for_another_screen() -> None:
    clock, wire = FakeClock(), Told()
    panel = EvdevKeys(settings(bounce_s=0), clock, transport=wire)
    events = [(1, 103, 1), (1, 103, 0), (1, 28, 1), (1, 28, 0), (5, 2, 1), (0, 0, 0)]
    for later_s in (0.5, 1.5):
        wire.sends = b"".join(struct.pack("@llHHi", 1, 0, *event) for event in events)
        assert await panel.next_press() is PanelAction.UP
        clock.advance(later_s)
        assert (await panel.probe()).works
        if later_s < 1:
            assert await panel.next_press() is PanelAction.CONFIRM
            assert await panel.next_press() is PanelAction.HEADPHONES_IN
    with pytest.raises(DeviceUnavailable):
        await panel.next_press()


async def test_a_jack_is_told_however_late() -> None:
    clock, wire = FakeClock(), Told()
    panel = EvdevKeys(settings(), clock, transport=wire)
    events = [(1, 103, 1), (5, 2, 1), (0, 0, 0)]
    wire.sends = b"".join(struct.pack("@llHHi", 1, 0, *event) for event in events)
    assert await panel.next_press() is PanelAction.UP
    clock.advance(60.0)
    assert await panel.next_press() is PanelAction.HEADPHONES_IN
