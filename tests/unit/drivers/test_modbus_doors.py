"""Doors lock and smoke is told, whatever else their unit refuses or keeps silent about."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import pytest

from drivers.auxiliaries.modbus import ModbusAuxiliaries, ModbusConfig
from hallkit.errors import DeviceError, DeviceTimeout, Reason
from hallkit.model.device import DeviceStatus
from tests.fakes.clock import FakeClock

READ_COIL, READ_DISCRETE, READ_INPUT, WRITE_COIL, WRITE_COILS = 1, 2, 4, 5, 15
DOOR, LAMP, SMOKE, HEAT = 0, 8, 0, 0
MAP = {
    "title": "A unit of tests",
    "channels": {
        "smoke": {"read": "discrete", "address": SMOKE},
        "door": {"read": "coil", "address": DOOR, "write": 5},
        "gate": {"read": "coil", "address": DOOR + 1, "write": 5},
        "lamp": {"read": "coil", "address": LAMP, "write": 5},
        "heat": {"read": "input", "address": HEAT, "type": "i16", "unit": "°C"},
        "timed": {
            "read": "coil",
            "address": 16,
            "write": 5,
            "pulse": {"function": 5, "address": 256, "unit_s": 0.1, "longest": 600},
        },
    },
}
POINTS: dict[str, dict[str, Any]] = {
    "smoke": {"channel": "smoke", "kind": "smokeSensor"},
    "door": {"channel": "door", "kind": "doorRelease", "pulse_s": 5},
    "gate": {"channel": "gate", "kind": "doorRelease", "pulse_s": 5},
    "lamp": {"channel": "lamp", "kind": "lamp"},
    "heat": {"channel": "heat", "kind": "temperature"},
    "timed": {"channel": "timed", "kind": "doorRelease", "pulse_s": 5},
}
Question = tuple[int, int, int]
"""Unit, function, address."""


class Wire:
    """Units over TCP that answer at once. Whoever waits for the silent ones moves the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.is_open = False
        self.bits: dict[Question, bool] = {}
        """By unit, reading function and address."""
        self.refuses: dict[Question, int] = {}
        self.silent: set[Question] = set()
        self.dead: set[int] = set()
        self.asked: list[Question] = []
        self.locked_at_s: dict[int, float] = {}
        self._coming = b""

    async def open(self, *, timeout_s: float) -> None:
        self.is_open = True

    async def close(self) -> None:
        self.is_open = False

    async def drain_input(self) -> int:
        thrown, self._coming = len(self._coming), b""
        return thrown

    async def write(self, data: bytes, *, timeout_s: float) -> None:
        unit, function, address, value = struct.unpack(">BBHH", data[6:12])
        question = unit, function, address
        self.asked.append(question)
        if unit in self.dead or question in self.silent:
            return
        answer = bytes((unit, function)) + self._content(question, value)
        if code := self.refuses.get(question):
            answer = bytes((unit, function | 0x80, code))
        self._coming = data[:4] + struct.pack(">H", len(answer)) + answer

    def _content(self, question: Question, value: int) -> bytes:
        unit, function, address = question
        if function == READ_INPUT:
            return bytes((2 * value,)) + bytes(2 * value)
        if function == WRITE_COIL:
            if question not in self.refuses:
                self._switch(unit, address, on=bool(value))
            return struct.pack(">HH", address, value)
        places = range(address, address + value)
        found = sum(self.bits.get((unit, function, at), False) << at - address for at in places)
        size = (value + 7) // 8
        return bytes((size,)) + found.to_bytes(size, "little")

    def _switch(self, unit: int, address: int, *, on: bool) -> None:
        coil = unit, READ_COIL, address - 240 if address >= 256 else address
        if self.bits.get(coil) and not on:
            self.locked_at_s[unit] = self.clock.mono_s()
        self.bits[coil] = on

    def is_on(self, address: int, unit: int = 1) -> bool:
        return self.bits.get((unit, READ_COIL, address), False)

    async def read(self, *, timeout_s: float, limit: int = 4096) -> bytes:
        await asyncio.sleep(0)
        if not self._coming:
            self.clock.advance(timeout_s)
            raise DeviceTimeout("wire", Reason.SILENT)
        told, self._coming = self._coming, b""
        return told


