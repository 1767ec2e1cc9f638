"""What the agent reads of the site's and the machine's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edge_agent.card_settings import CardReaderSection
from edge_agent.devices.host import Configured, peripherals_of
from edge_agent.maintenance import MaintenanceSection
from edge_agent.power import PowerSection
from hallkit.runtime.config import Mistakes, Section, Stack
from hallkit.runtime.settings import AffairsSection, BrokerSection, DeviceSection, SiteSection


class AgentSettings(Section):
    """Sections that the agent reads."""

    site: SiteSection
    device: DeviceSection
    broker: BrokerSection = BrokerSection()
    affairs: AffairsSection = AffairsSection()
    card_reader: CardReaderSection = CardReaderSection()
    maintenance: MaintenanceSection = MaintenanceSection()
    power: PowerSection = PowerSection()
    peripherals: list[dict[str, Any]] = []


def parse(stack: Stack, runtime: Path) -> tuple[AgentSettings, list[Configured]]:
    """Sections and peripherals; `ConfigError` lists the mistakes of both."""
    mistakes = Mistakes(stack.problems)
    with mistakes.collected():
        settings = stack.validated(AgentSettings)
    with mistakes.collected():
        peripherals = peripherals_of(stack, runtime)
    mistakes.settle()
    return settings, peripherals
