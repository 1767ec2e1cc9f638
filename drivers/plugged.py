"""What is plugged in on this machine that a driver of ours may speak to, as udev knows it."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pyudev

from drivers.registry import DriverSpec

BY_ID = ("/dev/input/by-id/", "/dev/serial/by-id/", "/dev/v4l/by-id/")
"""Links whose names outlive a plug."""


@dataclass(frozen=True, slots=True)
class Plugged:
    """One device or port."""

    kind: str
    """`usb`, `hidraw`, `serial`, `video`, `input`."""
    where: str
    """Its node or its place on the bus."""
    name: str
    """What it calls itself."""
    drivers: tuple[str, ...]
    """Keys of those that may speak to it; none: nothing of ours does."""
    transport: Mapping[str, str] = field(default_factory=dict)
    """For its entry in a machine's file."""

    def entry(self, name: str, driver: str) -> str:
        """Its `[[peripherals]]`, to paste into a machine's file."""
        others = [key for key in self.drivers if key != driver]
        inner = ", ".join(f'{key} = "{value}"' for key, value in self.transport.items())
        return (
            f'[[peripherals]]\nid = "{name}"\ndriver = "{driver}"'
            f"{'    # or: ' + ', '.join(others) if others else ''}\n"
            f"transport = {{ {inner} }}\n"
        )


def plugged_in(specs: Mapping[str, DriverSpec]) -> list[Plugged]:
    """Everything, USB first. Opens no device."""
    context = pyudev.Context()
    return [
        *_usb(context),
        *_serial(context, specs),
        *_video(context, specs),
        *_input(context, specs),
    ]


def usb_table() -> dict[str, list[dict[str, str]]]:
    """The entries of drivers/profiles/usb_ids.toml."""
    text = resources.files("drivers").joinpath("profiles", "usb_ids.toml").read_text("utf-8")
    return tomllib.loads(text)


def _usb(context: pyudev.Context) -> list[Plugged]:
    table = usb_table()
    known = [
        (device, entry)
        for device in context.list_devices(subsystem="usb", DEVTYPE="usb_device")
        if (entry := _entry_of(device, table)) is not None
    ]
    alike = Counter(_ids(device) for device, _ in known)
    found = []
    for device, entry in known:
        vendor, product = _ids(device)
        transport = {"kind": entry["transport"], "vendor": vendor, "product": product}
        if alike[vendor, product] > 1:
            transport["port"] = device.sys_name
        found.append(
            Plugged(
                kind=entry["transport"],
                where=f"{device.sys_name} {vendor}:{product}",
                name=_text(device, "product"),
                drivers=(entry["driver"],),
                transport=transport,
            )
        )
    return sorted(found, key=lambda one: one.where)


def _entry_of(device: Any, table: Mapping[str, list[dict[str, str]]]) -> dict[str, str] | None:
    for entry in table["device"]:
        if (entry["vendor"], entry["product"]) == _ids(device):
            return entry
    classes = {
        _text(child, "bInterfaceClass")
        for child in device.children
        if child.device_type == "usb_interface" and child.parent == device
    }
    return next((one for one in table["class"] if one["interface_class"] in classes), None)


def _serial(context: pyudev.Context, specs: Mapping[str, DriverSpec]) -> Iterator[Plugged]:
    speakers = _speakers(specs, "serial")
    for device in sorted(context.list_devices(subsystem="tty"), key=lambda one: one.sys_name):
        path = _lasting(device)
        if path is not None and (path.startswith(BY_ID) or _is_built_in(device)):
            transport = {"kind": "serial", "path": path}
            yield Plugged("serial", path, _name(device), speakers, transport)


def _is_built_in(device: Any) -> bool:
    """A ttyS is there for every number that the kernel allows, with and without a port."""
    return device.sys_name.startswith("ttyS") and _text(device, "type") not in {"", "0"}


def _video(context: pyudev.Context, specs: Mapping[str, DriverSpec]) -> Iterator[Plugged]:
    for device in context.list_devices(subsystem="video4linux"):
        path = _lasting(device)
        # The second node of a camera carries no pictures.
        if path is not None and _text(device, "index") in {"", "0"}:
            transport = {"kind": "v4l2", "path": path}
            yield Plugged("video", path, _text(device, "name"), _speakers(specs, "v4l2"), transport)


def _input(context: pyudev.Context, specs: Mapping[str, DriverSpec]) -> Iterator[Plugged]:
    """Keyboards on USB, what types among them: a scanner and a key panel look like one."""
    for device in context.list_devices(subsystem="input", ID_INPUT_KEY="1"):
        path = _lasting(device)
        if path is not None and path.startswith(BY_ID):
            transport = {"kind": "evdev", "path": path}
            yield Plugged("input", path, _name(device), _speakers(specs, "evdev"), transport)


def _speakers(specs: Mapping[str, DriverSpec], transport: str) -> tuple[str, ...]:
    return tuple(key for key, spec in sorted(specs.items()) if transport in spec.transports)


def _lasting(device: Any) -> str | None:
    """The path that means the same device after the next plug, where there is one."""
    links = sorted(device.properties.get("DEVLINKS", "").split())
    links = [link for link in links if link.startswith(BY_ID)]
    node: str | None = device.device_node
    return links[0] if links else node


def _name(device: Any) -> str:
    owner = device.find_parent("usb", "usb_device")
    return _text(owner, "product") if owner is not None else ""


def _ids(device: Any) -> tuple[str, str]:
    return _text(device, "idVendor"), _text(device, "idProduct")


def _text(device: Any, attribute: str) -> str:
    value: bytes = device.attributes.get(attribute) or b""
    return value.decode("utf-8", errors="replace").strip()
