"""What a printer sends back, against recorded bytes."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.driver import status_of
from drivers.ticket_printer.escpos_status import (
    AutoStatus,
    BufferCleared,
    Deframer,
    Frame,
    Info,
    Noise,
    PaperSensor,
    ProcessId,
    RealTimeStatus,
    of_auto_status,
    of_port_status,
    of_real_time,
)
from hallkit.errors import Reason
from hallkit.model.device import DeviceStatus, Paper

VECTORS = Path(__file__).parents[4] / "shared/data/devices/vectors/escpos_status.json"

MEANING = {
    "ok": (None, Paper.FULL),
    "paper near end": (Reason.PAPER_LOW, Paper.LOW),
    "paper out": (Reason.PAPER_OUT, Paper.OUT),
    "cover open": (Reason.COVER_OPEN, Paper.FULL),
    "offline": (Reason.OFFLINE, Paper.FULL),
    "auto-cutter error, recoverable": (Reason.CUTTER, Paper.FULL),
}


def frames(data: bytes) -> list[Frame]:
    return Deframer().feed(data)


@pytest.fixture(name="vectors")
def recorded() -> list[dict[str, str]]:
    if not VECTORS.exists():
        pytest.skip("the recorded status bytes are not beside this checkout")
    content: dict[str, Any] = json.loads(VECTORS.read_text("utf-8"))
    return [*content["observed"], *content["computed"]]


def test_recorded_real_time_status(vectors: list[dict[str, str]]) -> None:
    seen = set()
    for vector in vectors:
        if "DLE EOT 1..4" not in vector:
            continue
        answers = frames(bytes.fromhex(vector["DLE EOT 1..4"]))
        assert all(isinstance(answer, RealTimeStatus) for answer in answers)
        values = [answer.value for answer in answers if isinstance(answer, RealTimeStatus)]
        condition = of_real_time(*values)
        assert (condition.reason, condition.paper) == MEANING[vector["state"]]
        seen.add(vector["state"])
    assert seen == MEANING.keys()


def test_recorded_automatic_status(vectors: list[dict[str, str]]) -> None:
    seen = set()
    for vector in vectors:
        if "ASB" not in vector:
            continue
        (frame,) = frames(bytes.fromhex(vector["ASB"]))
        assert isinstance(frame, AutoStatus)
        condition = of_auto_status(frame)
        assert (condition.reason, condition.paper) == MEANING[vector["state"]]
        seen.add(vector["state"])
    assert len(seen) >= 4


def test_two_automatic_frames_in_one_read() -> None:
    data = bytes.fromhex("18000f00 10000300")
    assert frames(data) == [AutoStatus(data[:4]), AutoStatus(data[4:])]


def test_every_kind_of_frame_in_one_stream() -> None:
    data = b"\x12\x10\x00\x03\x00\x37\x22Ab09\x00\x37\x25\x00\x5fTM-T88\x00\x0c\x12\xff"
    assert frames(data) == [
        RealTimeStatus(0x12),
        AutoStatus(b"\x10\x00\x03\x00"),
        ProcessId(b"Ab09"),
        BufferCleared(),
        Info("TM-T88"),
        PaperSensor(0x0C),
        RealTimeStatus(0x12),
        Noise(0xFF),
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\x00\x92\x00",  # a fixed bit of the third byte is wrong
        b"\x37\x22A\x01",  # an identifier that cannot be ours
        b"\x37\x23",
        b"\x37\x25\x01",
        b"\x37\x22ABCD\x01",
        b"\x5fTM\x90",
        b"\x5f" + b"x" * 80,
    ],
)
def test_malformed_frames_are_noise_and_what_follows_is_read(data: bytes) -> None:
    found = frames(data + b"\x12")
    assert isinstance(found[0], Noise)
    assert found[-1] == RealTimeStatus(0x12)


def test_half_a_frame_waits_and_can_be_forgotten() -> None:
    deframer = Deframer()
    assert deframer.feed(b"\x37\x22AB") == []
    assert deframer.pending == 4
    deframer.reset()
    assert deframer.feed(b"\x12") == [RealTimeStatus(0x12)]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_how_reads_split_the_stream_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    deframer = Deframer()
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    split = [f for a, b in itertools.pairwise(bounds) for f in deframer.feed(data[a:b])]
    assert split == frames(data)


@pytest.mark.parametrize(
    ("bits", "reason"),
    [
        ((0x1A, 0x52, 0x52, 0x12), Reason.OVERHEATED),
        ((0x1A, 0x52, 0x32, 0x12), Reason.UNRECOVERABLE),
        ((0x1A, 0x56, 0x1E, 0x7E), Reason.CUTTER),
        ((0x1A, 0x36, 0x12, 0x7E), Reason.COVER_OPEN),
        ((0x1A, 0x52, 0x16, 0x12), Reason.OFFLINE),
        ((0x1A, 0x32, 0x12, 0x12), Reason.PAPER_OUT),
    ],
)
def test_the_cause_that_needs_most_help_is_named(
    bits: tuple[int, int, int, int], reason: Reason
) -> None:
    condition = of_real_time(*bits)
    assert condition.reason is reason
    assert condition.stops


def test_low_paper_keeps_the_printer_on_line() -> None:
    condition = of_real_time(0x12, 0x12, 0x12, 0x1E)
    assert condition.reason is not None
    assert not condition.stops
    assert status_of(condition.reason)[0] is DeviceStatus.ONLINE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (0x18, None),
        (0x38, Reason.PAPER_OUT),
        (0x20, Reason.PAPER_OUT),
        (0x10, Reason.OFFLINE),
        (0x08, Reason.OFFLINE),
        (0x00, Reason.OFFLINE),
    ],
)
def test_what_a_usb_printer_says_beside_its_data(value: int, reason: Reason | None) -> None:
    condition = of_port_status(value)
    assert (condition.reason if condition else None) == reason
