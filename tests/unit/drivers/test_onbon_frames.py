"""Onbon frames: the published bytes, and whatever a wire may do to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.led_bar.onbon_frames import (
    CLEAR,
    COLOURS,
    LONGEST,
    PING,
    Answer,
    Deframer,
    Garbled,
    brightness,
    dynamic_area,
    frame,
)
from drivers.sim.onbon import Card, _framed

VECTORS = Path(__file__).parents[4] / "shared" / "data" / "devices" / "vectors" / "onbon.json"


@pytest.fixture(scope="module")
def vectors() -> dict[str, bytes]:
    if not VECTORS.is_file():
        pytest.skip("no published frames beside the repository")
    table: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    entries = [*table["published"], *table["own"]]
    return {entry["name"]: bytes.fromhex(entry["hex"]) for entry in entries}


def named(vectors: dict[str, bytes], part: str) -> bytes:
    (found,) = [value for name, value in vectors.items() if part in name]
    return found


def test_the_published_frames_come_out_to_the_byte(vectors: dict[str, bytes]) -> None:
    assert frame(PING) == named(vectors, "ping")
    assert frame(CLEAR) == named(vectors, "clear")
    mac = bytes.fromhex("A4 06 01 00 00 00 FF FE 83 A8 56")
    assert frame(mac, address=0xFFFE) == named(vectors, "MAC")


def test_a_text_and_a_brightness_are_laid_out_as_worked_out(vectors: dict[str, bytes]) -> None:
    text = COLOURS["red"] + "请A001号到3号窗口".encode("gb2312")
    area = dynamic_area(text, size=(64, 16), runs=False)
    known = named(vectors, "dynamic area")
    # Ours stands in the middle of the bar, theirs in its corner: one byte, and the check sum.
    ours = frame(area, device_type=0x61)
    differ = [place for place, (a, b) in enumerate(zip(ours, known, strict=True)) if a != b]
    assert [place - 8 for place in differ[:1]] == [14 + 9 + 16]
    assert len(differ) <= 3
    assert named(vectors, "brightness")[22:-3] == brightness(10)


@given(data=st.binary(min_size=1, max_size=200), address=st.integers(0, 0xFFFF))
def test_a_frame_is_read_back_whatever_is_in_it(data: bytes, address: int) -> None:
    assert list(Deframer().feed(frame(data, address=address))) == [Answer(data)]


@given(
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=4),
    st.lists(st.integers(1, 30), max_size=30),
    st.binary(max_size=10).filter(lambda noise: not {0xA5, 0x5A} & {*noise}),
)
def test_pieces_and_noise_before_do_not_matter(
    sent: list[bytes], sizes: list[int], noise: bytes
) -> None:
    stream = b"".join(noise + frame(data) + b"\x5a\x5a" for data in sent)
    deframer, found, place = Deframer(), [], 0
    for size in [*sizes, len(stream)]:
        found += list(deframer.feed(stream[place : place + size]))
        place += size
    assert [one for one in found if isinstance(one, Answer)] == [Answer(data) for data in sent]
    assert deframer.pending == 0


@given(st.binary(min_size=3, max_size=40), st.data())
def test_one_wrong_byte_never_becomes_an_answer(data: bytes, choice: st.DataObject) -> None:
    sent = bytearray(frame(data))
    place = choice.draw(st.integers(8, len(sent) - 2))
    wrong = choice.draw(st.integers(0, 255).filter(lambda byte: byte != sent[place]))
    sent[place] = wrong
    answers = [one for one in Deframer().feed(bytes(sent)) if isinstance(one, Answer)]
    assert answers == []


@given(st.lists(st.binary(max_size=3_000), max_size=8))
def test_anything_at_all_is_taken_in_bounds(pieces: list[bytes]) -> None:
    deframer = Deframer()
    for piece in pieces:
        for found in deframer.feed(piece):
            assert isinstance(found, Answer | Garbled)
        assert deframer.pending <= LONGEST


# ── What the twin reads, by its own code ─────────────────────────────────────────────────────


@given(
    st.text(st.sampled_from("请到号窗口服务A0139 什邡"), min_size=1, max_size=40),
    st.sampled_from(sorted(COLOURS)),
    st.booleans(),
    st.none() | st.integers(1, 65_535),
)
def test_the_twin_reads_the_same_text(
    text: str, colour: str, runs: bool, for_s: int | None
) -> None:
    card = Card(128, 16)
    encoded = COLOURS[colour] + text.encode("gb2312")
    sent = frame(dynamic_area(encoded, size=(128, 16), runs=runs, for_s=for_s))
    answer = card.take(sent[8:-1])
    assert answer is not None
    assert list(Deframer().feed(_framed(answer))) == [Answer(answer)]
    assert card.area is not None
    assert (card.shown, card.area.colour, card.area.runs) == (text, colour, runs)
    assert card.area.blank_after_s == for_s
    assert (card.area.width, card.area.height, card.refused) == (128, 16, 0)


@given(st.binary(max_size=300))
def test_the_twin_refuses_what_is_no_frame(raw: bytes) -> None:
    card = Card(128, 16)
    assert card.take(raw) is None
    assert (card.refused, card.frames) == (1, 0)
