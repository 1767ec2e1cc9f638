"""What machines kept while the node was away: taken or refused each for itself, read by our key."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import ValidationError

from affairs.problems import ProblemCode, Refused
from hallkit.errors import TrustError
from hallkit.wire.base import Message
from hallkit.wire.sealed import unseal

One = TypeVar("One")
Said = TypeVar("Said", bound=Message)


def take_each(
    given: Iterable[One], *, name: Callable[[One], str], take: Callable[[One], None]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Names of those that were taken, and of the others why not.

    One that cannot be taken must not hold up the others: `take` refuses before it writes.
    """
    taken: list[str] = []
    refused: dict[str, str] = {}
    for one in given:
        try:
            take(one)
        except Refused as why:
            refused[name(one)] = why.problem_code.value
        else:
            taken.append(name(one))
    return tuple(taken), refused


def unsealed(kind: type[Said], sealed: bytes, key: X25519PrivateKey, *, subject: str) -> Said:
    """What was sealed to us for this subject; `Refused` if it is anything else."""
    try:
        return kind.model_validate_json(unseal(sealed, key, subject=subject))
    except (TrustError, ValidationError):
        raise Refused(ProblemCode.REQUEST_UNREADABLE) from None
