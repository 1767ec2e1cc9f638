"""The driver against the emulated printer, over TCP: every fault, and what lies on the paper.

The emulator runs as a process of its own. Tests wait on its control socket, never on the clock.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image, ImageChops, ImageDraw, ImageFont

from drivers.driver import status_of
from drivers.sim.control import order
from drivers.sim.process import simulator
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_profile import load_profile
from drivers.ticket_printer.roll import LINE_MM
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort, TcpTransport
from hallkit.errors import DeviceTimeout, DeviceUnavailable, Reason
from hallkit.model.device import DeviceStatus, Paper
from hallkit.model.printing import PrintOutcome, PrintResult, QrLine, RuleLine, Slip, TextLine
from hallkit.runtime.clock import SystemClock

pytestmark = pytest.mark.wire

CODE = "https://hall.example/t/01J8ZC3Y6K?n=A012"
TICKET = Slip(
    lines=(
        TextLine(text="德阳市政务服务中心", scale=2, bold=True, align="center"),
        RuleLine(),
        TextLine(text="A012", scale=4, bold=True, align="center"),
        TextLine(text="居民身份证补领", scale=2, align="center"),
        TextLine(text="请到 3 号窗口（二楼东区）等候叫号，前面还有 5 人。"),
        TextLine(text="䶮𠮷邡湔氐"),
        RuleLine(),
        QrLine(text=CODE),
        TextLine(text="扫码查看排队进度", align="center"),
    ),
    reprint_mark="补打",
)
FIRST, LAST = "德阳市政务服务中心", "扫码查看排队进度"
COMPLETED = PrintOutcome(result=PrintResult.COMPLETED)


def unknown(reason: Reason) -> PrintOutcome:
    return PrintOutcome(result=PrintResult.UNKNOWN, reason=reason)


def not_started(reason: Reason) -> PrintOutcome:
    return PrintOutcome(result=PrintResult.NOT_STARTED, reason=reason)


class Rig:
    """An emulated printer and the driver that uses it."""

    def __init__(self, folder: Path, port: int, profile: str, **deadlines: float) -> None:
        self.receipts = folder / "receipts"
        self.control = folder / "control"
        self.port = port
        config = EscPosConfig(
            id="ticket-printer",
            driver="escpos",
            transport=TcpPort(host="127.0.0.1", port=port),
            profile=profile,
            roll_m=4_000 * LINE_MM / 1000,
            near_end_m=200 * LINE_MM / 1000,
        )
        shorter = load_profile(profile).model_copy(update=deadlines)
        self.printer = EscPosPrinter(config, SystemClock(), profile=shorter)

    async def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        return await order(self.control, do, **arguments)

    async def state(self) -> dict[str, Any]:
        state: dict[str, Any] = (await self.tell("state"))["state"]
        return state

    async def print(self, *, marked: bool = False) -> PrintOutcome:
        return await self.printer.print_slip(TICKET, marked=marked)

    @asynccontextmanager
    async def printing(self, *, marked: bool = False) -> AsyncIterator[asyncio.Task[PrintOutcome]]:
        """A print under way; it has an outcome when the block ends."""
        async with asyncio.TaskGroup() as tasks:
            yield tasks.create_task(self.print(marked=marked))

    def text(self, number: int, stem: str = "slip") -> list[str]:
        path = self.receipts / f"{stem}-{number:04d}.txt"
        return path.read_text("utf-8").split("\n")

    def picture(self, number: int) -> Image.Image:
        with Image.open(self.receipts / f"slip-{number:04d}.png") as picture:
            return picture.copy()


MakeRig = Callable[..., AbstractAsyncContextManager[Rig]]


@pytest.fixture(name="make_rig")
def rig_factory(tmp_path: Path) -> MakeRig:
    @asynccontextmanager
    async def make(
        *arguments: str, profile: str = "escpos_generic", **deadlines: float
    ) -> AsyncIterator[Rig]:
        control = tmp_path / "control"
        places = ("--receipts", tmp_path / "receipts", "--control", control)
        async with simulator("drivers.sim.escpos", *places, *arguments):
            port = (await order(control, "state"))["state"]["port"]
            rig = Rig(tmp_path, port, profile, **deadlines)
            async with rig.printer:
                yield rig

    return make


@pytest.fixture(name="rig")
async def usual_rig(make_rig: MakeRig) -> AsyncIterator[Rig]:
    async with make_rig() as rig:
        yield rig


# Without faults


async def test_a_ticket_is_printed_and_confirmed(rig: Rig) -> None:
    assert rig.printer.report.status is DeviceStatus.STARTING
    assert await rig.print() == COMPLETED
    report = rig.printer.report
    assert (report.status, report.paper, report.model) == (
        DeviceStatus.ONLINE,
        Paper.FULL,
        "HK-T80 SIM",
    )
    state = await rig.state()
    assert (state["slips"], state["buffer"], state["unknown_commands"]) == (1, 0, [])
    text = rig.text(1)
    assert text[0] == FIRST
    assert LAST in text
    assert f"[qr] {CODE}" in text
    assert rig.printer.diagnostics()["lines_estimated"] == pytest.approx(
        state["lines_printed"], abs=1
    )


async def test_the_picture_of_a_ticket_reads_back(rig: Rig) -> None:
    assert await rig.print() == COMPLETED
    picture = rig.picture(1)
    assert picture.width == 576 + 64
    (code,) = zxingcpp.read_barcodes(picture)
    assert code.text == CODE
    assert code.format == zxingcpp.BarcodeFormat.QRCode
    # Ink keeps away from the edges of the paper.
    left, top, right, bottom = ImageChops.invert(picture).getbbox() or (0, 0, 0, 0)
    assert left >= 32
    assert right <= 608
    assert top >= 96
    assert picture.height - bottom >= 40


@pytest.mark.parametrize("character", ["䶮", "𠮷", "邡", "湔", "氐"])
async def test_rare_characters_are_drawn_in_the_picture(rig: Rig, character: str) -> None:
    assert await rig.print() == COMPLETED
    text = "\n".join(rig.text(1))
    assert "?" not in text.replace(CODE, "")
    assert "□" not in text
    assert "[image 576×34]" in text
    assert _stands_in(rig.picture(1), character)


def _stands_in(picture: Image.Image, character: str) -> bool:
    """True if the glyph is found, dot for dot, at one of the columns of the drawn line."""
    font = ImageFont.truetype("NotoSansCJK-Regular.ttc", 24, index=7)
    glyph = Image.new("L", (24, 27), 255)
    ImageDraw.Draw(glyph).text((0, 21), character, font=font, fill=0, anchor="ls")
    glyph = glyph.point(lambda grey: 0 if grey < 150 else 255)
    for left in range(32, 32 + 5 * 24, 24):
        for top in range(picture.height - glyph.height):
            window = picture.crop((left, top, left + 24, top + glyph.height))
            if ImageChops.difference(window, glyph).getbbox() is None:
                return True
    return False


async def test_a_small_printer_confirms_by_its_paper_sensor(make_rig: MakeRig) -> None:
    arguments = ("--dialect", "basic", "--dots", "384")
    async with make_rig(*arguments, profile="escpos_58mm") as rig:
        assert await rig.print() == COMPLETED
        (code,) = zxingcpp.read_barcodes(rig.picture(1))
        assert code.text == CODE
        assert rig.picture(1).width == 384 + 64
        await rig.tell("paper.set", lines=12)
        assert await rig.print() == unknown(Reason.PAPER_OUT)
        await rig.tell("paper.refill")
        assert await rig.print(marked=True) == COMPLETED
        assert rig.text(2)[0] == "补打"


async def test_low_paper_is_reported_and_printed_on(rig: Rig) -> None:
    await rig.tell("fault.set", fault="paper_low")
    report = await rig.printer.probe()
    assert (report.status, report.paper, report.reason) == (
        DeviceStatus.ONLINE,
        Paper.LOW,
        Reason.PAPER_LOW,
    )
    assert await rig.print() == COMPLETED


async def test_paper_gets_low_while_printing(rig: Rig) -> None:
    await rig.tell("paper.set", lines=210)
    assert (await rig.printer.probe()).paper is Paper.FULL
    assert await rig.print() == COMPLETED
    assert rig.printer.report.paper is Paper.LOW


# Faults before the first byte

STATES = {
    "paper_out": Reason.PAPER_OUT,
    "cover_open": Reason.COVER_OPEN,
    "cutter": Reason.CUTTER,
    "overheated": Reason.OVERHEATED,
    "offline": Reason.OFFLINE,
    "unrecoverable": Reason.UNRECOVERABLE,
}


@pytest.mark.parametrize(("fault", "reason"), STATES.items())
async def test_a_fault_before_the_first_byte_starts_nothing(
    rig: Rig, fault: str, reason: Reason
) -> None:
    await rig.tell("fault.set", fault=fault)
    report = await rig.printer.probe()
    assert (report.status, report.action) == status_of(reason)
    assert report.reason is reason
    assert not report.works
    assert await rig.print() == not_started(reason)
    state = await rig.state()
    assert (state["slips"], state["lines_printed"]) == (0, 0)
    await rig.tell("fault.clear")
    assert (await rig.printer.probe()).works
    assert await rig.print() == COMPLETED
    assert rig.text(1)[0] == FIRST


# Faults in the middle


@pytest.mark.parametrize("fault", ["paper_out", "cover_open", "cutter", "unrecoverable"])
async def test_a_fault_in_the_middle_makes_the_outcome_unknown(rig: Rig, fault: str) -> None:
    reason = STATES[fault]
    await rig.tell("fault.set", fault=fault, after_lines=8)
    assert await rig.print() == unknown(reason)
    assert rig.printer.report.reason is reason
    assert not rig.printer.report.works
    # The rest of the slip is gone from the buffer: mending the fault prints nothing by itself.
    assert (await rig.state())["buffer"] == 0
    await rig.tell("fault.clear")
    assert (await rig.state())["slips"] == 0
    assert (await rig.printer.probe()).works
    assert await rig.print(marked=True) == COMPLETED


@pytest.mark.parametrize("fault", ["overheated", "offline"])
async def test_a_fault_that_passes_by_itself_is_waited_for(rig: Rig, fault: str) -> None:
    await rig.tell("hold", after_lines=8)
    async with rig.printing() as task:
        await rig.tell("wait", what="held")
        # Two frames of automatic status, close enough to arrive in one read.
        await rig.tell("fault.set", fault=fault)
        await rig.tell("fault.clear")
        await rig.tell("release")
    assert task.result() == COMPLETED
    assert rig.printer.report.works


@pytest.mark.parametrize("fault", ["overheated", "offline"])
async def test_a_fault_that_does_not_pass_is_named(make_rig: MakeRig, fault: str) -> None:
    async with make_rig(confirm_timeout_s=0.5) as rig:
        await rig.tell("fault.set", fault=fault, after_lines=8)
        assert await rig.print() == unknown(STATES[fault])


async def test_paper_out_refill_and_reprint(rig: Rig) -> None:
    await rig.tell("paper.set", lines=12)
    assert await rig.print() == unknown(Reason.PAPER_OUT)
    report = await rig.printer.probe()
    assert (report.status, report.paper) == (DeviceStatus.ONLINE, Paper.OUT)
    assert await rig.print(marked=True) == not_started(Reason.PAPER_OUT)

    await rig.tell("paper.refill")
    state = await rig.state()
    assert (state["slips"], state["torn"], state["buffer"]) == (0, 1, 0)
    assert rig.text(1, "torn")[0] == FIRST
    assert LAST not in rig.text(1, "torn")

    assert await rig.print(marked=True) == COMPLETED
    text = rig.text(1)
    assert text[0] == "补打"
    assert text.count(FIRST) == text.count(LAST) == 1
    assert (await rig.state())["slips"] == 1
    facts = rig.printer.diagnostics()
    outcomes = [facts[f"slips_{result}"] for result in PrintResult]
    assert outcomes == [1, 1, 1]


async def test_the_roll_is_counted_as_it_shrinks(rig: Rig) -> None:
    """The twin's rolls have 4,000 lines, and its sensor tells of the last 200."""
    assert (await rig.printer.probe()).paper_left_lines is None, "nobody saw it put in"
    await rig.tell("paper.set", lines=0)
    assert (await rig.printer.probe()).paper_left_lines == 0
    await rig.tell("paper.refill")
    assert (await rig.printer.probe()).paper_left_lines == 4_000
    for _ in range(5):
        assert await rig.print() == COMPLETED
    counted, there = rig.printer.report.paper_left_lines, (await rig.state())["paper_lines"]
    assert counted is not None
    printed = 4_000 - there
    assert abs(counted - there) <= printed // 10, "what was printed is known to a tenth"
    await rig.tell("paper.set", lines=150)
    assert (await rig.printer.probe()).paper_left_lines == 200, "no more than the sensor grants"


