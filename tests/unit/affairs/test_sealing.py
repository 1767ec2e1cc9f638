"""Sealed values open with the right key in the right row, and nowhere else."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from affairs.sealing import Sealer
from hallkit.errors import TrustError

PLAIN = "欧阳什邡 11010519491231002X".encode()


def test_what_was_sealed_opens_in_its_row(sealer: Sealer) -> None:
    sealed = sealer.seal("row-1", PLAIN)
    assert PLAIN not in sealed
    assert sealer.open("row-1", sealed) == PLAIN
    assert sealer.seal("row-1", PLAIN) != sealed  # a fresh nonce every time


def test_it_opens_in_no_other_row(sealer: Sealer) -> None:
    with pytest.raises(TrustError, match="changed or moved"):
        sealer.open("row-2", sealer.seal("row-1", PLAIN))


def test_another_key_is_named_as_the_reason(sealer: Sealer) -> None:
    with pytest.raises(TrustError, match="another key"):
        Sealer(bytes(32)).open("row-1", sealer.seal("row-1", PLAIN))


@pytest.mark.parametrize("position", [4, 15, 16, 20, -1])
def test_a_changed_bit_is_noticed(sealer: Sealer, position: int) -> None:
    sealed = bytearray(sealer.seal("row-1", PLAIN))
    sealed[position] ^= 1
    with pytest.raises(TrustError):
        sealer.open("row-1", bytes(sealed))


@pytest.mark.parametrize("length", [0, 3, 4, 10, 16, 31])
def test_a_cut_value_is_noticed(sealer: Sealer, length: int) -> None:
    with pytest.raises(TrustError):
        sealer.open("row-1", sealer.seal("row-1", PLAIN)[:length])


def test_a_person_is_found_by_number_however_it_is_typed(sealer: Sealer) -> None:
    assert sealer.lookup("11010519491231002x ") == sealer.lookup("11010519491231002X")
    assert sealer.lookup("11010519491231002X") != sealer.lookup("110105194912310020")
    assert sealer.lookup("11010519491231002X") != Sealer(bytes(32)).lookup("11010519491231002X")


def test_fingerprints_tell_where_a_part_ends(sealer: Sealer) -> None:
    assert sealer.fingerprint(b"ab", b"c") != sealer.fingerprint(b"a", b"bc")
    assert sealer.fingerprint(b"11010519491231002X") != sealer.lookup("11010519491231002X")


def test_a_key_file_holds_32_bytes_in_base64(tmp_path: Path, sealer: Sealer) -> None:
    path = tmp_path / "data.key"
    path.write_bytes(base64.b64encode(bytes(range(32))) + b"\n")
    assert Sealer.from_file(path).open("row", sealer.seal("row", PLAIN)) == PLAIN


@pytest.mark.parametrize("content", [b"", b"not base64 !", base64.b64encode(bytes(16))])
def test_any_other_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.key"
    path.write_bytes(content)
    with pytest.raises(TrustError):
        Sealer.from_file(path)
    with pytest.raises(TrustError, match=r"gone\.key: FileNotFoundError"):
        Sealer.from_file(tmp_path / "gone.key")
