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
    refusal,
)
from drivers.sim.onbon import Card

VECTORS = Path(__file__).parents[4] / "shared" / "data" / "devices" / "vectors" / "onbon.json"


@pytest.fixture(scope="module")
def vectors() -> dict[str, bytes]:
    if not VECTORS.is_file():
        pytest.skip("no published frames beside the repository")
    table: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    entries = table["published"]
    return {entry["name"]: bytes.fromhex(entry["hex"]) for entry in entries}


def named(vectors: dict[str, bytes], part: str) -> bytes:
    (found,) = [value for name, value in vectors.items() if part in name]
    return found


def test_the_published_frames_come_out_to_the_byte(vectors: dict[str, bytes]) -> None:
    assert frame(PING) == named(vectors, "ping")
    assert frame(CLEAR) == named(vectors, "clear")
    mac = bytes.fromhex("A4 06 01 00 00 00 FF FE 83 A8 56")
    assert frame(mac, address=0xFFFE) == named(vectors, "MAC")


def test_the_makers_own_example_comes_out_to_the_byte() -> None:
    """Of its protocol: 欢迎光临 on 128 × 32 pixels, eight Chinese characters' worth of it."""
    area = bytearray(dynamic_area("欢迎光临".encode("gb2312"), size=(128, 32), runs=False))
    # The example says for 10 s, to the left top, several lines, and other times.
    for place, byte in ((20, 0), (21, 10), (25, 0), (26, 2), (27, 1), (30, 2), (31, 10)):
        area[place] = byte
    known = (
        "a5 a5 a5 a5 a5 a5 a5 a5 fe ff 00 80 00 00 00 00 00 00 fe 02 2c 00 a3 06 01 00 00 00 01 23"
        "00 00 00 80 00 00 80 80 20 00 00 00 00 0a 00 00 00 00 02 01 01 00 02 0a 08 00 00 00 bb b6"
        "d3 ad b9 e2 c1 d9 3c 49 5a"
    )
    assert frame(bytes(area), address=0xFFFE).hex() == known.replace(" ", "")


def test_a_brightness_counts_from_0_on_the_wire() -> None:
    assert brightness(1)[:7] == bytes.fromhex("A3 02 01 00 00 01 00")
    assert brightness(16)[6] == 15


@pytest.mark.parametrize(
    ("published", "says"),
    [
        ("A5 A5 A5 A5 A5 A5 A5 A5 A5 00 80 FE FF 00 00 00 00 00 00 FE 02 05 00"
         "A0 00 00 00 00 14 AC 5A", None),
        ("A5 A5 A5 A5 A5 A5 A5 A5 A5 00 80 FE FF 00 00 00 00 00 00 FE 02 05 00"
         "A0 01 05 00 00 05 51 5A", 5),
    ],
)  # fmt: skip
def test_the_published_answers_are_read(published: str, says: int | None) -> None:
    (answer,) = Deframer().feed(bytes.fromhex(published))
    assert isinstance(answer, Answer)
    assert refusal(answer.data) == says


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
    assert list(Deframer().feed(card.frame(answer))) == [Answer(answer)]
    assert refusal(answer) is None
    assert card.area is not None
    assert (card.shown, card.area.colour, card.area.runs) == (text, colour, runs)
    assert card.area.blank_after_s == for_s
    assert (card.area.width, card.area.height, card.refused) == (128, 16, 0)


@given(st.binary(max_size=300))
def test_the_twin_refuses_what_is_no_frame(raw: bytes) -> None:
    card = Card(128, 16)
    assert card.take(raw) is None
    assert (card.refused, card.frames) == (1, 0)
