"""An Onbon card with its LED bar as a process, for tests, rehearsals and the demo.

    python -m drivers.sim.onbon --port 0 --control SOCKET [--picture PNG] [--width 128 --height 16]
        [--cards font|6e|6q] [--colours 1|2]

Prints `ready PORT` when it listens. It reads the bytes by itself, shares no code with the driver,
and shows what a card would: one dynamic area, its own page after switching on, mojibake where the
text is not in its character set; what it cannot do it refuses with the number of an error. A
picture card (6e, 6q) knows no text: `lamps` in its state are the rows of the bar, a page behind the
other, `r` `g` `y` where one is lit. With `--picture` the bar is drawn, dot by dot, after every
change.
Orders on the control socket (drivers/sim/control.py):

    state
    fault.set {fault, times?, seconds?} · fault.clear
    disconnect · power.cut · power.on
    time.pass {seconds}
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from drivers.sim.control import control_socket

FAULTS = frozenset({"silent", "drop", "garble", "delay", "busy"})
"""Of the wire; `times` ends them after so many answers or connections."""

_FOREVER = -1
_OWN_PAGE = "欢迎光临"
"""What a card shows by itself after it was switched on."""
_COLOURS = {1: "red", 2: "green", 3: "yellow"}
_RGB = {"r": (255, 48, 32), "g": (64, 230, 64), "y": (255, 200, 0)}
_FONT = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Bold.ttc")
_DOT = 6
"""Pixels of the picture for one of the bar."""


_TAKEN = 0
_NO_GROUP, _NO_COMMAND, _NO_ROOM = 1, 2, 4
"""What a card says of a request: taken, or the number of the error."""


@dataclass(frozen=True, slots=True)
class Area:
    """The dynamic area as the card took it."""

    text: str
    colour: str
    runs: bool
    x: int
    y: int
    width: int
    height: int
    blank_after_s: int | None
    lamps: tuple[str, ...] = ()
    """Of a picture card: its rows, `.` where it is dark."""


class Card:
    """What a font card knows, and what its answers are."""

    header = 14
    """Bytes before the data."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.area: Area | None = None
        self.brightness = 16
        self.frames = 0
        self.refused = 0
        self._own_page = True
        self._age_s = 0.0

    def power_off(self) -> None:
        self.area, self._own_page, self._age_s = None, True, 0.0

    def pass_time(self, seconds: float) -> None:
        self._age_s += seconds

    @property
    def shown(self) -> str:
        if self.area is None:
            return _OWN_PAGE if self._own_page else ""
        blank_after_s = self.area.blank_after_s
        return "" if blank_after_s is not None and self._age_s >= blank_after_s else self.area.text

    def take(self, raw: bytes) -> bytes | None:
        """The answer to what came between lead and end, or None where a card says nothing."""
        plain = _plain(raw)
        if plain is None or len(plain) < self.header + 2:
            self.refused += 1
            return None
        if _check(plain[:-2]) != plain[-2:]:
            self.refused += 1
            return None
        length = int.from_bytes(plain[12 : self.header], "little")
        data = plain[self.header : -2]
        if len(data) != length or not data:
            self.refused += 1
            return None
        self.frames += 1
        error = self._do(data)
        self.refused += error != _TAKEN
        return self._reply(error) if self._asks(data) else None

    def frame(self, data: bytes) -> bytes:
        """What goes back onto the wire."""
        return _framed(bytes((0, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0xFE, 2, len(data), 0)) + data)

    def _asks(self, data: bytes) -> bool:
        """Whether an answer is asked for."""
        return len(data) > 2 and data[2] == 1

    def _reply(self, error: int) -> bytes:
        return bytes((0xA0, error != _TAKEN, error, 0, 0))

    def _do(self, data: bytes) -> int:
        match data[0], data[1] if len(data) > 1 else None:
            case 0xA2, 0x00:
                return _TAKEN
            case 0xA3, 0x10:
                self.area, self._own_page = None, False
                return _TAKEN
            case 0xA3, 0x02 if len(data) in (7, 55) and data[5] == 1 and data[6] <= 15:
                self.brightness = data[6] + 1
                return _TAKEN
            case 0xA3, 0x06:
                return _TAKEN if self._take_area(data) else _NO_ROOM
            case 0xA2 | 0xA3, _:
                return _NO_COMMAND
        return _NO_GROUP

    def _take_area(self, data: bytes) -> bool:
        if len(data) < 36 or data[6] != 1:
            return False
        area = data[9:]
        said = int.from_bytes(area[23:27], "little")
        text = area[27:]
        if int.from_bytes(data[7:9], "little") != len(area) or said != len(text):
            return False
        left, width = (_pixels(area[at : at + 2]) for at in (1, 5))
        top, height = (int.from_bytes(area[at : at + 2], "little") for at in (3, 7))
        if left + width > self.width or top + height > self.height:
            return False
        colour = "red"
        if text[:2] == b"\\C" and text[2:3].isdigit():
            colour, text = _COLOURS.get(int(text[2:3]), "red"), text[3:]
        self.area = Area(
            text=text.decode("gb2312", "replace"),
            colour=colour,
            runs=area[19] == 3,
            x=left,
            y=top,
            width=width,
            height=height,
            blank_after_s=int.from_bytes(area[12:14], "little") if area[11] == 2 else None,
        )
        self._age_s = 0.0
        return True

    def draw(self, path: Path) -> None:
        """The bar as it looks, one disc for each lamp."""
        lit = self._lit()
        picture = Image.new("RGB", (self.width * _DOT, self.height * _DOT), (16, 16, 16))
        dots = ImageDraw.Draw(picture)
        for y in range(self.height):
            for x in range(self.width):
                box = (x * _DOT + 1, y * _DOT + 1, x * _DOT + _DOT - 2, y * _DOT + _DOT - 2)
                dots.ellipse(box, fill=_RGB.get(lit[y][x], (40, 40, 40)))
        part = path.with_suffix(".part.png")
        picture.save(part)
        part.replace(path)

    def _lit(self) -> list[str]:
        """Rows of the bar, a sign for each lamp."""
        lamps = Image.new("L", (self.width, self.height))
        text, area = self.shown, self.area
        font = ImageFont.truetype(str(_FONT), self.height - 2)
        pen = ImageDraw.Draw(lamps)
        pen.fontmode = "1"
        room = self.width - pen.textlength(text, font=font)
        start = 0 if area is not None and area.runs else room / 2
        pen.text((start, self.height / 2), text, fill=255, font=font, anchor="lm")
        sign = area.colour[0] if area is not None else "r"
        row, raw = self.width, lamps.tobytes()
        signs = "".join(sign if lamp else "." for lamp in raw)
        return [signs[at : at + row] for at in range(0, len(signs), row)]


