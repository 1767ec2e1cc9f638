"""Drivers under nonsense: what a reader or a printer might send, cut up, broken, out of turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from random import Random

from drivers.id_card_reader import sdt_frames as sdt
from drivers.id_card_reader.sdt import SdtConfig, SdtReader
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_status import (
    AutoStatus,
    Deframer,
    of_auto_status,
    of_real_time,
)
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort
from hallkit.errors import DeviceError, DeviceTimeout, DeviceUnavailable, Reason
from hallkit.model.printing import PrintResult, QrLine, Slip, TextLine
from launcher.rehearsals.nonsense import broken


class _WireClock:
    """Time that passes only while a wire is silent."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    def mono_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += max(seconds, 0.001)


class _Wire:
    """A transport whose other end answers what `answer` says, in pieces; None hangs up."""

    def __init__(self, clock: _WireClock, answer: Callable[[bytes], list[bytes | None]]) -> None:
        self._clock = clock
        self._answer = answer
        self._arriving: deque[bytes | None] = deque()
        self.delivered = bytearray()
        self.written = bytearray()
        self.is_open = False

    async def open(self, *, timeout_s: float) -> None:  # noqa: ARG002  # the port's shape
        self.is_open = True

    async def write(self, data: bytes, *, timeout_s: float) -> None:  # noqa: ARG002
        self._must_be_open()
        self.written += data
        self._arriving.extend(self._answer(data))

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        self._must_be_open()
        if not self._arriving:
            self._clock.now_s += timeout_s
            raise DeviceTimeout("fuzz", Reason.SILENT)
        self._clock.now_s += 0.002
        data = self._arriving.popleft()
        if data is None:
            self.is_open = False
            raise DeviceUnavailable("fuzz", Reason.PORT_GONE)
        if len(data) > limit:
            self._arriving.appendleft(data[limit:])
        self.delivered += data[:limit]
        return data[:limit]

    async def drain_input(self) -> int:
        thrown = sum(len(data or b"") for data in self._arriving)
        self._arriving.clear()
        return thrown

    async def close(self) -> None:
        self.is_open = False
        self._arriving.clear()

    def _must_be_open(self) -> None:
        if not self.is_open:
            raise DeviceUnavailable("fuzz", Reason.PORT_GONE)


def _pieces(random: Random, data: bytes) -> list[bytes | None]:
    """As a wire delivers: in pieces, or cut off by a hang-up."""
    pieces: list[bytes | None] = []
    while data:
        size = random.randrange(1, len(data) + 1)
        pieces.append(data[:size])
        data = data[size:]
    if random.random() < 0.02:
        pieces.insert(random.randrange(len(pieces) + 1), None)
    return pieces


def _card_text() -> bytes:
    text = bytearray(" " * 128, "utf-16-le")
    fields = {
        0: "张三", 30: "1", 32: "01", 36: "19491231", 52: "测试路1号", 122: "11010519491231002X",
        158: "测试局", 188: "20200101", 204: "长期",
    }  # fmt: skip
    for offset, value in fields.items():
        raw = value.encode("utf-16-le")
        text[offset : offset + len(raw)] = raw
    return bytes(text)


_OK = b"\0\0\x90"
_SDT_ANSWERS: Mapping[bytes, bytes] = {
    sdt.SAM_STATUS.code: sdt.frame(_OK),
    sdt.SAM_ID.code: sdt.frame(_OK + bytes.fromhex("0500010009B83201E7030000AD000000")),
    sdt.FIND.code: sdt.frame(b"\0\0\x9f" + bytes(4)),
    sdt.SELECT.code: sdt.frame(_OK + bytes(8)),
    sdt.READ.code: sdt.frame(_OK + bytes.fromhex("01000400") + _card_text() + bytes(1024)),
    sdt.APPENDED.code: sdt.frame(b"\0\0\x91"),
}
_SDT_ALL = tuple(_SDT_ANSWERS.values())


def _sdt_reply(random: Random, real: bytes) -> bytes:
    """A broken reply, or a whole frame of broken content: the check byte is right then."""
    if random.random() < 0.3:
        content = broken(random, real[len(sdt.PREAMBLE) + 2 : -1])[: sdt.MAX_LENGTH]
        return sdt.frame(content)
    return broken(random, real, _SDT_ALL)


