"""Modbus units on one line, for tests, rehearsals and the demo: on a pty, or over TCP.

    python -m drivers.sim.modbus --control SOCKET (--link PATH | --port PORT [--rtu])
                                 [--unit ADDRESS=MODEL …]

Prints `ready` or `ready PORT`. It reads and writes the bytes by itself and shares no code with the
driver. Models: adam_4150, waveshare_relay, relay_board, climate; without --unit these are the units
1 to 4. With `--rtu` the TCP port is that of a serial server that passes bytes on as they are.
Orders on the control socket (drivers/sim/control.py):

    input {unit, address, on}          a contact closes or opens
    count {unit, counter, by: 1}       people go through
    value {unit, address, value}       a register
    power.cut {unit}   power.on {unit} of one unit: outputs go off, counters begin anew
    time.pass {seconds}                timed outputs fall back sooner
    fault.set {fault, unit: 0 (all), times: 1 (0: until cleared), after: 0, seconds: 1, code: 4}
    fault.clear   unplug   plug   state   reset (all units as new)

Faults: `deaf` the request is lost · `silent` its answer is · `delay` it comes {seconds} later ·
`garble` bits are turned over · `cut` half of it · `wrong_unit` another unit's address ·
`wrong_function` another function's · `exception` the {code} · `noise` junk before it · `flood` junk
without end · `stuck` outputs are confirmed and stay as they are · `hang_up` the connection ends ·
`busy` another program holds the port until cleared.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.sim.control import control_socket
from drivers.sim.pty_port import PtyPort

_FAULTS = frozenset(
    {
        *("deaf", "silent", "delay", "garble", "cut", "wrong_unit", "wrong_function", "exception"),
        *("noise", "flood", "stuck", "hang_up", "busy"),
    }
)
_FLOOD_BYTES = 4096


class _Exception(Exception):
    """What a unit refuses, by its code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


