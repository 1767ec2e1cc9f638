"""Numbers that machines hold for the time without the node, and what became of them."""

from __future__ import annotations

from fastapi import APIRouter, Response

from affairs.http.node import Device, IdempotencyKey, NodeParameter, problems
from hallkit.wire.affairs_api import (
    BLOCKS,
    Lease,
    LeaseRequest,
    OfflineTickets,
    OfflineTicketsTaken,
)

ROUTES = APIRouter()


@ROUTES.post(
    BLOCKS,
    operation_id="leaseNumbers",
    summary="领一批断网时用的号",
    responses=problems(400, 403, 404, 413, 422, 503),
)
async def _lease_numbers(
    wanted: LeaseRequest,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> Lease:
    response.headers["Cache-Control"] = "no-store"
    return await node.blocks.lease(wanted, device=device, key=key)


@ROUTES.post(
    BLOCKS + "/tickets",
    operation_id="takeOfflineTickets",
    summary="交回断网时发出的号",
    responses=problems(400, 403, 413, 422, 503),
)
async def _take_offline_tickets(
    given: OfflineTickets,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,  # noqa: ARG001  # each ticket's own id says whether it was told before
    response: Response,
) -> OfflineTicketsTaken:
    response.headers["Cache-Control"] = "no-store"
    return await node.blocks.take(given, device=device)