@pytest.mark.parametrize("dialect", ["generic", "epson"])
async def test_a_half_slip_never_prints_behind_a_new_one(make_rig: MakeRig, dialect: str) -> None:
    async with make_rig("--dialect", dialect) as rig:
        await rig.tell("hold", after_lines=8)
        async with rig.printing() as first:
            await rig.tell("wait", what="held")
            await rig.tell("disconnect")
        assert first.result() == unknown(Reason.PORT_GONE)
        assert (await rig.state())["buffer"] > 0

        cleared = (await rig.state())["cleared"]
        async with rig.printing(marked=True) as second:
            await rig.tell("wait", what="cleared", count=cleared + 1)
            await rig.tell("wait", what="buffer")
            await rig.tell("release")
        assert second.result() == COMPLETED
        text = rig.text(1)
        assert text.count(FIRST) == 2
        assert text.index("补打") > text.index(FIRST)
        assert text.count(LAST) == 1
        assert (await rig.state())["slips"] == 1


async def test_a_printer_without_power_in_the_middle(rig: Rig) -> None:
    await rig.tell("hold", after_lines=8)
    async with rig.printing() as task:
        await rig.tell("wait", what="held")
        await rig.tell("power.cut")
    assert task.result() == unknown(Reason.PORT_GONE)
    report = await rig.printer.probe()
    assert (report.status, report.reason) == (DeviceStatus.OFFLINE, Reason.REFUSED)
    assert report.paper is Paper.UNKNOWN
    assert await rig.print(marked=True) == not_started(Reason.REFUSED)

    await rig.tell("release")
    await rig.tell("power.on")
    assert (await rig.printer.probe()).works
    assert await rig.print(marked=True) == COMPLETED
    assert rig.text(1).count(LAST) == 1


