"""What the USB transport knows without a device: two pipes as one stream, names, settings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from drivers.id_card_reader.sdt import IN_TWO_PARTS, SdtConfig
from drivers.id_card_reader.sdt_frames import HEAD_BYTES, frame
from drivers.transport.usb import Joiner, UsbPort, model_of

frames = st.lists(st.binary(min_size=3, max_size=200).map(frame), min_size=1, max_size=4)


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(frames=frames, size=st.integers(1, 64), data=st.data())
def test_frames_come_whole_in_whatever_order_the_pipes_are_heard(
    frames: list[bytes], size: int, data: st.DataObject
) -> None:
    pipes = (
        [piece for one in frames for piece in in_pieces(one[:HEAD_BYTES], size)],
        [piece for one in frames for piece in in_pieces(one[HEAD_BYTES:], size)],
    )
    joiner = Joiner(IN_TWO_PARTS)
    joined = b""
    while any(pipes):
        pipe = data.draw(st.sampled_from([number for number in (0, 1) if pipes[number]]))
        joined += joiner.feed(pipe, pipes[pipe].pop(0))
    assert joined == b"".join(frames)
    assert joiner.clear() == 0


@given(st.lists(st.tuples(st.sampled_from([0, 1]), st.binary(max_size=80))))
def test_nonsense_is_no_frame_and_goes_away(pieces: list[tuple[int, bytes]]) -> None:
    joiner = Joiner(IN_TWO_PARTS)
    out = b"".join(joiner.feed(pipe, data) for pipe, data in pieces)
    assert len(out) + joiner.clear() == sum(len(data) for _, data in pieces)
    whole = frame(b"\x00\x00\x90")
    assert joiner.feed(1, whole[HEAD_BYTES:]) == b""
    assert joiner.feed(0, whole[:HEAD_BYTES]) == whole


@pytest.mark.parametrize(
    ("told", "model"),
    [
        (b"\x00\x20MFG:EPSON;CMD:ESC/POS;MDL:TM-T88V;CLS:PRINTER;", "TM-T88V"),
        (b"\x00\x20MANUFACTURER:X; MODEL:POS-80 ;", "POS-80"),
        (b"\x00\x20MFG:X;CLS:PRINTER;", ""),
        (b"\x00\x02", ""),
        (b"", ""),
        (b"\x00\x09MDL:\xff\xfe;", "\ufffd\ufffd"),
    ],
)
def test_the_model_in_an_ieee_1284_device_id(told: bytes, model: str) -> None:
    assert model_of(told) == model


@pytest.mark.parametrize(
    "wrong",
    [{"vendor": "400"}, {"vendor": "0X00"}, {"product": "C35A"}, {"port": "usb1"}, {"port": "1-"}],
)
def test_a_port_that_no_device_can_have(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        UsbPort(**{"kind": "usb", "vendor": "0400", "product": "c35a"} | wrong)  # type: ignore[arg-type]


def test_a_port_says_which_device_it_means() -> None:
    port = UsbPort(kind="usb", vendor="0400", product="c35a", port="1-1.2")
    assert str(port) == "usb:0400:c35a:1-1.2"


def test_only_a_serial_port_has_a_rate_to_find() -> None:
    usb = {"kind": "usb", "vendor": "0400", "product": "c35a"}
    with pytest.raises(ValidationError, match="find_baud"):
        SdtConfig.model_validate(
            {"id": "reader", "driver": "sdt", "transport": usb, "find_baud": True}
        )
