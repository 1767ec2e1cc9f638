"""A resident-card reader on a pty: speaks SDT, holds a card, misbehaves when told to.

    python -m drivers.sim.sdt --link PATH --control SOCKET [--baud N] [--paced]

`--link` becomes a symbolic link to the port. With `--baud` the reader only understands that rate;
with `--paced` bytes take the time that they take on a wire of that rate (else 115200), both ways.
It shares no code with the driver, so that a mistake in one cannot hide in the other.

Orders on the control socket (`drivers.sim.control`):

    card.lay {card: {kind, name, sex, nation, birth, address, number, issuer, valid_from,
              valid_to, english_name, nationality, appended, text_hex, photo_hex}}
    card.lift
    fault.set {fault, times: 1 (0: until cleared), on: a command's name, ...}
    fault.clear   (also throws held answers away)   release   unplug   plug   state

Faults: `drop` the command is carried out, its answer lost · `silent` not even carried out ·
`hold` the answer waits for the order `release` · `delay` {seconds} · `garble` {part: preamble |
length | status | data | check} · `cut` {keep: bytes} · `double` · `noise` {hex} before the
answer · `only_noise` {hex} instead of it · `code` {code: "40"} and, for short, `self_test`,
`not_authorised`, `select_fail`, `read_fail` · `busy` another program holds the port until cleared.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import termios
import tty
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.sim.control import control_socket

_START = b"\xaa\xaa\xaa\x96\x69"
_PIECE_BYTES = 50
_USUAL_BAUD = 115200
_BITS_PER_BYTE = 10
"""8N1: a start bit and a stop bit beside the eight."""
_COMMANDS = {
    b"\x10\xff": "reset",
    b"\x11\xff": "status",
    b"\x12\xff": "sam_id",
    b"\x20\x01": "find",
    b"\x20\x02": "select",
    b"\x30\x01": "read",
    b"\x30\x03": "appended",
}
_SAM_ID = bytes.fromhex("0500010009B83201E7030000AD000000")
_NOISE = bytes.fromhex("00FFAAAAAA9669FFFF13AAAAAAAA")
"""Junk with a false head in it, ending in what may be the beginning of a true one."""
_PHOTO = bytes.fromhex("574C66007E00").ljust(1024, b"\0")
"""The head of an encoded photo and nothing of a face."""
_CODES = {"self_test": 0x60, "not_authorised": 0x66, "select_fail": 0x81, "read_fail": 0x41}
_FAULTS = {
    "drop", "silent", "hold", "delay", "garble", "cut", "double", "noise", "only_noise", "code",
    "busy", *_CODES,
}  # fmt: skip
_PART_OFFSET = {"preamble": 3, "length": 6, "status": 9, "data": 10, "check": -1}

# Field: offset, bytes.
_FIELDS: dict[str, dict[str, tuple[int, int]]] = {
    "resident": {
        "name": (0, 30), "sex": (30, 2), "nation": (32, 4), "birth": (36, 16),
        "address": (52, 70), "number": (122, 36), "issuer": (158, 30), "valid_from": (188, 16),
        "valid_to": (204, 16),
    },
    "J": {
        "name": (0, 30), "sex": (30, 2), "birth": (36, 16), "address": (52, 70),
        "number": (122, 36), "issuer": (158, 30), "valid_from": (188, 16), "valid_to": (204, 16),
        "pass_number": (220, 18), "issue_count": (238, 4), "kind": (248, 2),
    },
    "I": {
        "english_name": (0, 120), "sex": (120, 2), "number": (122, 30), "nationality": (152, 6),
        "name": (158, 30), "valid_from": (188, 16), "valid_to": (204, 16), "birth": (220, 16),
        "version": (236, 4), "issuer": (240, 8), "kind": (248, 2),
    },
    "Y": {
        "name": (0, 30), "sex": (30, 2), "renewals": (32, 4), "birth": (36, 16),
        "english_name": (52, 70), "number": (122, 36), "valid_from": (188, 16),
        "valid_to": (204, 16), "nationality": (242, 6), "kind": (248, 2),
    },
}  # fmt: skip
# Nobody: the sample numbers that standards and specimens print.
_SAMPLES: dict[str, dict[str, str]] = {
    "resident": {
        "name": "张三", "sex": "2", "nation": "01", "birth": "19491231",
        "address": "四川省什邡市方亭街道测试路1号", "number": "11010519491231002X",
        "issuer": "什邡市公安局", "valid_from": "20200101", "valid_to": "长期",
    },
    "J": {
        "name": "陈测试", "sex": "2", "birth": "19940823", "address": "四川省什邡市测试路2号",
        "number": "810000199408230021", "issuer": "什邡市公安局", "valid_from": "20200101",
        "valid_to": "20250101", "pass_number": "H00000000", "issue_count": "01",
    },
    "I": {
        "english_name": "SPECIMEN, ANY", "sex": "2", "number": "CAN110081080300",
        "nationality": "CAN", "name": "证件样本", "valid_from": "20180101",
        "valid_to": "20280101", "birth": "19810803", "version": "01", "issuer": "1500",
    },
    "Y": {
        "name": "证件样本", "sex": "2", "renewals": "01", "birth": "19810803",
        "english_name": "SPECIMEN, ANY", "number": "911124198108030024",
        "valid_from": "20240101", "valid_to": "20340101", "nationality": "CAN",
    },
}  # fmt: skip
_NO_SUCH_CARD = {"find": b"\x80", "select": b"\x81", "read": b"\x41", "appended": b"\x41"}
# Command: the stages that a card must be in, and the stage it is in then (none: the same).
_STAGES: dict[str, tuple[set[str], str | None]] = {
    "find": ({"laid", "found", "selected"}, "found"),
    "select": ({"found", "selected"}, "selected"),
    "read": ({"selected"}, "read"),
    "appended": ({"selected", "read"}, None),
}
_EXTRAS = {"kind", "appended", "text_hex", "photo_hex"}


@dataclass
class Card:
    """What lies on the reader and how far the reader got with it."""

    text: bytes
    photo: bytes
    appended: bytes
    stage: str = "laid"
    """`laid`, `found`, `selected`, `read`."""


def make_card(given: dict[str, Any]) -> Card:
    """A card of an order's fields; what is left out comes from the sample of its kind."""
    kind = str(given.get("kind", "resident"))
    if kind not in _FIELDS:
        raise ValueError(f"no such kind of card: {kind}")
    if unknown := sorted(given.keys() - _FIELDS[kind].keys() - _EXTRAS):
        raise ValueError(f"not on this kind of card: {', '.join(unknown)}")
    values = {**_SAMPLES[kind], **given, "kind": kind}
    text = bytearray(" " * 128, "utf-16-le")
    for name, (offset, size) in _FIELDS[kind].items():
        value = str(values[name]).encode("utf-16-le")
        if len(value) > size:
            raise ValueError(f"{name} is too long")
        text[offset : offset + len(value)] = value
    return Card(
        text=bytes.fromhex(given["text_hex"]) if "text_hex" in given else bytes(text),
        photo=bytes.fromhex(given["photo_hex"]) if "photo_hex" in given else _PHOTO,
        appended=str(given.get("appended", "")).encode("utf-16-le"),
    )


