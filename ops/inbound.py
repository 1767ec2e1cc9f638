"""Judging what the machines send, without touching anything: topic, size, shape, bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from hallkit.errors import WireError
from hallkit.model.ids import DeviceId, SiteId, is_name
from hallkit.wire.base import Message
from hallkit.wire.mqtt import PAYLOAD_LIMIT, Info, Presence, Report, Reported
from hallkit.wire.topics import UP_INFO, UP_PRESENCE, UP_REPORT, UP_REPORTED, parse_up

LARGEST = 2**53
"""Beyond it a number is no count of anything here, and no database column holds it."""

NAME_LIMIT = 120
PERIPHERALS_LIMIT = 64

NOBODY = DeviceId("")
"""Stands for the device of a message whose topic names none."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A message, or a part of it, without effect; counted under its reason."""

    device: DeviceId
    what: str


Body = Presence | Info | Report | Reported


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that makes sense."""

    device: DeviceId
    body: Body


class _Head(Message):
    """What must be readable of a report, so that a broken one does not stop the stream."""

    boot: Annotated[str, Field(min_length=1, max_length=32)]
    seq: Annotated[int, Field(ge=1)]
    first: Annotated[int, Field(ge=1)]


_BODIES: dict[str, type[Body]] = {
    UP_PRESENCE: Presence,
    UP_INFO: Info,
    UP_REPORT: Report,
    UP_REPORTED: Reported,
}


def receive(site: SiteId, topic: str, payload: bytes) -> list[Heard | Refused]:
    """Judge one message: topic, size, shape."""
    try:
        up = parse_up(topic)
    except WireError as fault:
        return [Refused(NOBODY, fault.what)]
    if up.site != site:
        return [Refused(NOBODY, "topic")]
    kind = _BODIES.get(up.channel)
    if kind is None:
        return [Refused(up.device, "topic")]
    try:
        body = kind.from_bytes(payload, limit=PAYLOAD_LIMIT)
        _within_bounds(body)
        return [Heard(up.device, body)]
    except WireError as fault:
        refused = Refused(up.device, fault.what)
        if kind is not Report or fault.what == "oversized":
            return [refused]
        return [*_settled_without_effect(up.device, payload), refused]


def _within_bounds(body: Body | _Head) -> None:
    match body:
        case Presence(epoch=epoch):
            holds = epoch <= LARGEST
        case Info(name=name, role=role, agent=agent, peripherals=peripherals):
            texts = (
                name,
                role,
                agent,
                *(text for one in peripherals for text in (one.port, one.driver, one.model)),
            )
            holds = (
                len(peripherals) <= PERIPHERALS_LIMIT
                and all(len(text) <= NAME_LIMIT for text in texts)
                and all(is_name(one.id) for one in peripherals)
            )
        case Report(seq=seq, first=first) | _Head(seq=seq, first=first):
            holds = max(seq, first) <= LARGEST
        case Reported(version=version, catalogue=catalogue):
            sequence = 0 if catalogue is None else catalogue.sequence
            holds = max(version, sequence) <= LARGEST
    if not holds:
        raise WireError("malformed", "beyond its bounds")


def _settled_without_effect(device: DeviceId, payload: bytes) -> list[Heard | Refused]:
    """A report that will never make sense, as an empty one: sending it again would not help."""
    try:
        head = _Head.from_bytes(payload, limit=PAYLOAD_LIMIT)
        _within_bounds(head)
    except WireError:
        return []
    empty = Report(boot=head.boot, seq=head.seq, first=head.first, ts=0, mono=0, records=())
    return [Heard(device, empty)]
