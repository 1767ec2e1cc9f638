"""What happens at a window, for the device that stands at it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from affairs.http.node import IdempotencyKey, NodeParameter, OwnWindow, problems
from hallkit.wire.affairs_api import WINDOWS, TicketCase, WindowOrder, WindowStatus
from hallkit.wire.cases_api import Case, CaseOrder

ROUTES = APIRouter()


@ROUTES.get(
    WINDOWS + "/{number}",
    operation_id="getWindow",
    summary="窗口当前状态",
    responses=problems(403, 404, 422, 503),
)
async def _get_window(node: NodeParameter, window: OwnWindow, response: Response) -> WindowStatus:
    response.headers["Cache-Control"] = "no-store"
    return await node.windows.status(window.number)


@ROUTES.get(
    WINDOWS + "/{number}/case",
    operation_id="getWindowCase",
    summary="窗口上这位群众已经填过的内容",
    responses=problems(403, 404, 409, 422, 503),
)
async def _get_window_case(
    node: NodeParameter, window: OwnWindow, response: Response
) -> TicketCase:
    response.headers["Cache-Control"] = "no-store"
    said = await node.windows.case(window.number)
    return said.model_copy(update={"case": await node.cases.counter.case(window.number)})


@ROUTES.post(
    WINDOWS + "/{number}/case/orders",
    operation_id="orderCase",
    summary="受理、退回、通过、不予通过、送达窗口上的办件",
    responses=problems(400, 403, 409, 413, 422, 503),
)
async def _order_case(
    wanted: CaseOrder,
    node: NodeParameter,
    window: OwnWindow,
    key: IdempotencyKey,
    response: Response,
) -> Case:
    response.headers["Cache-Control"] = "no-store"
    return await node.cases.counter.do(window.number, wanted, device=window.device, key=key)


@ROUTES.post(
    WINDOWS + "/{number}/orders",
    operation_id="orderWindow",
    summary="开窗、叫号、重呼、开始办、过号、办结、转窗口",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _order_window(
    wanted: WindowOrder,
    node: NodeParameter,
    window: OwnWindow,
    key: IdempotencyKey,
    response: Response,
) -> WindowStatus:
    response.headers["Cache-Control"] = "no-store"
    return await node.windows.do(window.number, wanted, device=window.device, key=key)