async def test_a_cancelled_print_leaves_nothing_behind(rig: Rig) -> None:
    await rig.tell("hold", after_lines=8)
    task = asyncio.create_task(rig.print())
    await rig.tell("wait", what="held")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await rig.tell("paper.refill")
    cleared = (await rig.state())["cleared"]
    async with rig.printing(marked=True) as second:
        await rig.tell("wait", what="cleared", count=cleared + 1)
        await rig.tell("release")
    assert second.result() == COMPLETED
    assert rig.text(1).count(LAST) == 1


async def test_a_probe_never_waits_for_a_print(rig: Rig) -> None:
    await rig.tell("hold", after_lines=8)
    async with rig.printing() as task:
        await rig.tell("wait", what="held")
        before = rig.printer.report
        assert await rig.printer.probe() is before
        assert not task.done()
        await rig.tell("release")
    assert task.result() == COMPLETED


async def test_prints_wait_for_each_other(rig: Rig) -> None:
    outcomes = tuple(await asyncio.gather(rig.print(), rig.print(), rig.print()))
    assert outcomes == (COMPLETED, COMPLETED, COMPLETED)
    assert all(rig.text(number).count(FIRST) == 1 for number in (1, 2, 3))


# Faults of the wire


async def test_a_silent_printer(make_rig: MakeRig) -> None:
    async with make_rig(status_timeout_s=0.3) as rig:
        await rig.tell("fault.set", fault="silent")
        report = await rig.printer.probe()
        assert (report.status, report.reason) == (DeviceStatus.OFFLINE, Reason.SILENT)
        assert await rig.print() == not_started(Reason.SILENT)
        assert (await rig.state())["lines_printed"] == 0
        await rig.tell("fault.clear")
        assert await rig.print() == COMPLETED


