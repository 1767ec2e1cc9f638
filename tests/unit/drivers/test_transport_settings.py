"""A device that speaks over several wires: a wrong `transport` is told as the file has it."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.registry import discover, parse_peripherals
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort
from hallkit.errors import ConfigError


def parsed(transport: Any) -> Any:
    entry = {"id": "printer", "driver": "escpos", "transport": transport}
    ((_, config),) = parse_peripherals([entry], discover(), file="terminal.toml")
    return config


def test_either_wire_is_taken() -> None:
    tcp = parsed({"kind": "tcp", "host": "printer", "port": 9100}).transport
    assert tcp == TcpPort(host="printer", port=9100)
    serial = parsed({"kind": "serial", "path": "/dev/ttyS0", "baud": 9600}).transport
    assert serial == SerialPort(kind="serial", path="/dev/ttyS0", baud=9600)
    assert str(serial) == "serial:/dev/ttyS0@9600"
    even = parsed({"kind": "serial", "path": "/dev/ttyS0", "parity": "even", "stop_bits": 2})
    assert str(even.transport) == "serial:/dev/ttyS0@115200,8E2"


@pytest.mark.parametrize(
    ("transport", "told"),
    [
        ({"kind": "tcp", "port": 1}, "transport.host: is missing (add host = "),
        (
            {"kind": "tcp", "hots": "a", "port": 1},
            "transport.hots: unknown key (did you mean 'host'",
        ),
        ({"kind": "serial"}, "transport.path: is missing (add path = "),
        ({"kind": "serial", "path": "/dev/x", "baud": 1}, "transport.baud: "),
        ({"kind": "serial", "path": "/dev/x", "parity": "evne"}, "transport.parity: "),
        (
            {"kind": "seriel", "path": "/dev/x"},
            "transport: unknown kind 'seriel' (did you mean 'serial'",
        ),
        ({"path": "/dev/x"}, "transport: says no kind (add kind = "),
        ("/dev/x", "transport: must be a table"),
    ],
)
def test_what_is_wrong_is_told_as_the_file_has_it(transport: Any, told: str) -> None:
    with pytest.raises(ConfigError) as fault:
        parsed(transport)
    lines = str(fault.value).splitlines()
    assert any(f"terminal.toml: peripherals[0].{told}" in line for line in lines), lines
