"""Our ESC/POS emulator beside one written by others: the same bytes, the same paper and answers.

Skipped where the peer is not installed (tests/escpos_peer.txt). What the two know to differ in is
named here and in docs/drivers/escpos.md; everything else must agree to the dot and to the bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from drivers.sim.escpos_machine import Machine
from drivers.sim.escpos_paper import MARGIN_DOTS
from drivers.ticket_printer.escpos_layout import lay_out
from drivers.ticket_printer.escpos_profile import load_profile
from hallkit.model.printing import FeedLine, QrLine, RuleLine, Slip, TextLine
from tests.escpos_peer import FAULTS, FOLDER, MISSING, EmuposPrinter, Receipt, emupos, trimmed

pytestmark = [
    pytest.mark.wire,
    pytest.mark.skipif(not (FOLDER / "emupos").is_dir(), reason=MISSING),
]

WIDE = load_profile("escpos_generic")
DOTS = 576
RULE = b"\x1dv0\x00\x48\x00\x02\x00" + b"\xff" * 144
"""Two solid lines across the paper: a mark whose place can be measured."""
CUT = b"\x1bJ\x96\x1dV\x00"

TICKET = Slip(
    lines=(
        TextLine(text="市民服务中心", scale=2, bold=True, align="center"),
        RuleLine(),
        TextLine(text="A012", scale=4, bold=True, align="center"),
        TextLine(text="业务：户籍办理（3 号窗口）"),
        TextLine(text="等候 7 人", align="right"),
        TextLine(text="请留意叫号。过号三次作废，须重新取号；请带好身份证、户口簿和照片。"),
        TextLine(text="请䶮先生、𠮷女士到 3 号窗口"),
        QrLine(text="https://hall.example/t/A012"),
        FeedLine(lines=2),
        TextLine(text="No. 2026-11-30 09:15", align="center"),
    ),
    reprint_mark="补打",
)


@pytest.fixture(scope="module", autouse=True)
def peer() -> Iterator[None]:
    with emupos():
        yield


class Both:
    """The two printers, told the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[bytes] = []
        self.ours = Machine(
            folder, answer=self.said.append, changed=lambda: None, fault_due=lambda _: None
        )
        self.theirs = EmuposPrinter()

    def receive(self, data: bytes) -> None:
        self.ours.receive(data)
        self.theirs.receive(data)

    def answers(self) -> tuple[bytes, bytes]:
        """What each has said since the last time."""
        pair = b"".join(self.said), self.theirs.answers
        self.said.clear()
        self.theirs.answers = b""
        return pair

    def receipts(self) -> list[tuple[Receipt, Receipt]]:
        """Piece by piece, ours and theirs."""
        ours = []
        for number in range(1, self.ours.slips + 1):
            path = self.folder / f"slip-{number:04d}.png"
            with Image.open(path) as png:
                inside = png.crop((MARGIN_DOTS, 0, png.width - MARGIN_DOTS, png.height))
            lines = path.with_suffix(".txt").read_text("utf-8").splitlines()
            ours.append(Receipt(lines, trimmed(inside)))
        return list(zip(ours, self.theirs.receipts, strict=True))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def said(lines: list[str]) -> list[str]:
    """Lines that hold something, in one spelling: blanks, `[qr] …` for `[qr …]`, `×` for `x`."""
    plain = [" ".join(line.split()) for line in lines if line.strip()]
    return [line.replace("[qr] ", "[qr ").replace("×", "x").removesuffix("]") for line in plain]


def rules(dots: Image.Image) -> list[int]:
    """Rows that are black from edge to edge."""
    raw, width = dots.tobytes(), dots.width
    return [row for row in range(dots.height) if not any(raw[row * width : (row + 1) * width])]


def edges(dots: Image.Image, top: int, bottom: int) -> tuple[int, int]:
    """Left and right end of the ink between two rows."""
    ink = ImageChops.invert(dots.crop((0, top, dots.width, bottom))).getbbox()
    assert ink is not None
    return ink[0], ink[2]


# ── What is printed ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("marked", [False, True])
def test_a_ticket_has_the_same_lines_and_falls_in_one_piece(both: Both, marked: bool) -> None:
    both.receive(lay_out(TICKET, WIDE, marked=marked).data)
    ((ours, theirs),) = both.receipts()
    assert said(ours.text) == said(theirs.text)
    assert any("市民服务中心" in line for line in ours.text)