async def test_a_printer_that_prints_and_never_says_so(make_rig: MakeRig) -> None:
    async with make_rig(confirm_timeout_s=0.5, status_timeout_s=2.0) as rig:
        await rig.tell("fault.set", fault="silent", after_lines=8)
        assert await rig.print() == unknown(Reason.SILENT)
        await rig.tell("wait", what="slips", count=1)
        assert LAST in rig.text(1)


async def test_a_confirmation_that_is_lost(make_rig: MakeRig) -> None:
    async with make_rig(confirm_timeout_s=0.5) as rig:
        await rig.tell("fault.set", fault="silent", after_lines=8, times=1)
        # The printer answers again afterwards and has nothing to complain of.
        assert await rig.print() == unknown(Reason.SILENT)
        assert (await rig.printer.probe()).works


async def test_a_garbled_wire(make_rig: MakeRig) -> None:
    async with make_rig(status_timeout_s=0.3) as rig:
        await rig.tell("fault.set", fault="garble")
        report = await rig.printer.probe()
        assert (report.status, report.reason) == (DeviceStatus.HARDWARE_ERROR, Reason.GARBLED)
        assert await rig.print() == not_started(Reason.GARBLED)
        await rig.tell("fault.clear")
        assert await rig.print() == COMPLETED


async def test_a_garbled_confirmation(make_rig: MakeRig) -> None:
    async with make_rig(confirm_timeout_s=0.5) as rig:
        await rig.tell("fault.set", fault="garble", after_lines=8, times=1)
        assert await rig.print() == unknown(Reason.GARBLED)
        assert (await rig.state())["slips"] == 1


