"""呼叫帮办, for the machine that calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from affairs.http.node import ID_PATTERN, Device, IdempotencyKey, NodeParameter, problems
from hallkit.wire.help_api import HELP_CALLS, HelpCall, HelpRequest

ROUTES = APIRouter()

CallId = Annotated[str, Path(pattern=ID_PATTERN)]


@ROUTES.post(
    HELP_CALLS,
    operation_id="callForHelp",
    summary="呼叫帮办",
    status_code=201,
    responses={
        200: {"model": HelpCall, "description": "这次呼叫已经在等人"},
        **problems(400, 403, 413, 422, 503),
    },
)
async def _call_for_help(
    wanted: HelpRequest,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> HelpCall:
    told = await node.help.call(wanted, device=device, key=key)
    response.status_code = 200 if told.again else 201
    response.headers["Cache-Control"] = "no-store"
    return told


@ROUTES.get(
    HELP_CALLS + "/{call}",
    operation_id="getHelpCall",
    summary="谁来、等了多久",
    responses=problems(403, 404, 422, 503),
)
async def _get_help_call(
    call: CallId, node: NodeParameter, device: Device, response: Response
) -> HelpCall:
    response.headers["Cache-Control"] = "no-store"
    return await node.help.status(call, device=device)


@ROUTES.post(
    HELP_CALLS + "/{call}/cancel",
    operation_id="cancelHelpCall",
    summary="不用来了",
    responses=problems(400, 403, 404, 413, 422, 503),
)
async def _cancel_help_call(
    call: CallId,
    node: NodeParameter,
    device: Device,
    key: IdempotencyKey,
    response: Response,
) -> HelpCall:
    response.headers["Cache-Control"] = "no-store"
    return await node.help.cancel(call, device=device, key=key)
