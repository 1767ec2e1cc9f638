"""Keys become text as on a US keyboard, and text becomes codes; slow and broken ones do not."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.code_scanner.wedge_keys import AltCodes, Keyboard
from drivers.code_scanner.wedge_scanner import WedgeScanner, WedgeScannerConfig
from drivers.sim.evdev import strokes
from drivers.transport.evdev import whole
from tests.fakes.clock import FakeClock

SHIFT, CTRL, ALT, CAPS, U, ENTER, SPACE, F5 = 42, 29, 56, 58, 22, 28, 57, 63
KEYPAD = dict(zip("7894561230", (71, 72, 73, 75, 76, 77, 79, 80, 81, 82), strict=True))
PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))


def down(*keys: int) -> list[tuple[int, int]]:
    return [(key, 1) for key in keys]


def up(*keys: int) -> list[tuple[int, int]]:
    return [(key, 0) for key in keys]


def tap(*keys: int) -> list[tuple[int, int]]:
    return [stroke for key in keys for stroke in ((key, 1), (key, 0))]


def typed(keys: Iterable[tuple[int, int]], alt_codes: AltCodes = "ascii") -> list[str | None]:
    """What each event made, without those that made nothing."""
    keyboard = Keyboard(alt_codes)
    return [made for made in (keyboard.key(*one) for one in keys) if made != ""]


def test_every_key_of_the_layout() -> None:
    """Written out from linux/input-event-codes.h and a US keyboard, not from the table."""
    plain = {
        "`1234567890-=": (41, *range(2, 14)),
        "qwertyuiop[]\\": (*range(16, 28), 43),
        "asdfghjkl;'": range(30, 41),
        "zxcvbnm,./": range(44, 54),
        "\t\r \r": (15, 28, 57, 96),
        "789-456+1230.*/": (*range(71, 84), 55, 98),
    }
    for text, keys in plain.items():
        assert "".join(map(str, typed(tap(*keys)))) == text
    shifted = {"~!@#$%^&*()_+": (41, *range(2, 14)), '{}|:"<>?': (26, 27, 43, 39, 40, 51, 52, 53)}
    for text, keys in shifted.items():
        assert "".join(map(str, typed(down(SHIFT) + tap(*keys)))) == text


@pytest.mark.parametrize("shift", [42, 54])
def test_either_shift_holds_until_it_is_let_go(shift: int) -> None:
    keys = down(shift) + tap(30, 2) + up(shift) + tap(30, 2)
    assert typed(keys) == ["A", "!", "a", "1"]


def test_caps_lock_turns_letters_only() -> None:
    keys = tap(CAPS, 30, 2) + down(SHIFT) + tap(30, 2) + up(SHIFT) + tap(CAPS, 30)
    assert typed(keys) == ["A", "1", "a", "!", "a"]


def test_repeats_type_nothing() -> None:
    assert typed([(30, 1), (30, 2), (30, 2), (30, 0)]) == ["a"]


@pytest.mark.parametrize(
    ("alt_codes", "digits", "made"),
    [
        ("ascii", "65", "A"),
        ("ascii", "0029", "\x1d"),
        ("ascii", "200", None),
        ("gbk", "51687", "社"),  # C9E7
        ("gbk", "46027", "乘"),  # B3CB
        ("gbk", "200", None),
        ("gbk", "65535", None),
        ("gbk", "33151", None),  # 817F
        ("unicode", "31038", "社"),
        ("unicode", "134071", "𠮷"),
        ("unicode", "55296", None),
        ("unicode", "99999999", None),
        ("unicode", "", None),
    ],
)
def test_alt_and_a_number(alt_codes: AltCodes, digits: str, made: str | None) -> None:
    keys = down(ALT) + tap(*(KEYPAD[digit] for digit in digits)) + up(ALT)
    assert typed(keys, alt_codes) == [made]


def test_alt_and_what_is_no_digit() -> None:
    assert typed(down(ALT) + tap(30) + up(ALT)) == [None, None]
    assert None in typed(down(ALT) + tap(*[KEYPAD["1"]] * 9) + up(ALT))


@pytest.mark.parametrize(
    "keys",
    [
        down(CTRL, SHIFT) + tap(U, 8, 10, 4, 18) + up(SHIFT, CTRL),  # 793e, let go
        down(CTRL, SHIFT) + tap(U) + up(SHIFT, CTRL) + tap(8, 10, 4, 18, SPACE),
        down(CTRL, SHIFT) + tap(U) + up(CTRL, SHIFT) + tap(8, 10, 4, 18, ENTER),
    ],
)
def test_ctrl_shift_u_and_hexadecimal(keys: list[tuple[int, int]]) -> None:
    assert typed(keys) == ["社"]


def test_ctrl_shift_u_and_nonsense() -> None:
    begun = down(CTRL, SHIFT) + tap(U)
    assert typed(begun + tap(17)) == [None]
    assert typed(begun + up(SHIFT, CTRL) + tap(SPACE)) == [None]
    assert typed(begun + tap(32, 9, 11, 11) + up(SHIFT, CTRL)) == [None], "D800 is half a one"
    assert None in typed(begun + tap(*[2] * 9))


def test_ctrl_makes_the_control_characters() -> None:
    assert typed(down(CTRL) + tap(27, 50, 43)) == ["\x1d", "\r", "\x1c"]
    assert typed(down(CTRL) + tap(2)) == [None]
    assert typed(down(CTRL, SHIFT) + tap(30)) == [None]


def test_a_key_without_text_is_told() -> None:
    assert typed(tap(F5)) == [None]


@given(
    st.text(st.sampled_from(PRINTABLE + "社会保障卡什邡䶮"), max_size=40),
    st.sampled_from(["alt_unicode", "ctrl_shift_u"]),
)
def test_what_the_twin_types_is_read(text: str, beyond: str) -> None:
    keys = [stroke for character in strokes(text, beyond) for stroke in character]
    assert "".join(map(str, typed(keys, "unicode"))) == text


@given(st.lists(st.tuples(st.integers(0, 0x2FF), st.integers(-1, 3)), max_size=200))
def test_no_keys_break_it(keys: list[tuple[int, int]]) -> None:
    for alt_codes in ("ascii", "gbk", "unicode"):
        for made in typed(keys, alt_codes):  # type: ignore[arg-type]  # all of its values
            assert made is None or len(made) == 1


class Wire:
    """The driver fed by hand."""

    def __init__(self, **changes: Any) -> None:
        told = {
            "id": "scanner",
            "driver": "wedge_scanner",
            "transport": {"kind": "evdev", "path": "/dev/none"},
        }
        self.scanner = WedgeScanner(WedgeScannerConfig.model_validate(told | changes), FakeClock())
        self.now_s = 100.0

    def hears(self, data: bytes) -> list[str]:
        self.scanner._follow(whole(data))
        found = []
        while (code := self.scanner._take()) is not None:
            found.append(code.text)
        return found

    def types(self, text: str, *, apart_s: float = 0.002, end: bool = True) -> list[str]:
        keys = [stroke for one in strokes(text, "alt_unicode") for stroke in one]
        return self.presses(keys + (tap(ENTER) if end else []), apart_s=apart_s)

    def presses(self, keys: Iterable[tuple[int, int]], *, apart_s: float = 0.002) -> list[str]:
        data = b""
        for key, value in keys:
            self.now_s += apart_s * value
            at = (int(self.now_s), int(self.now_s % 1 * 1e6))
            data += struct.pack("@llHHi", *at, 1, key, value) + struct.pack("@llHHi", *at, 0, 0, 0)
        return self.hears(data)

    def counts(self, *names: str) -> list[Any]:
        facts = self.scanner.diagnostics()
        return [facts[name] for name in names]


@given(st.lists(st.text(st.sampled_from(PRINTABLE), min_size=3, max_size=30), max_size=5))
def test_codes_one_after_the_other(texts: list[str]) -> None:
    wire = Wire()
    assert [code for text in texts for code in wire.types(text)] == texts


def test_caps_lock_around_a_code_does_not_turn_the_next_one() -> None:
    """Some scanners press it before and behind: what is behind the end is the next one's."""
    wire = Wire()
    for _ in range(2):
        wire.now_s += 1
        assert wire.presses(tap(CAPS, 30, 48, 46, ENTER, CAPS)) == ["ABC"]