async def test_a_connection_that_breaks_before_the_print(rig: Rig) -> None:
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", fault="drop", times=1)
    assert await rig.print() == not_started(Reason.PORT_GONE)
    assert rig.printer.report.status is DeviceStatus.NO_DEVICE
    assert await rig.print() == COMPLETED
    assert rig.printer.diagnostics()["connections"] == 2


async def test_a_connection_that_breaks_in_the_middle(rig: Rig) -> None:
    await rig.tell("fault.set", fault="drop", after_lines=8, times=1)
    assert await rig.print() == unknown(Reason.PORT_GONE)
    # The printer had it all and finished it alone.
    await rig.tell("wait", what="slips", count=1)
    assert (await rig.printer.probe()).works


async def test_late_answers_within_the_deadline(rig: Rig) -> None:
    await rig.tell("fault.set", fault="delay", seconds=0.02)
    assert await rig.print() == COMPLETED


async def test_answers_behind_the_deadline(make_rig: MakeRig) -> None:
    async with make_rig(status_timeout_s=0.3) as rig:
        await rig.tell("fault.set", fault="delay", seconds=30)
        assert (await rig.printer.probe()).reason is Reason.SILENT


async def test_a_printer_that_serves_another_host(rig: Rig) -> None:
    await rig.tell("fault.set", fault="busy", times=2)
    report = await rig.printer.probe()
    assert (report.status, report.reason) == (DeviceStatus.DEVICE_BUSY, Reason.OCCUPIED)
    assert await rig.print() == not_started(Reason.OCCUPIED)
    assert (await rig.printer.probe()).works


async def test_status_that_came_between_probes_does_not_disturb(rig: Rig) -> None:
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", fault="cover_open")
    await rig.tell("fault.clear")
    assert (await rig.printer.probe()).works
    await rig.tell("fault.set", fault="cover_open")
    assert (await rig.printer.probe()).reason is Reason.COVER_OPEN


# The transport


