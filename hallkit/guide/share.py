"""A personal list as a short text for a QR: which item, which answers. Any machine opens it again.

    HK1.G.<check>.<item or bundle>?<question>=<options>&<question>=<options>

It names keys of the catalogue only and says nothing about who answered. What followed from a card
(materials at hand, facts) is not in it: the other machine asks or reads that itself.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from hallkit.model.base import Value

PREFIX = "HK1.G."
LIMIT = 400
"""Characters that a slip's QR holds."""
_CHECK_LETTERS = 6
_ANSWER = re.compile(r"[A-Za-z0-9_.-]{1,130}=[a-z0-9_+-]{1,200}")


class Shared(Value):
    """What a code says."""

    code: str
    """Of the item or bundle."""
    answers: dict[str, str]
    """As `replay` takes them."""


def encode(code: str, answers: Mapping[str, str]) -> str:
    """The text of a list's QR. `ValueError` if it is longer than a slip's QR may be."""
    given = "&".join(f"{key}={value}" for key, value in answers.items())
    body = f"{quote(code, safe='')}?{given}"
    text = f"{PREFIX}{_check(body)}.{body}"
    if len(text) > LIMIT:
        raise ValueError(f"{len(answers)} answers are too many for one code")
    return text


def decode(text: str) -> Shared:
    """What a code says. `ValueError` for anything else, and for one that was misread."""
    check, dot, body = text.strip().removeprefix(PREFIX).partition(".")
    if not text.strip().startswith(PREFIX) or not dot or check != _check(body):
        raise ValueError("is no code of a personal list, or was misread")
    code, mark, given = body.partition("?")
    pairs = given.split("&") if given else []
    if not code or not mark or any(_ANSWER.fullmatch(pair) is None for pair in pairs):
        raise ValueError("is no code of a personal list")
    return Shared(code=unquote(code), answers=dict(pair.split("=") for pair in pairs))


def is_code(text: str) -> bool:
    """True if a text wants to be a code."""
    return text.strip().startswith(PREFIX)


def _check(body: str) -> str:
    digest = hashlib.sha256(body.encode()).digest()
    return base64.b32encode(digest).decode()[:_CHECK_LETTERS]
