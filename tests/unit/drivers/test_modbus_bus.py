"""A line whose units answer late, twice or not at all: whose answer is taken."""

from __future__ import annotations

import asyncio

import pytest

from drivers.auxiliaries.modbus_bus import Bus
from drivers.auxiliaries.modbus_frames import Rtu, Table, crc, read
from hallkit.errors import DeviceTimeout, ProtocolError, Reason

INPUTS, OUTPUTS = read(Table.COIL, 0, 8), read(Table.COIL, 16, 8)


def answer(value: int, unit: int = 1) -> bytes:
    body = bytes((unit, 1, 1, value))
    return body + crc(body)


class Line:
    """A wire and the time on it: each request is answered as the script says, so much later."""

    def __init__(self, *script: tuple[float, bytes]) -> None:
        self.now_s = 0.0
        self.asked_at_s: list[float] = []
        self.is_open = True
        self._script = list(script)
        self._coming: list[tuple[float, bytes]] = []

    def wall_ms(self) -> int:
        return 0

    def mono_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    async def open(self, *, timeout_s: float) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        self.asked_at_s.append(self.now_s)
        delay_s, told = self._script.pop(0)
        self._coming.append((self.now_s + delay_s, told))
        self._coming.sort()

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        if not self._coming or self._coming[0][0] > self.now_s + timeout_s:
            self.now_s += timeout_s
            raise DeviceTimeout("line", Reason.SILENT)
        at_s, told = self._coming.pop(0)
        self.now_s = max(self.now_s, at_s)
        return told

    async def drain_input(self) -> int:
        here = [told for at_s, told in self._coming if at_s <= self.now_s]
        self._coming = [(at_s, told) for at_s, told in self._coming if at_s > self.now_s]
        return sum(map(len, here))


def bus_on(line: Line) -> Bus:
    return Bus(
        "line",
        line,
        Rtu(),
        line,
        connect_timeout_s=1,
        answer_timeout_s=0.3,
        late_s=0.7,
        baud=9600,
    )


async def test_the_late_answer_to_one_question_is_not_that_to_the_next() -> None:
    """Both ask for eight bits of one unit: nothing but the time tells their answers apart."""
    line = Line((0.4, answer(0x11)), (0.15, answer(0x22)))
    bus = bus_on(line)
    with pytest.raises(DeviceTimeout):
        await bus.ask(1, INPUTS)
    assert await bus.ask(1, OUTPUTS) == b"\x22"
    assert bus.counts["unasked_bytes"] == len(answer(0x11))


async def test_a_late_answer_does_not_keep_other_units_waiting() -> None:
    line = Line((0.4, answer(0x11)), (0.15, answer(0x33, unit=2)))
    bus = bus_on(line)
    with pytest.raises(DeviceTimeout):
        await bus.ask(1, INPUTS)
    assert await bus.ask(2, INPUTS) == b"\x33"
    assert line.asked_at_s[1] < 0.35


async def test_what_was_given_up_by_its_caller_may_still_come() -> None:
    line = Line((0.2, answer(0x11)), (0.25, answer(0x22)))
    bus = bus_on(line)

    async def given_up(*, timeout_s: float, limit: int = 4096) -> bytes:
        raise asyncio.CancelledError

    given, line.read = line.read, given_up  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await bus.ask(1, INPUTS)
    line.read = given  # type: ignore[method-assign]
    assert await bus.ask(1, OUTPUTS) == b"\x22"


async def test_an_answer_that_came_spoilt_is_asked_for_at_once() -> None:
    spoilt = answer(0x11)[:-1] + b"\0"
    line = Line((0.05, spoilt), (0.05, answer(0x11)))
    bus = bus_on(line)
    assert await bus.ask(1, INPUTS) == b"\x11"
    assert line.asked_at_s[1] < 0.35
    assert (bus.counts["repeated"], bus.counts["garbled"]) == (1, 1)


async def test_half_an_answer_is_not_asked_for_again_for_its_rest_may_come() -> None:
    line = Line((0.05, answer(0x11)[:3]))
    with pytest.raises(ProtocolError):
        await bus_on(line).ask(1, INPUTS)


async def test_between_two_frames_the_line_is_quiet() -> None:
    line = Line((0.01, answer(1)), (0.01, answer(2)))
    bus = bus_on(line)
    for request in (INPUTS, OUTPUTS):
        await bus.ask(1, request)
    # 3.5 times the 11 bits of a byte at 9600 baud.
    assert line.asked_at_s[1] - 0.01 == pytest.approx(0.00401, abs=1e-4)


async def test_a_long_answer_has_its_time_on_the_wire() -> None:
    """125 registers take 0.3 s at 9600 baud by themselves."""
    request = read(Table.HOLDING, 0, 125)
    body = b"\x01\x03\xfa" + bytes(250)
    assert await bus_on(Line((0.55, body + crc(body)))).ask(1, request) == bytes(250)
