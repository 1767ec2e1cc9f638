"""A device that speaks over several wires: a wrong `transport` is told as the file has it."""

from __future__ import annotations

from typing import Any

import pytest

from drivers.camera.opencv_settings import HttpPort
from drivers.camera.opencv_why import Aside, why_not
from drivers.registry import discover, parse_peripherals
from drivers.transport.serial import SerialPort
from drivers.transport.tcp import TcpPort, TcpTransport
from hallkit.errors import ConfigError, DeviceUnavailable, Reason


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
        (
            {"kind": "tcp", "host": "192.168.1..50", "port": 1},
            "transport.host: neither an IP address nor the name of a host",
        ),
        (
            {"kind": "tcp", "host": f"{'a' * 64}.local", "port": 1},
            "transport.host: neither an IP address nor the name of a host",
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


@pytest.mark.parametrize("host", ["printer", "a-b.local.", "192.168.1.50", "fe80::1", "打印机"])
def test_names_and_addresses_of_hosts_are_taken(host: str) -> None:
    assert parsed({"kind": "tcp", "host": host, "port": 9100}).transport.host == host


@pytest.mark.parametrize("host", ["10.0.0..31", "打" * 60])
async def test_a_host_that_no_name_can_have_is_a_mistake_of_the_files(host: str) -> None:
    """The second looks like one and gets too long as it goes over the wire."""
    port = TcpPort.model_construct(host=host, port=9100)
    with pytest.raises(DeviceUnavailable) as fault:
        await TcpTransport("printer", port).open(timeout_s=10)
    assert fault.value.reason is Reason.CONFIGURATION
    camera = HttpPort.model_construct(uri=f"http://{host}/video", credentials=None)
    told = await why_not("camera", camera, None, aside=Aside("why"), timeout_s=10)
    assert told.reason is Reason.CONFIGURATION
