"""Configuration and access list of the broker."""

from pathlib import Path

import pytest

from hallkit.errors import ConfigError
from hallkit.model.ids import DeviceId, SiteId
from ops.broker import acl_text, mosquitto_conf

SITE = SiteId("hall")


def test_each_device_has_its_own_literal_lines() -> None:
    text = acl_text(SITE, [DeviceId("terminal-02"), DeviceId("terminal-01")])
    assert text == (
        "user hub\n"
        "topic read hallkit/1/hall/+/up/#\n"
        "topic read $SYS/broker/publish/messages/dropped\n"
        "topic write hallkit/1/hall/+/down/#\n"
        "topic readwrite hallkit/1/hall/hub/state\n"
        "topic readwrite hallkit/1/hall/hall/#\n"
        "\n"
        "user affairs\n"
        "topic write hallkit/1/hall/hall/#\n"
        "\n"
        "user terminal-01\n"
        "topic write hallkit/1/hall/terminal-01/up/#\n"
        "topic read hallkit/1/hall/terminal-01/down/#\n"
        "topic read hallkit/1/hall/hub/state\n"
        "topic read hallkit/1/hall/hall/#\n"
        "\n"
        "user terminal-02\n"
        "topic write hallkit/1/hall/terminal-02/up/#\n"
        "topic read hallkit/1/hall/terminal-02/down/#\n"
        "topic read hallkit/1/hall/hub/state\n"
        "topic read hallkit/1/hall/hall/#\n"
    )


@pytest.mark.parametrize(
    "name", ["hub", "hall", "affairs", "+", "#", "a/b", "a b", "a\ntopic readwrite #", "", "Ä"]
)
def test_no_device_gets_rights_by_its_name(name: str) -> None:
    with pytest.raises(ConfigError, match="is not a name for a device"):
        acl_text(SITE, [DeviceId(name)])


def test_a_site_is_a_name_too() -> None:
    with pytest.raises(ConfigError, match="is not a name for a site"):
        acl_text(SiteId("+"), [])


def test_the_broker_asks_for_certificates_and_keeps_what_it_takes() -> None:
    text = mosquitto_conf(
        host="127.0.0.1",
        port=18883,
        ca=Path("/c/ca.pem"),
        cert=Path("/c/cert.pem"),
        key=Path("/c/key.pem"),
        acl=Path("/s/acl"),
        state=Path("/s"),
    )
    lines = text.splitlines()
    # Settings of the listener must stand behind it, and this one before everything else.
    assert lines[0] == "per_listener_settings true"
    of_listener = lines[lines.index("listener 18883 127.0.0.1") :]
    for line in (
        "allow_anonymous false",
        "acl_file /s/acl",
        "cafile /c/ca.pem",
        "certfile /c/cert.pem",
        "keyfile /c/key.pem",
        "require_certificate true",
        "use_identity_as_username true",
        "use_username_as_clientid true",
    ):
        assert line in of_listener
    for line in (
        "max_queued_messages 100000",
        "max_inflight_messages 100",
        "message_size_limit 266240",
        "set_tcp_nodelay true",
        "persistence true",
        "persistence_location /s/",
        "log_dest stderr",
    ):
        assert line in lines
    assert not [line for line in lines if line.startswith("user")]