def test_a_ticket_moves_the_paper_by_the_same_dots(both: Both) -> None:
    lines = [RuleLine(), *TICKET.lines, RuleLine()]
    between = [part for line in lines for part in (line, RuleLine())]
    both.receive(lay_out(Slip(lines=tuple(between)), WIDE, marked=False).data)
    ((ours, theirs),) = both.receipts()
    assert len(rules(ours.dots)) == 2 * sum(isinstance(line, RuleLine) for line in between)
    assert rules(ours.dots) == rules(theirs.dots)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("align", ["left", "center", "right"])
@pytest.mark.parametrize("text", ["HHHH", "国国"])
def test_a_line_stands_in_the_same_place(both: Both, scale: int, align: str, text: str) -> None:
    line = TextLine.model_validate({"text": text, "scale": scale, "align": align})
    both.receive(lay_out(Slip(lines=(RuleLine(), line)), WIDE, marked=False).data)
    ((ours, theirs),) = both.receipts()
    for mine, other in zip(
        edges(ours.dots, 4, ours.dots.height),
        edges(theirs.dots, 4, theirs.dots.height),
        strict=True,
    ):
        assert abs(mine - other) <= 6 * scale  # the fonts differ, within a half cell


def test_a_picture_has_the_same_dots(both: Both) -> None:
    drawn = Slip(lines=(TextLine(text="䶮𠮷", scale=2, align="center"), RuleLine()))
    both.receive(lay_out(drawn, WIDE, marked=False).data)
    ((ours, theirs),) = both.receipts()
    assert ours.dots.size == theirs.dots.size
    assert ours.dots.tobytes() == theirs.dots.tobytes()


@given(
    mode=st.integers(0, 3),
    across=st.integers(1, 20),
    align=st.integers(0, 2),
    data=st.binary(min_size=1, max_size=160).filter(any),
)
def test_any_raster_has_the_same_dots(
    tmp_path_factory: pytest.TempPathFactory, mode: int, across: int, align: int, data: bytes
) -> None:
    both = Both(tmp_path_factory.mktemp("raster"))
    rows = len(data) // across
    # Real-time commands within a picture are another test.
    picture = data[: rows * across].replace(b"\x10", b"\x18")
    size = bytes([across, 0, rows, 0])
    both.receive(
        b"\x1ba" + bytes([align]) + b"\x1dv0" + bytes([mode]) + size + picture + RULE + CUT
    )
    ((ours, theirs),) = both.receipts()
    assert ours.dots.tobytes() == theirs.dots.tobytes()


@pytest.mark.parametrize("module", [3, 4, 6])
def test_a_qr_code_is_read_from_both_and_is_as_large(both: Both, module: int) -> None:
    text = "https://hall.example/t/A012?k=Zx9"
    both.receive(
        lay_out(Slip(lines=(QrLine(text=text, module_dots=module),)), WIDE, marked=False).data
    )
    ((ours, theirs),) = both.receipts()
    for piece in (ours, theirs):
        (found,) = zxingcpp.read_barcodes(piece.dots)
        assert found.text == text
    assert edges(ours.dots, 0, ours.dots.height) == edges(theirs.dots, 0, theirs.dots.height)
    assert ours.dots.height == theirs.dots.height


# Each ends with an empty line buffer, so that the rule behind it stands where the paper is.
STEPS = (
    b"A012\n", b"\n", b"\x1bd\x02", b"\x1bJ\x11", b"A\x1bd\x03", b"A\x1bd\x00", b"A\x1bJ\x05",
    b"A\x1bJ\x50", b"\x1b3\x10", b"\x1b3\x60", b"\x1b2", b"\x1d!\x11", b"\x1d!\x21", b"\x1d!\x00",
    b"\x1b!\x30", b"\x1b!\x08", b"A" * 49 + b"\n", b"A" * 96 + b"\n", b"a\tb\n",
    b"\x1d!\x33A\x1d!\x00A\n", b"\x1b@", b"lost\x1b@", b"A" + RULE, b"\x1ba\x01",
    b"A\x1ba\x02B\n", b"\x1ba\x00", b"\x1bE\x01", b"\x1dVA\x10", b"\x1c&\x1c.",
)  # fmt: skip


