"""Bytes of the kernel's input events become packets, whatever is lost of them."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.transport.evdev import (
    EV_KEY,
    EV_SYN,
    EVENT_BYTES,
    LOST,
    SYN_DROPPED,
    SYN_REPORT,
    EvdevPort,
    InputEvent,
    Packets,
    whole,
)

A_PRESSED = bytes.fromhex(
    # MSC_SCAN 70004, KEY_A pressed, SYN_REPORT; as a 64-bit little-endian machine has them.
    "40E2010000000000 2103000000000000 0400 0400 04000700"
    "40E2010000000000 2103000000000000 0100 1E00 01000000"
    "40E2010000000000 2103000000000000 0000 0000 00000000"
)
SMALL = struct.calcsize("P") == 8 and struct.pack("=H", 1) == b"\x01\0"


def event(kind: int, code: int, value: int = 0) -> bytes:
    return struct.pack("@llHHi", 5, 250_000, kind, code, value)


REPORT = event(EV_SYN, SYN_REPORT)
DROPPED = event(EV_SYN, SYN_DROPPED)


@pytest.mark.skipif(not SMALL, reason="the vector is of a 64-bit little-endian machine")
def test_a_press_as_the_kernel_writes_it() -> None:
    assert EVENT_BYTES == 24
    at_s = 123_456 + 801e-6
    [packet] = Packets().feed(A_PRESSED)
    assert packet == (InputEvent(at_s, 4, 4, 0x70004), InputEvent(at_s, EV_KEY, 30, 1))


def test_a_packet_may_come_in_several_reads() -> None:
    packets = Packets()
    assert list(packets.feed(event(EV_KEY, 30, 1))) == []
    assert list(packets.feed(event(EV_KEY, 31, 1))) == []
    [packet] = packets.feed(REPORT)
    assert [one.code for one in packet] == [30, 31]
    assert list(packets.feed(REPORT)) == [], "an empty report says nothing"


def test_a_loss_takes_the_packet_under_way_and_the_rest_of_its_own() -> None:
    data = event(EV_KEY, 30, 1) + DROPPED + event(EV_KEY, 31, 1) + REPORT
    data += event(EV_KEY, 32, 1) + REPORT
    lost, packet = Packets().feed(data)
    assert lost == LOST
    assert [one.code for one in packet] == [32]


def test_a_packet_without_end_is_a_loss() -> None:
    found = list(Packets().feed(event(EV_KEY, 30, 1) * 1000 + REPORT + A_PRESSED))
    assert found.count(LOST) == 1
    assert len(found) == 2


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_no_bytes_break_it(reads: list[bytes]) -> None:
    packets = Packets()
    for read in reads:
        data = whole(read)
        assert len(data) % EVENT_BYTES == 0
        for packet in packets.feed(data):
            assert all((one.kind, one.code) != (EV_SYN, SYN_REPORT) for one in packet)


@given(st.binary(min_size=1, max_size=EVENT_BYTES - 1))
def test_what_is_no_whole_event_is_told_as_a_loss(torn: bytes) -> None:
    read = A_PRESSED[: 2 * EVENT_BYTES] + torn
    assert list(Packets().feed(whole(read))) == [LOST]
    assert whole(A_PRESSED) == A_PRESSED


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({"path": "/dev/input/event3"}, "evdev:/dev/input/event3"),
        ({"vendor": 0x05E0, "product": 0x1200}, "evdev:05e0:1200"),
        (
            {"vendor": 0x05E0, "product": 0x1200, "phys": "input1"},
            "evdev:05e0:1200:input1",
        ),
    ],
)
def test_a_port_says_which_it_is(told: dict[str, Any], text: str) -> None:
    assert str(EvdevPort(kind="evdev", **told)) == text


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({}, "neither path nor"),
        ({"vendor": 1}, "come together"),
        ({"path": "/dev/x", "product": 1}, "come together"),
        ({"path": ""}, "at least 1"),
        ({"vendor": 0x10000, "product": 1}, "less than or equal"),
        ({"path": "/dev/x", "name": "y"}, "name"),
    ],
)
def test_a_port_that_says_too_little_is_refused(told: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        EvdevPort.model_validate({"kind": "evdev", **told})
