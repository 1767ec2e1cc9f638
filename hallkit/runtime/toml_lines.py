"""On which line a key of a TOML text stands: the standard library's parser does not say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

_AT_LINE = re.compile(r"\bat line (\d+)")
_LAST_STEP = re.compile(r"(?:\.[^.\[\]]+|\[\d+\])$|^[^.\[\]]+$")


def lines_of(text: str) -> dict[str, int]:
    """The line of each key by its path (`peripherals[0].transport.port`) in a sound TOML text.

    What one statement sets stands on the statement's first line.
    """
    found: dict[str, int] = {}
    last_of_array: dict[str, int] = {}
    table = ""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        start = at
        at += 1
        first = lines[start].strip()
        if not first or first.startswith("#"):
            continue
        if first.startswith("["):
            table = _enter_header(first, start + 1, found, last_of_array)
            continue
        while (statement := _parsed("\n".join(lines[start:at]))) is None and at < len(lines):
            at += 1
        for path in _paths(statement or {}, table):
            found.setdefault(path, start + 1)
    return found


def line_of_fault(fault: tomllib.TOMLDecodeError, text: str) -> int:
    """Where a text stops being TOML."""
    named = _AT_LINE.search(str(fault))
    return int(named[1]) if named else text.count("\n") + 1


def parent(path: str) -> str:
    """The path without its last key or place; empty at the top."""
    return _LAST_STEP.sub("", path)


def _enter_header(
    header: str, line: int, found: dict[str, int], last_of_array: dict[str, int]
) -> str:
    keys: list[str] = []
    node: Any = tomllib.loads(header)
    while node:
        key, node = next(iter(node.items()))
        keys.append(key)
        node = node[0] if isinstance(node, list) else node
    path = ""
    for key in keys[:-1]:
        path = _join(path, key)
        found.setdefault(path, line)
        if path in last_of_array:
            path += f"[{last_of_array[path]}]"
    path = _join(path, keys[-1])
    found.setdefault(path, line)
    if header.startswith("[["):
        last_of_array[path] = last_of_array.get(path, -1) + 1
        path += f"[{last_of_array[path]}]"
        found.setdefault(path, line)
    return path


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _paths(node: object, path: str) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, below in node.items():
            yield _join(path, key)
            yield from _paths(below, _join(path, key))
    elif isinstance(node, list):
        for place, below in enumerate(node):
            yield f"{path}[{place}]"
            yield from _paths(below, f"{path}[{place}]")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