@dataclass
class Unit:
    """The tables of a unit, and what its maker added."""

    model: str
    coils: dict[int, bool] = field(default_factory=dict)
    discretes: dict[int, bool] = field(default_factory=dict)
    holdings: dict[int, int] = field(default_factory=dict)
    switchable: range = range(0)
    counters: range = range(0)
    """Registers of counters, two each, the low word first."""
    timed: Callable[[int, int, tuple[int, ...]], tuple[int, float] | None] | None = None
    """Coil and seconds, if a write with this function, address and values is a timed one."""
    has_power: bool = True
    ends: dict[int, float] = field(default_factory=dict)
    """When a timed coil falls back."""
    writes: int = 0

    def fall_back(self, now_s: float) -> None:
        for coil, end_s in tuple(self.ends.items()):
            if now_s >= end_s:
                self.coils[coil] = False
                del self.ends[coil]

    def lose_power(self) -> None:
        self.has_power = False
        self.ends.clear()
        self.coils |= dict.fromkeys(self.switchable, False)
        self.holdings |= dict.fromkeys(self.counters, 0)

    def count(self, counter: int, by: int) -> None:
        low = self.counters[2 * counter]
        total = (self.holdings[low] + (self.holdings[low + 1] << 16) + by) % (1 << 32)
        self.holdings |= {low: total & 0xFFFF, low + 1: total >> 16}

    def answer(self, pdu: bytes, now_s: float, *, stuck: bool) -> bytes:
        """The answer's bytes, from the function on."""
        function = pdu[0]
        try:
            if function in (1, 2, 3, 4) and len(pdu) == 5:
                return self._read(function, *struct.unpack(">HH", pdu[1:]))
            if function in (5, 6, 15, 16):
                self.writes += 1
                return self._write(function, pdu, now_s, stuck=stuck)
        except _Exception as refusal:
            return bytes((function | 0x80, refusal.code))
        return bytes((function | 0x80, 1))

    def _read(self, function: int, start: int, count: int) -> bytes:
        table: dict[int, Any] = {1: self.coils, 2: self.discretes}.get(function, self.holdings)
        places = range(start, start + count)
        if not count or count > (2000 if function < 3 else 125):
            raise _Exception(3)
        if any(place not in table for place in places):
            raise _Exception(2)
        if function < 3:
            packed = bytearray((count + 7) // 8)
            for number, place in enumerate(places):
                packed[number // 8] |= bool(table[place]) << number % 8
            data = bytes(packed)
        else:
            data = b"".join(struct.pack(">H", table[place]) for place in places)
        return bytes((function, len(data))) + data

    def _write(self, function: int, pdu: bytes, now_s: float, *, stuck: bool) -> bytes:
        address = int.from_bytes(pdu[1:3], "big")
        echo = pdu[:5]
        values: tuple[int, ...] = (int.from_bytes(pdu[3:5], "big"),)
        if function == 16:
            values = struct.unpack(f">{pdu[5] // 2}H", pdu[6:])
        if function == 15:
            bits = int.from_bytes(pdu[6:], "little")
            values = tuple(bits >> place & 1 for place in range(values[0]))
        if self.timed is not None and (timed := self.timed(function, address, values)):
            coil, seconds = timed
            if not stuck:
                self.coils[coil] = True
                self.ends[coil] = now_s + seconds
            return echo
        places = range(address, address + len(values))
        is_bits = function in (5, 15)
        allowed = self.switchable if is_bits else self.holdings
        if any(place not in allowed for place in places):
            raise _Exception(2)
        if function == 5 and values[0] not in (0, 0xFF00):
            raise _Exception(3)
        for place, value in zip(places, () if stuck else values, strict=False):
            self.ends.pop(place, None)
            if is_bits:
                self.coils[place] = bool(value)
            else:
                self.holdings[place] = value
        return echo


def _adam_4150() -> Unit:
    return Unit(
        "adam_4150",
        coils=dict.fromkeys((*range(7), *range(16, 24)), False),
        holdings={**dict.fromkeys(range(14), 0), 210: 0x4150, 211: 0x0000},
        switchable=range(16, 24),
        counters=range(14),
    )


def _waveshare_relay() -> Unit:
    def timed(function: int, address: int, values: tuple[int, ...]) -> tuple[int, float] | None:
        is_timed = function == 5 and 0x200 <= address < 0x208 and values[0] < 0x8000
        return (address - 0x200, values[0] / 10) if is_timed else None

    coils = dict.fromkeys(range(8), False)
    return Unit("waveshare_relay", coils=coils, switchable=range(8), timed=timed)


def _relay_board() -> Unit:
    def timed(function: int, address: int, values: tuple[int, ...]) -> tuple[int, float] | None:
        relay, rest = divmod(address - 3, 5)
        is_timed = function == 16 and not rest and 0 <= relay < 4 and values[:1] == (4,)
        return (relay, values[1] / 10) if is_timed and len(values) == 2 else None

    bits = dict.fromkeys(range(4), False)
    return Unit("relay_board", coils=bits, discretes=dict(bits), switchable=range(4), timed=timed)


def _climate() -> Unit:
    return Unit("climate", holdings={0: 452, 1: 225, 0x7D0: 1, 0x7D1: 1})


_MODELS: dict[str, Callable[[], Unit]] = {
    "adam_4150": _adam_4150,
    "waveshare_relay": _waveshare_relay,
    "relay_board": _relay_board,
    "climate": _climate,
}


def _check(data: bytes) -> bytes:
    """CRC-16/MODBUS, bit by bit."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return bytes((value & 0xFF, value >> 8))


def _take_rtu(held: bytearray) -> tuple[int, bytes, bytes] | None:
    """Unit, content and what leads the answer of the first whole request, taken out of `held`."""
    while len(held) >= 8:
        size = 8 if held[1] < 7 else 9 + held[6] if held[1] in (15, 16) else 0
        if size > len(held):
            return None
        frame = bytes(held[:size])
        if size and frame[-2:] == _check(frame[:-2]):
            del held[:size]
            return frame[0], frame[1:-2], b""
        # Out of step: a unit waits for the pause between frames.
        held.clear()
    return None


def _take_tcp(held: bytearray) -> tuple[int, bytes, bytes] | None:
    if len(held) < 8:
        return None
    end = 6 + int.from_bytes(held[4:6], "big")
    if len(held) < end:
        return None
    frame = bytes(held[:end])
    del held[:end]
    return frame[6], frame[7:], frame[:2]


class Line:
    """The units, the wire before them and its faults."""

    def __init__(self, models: dict[int, str], *, is_rtu: bool) -> None:
        self._models = models
        self.units: dict[int, Unit] = {}
        self.reset()
        self.is_rtu = is_rtu
        self.fault: dict[str, Any] = {}
        self.requests = 0
        self._ahead_s = 0.0

    def reset(self) -> None:
        self.units = {address: _MODELS[model]() for address, model in self._models.items()}

    def pass_time(self, seconds: float) -> None:
        self._ahead_s += seconds
        self.fall_back()

    def fall_back(self) -> None:
        for unit in self.units.values():
            unit.fall_back(self._now_s)

    @property
    def _now_s(self) -> float:
        return time.monotonic() + self._ahead_s

    def _next_fault(self, address: int) -> str:
        fault = self.fault
        if not fault or fault.get("unit", 0) not in (0, address):
            return ""
        if fault.get("after"):
            fault["after"] -= 1
            return ""
        if fault["times"]:
            fault["times"] -= 1
            if not fault["times"]:
                self.fault = {}
        return str(fault["fault"])

    async def serve(
        self, read: Callable[[], Any], write: Callable[[bytes], Any], hang_up: Callable[[], None]
    ) -> None:
        """Answer what comes until it ends."""
        held = bytearray()
        take = _take_rtu if self.is_rtu else _take_tcp
        while data := await read():
            held += data
            while (request := take(held)) is not None:
                self.requests += 1
                self.fall_back()
                answer = await self._answer(*request, hang_up)
                if answer:
                    await write(answer)

    async def _answer(
        self, address: int, pdu: bytes, number: bytes, hang_up: Callable[[], None]
    ) -> bytes:
        told = dict(self.fault)
        fault = self._next_fault(address)
        unit = self.units.get(address)
        if unit is None or not unit.has_power:
            # A line is silent; what stands between it and a network says so.
            return b"" if self.is_rtu else self._framed(address, bytes((pdu[0] | 0x80, 11)), number)
        if fault == "deaf":
            return b""
        content = unit.answer(pdu, self._now_s, stuck=fault == "stuck")
        if fault == "exception":
            content = bytes((pdu[0] | 0x80, int(told.get("code", 4))))
        if fault == "wrong_unit":
            address = address % 247 + 1
        if fault == "wrong_function":
            content = bytes((content[0] ^ 1,)) + content[1:]
        if fault == "delay":
            await asyncio.sleep(float(told.get("seconds", 1.0)))
        if fault == "hang_up":
            hang_up()
        return self._spoilt(fault, self._framed(address, content, number))

    def _spoilt(self, fault: str, answer: bytes) -> bytes:
        match fault:
            case "silent" | "hang_up":
                return b""
            case "garble":
                # The head over TCP, the check sum on a line: what each of them lives by.
                place = len(answer) - 1 if self.is_rtu else 2
                return answer[:place] + bytes((answer[place] ^ 0x55,)) + answer[place + 1 :]
            case "cut":
                return answer[: len(answer) // 2]
            case "noise":
                return b"\xff\x00" + answer
            case "flood":
                return b"\xee" * _FLOOD_BYTES
        return answer

    def _framed(self, address: int, content: bytes, number: bytes) -> bytes:
        body = bytes((address,)) + content
        if self.is_rtu:
            return body + _check(body)
        return number + b"\0\0" + len(body).to_bytes(2, "big") + body


class PtyEnd:
    """The line on a pseudo terminal."""

    def __init__(self, line: Line, link: Path) -> None:
        self._line = line
        self._port = PtyPort(link)
        self._serving: asyncio.Task[None] | None = None
        self._came: asyncio.Queue[bytes] = asyncio.Queue()

    async def plug(self, *, held_by_another: bool = False) -> None:
        if self._port.near is not None:
            return
        near = self._port.plug(held_by_another=held_by_another)
        self._came = asyncio.Queue()
        asyncio.get_running_loop().add_reader(near, self._take)
        self._serving = asyncio.create_task(
            self._line.serve(self._came.get, self._write, lambda: None)
        )

    async def unplug(self) -> None:
        if self._port.near is None or self._serving is None:
            return
        asyncio.get_running_loop().remove_reader(self._port.near)
        self._port.unplug()
        self._serving.cancel()
        await asyncio.gather(self._serving, return_exceptions=True)

    def release(self) -> None:
        """Whoever held it lets go."""
        self._port.release()

    def _take(self) -> None:
        if (near := self._port.near) is not None:
            with contextlib.suppress(OSError):
                self._came.put_nowait(os.read(near, 4096))

    async def _write(self, data: bytes) -> None:
        if (near := self._port.near) is not None:
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().run_in_executor(None, os.write, near, data)


class TcpEnd:
    """The line behind a TCP port."""

    def __init__(self, line: Line, port: int) -> None:
        self._line = line
        self._server: asyncio.Server | None = None
        self._links: set[asyncio.Task[None]] = set()
        self.port = port
        """Stays the same over `unplug` and `plug`."""

    async def plug(self, *, held_by_another: bool = False) -> None:
        if held_by_another:
            raise ValueError("nobody else holds a TCP port")
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for link in tuple(self._links):
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)

    def release(self) -> None:
        """Nobody else holds it."""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._links.add(task)
            task.add_done_callback(self._links.discard)

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            await self._line.serve(lambda: reader.read(4096), write, writer.close)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


class Simulator:
    """The orders of the control socket."""

    def __init__(self, line: Line, end: PtyEnd | TcpEnd) -> None:
        self._line = line
        self._end = end
        self._plugged = True

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order."""
        match do:
            case "fault.set":
                await self._set_fault(order)
            case "fault.clear":
                self._line.fault = {}
                self._end.release()
            case "unplug":
                await self._end.unplug()
            case "plug":
                await self._end.plug()
            case "reset":
                self._line.reset()
            case "time.pass":
                self._line.pass_time(float(order["seconds"]))
            case "state":
                return {"state": self._state()}
            case _:
                self._change(do, self._line.units[int(order["unit"])], order)
        return None

    def _change(self, do: str, unit: Unit, order: dict[str, Any]) -> None:
        match do:
            case "input":
                inputs = unit.discretes or unit.coils
                inputs[int(order["address"])] = bool(order["on"])
            case "count":
                unit.count(int(order["counter"]), int(order.get("by", 1)))
            case "value":
                unit.holdings[int(order["address"])] = int(order["value"]) & 0xFFFF
            case "power.cut":
                unit.lose_power()
            case "power.on":
                unit.has_power = True
            case _:
                raise KeyError(do)

    async def _set_fault(self, order: dict[str, Any]) -> None:
        if order.get("fault") not in _FAULTS:
            raise ValueError(f"no such fault: {order.get('fault')}")
        self._line.fault = {"times": 1, **order}
        if order["fault"] == "busy":
            self._line.fault = {}
            await self._end.unplug()
            await self._end.plug(held_by_another=True)

    def _state(self) -> dict[str, Any]:
        self._line.fall_back()
        units = {
            str(address): {
                "model": unit.model,
                "outputs": [place for place in unit.switchable if unit.coils[place]],
                "writes": unit.writes,
                "power": unit.has_power,
            }
            for address, unit in self._line.units.items()
        }
        port = self._end.port if isinstance(self._end, TcpEnd) else 0
        return {"port": port, "units": units, "requests": self._line.requests}


async def run(arguments: argparse.Namespace) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    models = dict(arguments.unit or enumerate(_MODELS, start=1))
    line = Line(models, is_rtu=arguments.rtu or arguments.link is not None)
    end = TcpEnd(line, arguments.port) if arguments.link is None else PtyEnd(line, arguments.link)
    await end.plug()
    try:
        async with control_socket(arguments.control, Simulator(line, end).order):
            port = f" {end.port}" if isinstance(end, TcpEnd) else ""
            print(f"ready{port}", flush=True)  # noqa: T201 - whoever started us waits for it
            await ended.wait()
    finally:
        await end.unplug()


def _unit_of(text: str) -> tuple[int, str]:
    address, _, model = text.partition("=")
    if model not in _MODELS:
        raise ValueError(text)
    return int(address), model


def main() -> None:
    parser = argparse.ArgumentParser(prog="drivers.sim.modbus")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    parser.add_argument("--link", type=Path, help="symbolic link to a serial port")
    parser.add_argument("--port", type=int, default=0, help="TCP; 0: any free one")
    parser.add_argument("--rtu", action="store_true", help="a serial server that passes bytes on")
    parser.add_argument("--unit", type=_unit_of, action="append", help="ADDRESS=MODEL")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
