"""The local bus between processes of one machine: JSON lines on a Unix socket.

The server greets with `hello`, then a full `snapshot`, then `event`s with rising `seq`; a client
sends `request`s and gets one `reply` each. A line is at most `LINE_LIMIT` bytes; a client that
breaks the rules is told so once (`refused`), counted, and after `REFUSALS_LIMIT` disconnected.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from hallkit.errors import WireError
from hallkit.wire.base import Message

PROTOCOL_VERSION = 1
LINE_LIMIT = 256 * 1024
REFUSALS_LIMIT = 20
REQUESTS_PER_SECOND = 500

Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_.]*$")]


class Hello(Message):
    kind: Literal["hello"] = "hello"
    version: int = PROTOCOL_VERSION
    server: str


class Snapshot(Message):
    """All state that events change; a reconnected client starts from it."""

    kind: Literal["snapshot"] = "snapshot"
    seq: int
    data: dict[str, Any]


class Event(Message):
    kind: Literal["event"] = "event"
    seq: int
    name: Name
    data: dict[str, Any]


class Request(Message):
    kind: Literal["request"] = "request"
    id: Annotated[str, Field(min_length=1, max_length=40)]
    name: Name
    args: dict[str, Any] = {}


class Failure(Message):
    """A fault as it crosses the bus: its code in the error tree, and a reason if any."""

    code: str
    reason: str = ""
    retryable: bool = False
    holder: str = ""
    """Of a device that is busy: the role of who has it."""
    until_ms: int | None = None
    """And until when at the latest, in wall time."""


class Reply(Message):
    kind: Literal["reply"] = "reply"
    id: str
    result: dict[str, Any] | None = None
    error: Failure | None = None


class Refused(Message):
    """What the server did not understand."""

    kind: Literal["refused"] = "refused"
    what: str


ServerLine = Annotated[Hello | Snapshot | Event | Reply | Refused, Field(discriminator="kind")]
_SERVER_LINES: TypeAdapter[Hello | Snapshot | Event | Reply | Refused] = TypeAdapter(ServerLine)


def encode_line(message: Message) -> bytes:
    return message.to_bytes() + b"\n"


def decode_request(line: bytes) -> Request:
    """A request from a client's line; `WireError` otherwise."""
    return Request.from_bytes(line, limit=LINE_LIMIT)


def decode_server_line(line: bytes) -> Hello | Snapshot | Event | Reply | Refused:
    """A line from the server; `WireError` otherwise."""
    if len(line) > LINE_LIMIT:
        raise WireError("oversized", f"{len(line)} bytes")
    try:
        return _SERVER_LINES.validate_json(line)
    except ValidationError:
        raise WireError("malformed", "not a line of the local bus") from None
