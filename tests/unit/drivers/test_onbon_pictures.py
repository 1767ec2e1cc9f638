"""Texts as dots for Onbon picture cards: the published bytes, and what the twin reads of them."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drivers.led_bar.onbon_cards import CanNotShow, PictureCard
from drivers.led_bar.onbon_frames import Answer, Deframer, Garbled
from drivers.led_bar.onbon_pictures import (
    LENGTH_BYTES,
    PING,
    NotDrawn,
    brightness,
    dots_6e,
    dots_6q,
    draw,
    dynamic_area,
    frame,
    pages,
    refusal,
)
from drivers.sim import onbon as twin
from hallkit.model.signage import BarText

Colour = Literal["red", "green", "yellow"]
RARE = "请䶮先生、𠮷女士到3号窗口"


def card(colours: int, width: int = 128) -> PictureCard:
    size = (width, 16)
    return PictureCard(size=size, font_px=16, colours=colours, address=1, device_type=None)


def lamps_of(text: str) -> list[str]:
    picture = draw(text, font_px=16, height_px=16)
    raw, width = picture.tobytes(), picture.width
    signs = "".join("#" if lamp else "." for lamp in raw)
    return [signs[at : at + width] for at in range(0, len(signs), width)]


def test_the_makers_ping_comes_out_to_the_byte() -> None:
    known = "a5 a5 a5 a5 a5 a5 a5 a5 fe ff 00 80 f0 00 fe ff 00 00 00 00 05 00 00 00 01 a2 00 00 00"
    assert frame(PING, address=0xFFFE) == bytes.fromhex(known + "c6 86 5a")


def test_an_area_is_laid_out_as_the_maker_writes() -> None:
    """Field by field, as its manual names them and its own library for Java sends them."""
    data = dynamic_area([(b"\x01\x02", 32), (b"\x03\x04", 9)], size=(32, 16), for_s=300)
    fields = [
        "01 a7 00 00 00 01 00",  # answer, command, reserved, one area
        "5d 00 00 00",  # what follows, without the dots
        "00 02 2c 01",  # area 0, blank after 300 s without news
        "00 00 00 01",  # with no program, programs stand back
        "00 00 00 00 10",  # reserved, pictures
        "00 00 00 00 20 00 10 00",  # X, Y, width, height
        "00 00 00 00 00",  # frame, background, transparency, sizes alike, voice
        "00 00 00 00 00",
        "02 00",  # pages
        "1a 00 00 00 00 04 00 0f 00 00 01 20 00 00 00 00 00 00 00 00 00 00",
        "00 00 00 00 02 00 00 00",  # where its dots are, how many
        "1a 00 00 00 00 04 00 0f 00 00 01 09 00 00 00 00 00 00 00 00 00 00",
        "02 00 00 00 02 00 00 00",
        "01 02 03 04",
    ]
    assert data.hex(" ") == " ".join(fields)


def test_the_dots_of_a_6e_card_are_words_with_0_for_lit() -> None:
    page = Image.new("L", (40, 2))
    page.putpixel((0, 0), 255)
    page.putpixel((33, 1), 255)
    lit = "ff ff ff 7f ff ff ff ff ff ff ff ff ff ff ff bf"
    dark = "ff " * 16
    assert dots_6e(page, "red", colours=1) == bytes.fromhex(lit)
    assert dots_6e(page, "green", colours=1) == bytes.fromhex(lit)
    assert dots_6e(page, "red", colours=2) == bytes.fromhex(lit + dark)
    assert dots_6e(page, "green", colours=2) == bytes.fromhex(dark + lit)
    assert dots_6e(page, "yellow", colours=2) == bytes.fromhex(lit + lit)


def test_the_dots_of_a_6q_card_are_red_green_and_blue() -> None:
    page = Image.new("L", (2, 2))
    page.putpixel((1, 0), 255)
    assert dots_6q(page, "yellow") == bytes.fromhex("000000 ffff00 000000 000000")


def test_a_short_text_stands_in_the_middle_and_a_long_one_runs_through_pages() -> None:
    ((page, counts),) = pages(draw("3号", font_px=16, height_px=16), 128)
    box = page.getbbox()
    assert box is not None
    assert (page.width, counts) == (128, 128)
    assert abs(box[0] - (128 - box[2])) <= 4
    several = pages(draw("3号窗口" * 5, font_px=16, height_px=16), 128)
    # Twenty characters, fifteen of them Chinese, and a gap of two heights.
    assert sum(counts for _, counts in several) == 5 * 8 + 15 * 16 + 2 * 16
    assert {page.width for page, _ in several} == {128}


@pytest.mark.parametrize("text", ["请🫠先生", "\ue000"])
def test_what_the_font_lacks_is_named_and_not_drawn_as_a_box(text: str) -> None:
    with pytest.raises(NotDrawn):
        draw(text, font_px=16, height_px=16)


def test_marks_take_no_room() -> None:
    assert draw("e\u0301", font_px=16, height_px=16).width == 8


def test_a_text_larger_than_a_frame_is_refused() -> None:
    with pytest.raises(CanNotShow, match="too long"):
        card(3).text(BarText(text="号" * 120), None)
    assert len(card(2).text(BarText(text="号" * 120), None)) < 63 * 1024


# ── What the twin reads, by its own code ─────────────────────────────────────────────────────


@pytest.mark.parametrize("colours", [1, 2, 3])
@given(
    text=st.text(st.sampled_from("请到号窗口䶮𠮷A0139 "), min_size=1, max_size=30),
    colour=st.sampled_from(["red", "green", "yellow"]),
    for_s=st.none() | st.integers(1, 65_535),
)
def test_the_twin_lights_the_same_lamps(
    colours: int, text: str, colour: Colour, for_s: int | None
) -> None:
    ours, theirs = card(colours), twin.PictureCard(128, 16, colours)
    sent = ours.frame(ours.text(BarText(text=text, colour=colour), for_s))
    answer = theirs.take(sent[8:-1])
    assert answer is not None
    assert list(Deframer(LENGTH_BYTES).feed(theirs.frame(answer))) == [Answer(answer)]
    assert refusal(answer) is None
    assert theirs.area is not None
    assert theirs.area.blank_after_s == for_s
    wanted = lamps_of(text)
    assert theirs.area.runs is (len(wanted[0]) > 128)
    sign = "r" if colours == 1 else colour[0]
    seen = [row.replace(sign, "#").strip(".") for row in theirs.area.lamps]
    assert seen == [row.strip(".") for row in wanted]


@pytest.mark.parametrize("colours", [1, 2, 3])
def test_a_cleared_bar_is_dark(colours: int) -> None:
    ours, theirs = card(colours), twin.PictureCard(128, 16, colours)
    assert theirs.shown
    assert theirs.take(ours.frame(ours.clear)[8:-1]) is not None
    assert (theirs.shown, theirs.lamps) == ("", ())


def test_what_the_twin_refuses_it_numbers() -> None:
    ours, theirs = card(1, width=256), twin.PictureCard(128, 16, 1)
    for data, number in (
        (ours.text(BarText(text="号"), None), 4),
        (bytes.fromhex("01 A7 55"), 2),
        (bytes.fromhex("01 B0 00"), 1),
    ):
        answer = theirs.take(ours.frame(data)[8:-1])
        assert answer is not None
        assert refusal(answer) == number
    assert theirs.area is None


def test_a_brightness_counts_from_0_on_the_wire() -> None:
    theirs = twin.PictureCard(128, 16, 1)
    assert theirs.take(frame(brightness(7))[8:-1]) is not None
    assert (brightness(7)[6:8], theirs.brightness) == (b"\x06\x06", 7)


@given(st.binary(max_size=300))
def test_the_twin_refuses_what_is_no_area(data: bytes) -> None:
    theirs = twin.PictureCard(128, 16, 1)
    answer = theirs.take(frame(bytes.fromhex("01 A7 00") + data)[8:-1])
    assert answer is not None
    assert refusal(answer) == 4


@given(st.binary(min_size=3, max_size=40), st.data())
def test_one_wrong_byte_never_becomes_an_answer(data: bytes, choice: st.DataObject) -> None:
    sent = bytearray(frame(data))
    place = choice.draw(st.integers(8, len(sent) - 2))
    sent[place] = choice.draw(st.integers(0, 255).filter(lambda byte: byte != sent[place]))
    found = list(Deframer(LENGTH_BYTES).feed(bytes(sent)))
    assert all(isinstance(one, Garbled) for one in found)
