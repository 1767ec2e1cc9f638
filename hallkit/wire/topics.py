"""The only topic strings of the house (docs/architecture.md, messaging).

Every device has a generated access list with its literal site and id; a pattern with `+` for the
site would let a device write under another site's name (seen on mosquitto 2.0.11).
"""

from __future__ import annotations

from dataclasses import dataclass

from hallkit.errors import WireError
from hallkit.model.ids import DeviceId, SiteId, is_name

ROOT = "hallkit/1"

UP_PRESENCE = "presence"
UP_INFO = "info"
UP_REPORT = "report"
UP_REPORTED = "reported"
DOWN_ACK = "ack"
DOWN_DESIRED = "desired"
CATALOGUE_STREAM = "catalogue"
"""Which catalogue the business node offers."""
CALLS_STREAM = "calls"
"""Which numbers are called to which windows."""
UPSTREAM_STREAM = "upstream"
"""Which systems of other authorities don't answer."""
HELP_STREAM = "help"
"""Which machines call for a person."""


@dataclass(frozen=True, slots=True)
class DeviceTopics:
    """Topics of one device."""

    site: SiteId
    device: DeviceId

    def _up(self, channel: str) -> str:
        return f"{ROOT}/{self.site}/{self.device}/up/{channel}"

    @property
    def presence(self) -> str:
        """Retained, QoS 1, also the will."""
        return self._up(UP_PRESENCE)

    @property
    def info(self) -> str:
        """Retained: inventory and capabilities."""
        return self._up(UP_INFO)

    @property
    def report(self) -> str:
        """QoS 1, from the outbox: one ordered stream."""
        return self._up(UP_REPORT)

    @property
    def ack(self) -> str:
        """QoS 1: the hub's cumulative acknowledgement."""
        return f"{ROOT}/{self.site}/{self.device}/down/{DOWN_ACK}"

    @property
    def reported(self) -> str:
        """Retained: what of the desired is in use."""
        return self._up(UP_REPORTED)

    @property
    def desired(self) -> str:
        """Retained: what the hub wants on the machine."""
        return f"{ROOT}/{self.site}/{self.device}/down/{DOWN_DESIRED}"

    @property
    def may_write(self) -> str:
        return f"{ROOT}/{self.site}/{self.device}/up/#"

    @property
    def may_read(self) -> tuple[str, ...]:
        return (
            f"{ROOT}/{self.site}/{self.device}/down/#",
            hub_state(self.site),
            hall_stream(self.site, "#"),
        )


def hub_state(site: SiteId) -> str:
    """Retained, will: the hub is there."""
    return f"{ROOT}/{site}/hub/state"


def hall_stream(site: SiteId, stream: str) -> str:
    """Retained: public state of the hall, told by the business node; `#` is all of them."""
    return f"{ROOT}/{site}/hall/{stream}"


def all_up(site: SiteId) -> str:
    """The hub's subscription: everything that devices of the site say."""
    return f"{ROOT}/{site}/+/up/#"


@dataclass(frozen=True, slots=True)
class UpTopic:
    """A device's topic taken apart."""

    site: SiteId
    device: DeviceId
    channel: str


def parse_up(topic: str) -> UpTopic:
    """Take an `up` topic apart; `WireError` for anything else."""
    parts = topic.split("/")
    if len(parts) < 6 or parts[:2] != ROOT.split("/") or parts[4] != "up":
        raise WireError("topic", "not an up topic")
    site, device = parts[2], parts[3]
    if not (is_name(site) and is_name(device)):
        raise WireError("topic", "site or device is not a name")
    return UpTopic(SiteId(site), DeviceId(device), "/".join(parts[5:]))
