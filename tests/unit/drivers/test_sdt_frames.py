"""SDT frames: what is published is understood, what is broken is nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.id_card_reader.sdt_frames import (
    APPENDED,
    FIND,
    HEAD_BYTES,
    MAX_LENGTH,
    READ,
    SAM_ID,
    SAM_STATUS,
    SELECT,
    Reply,
    ReplyStream,
    Status,
    frame,
    sam_id_text,
    split_read,
)

VECTORS = Path(__file__).parents[4] / "shared" / "data" / "devices" / "vectors" / "sdt.json"


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    if not VECTORS.exists():
        pytest.skip("the published frames are kept beside the repository and are not here")
    loaded: dict[str, Any] = json.loads(VECTORS.read_text())
    return loaded


def reply(content: str) -> bytes:
    """A reply of SW1 SW2 SW3 and data in hex."""
    return frame(bytes.fromhex(content))


def by_name(vectors: dict[str, Any], name: str) -> bytes:
    (found,) = (
        entry["hex"]
        for entry in (*vectors["published"], *vectors["computed"])
        if entry["name"] == name
    )
    return bytes.fromhex(found)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (SAM_STATUS, "SAM status"),
        (SAM_ID, "SAM ID"),
        (FIND, "find card"),
        (SELECT, "select card"),
        (READ, "read text and photo"),
        (APPENDED, "read appended address"),
    ],
)
def test_requests_are_the_published_bytes(vectors: dict[str, Any], command: Any, name: str) -> None:
    assert command.request == by_name(vectors, name)


def test_every_published_reply_is_one_frame(vectors: dict[str, Any]) -> None:
    entries = [*vectors["published"], *vectors["computed"]]
    replies = [entry for entry in entries if entry["direction"] == "reply"]
    assert len(replies) > 10
    for entry in replies:
        raw = bytes.fromhex(entry["hex"])
        stream = ReplyStream()
        assert stream.feed(raw) == [Reply(raw[9], raw[10:-1])], entry["name"]
        assert (stream.pending, stream.skipped_bytes, stream.bad_frames) == (0, 0, 0)


def test_published_successes_answer_their_command(vectors: dict[str, Any]) -> None:
    pairs = {
        "card found": FIND,
        "no card": FIND,
        "card selected": SELECT,
        "select failed": SELECT,
        "read failed": READ,
        "SAM status ok": SAM_STATUS,
        "SAM self test failed": SAM_STATUS,
        "SAM ID 05.01-20101129-0001228293-0296863149": SAM_ID,
        "status 91: item not on the card": APPENDED,
    }
    for name, command in pairs.items():
        (answer,) = ReplyStream().feed(by_name(vectors, name))
        assert command.is_answered_by(answer), name


def test_sam_id_reads_as_on_its_label(vectors: dict[str, Any]) -> None:
    sample = vectors["sam_id_decode"]
    assert sam_id_text(bytes.fromhex(sample["data"])) == sample["text"]


@pytest.mark.parametrize("name", ["30 01", "30 10"])
def test_long_replies_of_the_published_size_are_frames(vectors: dict[str, Any], name: str) -> None:
    sizes = vectors["read_reply_heads"]["total_bytes"]
    size = sizes[name] if name in sizes else sizes[f"{name} with 1024 fingerprint bytes"]
    head = bytes.fromhex(vectors["read_reply_heads"][name])
    text = bytes.fromhex(vectors["synthetic_card"]["text_block_256_hex"])
    checks = vectors["synthetic_card"]["reply_checksum_with_zero_photo"]
    (check,) = (value for key, value in checks.items() if f"({size}" in key)
    raw = (head + text).ljust(size - 1, b"\0") + bytes.fromhex(check)
    (answer,) = ReplyStream().feed(raw)
    assert answer.status == Status.OK
    if name == "30 01":
        assert READ.is_answered_by(answer)
        assert split_read(answer.data) == (text, bytes(1024))
    else:
        assert not READ.is_answered_by(answer)


def test_an_answer_to_one_command_is_not_taken_for_another() -> None:
    found = Reply(Status.FOUND, bytes(4))
    selected = Reply(Status.OK, bytes(8))
    read = Reply(Status.OK, bytes(4 + 256 + 1024))
    assert [c.name for c in (FIND, SELECT, READ, SAM_STATUS) if c.is_answered_by(found)] == ["find"]
    assert [c.name for c in (FIND, SELECT, READ, SAM_STATUS) if c.is_answered_by(selected)] == [
        "select"
    ]
    assert [c.name for c in (FIND, SELECT, READ, APPENDED) if c.is_answered_by(read)] == ["read"]
    assert not SELECT.is_answered_by(Reply(Status.NO_CARD))
    assert not READ.is_answered_by(Reply(Status.NO_CARD))


def test_replies_never_show_their_data() -> None:
    assert "data" not in repr(Reply(Status.OK, b"secret"))


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(reply("000090")[:-1] + b"\x00", id="check byte"),
        pytest.param(bytes.fromhex("AAAAAA9669 0003 0000 03"), id="too short for a status"),
        pytest.param(bytes.fromhex("AAAAAA9669 0000"), id="length zero"),
        pytest.param(bytes.fromhex("AAAAAA9669 FFFF"), id="length beyond any reply"),
        pytest.param(reply("010090"), id="success with SW1"),
        pytest.param(reply("00019F00000000"), id="found with SW2"),
    ],
)
def test_a_frame_that_does_not_hold_is_skipped(broken: bytes) -> None:
    stream = ReplyStream()
    assert stream.feed(broken + reply("000080")) == [Reply(Status.NO_CARD)]
    assert stream.bad_frames == 1
    assert stream.skipped_bytes == len(broken)


def test_refusals_may_have_any_sw1_and_sw2() -> None:
    assert ReplyStream().feed(reply("123441")) == [Reply(Status.READ_FAILED)]


def test_noise_that_looks_like_a_head_does_not_swallow_the_reply_behind_it() -> None:
    stream = ReplyStream()
    noise = bytes.fromhex("AAAAAA9669 0010") + b"\x00"
    assert stream.feed(noise + reply("000090")) == []
    assert stream.feed(reply("000080")) == [Reply(Status.OK), Reply(Status.NO_CARD)]


def test_a_preamble_may_follow_more_of_its_own_first_byte() -> None:
    assert ReplyStream().feed(b"\xaa\xaa" + reply("000080")) == [Reply(Status.NO_CARD)]


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("0100 0400") + bytes(256 + 1023),
        bytes.fromhex("0100 0400") + bytes(256 + 1025),
        bytes.fromhex("0080 0480") + bytes(128 + 1152),
        bytes.fromhex("0400 0100") + bytes(256 + 1024),
        bytes(260),
    ],
)
def test_lengths_inside_a_read_answer_must_add_up(data: bytes) -> None:
    assert split_read(data) is None


# --- any bytes, in any pieces ---

CONTENT = st.binary(min_size=3, max_size=40)
WIRE = st.lists(
    st.one_of(
        st.binary(max_size=30),
        CONTENT.map(frame),
        CONTENT.map(lambda content: frame(content)[:-1]),
        st.just(bytes.fromhex("AAAAAA9669")),
        st.just(bytes.fromhex("AAAAAA96690004")),
    ),
    max_size=8,
).map(b"".join)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(marks)]


def frames_in(data: bytes) -> set[tuple[int, bytes]]:
    """Every stretch that is a whole frame, found the slow way."""
    found = set()
    for start in range(len(data)):
        length = int.from_bytes(data[start + 5 : start + 7], "big")
        stretch = data[start : start + 7 + length]
        check = 0
        for byte in stretch[5:]:
            check ^= byte
        has_head = stretch[:5] == bytes.fromhex("AAAAAA9669") and length >= 4
        if has_head and len(stretch) == 7 + length and check == 0:
            found.add((stretch[9], stretch[10:-1]))
    return found


@given(WIRE, st.lists(st.integers(min_value=0), max_size=12))
def test_pieces_make_no_difference_and_nothing_is_invented(data: bytes, cuts: list[int]) -> None:
    whole, split = ReplyStream(), ReplyStream()
    replies = whole.feed(data)
    assert [answer for piece in pieces(data, cuts) for answer in split.feed(piece)] == replies
    assert (split.pending, split.skipped_bytes, split.bad_frames) == (
        whole.pending,
        whole.skipped_bytes,
        whole.bad_frames,
    )
    assert {(answer.status, answer.data) for answer in replies} <= frames_in(data)


@given(st.binary(max_size=60), CONTENT)
def test_a_reply_is_found_behind_any_noise_at_the_latest_behind_one_longest_frame(
    noise: bytes, content: bytes
) -> None:
    stream = ReplyStream()
    content = b"\0\0\x80" + content
    stream.feed(noise + frame(content))
    # A false head may wait for more; what it waits for is bounded.
    later = stream.feed(bytes(HEAD_BYTES + MAX_LENGTH))
    fresh = stream.feed(frame(content))
    assert Reply(0x80, content[3:]) in [*later, *fresh]
    assert stream.pending < HEAD_BYTES + MAX_LENGTH
