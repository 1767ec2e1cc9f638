"""Scanners, buttons and keys under nonsense: they speak by themselves, whole, cut or broken."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar

from drivers.code_scanner.serial_scanner import SerialScanner, SerialScannerConfig
from drivers.code_scanner.wedge_scanner import WedgeScanner, WedgeScannerConfig
from drivers.key_panel.evdev_keys import USUAL, EvdevKeys, EvdevKeysConfig
from drivers.rating_buttons.serial_buttons import SerialButtons, SerialButtonsConfig
from drivers.transport.evdev import EVENT_BYTES, EvdevPort, whole
from drivers.transport.serial import SerialPort
from hallkit.errors import DeviceError
from hallkit.model.rating import RatingLevel
from launcher.rehearsals.fuzz_wire import SpokenWire, WireClock, in_pieces
from launcher.rehearsals.nonsense import broken

Said = TypeVar("Said")

_PORT = SerialPort(kind="serial", path="/dev/fuzz", baud=9600)
_CODES = (b"HK1.T.0.20260101.A001.x\r", "证照 510682\r".encode("gb18030"), b"6901234\r\n")
_PRESSES = {level: f"A5 0{number} 5A" for number, level in enumerate(RatingLevel, start=1)}


_INPUT = EvdevPort(kind="evdev", path="/dev/fuzz")
_READ = 64 * EVENT_BYTES
_TYPED = (
    (35, 37, 2, 52, 20, 52, 11, 28),  # hk1.t.0
    (42, 30, 30, 42, 3, 4, 5, 28),  # with Shift, which broken events leave held
    (56, 76, 79, 77, 72, 71, 56, 30, 48, 28),  # 51687 with Alt
    (29, 42, 22, 8, 10, 4, 18, 57, 28),  # Ctrl+Shift+u 793e
    (58, 7, 10, 11, 2, 3, 4, 5, 96),
)
_ALLOWED = dict.fromkeys(map(ord, "\x1d\t\n\r"))


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


class _Keys(SpokenWire):
    """An input device: each read is whole events, or what the transport makes of a torn one."""

    name = "fuzz"

    def __init__(self, random: Random, said: bytes) -> None:
        reads = (said[start : start + _READ] for start in range(0, len(said), _READ))
        pieces = [piece for read in reads for piece in in_pieces(random, read)]
        super().__init__(WireClock(), [whole(piece) for piece in pieces if piece])

    async def pending(self) -> bytes:
        await self.drain_input()
        return b""

    async def switches(self, *, timeout_s: float) -> dict[int, bool]:  # noqa: ARG002  # the port's
        return {2: False}


class WedgeDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        said = _broken_keys(random, [random.choice(_TYPED) for _ in range(4)])
        self.last_input = said.hex()
        config = WedgeScannerConfig(
            id="fuzz", driver="wedge_scanner", transport=_INPUT, alt_codes="gbk"
        )
        scanner = WedgeScanner(config, WireClock(), transport=_Keys(random, said))
        codes = [code.text for code in await _until_it_hangs_up(scanner.next_code)]
        for text in codes:
            if len(text) < config.shortest or not text.translate(_ALLOWED).isprintable():
                raise AssertionError("a code that no code may be")
        return f"{len(codes)} codes"


class KeysDriver:
    last_input = ""

    async def once(self, random: Random) -> str:
        keys = [random.choice(random.choice(list(USUAL.values()))) for _ in range(30)]
        said = _broken_keys(random, [keys])
        self.last_input = said.hex()
        config = EvdevKeysConfig(id="fuzz", driver="evdev_keys", transport=_INPUT)
        panel = EvdevKeys(config, WireClock(), transport=_Keys(random, said))
        actions = await _until_it_hangs_up(panel.next_press)
        for action in actions:
            sent = [struct.pack("@HH", 1, key) for key in USUAL.get(action, ())]
            if sent and not any(key in said for key in sent):
                raise AssertionError("a press that nobody made")
        return f"{len(actions)} presses"


def _broken_keys(random: Random, typed: Sequence[Sequence[int]]) -> bytes:
    """Keys pressed and let go, fast or slowly, whole or nearly; some events were lost."""
    said = b""
    at_us = random.randrange(1 << 40)
    for keys in typed:
        events: list[bytes] = []
        for key in keys:
            at_us += random.choices((2_000, 400_000), (30, 1))[0]
            at = divmod(at_us, 1_000_000)
            strokes = ((1, key, 1), (0, 0, 0), (1, key, random.choice((0, 0, 2))), (0, 0, 0))
            events += [struct.pack("@llHHi", *at, *event) for event in strokes]
            if random.random() < 0.01:
                events.append(struct.pack("@llHHi", *at, 0, 3, 0))
        said += broken(random, b"".join(events), events)
    return said


async def _until_it_hangs_up(ask: Callable[[], Awaitable[Said]]) -> list[Said]:
    heard: list[Said] = []
    try:
        while True:
            heard.append(await ask())
    except DeviceError:
        return heard
