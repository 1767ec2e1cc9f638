"""A slip as bytes: compared with the reference, with python-escpos, and with what must never be."""

import importlib
import re
import subprocess
import sys
import tempfile
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drivers.registry import discover, parse_peripherals
from drivers.ticket_printer.escpos_layout import display_width, lay_out, wrap
from drivers.ticket_printer.escpos_profile import load_profile, profile_names
from drivers.ticket_printer.escpos_raster import _raster, draw_line, rule
from hallkit.errors import ConfigError
from hallkit.model.printing import FeedLine, QrLine, RuleLine, Slip, SlipLine, TextLine

WIDE = load_profile("escpos_generic")
NARROW = load_profile("escpos_58mm")

PREAMBLE = b"\x1b@\x1da\x0e\x1c.\x1bt\x00\x1db\x01"
FEED_AND_CUT = b"\x1bJ\x96\x1dV\x01"
RASTER = re.compile(rb"\x1dv0\x00(..)(..)", re.DOTALL)
REAL_TIME = re.compile(rb"\x10(\x04[\x01-\x08]|\x05[\x00-\x02]|\x14[\x01-\x08])")


def slip(*lines: SlipLine, mark: str = "") -> Slip:
    return Slip(lines=lines, reprint_mark=mark)


def body(*lines: SlipLine) -> bytes:
    data = lay_out(slip(*lines), WIDE, marked=False).data
    assert data.startswith(PREAMBLE)
    assert data.endswith(FEED_AND_CUT)
    return data[len(PREAMBLE) : -len(FEED_AND_CUT)]


