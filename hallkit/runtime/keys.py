"""Signing keys of an installation: Ed25519 in PEM files of mode 0600."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from hallkit.errors import TrustError

_END = b"-----END PUBLIC KEY-----"


def load_public(path: Path) -> Ed25519PublicKey:
    """The public key in a file; `TrustError` if there is none."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as exc:
        raise TrustError(f"{path.name}: {exc}") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise TrustError(f"{path.name}: not an Ed25519 key")
    return key


def load_publics(path: Path) -> tuple[Ed25519PublicKey, ...]:
    """The public keys in a file, one PEM block behind the other; `TrustError` if there is none.

    Two stand in it while signers change: machines trust the next one before it signs.
    """
    try:
        blocks = [block + _END for block in path.read_bytes().split(_END)[:-1]]
        keys = [load_pem_public_key(block.lstrip()) for block in blocks]
    except (OSError, ValueError) as exc:
        raise TrustError(f"{path.name}: {exc}") from exc
    trusted = tuple(key for key in keys if isinstance(key, Ed25519PublicKey))
    if not trusted or len(trusted) != len(keys):
        raise TrustError(f"{path.name}: not one or several Ed25519 keys")
    return trusted


def load_private(path: Path) -> Ed25519PrivateKey:
    """The private key in a file; `TrustError` if there is none."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as exc:
        raise TrustError(f"{path.name}: {exc}") from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise TrustError(f"{path.name}: not an Ed25519 key")
    return key