class Reader:
    """The device without its wire: commands in, status and data out."""

    def __init__(self) -> None:
        self.card: Card | None = None

    def answer(self, command: str) -> bytes:
        """Status byte and data."""
        match command:
            case "reset":
                if self.card is not None:
                    self.card.stage = "laid"
                return b"\x90"
            case "status":
                return b"\x90"
            case "sam_id":
                return b"\x90" + _SAM_ID
            case "find" | "select" | "read" | "appended":
                return self._card_answer(command, self.card)
            case _:
                return b"\x21"

    def _card_answer(self, command: str, card: Card | None) -> bytes:
        """A card goes from laid over found and selected to read, and then only lifting it helps."""
        needed, reached = _STAGES[command]
        if card is None or card.stage not in needed:
            return _NO_SUCH_CARD[command]
        card.stage = reached or card.stage
        match command:
            case "find":
                return b"\x9f" + bytes(4)
            case "select":
                return b"\x90" + bytes(8)
            case "read":
                sizes = len(card.text).to_bytes(2, "big") + len(card.photo).to_bytes(2, "big")
                return b"\x90" + sizes + card.text + card.photo
            case _:
                return b"\x90" + card.appended if card.appended else b"\x91"


@dataclass
class Fault:
    name: str
    on: str | None
    left: int | None
    """How often still; None: until cleared."""
    arguments: dict[str, Any] = field(default_factory=dict)


