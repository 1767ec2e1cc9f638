"""Scanners and buttons under nonsense: they speak by themselves, whole, cut or broken."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import TypeVar

from drivers.code_scanner.serial_scanner import SerialScanner, SerialScannerConfig
from drivers.rating_buttons.serial_buttons import SerialButtons, SerialButtonsConfig
from drivers.transport.serial import SerialPort
from hallkit.errors import DeviceError
from hallkit.model.rating import RatingLevel
from launcher.rehearsals.fuzz_wire import SpokenWire, WireClock, in_pieces
from launcher.rehearsals.nonsense import broken

Said = TypeVar("Said")

_PORT = SerialPort(kind="serial", path="/dev/fuzz", baud=9600)
_CODES = (b"HK1.T.0.20260101.A001.x\r", "证照 510682\r".encode("gb18030"), b"6901234\r\n")
_PRESSES = {level: f"A5 0{number} 5A" for number, level in enumerate(RatingLevel, start=1)}


class ScannerDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        said = b"".join(broken(random, random.choice(_CODES), _CODES) for _ in range(8))
        self.last_input = said.hex()
        clock = WireClock()
        config = SerialScannerConfig(id="fuzz", driver="serial_scanner", transport=_PORT)
        wire = SpokenWire(clock, in_pieces(random, said))
        scanner = SerialScanner(config, clock, transport=wire)
        codes = [code.text for code in await _until_it_hangs_up(scanner.next_code)]
        for text in codes:
            if text.encode() not in said and text.encode("gb18030") not in said:
                raise AssertionError("a code that nobody held there")
        return f"{len(codes)} codes"


class ButtonsDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        sent = [bytes.fromhex(one) for one in _PRESSES.values()]
        said = b"".join(broken(random, random.choice(sent), sent) for _ in range(12))
        self.last_input = said.hex()
        clock = WireClock()
        config = SerialButtonsConfig.model_validate(
            {"id": "fuzz", "driver": "serial_buttons", "transport": _PORT, "buttons": _PRESSES}
        )
        wire = SpokenWire(clock, in_pieces(random, said))
        box = SerialButtons(config, clock, transport=wire)
        pressed = await _until_it_hangs_up(box.next_rating)
        if any(bytes.fromhex(_PRESSES[level]) not in said for level in pressed):
            raise AssertionError("a press that nobody made")
        return f"{len(pressed)} presses"


async def _until_it_hangs_up(ask: Callable[[], Awaitable[Said]]) -> list[Said]:
    heard: list[Said] = []
    try:
        while True:
            heard.append(await ask())
    except DeviceError:
        return heard
