"""Configuration and access list of the hall's mosquitto, as text. Pure: nobody is asked.

Who a client is stands in its certificate: the common name is its user name and its client id.
Each device gets its own lines with its literal site and id; a pattern with `+` for the site would
let it write under another site's name (seen on mosquitto 2.0.11).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hallkit.errors import ConfigError, ConfigProblem
from hallkit.model.ids import DeviceId, SiteId, is_name
from hallkit.wire.mqtt import PAYLOAD_LIMIT
from hallkit.wire.topics import DeviceTopics, all_up

HUB = "hub"
"""Common name of the operations centre's certificate."""

AFFAIRS = "affairs"
"""Common name of the business node's certificate."""

RESERVED = frozenset({HUB, "hall", AFFAIRS})
"""Names with rights or topics of their own; no device may bear them."""

DROPPED = "$SYS/broker/publish/messages/dropped"
"""Where mosquitto tells how many messages it threw away; more than none is a fault of ours."""

_ANY = DeviceId("+")
_HEADROOM = 4096
"""Bytes beyond our own limit, so that ops sees, refuses and counts what is a little too large."""


def acl_text(site: SiteId, devices: Iterable[DeviceId]) -> str:
    """The access list. `ConfigError` for a name that could reach beyond itself."""
    ids = sorted(set(devices))
    problems = [
        ConfigProblem("access list", name, "is not a name for a device")
        for name in ids
        if not is_name(name) or name in RESERVED
    ]
    if not is_name(site):
        problems.append(ConfigProblem("access list", site, "is not a name for a site"))
    if problems:
        raise ConfigError(problems)
    down, state, hall = DeviceTopics(site, _ANY).may_read
    blocks = [
        _block(
            HUB,
            ("read", all_up(site)),
            ("read", DROPPED),
            ("write", down),
            ("readwrite", state),
            ("readwrite", hall),
        )
    ]
    blocks.append(_block(AFFAIRS, ("write", hall)))
    for device in ids:
        topics = DeviceTopics(site, device)
        blocks.append(
            _block(
                device,
                ("write", topics.may_write),
                *(("read", topic) for topic in topics.may_read),
            )
        )
    return "\n".join(blocks)


def mosquitto_conf(
    *,
    host: str,
    port: int,
    ca: Path,
    cert: Path,
    key: Path,
    acl: Path,
    state: Path,
    user: str = "",
) -> str:
    """The broker's configuration. `state` is the folder that keeps sessions over a restart.

    `user` is whom a broker started by root turns into; it must be able to read `key`.
    """
    lines = [
        "per_listener_settings true",
        *([f"user {user}"] if user else []),
        "log_dest stderr",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S",
        "persistence true",
        f"persistence_location {state}/",
        "autosave_interval 60",
        "# With the default of 1000 a third of 20,000 acknowledged reports never arrived.",
        "max_queued_messages 100000",
        "max_inflight_messages 100",
        f"message_size_limit {PAYLOAD_LIMIT + _HEADROOM}",
        "# With TCP_NODELAY on both sides a round trip takes 0.7 ms, without it 83 ms.",
        "set_tcp_nodelay true",
        "",
        f"listener {port} {host}",
        "allow_anonymous false",
        f"acl_file {acl}",
        f"cafile {ca}",
        f"certfile {cert}",
        f"keyfile {key}",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
    ]
    return "\n".join(lines) + "\n"


def _block(user: str, *rights: tuple[str, str]) -> str:
    return "\n".join([f"user {user}", *(f"topic {right} {topic}" for right, topic in rights), ""])
