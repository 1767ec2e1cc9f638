"""What the business node reads of the site's files and of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from affairs.help.rules import HelpRules
from affairs.queue.order import Order
from affairs.ratings.rules import RatingRules
from affairs.retention import Retention
from affairs.staff.settings import StaffSection
from affairs.upstream import load_upstream
from hallkit.guide.mistakes import suggest
from hallkit.model.ids import DeviceId
from hallkit.runtime.config import Mistakes, Section, load
from hallkit.runtime.settings import (
    AffairsSection,
    BrokerSection,
    DeviceSection,
    Name,
    Port,
    SiteSection,
    listed_devices,
)

_LOOPBACK = ("127.0.0.1", "::1", "localhost")

SystemName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]


class VerifySection(Section):
    """Where anybody verifies an e-licence by the code on it, without a certificate."""

    host: str = "127.0.0.1"
    port: Port | None = None
    """None: the page is not served."""
    address: Annotated[str, Field(pattern=r"^(https?://[^\s/]+(/[^\s]*)?)?$")] = ""
    """Where codes lead, as the outside sees the page: `https://verify.example`. Empty: host and
    port; without a port documents carry no code."""

    @property
    def is_here_alone(self) -> bool:
        return self.host in _LOOPBACK

    @property
    def leads_to(self) -> str:
        if self.address or self.port is None:
            return self.address
        scheme = "http" if self.is_here_alone else "https"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


class AffairsNodeSection(AffairsSection):
    """What only the node itself reads, from a file of its own behind the site file."""

    devices: tuple[Name, ...] = ()
    """Machines that may take tickets though they have no file in the site's device folder."""
    content: Path | None = None
    """Folder of the authored items; none: those of the package."""
    embedding: bool = False
    """The catalogue holds its names' vectors, for the machines whose search lets meaning vote. Asks
    for the extra `embedding`."""
    callers: dict[Name, Annotated[int, Field(ge=1, le=9999)]] = {}
    """Devices that stand at windows, by the names in their certificates, and the window of each."""
    upstreams: dict[SystemName, str] = {}
    """Systems of other authorities, by their names in upstream.toml, and the address of each:
    https, or http on this computer alone. One without an address is never asked."""
    verify: VerifySection = VerifySection()
    queue: Order = Order()
    ratings: RatingRules = RatingRules()
    help: HelpRules = HelpRules()
    retention: Retention = Retention()
    staff: StaffSection | None = None
    """None: no pages for the hall's people."""

    @field_validator("upstreams")
    @classmethod
    def _systems_are_known(cls, addresses: dict[str, str]) -> dict[str, str]:
        known = load_upstream()
        for name in addresses.keys() - known.keys():
            raise ValueError(f"no system {name!r} stands in upstream.toml ({suggest(name, known)})")
        return addresses


class Settings(Section):
    """Sections that the node reads."""

    site: SiteSection
    affairs: AffairsNodeSection = AffairsNodeSection()
    broker: BrokerSection | None = None
    """None: nobody is told of a new catalogue, machines find it by asking."""


def parse(files: Sequence[Path]) -> tuple[Settings, dict[DeviceId, DeviceSection]]:
    """Sections, and the machines of the device folder; `ConfigError` lists all mistakes."""
    mistakes = Mistakes()
    with mistakes.collected():
        settings = load(Settings, files).settings
    with mistakes.collected():
        devices = listed_devices(files)
    mistakes.settle()
    return settings, devices
