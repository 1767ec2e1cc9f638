"""Sections of the site file that several processes read. Each application adds its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from hallkit.errors import ConfigProblem
from hallkit.model.ids import NAME_PATTERN, DeviceId
from hallkit.runtime.config import Mistakes, Section, read

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=NAME_PATTERN, examples=["terminal-01"])]


class SiteSection(Section):
    """Which hall this is."""

    id: Name
    name: str
    """What the screens call it."""
    area_code: Annotated[str, Field(pattern=r"^\d{6}$", examples=["510682"])]
    """GB/T 2260."""


class BrokerSection(Section):
    """Where the MQTT broker listens."""

    host: str = "127.0.0.1"
    port: Port = 18883
    reconnect_cap_s: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """Longest pause between two tries to connect. A hall of a hundred machines comes back at once
    within seconds; a province of a hundred thousand must not."""


class AffairsSection(Section):
    """Where the business node listens (HTTPS, mutual TLS)."""

    host: str = "127.0.0.1"
    port: Port = 18443


class OpsSection(Section):
    """Where the operations console listens."""

    host: str = "127.0.0.1"
    port: Port = 18480


class DeviceSection(Section):
    """Which machine this is."""

    id: Name
    name: str
    """What people call it: `1号自助终端`."""
    role: Literal["terminal", "form_sample"] = "terminal"
    """`form_sample`: shows how forms are filled in (电子样表机), and may not fetch e-licences."""


DEVICES_FOLDER = "devices"
"""Beside the site file: one file for each machine of the hall."""


class _DeviceFile(Section):
    device: DeviceSection


def device_files(folder: Path) -> list[Path]:
    """Files of the machines of a hall, whose site file lies in `folder`."""
    return sorted((folder / DEVICES_FOLDER).glob("*.toml"))


def listed_devices(files: Sequence[Path]) -> dict[DeviceId, DeviceSection]:
    """Machines that have a file in the device folder beside the site file, the first of `files`.

    `ConfigError` lists the mistakes of every such file.
    """
    found: dict[DeviceId, DeviceSection] = {}
    named_in: dict[str, str] = {}
    mistakes = Mistakes()
    for path in device_files(files[0].parent) if files else ():
        stack = read([path])
        with mistakes.collected():
            section = stack.settled(_DeviceFile).device
            found[DeviceId(section.id)] = section
        told = stack.values.get("device")
        device = told.get("id") if isinstance(told, dict) else None
        if isinstance(device, str) and named_in.setdefault(device, path.name) != path.name:
            advice = f"{named_in[device]} has it; every machine has an id of its own"
            twice = ConfigProblem("", "device.id", f"{device!r} is used twice", advice)
            mistakes.add([stack.located(twice)])
    mistakes.settle()
    return found
