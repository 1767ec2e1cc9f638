"""What the operations centre reads of the site's files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hallkit.model.ids import DeviceId
from hallkit.runtime.config import Mistakes, Section, load
from hallkit.runtime.settings import (
    BrokerSection,
    DeviceSection,
    OpsSection,
    SiteSection,
    listed_devices,
)
from ops.retention import Retention


class OpsCentreSection(OpsSection):
    """What only the centre itself reads."""

    tls: bool = False
    """HTTPS with the process's own certificate. Without it keep `host` on loopback."""
    retention: Retention = Retention()


class OpsSettings(Section):
    """Sections that the centre reads."""

    site: SiteSection
    broker: BrokerSection = BrokerSection()
    ops: OpsCentreSection = OpsCentreSection()


def parse(files: Sequence[Path]) -> tuple[OpsSettings, dict[DeviceId, DeviceSection]]:
    """Sections, and the machines of the device folder; `ConfigError` lists all mistakes."""
    mistakes = Mistakes()
    with mistakes.collected():
        settings = load(OpsSettings, files).settings
    with mistakes.collected():
        devices = listed_devices(files)
    mistakes.settle()
    return settings, devices
