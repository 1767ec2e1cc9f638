"""A rating box's bytes become presses, whatever else is on the wire."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.rating_buttons.serial_buttons import SerialButtons, SerialButtonsConfig
from hallkit.lexicon.words import words
from hallkit.model.rating import RatingLevel
from tests.fakes.clock import FakeClock

LEVELS = list(RatingLevel)
SENT = {level.value: f"AA {number:02X} 55" for number, level in enumerate(RatingLevel, start=1)}


def settings(**changes: Any) -> SerialButtonsConfig:
    told: dict[str, Any] = {
        "id": "rating",
        "driver": "serial_buttons",
        "transport": {"kind": "serial", "path": "/dev/none"},
        "buttons": SENT,
    }
    return SerialButtonsConfig.model_validate({**told, **changes})


class Wire:
    """The driver fed by hand."""

    def __init__(self, **changes: Any) -> None:
        self.clock = FakeClock()
        self.box = SerialButtons(settings(**changes), self.clock)

    def hears(self, data: bytes) -> list[RatingLevel]:
        self.box._held += data
        found = []
        while (level := self.box._take()) is not None:
            found.append(level)
        return found


def bytes_of(level: RatingLevel) -> bytes:
    return bytes.fromhex(SENT[level.value])


@given(st.lists(st.sampled_from(LEVELS), max_size=8), st.lists(st.integers(1, 5), max_size=30))
def test_pieces_do_not_matter(pressed: list[RatingLevel], sizes: list[int]) -> None:
    wire = Wire(bounce_s=0)
    stream, found, place = b"".join(map(bytes_of, pressed)), [], 0
    for size in [*sizes, len(stream)]:
        found += wire.hears(stream[place : place + size])
        place += size
    assert found == pressed


@given(st.lists(st.binary(max_size=6).filter(lambda junk: 0xAA not in junk), max_size=5))
def test_junk_between_presses_is_passed_over(junk: list[bytes]) -> None:
    wire = Wire(bounce_s=0)
    stream = b"".join(noise + bytes_of(RatingLevel.SATISFIED) for noise in junk)
    assert wire.hears(stream) == [RatingLevel.SATISFIED] * len(junk)
    assert wire.box.diagnostics()["unknown_bytes"] == sum(map(len, junk))


def test_a_button_that_is_held_down_is_pressed_once() -> None:
    wire = Wire(bounce_s=1.0)
    for _ in range(10):
        wire.hears(bytes_of(RatingLevel.DISSATISFIED))
        wire.clock.advance(0.4)
    facts = wire.box.diagnostics()
    assert (facts["presses"], facts["bounces"]) == (1, 9)
    assert wire.hears(bytes_of(RatingLevel.SATISFIED)) == [RatingLevel.SATISFIED]
    wire.clock.advance(1.1)
    assert wire.hears(bytes_of(RatingLevel.SATISFIED)) == [RatingLevel.SATISFIED]


def test_noise_is_taken_in_bounds() -> None:
    wire, noise = Wire(bounce_s=0), random.Random(3)  # noqa: S311  # the same noise every time
    for _ in range(100):
        for level in wire.hears(noise.randbytes(1_000)):
            assert level in LEVELS
        assert len(wire.box._held) < 3


@pytest.mark.parametrize(
    ("buttons", "told"),
    [
        ({**SENT, "satisfied": "AA 01 55"}, "is how"),
        ({**SENT, "satisfied": "AA"}, "what satisfied sends is how"),
        ({**SENT, "satisfied": "no hex"}, "in hexadecimal"),
        ({**SENT, "satisfied": ""}, "in hexadecimal"),
        ({**SENT, "satisfied": 41}, "in hexadecimal"),
        ({key: SENT[key] for key in list(SENT)[:4]}, "no bytes for very_dissatisfied"),
        ({**SENT, "splendid": "07"}, "splendid"),
    ],
)
def test_bytes_that_cannot_be_told_apart_are_refused(buttons: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        settings(buttons=buttons)


@pytest.mark.parametrize("language", ["zh_CN", "en"])
@pytest.mark.parametrize("level", LEVELS)
def test_every_level_has_its_name(language: Any, level: RatingLevel) -> None:
    assert words(language).has(f"rating.{level.value}")


def test_the_last_two_are_bad() -> None:
    assert [level for level in RatingLevel if level.is_bad] == LEVELS[3:]