class SdtFrames:
    last_input = ""

    async def once(self, random: Random) -> str:
        data = b"".join(_sdt_reply(random, random.choice(_SDT_ALL)) for _ in range(4))
        self.last_input = data.hex()
        stream = sdt.ReplyStream()
        replies = [reply for piece in _pieces(random, data) for reply in stream.feed(piece or b"")]
        whole = sdt.ReplyStream()
        if [r.status for r in whole.feed(data)] != [r.status for r in replies]:
            raise AssertionError("the replies depend on how the bytes were split")
        for reply in replies:
            if reply.status == sdt.Status.OK and len(reply.data) in sdt.READ.data_bytes:
                sdt.split_read(reply.data)
            if reply.status == sdt.Status.OK and len(reply.data) == sdt.SAM_ID.data_bytes.start:
                sdt.sam_id_text(reply.data)
        return f"{min(len(replies), 5)} replies"


class SdtDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        clock = _WireClock()
        config = SdtConfig(
            id="fuzz", driver="sdt", transport=SerialPort(kind="serial", path="/dev/fuzz")
        )

        def answer(request: bytes) -> list[bytes | None]:
            code = request[len(sdt.PREAMBLE) + 2 : len(sdt.PREAMBLE) + 4]
            return _pieces(random, _sdt_reply(random, _SDT_ANSWERS[code]))

        port = _Wire(clock, answer)
        reader = SdtReader(config, clock, open_transport=lambda _id, _port: port)
        try:
            if random.random() < 0.3:
                return f"probe {(await reader.probe()).status}"
            return type(await reader.poll_card()).__name__
        except DeviceError as fault:
            return fault.code
        finally:
            self.last_input = port.delivered.hex()
            await port.close()


_ESCPOS_ANSWERS = (b"\x12", b"\x16", b"\x1a", b"\x37\x25\x00", b"\x5fTM\x00", b"\x10\0\0\0", b"\0")
_SLIP = Slip(
    lines=(TextLine(text="A001 䶮"), QrLine(text="HK1.T.0.20260101.A001.x")), reprint_mark="补打"
)


class EscPosStatus:
    last_input = ""

    async def once(self, random: Random) -> str:
        data = b"".join(
            broken(random, random.choice(_ESCPOS_ANSWERS), _ESCPOS_ANSWERS) for _ in range(12)
        )
        self.last_input = data.hex()
        pieces, at_once = Deframer(), Deframer()
        frames = [frame for piece in _pieces(random, data) for frame in pieces.feed(piece or b"")]
        if at_once.feed(data) != frames:
            raise AssertionError("the frames depend on how the bytes were split")
        for frame in frames:
            if isinstance(frame, AutoStatus):
                _ = of_auto_status(frame).reason
        condition = of_real_time(*random.randbytes(4))
        return f"condition {condition.reason or 'works'}"


class EscPosDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        clock = _WireClock()
        config = EscPosConfig(
            id="fuzz", driver="escpos", transport=TcpPort(host="printer", port=9100)
        )
        port = _Wire(clock, lambda data: _escpos_answer(random, data))
        printer = EscPosPrinter(config, clock, transport=port)
        try:
            if random.random() < 0.5:
                return f"probe {(await printer.probe()).status}"
            outcome = await printer.print_slip(_SLIP, marked=random.random() < 0.5)
        finally:
            self.last_input = port.delivered.hex()
            await port.close()
        echo = b"\x37\x22" + _asked_identifier(bytes(port.written)) + b"\x00"
        if outcome.result is PrintResult.COMPLETED and echo not in port.delivered:
            raise AssertionError("completed without the printer's word")
        return f"print {outcome.result}"


def _escpos_answer(random: Random, data: bytes) -> list[bytes | None]:
    """What a printer answers, each answer perhaps broken; sometimes a status nobody asked for."""
    answers = []
    if data[:2] == b"\x10\x04":
        answers.append(b"\x12")
    if b"\x1dI\x43" in data:
        answers += [b"\x5fTM\x00", b"\x5f1\x00"]
    if data[:3] == b"\x10\x14\x08":
        answers.append(b"\x37\x25\x00")
    if identifier := _asked_identifier(data):
        answers.append(b"\x37\x22" + identifier + b"\x00")
    if random.random() < 0.1:
        answers.append(bytes([0x10, *(random.randrange(128) & 0x6F for _ in range(3))]))
    return [
        piece
        for one in answers
        for whole in [one if random.random() < 0.8 else broken(random, one, _ESCPOS_ANSWERS)]
        for piece in _pieces(random, whole)
    ]


def _asked_identifier(data: bytes) -> bytes:
    """The four characters of the last process-ID request."""
    before, request, behind = data.rpartition(b"\x1d(H\x06\x0000")
    return behind[:4] if request and len(behind) >= 4 and before else b""