def test_a_pause_longer_than_the_gap_parts_what_is_typed() -> None:
    wire = Wire(gap_s=0.1)
    assert wire.types("HK1.T.01J", end=False) == []
    wire.now_s += 0.2
    assert wire.types("A007") == ["A007"]
    assert wire.counts("cut", "codes") == [1, 1]


def test_a_person_is_no_scanner() -> None:
    wire = Wire()
    assert wire.types("rm -rf", apart_s=0.15) == []
    assert wire.counts("cut", "codes") == [6, 0]
    assert wire.types("", apart_s=0.15) == [], "Enter alone"
    assert wire.counts("cut", "short", "damaged", "codes") == [6, 0, 0, 0]


def test_a_suffix_of_two_and_a_line_feed_behind_it() -> None:
    wire = Wire(suffix="\r")
    end = [*tap(ENTER), *down(CTRL), *tap(36), *up(CTRL)]  # Ctrl+J
    assert wire.types("A007", end=False) + wire.presses(end) == ["A007"]
    assert wire.types("A008") == ["A008"]
    wire = Wire(suffix="\t\r")
    assert wire.types("A\r07", end=False) == []
    assert wire.presses(tap(15, ENTER)) == ["A\r07"]


def test_a_number_that_is_none_spoils_its_code_up_to_its_end() -> None:
    wire = Wire()
    begun = down(CTRL, SHIFT) + tap(U) + up(SHIFT, CTRL)
    assert wire.presses(begun + tap(2, 17, ENTER)) == [], "1w is no hexadecimal"
    assert wire.types("A008") == ["A008"]
    assert wire.counts("damaged", "cut") == [1, 0]


def test_an_unknown_key_spoils_its_code_only() -> None:
    wire = Wire()
    assert wire.presses(tap(F5)) + wire.types("A007") == []
    assert wire.types("A008") == ["A008"]
    assert wire.counts("damaged") == [1]


@given(st.lists(st.binary(max_size=240), max_size=20))
def test_no_bytes_break_the_driver(reads: list[bytes]) -> None:
    wire = Wire()
    for read in reads:
        for text in wire.hears(read):
            assert text.replace("\x1d", "").replace("\t", "").replace("\n", "").isprintable()


def test_nothing_typed_stands_in_a_dump_or_a_repr() -> None:
    wire = Wire()
    wire.types("510682")
    wire.types("510682", end=False)
    assert "510682" not in repr(wire.scanner.diagnostics())
    assert "510682" not in repr(wire.scanner)
