"""`[affairs.staff]`: where the pages for the hall's people are. Without it there are none."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Self

from pydantic import Field, model_validator

from hallkit.runtime.config import Section
from hallkit.runtime.settings import Port


class StaffSection(Section):
    """The staff pages."""

    host: str = "127.0.0.1"
    port: Port = 18481
    tls: bool = True
    """HTTPS with the node's own certificate. False only where `host` is this machine itself."""
    long_wait_minutes: Annotated[float, Field(gt=0, le=480)] = 30.0
    """From then on a wait is marked."""

    @model_validator(mode="after")
    def _nothing_in_clear_over_a_network(self) -> Self:
        if not self.tls and not _is_loopback(self.host):
            raise ValueError("tls: may be false only with a host of this machine itself")
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
