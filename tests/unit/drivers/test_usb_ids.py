"""The table of USB devices agrees with the drivers and with udev's rules."""

from __future__ import annotations

from pathlib import Path

from drivers.plugged import usb_table
from drivers.registry import discover


def test_the_table_names_drivers_and_wires_that_there_are() -> None:
    specs = discover()
    for entry in (one for kind in usb_table().values() for one in kind):
        assert entry["transport"] in specs[entry["driver"]].transports


def test_udevs_rules_give_rights_to_every_device_of_the_table() -> None:
    rules = Path(__file__).resolve().parents[3] / "systemd" / "60-hall-devices.rules"
    lines = [line for line in rules.read_text("utf-8").splitlines() if line[:1] not in {"", "#"}]
    for entry in usb_table()["device"]:
        ids = (f'{{idVendor}}=="{entry["vendor"]}"', f'{{idProduct}}=="{entry["product"]}"')
        subsystem = f'SUBSYSTEM=="{entry["transport"]}"'
        (rule,) = [line for line in lines if all(one in line for one in (*ids, subsystem))]
        assert rule.endswith('GROUP="hall", MODE="0660"')
    assert len(lines) == len(usb_table()["device"])
