"""What a citizen said, sealed to the business node before it touches a machine's disk.

RFC 9180 (HPKE), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The machine has
the public key alone and cannot open again what it has sealed. `subject` binds it to what it
belongs to: sealed for one ticket, it opens for no other.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from hallkit.errors import TrustError

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_PURPOSE = b"hallkit submission v1 "


def seal(content: bytes, key: X25519PublicKey, *, subject: str) -> bytes:
    """Only who holds the private key can open it."""
    return _SUITE.encrypt(content, key, info=_PURPOSE + subject.encode())


def unseal(sealed: bytes, key: X25519PrivateKey, *, subject: str) -> bytes:
    """`TrustError` if the key, the subject or a bit differs."""
    try:
        return _SUITE.decrypt(sealed, key, info=_PURPOSE + subject.encode())
    except (InvalidTag, ValueError) as exc:
        raise TrustError("sealed content was changed, or is for somebody else") from exc


def read_private_key(path: Path) -> X25519PrivateKey:
    """`TrustError` if the file holds none."""
    key = _read(path, private=True)
    if not isinstance(key, X25519PrivateKey):
        raise TrustError(f"{path.name}: must be an X25519 key")
    return key


def read_public_key(path: Path) -> X25519PublicKey:
    """`TrustError` if the file holds none."""
    key = _read(path, private=False)
    if not isinstance(key, X25519PublicKey):
        raise TrustError(f"{path.name}: must be an X25519 key")
    return key


def _read(path: Path, *, private: bool) -> object:
    try:
        data = path.read_bytes()
        return load_pem_private_key(data, password=None) if private else load_pem_public_key(data)
    except (OSError, TypeError, ValueError) as exc:
        raise TrustError(f"{path.name}: {type(exc).__name__}") from exc
