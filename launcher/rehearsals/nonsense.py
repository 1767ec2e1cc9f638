"""Making nonsense: bytes and messages that are nearly right, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any


def broken(random: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Something like `data`: often whole, often nearly, sometimes nothing like it."""
    kinds: Sequence[Callable[[], bytes]] = (
        lambda: data,
        lambda: _flipped(random, data),
        lambda: data[: random.randrange(len(data) + 1)],
        lambda: data[random.randrange(len(data) + 1) :],
        lambda: data + data,
        lambda: random.randbytes(random.randrange(1, 12)) + data,
        lambda: _spliced(random, data, random.randbytes(random.randrange(1, 9))),
        lambda: random.randbytes(random.randrange(200)),
        lambda: random.choice([data, *others]),
        lambda: b"",
    )
    weights = (10, 6, 3, 2, 1, 2, 3, 2, 3, 1)
    return random.choices(kinds, weights)[0]()


def _flipped(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randrange(1, 4)):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _spliced(random: Random, data: bytes, piece: bytes) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + piece + data[at + random.randrange(len(piece) + 1) :]


def broken_json(random: Random, document: dict[str, Any]) -> bytes:
    """A message with a field gone, of another type, out of bounds, deep, or in broken JSON."""
    changed = json.loads(json.dumps(document))
    for _ in range(random.randrange(3)):
        _spoil(random, changed)
    text = json.dumps(changed, ensure_ascii=random.random() < 0.5).encode()
    if random.random() < 0.25:
        return broken(random, text)
    return text


def _spoil(random: Random, document: dict[str, Any]) -> None:
    places: list[tuple[Any, Any]] = []
    _places(document, places)
    if not places:
        return
    holder, key = random.choice(places)
    match random.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[f"x{random.randrange(100)}"] = deepcopy(holder[key])
        case _:
            holder[key] = deepcopy(random.choice(_ODD))


def _places(value: Any, places: list[tuple[Any, Any]]) -> None:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(entries):
        places.append((value, key))
        if isinstance(inner, (dict, list)):
            _places(inner, places)


_DEEP: Any = 0
for _ in range(150):
    _DEEP = [_DEEP]

_ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63), 2**80, 1e300, 0.5, float("nan")),
    *("", "x", "0", "-1", "\0", "\x7f", "中文", "😀", "a" * 5000, "../../etc/passwd", "%s{0}"),
    *([], {}, [[]], {"": {}}, ["a"] * 300, _DEEP, "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
    *("0001-01-01T00:00:00+14:00", "2026-02-30T00:00:00Z", "hallkit/fuzz/terminal-01"),
)