class Rig:
    def __init__(self, *points: str, units: dict[str, Any] | None = None) -> None:
        self.clock = FakeClock()
        self.wire = Wire(self.clock)
        self.driver = self.another(*points, units=units)

    def another(self, *points: str, units: dict[str, Any] | None = None) -> ModbusAuxiliaries:
        """A driver on the same wire."""
        config = ModbusConfig.model_validate(
            {
                "id": "cabinet",
                "driver": "modbus",
                "transport": {"kind": "tcp", "host": "127.0.0.1", "port": 502},
                "units": units or {"io": unit(1, *points)},
            }
        )
        return ModbusAuxiliaries(config, self.clock, transport=self.wire)

    async def leave(self) -> None:
        await self.driver.__aexit__(None, None, None)

    async def pulse_ends(self) -> None:
        """The time of a pulse passes, and what is due then is tried."""
        await self.clock.until_sleeping()
        (timer,) = self.driver._falling.values()
        self.clock.advance(5)
        await timer


def unit(address: int, *points: str) -> dict[str, Any]:
    return {"address": address, "map": MAP, "points": {name: POINTS[name] for name in points}}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (0x01, Reason.CONFIGURATION),
        (0x02, Reason.CONFIGURATION),
        (0x04, Reason.UNRECOVERABLE),
        (0x06, Reason.OCCUPIED),
        (None, Reason.UNRECOVERABLE),
    ],
)
async def test_an_output_that_cannot_be_switched_hides_no_smoke(
    code: int | None, reason: Reason
) -> None:
    rig = Rig("smoke", "lamp", "heat")
    await rig.driver.switch("lamp", on=True)
    rig.wire.bits[1, READ_COIL, LAMP] = False
    if code is None:
        rig.wire.silent.add((1, WRITE_COIL, LAMP))
    else:
        rig.wire.refuses[1, WRITE_COIL, LAMP] = code
    report = await rig.driver.probe()
    assert (report.status, report.reason) == (DeviceStatus.ONLINE, reason)
    rig.wire.bits[1, READ_DISCRETE, SMOKE] = True
    assert (await rig.driver.probe()).reason is Reason.SMOKE
    facts = rig.driver.diagnostics()
    assert (facts["unit io"], facts["alarm lamp"]) == ("fine", reason)
    assert (await rig.driver.read()).unknown == ()
    rig.wire.refuses.clear()
    rig.wire.silent.clear()
    rig.wire.bits[1, READ_DISCRETE, SMOKE] = False
    assert (await rig.driver.probe()).reason is None
    assert rig.wire.is_on(LAMP)


@pytest.mark.parametrize("code", [0x02, 0x04, 0x06, None])
async def test_a_switch_that_fails_makes_no_other_point_unknown(code: int | None) -> None:
    rig = Rig("smoke", "lamp")
    await rig.driver.probe()
    if code is None:
        rig.wire.silent.add((1, WRITE_COIL, LAMP))
    else:
        rig.wire.refuses[1, WRITE_COIL, LAMP] = code
    with pytest.raises(DeviceError):
        await rig.driver.switch("lamp", on=True)
    assert rig.driver.diagnostics()["unit io"] == "fine"
    assert rig.driver.report.status is DeviceStatus.ONLINE
    assert rig.driver.report.reason is not None


async def test_one_output_that_fails_keeps_no_other_from_what_is_wanted() -> None:
    rig = Rig("door", "lamp")
    await rig.driver.probe()
    await rig.driver.switch("lamp", on=True)
    rig.wire.bits |= {(1, READ_COIL, DOOR): True, (1, READ_COIL, LAMP): False}
    rig.wire.refuses[1, WRITE_COIL, DOOR] = 4
    await rig.driver.probe()
    assert rig.wire.is_on(LAMP)


@pytest.mark.parametrize("blocks", ["refused", "silent"])
async def test_a_door_locks_though_another_block_of_its_unit_fails(blocks: str) -> None:
    rig = Rig("smoke", "door", "heat")
    failing = [(1, READ_DISCRETE, SMOKE), (1, READ_INPUT, HEAT)]
    if blocks == "refused":
        rig.wire.refuses |= dict.fromkeys(failing, 2)
    else:
        rig.wire.silent |= set(failing)
    await rig.driver.switch("door", on=True)
    rig.wire.silent.add((1, WRITE_COIL, DOOR))
    await rig.pulse_ends()
    assert rig.wire.is_on(DOOR)
    rig.wire.silent.discard((1, WRITE_COIL, DOOR))
    assert (await rig.driver.probe()).reason is not None
    assert not rig.wire.is_on(DOOR)
    assert rig.driver.diagnostics()["outputs_restored"] == 1


