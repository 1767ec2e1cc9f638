"""IPP's messages as bytes: RFC 8010, section 3. What cannot be is `ValueError`, never a hang.

    version (2) | operation or status (2) | request-id (4) | groups … | 03 | document
    group      : tag 00–0F, then attributes
    attribute  : value-tag (1) | name-length (2) | name | value-length (2) | value
    another value of the same attribute has the name length 0

Every length is checked against its kind and against the bytes that are there. Members of
collections are skipped: nothing of what is asked for is one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

VERSION = (2, 0)
"""IPP/2.0, which every IPP Everywhere printer speaks."""

_HEAD = struct.Struct(">BBHI")
_LENGTH = struct.Struct(">H")
_NUMBER = struct.Struct(">i")
_LAST_GROUP_TAG = 0x0F
_NO_VALUE_TAGS = range(0x10, 0x20)
"""unsupported, unknown, no-value: out-of-band values (RFC 8010, 3.5.2)."""


class Operation(IntEnum):
    """RFC 8011, section 5.4.15."""

    CREATE_JOB = 0x0005
    SEND_DOCUMENT = 0x0006
    CANCEL_JOB = 0x0008
    GET_JOB_ATTRIBUTES = 0x0009
    GET_PRINTER_ATTRIBUTES = 0x000B


class Group(IntEnum):
    OPERATION = 0x01
    JOB = 0x02
    END = 0x03
    PRINTER = 0x04
    UNSUPPORTED = 0x05


class Tag(IntEnum):
    """Kinds of values that are written or understood."""

    NO_VALUE = 0x13
    INTEGER = 0x21
    BOOLEAN = 0x22
    ENUM = 0x23
    OCTETS = 0x30
    BEGIN_COLLECTION = 0x34
    TEXT_WITH_LANGUAGE = 0x35
    NAME_WITH_LANGUAGE = 0x36
    END_COLLECTION = 0x37
    TEXT = 0x41
    NAME = 0x42
    KEYWORD = 0x44
    URI = 0x45
    CHARSET = 0x47
    LANGUAGE = 0x48
    MIME_TYPE = 0x49
    MEMBER_NAME = 0x4A


Value = int | bool | str | bytes | None
"""None: out of band, as `no-value`."""

_NUMBERS = (Tag.INTEGER, Tag.ENUM)
_WITH_LANGUAGE = (Tag.TEXT_WITH_LANGUAGE, Tag.NAME_WITH_LANGUAGE)
_TEXTS = range(0x40, 0x4A)


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a message, its values all of one kind."""

    tag: Tag
    name: str
    values: tuple[Value, ...]


def text(tag: Tag, name: str, *values: str) -> Attribute:
    return Attribute(tag, name, values)


def number(tag: Tag, name: str, *values: int) -> Attribute:
    return Attribute(tag, name, values)


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer. `code` is the operation of one and the status of the other."""

    code: int
    request_id: int
    groups: tuple[tuple[int, dict[str, tuple[Value, ...]]], ...]
    document: bytes = b""
    version: tuple[int, int] = VERSION

    def first(self, group: Group) -> dict[str, tuple[Value, ...]]:
        """The attributes of the first group of a kind; empty where there is none."""
        return next((attributes for tag, attributes in self.groups if tag == group), {})


def encode(
    code: int,
    request_id: int,
    groups: Iterable[tuple[Group, Iterable[Attribute]]],
    document: bytes = b"",
    *,
    version: tuple[int, int] = VERSION,
) -> bytes:
    """A whole message."""
    parts = [_HEAD.pack(*version, code, request_id)]
    for group, attributes in groups:
        parts.append(bytes([group]))
        for attribute in attributes:
            name = attribute.name.encode("ascii")
            for value in attribute.values:
                parts.append(_value(attribute.tag, name, value))
                name = b""
    return b"".join([*parts, bytes([Group.END]), document])


def _value(tag: Tag, name: bytes, value: Value) -> bytes:
    match value:
        case None:
            raw = b""
        case bool():
            raw = bytes([value])
        case int():
            raw = _NUMBER.pack(value)
        case str():
            raw = value.encode("utf-8")
        case bytes():
            raw = value
    return b"".join((bytes([tag]), _LENGTH.pack(len(name)), name, _LENGTH.pack(len(raw)), raw))


def decode(raw: bytes) -> Message:
    """The message in `raw`; `ValueError` where it is none."""
    if len(raw) < _HEAD.size:
        raise ValueError("shorter than its head")
    major, minor, code, request_id = _HEAD.unpack_from(raw)
    if major not in (1, 2):
        raise ValueError("not IPP")
    groups: list[tuple[int, dict[str, tuple[Value, ...]]]] = []
    reader = _Reader(raw, _HEAD.size)
    depth = 0
    name = ""
    while (tag := reader.byte()) != Group.END:
        if tag <= _LAST_GROUP_TAG:
            if depth:
                raise ValueError("a group within a collection")
            groups.append((tag, {}))
            name = ""
            continue
        if not groups:
            raise ValueError("an attribute before its group")
        given, value = reader.piece(), reader.piece()
        if depth or tag == Tag.BEGIN_COLLECTION:
            depth += (tag == Tag.BEGIN_COLLECTION) - (tag == Tag.END_COLLECTION)
            name = _word(given) or name
            continue
        attributes = groups[-1][1]
        if given:
            name = _word(given)
            attributes[name] = ()
        elif not name:
            raise ValueError("a value without a name")
        attributes[name] = (*attributes.get(name, ()), _understood(tag, value))
    return Message(code, request_id, tuple(groups), raw[reader.at :], (major, minor))


class _Reader:
    def __init__(self, raw: bytes, at: int) -> None:
        self._raw = raw
        self.at = at

    def byte(self) -> int:
        return self._take(1)[0]

    def piece(self) -> bytes:
        """A length and as many bytes."""
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size))
        return self._take(length)

    def _take(self, count: int) -> bytes:
        taken = self._raw[self.at : self.at + count]
        if len(taken) < count:
            raise ValueError("cut short")
        self.at += count
        return taken


def _understood(tag: int, raw: bytes) -> Value:
    if tag in _NO_VALUE_TAGS:
        return None
    if tag in _NUMBERS:
        if len(raw) != _NUMBER.size:
            raise ValueError("a number of another length")
        return int(_NUMBER.unpack(raw)[0])
    if tag == Tag.BOOLEAN:
        if len(raw) != 1:
            raise ValueError("a truth of another length")
        return raw != b"\0"
    if tag in _WITH_LANGUAGE:
        inner = _Reader(raw, 0)
        inner.piece()
        return _word(inner.piece())
    return _word(raw) if tag in _TEXTS else raw


def _word(raw: bytes) -> str:
    # A make and model in another charset must not hide how the printer is.
    return raw.decode("utf-8", "replace")
