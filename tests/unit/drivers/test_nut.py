"""upsd's lines, and what they mean for a machine."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.ups.nut import NutConfig, reading_of, variables_of
from hallkit.errors import DeviceError, DeviceUnavailable, ProtocolError, Reason

NORMAL = """BEGIN LIST VAR hallups
VAR hallups battery.charge "98"
VAR hallups battery.runtime "1800"
VAR hallups device.model "Twin \\"1000\\" a\\\\b"
VAR hallups ups.load "35"
VAR hallups ups.status "OL CHRG"
END LIST VAR hallups
"""


def read(answer: str) -> dict[str, str]:
    return variables_of(answer, "hallups", device_id="ups")


def test_a_list_becomes_variables() -> None:
    assert read(NORMAL) == {
        "battery.charge": "98",
        "battery.runtime": "1800",
        "device.model": 'Twin "1000" a\\b',
        "ups.load": "35",
        "ups.status": "OL CHRG",
    }


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("ERR DATA-STALE\n", Reason.PORT_GONE),
        ("ERR DRIVER-NOT-CONNECTED\n", Reason.PORT_GONE),
        ("ERR ACCESS-DENIED\n", Reason.REFUSED),
        ("ERR UNKNOWN-UPS\n", Reason.CONFIGURATION),
    ],
)
def test_a_refusal_says_what_to_look_at(told: str, reason: Reason) -> None:
    with pytest.raises(DeviceUnavailable) as refused:
        read(told)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "ERR\n",
        "ERR SOMETHING-NEW\n",
        NORMAL.replace("END LIST VAR hallups\n", ""),
        NORMAL.replace("BEGIN LIST VAR hallups", "BEGIN LIST VAR other"),
        NORMAL.replace('VAR hallups ups.load "35"', 'VAR other ups.load "35"'),
        NORMAL.replace('ups.load "35"', 'ups.load "35'),
        NORMAL.replace("VAR hallups ups.load", "RAV hallups ups.load"),
    ],
)
def test_half_a_list_is_no_list(answer: str) -> None:
    with pytest.raises(ProtocolError):
        read(answer)


@pytest.mark.parametrize(
    ("status", "on_battery", "low", "reason"),
    [
        ("OL", False, False, None),
        ("OL CHRG", False, False, None),
        ("OL TRIM", False, False, None),
        ("OB DISCHRG", True, False, Reason.ON_BATTERY),
        ("OB LB", True, True, Reason.BATTERY_LOW),
        # Being charged after a long cut: the next one would end the machine at once.
        ("OL LB", False, True, Reason.BATTERY_LOW),
        ("OB DISCHRG LB CAL", False, False, None),
        ("FSD OB LB", True, True, Reason.BATTERY_LOW),
        ("FSD OL", False, True, Reason.BATTERY_LOW),
        ("OL OVER", False, False, Reason.OVERLOADED),
        ("OL RB", False, False, Reason.BATTERY_WORN),
        ("ALARM OL RB", False, False, Reason.UNRECOVERABLE),
        ("OL BYPASS", False, False, Reason.UNPROTECTED),
        ("OFF", False, False, Reason.UNPROTECTED),
        ("OL SOMETHING", False, False, None),
    ],
)
def test_a_status_is_read(status: str, on_battery: bool, low: bool, reason: Reason | None) -> None:
    reading, told = reading_of({"ups.status": status}, device_id="ups")
    assert (reading.on_battery, reading.battery_low, told) == (on_battery, low, reason)
    assert reading.switches_off == ("FSD" in status)
    assert (reading.charge_percent, reading.runtime_s, reading.load_percent) == (None, None, None)


def test_without_a_status_nothing_is_believed() -> None:
    with pytest.raises(ProtocolError):
        reading_of({"battery.charge": "98"}, device_id="ups")


def test_before_the_first_values_it_is_away() -> None:
    with pytest.raises(DeviceUnavailable) as waits:
        reading_of({"ups.status": "WAIT"}, device_id="ups")
    assert waits.value.reason is Reason.OFFLINE


@pytest.mark.parametrize("number", ["", "-1", "101", "nan", "inf", "much", "1e999"])
def test_a_number_that_cannot_be_is_none(number: str) -> None:
    reading, _ = reading_of({"ups.status": "OL", "battery.charge": number}, device_id="ups")
    assert reading.charge_percent is None


@given(st.text(max_size=300))
def test_whatever_comes_is_a_list_or_a_fault(text: str) -> None:
    for answer in (text, f"BEGIN LIST VAR hallups\n{text}\nEND LIST VAR hallups\n"):
        with suppress(DeviceError):
            assert reading_of(read(answer), device_id="ups")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_a_server_on_this_machine_is_asked(host: str) -> None:
    config = {"id": "ups", "driver": "nut", "transport": {"host": host, "port": 3493}}
    assert NutConfig.model_validate(config).transport.host == host


@pytest.mark.parametrize("host", ["192.168.1.5", "upsd.example", "0.0.0.0"])  # noqa: S104
def test_plain_text_from_a_network_could_switch_a_machine_off(host: str) -> None:
    config = {"id": "ups", "driver": "nut", "transport": {"host": host, "port": 3493}}
    with pytest.raises(ValueError, match="not this machine"):
        NutConfig.model_validate(config)