class PictureCard(Card):
    """What a 6E or 6Q card knows: areas of dots, behind a header of its own."""

    header = 16

    def __init__(self, width: int, height: int, colours: int) -> None:
        super().__init__(width, height)
        self._colours = colours

    @property
    def shown(self) -> str:
        return "" if self.area is not None else super().shown

    @property
    def lamps(self) -> tuple[str, ...]:
        """Rows of the area as long as it is shown; none if nothing of it is lit."""
        area = self.area
        if area is None or (area.blank_after_s is not None and self._age_s >= area.blank_after_s):
            return ()
        return area.lamps if any(row.strip(".") for row in area.lamps) else ()

    def frame(self, data: bytes) -> bytes:
        header = bytes((0, 0x80, 1, 0, 0xF0, 0, 0xFE, 0xFF, 0, 0, 0, 0, len(data), 0, 0, 0))
        return _framed(header + data)

    def _asks(self, data: bytes) -> bool:
        return data[0] == 1

    def _reply(self, error: int) -> bytes:
        nack = error != _TAKEN
        return bytes((0, 0xA0, nack, nack, 0, error, 0, 0, 0))

    def _do(self, data: bytes) -> int:
        match data[1:3]:
            case b"\xa2\x00":
                return _TAKEN
            case b"\xa2\x07" if data[3:6] == b"\x31\x00\x00" and len(data) == 54:
                self.brightness = data[6] + 1
                return _TAKEN
            case b"\xa7\x00":
                return self._take_pages(data)
            case b"\xa7\x01":
                self.area, self._own_page = None, True
                return _TAKEN
        return _NO_COMMAND if data[1:2] in (b"\xa2", b"\xa7") else _NO_GROUP

    def _take_pages(self, data: bytes) -> int:
        try:
            self.area = self._read_area(_Reading(data[3:]))
        except ValueError:
            return _NO_ROOM
        self._age_s = 0.0
        return _TAKEN

    def _read_area(self, reading: _Reading) -> Area:
        """One area: its fields in their order, its pages, the dots of all of them behind."""
        reading.expect(2, 0)
        reading.expect(2, 1)  # areas
        length = reading.number(4)
        began = reading.at
        reading.expect(1, 0)
        mode, end_s = reading.number(1), reading.number(2)
        reading.skip(1)
        reading.skip(2 * reading.number(2))
        reading.skip(1)
        reading.expect(4, 0)
        reading.expect(1, 0x10)
        x, y, width, height = (reading.number(2) for _ in range(4))
        if x + width > self.width or y + height > self.height:
            raise ValueError("larger than the bar")
        reading.expect(1, 0)  # frame
        reading.skip(3)
        reading.expect(1, 0)  # voice
        reading.expect(5, 0)
        pages = [self._page(reading) for _ in range(reading.number(2))]
        if reading.at - began != length or not pages:
            raise ValueError("an area of another length")
        dots = reading.rest()
        if sum(size for *_, size in pages) != len(dots):
            raise ValueError("not as many dots as the pages say")
        rows = [""] * height
        for _, counts, offset, size in pages:
            read = self._rows(dots[offset : offset + size], width, height)
            rows = [row + more[:counts] for row, more in zip(rows, read, strict=True)]
        colours = {"r": "red", "g": "green", "y": "yellow"}
        lit = {sign for row in rows for sign in row} - {"."}
        return Area(
            text="",
            colour=colours.get("".join(sorted(lit)), ""),
            runs=pages[0][0] == 4,
            x=x,
            y=y,
            width=width,
            height=height,
            blank_after_s=end_s if mode == 2 else None,
            lamps=tuple(rows),
        )

    def _page(self, reading: _Reading) -> tuple[int, int, int, int]:
        """How a page comes, how many of its columns count, where its dots are."""
        length = reading.number(4)
        began = reading.at
        reading.skip(1)
        comes = reading.number(1)
        reading.skip(5)
        counts = reading.number(2)
        reading.skip(9)
        offset, size = reading.number(4), reading.number(4)
        if reading.at - began != length:
            raise ValueError("a page of another length")
        return comes, counts, offset, size

    def _rows(self, dots: bytes, width: int, height: int) -> list[str]:
        if self._colours == 3:
            if len(dots) != width * height * 3:
                raise ValueError("not as many dots as the area has")
            signs = {b"\xff\0\0": "r", b"\0\xff\0": "g", b"\xff\xff\0": "y"}
            lamps = [signs.get(dots[at : at + 3], ".") for at in range(0, len(dots), 3)]
            return ["".join(lamps[y * width : (y + 1) * width]) for y in range(height)]
        words = (width + 31) // 32
        if len(dots) != words * 4 * height * self._colours:
            raise ValueError("not as many dots as the area has")
        planes = [
            [self._bits(dots, plane * height + y, words)[:width] for y in range(height)]
            for plane in range(self._colours)
        ]
        signs_of = {(True,): "r", (True, False): "r", (False, True): "g", (True, True): "y"}
        return [
            "".join(signs_of.get(lit, ".") for lit in zip(*rows, strict=True))
            for rows in zip(*planes, strict=True)
        ]

    def _bits(self, dots: bytes, row: int, words: int) -> list[bool]:
        """Lamps of a row; a word's highest bit is leftmost, and 0 is lit."""
        lit: list[bool] = []
        for word in range(words):
            at = (row * words + word) * 4
            value = int.from_bytes(dots[at : at + 4], "little")
            lit += [not value >> bit & 1 for bit in range(31, -1, -1)]
        return lit

    def _lit(self) -> list[str]:
        if self.shown:
            return super()._lit()
        return [row.ljust(self.width, ".") for row in self.lamps or ("",) * self.height]