@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=12))
def test_any_sequence_of_commands_moves_the_paper_alike(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes]
) -> None:
    both = Both(tmp_path_factory.mktemp("steps"))
    both.receive(RULE)
    for step in steps:
        both.receive(step + RULE)
    both.receive(CUT)
    for ours, theirs in both.receipts():
        assert said(ours.text) == said(theirs.text)
        assert rules(ours.dots) == rules(theirs.dots)


@pytest.mark.parametrize("cut", [b"\x1dV\x00", b"\x1dV\x01", b"\x1dV0", b"\x1dV1", b"\x1dVA\x10"])
def test_every_cut_makes_a_piece(both: Both, cut: bytes) -> None:
    both.receive((b"A012\n\x1bJ\x96" + cut) * 3 + cut)
    pairs = both.receipts()
    assert [said(ours.text) for ours, _ in pairs] == [["A012"]] * 3
    assert [said(theirs.text) for _, theirs in pairs] == [["A012"]] * 3


# ── What is answered ─────────────────────────────────────────────────────────────────────────

QUESTIONS = [b"\x10\x04" + bytes([number]) for number in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "faults", [found for size in range(4) for found in itertools.combinations(FAULTS, size)]
)
def test_status_is_the_same_with_every_fault(both: Both, faults: tuple[str, ...]) -> None:
    for fault in faults:
        both.ours.set_fault(fault)
        both.theirs.set_fault(fault)
    for question in (*QUESTIONS, b"\x1dr\x01", b"\x1dr1"):
        both.receive(question)
        ours, theirs = both.answers()
        assert ours == theirs, question
        assert len(ours) == (0 if question[0] == 0x1D and set(faults) - {"paper_low"} else 1)


@pytest.mark.parametrize("wanted", [0x02, 0x04, 0x08, 0x0E])
@pytest.mark.parametrize("fault", FAULTS)
def test_automatic_status_says_the_same_at_the_same_moments(
    both: Both, fault: str, wanted: int
) -> None:
    both.receive(b"\x1da" + bytes([wanted]))
    assert both.answers() == (b"\x10\x00\x00\x00",) * 2
    both.ours.set_fault(fault)
    both.theirs.set_fault(fault)
    ours, theirs = both.answers()
    assert ours == theirs
    both.ours.clear_faults()
    both.theirs.set_fault(fault, holds=False)
    ours, theirs = both.answers()
    assert ours == theirs
    both.receive(b"\x1b@")  # turns it off
    both.ours.set_fault(fault)
    both.theirs.set_fault(fault)
    assert both.answers() == (b"", b"")


def test_what_waited_for_a_fault_comes_out_behind_it(both: Both) -> None:
    both.ours.set_fault("cover_open")
    both.theirs.set_fault("cover_open")
    both.receive(b"A012\n" + RULE + CUT + b"\x1dr\x01")
    assert both.answers() == (b"", b"")
    both.ours.clear_faults()
    both.theirs.set_fault("cover_open", holds=False)
    assert both.answers() == (b"\x00", b"\x00")
    ((ours, theirs),) = both.receipts()
    assert said(ours.text) == said(theirs.text)


@pytest.mark.parametrize("question", [1, 2, 49, 50, 65, 66, 67, 68, 69])
def test_names_come_in_the_same_frame(both: Both, question: int) -> None:
    both.receive(b"\x1dI" + bytes([question]))
    ours, theirs = both.answers()
    if question < 65:
        assert (len(ours), len(theirs)) == (1, 1)
        # Two-byte characters, bit 0, are what the peer's model does not have.
        assert question % 48 == 1 or (ours[0] & 2, theirs[0] & 2) == (2, 2)
    else:
        for answer in (ours, theirs):
            assert (answer[:1], answer[-1:]) == (b"_", b"\x00")


def test_where_the_two_differ(both: Both) -> None:
    """Real-time commands within a picture act on ours alone, as Epson's reference has it; the peer
    knows neither the sizes of FS !, nor GS ( H, nor DLE DC4 function 8.
    """
    both.receive(b"\x1dv0\x00\x03\x00\x01\x00\x10\x04\x01")
    assert both.answers() == (b"\x12", b"")
    both.receive(b"\x1d(H\x06\x00\x30\x30A012")
    both.receive(b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08")
    assert both.answers() == (b"\x37\x22A012\x00\x37\x25\x00", b"")
    both.receive(b"\x1c!\x0c")
    assert len(both.theirs.unknown) == 4
    assert both.ours.unknown_commands == []
