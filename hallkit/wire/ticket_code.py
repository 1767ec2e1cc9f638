"""The signed text in a ticket's QR: `HK1.T.<ticket id>.<YYYYMMDD>.<number>.<signature>`.

Ed25519 over everything before the last point. Whoever holds the public key can verify it without
network; it says nothing about the person.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "HK1.T."
_CODE = re.compile(
    r"(?P<signed>HK1\.T\.(?P<id>[0-9A-HJKMNP-TV-Z]{26})\.(?P<day>[0-9]{8})\.(?P<number>[A-Z][0-9]{3,6}))"
    r"\.(?P<signature>[A-Za-z0-9_-]{86})"
)


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What a genuine code says."""

    ticket_id: str
    day: dt.date
    number: str


def sign_code(code: TicketCode, key: Ed25519PrivateKey) -> str:
    signed = f"HK1.T.{code.ticket_id}.{code.day:%Y%m%d}.{code.number}"
    return f"{signed}.{_base64url(key.sign(signed.encode()))}"


def verify_code(text: str, key: Ed25519PublicKey) -> TicketCode | None:
    """What the code says, or None if it is not exactly one that `key`'s owner signed."""
    match = _CODE.fullmatch(text)
    if match is None:
        return None
    signature = base64.urlsafe_b64decode(match["signature"] + "==")
    if _base64url(signature) != match["signature"]:  # the last character has unused bits
        return None
    try:
        key.verify(signature, match["signed"].encode())
        day = dt.datetime.strptime(match["day"], "%Y%m%d").replace(tzinfo=dt.UTC).date()
    except (InvalidSignature, ValueError):
        return None
    return TicketCode(match["id"], day, match["number"])


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