class Simulator:
    """Reader, wire and faults."""

    def __init__(self, link: Path, baud: int | None, *, paced: bool = False) -> None:
        self._link = link
        self._byte_s = _BITS_PER_BYTE / (baud or _USUAL_BAUD) if paced else 0.0
        self._wire_free_s = 0.0
        self._speed = getattr(termios, f"B{baud}") if baud else None
        self._reader = Reader()
        self._faults: list[Fault] = []
        self._received = bytearray()
        self._held: list[bytes] = []
        self._asked: Counter[str] = Counter()
        self._master: int | None = None
        self._slave: int | None = None

    def plug(self, *, held_by_another: bool = False) -> None:
        """Make the port appear."""
        if self._master is not None:
            return
        # Our own end of the slave keeps the master readable while nobody has the port open.
        # It does not hide an unplug: the hang-up comes when the last master descriptor closes.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        if held_by_another:
            fcntl.flock(self._slave, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fresh = self._link.with_name(f".{self._link.name}.new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self._link)
        asyncio.get_running_loop().add_reader(self._master, self._hear, self._master)

    def unplug(self) -> None:
        """Make the port vanish; whoever holds it sees a hang-up."""
        master, self._master = self._master, None
        slave, self._slave = self._slave, None
        if master is None or slave is None:
            return
        asyncio.get_running_loop().remove_reader(master)
        self._link.unlink(missing_ok=True)
        os.close(slave)
        os.close(master)
        self._received.clear()
        self._held.clear()

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "card.lay":
                self._reader.card = make_card(order.get("card") or {})
            case "card.lift":
                self._reader.card = None
            case "fault.set":
                self._set_fault(order)
            case "fault.clear":
                self._clear_faults()
            case "release":
                held, self._held = self._held, []
                for frame in held:
                    self._send(frame)
            case "unplug":
                self.unplug()
            case "plug":
                self.plug()
            case "state":
                return {"state": self._state()}
            case _:
                raise KeyError(do)
        return None

    def _state(self) -> dict[str, Any]:
        card = self._reader.card
        return {
            "plugged": self._master is not None,
            "card": card.stage if card is not None else "none",
            "asked": dict(self._asked),
            "faults": [fault.name for fault in self._faults],
            "held": len(self._held),
        }

    def _set_fault(self, order: dict[str, Any]) -> None:
        name, on = str(order.get("fault")), order.get("on")
        if name not in _FAULTS:
            raise ValueError(f"no such fault: {name}")
        if on is not None and on not in _COMMANDS.values():
            raise ValueError(f"no such command: {on}")
        times = int(order.get("times", 1))
        arguments = {key: order[key] for key in order.keys() - {"do", "fault", "on", "times"}}
        fault = Fault(name, on, times or None, arguments)
        _spoil(fault, b"\x90", lambda _later, _frame: None)  # refuses wrong arguments now
        if name == "busy":
            fault.left = None
            self.unplug()
            self.plug(held_by_another=True)
        self._faults.append(fault)

    def _clear_faults(self) -> None:
        if any(fault.name == "busy" for fault in self._faults) and self._slave is not None:
            fcntl.flock(self._slave, fcntl.LOCK_UN)
        self._faults.clear()
        self._held.clear()

    def _next_fault(self, command: str) -> Fault | None:
        for fault in self._faults:
            if fault.name == "busy" or fault.on not in {None, command}:
                continue
            if fault.left is not None:
                fault.left -= 1
                if not fault.left:
                    self._faults.remove(fault)
            return fault
        return None

    def _hear(self, master: int) -> None:
        try:
            heard = os.read(master, 4096)
        except OSError:
            return
        self._received += heard
        self._passes(len(heard))
        if self._speed is not None and termios.tcgetattr(master)[5] != self._speed:
            # Bytes at the wrong rate are no bytes.
            self._received.clear()
            return
        while (content := self._next_request()) is not None:
            self._obey(content)

    def _next_request(self) -> bytes | None:
        """Command, parameter and data of the next frame; empty if its check byte is wrong."""
        start = self._received.find(_START)
        if start < 0:
            del self._received[:-4]
            return None
        del self._received[:start]
        if len(self._received) < 7:
            return None
        size = self._received[5] * 256 + self._received[6]
        if len(self._received) < 7 + size:
            return None
        body, check = self._received[5 : 6 + size], self._received[6 + size]
        del self._received[: 7 + size]
        return bytes(body[2:]) if _xor(body) == check else b""

    def _obey(self, content: bytes) -> None:
        if not content:
            self._send(_frame(b"\x10"))
            return
        command = _COMMANDS.get(content[:2], "unknown")
        self._asked[command] += 1
        fault = self._next_fault(command)
        if fault is not None and fault.name == "silent":
            return
        answer = _refusal(fault) or self._reader.answer(command)
        if fault is None:
            self._send(_frame(answer))
        else:
            _spoil(fault, answer, self._later)

    def _later(self, when: str | float, frame: bytes) -> None:
        if when == "held":
            self._held.append(frame)
        elif when:
            asyncio.get_running_loop().call_later(float(when), self._send, frame)
        else:
            self._send(frame)

    def _send(self, frame: bytes) -> None:
        """Write in pieces, as a UART delivers; what nobody takes is lost, as on a UART."""
        for start in range(0, len(frame), _PIECE_BYTES):
            piece = frame[start : start + _PIECE_BYTES]
            if self._byte_s:
                arrives_s = self._passes(len(piece))
                asyncio.get_running_loop().call_at(arrives_s, self._write, piece)
            else:
                self._write(piece)

    def _write(self, piece: bytes) -> None:
        if self._master is not None:
            with suppress(BlockingIOError):
                os.write(self._master, piece)

    def _passes(self, count: int) -> float:
        """When so many bytes more have passed over the wire."""
        now_s = asyncio.get_running_loop().time()
        self._wire_free_s = max(now_s, self._wire_free_s) + count * self._byte_s
        return self._wire_free_s


def _refusal(fault: Fault | None) -> bytes:
    """The status that a fault puts in the answer's place; such a command is not carried out."""
    if fault is None:
        return b""
    if fault.name == "code":
        return bytes.fromhex(str(fault.arguments["code"]))
    return bytes([_CODES[fault.name]]) if fault.name in _CODES else b""


def _spoil(fault: Fault, answer: bytes, send: Callable[[str | float, bytes], None]) -> None:
    """Send the answer as the fault has it: when (seconds or `held`) and what."""
    frame, arguments = _frame(answer), fault.arguments
    noise = bytes.fromhex(arguments["hex"]) if "hex" in arguments else _NOISE
    match fault.name:
        case "drop" | "silent":
            pass
        case "hold":
            send("held", frame)
        case "delay":
            send(float(arguments["seconds"]), frame)
        case "garble":
            send(0, _flip(frame, _PART_OFFSET[str(arguments.get("part", "check"))]))
        case "cut":
            send(0, frame[: int(arguments.get("keep", len(frame) - 2))])
        case "double":
            send(0, frame + frame)
        case "noise":
            send(0, noise + frame)
        case "only_noise":
            send(0, noise)
        case "code":
            bytes.fromhex(str(arguments["code"]))
            send(0, frame)
        case _:
            send(0, frame)


def _flip(frame: bytes, offset: int) -> bytes:
    broken = bytearray(frame)
    broken[offset] ^= 0x01
    return bytes(broken)


def _frame(answer: bytes) -> bytes:
    """A reply of status byte and data."""
    body = (len(answer) + 3).to_bytes(2, "big") + b"\0\0" + answer
    return _START + body + bytes([_xor(body)])


def _xor(body: bytes | bytearray) -> int:
    result = 0
    for byte in body:
        result ^= byte
    return result


async def run(link: Path, control: Path, *, baud: int | None = None, paced: bool = False) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    simulator = Simulator(link, baud, paced=paced)
    simulator.plug()
    try:
        async with control_socket(control, simulator.order):
            print("ready", flush=True)  # noqa: T201 - the sign that whoever started us waits for
            await ended.wait()
    finally:
        simulator.unplug()


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.sdt", description=__doc__)
    parser.add_argument("--link", type=Path, required=True, help="symbolic link to the port")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--baud", type=int, choices=(115200, 57600, 38400, 19200, 9600))
    parser.add_argument("--paced", action="store_true", help="bytes take their time")
    options = parser.parse_args()
    asyncio.run(run(options.link, options.control, baud=options.baud, paced=options.paced))


if __name__ == "__main__":
    main()
