"""The next snapshot out of the last one and a difference, trusted as little as a download."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hallkit.catalogue import delta
from hallkit.errors import TrustError

PAGES = st.lists(st.binary(min_size=1, max_size=64), max_size=40)


def noise(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)  # noqa: S311  # to be repeated


@given(PAGES, PAGES)
def test_old_and_delta_give_the_new_file(old: list[bytes], new: list[bytes]) -> None:
    before, after = b"".join(old), b"".join(new + old[::2])
    assert delta.apply(before, delta.make(before, after), size=len(after)) == after


def test_what_only_moved_costs_next_to_nothing() -> None:
    old = noise(3_000_000, 1)
    new = old[:900_000] + b"changed" * 30 + old[1_000_000:2_500_000] + old[2_600_000:]
    packed = delta.make(old, new)
    assert len(packed) < 2_000
    assert delta.apply(old, packed, size=len(new)) == new


def test_over_another_file_it_is_refused() -> None:
    old, new = noise(50_000, 2), noise(50_000, 2)[:40_000] + b"new"
    packed = delta.make(old, new)
    with pytest.raises(TrustError):
        delta.apply(noise(50_000, 3), packed, size=len(new))


@given(st.binary(max_size=200))
def test_no_bytes_crash_it(packed: bytes) -> None:
    with pytest.raises(TrustError):
        delta.apply(b"what is here", packed, size=1000)


@given(st.integers(min_value=0, max_value=400), st.integers(min_value=0, max_value=255))
def test_one_wrong_byte_is_seen_or_harmless(at: int, byte: int) -> None:
    old, new = noise(4_000, 4), noise(4_000, 4)[:3_000] + noise(300, 5)
    packed = bytearray(delta.make(old, new))
    packed[at % len(packed)] = byte
    try:
        got = delta.apply(old, bytes(packed), size=len(new))
    except TrustError:
        return
    assert got == new


def test_it_becomes_no_more_than_was_told() -> None:
    old, new = b"a" * 100, b"b" * 100_000
    with pytest.raises(TrustError, match="100000 bytes instead of 100"):
        delta.apply(old, delta.make(old, new), size=100)
    with pytest.raises(TrustError, match="at most"):
        delta.apply(old, b"", size=delta.LARGEST + 1)
