"""What is sealed opens for its subject and its key only."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hallkit.errors import TrustError
from hallkit.wire.sealed import read_private_key, read_public_key, seal, unseal

KEY = X25519PrivateKey.generate()
CONTENT = "欧阳什邡".encode()


def test_it_opens_for_its_subject() -> None:
    sealed = seal(CONTENT, KEY.public_key(), subject="one")
    assert CONTENT not in sealed
    assert unseal(sealed, KEY, subject="one") == CONTENT
    assert seal(CONTENT, KEY.public_key(), subject="one") != sealed, "fresh every time"


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_a_changed_bit_opens_nothing(place: int) -> None:
    sealed = bytearray(seal(CONTENT, KEY.public_key(), subject="one"))
    sealed[place] ^= 1
    with pytest.raises(TrustError):
        unseal(bytes(sealed), KEY, subject="one")


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(31), bytes(200)])
def test_what_is_nothing_opens_nothing(sealed: bytes) -> None:
    with pytest.raises(TrustError):
        unseal(sealed, KEY, subject="one")


def test_another_subject_or_key_opens_nothing() -> None:
    sealed = seal(CONTENT, KEY.public_key(), subject="one")
    with pytest.raises(TrustError):
        unseal(sealed, KEY, subject="two")
    with pytest.raises(TrustError):
        unseal(sealed, X25519PrivateKey.generate(), subject="one")


def test_keys_are_read_from_files(tmp_path: Path) -> None:
    private, public = tmp_path / "submissions.key", tmp_path / "submissions.pub"
    private.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    sealed = seal(CONTENT, read_public_key(public), subject="one")
    assert unseal(sealed, read_private_key(private), subject="one") == CONTENT


def test_a_file_that_holds_no_such_key_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "key"
    other = Ed25519PrivateKey.generate()
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(TrustError, match="X25519"):
        read_private_key(path)
    for read in (read_private_key, read_public_key):
        with pytest.raises(TrustError):
            read(tmp_path / "nothing")
