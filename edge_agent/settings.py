"""What the agent reads of the site's and the machine's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from edge_agent.card_settings import CardReaderSection
from edge_agent.devices.host import Configured, peripherals_of
from edge_agent.maintenance import MaintenanceSection
from edge_agent.power import PowerSection
from hallkit.runtime.config import Mistakes, Section, Stack
from hallkit.runtime.settings import AffairsSection, BrokerSection, DeviceSection, SiteSection


class NumbersSection(Section):
    """`[numbers]`: what the machine holds for the time without the business node."""

    of_each: Annotated[int, Field(ge=0, le=20)] = 5
    """So many of each service; 0: without the node it gives none."""


class AgentSettings(Section):
    """Sections that the agent reads."""

    site: SiteSection
    device: DeviceSection
    broker: BrokerSection = BrokerSection()
    affairs: AffairsSection = AffairsSection()
    card_reader: CardReaderSection = CardReaderSection()
    maintenance: MaintenanceSection = MaintenanceSection()
    numbers: NumbersSection = NumbersSection()
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
