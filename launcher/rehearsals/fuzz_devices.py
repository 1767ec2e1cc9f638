"""Drivers under nonsense: what a reader or a printer might send, cut up, broken, out of turn."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from drivers.camera.opencv_settings import Login
from drivers.camera.opencv_why import authorisation, status_of_answer
from drivers.id_card_reader import sdt_frames as sdt
from drivers.id_card_reader.sdt import SdtConfig, SdtReader
from drivers.led_bar import onbon_frames, onbon_pictures
from drivers.led_bar.onbon import OnbonBar, OnbonConfig
from drivers.ticket_printer.escpos import EscPosConfig, EscPosPrinter
from drivers.ticket_printer.escpos_status import (
    AutoStatus,
    Deframer,
    of_auto_status,
    of_real_time,
)
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort
from drivers.ups.nut import NutConfig, NutUps
from hallkit.errors import DeviceError
from hallkit.model.printing import PrintResult, QrLine, Slip, TextLine
from hallkit.model.signage import BarText
from launcher.rehearsals.fuzz_wire import Wire, WireClock, delivered
from launcher.rehearsals.nonsense import broken


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
        replies = [
            reply for piece in delivered(random, data) for reply in stream.feed(piece or b"")
        ]
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
        clock = WireClock()
        config = SdtConfig(
            id="fuzz", driver="sdt", transport=SerialPort(kind="serial", path="/dev/fuzz")
        )

        def answer(request: bytes) -> list[bytes | None]:
            code = request[len(sdt.PREAMBLE) + 2 : len(sdt.PREAMBLE) + 4]
            return delivered(random, _sdt_reply(random, _SDT_ANSWERS[code]))

        port = Wire(clock, answer)
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
        frames = [frame for piece in delivered(random, data) for frame in pieces.feed(piece or b"")]
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
        clock = WireClock()
        config = EscPosConfig(
            id="fuzz", driver="escpos", transport=TcpPort(host="printer", port=9100)
        )
        port = Wire(clock, lambda data: _escpos_answer(random, data))
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
    if random.random() < 0.05:
        answers.insert(0, random.randbytes(4_000))
    if random.random() < 0.1:
        answers.append(bytes([0x10, *(random.randrange(128) & 0x6F for _ in range(3))]))
    return [
        piece
        for one in answers
        for whole in [one if random.random() < 0.8 else broken(random, one, _ESCPOS_ANSWERS)]
        for piece in delivered(random, whole)
    ]


def _asked_identifier(data: bytes) -> bytes:
    """The four characters of the last process-ID request."""
    before, request, behind = data.rpartition(b"\x1d(H\x06\x0000")
    return behind[:4] if request and len(behind) >= 4 and before else b""


_ESCAPED = bytes([0xA5, 0xA6, 0x5A, 0x5B])
_BAR_ANSWERS: Mapping[str, tuple[bytes, ...]] = {
    "font": (
        onbon_frames.frame(b"\xa0\x00\x00\x00\x00"),
        onbon_frames.frame(b"\xa0\x01\x05\x00\x00"),
        onbon_frames.frame(_ESCAPED),
    ),
    "6e": (
        onbon_pictures.frame(b"\x00\xa0\x00\x00\x00\x00\x00"),
        onbon_pictures.frame(b"\x00\xa0\x01\x00\x00\x05\x00"),
        onbon_pictures.frame(_ESCAPED),
    ),
}


class OnbonDriver:
    """A bar that shows, is emptied and asked, several times on one connection."""

    last_input = ""

    async def once(self, random: Random) -> str:
        clock = WireClock()
        cards = random.choice(tuple(_BAR_ANSWERS))
        config = OnbonConfig.model_validate(
            {
                "id": "fuzz",
                "driver": "onbon",
                "transport": TcpPort(kind="tcp", host="bar", port=5005),
                "width_px": 96,
                "cards": cards,
            }
        )
        answers = _BAR_ANSWERS[cards]
        port = Wire(
            clock,
            lambda _data: delivered(random, broken(random, random.choice(answers), answers)),
        )
        bar = OnbonBar(config, clock, transport=port)
        done = "nothing"
        try:
            for _ in range(4):
                match random.randrange(3):
                    case 0:
                        await bar.show(BarText(text="请A001号到3号窗口"))
                    case 1:
                        await bar.clear()
                    case _:
                        await bar.probe()
                done = str(bar.report.status)
        except DeviceError as fault:
            return fault.code
        finally:
            self.last_input = port.delivered.hex()
            await port.close()
        length_bytes = onbon_pictures.LENGTH_BYTES if cards != "font" else 2
        if done == "online" and not _holds_an_answer(bytes(port.delivered), length_bytes):
            raise AssertionError("works without an answer")
        return done


def _holds_an_answer(delivered: bytes, length_bytes: int) -> bool:
    """Somewhere in it: what was left of an earlier answer may stand before it."""
    starts = [place for place, byte in enumerate(delivered) if byte == onbon_frames.LEAD]
    return any(
        isinstance(frame, onbon_frames.Answer)
        for start in starts
        for frame in onbon_frames.Deframer(length_bytes).feed(delivered[start:])
    )


_UPS_ANSWERS = (
    b"BEGIN LIST VAR hallups\n"
    b'VAR hallups battery.charge "98"\nVAR hallups battery.runtime "1800"\n'
    b'VAR hallups ups.model "Twin \\"1\\""\nVAR hallups ups.status "OL CHRG"\n'
    b"END LIST VAR hallups\n",
    b'BEGIN LIST VAR hallups\nVAR hallups ups.status "OB LB"\nEND LIST VAR hallups\n',
    b"ERR DATA-STALE\n",
)


class NutDriver:
    """A UPS that is asked again and again on one connection."""

    last_input = ""

    async def once(self, random: Random) -> str:
        clock = WireClock()
        port = Wire(
            clock,
            lambda _data: delivered(
                random, broken(random, random.choice(_UPS_ANSWERS), _UPS_ANSWERS)
            ),
        )
        ups = NutUps(NutConfig(id="fuzz", driver="nut"), clock, transport=port)
        readings = 0
        try:
            for _ in range(4):
                reading = await ups.read()
                readings += 1
                told = b"LB" in port.delivered or b"FSD" in port.delivered
                if reading.battery_low and not told:
                    raise AssertionError("an empty battery that nobody told of")
        except DeviceError as fault:
            return fault.code
        finally:
            self.last_input = port.delivered.hex()
            await port.close()
        return f"{readings} readings"


_CAMERA_ANSWERS = (
    b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\n\r\n",
    b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Digest realm="cam", nonce="1"\r\n'
    b'WWW-Authenticate: Basic realm="cam"\r\n\r\n',
    b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm="cam", qop="auth", nonce="2", '
    b'opaque="3", algorithm=MD5\r\n\r\n',
    b"HTTP/1.0 503 Service Unavailable\r\n\r\n",
)


class CameraAnswers:
    """What a camera says of itself that does not open. Its pictures are FFmpeg's to read."""

    last_input = ""

    async def once(self, random: Random) -> str:
        answer = broken(random, random.choice(_CAMERA_ANSWERS), _CAMERA_ANSWERS)
        self.last_input = answer.hex()
        status = status_of_answer(answer)
        given = authorisation(answer, "DESCRIBE", "rtsp://camera/1", Login("admin", "fuzz-word"))
        if "fuzz-word" in given:
            raise AssertionError("the password as it is")
        return f"status {status // 100}xx, {given.partition(' ')[0] or 'nothing'} given"
