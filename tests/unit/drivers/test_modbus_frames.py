"""Modbus frames: published ones to the byte, and nothing else taken for an answer."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadDiscreteInputsRequest, WriteMultipleCoilsRequest
from pymodbus.pdu.register_message import ReadInputRegistersRequest, WriteMultipleRegistersRequest

from drivers.auxiliaries.modbus_frames import (
    OFF,
    ON,
    Broken,
    Framing,
    Refused,
    Request,
    Rtu,
    Table,
    Tcp,
    WriteFunction,
    bits_of,
    crc,
    read,
    registers_of,
    write,
)

PUBLISHED = {
    # Application protocol V1.1b3 and the makers' own pages (docs/drivers/modbus.md).
    "01 03 00 00 00 02 C4 0B": (1, read(Table.HOLDING, 0, 2)),
    "02 03 00 00 00 02 C4 38": (2, read(Table.HOLDING, 0, 2)),
    "01 04 00 01 00 01 60 0A": (1, read(Table.INPUT, 1, 1)),
    "FE 02 00 00 00 08 6D C3": (0xFE, read(Table.DISCRETE, 0, 8)),
    "01 05 00 00 FF 00 8C 3A": (1, write(WriteFunction.COIL, 0, [ON])),
    "01 05 00 00 00 00 CD CA": (1, write(WriteFunction.COIL, 0, [OFF])),
    "01 05 02 00 00 07 8D B0": (1, write(WriteFunction.COIL, 0x200, [7])),
    "01 05 02 01 00 08 9C 74": (1, write(WriteFunction.COIL, 0x201, [8])),
    "01 06 10 00 00 01 4C CA": (1, write(WriteFunction.REGISTER, 0x1000, [1])),
    "01 0F 00 00 00 08 01 FF BE D5": (1, write(WriteFunction.COILS, 0, [1] * 8)),
    "FE 10 00 03 00 02 04 00 04 00 0A 41 6B": (0xFE, write(WriteFunction.REGISTERS, 3, [4, 10])),
    "FE 10 00 08 00 02 04 00 04 00 0A 00 D8": (0xFE, write(WriteFunction.REGISTERS, 8, [4, 10])),
}


@pytest.mark.parametrize("frame", PUBLISHED)
def test_a_published_request_is_made_to_the_byte(frame: str) -> None:
    unit, request = PUBLISHED[frame]
    assert Rtu().frame(unit, request).hex(" ").upper() == frame


def test_a_published_answer_is_read() -> None:
    told = Rtu().find(bytes.fromhex("01030800070003000000 0166D7"), 1, read(Table.HOLDING, 0, 4))
    assert told is not None
    assert registers_of(told) == (7, 3, 0, 1)


@pytest.mark.parametrize(
    ("frame", "unit"),
    [("01 03 04 02 92 FF 9B 5A 3D", 1), ("02 03 04 02 92 FF 9B 69 3D", 2)],
)
def test_a_published_answer_below_zero_is_read(frame: str, unit: int) -> None:
    told = Rtu().find(bytes.fromhex(frame), unit, read(Table.HOLDING, 0, 2))
    assert told is not None
    assert registers_of(told) == (658, 0xFF9B)


def test_a_tcp_frame_has_a_number_of_its_own() -> None:
    wire = Tcp()
    request = read(Table.HOLDING, 0, 2)
    assert wire.frame(4, request) == bytes.fromhex("0001 0000 0006 04 03 0000 0002")
    assert wire.frame(4, request) == bytes.fromhex("0002 0000 0006 04 03 0000 0002")


def test_numbers_begin_anew_at_their_end() -> None:
    wire = Tcp()
    for _ in range(0xFFFF):
        sent = wire.frame(1, read(Table.COIL, 0, 1))
    assert sent[:2] == b"\xff\xff"
    assert wire.frame(1, read(Table.COIL, 0, 1))[:2] == b"\0\1"


QUESTION = read(Table.COIL, 0, 8)
ANSWER = bytes.fromhex("01 01 01 A5")
RTU_ANSWER = ANSWER + crc(ANSWER)


@pytest.mark.parametrize(
    "received",
    [
        RTU_ANSWER,
        b"\x00" + RTU_ANSWER,
        b"\xff\x00\x01" + RTU_ANSWER + b"\x00",
        # What was asked, as an adapter that hears itself gives it back, and the answer.
        Rtu().frame(1, QUESTION) + RTU_ANSWER,
        # The late answer of another unit before it.
        b"\x02\x01\x01\x00" + crc(b"\x02\x01\x01\x00") + RTU_ANSWER,
    ],
)
def test_bytes_around_an_answer_are_passed_over(received: bytes) -> None:
    assert Rtu().find(received, 1, QUESTION) == b"\xa5"
    for end in range(len(RTU_ANSWER)):
        assert Rtu().find(received[: received.find(RTU_ANSWER) + end], 1, QUESTION) is None


@pytest.mark.parametrize(
    "content",
    [
        "02 01 01 A5",  # another unit
        "01 02 01 A5",  # another function
        "01 01 02 A5 00",  # another length
        "01 81",  # an exception without its code
    ],
)
def test_what_answers_something_else_is_no_answer(content: str) -> None:
    body = bytes.fromhex(content)
    assert Rtu().find(body + crc(body), 1, QUESTION) is None


def test_a_check_sum_that_does_not_hold_is_no_answer() -> None:
    for place in range(len(RTU_ANSWER)):
        for bit in range(8):
            spoilt = bytearray(RTU_ANSWER)
            spoilt[place] ^= 1 << bit
            assert Rtu().find(bytes(spoilt), 1, QUESTION) is None


def test_a_write_is_confirmed_by_the_same_bytes_only() -> None:
    request = write(WriteFunction.COIL, 16, [ON])
    for content, answer in (
        ("01 05 00 10 FF 00", b""),
        ("01 05 00 10 00 00", None),
        ("01 05 00 11 FF 00", None),
    ):
        body = bytes.fromhex(content)
        assert Rtu().find(body + crc(body), 1, request) == answer


def test_a_refusal_says_its_code_on_either_wire() -> None:
    body = bytes.fromhex("01 81 02")
    with pytest.raises(Refused) as on_line:
        Rtu().find(body + crc(body), 1, QUESTION)
    wire = Tcp()
    wire.frame(1, QUESTION)
    with pytest.raises(Refused) as over_tcp:
        wire.find(bytes.fromhex("0001 0000 0003 01 81 02"), 1, QUESTION)
    assert (on_line.value.code, over_tcp.value.code) == (2, 2)


@pytest.mark.parametrize(
    "frame",
    [
        "0001 0001 0004 01 01 01 A5",  # another protocol
        "0001 0000 0000 01 01 01 A5",  # no length
        "0001 0000 0100 01 01 01 A5",  # longer than can be
        "0001 0000 0004 02 01 01 A5",  # another unit
        "0001 0000 0004 01 02 01 A5",  # another function
    ],
)
def test_over_tcp_whatever_is_out_of_step_is_broken(frame: str) -> None:
    wire = Tcp()
    wire.frame(1, QUESTION)
    with pytest.raises(Broken):
        wire.find(bytes.fromhex(frame), 1, QUESTION)


def test_over_tcp_a_late_answer_is_told_by_its_number() -> None:
    wire = Tcp()
    wire.frame(1, QUESTION)
    wire.frame(1, QUESTION)
    late, own = (bytes.fromhex(f"000{number} 0000 0004 01 01 01 0{number}") for number in (1, 2))
    assert wire.find(late, 1, QUESTION) is None
    assert wire.find(late + own, 1, QUESTION) == b"\x02"


def test_bits_stand_in_the_order_of_their_addresses() -> None:
    # Application protocol V1.1b3, 6.1: coils 20 to 38.
    told = bits_of(bytes.fromhex("CD 6B 05"), 19)
    assert told == (1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0, 1)


@pytest.mark.parametrize(("start", "count"), [(0, 0), (0, 126), (65535, 2), (-1, 1)])
def test_what_no_unit_may_be_asked_is_not_asked(start: int, count: int) -> None:
    with pytest.raises(ValueError, match="from"):
        read(Table.HOLDING, start, count)


@given(
    unit=st.integers(0, 247),
    start=st.integers(0, 0xFF00),
    values=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=100),
)
def test_requests_are_those_of_pymodbus(unit: int, start: int, values: list[int]) -> None:
    bits = [bool(value & 1) for value in values]
    pairs: list[tuple[Request, ModbusPDU]] = [
        (
            read(Table.DISCRETE, start, len(values)),
            ReadDiscreteInputsRequest(address=start, count=len(values), dev_id=unit),
        ),
        (
            read(Table.INPUT, start, len(values)),
            ReadInputRegistersRequest(address=start, count=len(values), dev_id=unit),
        ),
        (
            write(WriteFunction.COILS, start, bits),
            WriteMultipleCoilsRequest(address=start, bits=bits, dev_id=unit),
        ),
        (
            write(WriteFunction.REGISTERS, start, values),
            WriteMultipleRegistersRequest(address=start, registers=values, dev_id=unit),
        ),
    ]
    for ours, theirs in pairs:
        theirs.transaction_id = 1
        decoder = DecodePDU(is_server=False)
        assert Rtu().frame(unit, ours) == FramerRTU(decoder).buildFrame(theirs)
        assert Tcp().frame(unit, ours) == FramerSocket(decoder).buildFrame(theirs)


@given(
    received=st.binary(max_size=300) | st.binary(max_size=20).map(lambda some: b"\x01\x01" + some)
)
def test_whatever_comes_is_an_answer_or_none(received: bytes) -> None:
    wires: tuple[Framing, ...] = (Rtu(), Tcp())
    for wire in wires:
        wire.frame(1, QUESTION)
        with suppress(Broken, Refused):
            answer = wire.find(received, 1, QUESTION)
            assert answer is None or len(answer) == 1