async def test_the_transport_raises_two_kinds_of_fault_only(rig: Rig) -> None:
    wire = TcpTransport("ticket-printer", TcpPort(host="127.0.0.1", port=rig.port))
    with pytest.raises(DeviceUnavailable):
        await wire.read(timeout_s=1)
    await wire.open(timeout_s=5)
    await wire.open(timeout_s=5)
    with pytest.raises(DeviceTimeout):
        await wire.read(timeout_s=0.01)
    await wire.write(b"\x10\x04\x01", timeout_s=5)
    assert await wire.read(timeout_s=5) == b"\x12"
    await rig.tell("power.cut")
    with pytest.raises(DeviceUnavailable) as gone:
        await wire.read(timeout_s=5)
    assert gone.value.reason is Reason.PORT_GONE
    assert not wire.is_open
    with pytest.raises(DeviceUnavailable) as refused:
        await wire.open(timeout_s=5)
    assert refused.value.reason is Reason.REFUSED
    await wire.close()


async def test_the_transport_throws_away_what_was_not_read(rig: Rig) -> None:
    wire = TcpTransport("ticket-printer", TcpPort(host="127.0.0.1", port=rig.port))
    await wire.open(timeout_s=5)
    assert await wire.drain_input() == 0
    await wire.write(b"\x1b@\x1da\x0e", timeout_s=5)
    assert await wire.read(timeout_s=5, limit=2) == b"\x10\x00"
    assert await wire.drain_input() == 2
    await wire.close()


# The emulator itself: bytes by hand, without the driver


@asynccontextmanager
async def by_hand(rig: Rig) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


CUT = b"\x1bd\x06\x1dV\x00"


async def test_chinese_without_kanji_mode_is_mojibake(rig: Rig) -> None:
    async with by_hand(rig) as (_, writer):
        writer.write(b"\x1b@" + "取号".encode("gb18030") + b"\n" + CUT)
        await rig.tell("wait", what="slips")
    assert rig.text(1)[0] == "取号".encode("gb18030").decode("cp437")


async def test_rare_characters_are_not_in_the_printers_font(rig: Rig) -> None:
    async with by_hand(rig) as (_, writer):
        # One of two bytes, one of four.
        writer.write(b"\x1b@\x1c&" + "张䶮𠮷".encode("gb18030") + b"\n" + CUT)
        await rig.tell("wait", what="slips")
    assert rig.text(1)[0] == "张□□"


async def test_a_cut_without_a_feed_cuts_the_last_lines_off(rig: Rig) -> None:
    async with by_hand(rig) as (_, writer):
        writer.write(b"\x1b@" + b"".join(b"%d\n" % line for line in range(8)) + b"\x1dV\x00" + CUT)
        await rig.tell("wait", what="slips", count=2)
    assert rig.text(1)[:-1] + rig.text(2)[:-1] == [str(line) for line in range(8)]
    assert rig.text(2)[:-1]


async def test_paper_out_keeps_the_buffer_until_the_refill(rig: Rig) -> None:
    await rig.tell("paper.set", lines=3)
    async with by_hand(rig) as (reader, writer):
        lines = b"".join(b"%d\n" % line for line in range(6))
        writer.write(b"\x1b@\x1da\x0e" + lines + CUT)
        assert await reader.readexactly(8) == bytes.fromhex("10000300 18000f00")
        writer.write(b"\x10\x04\x01\x10\x04\x02\x10\x04\x03\x10\x04\x04")
        assert await reader.readexactly(4) == bytes.fromhex("1a32127e")
    await rig.tell("paper.refill")
    await rig.tell("wait", what="slips")
    assert rig.text(1, "torn")[:-1] == ["0", "1", "2"]
    assert rig.text(1)[:-1] == ["3", "4", "5"]


async def test_dle_enq_clears_the_rest_of_the_slip(rig: Rig) -> None:
    await rig.tell("paper.set", lines=3)
    async with by_hand(rig) as (_, writer):
        writer.write(b"\x1b@" + b"x\n" * 6 + CUT)
        await rig.tell("wait", what="buffer")
        writer.write(b"\x10\x05\x02")
        await rig.tell("wait", what="cleared")
        await rig.tell("paper.refill")
        writer.write(b"\x1b@new\n" + CUT)
        await rig.tell("wait", what="slips")
    assert rig.text(1)[:-1] == ["new"]


