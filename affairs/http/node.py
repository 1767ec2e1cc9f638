"""What all routes share: the node they work with, who asks, and how problems are documented."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Annotated, Any, cast

from fastapi import Depends, Header, Path, Request

from affairs.cases.office import Office
from affairs.help.calling import HelpCalls
from affairs.help.desk import HelpDesk
from affairs.licences.printing import Prints
from affairs.problems import ProblemCode, Refused
from affairs.publication import Offering
from affairs.queue.blocks import Blocks
from affairs.queue.booking import Booking
from affairs.queue.calling import Windows
from affairs.queue.issuing import Queue
from affairs.ratings.call_backs import CallBacks
from affairs.ratings.giving import Ratings
from affairs.ratings.summary import Satisfaction
from affairs.server import PEER
from hallkit.runtime.clock import Clock
from hallkit.wire.affairs_api import IDEMPOTENCY_HEADER, Problem

KEY_PATTERN = r"^[A-Za-z0-9._:-]{8,128}$"
ID_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{26}$"

_WORDS = {
    400: "请求无法读取,或缺少防重复编号",
    403: "本机没有权限",
    404: "没有找到",
    409: "现在不能这样操作",
    413: "内容太大",
    422: "内容不合规定",
    500: "系统故障",
    503: "暂时不可用",
}


@dataclass(frozen=True, slots=True)
class Node:
    """What the routes work with."""

    queue: Queue
    windows: Windows
    booking: Booking
    blocks: Blocks
    cases: Office
    ratings: Ratings
    satisfaction: Satisfaction
    call_backs: CallBacks
    """For the staff's pages."""
    help: HelpCalls
    help_desk: HelpDesk
    """For the staff's pages."""
    prints: Prints
    catalogue: Offering
    devices: AbstractSet[str]
    """Machines that may take tickets."""
    terminals: AbstractSet[str]
    """Those of them that may fetch e-licences."""
    callers: Mapping[str, int]
    """Devices that stand at windows, and at which: each may call to its own."""
    clock: Clock


async def _node(request: Request) -> Node:
    return cast("Node", request.app.state.node)


async def _listed_device(request: Request) -> str:
    """The machine that asks, if it is one of this hall's."""
    peer: str = request.scope.get("extensions", {}).get(PEER, "")
    if peer not in cast("Node", request.app.state.node).devices:
        raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)
    return peer


@dataclass(frozen=True, slots=True)
class AtWindow:
    """Who asks for a window: the device that stands there."""

    number: int
    device: str


async def _at_window(request: Request, number: Annotated[int, Path(ge=1, le=9999)]) -> AtWindow:
    """The window of the path, if the device that asks stands at it."""
    peer: str = request.scope.get("extensions", {}).get(PEER, "")
    if cast("Node", request.app.state.node).callers.get(peer) != number:
        raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)
    return AtWindow(number, peer)


NodeParameter = Annotated[Node, Depends(_node)]
Device = Annotated[str, Depends(_listed_device)]
OwnWindow = Annotated[AtWindow, Depends(_at_window)]
IdempotencyKey = Annotated[
    str,
    Header(
        alias=IDEMPOTENCY_HEADER,
        pattern=KEY_PATTERN,
        description="Names this one attempt of the citizen; repeat it when repeating.",
    ),
]


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": Problem, "description": _WORDS[status]}
        for status in sorted({*statuses, 500})
    }
