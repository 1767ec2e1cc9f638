"""An input device on the testbed: a scanner that types, or a key panel with a jack.

    python -m drivers.sim.evdev --control SOCKET

A program sees it under umockdev's preload, with UMOCKDEV_DIR set to `root` of the order `state`.
Orders on the control socket (drivers/sim/control.py); `key` is a number of
linux/input-event-codes.h:

    type {text, beyond: "alt_gbk" | "alt_unicode" | "ctrl_shift_u", end: true, apart_s: 0.002}
                                   `beyond` says how what is no ASCII is typed; `end` presses Enter
    press {key, times: 1}   hold {key}   repeat {key, times: 1}, as a keyboard does   release {key}
    chord {keys}                   all of them down in one packet, then up
    switch {on}                    headphones plugged in or out
    lose {on}                      the same, but the kernel lost the event and says so
    pause {seconds}                its events are so much later; nobody waits
    unplug   plug                  as another event node, with the same link under by-id
    fault.set {fault, times: 1 (0: until cleared)}    fault.clear    reset    state

Faults, each of a text: `drop` nothing is typed · `cut` half of it · `garble` half an event in its
middle · `dropped` the kernel lost the middle and says so · `noise` events of no key in between.
Until cleared: `busy` another program has grabbed it · `denied` no right to it.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import fcntl
import os
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.sim.control import control_socket
from drivers.sim.testbed import Call, Testbed, under_debians_python

NAME = "Hall Twin Keys"
VENDOR, PRODUCT = 0x1A2C, 0x0E24
LINK = "/dev/input/by-id/usb-Hall_Twin-event-kbd"

_EVENT = struct.Struct("@llHHi")
_SYN, _KEY, _REL, _MSC, _SW = 0, 1, 2, 4, 5
_HEADPHONES = 2
_ENTER, _SHIFT, _CTRL, _ALT = 28, 42, 29, 56
_BASE = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/0003:1A2C:0E24.0003/input"
_ROOM_BYTES = 1 << 15
_ROOM_LIMIT_S = 0.5
_REPEAT_S = 0.033
_TEXT_FAULTS = frozenset({"drop", "cut", "garble", "dropped", "noise"})
_NODE_FAULTS = {"busy": errno.EBUSY, "denied": errno.EACCES}

# One row of keys beside the other, as they lie on a US keyboard.
_FIRST_KEY = {"`": 41, "1": 2, "q": 16, "a": 30, "\\": 43, "z": 44, " ": 57}
_ROWS = ("`", "1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "\\", "zxcvbnm,./", " ")
_SHIFTED = dict(zip('~!@#$%^&*()_+{}|:"<>?', "`1234567890-=[]\\;',./", strict=True))
_KEYS = {key: _FIRST_KEY[row[0]] + place for row in _ROWS for place, key in enumerate(row)}
_KEYPAD = dict(zip("7894561230", (71, 72, 73, 75, 76, 77, 79, 80, 81, 82), strict=True))

Stroke = tuple[int, int]
"""A key and its value: 1 pressed, 0 let go."""


def _tap(key: int) -> list[Stroke]:
    return [(key, 1), (key, 0)]


def _taps(keys: Iterable[int]) -> list[Stroke]:
    return [stroke for key in keys for stroke in _tap(key)]


def strokes(text: str, beyond: str) -> Iterator[list[Stroke]]:
    """What is pressed and let go for each character."""
    for character in text:
        if character in _KEYS:
            yield _tap(_KEYS[character])
        elif (plain := _SHIFTED.get(character, character.lower())) in _KEYS:
            yield [(_SHIFT, 1), *_tap(_KEYS[plain]), (_SHIFT, 0)]
        elif ord(character) < 0x20:
            yield [(_CTRL, 1), *_tap(_KEYS[chr(ord(character) | 0x40).lower()]), (_CTRL, 0)]
        elif beyond == "ctrl_shift_u":
            digits = _taps(_KEYS[digit] for digit in f"u{ord(character):x}")
            yield [(_CTRL, 1), (_SHIFT, 1), *digits, (_SHIFT, 0), (_CTRL, 0)]
        else:
            digits = _taps(_KEYPAD[digit] for digit in _number(character, beyond))
            yield [(_ALT, 1), *digits, (_ALT, 0)]


def _number(character: str, beyond: str) -> str:
    if beyond == "alt_unicode":
        return str(ord(character))
    if beyond == "alt_gbk":
        return str(int.from_bytes(character.encode("gbk"), "big"))
    raise ValueError("says no way to type what is no ASCII")


class Simulator:
    """The device, its node and its faults."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._number = 4
        self._pipe = -1
        self._now_s = 0.0
        self._overflowed = False
        self._fault: dict[str, Any] = {}
        self._grabbed = False
        self._headphones = False
        self._typed = 0
        self._at_once = {
            "fault.clear": self._clear_fault,
            "unplug": self.unplug,
            "plug": self.plug,
            "reset": self._reset,
        }

    @property
    def _node(self) -> str:
        return f"/dev/input/event{self._number}"

    @property
    def _description(self) -> str:
        parent = f"{_BASE}/input{self._number}"
        return (
            f"P: {parent}\n"
            f"E: SUBSYSTEM=input\n"
            f"A: name={NAME}\\n\nA: phys=usb-0000:00:14.0-2/input0\\n\n"
            f"A: id/vendor={VENDOR:04x}\\n\nA: id/product={PRODUCT:04x}\\n\n"
            f"\n"
            f"P: {parent}/event{self._number}\n"
            f"N: {self._node.removeprefix('/dev/')}\n"
            f"E: SUBSYSTEM=input\nE: DEVNAME={self._node}\nE: ID_INPUT=1\nE: ID_INPUT_KEY=1\n"
        )

    def plug(self) -> None:
        """Appear as the next event node."""
        if self._pipe >= 0:
            return
        self._number += 1
        self._grabbed = self._overflowed = False
        self._bed.add(self._description)
        # A pipe takes a packet as a whole, as the kernel does; a pty may cut it anywhere.
        place = self._bed.root / self._node.removeprefix("/")
        place.unlink(missing_ok=True)
        os.mkfifo(place)
        self._pipe = os.open(place, os.O_RDWR | os.O_NONBLOCK)
        self._bed.answer(self._node, self._answer)
        link = self._bed.root / LINK.removeprefix("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"../event{self._number}")

    def unplug(self) -> None:
        """Vanish; whoever reads it sees its end."""
        if self._pipe < 0:
            return
        (self._bed.root / LINK.removeprefix("/")).unlink(missing_ok=True)
        self._bed.answer_no_more(self._node)
        self._bed.remove(self._description)
        os.close(self._pipe)
        self._pipe = -1

    async def order(self, do: str, order: dict[str, Any]) -> dict[str, Any] | None:
        """Carry out an order of the control socket."""
        match do:
            case "type":
                await self._type(order)
            case "press" | "hold" | "repeat" | "release":
                await self._finger(do, int(order["key"]), int(order.get("times", 1)))
            case "chord":
                keys = [int(key) for key in order["keys"]]
                self._later(0.0)
                packets = [[(_KEY, key, value) for key in keys] for value in (1, 0)]
                await self._write(b"".join(self._packed(*one, (_SYN, 0, 0)) for one in packets))
            case "switch" | "lose":
                await self._jack(do, on=bool(order["on"]))
            case "pause":
                self._later(float(order["seconds"]))
            case "fault.set":
                self._set_fault(order)
            case "fault.clear" | "unplug" | "plug" | "reset":
                self._at_once[do]()
            case "state":
                return {"state": self._state()}
            case _:
                raise KeyError(do)
        return None

    def _state(self) -> dict[str, Any]:
        return {
            "root": str(self._bed.root),
            "node": self._node,
            "link": LINK,
            "plugged": self._pipe >= 0,
            "grabbed": self._grabbed,
            "typed": self._typed,
        }

    def _clear_fault(self) -> None:
        self._fault = {}

    def _reset(self) -> None:
        self._clear_fault()
        self._headphones = self._overflowed = self._grabbed = False
        self.plug()
        self._empty()

    def _set_fault(self, order: dict[str, Any]) -> None:
        fault = order.get("fault")
        if fault not in _TEXT_FAULTS and fault not in _NODE_FAULTS:
            raise ValueError(f"no such fault: {fault}")
        self._fault = {"times": 1, **order}
        if fault in _NODE_FAULTS:
            # Whoever has it open loses it and meets the fault when opening it again.
            self.unplug()
            self.plug()

    def _next_fault(self) -> str:
        fault = str(self._fault.get("fault", ""))
        if fault not in _TEXT_FAULTS:
            return ""
        if self._fault["times"]:
            self._fault["times"] -= 1
            if not self._fault["times"]:
                self._fault = {}
        return fault

    def _answer(self, call: Call) -> bool:
        """One ioctl, told by its number; runs on the bed's thread."""
        size = call.request >> 16 & 0x3FFF
        match call.request & 0xFFFF:
            case 0x4502:
                return _give(call, struct.pack("=HHHH", 3, VENDOR, PRODUCT, 0x110))
            case 0x4506:
                return _give(call, NAME.encode()[: size - 1] + b"\0")
            case 0x451B:
                return _give(call, (self._headphones << _HEADPHONES).to_bytes(size, sys.byteorder))
            case 0x4525:
                return _give(call, (1 << _HEADPHONES).to_bytes(size, sys.byteorder))
            case 0x4590:
                fault = _NODE_FAULTS.get(str(self._fault.get("fault")), 0)
                self._grabbed = bool(call.number) and not fault
                call.complete(-1 if fault else 0, fault)
            case 0x45A0:
                call.complete()
            case _:
                return False
        return True

    async def _type(self, order: dict[str, Any]) -> None:
        self._typed += 1
        keys = list(strokes(str(order["text"]), str(order.get("beyond", ""))))
        if order.get("end", True):
            keys.append(_tap(_ENTER))
        fault, apart_s = self._next_fault(), float(order.get("apart_s", 0.002))
        half = len(keys) // 2
        if fault == "drop":
            return
        for place, taps in enumerate(keys[:half] if fault == "cut" else keys):
            if place == half and fault == "garble":
                await self._half_an_event()
            if place == half and fault == "dropped":
                await self._send((_SYN, 3, 0), (_KEY, _SHIFT, 1))
                continue
            for key, value in taps:
                # Letting go takes no time of its own: keys are told apart by when they go down.
                self._later(apart_s * value)
                if fault == "noise":
                    await self._send((_REL, 8, -1), (_MSC, 3, place), (0x1E, 0x2FE, -7))
                await self._send((_MSC, 4, 0x70000 + key), (_KEY, key, value))

    async def _finger(self, do: str, key: int, times: int) -> None:
        if do != "repeat":  # the kernel repeats at its own pace, however late the order came
            self._later(0.0)
        match do:
            case "press":
                for _ in range(times):
                    await self._send((_KEY, key, 1))
                    self._later(0.002)
                    await self._send((_KEY, key, 0))
            case "hold":
                await self._send((_KEY, key, 1))
            case "repeat":
                for _ in range(times):
                    self._now_s += _REPEAT_S
                    await self._send((_KEY, key, 2))
            case "release":
                await self._send((_KEY, key, 0))

    async def _jack(self, do: str, *, on: bool) -> None:
        self._later(0.0)
        self._headphones = on
        await self._send((_SYN, 3, 0) if do == "lose" else (_SW, _HEADPHONES, int(on)))

    def _later(self, seconds: float) -> None:
        self._now_s = max(self._now_s, time.monotonic()) + seconds

    async def _half_an_event(self) -> None:
        await self._write(self._packed((_KEY, _ENTER, 1))[: _EVENT.size // 2])
        # It must be read by itself, as a short read would be; if nobody reads, nobody misses it.
        deadline_s = time.monotonic() + _ROOM_LIMIT_S
        while self._pipe >= 0 and self._unread():
            if time.monotonic() >= deadline_s:
                self._empty()
            await asyncio.sleep(0.001)

    async def _send(self, *events: tuple[int, int, int]) -> None:
        """A packet of events that happen at once."""
        await self._write(self._packed(*events, (_SYN, 0, 0)))

    def _packed(self, *events: tuple[int, int, int]) -> bytes:
        seconds = int(self._now_s)
        micros = int((self._now_s - seconds) * 1e6)
        return b"".join(_EVENT.pack(seconds, micros, *event) for event in events)

    async def _write(self, data: bytes) -> None:
        """Into the node's buffer; as in the kernel's, what nobody reads in time is lost."""
        deadline_s = time.monotonic() + (0 if self._overflowed else _ROOM_LIMIT_S)
        while self._pipe >= 0 and self._unread() > _ROOM_BYTES:
            if time.monotonic() >= deadline_s:
                self._overflowed = True
                return
            await asyncio.sleep(0.001)
        if self._pipe < 0:
            return
        if self._overflowed:
            self._overflowed = False
            data = self._packed((_SYN, 3, 0), (_SYN, 0, 0)) + data
        os.write(self._pipe, data)

    def _empty(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._pipe, 1 << 16)

    def _unread(self) -> int:
        filled = fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4))
        return int.from_bytes(filled, sys.byteorder)


def _give(call: Call, answer: bytes) -> bool:
    place = call.structure(len(answer))
    if place is None:
        return False
    place.write(0, answer)
    call.complete(len(answer))
    return True


async def run(control: Path, bed: Testbed) -> None:
    """Simulate until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    simulator = Simulator(bed)
    simulator.plug()
    try:
        async with control_socket(control, simulator.order):
            print(f"ready {bed.root}", flush=True)  # noqa: T201 - whoever started us waits for it
            await ended.wait()
    finally:
        simulator.unplug()


def main() -> None:
    under_debians_python("drivers.sim.evdev")
    parser = argparse.ArgumentParser(prog="drivers.sim.evdev")
    parser.add_argument("--control", type=Path, required=True, help="socket that takes orders")
    control = parser.parse_args().control
    with Testbed().running() as bed:
        asyncio.run(run(control, bed))


if __name__ == "__main__":
    main()