@pytest.fixture(name="peer")
def python_escpos(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """python-escpos' printers; its import writes to the temporary folder, so that one is ours."""
    folder = str(tmp_path_factory.mktemp("escpos"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ESCPOS_CAPABILITIES_PICKLE_DIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        return importlib.import_module("escpos.printer")


def test_latin_line_is_sent_as_it_is() -> None:
    assert body(TextLine(text="A012", scale=4, bold=True, align="center")) == (
        b"\x1ba\x01\x1bE\x01\x1c!\x0c\x1d!\x33\x1b3\x82A012\n"
    )


def test_chinese_line_is_sent_in_kanji_mode() -> None:
    assert body(TextLine(text="取号 3")) == (
        b"\x1ba\x00\x1bE\x00\x1c!\x00\x1d!\x00\x1b3\x22"
        b"\x1c&" + "取号 3".encode("gb18030") + b"\x1c.\n"
    )


def test_chinese_punctuation_alone_switches_kanji_mode_on() -> None:
    assert b"\x1c&" + "，。：".encode("gb18030") + b"\x1c." in body(TextLine(text="，。："))


def test_empty_line_moves_the_paper() -> None:
    assert body(TextLine(text="")).endswith(b"\x1b3\x22\n")


def test_feed_takes_whole_lines() -> None:
    assert body(FeedLine(lines=1)) == b"\x1bJ\x22"
    assert body(FeedLine(lines=20)) == b"\x1bJ\xff\x1bJ\xff\x1bJ\xaa"


@pytest.mark.parametrize("text", ["䶮", "𠮷", "张䶮", "费用 ¥20", "ﬁ"])
def test_characters_outside_the_font_are_drawn(text: str) -> None:
    data = body(TextLine(text=text))
    size = RASTER.search(data)
    assert size is not None
    assert int.from_bytes(size[1], "little") * 8 == WIDE.dots
    assert b"?" not in data[: size.start()]
    assert b"\n" not in data[: size.start()]
    assert any(data[size.end() :])


def test_the_font_of_a_small_printer_ends_earlier() -> None:
    text = slip(TextLine(text="湔氐"))
    assert not RASTER.search(lay_out(text, WIDE, marked=False).data)
    only_level_one = NARROW.model_copy(update={"font_charset": "gb2312"})
    assert not RASTER.search(lay_out(text, only_level_one, marked=False).data)
    assert RASTER.search(lay_out(slip(TextLine(text="喆镕")), NARROW, marked=False).data)


def test_only_the_lines_that_need_it_are_drawn() -> None:
    text = "䶮" + "甲" * 23 + "乙" * 24
    data = body(TextLine(text=text))
    assert len(RASTER.findall(data)) == 1
    assert b"\x1c&" + ("乙" * 24).encode("gb18030") + b"\x1c.\n" in data


def test_reprint_mark_stands_on_top_of_a_marked_copy_only() -> None:
    document = slip(TextLine(text="A012"), mark="补打")
    first = lay_out(document, WIDE, marked=False)
    again = lay_out(document, WIDE, marked=True)
    mark = "补打".encode("gb18030")
    assert mark not in first.data
    assert again.data.startswith(
        PREAMBLE + b"\x1ba\x01\x1bE\x01\x1c!\x0c\x1d!\x22\x1b3\x62\x1c&" + mark
    )
    assert again.lines > first.lines


def test_a_slip_without_a_mark_may_be_marked() -> None:
    document = slip(TextLine(text="A012"))
    assert lay_out(document, WIDE, marked=True) == lay_out(document, WIDE, marked=False)


def test_lines_are_counted_from_the_paper_fed() -> None:
    # 34 dots of text and 150 before the cut, in lines of 30.
    assert lay_out(slip(TextLine(text="A")), WIDE, marked=False).lines == 7


# The peer


def test_qr_is_the_peers_native_qr(peer: ModuleType) -> None:
    printer = peer.Dummy()
    printer.qr("https://hall.example/t/1", ec=1, size=6, native=True)
    assert printer.output in body(QrLine(text="https://hall.example/t/1"))


def test_qr_of_chinese_is_utf8(peer: ModuleType) -> None:
    printer = peer.Dummy()
    printer.qr("甲 012", ec=1, size=4, native=True)
    assert printer.output in body(QrLine(text="甲 012", module_dots=4))


def test_rule_and_drawn_line_are_the_peers_raster(peer: ModuleType) -> None:
    printer = peer.Dummy()
    printer.image(Image.new("L", (576, 2), 0), impl="bitImageRaster")
    assert rule(width=576, dots=2) == printer.output
    assert printer.output in body(RuleLine())


def test_partial_cut_is_the_peers(peer: ModuleType) -> None:
    printer = peer.Dummy()
    printer.cut(mode="PART")
    assert printer.output == b"\x1bd\x06" + FEED_AND_CUT[-3:]


def test_importing_the_driver_leaves_the_peers_capabilities_alone() -> None:
    code = (
        "import sys, drivers.ticket_printer.escpos; "
        "sys.exit('escpos.capabilities' in sys.modules or 'escpos.escpos' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


# QR


def test_a_code_wider_than_the_paper_gets_smaller_modules() -> None:
    data = lay_out(slip(QrLine(text="x" * 400, module_dots=12)), NARROW, marked=False).data
    module = data[data.index(b"\x1d(k\x03\x001C") + 7]
    # 400 bytes at level M need version 15: 77 modules and 8 of quiet zone.
    assert module == NARROW.dots // (77 + 8)


def test_an_empty_code_prints_nothing() -> None:
    assert body(QrLine(text="")) == b""


# Line breaking


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("", 8, [""]),
        ("甲乙丙丁", 8, ["甲乙丙丁"]),
        ("甲乙丙丁戊", 8, ["甲乙丙丁", "戊"]),
        ("甲乙丙丁。", 8, ["甲乙丙", "丁。"]),
        ("甲乙丙（丁）", 8, ["甲乙丙", "（丁）"]),
        ("甲 window 乙", 8, ["甲", "window", "乙"]),
        ("abcdefghijkl", 8, ["abcdefgh", "ijkl"]),
        ("ab cdef ghi", 8, ["ab cdef", "ghi"]),
        ("  缩进一行字", 8, ["  缩进一", "行字"]),
        ("□ 甲乙丙丁戊己", 12, ["□ 甲乙丙丁", "   戊己"]),
        ("1. 甲乙丙丁戊", 12, ["1. 甲乙丙丁", "   戊"]),
        ("甲\n乙", 8, ["甲", "乙"]),
        ("甲\t乙\x1b@\x10\x05\x02", 8, ["甲 乙@"]),
        ("e\u0301e\u0301", 8, ["éé"]),
        ("䶮𠮷䶮𠮷䶮", 8, ["䶮𠮷䶮𠮷", "䶮"]),
        ("00000000\u16800", 8, ["00000000", "\u16800"]),
        ("甲乙\u00a0\u3000丙", 8, ["甲乙\u00a0\u3000", "丙"]),
    ],
)
def test_wrap(text: str, columns: int, lines: list[str]) -> None:
    assert wrap(text, columns, WIDE) == lines


@given(st.text(max_size=120), st.sampled_from([8, 12, 16, 24, 32, 48]))
def test_no_line_is_wider_than_the_paper_and_no_character_is_lost(text: str, columns: int) -> None:
    lines = wrap(text, columns, WIDE)
    assert all(sum(display_width(c, WIDE) for c in line) <= columns for line in lines)
    whole = wrap(text, 1000, WIDE)
    assert "".join(lines).replace(" ", "") == "".join(whole).replace(" ", "")


@given(st.characters(codec="gbk", exclude_categories=["Cc"]))
def test_width_is_bytes_where_the_font_has_it(character: str) -> None:
    assert display_width(character, WIDE) == len(character.encode("gb18030"))


# Real-time commands


def test_a_picture_that_spells_a_command_is_changed_by_a_dot() -> None:
    picture = Image.new("L", (24 * 8, 1), 255)
    for index, byte in enumerate(b"\x10\x14\x08\x10\x05\x02\x10\x04\x01"):
        for bit in range(8):
            if byte >> (7 - bit) & 1:
                picture.putpixel((index * 8 + bit, 0), 0)
    data = _raster(picture)
    assert data[8:17] == b"\x18\x14\x08\x18\x05\x02\x18\x04\x01"


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.builds(TextLine, text=st.text(max_size=30), scale=st.integers(1, 4)),
            st.builds(QrLine, text=st.text(max_size=60)),
            st.just(RuleLine()),
            st.builds(FeedLine, lines=st.integers(1, 20)),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_no_slip_contains_a_real_time_command(lines: list[SlipLine], marked: bool) -> None:
    data = lay_out(slip(*lines, mark="补打"), WIDE, marked=marked).data
    assert not REAL_TIME.search(data)


def test_drawn_line_keeps_to_its_alignment() -> None:
    def ink(align: str) -> tuple[int, int]:
        data = draw_line(
            [("䶮", 2)],
            width=576,
            height=34,
            scale=1,
            bold=False,
            align=align,  # type: ignore[arg-type]  # the three words of Align
        )
        box = Image.frombytes("1", (576, 34), data[8:]).getbbox()
        assert box is not None
        return box[0], box[2]

    assert ink("left")[1] <= 24
    assert 276 <= ink("center")[0] < ink("center")[1] <= 300
    assert ink("right")[0] >= 552


# Profiles


@pytest.mark.parametrize("name", profile_names())
def test_profiles_are_valid(name: str) -> None:
    assert load_profile(name).columns * 12 == load_profile(name).dots


def test_an_unknown_profile_is_a_mistake_of_the_configuration() -> None:
    entry = {
        "id": "ticket-printer",
        "driver": "escpos",
        "transport": {"kind": "tcp", "host": "printer", "port": 9100},
        "profile": "escpos_typo",
    }
    with pytest.raises(ConfigError, match="unknown profile 'escpos_typo'"):
        parse_peripherals([entry], discover(), file="device.toml")