class _Reading:
    """Fields one behind the other; `ValueError` where they end too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self, length: int) -> int:
        field = self._data[self.at : self.at + length]
        self.skip(length)
        return int.from_bytes(field, "little")

    def skip(self, length: int) -> None:
        self.at += length
        if self.at > len(self._data):
            raise ValueError("the data end in the middle of a field")

    def expect(self, length: int, value: int) -> None:
        if self.number(length) != value:
            raise ValueError("a field says something else")

    def rest(self) -> bytes:
        return self._data[self.at :]


def _pixels(raw: bytes) -> int:
    value = int.from_bytes(raw, "little")
    return value & 0x7FFF if value & 0x8000 else value * 8


def _plain(raw: bytes) -> bytes | None:
    """Without escapes; None where one is broken."""
    plain = bytearray()
    pieces = iter(raw)
    for byte in pieces:
        if byte not in (0xA6, 0x5B):
            plain.append(byte)
            continue
        kind = next(pieces, 0)
        if kind not in (1, 2):
            return None
        plain.append(byte if kind == 1 else byte - 1)
    return bytes(plain)


def _check(data: bytes) -> bytes:
    """CRC-16/ARC, half a byte at a time."""
    table = (
        *(0x0000, 0xCC01, 0xD801, 0x1400, 0xF001, 0x3C00, 0x2800, 0xE401),
        *(0xA001, 0x6C00, 0x7800, 0xB401, 0x5000, 0x9C01, 0x8801, 0x4400),
    )
    value = 0
    for byte in data:
        value = table[(value ^ byte) & 15] ^ value >> 4
        value = table[(value ^ byte >> 4) & 15] ^ value >> 4
    return bytes((value & 255, value >> 8))


def _framed(inner: bytes) -> bytes:
    inner += _check(inner)
    for byte, kind in ((0xA6, 1), (0xA5, 2), (0x5B, 1), (0x5A, 2)):
        inner = inner.replace(bytes([byte]), bytes([byte if kind == 1 else byte + 1, kind]))
    return b"\xa5" * 8 + inner + b"\x5a"


class BarSimulator:
    """A card on a TCP port. What it shows outlives connections, not a power cut."""

    def __init__(self, card: Card, *, host: str, port: int, picture: Path | None) -> None:
        self._card = card
        self._picture = picture
        self._address = (host, port)
        self._server: asyncio.Server | None = None
        self._held_port: socket.socket | None = None
        self._links: set[asyncio.StreamWriter] = set()
        self._faults: dict[str, int] = {}
        self._delay_s = 0.0
        self._orders: dict[str, Callable[[dict[str, Any]], Awaitable[None] | None]] = {
            "fault.set": self._set_fault,
            "fault.clear": lambda _: self._faults.clear(),
            "disconnect": lambda _: self._disconnect(),
            "power.cut": lambda _: self.power_cut(),
            "power.on": lambda _: self.power_on(),
            "time.pass": lambda order: self._pass(float(order["seconds"])),
        }

    @property
    def port(self) -> int:
        return self._address[1]

    async def power_on(self) -> None:
        """Listen; the same port again after a power cut."""
        if self._server is None:
            if self._held_port is None:
                self._hold_port()
            self._server = await asyncio.start_server(self._serve, sock=self._held_port)
            self._held_port = None
            self._draw()

    async def power_cut(self) -> None:
        """Drop everything: connections and what was shown."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self._card.power_off()
            self._disconnect()
            self._hold_port()  # bound and not listening: refused, and the port stays ours

    async def close(self) -> None:
        await self.power_cut()
        if self._held_port is not None:
            self._held_port.close()

    async def handle(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Orders of the control socket."""
        if do == "state":
            return {"state": self._state()}
        done = self._orders[do](order)
        if done is not None:
            await done
        return None

    def _state(self) -> dict[str, Any]:
        card, area = self._card, self._card.area
        return {
            "port": self.port,
            "power": self._server is not None,
            "shown": card.shown,
            "lamps": list(card.lamps) if isinstance(card, PictureCard) else [],
            "colour": area.colour if area else "",
            "runs": area.runs if area else False,
            "area": [area.x, area.y, area.width, area.height] if area else [],
            "brightness": card.brightness,
            "frames": card.frames,
            "refused": card.refused,
            "connections": len(self._links),
            "faults": sorted(self._faults),
        }

    def _set_fault(self, order: dict[str, Any]) -> None:
        fault = str(order["fault"])
        if fault not in FAULTS:
            raise ValueError(f"unknown fault {fault!r}")
        self._faults[fault] = int(order.get("times", _FOREVER))
        self._delay_s = float(order.get("seconds", 1.0))

    def _use(self, fault: str) -> bool:
        left = self._faults.get(fault, 0)
        if left > 0:
            self._faults[fault] = left - 1
            if left == 1:
                del self._faults[fault]
        return left != 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._use("busy"):
            writer.close()
            return
        self._links.add(writer)
        try:
            held = bytearray()
            while data := await reader.read(4096):
                if self._use("drop"):
                    break
                held += data
                while (end := held.find(0x5A)) >= 0:
                    raw = bytes(held[:end])
                    del held[: end + 1]
                    await self._answer(raw[raw.find(0xA5) :].lstrip(b"\xa5"), writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(writer)
            writer.close()

    async def _answer(self, raw: bytes, writer: asyncio.StreamWriter) -> None:
        said = self._card.take(raw)
        self._draw()
        if said is None or self._use("silent"):
            return
        answer = self._card.frame(said)
        if self._use("garble"):
            answer = answer[:12] + bytes([answer[12] ^ 0x11]) + answer[13:]
        if self._use("delay"):
            await asyncio.sleep(self._delay_s)
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    def _pass(self, seconds: float) -> None:
        self._card.pass_time(seconds)
        self._draw()

    def _draw(self) -> None:
        if self._picture is not None:
            self._card.draw(self._picture)

    def _disconnect(self) -> None:
        for writer in self._links:
            writer.transport.abort()
        self._links.clear()

    def _hold_port(self) -> None:
        held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(self._address)
        self._address = held.getsockname()[:2]
        self._held_port = held


async def run(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    width, height = arguments.width, arguments.height
    colours = 3 if arguments.cards == "6q" else arguments.colours
    picture = arguments.cards != "font"
    card = PictureCard(width, height, colours) if picture else Card(width, height)
    bar = BarSimulator(card, host=arguments.host, port=arguments.port, picture=arguments.picture)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with control_socket(arguments.control, bar.handle):
        await bar.power_on()
        print(f"ready {bar.port}", flush=True)  # noqa: T201 - whoever started us waits
        await ended.wait()
        await bar.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.onbon")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--control", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=16)
    parser.add_argument("--cards", choices=("font", "6e", "6q"), default="font")
    parser.add_argument("--colours", type=int, choices=(1, 2), default=1)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
