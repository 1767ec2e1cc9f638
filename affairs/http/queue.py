"""Numbers, tickets, how long it takes, and calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from affairs.http.node import ID_PATTERN, Device, IdempotencyKey, NodeParameter, problems
from hallkit.model.ticket import Ticket
from hallkit.wire.affairs_api import (
    HEALTH,
    QUEUE_CALLS,
    QUEUE_SERVICES,
    TICKETS,
    Calls,
    QueueServices,
    TicketIssued,
    TicketProgress,
    TicketRequest,
)
from hallkit.wire.base import Message

ROUTES = APIRouter()


class Health(Message):
    """The node serves, and its database answers."""

    status: str
    catalogue_version: str
    as_of_ms: int


@ROUTES.get(HEALTH, operation_id="getHealth", summary="本节点是否可用", responses=problems(503))
async def _get_health(node: NodeParameter) -> Health:
    await node.queue.waiting()
    return Health(
        status="ok",
        catalogue_version=node.catalogue.publication.manifest.version,
        as_of_ms=node.clock.wall_ms(),
    )


@ROUTES.get(
    QUEUE_SERVICES,
    operation_id="listQueueServices",
    summary="各业务当前等候人数",
    responses=problems(503),
)
async def _list_queue_services(node: NodeParameter) -> QueueServices:
    return await node.queue.waiting()


@ROUTES.post(
    TICKETS,
    operation_id="issueTicket",
    summary="取号",
    status_code=201,
    responses={
        200: {"model": TicketIssued, "description": "同一编号此前已取的号"},
        **problems(400, 403, 404, 413, 422, 503),
    },
)
async def _issue_ticket(
    wanted: TicketRequest,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> TicketIssued:
    issued = await node.queue.issue(wanted, device=device, key=key)
    response.status_code = 200 if issued.again else 201
    response.headers["Cache-Control"] = "no-store"
    return issued


@ROUTES.get(
    TICKETS + "/{ticket_id}",
    operation_id="getTicket",
    summary="号票当前状态",
    responses=problems(403, 404, 422, 503),
)
async def _get_ticket(
    ticket_id: Annotated[str, Path(pattern=ID_PATTERN)],
    node: NodeParameter,
    device: Device,  # noqa: ARG001  # asked for its rights
    response: Response,
) -> Ticket:
    response.headers["Cache-Control"] = "no-store"
    return await node.queue.ticket(ticket_id)


@ROUTES.get(
    TICKETS + "/{ticket_id}/progress",
    operation_id="getTicketProgress",
    summary="还要等多久、到哪个窗口",
    responses=problems(403, 404, 422, 503),
)
async def _get_ticket_progress(
    ticket_id: Annotated[str, Path(pattern=ID_PATTERN)],
    node: NodeParameter,
    device: Device,  # noqa: ARG001  # asked for its rights
    response: Response,
) -> TicketProgress:
    response.headers["Cache-Control"] = "no-store"
    return await node.queue.progress(ticket_id)


@ROUTES.get(
    QUEUE_CALLS, operation_id="listCalls", summary="今天最近的叫号", responses=problems(503)
)
async def _list_calls(node: NodeParameter) -> Calls:
    return await node.windows.calls()
