"""E-licences for the machines that may print them, and for the window that settles a lost print."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Request, Response

from affairs.http.node import (
    Device,
    IdempotencyKey,
    Node,
    NodeParameter,
    OwnWindow,
    problems,
)
from affairs.problems import ProblemCode, Refused
from hallkit.wire.affairs_api import WINDOWS
from hallkit.wire.licences_api import (
    LICENCES,
    PERMIT_FILE_TYPE,
    PERMITS,
    VISITS,
    LicenceQuery,
    LicencesFound,
    PermitOfPerson,
    PermitOutcome,
    PermitRedeemed,
    PermitRedemption,
    PermitRequest,
    PermitStatus,
    PrintPermit,
    PrintsSettled,
    PrintsSettlement,
    VisitEnd,
    VisitEnded,
)

ROUTES = APIRouter()


async def _terminal(request: Request, device: Device) -> str:
    """The machine that asks, if it is one that may fetch licences: a terminal of this hall."""
    if device not in cast("Node", request.app.state.node).terminals:
        raise Refused(ProblemCode.DEVICE_NOT_ALLOWED)
    return device


Terminal = Annotated[str, Depends(_terminal)]


@ROUTES.post(
    LICENCES + "/find",
    operation_id="findLicences",
    summary="刷身份证看本人能打印哪些证照",
    responses=problems(400, 403, 409, 413, 422, 503),
)
async def _find_licences(
    query: LicenceQuery,
    node: NodeParameter,
    device: Terminal,
    key: IdempotencyKey,  # noqa: ARG001  # asked twice, the visit is the same person's
    response: Response,
) -> LicencesFound:
    response.headers["Cache-Control"] = "no-store"
    return await node.prints.find(query, device=device)


@ROUTES.post(
    PERMITS,
    operation_id="makePrintPermit",
    summary="生成一份证照文件和一次打印许可",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _make_print_permit(
    wanted: PermitRequest,
    node: NodeParameter,
    device: Terminal,
    key: IdempotencyKey,
    response: Response,
) -> PrintPermit:
    response.headers["Cache-Control"] = "no-store"
    return await node.prints.permit(wanted, device=device, key=key)


@ROUTES.post(
    PERMITS + "/file",
    operation_id="getPermitFile",
    summary="取证照文件",
    response_class=Response,
    responses={
        200: {"content": {PERMIT_FILE_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        **problems(400, 403, 404, 409, 413, 422, 503),
    },
)
async def _get_permit_file(
    wanted: PermitOfPerson,
    node: NodeParameter,
    device: Terminal,
    key: IdempotencyKey,  # noqa: ARG001  # changes nothing; the number stands in a body, not a URL
) -> Response:
    content = await node.prints.file(wanted, device=device)
    return Response(content, 200, {"Cache-Control": "no-store"}, PERMIT_FILE_TYPE)


@ROUTES.post(
    PERMITS + "/redeem",
    operation_id="redeemPrintPermit",
    summary="送打印机之前核对:本次、本人、本机、这一份文件,只能用一次",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _redeem_print_permit(
    wanted: PermitRedemption,
    node: NodeParameter,
    device: Terminal,
    key: IdempotencyKey,
    response: Response,
) -> PermitRedeemed:
    response.headers["Cache-Control"] = "no-store"
    return await node.prints.redeem(wanted, device=device, key=key)


@ROUTES.post(
    PERMITS + "/outcome",
    operation_id="tellPrintOutcome",
    summary="报告打印结果",
    responses=problems(400, 403, 404, 409, 413, 422, 503),
)
async def _tell_print_outcome(
    told: PermitOutcome,
    node: NodeParameter,
    device: Terminal,
    key: IdempotencyKey,
    response: Response,
) -> PermitStatus:
    response.headers["Cache-Control"] = "no-store"
    return await node.prints.outcome(told, device=device, key=key)


@ROUTES.post(
    VISITS + "/end",
    operation_id="endVisit",
    summary="一次办理结束:剩下的文件全部销毁",
    responses=problems(400, 403, 413, 422, 503),
)
async def _end_visit(
    visit: VisitEnd,
    node: NodeParameter,
    device: Terminal,
    key: IdempotencyKey,
    response: Response,
) -> VisitEnded:
    response.headers["Cache-Control"] = "no-store"
    return await node.prints.end_visit(visit, device=device, key=key)


@ROUTES.post(
    WINDOWS + "/{number}/prints/settle",
    operation_id="settlePrints",
    summary="窗口核对没有结果的打印:打出来了,还是没有",
    responses=problems(400, 403, 404, 413, 422, 503),
)
async def _settle_prints(
    found: PrintsSettlement,
    node: NodeParameter,
    window: OwnWindow,
    key: IdempotencyKey,
    response: Response,
) -> PrintsSettled:
    response.headers["Cache-Control"] = "no-store"
    return await node.prints.settle(found, device=window.device, key=key)