async def test_slips_of_an_earlier_run_are_kept(make_rig: MakeRig) -> None:
    for number in (1, 2):
        async with make_rig() as rig:
            assert await rig.print() == COMPLETED
            assert (await rig.state())["slips"] == number
    assert rig.text(1) == rig.text(2)


async def test_half_a_picture_swallows_what_comes_behind_it(rig: Rig) -> None:
    async with by_hand(rig) as (_, writer):
        writer.write(b"\x1b@\x1dv0\x00\x48\x00\x20\x00half")
    async with by_hand(rig) as (reader, writer):
        writer.write(b"\x1b@swallowed\n\x10\x04\x01")
        assert await reader.readexactly(1) == b"\x12"
    assert (await rig.state())["lines_printed"] == 0
    assert await rig.print() == COMPLETED
    assert rig.text(1)[0] == FIRST


async def test_the_printer_names_itself_and_counts_its_orders(rig: Rig) -> None:
    async with by_hand(rig) as (reader, writer):
        writer.write(b"\x1dI\x43\x1dr\x01\x1d(H\x06\x0000abcd")
        assert await reader.readexactly(20) == b"\x5fHK-T80 SIM\x00\x00\x37\x22abcd\x00"
    with pytest.raises(RuntimeError, match="unknown: dance"):
        await rig.tell("dance")
    with pytest.raises(RuntimeError, match="unknown fault 'tired'"):
        await rig.tell("fault.set", fault="tired")


# On a serial port


@asynccontextmanager
async def serial_rig(
    folder: Path, *, baud: int = 115200
) -> AsyncIterator[tuple[EscPosPrinter, Path]]:
    control, link = folder / "control", folder / "port"
    places = ("--receipts", folder / "receipts", "--control", control, "--link", link)
    async with simulator("drivers.sim.escpos", *places):
        config = EscPosConfig(
            id="ticket-printer",
            driver="escpos",
            transport=SerialPort(kind="serial", path=str(link), baud=baud),
        )
        async with EscPosPrinter(config, SystemClock()) as printer:
            yield printer, control


async def test_a_serial_printer_prints_the_same_ticket(make_rig: MakeRig, tmp_path: Path) -> None:
    async with serial_rig(tmp_path) as (printer, _):
        assert await printer.print_slip(TICKET, marked=False) == COMPLETED
    paper = tmp_path / "receipts" / "slip-0001.png"
    on_serial = paper.read_bytes()
    paper.unlink()
    async with make_rig() as rig:
        assert await rig.print() == COMPLETED
    assert paper.read_bytes() == on_serial


async def test_a_serial_printer_unplugged_in_mid_slip_may_have_printed(tmp_path: Path) -> None:
    async with serial_rig(tmp_path) as (printer, control):
        assert (await printer.probe()).works
        await order(control, "hold", after_lines=8)
        printing = asyncio.create_task(printer.print_slip(TICKET, marked=False))
        await order(control, "wait", what="held")
        await order(control, "power.cut")
        assert await printing == unknown(Reason.PORT_GONE)
        assert (await printer.probe()).reason is Reason.PORT_GONE
        await order(control, "power.on")
        assert (await printer.probe()).works


async def test_a_serial_port_that_another_program_holds_is_busy(tmp_path: Path) -> None:
    async with serial_rig(tmp_path) as (printer, control):
        await order(control, "fault.set", fault="busy", times=1)
        await order(control, "disconnect")
        report = await printer.probe()
        assert (report.status, report.reason) == (DeviceStatus.DEVICE_BUSY, Reason.OCCUPIED)
        assert await printer.print_slip(TICKET, marked=False) == not_started(Reason.OCCUPIED)


async def test_a_slow_wire_is_given_its_time(tmp_path: Path) -> None:
    async with serial_rig(tmp_path, baud=9600) as (printer, _):
        assert printer._wire_s(9600) == 10.0
        assert await printer.print_slip(TICKET, marked=False) == COMPLETED