async def test_a_door_locks_though_its_neighbour_makes_their_block_fail() -> None:
    """Both stand in one question; the first is also read by itself."""
    rig = Rig("door", "gate")
    await rig.driver.switch("gate", on=True)
    rig.wire.refuses |= {(1, READ_COIL, DOOR): 2, (1, WRITE_COIL, DOOR + 1): 4}
    await rig.pulse_ends()
    del rig.wire.refuses[1, WRITE_COIL, DOOR + 1]
    await rig.driver.probe()
    assert not rig.wire.is_on(DOOR + 1)


@pytest.mark.parametrize("blocks", ["refused", "silent"])
async def test_a_new_run_locks_what_an_earlier_one_left_open_though_a_block_fails(
    blocks: str,
) -> None:
    rig = Rig("door", "heat", "smoke")
    rig.wire.bits[1, READ_COIL, DOOR] = True
    if blocks == "refused":
        rig.wire.refuses[1, READ_DISCRETE, SMOKE] = 2
    else:
        rig.wire.silent.add((1, READ_DISCRETE, SMOKE))
    await rig.driver.probe()
    assert not rig.wire.is_on(DOOR)


async def test_a_unit_that_comes_back_without_one_block_is_no_mute_one() -> None:
    rig = Rig("door", "smoke")
    rig.wire.dead.add(1)
    await rig.driver.probe()
    rig.wire.dead.clear()
    rig.wire.bits[1, READ_COIL, DOOR] = True
    rig.wire.silent.add((1, READ_DISCRETE, SMOKE))
    for _ in range(2):
        await rig.driver.probe()
    assert not rig.wire.is_on(DOOR)


async def test_a_door_that_cannot_be_read_is_not_opened() -> None:
    rig = Rig("smoke", "door")
    rig.wire.refuses[1, READ_COIL, DOOR] = 2
    with pytest.raises(DeviceError):
        await rig.driver.switch("door", on=True)
    assert not rig.wire.is_on(DOOR)


async def test_a_door_that_cannot_be_read_hides_no_smoke() -> None:
    """Its channel is read by itself only where that is of use; smoke has another block."""
    rig = Rig("smoke", "door")
    await rig.driver.switch("door", on=True)
    rig.wire.silent.add((1, WRITE_COIL, DOOR))
    await rig.pulse_ends()
    rig.wire.bits[1, READ_DISCRETE, SMOKE] = True
    assert (await rig.driver.probe()).reason is Reason.SMOKE
    assert rig.driver.diagnostics()["unit io"] == "fine"


async def test_a_calm_look_asks_for_no_door_by_itself() -> None:
    rig = Rig("smoke", "door")
    await rig.driver.switch("door", on=True)
    await rig.pulse_ends()
    await rig.driver.probe()
    rig.wire.asked.clear()
    await rig.driver.probe()
    assert rig.wire.asked == [(1, READ_COIL, DOOR), (1, READ_DISCRETE, SMOKE)]


async def test_a_silent_unit_costs_one_deadline_a_look() -> None:
    rig = Rig("smoke", "door", "gate")
    rig.wire.dead.add(1)
    await rig.driver.probe()
    rig.wire.asked.clear()
    await rig.driver.probe()
    assert len(rig.wire.asked) == 1


async def test_whoever_leaves_locks_a_door_whose_first_release_was_lost() -> None:
    rig = Rig("door")
    await rig.driver.switch("door", on=True)
    rig.wire.silent.add((1, WRITE_COIL, DOOR))
    await rig.pulse_ends()
    rig.wire.silent.clear()
    await rig.leave()
    assert not rig.wire.is_on(DOOR)


async def test_whoever_leaves_asks_twice() -> None:
    rig = Rig("door")
    await rig.driver.switch("door", on=True)
    rig.wire.silent.add((1, WRITE_COIL, DOOR))
    leaving = asyncio.create_task(rig.leave())
    while (1, WRITE_COIL, DOOR) not in rig.wire.asked[3:]:  # noqa: ASYNC110  # a wire has no event
        await asyncio.sleep(0)
    rig.wire.silent.clear()
    await leaving
    assert not rig.wire.is_on(DOOR)


