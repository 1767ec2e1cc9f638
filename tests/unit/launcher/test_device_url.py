"""A device's address becomes the entry of a machine's file."""

from __future__ import annotations

import pytest

from drivers.registry import discover, parse_peripherals
from hallkit.errors import ConfigError
from launcher.device_url import entry_of, without_secrets

SPECS = discover()


@pytest.mark.parametrize(
    ("key", "address", "settings", "transport"),
    [
        (
            "escpos",
            "tcp://192.168.1.50:9100",
            [],
            {"kind": "tcp", "host": "192.168.1.50", "port": 9100},
        ),
        (
            "sdt",
            "serial:///dev/ttyUSB0?baud=9600",
            [],
            {"kind": "serial", "path": "/dev/ttyUSB0", "baud": "9600"},
        ),
        (
            "ipp",
            "ipps://192.168.1.60:631/ipp/print",
            [],
            {"kind": "ipp", "uri": "ipps://192.168.1.60:631/ipp/print"},
        ),
        (
            "serial_scanner",
            "serial:///dev/serial/by-id/usb-A%20B",
            ["suffix=\n", "transport.baud=115200"],
            {"kind": "serial", "path": "/dev/serial/by-id/usb-A B", "baud": "115200"},
        ),
        (
            "escpos",
            "usb://04b8:0202?serial=0001",
            [],
            {"kind": "usb", "vendor": "04b8", "product": "0202", "serial": "0001"},
        ),
        (
            "opencv",
            "http://127.0.0.1:8080/video?channel=1&subtype=0",
            [],
            {"kind": "http", "uri": "http://127.0.0.1:8080/video?channel=1&subtype=0"},
        ),
    ],
)
def test_an_address_is_understood_and_valid(
    key: str, address: str, settings: list[str], transport: dict[str, object]
) -> None:
    entry = entry_of(SPECS[key], address, settings)
    assert entry["transport"] == transport
    assert entry["driver"] == key
    parse_peripherals([entry], SPECS, file="test")


def test_settings_reach_tables() -> None:
    settings = ["bounce_s=0.5", "buttons.satisfied=41 0D", "held=true"]
    entry = entry_of(SPECS["serial_buttons"], "serial:///dev/ttyS0", settings)
    assert entry["buttons"] == {"satisfied": "41 0D"}
    assert (entry["bounce_s"], entry["held"]) == ("0.5", "true"), "the settings read them"


def test_a_setting_in_what_is_no_table_is_refused() -> None:
    with pytest.raises(ConfigError, match="driver is no table"):
        entry_of(SPECS["escpos"], "tcp://127.0.0.1:9100", ["driver.x=41"])


@pytest.mark.parametrize("address", ["ttyUSB0", "bluetooth://x", "udp://127.0.0.1:9100"])
def test_another_wire_is_refused_with_those_there_are(address: str) -> None:
    with pytest.raises(ConfigError, match=r"escpos has .*tcp://…"):
        entry_of(SPECS["escpos"], address, [])


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        entry_of(SPECS["escpos"], "tcp://127.0.0.1:9100", ["profile"])


def test_a_report_does_not_tell_passwords() -> None:
    assert without_secrets("rtsp://user:secret@10.0.0.7:554/1") == "rtsp://10.0.0.7:554/1"
    assert without_secrets("http://10.0.0.7/v?user=a&pwd=b") == "http://10.0.0.7/v"
