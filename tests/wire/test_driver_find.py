"""`hall driver find` on an emulated machine: what is plugged in, and the words for its file."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from drivers.registry import discover, parse_peripherals
from drivers.sim.control import order
from launcher.cli import main
from tests.twins import Attach, UsbBus

pytestmark = pytest.mark.wire

ADAPTER = """\
P: /devices/pci0000:00/usb1/1-7/1-7:1.0/ttyUSB0/tty/ttyUSB0
N: ttyUSB0
S: serial/by-id/usb-Maker_Adapter_0001-if00-port0
E: SUBSYSTEM=tty
E: DEVNAME=/dev/ttyUSB0
E: DEVLINKS=/dev/serial/by-path/pci-usb-0:7:1.0 /dev/serial/by-id/usb-Maker_Adapter_0001-if00-port0
"""
BUILT_IN = """\
P: /devices/pnp0/00:01/tty/ttyS0
N: ttyS0
E: SUBSYSTEM=tty
E: DEVNAME=/dev/ttyS0
A: type=4\\n
"""
NO_PORT = """\
P: /devices/platform/serial8250/tty/ttyS1
N: ttyS1
E: SUBSYSTEM=tty
E: DEVNAME=/dev/ttyS1
A: type=0\\n
"""
CONSOLE = """\
P: /devices/virtual/tty/tty1
N: tty1
E: SUBSYSTEM=tty
E: DEVNAME=/dev/tty1
"""
CAMERA = """\
P: /devices/pci0000:00/usb1/1-8/1-8:1.0/video4linux/video0
N: video0
E: SUBSYSTEM=video4linux
E: DEVNAME=/dev/video0
E: DEVLINKS=/dev/v4l/by-id/usb-Maker_Camera-video-index0
A: index=0\\n
A: name=Document camera\\n
"""
NO_PICTURES = """\
P: /devices/pci0000:00/usb1/1-8/1-8:1.0/video4linux/video1
N: video1
E: SUBSYSTEM=video4linux
E: DEVNAME=/dev/video1
A: index=1\\n
"""


TYPES = """\
P: /devices/pci0000:00/usb1/1-9/1-9:1.0/input/input7/event7
N: input/event7
E: SUBSYSTEM=input
E: DEVNAME=/dev/input/event7
E: DEVLINKS=/dev/input/by-path/pci-9-kbd /dev/input/by-id/usb-Maker_Scanner-event-kbd
E: ID_INPUT_KEY=1
"""
POWER_BUTTON = """\
P: /devices/LNXSYSTM:00/input/input8/event8
N: input/event8
E: SUBSYSTEM=input
E: DEVNAME=/dev/input/event8
E: ID_INPUT_KEY=1
"""


def found(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert main(["driver", "find", "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def test_an_empty_machine(usb_bus: UsbBus, capsys: pytest.CaptureFixture[str]) -> None:
    assert found(capsys) == []


async def test_what_is_on_usb_is_known_by_its_ids_and_its_class(
    attach: Attach, capsys: pytest.CaptureFixture[str]
) -> None:
    for port, kind in (("2", "sdt-usb2"), ("3", "sdt-hid"), ("4", "escpos-usb")):
        await attach(kind, port=port)
    told = found(capsys)
    assert [(one["where"], one["drivers"]) for one in told] == [
        ("1-2 0400:c35a", ["sdt"]),
        ("1-3 2b8b:2721", ["sdt"]),
        ("1-4 04b8:0202", ["escpos"]),
    ]
    assert [one["transport"] for one in told] == [
        {"kind": "usb", "vendor": "0400", "product": "c35a"},
        {"kind": "hidraw", "vendor": "2b8b", "product": "2721"},
        {"kind": "usb", "vendor": "04b8", "product": "0202"},
    ]
    assert [one["name"] for one in told] == ["Reader", "", "Printer"]


async def test_two_alike_are_named_by_their_place(
    attach: Attach, capsys: pytest.CaptureFixture[str]
) -> None:
    for port in ("2", "3"):
        await attach("sdt-usb2", port=port)
    assert [one["transport"]["port"] for one in found(capsys)] == ["1-2", "1-3"]


async def test_what_is_printed_is_a_file_that_is_understood(
    attach: Attach, usb_bus: UsbBus, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for port, kind in (("2", "sdt-usb2"), ("3", "sdt-usb4"), ("4", "escpos-usb")):
        await attach(kind, port=port)
    await order(usb_bus.control, "show", text=ADAPTER)
    try:
        capsys.readouterr()
        assert main(["driver", "find"]) == 0
        entries = tomllib.loads(capsys.readouterr().out)["peripherals"]
    finally:
        await order(usb_bus.control, "hide", text=ADAPTER)
    specs = discover()
    assert len({entry["id"] for entry in entries}) == 4
    assert len(parse_peripherals(entries[:3], specs, file="found")) == 3
    assert entries[3]["driver"] in {key for key, one in specs.items() if "serial" in one.transports}


async def test_ports_cameras_and_what_types_by_names_that_last(
    usb_bus: UsbBus, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = (ADAPTER, BUILT_IN, NO_PORT, CONSOLE, CAMERA, NO_PICTURES, TYPES, POWER_BUTTON)
    for text in texts:
        await order(usb_bus.control, "show", text=text)
    try:
        told = found(capsys)
    finally:
        for text in texts:
            await order(usb_bus.control, "hide", text=text)
    assert [(one["kind"], one["where"]) for one in told] == [
        ("serial", "/dev/ttyS0"),
        ("serial", "/dev/serial/by-id/usb-Maker_Adapter_0001-if00-port0"),
        ("video", "/dev/v4l/by-id/usb-Maker_Camera-video-index0"),
        ("input", "/dev/input/by-id/usb-Maker_Scanner-event-kbd"),
    ]
    assert {"sdt", "escpos"} <= set(told[0]["drivers"])
    assert told[2]["name"] == "Document camera"
    assert set(told[2]["drivers"]) == {"opencv", "opencv_document_camera"}
    assert set(told[3]["drivers"]) == {"evdev_keys", "wedge_scanner"}
    specs = discover()
    for one in told[2:]:
        assert parse_peripherals(tomllib.loads(one["entry"])["peripherals"], specs, file="found")
