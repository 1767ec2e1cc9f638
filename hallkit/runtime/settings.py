"""Sections of the site file that several processes read. Each application adds its own."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hallkit.model.ids import NAME_PATTERN
from hallkit.runtime.config import Section

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class SiteSection(Section):
    """Which hall this is."""

    id: Name
    name: str
    """What the screens call it."""
    area_code: Annotated[str, Field(pattern=r"^\d{6}$")]
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
    role: Annotated[str, Field(pattern=r"^(terminal)$")] = "terminal"
