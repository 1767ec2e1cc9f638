"""One text for one value: what is signed, hashed and compared.

JSON with sorted keys and nothing between them. What has its default is left out, so that a field
that is added one day does not change the digest of what was written before it.
"""

from __future__ import annotations

import hashlib
import json

from hallkit.model.base import Value


def canonical(value: Value) -> bytes:
    """The bytes of a value; the same value, the same bytes."""
    told = value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = json.dumps(
        told, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )
    return text.encode()


def digest(value: Value) -> str:
    """SHA-256 of these bytes, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()
