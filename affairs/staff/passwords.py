"""Passwords at rest: Argon2id (RFC 9106), its parameters kept with each.

A hash takes memory and a tenth of a second, so it runs on a thread, and two at once at most: a
crowd at the door must not take the node's memory.
"""

from __future__ import annotations

import asyncio
import secrets
import unicodedata
from dataclasses import dataclass

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MINIMUM = 10
MAXIMUM = 200
_AT_ONCE = 2
_SALT_BYTES = 16
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs. The default is the second choice of RFC 9106 §4, on one lane."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 1


class Passwords:
    """Makes and compares."""

    def __init__(self, cost: Cost = Cost()) -> None:
        self._cost = cost
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._nobody = self._made(secrets.token_urlsafe())

    async def made(self, password: str) -> str:
        """What is kept of a password."""
        async with self._turns:
            return await asyncio.to_thread(self._made, password)

    async def holds(self, kept: str | None, password: str) -> bool:
        """True if it is the password. Without one to compare with it takes as long, and is not."""
        async with self._turns:
            same = await asyncio.to_thread(_same, kept or self._nobody, password)
        return same and kept is not None

    def is_dated(self, kept: str) -> bool:
        """Made at another cost than today's."""
        cost = self._cost
        return f"$m={cost.memory_kib},t={cost.iterations},p={cost.lanes}$" not in kept

    def _made(self, password: str) -> str:
        return Argon2id(
            salt=secrets.token_bytes(_SALT_BYTES),
            length=_KEY_BYTES,
            iterations=self._cost.iterations,
            lanes=self._cost.lanes,
            memory_cost=self._cost.memory_kib,
        ).derive_phc_encoded(_typed(password))


def mistake_in(password: str, *, name: str) -> str | None:
    """What is wrong with a new password, as a key of the words; None: nothing."""
    if len(password) < MINIMUM:
        return "staff.password.short"
    if len(password) > MAXIMUM:
        return "staff.password.long"
    if name.casefold() in password.casefold():
        return "staff.password.is_name"
    if len(set(password)) < 4:  # ten times the same
        return "staff.password.simple"
    return None


def one_time() -> str:
    """A first password that somebody reads off a sheet: 16 letters and digits in four groups."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


def _typed(password: str) -> bytes:
    """The same whichever keyboard wrote it: an input method may compose letters its own way."""
    return unicodedata.normalize("NFKC", password).encode()


def _same(kept: str, password: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_typed(password), kept)
    except (InvalidKey, ValueError):
        return False
    return True