@pytest.mark.parametrize("ends", ["given up", "silent"])
async def test_whoever_leaves_locks_a_door_whose_locking_did_not_arrive(ends: str) -> None:
    rig = Rig("door")
    await rig.driver.switch("door", on=True)
    rig.wire.silent.add((1, WRITE_COIL, DOOR))
    locking = asyncio.create_task(rig.driver.switch("door", on=False))
    if ends == "given up":
        await asyncio.sleep(0)
        locking.cancel()
    await asyncio.gather(locking, return_exceptions=True)
    assert rig.wire.is_on(DOOR)
    assert rig.driver._falling, "its time still ends"
    rig.wire.silent.clear()
    await rig.leave()
    assert not rig.wire.is_on(DOOR)


async def test_a_door_whose_locking_did_not_arrive_is_locked_when_next_heard() -> None:
    rig = Rig("door")
    await rig.driver.switch("door", on=True)
    rig.wire.refuses[1, WRITE_COIL, DOOR] = 6
    with pytest.raises(DeviceError):
        await rig.driver.switch("door", on=False)
    rig.wire.refuses.clear()
    await rig.driver.probe()
    assert not rig.wire.is_on(DOOR)
    assert not rig.driver._falling


async def test_an_off_that_is_confirmed_and_not_so_is_no_off() -> None:
    """A relay that sticks: the unit says yes, and the door stays open."""
    rig = Rig("door")
    await rig.driver.switch("door", on=True)
    stuck, rig.wire._switch = rig.wire._switch, lambda *_, on: None  # type: ignore[method-assign]
    await rig.pulse_ends()
    rig.wire._switch = stuck  # type: ignore[method-assign]
    await rig.leave()
    assert not rig.wire.is_on(DOOR)


async def test_whoever_leaves_touches_no_door_it_did_not_open() -> None:
    rig = Rig("door", "timed")
    await rig.driver.switch("timed", on=True)
    rig.wire.asked.clear()
    await rig.leave()
    assert rig.wire.asked == [], "the unit's own timer runs"


async def test_whoever_leaves_locks_what_an_earlier_run_left_open_and_refused_to_lock() -> None:
    rig = Rig("door")
    rig.wire.bits[1, READ_COIL, DOOR] = True
    rig.wire.refuses[1, WRITE_COIL, DOOR] = 6
    assert (await rig.driver.probe()).reason is Reason.OCCUPIED
    rig.wire.refuses.clear()
    await rig.leave()
    assert not rig.wire.is_on(DOOR)


async def test_whoever_leaves_locks_a_door_whose_own_timer_failed() -> None:
    rig = Rig("timed")
    await rig.driver.switch("timed", on=True)
    rig.clock.advance(6.5)
    await rig.leave()
    assert not rig.wire.is_on(16)


async def test_a_wire_that_does_not_close_by_order_is_closed_all_the_same() -> None:
    rig = Rig("door")
    await rig.driver.switch("door", on=True)
    leaving = asyncio.create_task(rig.leave())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    assert not rig.wire.is_open


async def test_a_pulse_ends_between_two_silent_units() -> None:
    units = {
        f"u{at}": unit(at) | {"points": {f"smoke-{at}": POINTS["smoke"]}} for at in range(2, 17)
    }
    rig = Rig(units=units | {"relays": unit(60, "door")})
    rig.wire.dead |= set(range(2, 17))
    await rig.driver.switch("door", on=True)
    ends_s = rig.clock.mono_s() + 5
    rig.clock.advance(4.5)
    await rig.driver.probe()
    # One silent unit's deadline of 0.3 s, not fifteen.
    assert ends_s <= rig.wire.locked_at_s[60] <= ends_s + 0.31
    assert not rig.driver._falling


async def test_a_pulse_whose_unit_fell_silent_costs_the_look_one_deadline() -> None:
    units = {
        f"u{at}": unit(at) | {"points": {f"smoke-{at}": POINTS["smoke"]}} for at in range(2, 6)
    }
    rig = Rig(units=units | {"relays": unit(60, "door")})
    await rig.driver.switch("door", on=True)
    rig.wire.dead.add(60)
    rig.wire.asked.clear()
    rig.clock.advance(5)
    await rig.driver.probe()
    writes = [question for question in rig.wire.asked if question[1] == WRITE_COIL]
    assert len(writes) == 1
    assert rig.driver.diagnostics()["unit u2"] == "fine"
