"""The personal guide on the emulated printer's paper: complete, and its code opens it again."""

from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageChops

from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.transport.tcp import TcpPort
from hallkit.guide.questions import held_facts, personal_list, replay
from hallkit.guide.share import decode, encode
from hallkit.guide.sheet import Sheet, sheet, slip
from hallkit.lexicon.words import words
from hallkit.model.printing import PrintResult
from hallkit.runtime.clock import SystemClock
from tests.fakes.item import ITEM

pytestmark = pytest.mark.wire

ANSWERS = {"place": "rented", "size": "small"}


def made() -> Sheet:
    state = replay(ITEM, ANSWERS, held_facts(["resident_card"]))
    code = encode(ITEM.catalog_code, state.as_text)
    hall = "什邡市政务服务大厅"
    return sheet(personal_list(ITEM, state), hall=hall, code=code, words=words("zh_CN"))


@pytest.mark.parametrize("profile", ["escpos_generic", "escpos_58mm"])
async def test_the_slip_is_complete_and_reads_back(tmp_path: Path, profile: str) -> None:
    control, receipts = tmp_path / "control", tmp_path / "receipts"
    dots = ("--dots", "384") if profile == "escpos_58mm" else ()
    async with simulator("drivers.sim.escpos", "--receipts", receipts, "--control", control, *dots):
        port = (await order(control, "state"))["state"]["port"]
        config = EscPosConfig(
            id="ticket-printer",
            driver="escpos",
            transport=TcpPort(host="127.0.0.1", port=port),
            profile=profile,
        )
        async with EscPosPrinter(config, SystemClock()) as printer:
            outcome = await printer.print_slip(slip(made(), reprint_mark="补打"), marked=False)
    assert outcome.result is PrintResult.COMPLETED
    text = (receipts / "slip-0001.txt").read_text("utf-8").replace("\n", "")
    page = made()
    wanted = [page.title, page.official, page.note, page.scan, *page.steps]
    wanted += [f"{one.name}（{one.mark}）" for one in page.materials]
    wanted += [f"{row.label}：{row.value}" for row in page.rows]
    assert [one for one in wanted if one not in text] == []
    with Image.open(receipts / "slip-0001.png") as picture:
        (code,) = zxingcpp.read_barcodes(picture)
        left, _, right, _ = ImageChops.invert(picture.convert("L")).getbbox() or (0, 0, 0, 0)
        assert left >= 32
        assert right <= picture.width - 32
    assert decode(code.text).answers == ANSWERS
