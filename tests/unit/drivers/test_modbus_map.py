"""Register maps as data, and what registers mean."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.auxiliaries.modbus import ModbusConfig
from drivers.auxiliaries.modbus_frames import Rtu, Table
from drivers.auxiliaries.modbus_map import Block, Channel, Count, Limits, blocks_of, map_names
from drivers.registry import discover, parse_peripherals
from edge_agent.devices.host import peripherals_of
from hallkit.errors import ConfigError
from hallkit.runtime.config import read
from launcher.cli import main

LINE = {"kind": "serial", "path": "/dev/ttyS9", "baud": 9600}
LAMP = {"channel": "do0", "kind": "lamp"}


def entry(unit: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    adam = {"address": 1, "map": "adam_4150", "points": {"lamp": LAMP}}
    units = {"io": adam | (unit or {})}
    return {"id": "cabinet", "driver": "modbus", "transport": LINE, "units": units} | more


def mistakes_of(described: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as fault:
        parse_peripherals([described], discover(), file="machine.toml")
    return str(fault.value)


def test_each_shipped_map_is_right() -> None:
    assert map_names() == ["adam_4150", "climate", "relay_board", "waveshare_relay"]
    for name in map_names():
        channels = ModbusConfig.model_validate(
            entry({"map": name, "points": {"any": _some_point(name)}})
        ).units["io"]
        assert channels.map.title


def _some_point(name: str) -> dict[str, Any]:
    if name == "climate":
        return {"channel": "temperature", "kind": "temperature"}
    channel = "do0" if name == "adam_4150" else "relay1"
    return {"channel": channel, "kind": "lamp"}


@pytest.mark.parametrize(
    ("name", "seconds", "frame"),
    [
        ("waveshare_relay", 0.7, "01 05 02 00 00 07 8D B0"),
        ("relay_board", 2, "01 10 00 03 00 02 04 00 04 00 14 F2 74"),
        ("relay_board", 5, "01 10 00 03 00 02 04 00 04 00 32 73 AE"),
    ],
)
def test_a_unit_that_can_switches_off_by_itself(name: str, seconds: float, frame: str) -> None:
    point = {"channel": "relay1", "kind": "doorRelease", "pulse_s": seconds}
    config = ModbusConfig.model_validate(entry({"map": name, "points": {"door": point}}))
    pulse = config.units["io"].map.channels["relay1"].pulse
    assert pulse is not None
    assert Rtu().frame(1, pulse.request(seconds)).hex(" ").upper() == frame


@pytest.mark.parametrize(
    ("unit", "told"),
    [
        ({"map": "adam_4510"}, "units.io.map: unknown map 'adam_4510'; known: adam_4150"),
        ({"adress": 1}, "units.io.adress: unknown key"),
        ({"points": {"lamp": LAMP | {"channel": "do9"}}}, "no channel 'do9'; known: di0"),
        ({"points": {"lamp": LAMP | {"kind": "lump"}}}, "units.io.points.lamp.kind: "),
        ({"points": {"lamp": LAMP | {"channel": "di0"}}}, "the map does not say how it is written"),
        (
            {"points": {"near": {"channel": "counter0", "kind": "proximitySensor"}}},
            "a proximitySensor is a single bit",
        ),
        (
            {"points": {"in": {"channel": "di0", "kind": "peopleCounter"}}},
            "a counter has the type u16 or u32",
        ),
        (
            {"points": {"warm": {"channel": "counter0", "kind": "temperature"}}},
            "a temperature is a number in °C",
        ),
        (
            {"points": {"door": {"channel": "do0", "kind": "doorRelease"}}},
            "a door that is released locks again by itself: add pulse_s = 5",
        ),
        (
            {"points": {"door": {"channel": "di0", "kind": "cabinetDoor", "pulse_s": 1}}},
            "only an output has a pulse",
        ),
        (
            {"points": {"smoke": {"channel": "di0", "kind": "smokeSensor", "opposite": "di1"}}},
            "only a cabinetDoor has an opposite contact",
        ),
        (
            {"points": {"door": {"channel": "di0", "kind": "cabinetDoor", "opposite": "counter1"}}},
            "a cabinetDoor is a single bit",
        ),
        ({"points": {"lamp": LAMP | {"most_per_s": 5}}}, "only a counter counts most_per_s"),
        ({"points": {"lamp": LAMP | {"too_hot": 50}}}, "only a temperature is too hot"),
        ({"points": {"lamp": LAMP, "other": LAMP}}, "used twice: do0"),
        ({"address": 248}, "a unit has an address from 1 to 247"),
        ({"map": {"title": "Ours", "channels": {}}}, "units.io.map.channels: "),
        (
            {"map": {"title": "Ours", "channels": {"do0": {"raed": "coil", "address": 0}}}},
            "units.io.map.channels.do0.raed: unknown key",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(unit: dict[str, Any], told: str) -> None:
    text = mistakes_of(entry(unit))
    assert text.startswith("machine.toml: peripherals[0]")
    assert told in text


OWN_MAP = """\
title = "Ours"
[channels]
lamp = { read = "coil", address = 3, write = 15 }
"""
MACHINE = """\
[[peripherals]]
id = "cabinet"
driver = "modbus"
transport = { kind = "serial", path = "tty", baud = 9600, parity = "even" }
[peripherals.units.relays]
address = 7
map = { include = "ours.toml" }
[peripherals.units.relays.points]
lamp = { channel = "lamp", kind = "lamp" }
"""


def test_a_hall_has_a_map_of_its_own_beside_its_file(tmp_path: Path) -> None:
    machine = tmp_path / "machine.toml"
    machine.write_text(MACHINE, encoding="utf-8")
    ours = tmp_path / "ours.toml"
    ours.write_text(OWN_MAP, encoding="utf-8")
    ((_, config),) = peripherals_of(read([machine]), Path("/run"))
    assert isinstance(config, ModbusConfig)
    lamp = config.units["relays"].map.channels["lamp"]
    assert Rtu().frame(7, lamp.switch(on=True)).hex() == "070f0003000101012b7d"
    ours.write_text(OWN_MAP.replace("address", "adress"), encoding="utf-8")
    with pytest.raises(ConfigError) as fault:
        peripherals_of(read([machine]), Path("/run"))
    place = "ours.toml:3: peripherals[0].units.relays.map.channels.lamp.adress"
    assert f"{place}: unknown key (did you mean 'address'?)" in str(fault.value).splitlines()


def test_the_bench_tells_of_a_mistake_in_it_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = tmp_path / "machine.toml"
    machine.write_text(MACHINE, encoding="utf-8")
    (tmp_path / "ours.toml").write_text(OWN_MAP.replace("coil", "coul"), encoding="utf-8")
    assert main(["driver", "check", str(machine)]) == 2
    assert (
        "ours.toml:3: peripherals[0].units.relays.map.channels.lamp.read" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"framing": "tcp"}, "on a serial port the framing is rtu"),
        (
            {"transport": {"kind": "tcp", "host": "8.8.8.8", "port": 502}},
            "8.8.8.8 is no private address",
        ),
        (
            {"transport": {"kind": "tcp", "host": "relays.example", "port": 502}},
            "relays.example is no private address",
        ),
    ],
)
def test_a_wire_that_cannot_be_is_told(more: dict[str, Any], told: str) -> None:
    assert told in mistakes_of(entry(**more))


def test_two_units_are_told_apart() -> None:
    other = {"address": 1, "map": "climate", "points": {"warm": _some_point("climate")}}
    both = entry()
    both["units"]["other"] = other
    assert "two units with the same address" in mistakes_of(both)
    both["units"]["other"] = other | {"address": 2, "points": {"lamp": _some_point("climate")}}
    assert "two points with the same name" in mistakes_of(both)


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "192.0.2.1", "198.18.0.1", "100.64.0.1", "172.32.0.1"),  # noqa: S104
        *("240.0.0.1", "255.255.255.255", "::", "2001:db8::1", "::ffff:8.8.8.8", "ff02::1"),
    ],
)
def test_an_address_that_is_special_but_not_of_the_house_is_not_taken(host: str) -> None:
    told = mistakes_of(entry(transport={"kind": "tcp", "host": host, "port": 502}))
    assert f"{host} is no private address" in told


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "127.0.0.1", "192.168.1.50", "10.0.0.9", "172.31.9.9", "169.254.3.4"),
        *("fd00::1", "fe80::1", "fe80::1%eth0", "::1"),
    ],
)
def test_a_private_address_is_taken(host: str) -> None:
    wire = {"kind": "tcp", "host": host, "port": 502}
    config = ModbusConfig.model_validate(entry({"address": 255}, transport=wire))
    assert not config.is_rtu


@pytest.mark.parametrize(
    ("channel", "told"),
    [
        ({"read": "coil", "type": "u16"}, "coil holds single bits"),
        ({"read": "holding"}, "a register has a type, or a bit"),
        ({"read": "holding", "bit": 1, "write": 6}, "cannot be written"),
        ({"read": "coil", "write": 6}, "function 6 writes a holding"),
        ({"read": "discrete", "write": 5}, "function 5 writes a coil"),
        ({"read": "holding", "type": "u32", "write": 16}, "an output is a coil or one register"),
        ({"read": "holding", "type": "u32", "address": 65535}, "ends behind the last address"),
        (
            {"read": "coil", "pulse": {"function": 5, "address": 9, "unit_s": 1, "longest": 9}},
            "what cannot be written has no pulse",
        ),
    ],
)
def test_a_channel_fits_its_table(channel: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Channel.model_validate({"address": 0} | channel)


def test_a_pulse_is_as_long_as_the_unit_can_count() -> None:
    pulse = {"function": 5, "address": 512, "unit_s": 0.1, "longest": 100}
    relay = {"read": "coil", "address": 0, "write": 5, "pulse": pulse}
    own = {"title": "Ours", "channels": {"relay": relay}}
    door = {"channel": "relay", "kind": "doorRelease", "pulse_s": 10}
    assert ModbusConfig.model_validate(entry({"map": own, "points": {"door": door}}))
    longer = door | {"pulse_s": 10.1}
    assert "10.1 s: it counts to 10 s" in mistakes_of(
        entry({"map": own, "points": {"door": longer}})
    )


@pytest.mark.parametrize(
    ("channel", "raw", "number"),
    [
        ({"type": "u16"}, (0xFF9B,), 65435),
        ({"type": "i16", "scale": 0.1}, (0xFF9B,), -10.1),
        ({"type": "u32"}, (1, 2), 65538),
        ({"type": "u32", "words": "low_first"}, (2, 1), 65538),
        ({"type": "i32"}, (0xFFFF, 0xFFFE), -2),
        ({"type": "f32"}, struct.unpack(">2H", struct.pack(">f", 22.5)), 22.5),
        ({"type": "f32"}, (0x7FC0, 0), None),
        ({"type": "f32"}, (0x7F80, 0), None),
        ({"type": "i16", "scale": 0.1, "most": 120.0}, (0x7FFF,), None),
        ({"type": "i16", "scale": 0.1, "least": -40.0}, (0x8000,), None),
    ],
)
def test_registers_become_numbers(
    channel: dict[str, Any], raw: tuple[int, ...], number: float | None
) -> None:
    made = Channel.model_validate({"read": "holding", "address": 0} | channel)
    told = made.number(raw)
    assert told == (None if number is None else pytest.approx(number))


def test_a_bit_of_a_register_is_a_contact() -> None:
    made = Channel.model_validate({"read": "input", "address": 0, "bit": 3})
    assert made.is_on((0b1000,))
    assert not made.is_on((0b0111,))
    inverted = made.model_copy(update={"invert": True})
    assert not inverted.is_on((0b1000,))


def channels_at(table: Table, *addresses: int) -> list[Channel]:
    made = {"read": table} if table.is_bits else {"read": table, "type": "u16"}
    return [Channel.model_validate({**made, "address": one}) for one in addresses]


def test_neighbours_are_asked_together() -> None:
    found = channels_at(Table.COIL, 16, 0, 1, 17) + channels_at(Table.HOLDING, 4)
    assert blocks_of(found, Limits()) == (
        Block(Table.COIL, 0, 2),
        Block(Table.COIL, 16, 2),
        Block(Table.HOLDING, 4, 1),
    )


def test_a_gap_is_read_along_where_the_unit_allows_it() -> None:
    found = channels_at(Table.COIL, 0, 3, 9)
    assert blocks_of(found, Limits(gap=2)) == (Block(Table.COIL, 0, 4), Block(Table.COIL, 9, 1))


@given(
    addresses=st.sets(st.integers(0, 300), min_size=1, max_size=60),
    most=st.integers(2, 125),
    gap=st.integers(0, 20),
)
def test_no_request_is_beyond_the_limits_and_none_is_forgotten(
    addresses: set[int], most: int, gap: int
) -> None:
    blocks = blocks_of(channels_at(Table.HOLDING, *addresses), Limits(registers=most, gap=gap))
    asked = [place for one in blocks for place in range(one.start, one.start + one.count)]
    assert addresses <= set(asked)
    assert len(asked) == len(set(asked))
    assert all(one.count <= most for one in blocks)
    assert {one.start for one in blocks} <= addresses


def counted(bits: int, *raws: int) -> list[int]:
    count = Count(bits, most_per_s=20)
    return [count.take(raw, float(second)) for second, raw in enumerate(raws)]


def test_a_counter_begins_with_what_its_unit_says() -> None:
    assert counted(32, 1200, 1203) == [1200, 1203]


@pytest.mark.parametrize("bits", [16, 32])
def test_a_counter_goes_on_over_the_end_of_its_register(bits: int) -> None:
    last = (1 << bits) - 1
    assert counted(bits, last, 0, 4) == [last, last + 1, last + 5]


def test_a_counter_that_began_anew_is_added() -> None:
    assert counted(32, 500, 3, 4) == [500, 503, 504]


def test_a_counter_that_jumped_adds_nothing() -> None:
    """Nobody counts so fast; it may have been set by hand."""
    count = Count(16, most_per_s=20)
    assert [count.take(raw, at_s) for raw, at_s in ((5, 0.0), (40_000, 1.0), (40_002, 2.0))] == [
        5,
        5,
        7,
    ]
    assert count.restarts == 1


def test_after_a_long_pause_a_long_way_is_believed() -> None:
    count = Count(16, most_per_s=20)
    assert [count.take(raw, at_s) for raw, at_s in ((5, 0.0), (40_000, 3600.0))] == [5, 40_000]


def test_a_unit_that_began_anew_in_a_long_silence_invents_nobody() -> None:
    """So long that a whole register could have been counted through."""
    count = Count(16, most_per_s=20)
    assert [count.take(raw, at_s) for raw, at_s in ((500, 0.0), (3, 7200.0))] == [500, 503]


@given(
    bits=st.sampled_from([16, 32]),
    raws=st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.floats(0.01, 1e5)), max_size=30),
)
def test_a_count_never_falls(bits: int, raws: list[tuple[int, float]]) -> None:
    count, now_s, last = Count(bits, most_per_s=5), 0.0, 0
    for raw, pause_s in raws:
        now_s += pause_s
        total = count.take(raw % (1 << bits), now_s)
        assert total >= last
        last = total


@given(
    start=st.integers(0, 0xFFFF),
    people=st.lists(st.integers(0, 20), max_size=200),
)
def test_nobody_is_lost_at_the_end_of_a_register(start: int, people: list[int]) -> None:
    count, raw, total = Count(16, most_per_s=20), start, start
    count.take(raw, 0.0)
    for second, more in enumerate(people, start=1):
        raw, total = (raw + more) % 0x10000, total + more
        assert count.take(raw, float(second)) == total
