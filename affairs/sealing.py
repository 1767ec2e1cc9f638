"""Personal fields at rest: AES-256-GCM, bound to their row; look-up by keyed HMAC.

The key file is a credential and never lies beside the database. Purposes get keys of their own
(HKDF, RFC 5869), so that no value of one can be compared with a value of another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from hallkit.errors import TrustError

KEY_BYTES = 32
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class Sealer:
    """Seals under one key. A sealed value is: key id, nonce, ciphertext with tag."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise TrustError(f"data key: {len(key)} bytes, must be {KEY_BYTES}")
        self._cipher = AESGCM(_derive(key, "seal"))
        self._lookup_key = _derive(key, "lookup")
        self._fingerprint_key = _derive(key, "fingerprint")
        self._key_id = _derive(key, "id")[:_KEY_ID_BYTES]

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a key file: 32 random bytes in base64. `TrustError` if it is anything else."""
        try:
            return cls(base64.b64decode(path.read_bytes().strip(), validate=True))
        except (OSError, binascii.Error) as exc:
            raise TrustError(f"{path.name}: {type(exc).__name__}") from exc

    def seal(self, row_id: str, plain: bytes) -> bytes:
        """Encrypt for one row; the result opens in no other."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._key_id + nonce + self._cipher.encrypt(nonce, plain, row_id.encode())

    def open(self, row_id: str, sealed: bytes) -> bytes:
        """Decrypt; `TrustError` if the key, the row or a bit differs."""
        key_id, rest = sealed[:_KEY_ID_BYTES], sealed[_KEY_ID_BYTES:]
        if key_id != self._key_id:
            raise TrustError("sealed under another key")
        try:
            return self._cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], row_id.encode())
        except (InvalidTag, ValueError) as exc:
            raise TrustError("sealed value was changed or moved") from exc

    def lookup(self, id_number: str) -> str:
        """What stands in the database to find a person's rows by their ID number."""
        return _mac(self._lookup_key, id_number.strip().upper().encode())

    def fingerprint(self, *parts: bytes) -> str:
        """Equal for equal parts; says nothing about them without the key."""
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return _mac(self._fingerprint_key, framed)


def _derive(key: bytes, purpose: str) -> bytes:
    info = f"hallkit affairs {purpose} v1".encode()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def _mac(key: bytes, content: bytes) -> str:
    return hmac.new(key, content, hashlib.sha256).hexdigest()
